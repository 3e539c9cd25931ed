//! Alignment faults.

use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, MAIR, SCTLR_ON, desc};

const DABT_SAME: u64 = 0x25;
const WRITE: u64 = 1 << 6;
/// Data fault status: alignment.
const ALIGNMENT: u64 = 0x21;
const VA: u64 = 0x30_0000_0000;

/// A normal page at VA and a device page behind it; stage 1 on with extra bits of SCTLR_EL1.
fn mapped(p: &mut Program, sctlr: u64) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x2000);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame + 0x1000, desc::AF | desc::DEVICE | desc::PXN | desc::UXN);
    p.use_stage1_with(t, sctlr, 0);
}

/// SCTLR_EL1.A: every access that is not aligned to its elements.
pub(super) fn sctlr_a(p: &mut Program) {
    mapped(p, 1 << 1);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA + 2);
        let taken = Taken::same(1).far(VA + 2);
        p.faulting(taken.class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldr x0, [x1]));
        p.faulting(taken.class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldr w0, [x1]));
        a64!(p ; ldrh w0, [x1] ; ldrb w0, [x1, 1]);
        p.faulting(taken.class(DABT_SAME, WRITE | ALIGNMENT), |p| a64!(p ; str x0, [x1]));
        // A pair is aligned to one element.
        p.mov(1, VA + 8);
        a64!(p ; ldp x2, x3, [x1]);
        // An unaligned access to an unmapped page: alignment first.
        p.mov(1, VA + 0x5001);
        p.faulting(Taken::same(1).far(VA + 0x5001).class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldr x0, [x1]));
    });
}

/// Stage 1 of EL2 with SCTLR_EL2.A, while `body` runs; VA is a Normal page.
fn checked_at_el2(p: &mut Program, body: impl FnOnce(&mut Program)) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    // AP[1] is RES1 where a regime has one privilege only.
    p.page(t, VA, frame, desc::EL0_RW | desc::UXN);
    p.set(r::MAIR_EL2, MAIR);
    p.set(r::TCR_EL2, t.tcr_el2());
    p.set(r::TTBR0_EL2, t.root);
    a64!(p ; isb);
    p.msr(r::TLBI_ALLE2, 31);
    a64!(p ; dsb sy ; isb);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 | SCTLR_ON | 1 << 1);
    body(p);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830);
}

/// Each access at VA and behind it, aligned to each power of two: a misaligned one, and no other, is an alignment fault.
macro_rules! aligned_to {
    ($p:ident, $el:expr; $(($bytes:literal, $wnr:expr; $($insn:tt)*))*) => {
        $(for off in [1u64, 2, 4, 8] {
            $p.mov(1, VA + 0x80 + off);
            if off.is_multiple_of($bytes) {
                a64!($p ; $($insn)*);
            } else {
                let taken = Taken::same($el).class(DABT_SAME, $wnr | ALIGNMENT).far(VA + 0x80 + off);
                $p.faulting(taken, |p| a64!(p ; $($insn)*));
            }
        })*
    };
}

/// Accesses of general registers, in a loop while all are aligned.
fn integers(p: &mut Program, el: u8) {
    p.mov(1, VA);
    p.mov(4, 200);
    let again = p.label();
    p.bind(again);
    a64!(p
        ; ldr x2, [x1] ; str x2, [x1] ; ldp x2, x3, [x1, 8] ; stp x2, x3, [x1, 24] ; ldrh w2, [x1, 2]
        ; ldp w2, w3, [x1, 4] ; subs x4, x4, 1 ; b.ne =>again
    );
    aligned_to!(p, el;
        (8, 0; ldr x2, [x1])
        (4, 0; ldrsw x2, [x1])
        (2, 0; ldrh w2, [x1])
        (1, 0; ldrb w2, [x1])
        (8, WRITE; str x2, [x1])
        (2, WRITE; strh w2, [x1])
        (8, 0; ldp x2, x3, [x1])
        (4, 0; ldp w2, w3, [x1])
        (8, WRITE; stp x2, x3, [x1])
        (8, WRITE; stp x2, x3, [x1, 0]!)
    );
}

