//! Stage 2, and both stages together.

use crate::guest_tests::layout::NOWHERE;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, Tables, desc};

const DABT_LOWER: u64 = 0x24;
const IABT_LOWER: u64 = 0x20;
const WRITE: u64 = 1 << 6;
const S1PTW: u64 = 1 << 7;
const CACHE: u64 = 1 << 8;
const TRANSLATION: u64 = 4;
const ACCESS_FLAG: u64 = 8;
const PERMISSION: u64 = 12;
/// An IPA, and a VA, that has its own entry in the first table of every granule.
const FAR_OFF: u64 = 0x30_0000_0000;

/// The valid part of a syndrome (ISV): size (log2), sign extension, register, 64-bit register, acquire/release.
const fn valid(size: u64, sign: bool, register: u64, wide: bool, ordered: bool) -> u64 {
    1 << 24 | size << 22 | (sign as u64) << 21 | register << 16 | (wide as u64) << 15 | (ordered as u64) << 14
}

fn each_granule(p: &mut Program, granules: &[Granule], body: impl Fn(&mut Program, Tables)) {
    for &granule in granules {
        let t = p.stage2(granule);
        body(p, t);
    }
}

/// Levels at which a granule has leaves.
fn leaves(granule: Granule) -> core::ops::RangeInclusive<u32> {
    if granule == Granule::K4 { 1..=3 } else { 2..=3 }
}

const fn ipa(level: u32) -> u64 {
    (level as u64) << 36
}

/// An LDR X3, \[X1\] and an STR of EL1 that fault at stage 2 with this status.
fn both(p: &mut Program, at: u64, status: u64) {
    let shape = valid(3, false, 3, true, false);
    for write in [0, WRITE] {
        let taken = Taken::lower(2).class(DABT_LOWER, shape | write | status).far(at).ipa(at);
        p.mov(1, at);
        p.faulting(taken, |p| if write == 0 { a64!(p ; ldr x3, [x1]) } else { a64!(p ; str x3, [x1]) });
    }
}

/// An invalid descriptor at each level of each granule; HPFAR_EL2 holds the page of the IPA.
fn translation_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        let first = t.granule.first_level();
        for level in first..=3 {
            p.put(t, ipa(level), level, desc::S2_RW | 2);
        }
        p.use_stage2(t);
        p.enter(Level::El1h, |p| {
            for level in first..=3 {
                both(p, ipa(level) + 0x1008, TRANSLATION + u64::from(level));
            }
        });
    });
}

/// Leaves without the access flag, at each level of each granule.
fn access_flag_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        for level in leaves(t.granule) {
            let kind = if level == 3 { desc::PAGE } else { desc::BLOCK };
            p.put(t, ipa(level), level, 0x4000_0000 | desc::S2_RW & !desc::AF | kind);
        }
        p.use_stage2(t);
        p.enter(Level::El1h, |p| {
            for level in leaves(t.granule) {
                both(p, ipa(level) + 0x48, ACCESS_FLAG + u64::from(level));
            }
        });
    });
}

/// S2AP: none, read-only, write-only.
fn permissions_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        let frame = p.frame(0x1_0000);
        let size = t.granule.size();
        let base = desc::AF | desc::SH | desc::S2_NORMAL;
        for (i, ap) in [0, desc::S2_R, desc::S2_W].into_iter().enumerate() {
            p.page(t, FAR_OFF + i as u64 * size, frame, base | ap);
        }
        p.use_stage2(t);
        p.enter(Level::El1h, |p| {
            both(p, FAR_OFF, PERMISSION + 3);
            let shape = valid(3, false, 3, true, false);
            let denied = |p: &mut Program, at: u64, write: u64| {
                p.mov(1, at);
                let taken = Taken::lower(2).class(DABT_LOWER, shape | write | (PERMISSION + 3)).far(at);
                p.faulting(
                    taken,
                    |p| if write == 0 { a64!(p ; ldr x3, [x1]) } else { a64!(p ; str x3, [x1]) },
                );
            };
            denied(p, FAR_OFF + size, WRITE);
            a64!(p ; ldr x3, [x1]);
            denied(p, FAR_OFF + 2 * size, 0);
            a64!(p ; str x3, [x1]);
        });
    });
}

