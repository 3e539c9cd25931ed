//! Exclusives, atomics, and code that changes.

use crate::guest_tests::layout;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, desc};

const VA: u64 = 0x30_0000_0000;

/// Runs `body` at EL1 with a page of normal memory at [`VA`], whose address is in X1.
fn with_page(p: &mut Program, attributes: u64, body: impl FnOnce(&mut Program)) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, attributes);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        body(p);
    });
}

/// A store-exclusive succeeds once after a load-exclusive, of the same address.
pub(super) fn exclusives(p: &mut Program) {
    with_page(p, desc::EL1_RW, |p| {
        p.mov(2, 0x55);
        a64!(p ; ldxr x0, [x1] ; stxr w3, x2, [x1] ; ldr x4, [x1]);
        p.expect("success", 3, 0);
        p.expect("stored", 4, 0x55);
        a64!(p ; mov x2, xzr ; stxr w3, x2, [x1] ; ldr x4, [x1]);
        p.expect("only once", 3, 1);
        p.expect("not stored", 4, 0x55);
        a64!(p ; ldaxr x0, [x1] ; clrex ; stlxr w3, x2, [x1] ; ldr x4, [x1]);
        p.expect("after CLREX", 3, 1);
        p.expect("not stored after CLREX", 4, 0x55);
        // Pairs.
        a64!(p ; add x2, x1, 1 ; ldxp x5, x6, [x1] ; stxp w3, x2, x1, [x1] ; ldp x4, x5, [x1]);
        p.expect("pair", 3, 0);
        p.expect("first", 4, VA + 1);
        p.expect("second", 5, VA);
    });
}

/// An exception return clears the local monitor (D1.4.5).
pub(super) fn exclusives_end_with_eret(p: &mut Program) {
    with_page(p, desc::EL1_RW, |p| {
        a64!(p ; ldxr x0, [x1]);
        p.calling(Taken::lower(2).class(0x16, 1), |p| a64!(p ; hvc 1));
        a64!(p ; stxr w3, x0, [x1]);
        p.expect("after a call", 3, 1);
        a64!(p ; ldxr x0, [x1]);
        p.calling(Taken::same(1).class(0x15, 1), |p| a64!(p ; svc 1));
        a64!(p ; stxr w3, x0, [x1]);
        p.expect("after SVC", 3, 1);
    });
}

/// The atomic operations of FEAT_LSE on memory.
pub(super) fn lse(p: &mut Program) {
    with_page(p, desc::EL1_RW, |p| {
        let minus_two = !1_u64;
        p.mov(2, 0xff00_0000_0000_00f0);
        macro_rules! one {
            ($name:literal, $start:expr, $result:expr, $($insn:tt)*) => {
                p.mov(4, $start);
                a64!(p ; str x4, [x1] ; $($insn)* ; ldr x3, [x1]);
                p.expect(concat!($name, ": old"), 0, $start);
                p.expect($name, 3, $result);
            };
        }
        one!("LDADD", 0x11, 0xff00_0000_0000_0101, ldadd x2, x0, [x1]);
        one!("LDCLRA", 0xf000_0000_0000_00ff, 0x0000_0000_0000_000f, ldclra x2, x0, [x1]);
        one!("LDSETL", 0xf, 0xff00_0000_0000_00ff, ldsetl x2, x0, [x1]);
        one!("LDEORAL", 0xff, 0xff00_0000_0000_000f, ldeoral x2, x0, [x1]);
        one!("LDSMAX", 5, 5, ldsmax x2, x0, [x1]);
        one!("LDSMIN", 5, 0xff00_0000_0000_00f0, ldsmin x2, x0, [x1]);
        one!("LDUMAX", 5, 0xff00_0000_0000_00f0, ldumax x2, x0, [x1]);
        one!("LDUMIN", 5, 5, ldumin x2, x0, [x1]);
        one!("SWPAL", minus_two, 0xff00_0000_0000_00f0, swpal x2, x0, [x1]);
        // Compare and swap: equal, then not.
        one!("CASAL", 7, 0xff00_0000_0000_00f0, mov x0, x4 ; casal x0, x2, [x1]);
        one!("CAS", 7, 7, mov x0, xzr ; cas x0, x2, [x1]);
        // Bytes: only theirs, sign by the byte.
        p.mov(4, 0x1111_1111_1111_1180);
        p.mov(5, 1);
        a64!(p ; str x4, [x1] ; ldsmaxb w5, w0, [x1] ; ldr x3, [x1]);
        p.expect("LDSMAXB: old", 0, 0x80);
        p.expect("LDSMAXB", 3, 0x1111_1111_1111_1101);
        p.mov(4, 0xaaaa);
        p.mov(5, 0xbbbb);
        a64!(p ; stp x4, x5, [x1] ; mov x6, x4 ; mov x7, x5 ; mov x8, x2 ; mov x9, x1);
        a64!(p ; caspal x6, x7, x8, x9, [x1] ; ldp x3, x0, [x1]);
        p.expect("CASP: old", 6, 0xaaaa);
        p.expect("CASP: old, second", 7, 0xbbbb);
        p.expect("CASP", 3, 0xff00_0000_0000_00f0);
        p.expect("CASP, second", 0, VA);
    });
}