/// Of vector registers.
fn vectors(p: &mut Program, el: u8) {
    p.mov(1, VA);
    p.mov(4, 200);
    let again = p.label();
    p.bind(again);
    a64!(p
        ; ldr q0, [x1, 32] ; str q0, [x1, 48] ; ldp q0, q1, [x1] ; stp q0, q1, [x1, 32] ; ldr d0, [x1, 8]
        ; subs x4, x4, 1 ; b.ne =>again
    );
    aligned_to!(p, el;
        (16, 0; ldr q0, [x1])
        (8, 0; ldr d0, [x1])
        (16, WRITE; str q0, [x1])
        (16, 0; ldp q0, q1, [x1])
        (4, WRITE; stp s0, s1, [x1])
        (1, 0; ld1 {v0.b16}, [x1])
        (4, 0; ld1 {v0.s4}, [x1])
        (2, 0; ld2 {v0.h8, v1.h8}, [x1])
        (8, WRITE; st1 {v0.d2, v1.d2}, [x1])
    );
}

/// Ordered ones and exclusives.
fn ordered(p: &mut Program, el: u8) {
    aligned_to!(p, el;
        (8, 0; ldar x2, [x1])
        (8, WRITE; stlr x2, [x1])
        (8, 0; ldxr x2, [x1])
        (16, 0; ldxp x2, x3, [x1])
    );
}

fn checked_at_el1(p: &mut Program, body: impl FnOnce(&mut Program)) {
    mapped(p, 1 << 1);
    p.enter(Level::El1h, body);
}

/// SCTLR_EL1.A looks at the elements of an access: registers of a pair, structures' elements.
pub(super) fn sctlr_a_of_integers(p: &mut Program) {
    checked_at_el1(p, |p| integers(p, 1));
}

/// The same of vectors.
pub(super) fn sctlr_a_of_vectors(p: &mut Program) {
    checked_at_el1(p, |p| vectors(p, 1));
}

/// The same of accesses that are aligned in any case.
pub(super) fn sctlr_a_of_ordered(p: &mut Program) {
    checked_at_el1(p, |p| ordered(p, 1));
    checked_at_el2(p, |p| ordered(p, 2));
}

/// SCTLR_EL2.A, which is EL2's own.
pub(super) fn sctlr_a_at_el2(p: &mut Program) {
    checked_at_el2(p, |p| integers(p, 2));
}

/// The same of vectors.
pub(super) fn sctlr_a_at_el2_of_vectors(p: &mut Program) {
    checked_at_el2(p, |p| vectors(p, 2));
}

/// With FEAT_LSE2, too, atomics and ordered accesses are aligned where SCTLR_ELx.A says so, whatever nAA says.
pub(super) fn sctlr_a_and_atomics(p: &mut Program) {
    fn atomics(p: &mut Program, el: u8) {
        p.mov(1, VA + 0x80);
        a64!(p ; ldadd x2, x3, [x1] ; swp w2, w3, [x1] ; cas x2, x3, [x1] ; ldapur x2, [x1] ; stlur x2, [x1]);
        p.mov(1, VA + 0x84);
        let at = |iss| Taken::same(el).esr_bits(!WRITE & 0xffff_ffff, DABT_SAME << 26 | 1 << 25 | iss);
        // WnR of what reads and writes is another case's question.
        let both = at(ALIGNMENT).far(VA + 0x84);
        p.faulting(both, |p| a64!(p ; ldadd x2, x3, [x1]));
        p.faulting(both, |p| a64!(p ; cas x2, x3, [x1]));
        a64!(p ; swp w2, w3, [x1]);
        let taken = Taken::same(el).far(VA + 0x84);
        p.faulting(taken.class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldapur x2, [x1]));
        p.faulting(taken.class(DABT_SAME, WRITE | ALIGNMENT), |p| a64!(p ; stlur x2, [x1]));
        p.mov(1, VA + 0x88);
        p.faulting(at(ALIGNMENT).far(VA + 0x88), |p| a64!(p ; casp x2, x3, x4, x5, [x1]));
        a64!(p ; ldapur x2, [x1]);
    }
    const NAA: u64 = 1 << 6;
    mapped(p, NAA | 1 << 1);
    p.enter(Level::El1h, |p| atomics(p, 1));
    checked_at_el2(p, |p| atomics(p, 2));
}

