//! Stage 1 of EL1&0, EL2 and EL2&0.

use crate::guest_tests::layout::RAM;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, MAIR, SCTLR_ON, TSZ, Tables, desc};

/// Data abort from a lower level and from the same one; instruction aborts likewise.
const DABT_LOWER: u64 = 0x24;
const DABT_SAME: u64 = 0x25;
const IABT_LOWER: u64 = 0x20;
const IABT_SAME: u64 = 0x21;
/// ISS.WnR.
const WRITE: u64 = 1 << 6;
/// Fault status codes, to which the level is added.
const TRANSLATION: u64 = 4;
const ACCESS_FLAG: u64 = 8;
const PERMISSION: u64 = 12;

/// A test address that has its own entry in the first table of every granule.
const VA: u64 = 0x30_0000_0000;
/// RET.
const RET: u64 = 0xd65f_03c0;

/// An address for tests of a level; no two levels share a table below the first.
const fn va(level: u32) -> u64 {
    (level as u64) << 36
}

/// Loads from and stores to `address` by X0 at EL1 or EL2 (or whatever is current).
fn load(p: &mut Program, address: u64, taken: Taken) {
    p.mov(1, address);
    p.faulting(taken.far(address), |p| a64!(p ; ldr x0, [x1]));
}

fn store(p: &mut Program, address: u64, taken: Taken) {
    p.mov(1, address);
    p.faulting(taken.far(address), |p| a64!(p ; str x0, [x1]));
}

/// For each of the granules: tables, then `body`, which emits code for EL2.
fn each_granule(p: &mut Program, granules: &[Granule], body: impl Fn(&mut Program, Tables)) {
    for &granule in granules {
        let t = p.stage1(granule);
        body(p, t);
    }
}

/// An invalid descriptor at each level, and an address beyond TCR_EL1.T0SZ (level 0).
fn translation_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        let first = t.granule.first_level();
        for level in first..=3 {
            // Bit 0 clear: the others do not matter.
            p.put(t, va(level), level, desc::EL1_RW | RAM | 2);
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for level in first..=3 {
                load(p, va(level) + 8, Taken::same(1).class(DABT_SAME, TRANSLATION + u64::from(level)));
                store(
                    p,
                    va(level) + 16,
                    Taken::same(1).class(DABT_SAME, WRITE | (TRANSLATION + u64::from(level))),
                );
            }
            load(p, 1 << 39, Taken::same(1).class(DABT_SAME, TRANSLATION));
            load(p, 0xffff_ffff_ffff_0000, Taken::same(1).class(DABT_SAME, TRANSLATION));
        });
    });
}

/// Levels at which a granule has leaves, with output addresses of 40 bits.
fn leaves(granule: Granule) -> core::ops::RangeInclusive<u32> {
    if granule == Granule::K4 { 1..=3 } else { 2..=3 }
}

/// A leaf for RAM at a level.
fn leaf(level: u32, attributes: u64) -> u64 {
    RAM | attributes | if level == 3 { desc::PAGE } else { desc::BLOCK }
}

/// Blocks and pages without the access flag.
fn access_flag_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        for level in leaves(t.granule) {
            p.put(t, va(level), level, leaf(level, desc::SH));
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for level in leaves(t.granule) {
                load(p, va(level), Taken::same(1).class(DABT_SAME, ACCESS_FLAG + u64::from(level)));
            }
        });
    });
}

/// Writes to read-only blocks and pages; reads of what only EL1 may read from EL0.
fn permission_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        for level in leaves(t.granule) {
            p.put(t, va(level), level, leaf(level, desc::EL1_RW | desc::RO));
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for level in leaves(t.granule) {
                store(p, va(level), Taken::same(1).class(DABT_SAME, WRITE | (PERMISSION + u64::from(level))));
            }
        });
        p.enter(Level::El0, |p| {
            for level in leaves(t.granule) {
                load(p, va(level), Taken::lower(1).class(DABT_LOWER, PERMISSION + u64::from(level)));
            }
        });
    });
}

