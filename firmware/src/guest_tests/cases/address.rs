//! Address translation instructions and PAR_EL1.

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers::{self as r, SysReg};
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, MAIR, SCTLR_ON, desc};

const VA: u64 = 0x30_0000_0000;
/// PAR_EL1.F.
const F: u64 = 1;
/// PAR_EL1.PTW: a fault of stage 2 on a walk of stage 1.
const PTW: u64 = 1 << 8;
/// PAR_EL1.S: a fault of stage 2.
const S: u64 = 1 << 9;
/// What is architected of a fault: F, FST, PTW, S.
const FAULT: u64 = F | 0x7e | PTW | S;
/// What is looked at in a success: F, PA, and SH and ATTR of normal memory.
const SUCCESS: u64 = 0xff00_ffff_ffff_f181;

/// A fault with this status.
const fn fault(fst: u64) -> u64 {
    F | fst << 1
}

/// Inner shareable normal write-back memory at an address.
const fn normal(pa: u64) -> u64 {
    0xff << 56 | 3 << 7 | pa
}

fn at(p: &mut Program, name: &str, operation: SysReg, va: u64, mask: u64, par: u64) {
    p.mov(1, va);
    p.msr(operation, 1);
    a64!(p ; isb);
    p.mrs(0, r::PAR_EL1);
    p.expect_bits(name, 0, mask, par);
}

/// AT S1E1R, S1E1W, S1E0R, S1E0W at EL1: addresses, attributes and faults.
pub(super) fn stage1(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL0_RW | desc::RO);
    p.page(t, VA + 0x2000, frame, desc::EL1_RW & !desc::AF);
    p.put(t, 0x20_0000_0000, 2, desc::BLOCK | 0x4020_0000 | desc::EL1_RW);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        at(p, "read", r::AT_S1E1R, VA + 0x123, SUCCESS, normal(frame));
        at(p, "write", r::AT_S1E1W, VA, SUCCESS, normal(frame));
        at(p, "read as EL0", r::AT_S1E0R, VA, FAULT, fault(15));
        at(p, "write to read-only", r::AT_S1E1W, VA + 0x1000, FAULT, fault(15));
        at(p, "read of it as EL0", r::AT_S1E0R, VA + 0x1fff, SUCCESS, normal(frame));
        at(p, "write to it as EL0", r::AT_S1E0W, VA + 0x1000, FAULT, fault(15));
        at(p, "no access flag", r::AT_S1E1R, VA + 0x2000, FAULT, fault(11));
        at(p, "invalid page", r::AT_S1E1R, VA + 0x3000, FAULT, fault(7));
        at(p, "invalid table", r::AT_S1E1R, 0x10_0000_0000, FAULT, fault(5));
        at(p, "out of range", r::AT_S1E1R, 1 << 39, FAULT, fault(4));
        at(p, "block", r::AT_S1E1R, 0x20_0001_2345, SUCCESS, normal(0x4021_2000));
    });
}