/// XN at stage 2, and an instruction fetch from nowhere.
pub(super) fn instruction_aborts(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    let frame = p.frame(0x1000);
    p.poke(frame, 0xd65f_03c0);
    p.page(t, FAR_OFF, frame, desc::S2_RW | desc::UXN);
    p.page(t, FAR_OFF + 0x1000, frame, desc::S2_RW);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, FAR_OFF + 0x1000);
        a64!(p ; blr x1);
    });
    let faults = [(FAR_OFF, PERMISSION + 3), (FAR_OFF + 0x2000, TRANSLATION + 3)];
    for (at, status) in faults {
        p.enter(Level::El1h, |p| {
            p.catching_at(2, |p| {
                p.mov(1, at);
                let taken = Taken::lower(2).class(IABT_LOWER, status).elr(at).far(at);
                p.expect_taken(if status < ACCESS_FLAG { taken.ipa(at) } else { taken });
                a64!(p ; blr x1);
            });
        });
    }
}

/// The syndrome of each kind of load and store that has one.
pub(super) fn valid_syndromes(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, NOWHERE + 0x40);
        macro_rules! one {
            ($write:expr, $shape:expr, $($insn:tt)*) => {
                let taken = Taken::lower(2).class(DABT_LOWER, $shape | $write | TRANSLATION + 2);
                p.faulting(taken.far(NOWHERE + 0x40).ipa(NOWHERE + 0x40), |p| a64!(p ; $($insn)*));
            };
        }
        one!(0, valid(0, false, 2, false, false), ldrb w2, [x1]);
        one!(0, valid(0, true, 3, false, false), ldrsb w3, [x1]);
        one!(0, valid(0, true, 4, true, false), ldrsb x4, [x1]);
        one!(0, valid(1, false, 5, false, false), ldrh w5, [x1]);
        one!(0, valid(1, true, 6, false, false), ldrsh w6, [x1]);
        one!(0, valid(1, true, 7, true, false), ldrsh x7, [x1]);
        one!(0, valid(2, false, 8, false, false), ldr w8, [x1]);
        one!(0, valid(2, true, 9, true, false), ldrsw x9, [x1]);
        one!(0, valid(3, false, 10, true, false), ldr x10, [x1]);
        one!(0, valid(3, false, 31, true, false), ldr xzr, [x1]);
        one!(WRITE, valid(0, false, 11, false, false), strb w11, [x1]);
        one!(WRITE, valid(1, false, 12, false, false), strh w12, [x1]);
        one!(WRITE, valid(2, false, 13, false, false), str w13, [x1]);
        one!(WRITE, valid(3, false, 31, true, false), str xzr, [x1]);
        one!(0, valid(2, false, 14, false, true), ldar w14, [x1]);
        one!(0, valid(0, false, 14, false, true), ldarb w14, [x1]);
        one!(WRITE, valid(3, false, 15, true, true), stlr x15, [x1]);
        one!(0, valid(2, false, 16, false, false), ldur w16, [x1]);
        one!(0, valid(3, false, 17, true, false), ldtr x17, [x1]);
    });
}

/// Those that have none: pairs, SIMD&FP, write-back, exclusives.
pub(super) fn no_syndromes(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, NOWHERE + 0x40);
        macro_rules! one {
            ($write:expr, $($insn:tt)*) => {
                let taken = Taken::lower(2).class(DABT_LOWER, $write | TRANSLATION + 2);
                p.faulting(taken.far(NOWHERE + 0x40).ipa(NOWHERE + 0x40), |p| a64!(p ; $($insn)*));
            };
        }
        one!(0, ldp x2, x3, [x1]);
        one!(WRITE, stp x2, x3, [x1]);
        one!(0, ldr q0, [x1]);
        one!(WRITE, str d0, [x1]);
        one!(0, ldr x2, [x1], 8);
        one!(WRITE, str x2, [x1, 0]!);
        one!(0, ldxr x2, [x1]);
        one!(0, ldxp x2, x3, [x1]);
        p.expect("the base register is as it was", 1, NOWHERE + 0x40);
    });
}

