//! What is read as a whole (B2.2, Atomicity in the Arm architecture).

use super::{BLANK, Litmus, Observed::Reg, shape};

/// The two halves of something that is written as a whole.
const WHOLE: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5)], allowed: &["00", "11"], forbidden: &["01", "10"], ..BLANK };
/// Two accesses, in any order.
const HALVES: Litmus = Litmus { weak: &["01", "10"], forbidden: &[], ..WHOLE };

pub(super) const TESTS: &[Litmus] = &[
    shape!(WHOLE: "doubleword", "B2.2.1: an aligned doubleword", V80,
        { orr x15, x1, x1, lsl 32 ; str x15, [x10] }
        { ldr x4, [x10] ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(WHOLE: "word", "B2.2.1: an aligned word", V80,
        { movz w15, 1 ; movk w15, 1, lsl 16 ; str w15, [x10, 4] }
        { ldr w4, [x10, 4] ; lsr w5, w4, 16 ; and w4, w4, 0xffff }),
    shape!(WHOLE: "halfword", "B2.2.1: an aligned halfword", V80,
        { movz w15, 0x101 ; strh w15, [x10, 6] }
        { ldrh w4, [x10, 6] ; lsr w5, w4, 8 ; and w4, w4, 0xff }),
    shape!(WHOLE: "LDAR-STLR", "B2.2.1: an aligned doubleword", V80,
        { orr x15, x1, x1, lsl 32 ; stlr x15, [x10] }
        { ldar x4, [x10] ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(WHOLE: "double", "B2.2.1: an aligned doubleword in a SIMD and floating-point register", V80,
        { orr x15, x1, x1, lsl 32 ; fmov d0, x15 ; str d0, [x10] }
        { ldr d1, [x10] ; fmov x4, d1 ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(HALVES: "pair", "B2.2.1: a pair of doublewords is two accesses", V80,
        { stp x1, x1, [x10] }
        { ldp x4, x5, [x10] }),
    shape!(HALVES: "unaligned", "B2.2.1: an unaligned access is one of bytes", V80,
        { orr x15, x1, x1, lsl 32 ; stur x15, [x10, 4] }
        { ldur x4, [x10, 4] ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(WHOLE: "pair.lse2", "B2.2.1, FEAT_LSE2: a pair inside 16 aligned bytes", Max,
        { stp x1, x1, [x10] }
        { ldp x4, x5, [x10] }),
    shape!(WHOLE: "pair-of-words.lse2", "B2.2.1, FEAT_LSE2: a pair inside 16 aligned bytes", Max,
        { stp w1, w1, [x10, 4] }
        { ldp w4, w5, [x10, 4] }),
    shape!(WHOLE: "vector.lse2", "B2.2.1, FEAT_LSE2: 16 aligned bytes in a SIMD and floating-point register", Max,
        { dup v0.d2, x1 ; str q0, [x10] }
        { ldr q1, [x10] ; mov x4, v1.d[0] ; mov x5, v1.d[1] }),
    shape!(WHOLE: "vector-and-pair.lse2", "B2.2.1, FEAT_LSE2: however the 16 bytes are accessed", Max,
        { dup v0.d2, x1 ; str q0, [x10] }
        { ldp x4, x5, [x10] }),
    shape!(WHOLE: "unaligned.lse2", "B2.2.1, FEAT_LSE2: inside 16 aligned bytes", Max,
        { orr x15, x1, x1, lsl 32 ; stur x15, [x10, 4] }
        { ldur x4, [x10, 4] ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(WHOLE: "unaligned-acquire.lse2", "B2.2.1, FEAT_LSE2: inside 16 aligned bytes", Max,
        { orr x15, x1, x1, lsl 32 ; add x16, x10, 4 ; stlr x15, [x16] }
        { add x16, x10, 4 ; ldar x4, [x16] ; lsr x5, x4, 32 ; mov w4, w4 }),
    shape!(WHOLE: "pair-from-LDXP-STXP.lse2", "B2.2.1: STXP of an aligned pair", Max,
        { again: ; ldxp x15, x16, [x10] ; stxp w17, x1, x1, [x10] ; cbnz w17, <again }
        { ldp x4, x5, [x10] }),
    shape!(WHOLE: "pair-from-CASP.lse2", "B2.2.1, C3.2: CASP of an aligned pair", Max,
        { mov x4, xzr ; mov x5, xzr ; mov x16, x1 ; mov x17, x1 ; casp x4, x5, x16, x17, [x10] }
        { ldp x4, x5, [x10] }),
];