/// An output address beyond TCR_EL1.IPS, in a leaf and in a table descriptor.
fn address_size_faults_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        p.page(t, VA, 1 << 41, desc::EL1_RW);
        p.put(t, va(2), 2, 1 << 41 | desc::PAGE);
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            load(p, VA, Taken::same(1).class(DABT_SAME, 3));
            load(p, va(2), Taken::same(1).class(DABT_SAME, 2));
        });
    });
}

/// Blocks and pages of all levels and granules lead to the same word.
fn blocks_and_pages_of(p: &mut Program, granules: &[Granule]) {
    each_granule(p, granules, |p, t| {
        let frame = p.frame(0x1_0000);
        p.poke(frame + 0x128, frame ^ 0x1234_5678_9abc_def0);
        for level in leaves(t.granule) {
            let size = 1 << t.granule.shift(level);
            let kind = if level == 3 { desc::PAGE } else { desc::BLOCK };
            p.put(t, va(level), level, (frame / size * size) | desc::EL1_RW | kind);
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for level in leaves(t.granule) {
                let size = 1 << t.granule.shift(level);
                p.mov(1, va(level) + (frame & (size - 1)) + 0x128);
                a64!(p ; ldr x0, [x1]);
                p.expect(&format!("{:?} level {level}", t.granule), 0, frame ^ 0x1234_5678_9abc_def0);
            }
        });
    });
}

/// Entries with the contiguous hint map what they say, each its own part.
fn contiguous_hint_of(p: &mut Program, granules: &[Granule]) {
    for &granule in granules {
        let entries = match granule {
            Granule::K4 => 16,
            Granule::K16 => 128,
            Granule::K64 => 32,
        };
        let t = p.stage1(granule);
        let size = granule.size();
        // The output address of the first one is aligned to the whole.
        let base = RAM + 0x80_0000;
        for i in 0..entries {
            p.page(t, VA + i * size, base + i * size, desc::EL1_RW | desc::CONTIGUOUS);
        }
        for i in [0, 1, entries - 1] {
            p.poke(base + i * size + 8, 0x77 + i);
        }
        p.use_stage1(t);
        p.enter(Level::El1h, |p| {
            for i in [0, 1, entries - 1] {
                p.mov(1, VA + i * size + 8);
                a64!(p ; ldr x0, [x1]);
                p.expect(&format!("{granule:?} entry {i}"), 0, 0x77 + i);
            }
        });
    }
}

/// What AP allows EL1 and EL0.
pub(super) fn access_permissions(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    let pages = [desc::EL1_RW, desc::EL0_RW, desc::EL1_RW | desc::RO, desc::EL0_RW | desc::RO];
    for (page, attributes) in (0..).zip(pages) {
        p.page(t, VA + 0x1000 * page, frame, attributes);
    }
    p.use_stage1(t);
    let denied = PERMISSION + 3;
    p.enter(Level::El1h, |p| {
        for page in 0..4 {
            p.mov(1, VA + 0x1000 * page);
            a64!(p ; ldr x0, [x1]);
            if page < 2 {
                a64!(p ; str x0, [x1]);
            } else {
                store(p, VA + 0x1000 * page, Taken::same(1).class(DABT_SAME, WRITE | denied));
            }
        }
    });
    p.enter(Level::El0, |p| {
        for page in 0..4 {
            let at = VA + 0x1000 * page;
            if page & 1 == 0 {
                load(p, at, Taken::lower(1).class(DABT_LOWER, denied));
            } else {
                p.mov(1, at);
                a64!(p ; ldr x0, [x1]);
            }
            if page != 1 {
                store(p, at, Taken::lower(1).class(DABT_LOWER, WRITE | denied));
            }
        }
    });
}

/// Branches to `address` at the current level; the abort lands at EL1.
fn jump(p: &mut Program, address: u64, taken: Taken) {
    p.catching_at(1, |p| {
        p.mov(1, address);
        p.expect_taken(taken.elr(address).far(address));
        a64!(p ; blr x1);
    });
}

