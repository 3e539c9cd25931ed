//! Fault levels of the other regimes and sizes, hierarchical controls, and aborts from outside.

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, MAIR, SCTLR_ON, Tables, desc};

const DABT_LOWER: u64 = 0x24;
const DABT_SAME: u64 = 0x25;
const IABT_LOWER: u64 = 0x20;
const IABT_SAME: u64 = 0x21;
const WRITE: u64 = 1 << 6;
const TRANSLATION: u64 = 4;
const PERMISSION: u64 = 12;
/// Synchronous external abort, and on a walk (to which the level is added).
const EXTERNAL: u64 = 0x10;
const EXTERNAL_WALK: u64 = 0x14;
/// EC, IL and what is architected of an external abort's ISS: not EA, and not ISV with its fields.
const ABORT_BITS: u64 = 0x3f << 26 | 1 << 25 | 0x4_3f | WRITE;
const VA: u64 = 0x30_0000_0000;
/// Physical addresses at which the board has nothing: its platform bus.
const HOLE: u64 = 0x0c80_0000;
/// ISV with a 64-bit load or store of X0.
const X0: u64 = 1 << 24 | 3 << 22 | 1 << 15;

const fn va(level: u32) -> u64 {
    (level as u64) << 36
}

/// SCTLR_EL2 with its RES1 bits.
const SCTLR_EL2: u64 = 0x30c5_0830;

/// Turns the EL2 regime on.
fn use_el2(p: &mut Program, t: Tables) {
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr_el2());
    p.set(r::TTBR0_EL2, t.root);
    a64!(p ; isb);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, SCTLR_EL2 | SCTLR_ON);
}

fn el2_off(p: &mut Program) {
    p.set_now(r::SCTLR_EL2, SCTLR_EL2);
}

fn el2_levels_of(p: &mut Program, granules: &[Granule]) {
    for &granule in granules {
        let t = p.stage1(granule);
        for level in granule.first_level()..=3 {
            p.put(t, va(level), level, desc::EL1_RW | 2);
        }
        use_el2(p, t);
        for level in granule.first_level()..=3 {
            let status = TRANSLATION + u64::from(level);
            p.mov(1, va(level) + 0x18);
            let taken = Taken::same(2).far(va(level) + 0x18);
            p.faulting(taken.class(DABT_SAME, status), |p| a64!(p ; ldr x0, [x1]));
            p.faulting(taken.class(DABT_SAME, WRITE | status), |p| a64!(p ; str x0, [x1]));
        }
        el2_off(p);
    }
}

/// Fault levels of the EL2 regime.
pub(super) fn el2_levels(p: &mut Program) {
    el2_levels_of(p, &[Granule::K4, Granule::K64]);
}
/// The same with 16 KiB.
pub(super) fn el2_levels_16k(p: &mut Program) {
    el2_levels_of(p, &[Granule::K16]);
}

/// Fault levels of instruction fetches, in each granule of stage 1.
fn fetch_levels_of(p: &mut Program, granules: &[Granule]) {
    for &granule in granules {
        let t = p.stage1(granule);
        for level in granule.first_level()..=3 {
            p.put(t, va(level), level, desc::EL1_RW | 2);
        }
        p.use_stage1(t);
        for level in granule.first_level()..=3 {
            p.enter(Level::El1h, |p| {
                p.catching(|p| {
                    let status = TRANSLATION + u64::from(level);
                    p.expect_taken(Taken::same(1).class(IABT_SAME, status).elr(va(level)).far(va(level)));
                    p.mov(1, va(level));
                    a64!(p ; br x1);
                });
            });
        }
    }
}

/// Instruction aborts by level.
pub(super) fn fetch_levels(p: &mut Program) {
    fetch_levels_of(p, &[Granule::K4, Granule::K64]);
}
/// The same with 16 KiB.
pub(super) fn fetch_levels_16k(p: &mut Program) {
    fetch_levels_of(p, &[Granule::K16]);
}

