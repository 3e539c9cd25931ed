//! Stage 2 takes a page's write permission away while another PE writes there: what dirty logging and migration rely on.
//!
//! After TLBI IPAS2E1IS, DSB, TLBI VMALLE1IS and DSB no store that was made with the old permission is still to come
//! (D8.17): the page has one value until it is writable again. A store that is lost or late is a page that a migration
//! sends without its last bytes.

use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::tables::{Granule, desc};
use crate::guest_tests::vectors;

/// The page at stage 2, and what stage 1 calls it.
const IPA: u64 = 0x30_0000_0000;
const VA: u64 = 0x20_0000_0000;
/// How often the permission goes and comes.
const ROUNDS: u64 = 60;
const DATA: u64 = desc::EL1_RW | desc::PXN | desc::UXN;
/// Where the vector of synchronous exceptions from a lower level is.
const SYNC_LOWER: u64 = 0x400;

/// A table of EL2 whose handler does a store again that stage 2 refused.
fn emit_vectors(p: &mut Program) -> u64 {
    vectors::emit_over(p, vectors::EL2_TABLE, SYNC_LOWER, |p, others| {
        p.mrs(19, r::ESR_EL2);
        // A data abort from a lower level (0x24), permission fault (DFSC 0b0011xx).
        a64!(p
            ; lsr x21, x19, 26
            ; cmp x21, 0x24
            ; b.ne =>others
            ; ubfx x21, x19, 2, 4
            ; cmp x21, 3
            ; b.ne =>others
            ; eret
        );
    })
}

/// The second PE stores ever greater numbers by `store` (from X3 to the address in X1), until it is told to stop. The first
/// one looks in each round whether the protected page still changes.
fn protected(p: &mut Program, stage1: bool, store: fn(&mut Program)) {
    let (data, stop) = (p.frame(0x1000), p.frame(0x1000));
    let t2 = p.stage2(Granule::K4);
    p.page(t2, IPA, data, desc::S2_RW);
    p.page(t2, stop, stop, desc::S2_RW);
    let slot = p.slot(t2, IPA, 3);
    let t1 = stage1.then(|| p.stage1(Granule::K4));
    if let Some(t1) = t1 {
        p.page(t1, VA, IPA, DATA);
        p.page(t1, stop, stop, DATA);
    }
    let table = emit_vectors(p);
    p.start_second(0, |p| {
        p.set(r::VBAR_EL2, table);
        p.use_stage2(t2);
        if let Some(t1) = t1 {
            p.use_stage1(t1);
        }
        p.enter(Level::El1h, |p| {
            p.mov(1, if stage1 { VA } else { IPA });
            p.mov(2, stop);
            a64!(p ; movz x3, 0 ; again: ; add x3, x3, 1);
            store(p);
            a64!(p ; ldr x4, [x2] ; cbz x4, <again);
        });
    });
    p.use_stage2(t2);
    p.mov(10, data);
    p.mov(12, slot);
    p.mov(9, ROUNDS);
    a64!(p ; movz x8, 0 ; movz x7, 0 ; ldr x5, [x10]);
    let round = p.label();
    p.bind(round);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10] ; sub x15, x15, x5));
    a64!(p ; cmp x15, 0 ; cinc x7, x7, ne);
    protect_and_look(p);
    a64!(p ; orr x16, x16, desc::S2_W ; str x16, [x12] ; dsb ish ; sub x9, x9, 1 ; cbnz x9, =>round);
    p.mov(2, stop);
    a64!(p ; movz x4, 1 ; str x4, [x2] ; dsb sy);
    p.join();
    p.expect("rounds with a change behind the protection", 8, 0);
    p.expect("rounds in which the other PE had gone on", 7, ROUNDS);
}

/// Takes S2AP\[1\] of the descriptor at X12 away, which X16 holds then; counts in X8 if the word at X10 changes afterwards.
fn protect_and_look(p: &mut Program) {
    a64!(p ; ldr x16, [x12] ; and x16, x16, !desc::S2_W ; str x16, [x12] ; dsb ish);
    p.mov(15, IPA >> 12);
    p.msr(r::TLBI_IPAS2E1IS, 15);
    a64!(p ; dsb ish);
    p.msr(r::TLBI_VMALLE1IS, 31);
    a64!(p
        ; dsb ish
        ; isb
        ; ldr x4, [x10]
        ; movz x15, 2000
        ; wait:
        ; sub x15, x15, 1
        ; cbnz x15, <wait
        ; ldr x5, [x10]
        ; cmp x4, x5
        ; cinc x8, x8, ne
    );
}

/// STR, with stage 1 off.
pub(super) fn stores(p: &mut Program) {
    protected(p, false, |p| a64!(p ; str x3, [x1]));
}

/// STR through both stages.
pub(super) fn stores_through_both_stages(p: &mut Program) {
    protected(p, true, |p| a64!(p ; str x3, [x1]));
}

/// STP, whose two words are one store more that could be late.
pub(super) fn pairs(p: &mut Program) {
    protected(p, true, |p| a64!(p ; stp x3, x3, [x1]));
}

/// LDXR and STXR.
pub(super) fn exclusives(p: &mut Program) {
    protected(
        p,
        true,
        |p| a64!(p ; again: ; ldxr x5, [x1] ; add x3, x5, 1 ; stxr w6, x3, [x1] ; cbnz w6, <again),
    );
}

/// LDADD.
pub(super) fn atomics(p: &mut Program) {
    protected(p, true, |p| a64!(p ; movz x5, 1 ; ldadd x5, x3, [x1]));
}