/// AT S12E1R at EL2 gives the PA and names the stage that faults; AT S1E1R stops at the IPA.
pub(super) fn both_stages(p: &mut Program) {
    let (s2, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    let frame = p.frame(0x1000);
    p.page(s2, 0x5000_0000, frame, desc::S2_RW);
    p.page(s2, 0x5000_1000, frame, desc::S2_RW & !desc::S2_W);
    for (i, ipa) in [0x5000_0000, 0x5000_1000, NOWHERE + 0x2000].into_iter().enumerate() {
        p.page(s1, VA + 0x1000 * i as u64, ipa, desc::EL1_RW);
    }
    let lost = p.slot(s1, 0x20_0000_0000, 3);
    p.put(s2, lost, 3, 0);
    p.use_stage1(s1);
    p.use_stage2(s2);
    at(p, "both", r::AT_S12E1R, VA + 0x10, SUCCESS, normal(frame));
    at(p, "stage 1 only", r::AT_S1E1R, VA, SUCCESS, normal(0x5000_0000));
    at(p, "stage 2 denies a write", r::AT_S12E1W, VA + 0x1000, FAULT, fault(15) | S);
    at(p, "stage 1 does not care", r::AT_S1E1W, VA + 0x1000, SUCCESS, normal(0x5000_1000));
    at(p, "stage 2 has nothing", r::AT_S12E1R, VA + 0x2000, FAULT, fault(7) | S);
    at(p, "stage 1 has nothing", r::AT_S12E1R, VA + 0x3000, FAULT, fault(7));
    at(p, "EL0 may not", r::AT_S12E0R, VA, FAULT, fault(15));
    at(p, "stage 2 on the walk", r::AT_S12E1R, 0x20_0000_0000, FAULT, fault(7) | S | PTW);
}

/// Without translation an address is its own.
pub(super) fn off(p: &mut Program) {
    at(p, "EL2", r::AT_S1E2R, 0x4020_0123, 0xffff_ffff_f001, 0x4020_0000);
    at(p, "EL1&0", r::AT_S12E1R, 0x4020_1123, 0xffff_ffff_f001, 0x4020_1000);
}

/// Fault status by level, in each granule.
fn levels_of(p: &mut Program, granules: &[Granule]) {
    for &granule in granules {
        let t = p.stage1(granule);
        let first = granule.first_level();
        for level in first..=3 {
            p.put(t, u64::from(level) << 36, level, desc::EL1_RW | 2);
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for level in first..=3 {
                let name = format!("{granule:?} level {level}");
                at(p, &name, r::AT_S1E1R, u64::from(level) << 36, FAULT, fault(4 + u64::from(level)));
            }
        });
    }
}

/// Translation faults by level.
pub(super) fn levels(p: &mut Program) {
    levels_of(p, &[Granule::K4, Granule::K64]);
}

/// The same with 16 KiB.
pub(super) fn levels_16k(p: &mut Program) {
    levels_of(p, &[Granule::K16]);
}

/// Stage 2's fault status by level, with both stages.
pub(super) fn stage2_levels(p: &mut Program) {
    let (s2, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    // Where stage 2 has nothing: level 1, 2 and 3.
    for (i, ipa) in (1..).zip([1 << 36, NOWHERE, 0x4000_0000]) {
        p.page(s1, VA + 0x1000 * i, ipa, desc::EL1_RW);
    }
    p.put(s2, 0x4000_0000, 3, 0);
    p.use_stage1(s1);
    p.use_stage2(s2);
    for level in 1..=3 {
        let name = format!("level {level}");
        at(p, &name, r::AT_S12E1R, VA + 0x1000 * level, FAULT, fault(4 + level) | S);
    }
}

/// Attributes: Device-nGnRnE, non-cacheable; and both stages together, of which the stronger counts.
pub(super) fn attributes(p: &mut Program) {
    let (s2, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    let frame = p.frame(0x1000);
    // MAIR attribute 2 is non-cacheable.
    for (i, bits) in (0..).zip([desc::DEVICE, 2 << 2, 0]) {
        p.page(s1, VA + 0x1000 * i, frame, desc::EL1_RW | bits);
    }
    p.page(s2, frame, frame, desc::S2_RW & !desc::S2_NORMAL);
    p.use_stage1(s1);
    // PA and ATTR.
    let mask = 0xff00_ffff_ffff_f001;
    p.enter(Level::El1h, |p| {
        at(p, "device", r::AT_S1E1R, VA, mask, frame);
        at(p, "non-cacheable", r::AT_S1E1R, VA + 0x1000, mask, 0x44 << 56 | frame);
        at(p, "write-back", r::AT_S1E1R, VA + 0x2000, mask, 0xff << 56 | frame);
    });
    p.use_stage2(s2);
    at(p, "device by stage 2", r::AT_S12E1R, VA + 0x2000, mask, frame);
    at(p, "stage 1 alone", r::AT_S1E1R, VA + 0x2000, mask, 0xff << 56 | frame);
}

/// The EL2 regime: pages, read-only pages, faults.
pub(super) fn el2(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL1_RW | desc::RO);
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr_el2());
    p.set(r::TTBR0_EL2, t.root);
    a64!(p ; isb);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 | SCTLR_ON);
    at(p, "read", r::AT_S1E2R, VA + 0x321, SUCCESS, normal(frame));
    at(p, "write", r::AT_S1E2W, VA, SUCCESS, normal(frame));
    at(p, "write to read-only", r::AT_S1E2W, VA + 0x1000, FAULT, fault(15));
    at(p, "nothing", r::AT_S1E2R, VA + 0x2000, FAULT, fault(7));
    at(p, "no table", r::AT_S1E2R, 0x10_0000_0000, FAULT, fault(5));
    p.set_now(r::SCTLR_EL2, 0x30c5_0830);
}

