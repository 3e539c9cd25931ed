//! Alignment faults.

use crate::bare::program::{Level, Program};
use crate::bare::registers as r;
use crate::bare::report::Taken;
use crate::bare::tables::{Granule, desc};

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
