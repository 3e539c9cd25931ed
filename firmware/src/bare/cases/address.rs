//! Address translation instructions and PAR_EL1.

use crate::bare::layout::NOWHERE;
use crate::bare::program::{Level, Program};
use crate::bare::registers::{self as r, SysReg};
use crate::bare::tables::{Granule, desc};

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