/// Without SCTLR_EL1.A normal memory takes any address, also across a page.
pub(super) fn unaligned_normal(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let (first, second) = (p.frame(0x1000), p.frame(0x1000));
    p.page(t, VA, first, desc::EL1_RW);
    p.page(t, VA + 0x1000, second, desc::EL1_RW);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(0, 0x1122_3344_5566_7788);
        p.mov(1, VA + 0xffd);
        a64!(p ; str x0, [x1] ; ldr x2, [x1] ; ldur w3, [x1, 3]);
        p.expect("across the page", 2, 0x1122_3344_5566_7788);
        p.expect("its upper part", 3, 0x2233_4455);
        // The second page's part faults with its own address.
        p.mov(1, VA + 0x1ffc);
        let taken = Taken::same(1).class(DABT_SAME, WRITE | 7).far(VA + 0x2000);
        p.faulting(taken, |p| a64!(p ; str x0, [x1]));
    });
}

/// Device memory is never accessed unaligned, with stage 1 on or off.
pub(super) fn device(p: &mut Program) {
    mapped(p, 0);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA + 0x1004);
        a64!(p ; ldr w0, [x1]);
        p.faulting(Taken::same(1).class(DABT_SAME, ALIGNMENT).far(VA + 0x1004), |p| a64!(p ; ldr x0, [x1]));
        p.faulting(
            Taken::same(1).class(DABT_SAME, WRITE | ALIGNMENT).far(VA + 0x1004),
            |p| a64!(p ; str x0, [x1]),
        );
    });
    let frame = p.frame(0x1000);
    p.mov(1, frame + 4);
    p.faulting(Taken::same(2).class(DABT_SAME, ALIGNMENT).far(frame + 4), |p| a64!(p ; ldr x0, [x1]));
}

/// Exclusives, ordered accesses and atomics must be aligned; with FEAT_LSE2 they may be anywhere in 16 bytes, so these
/// cross that boundary. A load-exclusive is a read (WnR 0, ESR_ELx); a peer may report a write.
pub(super) fn exclusives_and_ordered(p: &mut Program) {
    mapped(p, 0);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA + 12);
        let taken = Taken::same(1).far(VA + 12);
        p.faulting(taken.class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldxr x0, [x1]));
        p.faulting(taken.class(DABT_SAME, ALIGNMENT), |p| a64!(p ; ldar x0, [x1]));
        p.faulting(taken.class(DABT_SAME, WRITE | ALIGNMENT), |p| a64!(p ; stlr x0, [x1]));
        a64!(p ; ldxr w0, [x1] ; ldar w0, [x1]);
    });
}

/// What reads and writes reports a fault that a read would get as one of reading: WnR is 0 (ESR_ELx, ISS of a data abort). A
/// misaligned CASP is never in one quantity of 16 bytes; the others cross its boundary. A peer may report a write.
pub(super) fn read_modify_write(p: &mut Program) {
    mapped(p, 0);
    p.enter(Level::El1h, |p| {
        let read = |at: u64| Taken::same(1).class(DABT_SAME, ALIGNMENT).far(at);
        p.mov(1, VA + 4);
        p.faulting(read(VA + 4), |p| a64!(p ; casp x2, x3, x4, x5, [x1]));
        p.mov(1, VA + 12);
        p.faulting(read(VA + 12), |p| a64!(p ; cas x2, x3, [x1]));
        p.faulting(read(VA + 12), |p| a64!(p ; casal x2, x3, [x1]));
        p.faulting(read(VA + 12), |p| a64!(p ; swp x2, x3, [x1]));
        p.faulting(read(VA + 12), |p| a64!(p ; ldadd x2, x3, [x1]));
        p.faulting(read(VA + 12), |p| a64!(p ; stset x2, [x1]));
        // A store-exclusive only writes.
        let write = Taken::same(1).class(DABT_SAME, WRITE | ALIGNMENT).far(VA + 12);
        p.faulting(write, |p| a64!(p ; stxr w4, x0, [x1]));
    });
}

/// SCTLR_ELx.SA: the stack pointer is aligned to 16 when it is a base. A peer may not check it; the specification
/// (AArch64.CheckSPAlignment) does.
pub(super) fn stack_pointer(p: &mut Program) {
    p.set_now(r::SCTLR_EL2, 0x30c5_0838);
    let frame = p.frame(0x1000);
    p.mov(0, frame + 8);
    a64!(p ; mov sp, x0);
    p.faulting(Taken::same(2).class(0x26, 0), |p| a64!(p ; ldr x1, [sp]));
    a64!(p ; add sp, sp, 8 ; ldr x1, [sp]);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830);
}