/// Instruction aborts of stage 2 by level.
fn stage2_fetch_levels_of(p: &mut Program, granules: &[Granule]) {
    for &granule in granules {
        let t = p.stage2(granule);
        for level in granule.first_level()..=3 {
            p.put(t, va(level), level, desc::S2_RW | 2);
        }
        p.use_stage2(t);
        for level in granule.first_level()..=3 {
            let at = va(level) + 0x1000;
            p.enter(Level::El1h, |p| {
                p.catching_at(2, |p| {
                    let status = TRANSLATION + u64::from(level);
                    p.expect_taken(Taken::lower(2).class(IABT_LOWER, status).elr(at).far(at).ipa(at));
                    p.mov(1, at);
                    a64!(p ; br x1);
                });
            });
        }
    }
}

/// Stage 2's instruction aborts.
pub(super) fn stage2_fetch_levels(p: &mut Program) {
    stage2_fetch_levels_of(p, &[Granule::K4, Granule::K64]);
}
/// The same with 16 KiB.
pub(super) fn stage2_fetch_levels_16k(p: &mut Program) {
    stage2_fetch_levels_of(p, &[Granule::K16]);
}

/// 48 bits: the walk starts at level 0, and faults there.
pub(super) fn level_0(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let root = p.table(Granule::K4);
    p.put_at(root, t.root | desc::PAGE);
    p.use_stage1(t);
    // T0SZ 16.
    p.set(r::TCR_EL1, t.tcr() & !0x3f | 16);
    p.set(r::TTBR0_EL1, root);
    a64!(p ; isb);
    p.flush();
    p.enter(Level::El1h, |p| {
        for at in [1 << 39, 0xffff_ffff_f000] {
            p.mov(1, at);
            p.faulting(Taken::same(1).class(DABT_SAME, TRANSLATION).far(at), |p| a64!(p ; ldr x0, [x1]));
        }
        p.mov(1, VA);
        p.faulting(Taken::same(1).class(DABT_SAME, TRANSLATION + 1).far(VA), |p| a64!(p ; ldr x0, [x1]));
    });
}

/// 32 bits: the walk starts at level 1, and what is beyond faults at level 0.
pub(super) fn small_range(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    p.use_stage1(t);
    p.set_now(r::TCR_EL1, t.tcr() & !0x3f | 32);
    p.flush();
    p.enter(Level::El1h, |p| {
        for (at, level) in [(0x8000_0000, 1), (0x1_0000_0000, 0), (VA, 0)] {
            p.mov(1, at);
            let taken = Taken::same(1).class(DABT_SAME, TRANSLATION + level).far(at);
            p.faulting(taken, |p| a64!(p ; ldr x0, [x1]));
        }
    });
}

/// APTable, XNTable and PXNTable of a level 2 table descriptor limit all pages below it.
pub(super) fn hierarchical(p: &mut Program) {
    for (bits, write, el0, fetch) in [
        (0, true, true, true),
        // APTable: no access for EL0; no writes; neither.
        (1 << 61, true, false, true),
        (2 << 61, false, true, true),
        (3 << 61, false, false, true),
        // PXNTable.
        (1 << 59, true, true, false),
    ] {
        let t = p.stage1(Granule::K4);
        let frame = p.frame(0x1000);
        // RET.
        p.poke(frame, 0xd65f_03c0);
        p.page(t, VA, frame, desc::EL0_RW);
        p.page(t, VA + 0x1000, frame, desc::EL1_RW);
        let slot = p.slot(t, VA, 2);
        p.or_at(slot, bits);
        p.use_stage1(t);
        let denied = PERMISSION + 3;
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            if write {
                a64!(p ; ldr x0, [x1] ; str x0, [x1]);
            } else {
                p.faulting(
                    Taken::same(1).class(DABT_SAME, WRITE | denied).far(VA),
                    |p| a64!(p ; str x0, [x1]),
                );
            }
            p.mov(9, VA + 0x1000);
            if fetch {
                a64!(p ; blr x9);
            } else {
                p.catching(|p| {
                    p.expect_taken(Taken::same(1).class(IABT_SAME, denied).far(VA + 0x1000));
                    a64!(p ; blr x9);
                });
            }
        });
        p.enter(Level::El0, |p| {
            p.mov(1, VA);
            if el0 {
                a64!(p ; ldr x0, [x1]);
            } else {
                p.faulting(Taken::lower(1).class(DABT_LOWER, denied).far(VA), |p| a64!(p ; ldr x0, [x1]));
            }
        });
    }
}