/// A frame that begins with RET.
fn code_frame(p: &mut Program) -> u64 {
    let frame = p.frame(0x1000);
    p.poke(frame, RET);
    frame
}

/// UXN, PXN, and pages that EL0 may write and so EL1 may not execute.
pub(super) fn execute_never(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = code_frame(p);
    let (uxn, pxn, writable, plain) = (VA, VA + 0x1000, VA + 0x2000, VA + 0x3000);
    p.page(t, uxn, frame, desc::EL0_RW | desc::RO | desc::UXN);
    p.page(t, pxn, frame, desc::EL0_RW | desc::RO | desc::PXN);
    p.page(t, writable, frame, desc::EL0_RW);
    p.page(t, plain, frame, desc::EL1_RW);
    p.use_stage1(t);
    for at in [uxn, plain] {
        p.enter(Level::El1h, |p| {
            p.mov(1, at);
            a64!(p ; blr x1);
        });
    }
    for at in [pxn, writable] {
        p.enter(Level::El1h, |p| jump(p, at, Taken::same(1).class(IABT_SAME, PERMISSION + 3)));
        p.enter(Level::El0, |p| {
            p.mov(1, at);
            a64!(p ; blr x1);
        });
    }
    p.enter(Level::El0, |p| jump(p, uxn, Taken::lower(1).class(IABT_LOWER, PERMISSION + 3)));
}

/// SCTLR_EL1.WXN: what is writable is not executable.
pub(super) fn wxn(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = code_frame(p);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL0_RW);
    p.page(t, VA + 0x2000, frame, desc::EL1_RW | desc::RO);
    p.use_stage1_with(t, 1 << 19, 0);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA + 0x2000);
        a64!(p ; blr x1);
        jump(p, VA, Taken::same(1).class(IABT_SAME, PERMISSION + 3));
    });
    p.enter(Level::El0, |p| jump(p, VA + 0x1000, Taken::lower(1).class(IABT_LOWER, PERMISSION + 3)));
}

/// PSTATE.PAN denies EL1 what EL0 may access, but not LDTR and STTR.
pub(super) fn pan(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL0_RW);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; str x1, [x1] ; msr pan, 1);
        load(p, VA, Taken::same(1).class(DABT_SAME, PERMISSION + 3));
        store(p, VA + 8, Taken::same(1).class(DABT_SAME, WRITE | (PERMISSION + 3)));
        p.mov(1, VA);
        a64!(p ; ldtr x0, [x1] ; sttr x0, [x1] ; msr pan, 0 ; ldr x0, [x1]);
        p.expect("the word", 0, VA);
    });
}

/// LDTR and STTR at EL1 have EL0's permissions.
pub(super) fn unprivileged_loads(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL0_RW);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        p.faulting(Taken::same(1).class(DABT_SAME, PERMISSION + 3).far(VA), |p| a64!(p ; ldtr x0, [x1]));
        p.faulting(
            Taken::same(1).class(DABT_SAME, WRITE | (PERMISSION + 3)).far(VA),
            |p| a64!(p ; sttr x0, [x1]),
        );
        p.mov(1, VA + 0x1000);
        a64!(p ; sttr x1, [x1] ; ldtr x0, [x1]);
        p.expect("the word", 0, VA + 0x1000);
    });
}

/// TCR_EL1.TBI0: the top byte of an address is ignored.
pub(super) fn top_byte_ignore(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.poke(frame, 0xbeef);
    p.page(t, VA, frame, desc::EL1_RW);
    let tagged = VA | 0x5a << 56;
    p.use_stage1(t);
    p.enter(Level::El1h, |p| load(p, tagged, Taken::same(1).class(DABT_SAME, TRANSLATION)));
    p.use_stage1_with(t, 0, 1 << 37);
    p.enter(Level::El1h, |p| {
        p.mov(1, tagged);
        a64!(p ; ldr x0, [x1]);
        p.expect("the word", 0, 0xbeef);
        // Bit 55 chooses TTBR1, whose walks are disabled.
        load(p, 1 << 55 | VA, Taken::same(1).class(DABT_SAME, TRANSLATION));
    });
}