/// With stage 1 on FAR_EL2 holds the VA and HPFAR_EL2 the IPA.
fn both_addresses_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        let s1 = p.stage1(t.granule);
        p.page(s1, FAR_OFF, NOWHERE, desc::EL1_RW);
        p.use_stage1(s1);
        p.use_stage2(t);
        let level = if t.granule == Granule::K64 { 3 } else { 2 };
        let taken =
            Taken::lower(2).class(DABT_LOWER, valid(3, false, 3, true, false) | (TRANSLATION + level));
        p.enter(Level::El1h, |p| {
            p.mov(1, FAR_OFF + 0x128);
            p.faulting(taken.far(FAR_OFF + 0x128).ipa(NOWHERE), |p| a64!(p ; ldr x3, [x1]));
        });
    });
}

/// A walk of stage 1 that faults at stage 2: S1PTW, no ISV, HPFAR_EL2 has the descriptor's page.
pub(super) fn faults_on_walks(p: &mut Program) {
    let (t, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    p.page(s1, FAR_OFF, 0x4000_0000, desc::EL1_RW);
    let slot = p.slot(s1, FAR_OFF + 0x7000, 3);
    p.put(t, slot, 3, 0);
    p.use_stage1(s1);
    p.use_stage2(t);
    let at = FAR_OFF + 0x7010;
    p.enter(Level::El1h, |p| {
        p.mov(1, at);
        let taken = Taken::lower(2).class(DABT_LOWER, S1PTW | (TRANSLATION + 3)).far(at).ipa(slot);
        p.faulting(taken, |p| a64!(p ; ldr x3, [x1]));
        p.catching_at(2, |p| {
            p.expect_taken(
                Taken::lower(2).class(IABT_LOWER, S1PTW | (TRANSLATION + 3)).elr(at).far(at).ipa(slot),
            );
            a64!(p ; blr x1);
        });
    });
    // A permission fault on a walk has a valid HPFAR_EL2 as well.
    let walk_slot = p.slot(t, slot, 3);
    p.poke(walk_slot, slot & !0xfff | desc::AF | desc::SH | desc::S2_NORMAL | desc::PAGE);
    p.flush();
    p.enter(Level::El1h, |p| {
        p.mov(1, at);
        let taken = Taken::lower(2).class(DABT_LOWER, S1PTW | (PERMISSION + 3)).far(at).ipa(slot);
        p.faulting(taken, |p| a64!(p ; ldr x3, [x1]));
    });
}

/// Cache maintenance that faults: CM and WnR are one, there is no ISV. A peer whose cache maintenance does nothing may not
/// fault; the specification (D8.15.4, DC by VA to the point of coherency needs a translation) decides.
pub(super) fn cache_maintenance(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, NOWHERE);
        let taken =
            Taken::lower(2).class(DABT_LOWER, CACHE | WRITE | (TRANSLATION + 2)).far(NOWHERE).ipa(NOWHERE);
        p.faulting(taken, |p| p.msr(r::DC_CIVAC, 1));
    });
}

/// Two VMIDs see their own memory at the same IPA, without maintenance in between.
pub(super) fn vmids(p: &mut Program) {
    let tables = [p.stage2(Granule::K4), p.stage2(Granule::K4)];
    for (i, t) in (0..).zip(tables) {
        let frame = p.frame(0x1000);
        p.poke(frame, 0x300 + i);
        p.page(t, FAR_OFF, frame, desc::S2_RW);
    }
    p.use_stage2(tables[0]);
    for round in 0..4 {
        let i = round & 1;
        p.set_now(r::VTTBR_EL2, tables[i].root | (i as u64 + 1) << 48);
        p.enter(Level::El1h, |p| {
            p.mov(1, FAR_OFF);
            a64!(p ; ldr x0, [x1]);
            p.expect(&format!("the word of VMID {}", i + 1), 0, 0x300 + i as u64);
        });
    }
}