/// TCR_EL1.HPD0 turns them off.
pub(super) fn hierarchical_disabled(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL0_RW);
    let slot = p.slot(t, VA, 2);
    p.or_at(slot, 3 << 61);
    p.use_stage1_with(t, 0, 1 << 41);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; str x1, [x1]);
    });
    p.enter(Level::El0, |p| a64!(p ; ldr x0, [x1]));
    p.expect("EL0 reads", 0, VA);
}

/// Loads, stores and fetches where the board has nothing.
pub(super) fn external(p: &mut Program) {
    p.mov(1, HOLE);
    let taken = Taken::same(2).far(HOLE);
    let bits = |ec: u64, iss: u64| (ABORT_BITS, ec << 26 | 1 << 25 | iss);
    let (mask, value) = bits(DABT_SAME, EXTERNAL);
    p.faulting(taken.esr_bits(mask, value), |p| a64!(p ; ldr w0, [x1]));
    let (mask, value) = bits(DABT_SAME, WRITE | EXTERNAL);
    p.faulting(taken.esr_bits(mask, value), |p| a64!(p ; str w0, [x1]));
    p.catching(|p| {
        let (mask, value) = bits(IABT_SAME, EXTERNAL);
        p.expect_taken(Taken::same(2).esr_bits(mask & !WRITE, value).elr(HOLE).far(HOLE));
        a64!(p ; br x1);
    });
}

/// A table where the board has nothing: the level is that of the descriptor that could not be read.
pub(super) fn external_on_walk(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    p.put(t, va(1), 1, HOLE | desc::PAGE);
    p.put(t, va(2), 2, HOLE | desc::PAGE);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        for (at, level) in [(va(1), 2), (va(2), 3)] {
            p.mov(1, at);
            let esr = DABT_SAME << 26 | 1 << 25 | (EXTERNAL_WALK + level);
            p.faulting(Taken::same(1).esr_bits(ABORT_BITS, esr).far(at), |p| a64!(p ; ldr x0, [x1]));
        }
    });
}

/// An IPA beyond VTCR_EL2.T0SZ is a level 0 translation fault of stage 2.
pub(super) fn stage2_range(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.use_stage2(t);
    let at = 1 << 39;
    p.enter(Level::El1h, |p| {
        p.mov(1, at);
        p.faulting(
            Taken::lower(2).class(DABT_LOWER, X0 | TRANSLATION).far(at).ipa(at),
            |p| a64!(p ; ldr x0, [x1]),
        );
    });
}

/// An output address of stage 2 beyond VTCR_EL2.PS: in a leaf and in a table.
pub(super) fn stage2_address_size(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.page(t, VA, 1 << 41, desc::S2_RW);
    p.put(t, va(2), 2, 1 << 41 | desc::PAGE);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        for (at, level) in [(VA, 3), (va(2), 2)] {
            p.mov(1, at);
            p.faulting(
                Taken::lower(2).class(DABT_LOWER, X0 | level).far(at).ipa(at),
                |p| a64!(p ; ldr x0, [x1]),
            );
        }
    });
}