/// TTBR1_EL1 for the upper half, with its own granule.
pub(super) fn two_ranges(p: &mut Program) {
    let low = p.stage1(Granule::K4);
    let high = p.stage1(Granule::K64);
    let frame = p.frame(0x1_0000);
    p.poke(frame, 0x4849_4748);
    let at = 0xffff_ff80_0000_0000 | VA;
    p.page(high, at, frame, desc::EL1_RW);
    p.use_stage1(low);
    p.set(r::TTBR1_EL1, high.root);
    // T1SZ, TG1 = 64 KiB (3), walks of both halves allowed.
    p.set_now(r::TCR_EL1, low.tcr() & !(1 << 23) | TSZ << 16 | 0x3500 << 16 | 3 << 30);
    p.flush();
    p.enter(Level::El1h, |p| {
        p.mov(1, at);
        a64!(p ; ldr x0, [x1]);
        p.expect("the word", 0, 0x4849_4748);
        load(p, at + 0x1_0000, Taken::same(1).class(DABT_SAME, TRANSLATION + 3));
        load(p, 0x0000_ff80_0000_0000 | VA, Taken::same(1).class(DABT_SAME, TRANSLATION));
    });
}

/// TCR_EL1.HA sets the access flag in the descriptor.
pub(super) fn hardware_access_flag(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    let slot = p.slot(t, VA, 3);
    p.page(t, VA, frame, desc::SH);
    p.use_stage1_with(t, 0, 1 << 39);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; ldr x0, [x1]);
    });
    p.mov(1, slot);
    a64!(p ; ldr x0, [x1]);
    p.expect("the descriptor", 0, frame | desc::SH | desc::AF | desc::PAGE);
}

/// TCR_EL1.HD clears AP\[2\] of a descriptor with DBM when it is written through, not when it is read.
pub(super) fn hardware_dirty_state(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    let clean = desc::SH | desc::RO | desc::DBM;
    p.page(t, VA, frame, clean);
    p.page(t, VA + 0x1000, frame, clean);
    p.page(t, VA + 0x2000, frame, desc::EL1_RW | desc::RO);
    let slot = p.slot(t, VA, 3);
    p.use_stage1_with(t, 0, 3 << 39);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        a64!(p ; str x1, [x1] ; ldr x0, [x1]);
        p.expect("the word", 0, VA);
        p.mov(1, VA + 0x1000);
        a64!(p ; ldr x0, [x1]);
        store(p, VA + 0x2000, Taken::same(1).class(DABT_SAME, WRITE | (PERMISSION + 3)));
    });
    p.mov(1, slot);
    a64!(p ; ldp x0, x2, [x1]);
    p.expect("written", 0, frame | desc::SH | desc::DBM | desc::AF | desc::PAGE);
    p.expect("only read", 2, frame | clean | desc::AF | desc::PAGE);
}

/// Pages that are not global are found by their ASID only; global ones always.
pub(super) fn asids(p: &mut Program) {
    let tables = [p.stage1(Granule::K4), p.stage1(Granule::K4)];
    for (i, t) in (0..).zip(tables) {
        let frame = p.frame(0x1000);
        p.poke(frame, 0x100 + i);
        p.page(t, VA, frame, desc::EL1_RW | desc::NG);
    }
    p.use_stage1(tables[0]);
    // Twice each, without maintenance between them.
    for round in 0..4 {
        let i = round & 1;
        p.set_now(r::TTBR0_EL1, tables[i].root | (i as u64 + 1) << 48);
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            a64!(p ; ldr x0, [x1]);
            p.expect(&format!("the word of ASID {}", i + 1), 0, 0x100 + i as u64);
        });
    }
}