/// An atomic that cannot write faults as a write, but as a read where a read would have faulted as well (ESR_ELx.WnR of a
/// data abort). A peer may report a write for both.
pub(super) fn atomic_faults(p: &mut Program) {
    with_page(p, desc::EL1_RW | desc::RO, |p| {
        let taken = Taken::same(1).class(0x25, 1 << 6 | 15).far(VA);
        p.faulting(taken, |p| a64!(p ; ldadd x2, x0, [x1]));
        p.faulting(taken, |p| a64!(p ; swp x2, x0, [x1]));
        // WnR is clear if a read of the address would have faulted, too (ESR_ELx, ISS of a data abort).
        p.mov(1, VA + 0x1000);
        let taken = Taken::same(1).class(0x25, 7).far(VA + 0x1000);
        p.faulting(taken, |p| a64!(p ; ldadd x2, x0, [x1]));
        p.faulting(taken, |p| a64!(p ; cas x2, x0, [x1]));
    });
}

/// Code in flash that is programmed and erased: after IC IVAU and the barriers the new instructions are executed (B2.4.4). A
/// peer may go on with the old ones.
pub(super) fn code_in_flash(p: &mut Program) {
    /// A command for both devices.
    const BOTH: u32 = 0x1_0001;
    const RET: u32 = 0xd65f_03c0;
    let at = layout::FLASH;
    let mov_w0 = |value: u32| 0x5280_0000 | value << 5;
    let program = |p: &mut Program, at: u64, word: u32| {
        p.poke32(at, 0x40 * BOTH);
        p.poke32(at, word);
        p.poke32(at, 0xff * BOTH);
    };
    let run = |p: &mut Program, name: &str, value: u64| {
        p.mov(9, at);
        p.msr(r::IC_IVAU, 9);
        a64!(p ; dsb ish ; isb);
        (0..3).for_each(|_| a64!(p ; blr x9));
        p.expect(name, 0, value);
    };
    program(p, at, mov_w0(3));
    program(p, at + 4, RET);
    run(p, "at first", 3);
    // Programming clears bits.
    program(p, at, mov_w0(1));
    run(p, "programmed anew", 1);
    p.poke32(at, 0x20 * BOTH);
    p.poke32(at, 0xd0 * BOTH);
    program(p, at, mov_w0(6));
    program(p, at + 4, RET);
    run(p, "erased and programmed", 6);
}

/// New instructions are executed after DC CVAU, IC IVAU and the barriers (B2.4.4).
pub(super) fn changing_code(p: &mut Program) {
    let frame = p.frame(0x1000);
    p.mov(1, frame);
    // RET behind the instruction that changes.
    p.mov(2, 0xd65f_03c0);
    a64!(p ; str w2, [x1, 4]);
    for round in 0..3_u64 {
        // MOVZ X0, #round.
        p.mov(2, 0xd280_0000 | (round + 1) << 5);
        a64!(p ; str w2, [x1]);
        p.msr(r::DC_CVAU, 1);
        a64!(p ; dsb sy);
        p.msr(r::IC_IVAU, 1);
        a64!(p ; dsb sy ; isb ; mov x9, x1 ; blr x9);
        p.expect(&format!("round {round}"), 0, round + 1);
    }
}

/// The same by another virtual address than the one that is executed, with IC IALLU.
pub(super) fn changing_code_by_an_alias(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL1_RW);
    p.page(t, VA + 0x1000, frame, desc::EL1_RW | desc::RO);
    p.use_stage1(t);
    p.enter(Level::El1h, |p| {
        p.mov(1, VA);
        p.mov(9, VA + 0x1000);
        p.mov(2, 0xd65f_03c0);
        a64!(p ; str w2, [x1, 4]);
        for round in 0..3_u64 {
            p.mov(2, 0xd280_0000 | (round + 1) << 5);
            a64!(p ; str w2, [x1]);
            p.msr(r::DC_CVAU, 1);
            a64!(p ; dsb sy);
            p.msr(r::IC_IALLU, 31);
            a64!(p ; dsb sy ; isb ; blr x9);
            p.expect(&format!("round {round}"), 0, round + 1);
        }
    });
}

/// DC ZVA zeroes a block of the size that DCZID_EL0 gives, and no more.
pub(super) fn zero_by_address(p: &mut Program) {
    with_page(p, desc::EL1_RW, |p| {
        p.mrs(2, r::DCZID_EL0);
        // X3: bytes. Two blocks of ones before it, at it and behind it.
        a64!(p ; and x2, x2, 15 ; movz x3, 4 ; lsl x3, x3, x2 ; movn x4, 0 ; add x5, x1, x3 ; add x6, x5, x3);
        a64!(p ; sub x7, x5, 8 ; str x4, [x7] ; str x4, [x5] ; sub x8, x6, 8 ; str x4, [x8] ; str x4, [x6]);
        a64!(p ; add x9, x5, 9);
        p.msr(r::DC_ZVA, 9);
        a64!(p ; ldr x0, [x7] ; ldr x10, [x5] ; ldr x11, [x8] ; ldr x12, [x6]);
        p.expect("before", 0, u64::MAX);
        p.expect("first", 10, 0);
        p.expect("last", 11, 0);
        p.expect("behind", 12, u64::MAX);
    });
}