/// A changed stage 2 descriptor is used after TLBI by IPA (with VMALLE1 for what combines both stages), VMALLS12E1, ALLE1.
pub(super) fn invalidation(p: &mut Program) {
    let (t, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    p.page(s1, FAR_OFF, FAR_OFF, desc::EL1_RW);
    let frames = [0, 1, 2, 3].map(|i| {
        let frame = p.frame(0x1000);
        p.poke(frame, 0x400 + i);
        frame
    });
    p.page(t, FAR_OFF, frames[0], desc::S2_RW);
    let slot = p.slot(t, FAR_OFF, 3);
    p.use_stage1(s1);
    p.use_stage2(t);
    let read = |p: &mut Program, i: u64| {
        p.enter(Level::El1h, |p| {
            p.mov(1, FAR_OFF);
            a64!(p ; ldr x0, [x1]);
            p.expect(&format!("word {i}"), 0, 0x400 + i);
        });
    };
    read(p, 0);
    for i in 1..4 {
        for descriptor in [0, frames[i as usize] | desc::S2_RW | desc::PAGE] {
            p.poke(slot, descriptor);
            match i {
                1 => {
                    p.mov(2, FAR_OFF >> 12);
                    p.msr(r::TLBI_IPAS2E1IS, 2);
                    a64!(p ; dsb sy);
                    p.msr(r::TLBI_VMALLE1IS, 31);
                }
                2 => p.msr(r::TLBI_VMALLS12E1, 31),
                _ => p.msr(r::TLBI_ALLE1IS, 31),
            }
            a64!(p ; dsb sy ; isb);
            if descriptor == 0 {
                let status = valid(3, false, 0, true, false) | (TRANSLATION + 3);
                p.enter(Level::El1h, |p| {
                    p.mov(1, FAR_OFF);
                    p.faulting(
                        Taken::lower(2).class(DABT_LOWER, status).ipa(FAR_OFF),
                        |p| a64!(p ; ldr x0, [x1]),
                    );
                });
            }
        }
        read(p, i);
    }
}

/// A stage 1 fault comes before a stage 2 fault of the same access, and goes to EL1.
pub(super) fn stage1_comes_first(p: &mut Program) {
    let (t, s1) = (p.stage2(Granule::K4), p.stage1(Granule::K4));
    p.page(s1, FAR_OFF, NOWHERE, desc::EL1_RW | desc::RO);
    p.use_stage1(s1);
    p.use_stage2(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, FAR_OFF);
        let taken = Taken::same(1).class(0x25, WRITE | (PERMISSION + 3)).far(FAR_OFF);
        p.faulting(taken, |p| a64!(p ; str x3, [x1]));
    });
}

/// VTCR_EL2.HA and HD: access flag and dirty state of stage 2.
pub(super) fn hardware_update(p: &mut Program) {
    let t = p.stage2(Granule::K4);
    let frame = p.frame(0x1000);
    let base = desc::SH | desc::S2_NORMAL | desc::S2_R | desc::DBM;
    p.page(t, FAR_OFF, frame, base);
    p.page(t, FAR_OFF + 0x1000, frame, base);
    let slot = p.slot(t, FAR_OFF, 3);
    p.use_stage2_with(t, 0, 3 << 21);
    p.enter(Level::El1h, |p| {
        p.mov(1, FAR_OFF);
        a64!(p ; str x1, [x1]);
        p.mov(1, FAR_OFF + 0x1000);
        a64!(p ; ldr x0, [x1]);
        p.expect("the word", 0, FAR_OFF);
    });
    p.mov(1, slot);
    a64!(p ; ldp x0, x2, [x1]);
    p.expect("written", 0, frame | base | desc::S2_W | desc::AF | desc::PAGE);
    p.expect("only read", 2, frame | base | desc::AF | desc::PAGE);
}

/// Each case of granules twice: for those that every model has, and for 16 KiB, which Cortex-A72 does not have.
macro_rules! by_granule {
    ($($name:ident $name_16k:ident $body:ident;)*) => {
        $(pub(super) fn $name(p: &mut Program) {
            $body(p, &[Granule::K4, Granule::K64]);
        }
        pub(super) fn $name_16k(p: &mut Program) {
            $body(p, &[Granule::K16]);
        })*
    };
}

by_granule! {
    translation_faults translation_faults_16k translation_faults_of;
    access_flag_faults access_flag_faults_16k access_flag_faults_of;
    permissions permissions_16k permissions_of;
    both_addresses both_addresses_16k both_addresses_of;
}