/// AT S1E1RP and S1E1WP look at PSTATE.PAN; AT S1E1R does not.
pub(super) fn pan(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL0_RW);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        a64!(p ; msr pan, 0);
        at(p, "PAN clear", r::AT_S1E1RP, VA, SUCCESS, normal(frame));
        a64!(p ; msr pan, 1);
        at(p, "PAN set, read", r::AT_S1E1RP, VA, FAULT, fault(15));
        at(p, "PAN set, write", r::AT_S1E1WP, VA, FAULT, fault(15));
        at(p, "not looked at", r::AT_S1E1R, VA, SUCCESS, normal(frame));
        a64!(p ; msr pan, 0);
    });
}

/// In a host AT S1E1R and S1E0R translate EL2&0.
pub(super) fn host(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL0_RW);
    p.page(t, VA + 0x1000, frame, desc::EL1_RW);
    p.set_now(r::HCR_EL2, 1 << 31 | 1 << 34 | 1 << 27);
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr());
    p.set(r::TTBR0_EL2, t.root);
    a64!(p ; isb);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 | 1 << 23 | SCTLR_ON);
    at(p, "EL0", r::AT_S1E0R, VA, SUCCESS, normal(frame));
    at(p, "EL2", r::AT_S1E1W, VA + 0x1000, SUCCESS, normal(frame));
    at(p, "EL0 may not", r::AT_S1E0R, VA + 0x1000, FAULT, fault(15));
    at(p, "nothing", r::AT_S1E1R, VA + 0x2000, FAULT, fault(7));
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 | 1 << 23);
    p.set_now(r::HCR_EL2, 1 << 31);
}

/// HCR_EL2.DC: with stage 1 off EL1&0 has write-back memory, not shareable.
pub(super) fn default_cacheable(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.use_stage2_with(t, 1 << 12, 0);
    let mask = 0xff00_ffff_ffff_f001;
    at(p, "write-back", r::AT_S1E1R, 0x4020_1123, mask, 0xff << 56 | 0x4020_1000);
    at(p, "and stage 2", r::AT_S12E1R, 0x4020_1123, mask, 0xff << 56 | 0x4020_1000);
    at(p, "which has nothing", r::AT_S12E1R, NOWHERE, FAULT, fault(6) | S);
}

/// AT at EL1 whose walk stage 2 denies is an exception for EL2, with CM, S1PTW and the table's IPA.
pub(super) fn walk_denied_at_el1(p: &mut Program) {
    let (s2, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    let lost = p.slot(s1, 0x20_0000_0000, 3);
    p.put(s2, lost, 3, 0);
    p.use_stage1(s1);
    p.use_stage2(s2);
    p.enter(Level::El1h, |p| {
        p.mov(1, 0x20_0000_0000);
        let taken = Taken::lower(2).class(0x24, 1 << 8 | 1 << 7 | 1 << 6 | 7);
        p.faulting(taken.far(0x20_0000_0000).ipa(lost), |p| p.msr(r::AT_S1E1R, 1));
    });
}
