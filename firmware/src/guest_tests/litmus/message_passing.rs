//! MP: data, then a flag. Who sees the flag sees the data, if both sides order their accesses.

use super::{BLANK, Litmus, Observed::Reg, shape};

/// The flag (y), then the data (x).
const MP: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5)], allowed: &["00", "01", "11"], forbidden: &["10"], ..BLANK };
/// The same without enough order.
const LOOSE: Litmus = Litmus { weak: &["10"], forbidden: &[], ..MP };

pub(super) const TESTS: &[Litmus] = &[
    shape!(LOOSE: "MP", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; ldr x5, [x10] }),
    shape!(MP: "MP+dmb.sys", "B2.3, Barrier-ordered-before: DMB SY", V80,
        { str x1, [x10] ; dmb sy ; str x1, [x11] }
        { ldr x4, [x11] ; dmb sy ; ldr x5, [x10] }),
    shape!(MP: "MP+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; ldr x5, [x10] }),
    shape!(MP: "MP+dmb.ishst+dmb.ishld", "B2.3, Barrier-ordered-before: DMB ST, DMB LD", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishld ; ldr x5, [x10] }),
    shape!(MP: "MP+dmb.st+dmb.ld", "B2.3, Barrier-ordered-before: DMB ST, DMB LD", V80,
        { str x1, [x10] ; dmb st ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ld ; ldr x5, [x10] }),
    shape!(MP: "MP+dsb.ishst+dsb.ishld", "B2.3, Barrier-ordered-before: a DSB is a DMB, too", V80,
        { str x1, [x10] ; dsb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; dsb ishld ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+dmb.ishlds", "B2.3, Barrier-ordered-before: DMB LD does not order two stores", V80,
        { str x1, [x10] ; dmb ishld ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishld ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+dmb.ishsts", "B2.3, Barrier-ordered-before: DMB ST does not order two loads", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishst ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+dmb.ish+po", "B2.3: both sides need order", V80,
        { str x1, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+po+dmb.ish", "B2.3: both sides need order", V80,
        { str x1, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; ldr x5, [x10] }),
    shape!(MP: "MP+popl+poap", "B2.3, Barrier-ordered-before: STLR, LDAR", V80,
        { str x1, [x10] ; stlr x1, [x11] }
        { ldar x4, [x11] ; ldr x5, [x10] }),
    shape!(MP: "MP+popl+poqp", "B2.3, Barrier-ordered-before: LDAPR", V82,
        { str x1, [x10] ; stlr x1, [x11] }
        { ldapr x4, [x11] ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+popl+po", "B2.3: the release needs an acquire", V80,
        { str x1, [x10] ; stlr x1, [x11] }
        { ldr x4, [x11] ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+polp+popa", "B2.3: a release does not order what follows it, an acquire not what precedes it", V80,
        { stlr x1, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; ldar x5, [x10] }),
    shape!(MP: "MP+dmb.ishst+addr", "B2.3, Dependency-ordered-before: address", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; ldr x5, [x10, x15] }),
    shape!(LOOSE: "MP+dmb.ishst+ctrl", "B2.3, Dependency-ordered-before: a control dependency does not order loads", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; cbnz x4, >on ; on: ; ldr x5, [x10] }),
    shape!(MP: "MP+dmb.ishst+ctrlisb", "B2.3, Dependency-ordered-before: control and ISB", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; cbnz x4, >on ; on: ; isb ; ldr x5, [x10] }),
    shape!(LOOSE: "MP+dmb.ishst+isb", "B2.3: an ISB alone does not order loads", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; isb ; ldr x5, [x10] }),
    shape!(MP: "MP+popl+poap.words", "B2.3, Barrier-ordered-before: STLR, LDAR of 32 bits", V80,
        { str w1, [x10] ; stlr w1, [x11] }
        { ldar w4, [x11] ; ldr w5, [x10] }),
    shape!(MP: "MP+popl+poap.bytes", "B2.3, Barrier-ordered-before: STLRB, LDARB", V80,
        { strb w1, [x10] ; stlrb w1, [x11] }
        { ldarb w4, [x11] ; ldrb w5, [x10] }),
    shape!(MP: "MP+dmb.ishst+dmb.ishld.pairs", "B2.3, Barrier-ordered-before: pairs", V80,
        { stp x1, x1, [x10] ; dmb ishst ; stp x1, x1, [x11] }
        { ldp x4, x15, [x11] ; dmb ishld ; ldp x16, x5, [x10] }),
    shape!(MP: "MP+dmb.ishst+dmb.ishld.vectors", "B2.3, Barrier-ordered-before: SIMD and floating-point loads and stores", V80,
        { dup v0.d2, x1 ; str q0, [x10] ; dmb ishst ; str d0, [x11] }
        { ldr d1, [x11] ; dmb ishld ; ldr q2, [x10] ; fmov x4, d1 ; mov x5, v2.d[1] }),
];