/// After a change and TLBI VAE1 (or ASIDE1, VMALLE1) the new descriptor is used.
pub(super) fn invalidation(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frames = [0, 1, 2, 3].map(|i| {
        let frame = p.frame(0x1000);
        p.poke(frame, 0x200 + i);
        frame
    });
    p.page(t, VA, frames[0], desc::EL1_RW | desc::NG);
    let slot = p.slot(t, VA, 3);
    p.use_stage1(t);
    p.set_now(r::TTBR0_EL1, t.root | 7 << 48);
    let read = |p: &mut Program, i: u64| {
        p.enter(Level::El1h, |p| {
            p.mov(1, VA);
            a64!(p ; ldr x0, [x1]);
            p.expect(&format!("word {i}"), 0, 0x200 + i);
        });
    };
    read(p, 0);
    let operations = [(r::TLBI_VAE1, 7 << 48 | VA >> 12), (r::TLBI_ASIDE1, 7 << 48), (r::TLBI_VMALLE1, 0)];
    for (i, (operation, operand)) in (1..).zip(operations) {
        // Break before make.
        for descriptor in [0, frames[i as usize] | desc::EL1_RW | desc::NG | desc::PAGE] {
            p.poke(slot, descriptor);
            p.mov(2, operand);
            p.enter(Level::El1h, |p| {
                p.msr(operation, if operand == 0 { 31 } else { 2 });
                a64!(p ; dsb sy ; isb);
                if descriptor == 0 {
                    load(p, VA, Taken::same(1).class(DABT_SAME, TRANSLATION + 3));
                }
            });
        }
        read(p, i);
    }
}

/// Stage 1 of EL2: one range, no EL0; XN and read-only hold at EL2.
pub(super) fn el2_regime(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = code_frame(p);
    let el2 = desc::EL0_RW;
    p.page(t, VA, frame, el2);
    p.page(t, VA + 0x1000, frame, el2 | desc::RO | desc::UXN);
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr_el2());
    p.set_now(r::TTBR0_EL2, t.root);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 | SCTLR_ON);
    el2_accesses(p);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830);
}

/// Stage 1 of EL2&0 (E2H): TCR_EL2 as TCR_EL1, two ranges, PXN.
pub(super) fn el2_host_regime(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = code_frame(p);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL1_RW | desc::RO | desc::PXN);
    p.set_now(r::HCR_EL2, 1 << 31 | 1 << 34 | 1 << 27);
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr());
    p.set_now(r::TTBR0_EL2, t.root);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, 0x30d5_0980 | SCTLR_ON);
    el2_accesses(p);
    p.enter(Level::El0, |p| load(p, VA, Taken::lower(2).class(DABT_LOWER, PERMISSION + 3)));
    p.set_now(r::SCTLR_EL2, 0x30c5_0830);
    p.set_now(r::HCR_EL2, 1 << 31);
}

/// Good and bad accesses at EL2 to what the two cases above map.
fn el2_accesses(p: &mut Program) {
    p.mov(1, VA);
    a64!(p ; ldr w0, [x1] ; blr x1);
    p.expect("the word", 0, RET);
    store(p, VA + 0x1000, Taken::same(2).class(DABT_SAME, WRITE | (PERMISSION + 3)));
    load(p, VA + 0x2000, Taken::same(2).class(DABT_SAME, TRANSLATION + 3));
    p.catching(|p| {
        p.mov(1, VA + 0x1000);
        p.expect_taken(Taken::same(2).class(IABT_SAME, PERMISSION + 3).elr(VA + 0x1000).far(VA + 0x1000));
        a64!(p ; blr x1);
    });
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
    permission_faults permission_faults_16k permission_faults_of;
    address_size_faults address_size_faults_16k address_size_faults_of;
    blocks_and_pages blocks_and_pages_16k blocks_and_pages_of;
    contiguous_hint contiguous_hint_16k contiguous_hint_of;
}