/// 40 bits of IPA in two concatenated level 1 tables.
pub(super) fn concatenated(p: &mut Program) {
    // Two pages that follow each other; the first is the root of ordinary tables.
    let t = p.stage2_concatenated();
    let frame = p.frame(0x1000);
    p.poke(frame, 0x40b17);
    p.put_at(t.root + 0x1000, (frame & !0x3fff_ffff) | desc::S2_RW | desc::BLOCK);
    p.use_stage2(t);
    p.set_now(r::VTCR_EL2, t.vtcr() & !0x3f | 24);
    p.flush();
    p.enter(Level::El1h, |p| {
        p.mov(1, 1 << 39 | frame & 0x3fff_ffff);
        a64!(p ; ldr x0, [x1]);
        p.expect("by the second table", 0, 0x40b17);
        let at = 1 << 39 | 1 << 30;
        p.mov(1, at);
        let taken = Taken::lower(2).class(DABT_LOWER, X0 | (TRANSLATION + 1)).far(at).ipa(at);
        p.faulting(taken, |p| a64!(p ; ldr x0, [x1]));
    });
}

/// A stage 2 fault on each table of a stage 1 walk: S1PTW, with the level of stage 2 and the descriptor's IPA.
pub(super) fn walks_by_level(p: &mut Program) {
    let (t, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    // Level 2 and level 3 tables of stage 1 that are not in stage 2.
    p.put(s1, va(1), 1, NOWHERE | desc::PAGE);
    p.put(s1, va(2), 2, (NOWHERE + 0x1000) | desc::PAGE);
    p.use_stage1(s1);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        for (at, ipa) in [(va(1), NOWHERE), (va(2), NOWHERE + 0x1000)] {
            p.mov(1, at);
            let taken = Taken::lower(2).class(DABT_LOWER, 1 << 7 | (TRANSLATION + 2)).far(at).ipa(ipa);
            p.faulting(taken, |p| a64!(p ; ldr x0, [x1]));
        }
    });
}

/// FEAT_XNX: XN\[1:0\] of stage 2 for EL1 and EL0 apart.
pub(super) fn execute_never_by_level(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    let frame = p.frame(0x1000);
    // RET.
    p.poke(frame, 0xd65f_03c0);
    // XN is bits 54:53: EL1 and EL0, EL0 only, neither, EL1 only.
    for (xn, el1, el0) in [(0, true, true), (1, false, true), (2, false, false), (3, true, false)] {
        p.page(t, VA + 0x1000 * xn, frame, desc::S2_RW | xn << 53);
        p.use_stage2(t);
        let at = VA + 0x1000 * xn;
        for (level, allowed) in [(Level::El1h, el1), (Level::El0, el0)] {
            p.enter(level, |p| {
                p.mov(1, at);
                if allowed {
                    a64!(p ; blr x1);
                } else {
                    p.catching_at(2, |p| {
                        p.expect_taken(Taken::lower(2).class(IABT_LOWER, PERMISSION + 3).far(at));
                        a64!(p ; blr x1);
                    });
                }
            });
        }
    }
}

/// HCR_EL2.PTW: a table of stage 1 in what stage 2 calls Device memory. A peer may report level 0; the level is that of the
/// stage 2 descriptor (AArch64.S2Translate).
pub(super) fn protected_walk(p: &mut Program) {
    let (t, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    let frame = p.frame(0x1000);
    p.page(s1, VA, frame, desc::EL1_RW);
    let slot = p.slot(s1, VA, 3);
    p.page(t, frame, frame, desc::S2_RW);
    p.use_stage1(s1);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; ldr x0, [x1]);
    });
    // The level 3 table of stage 1 becomes Device memory.
    p.page(t, slot & !0xfff, slot & !0xfff, desc::S2_RW & !desc::S2_NORMAL);
    let entry = p.slot(t, slot & !0xfff, 3);
    p.poke(entry, slot & !0xfff | desc::S2_RW & !desc::S2_NORMAL | desc::PAGE);
    p.set_now(r::HCR_EL2, 1 << 31 | 1 | 1 << 2);
    p.flush();
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        let taken = Taken::lower(2).class(DABT_LOWER, 1 << 7 | (PERMISSION + 3)).far(VA).ipa(slot);
        p.faulting(taken, |p| a64!(p ; ldr x0, [x1]));
    });
}
