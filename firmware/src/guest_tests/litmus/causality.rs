//! Three and four PEs: a store that one PE has seen is there for all others (B2.3, External visibility requirement: the
//! model is multi-copy atomic), and orders of several PEs add up.

use super::{BLANK, Litmus, Observed::Reg, shape};

/// The third PE sees what the second one wrote after it had seen x; so x is there.
const WRC: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(2, 4), Reg(2, 5)], allowed: &["___"], forbidden: &["110"], ..BLANK };
const WRC_LOOSE: Litmus = Litmus { weak: &["110"], forbidden: &[], ..WRC };
/// Two PEs that look see two independent stores in the same order.
const IRIW: Litmus = Litmus {
    observed: &[Reg(2, 4), Reg(2, 5), Reg(3, 4), Reg(3, 5)],
    allowed: &["____"],
    forbidden: &["1010"],
    ..WRC
};
const IRIW_LOOSE: Litmus = Litmus { weak: &["1010"], forbidden: &[], ..IRIW };
/// Store buffering in a circle.
const SB3: Litmus =
    Litmus { observed: &[Reg(0, 4), Reg(1, 4), Reg(2, 4)], allowed: &["___"], forbidden: &["000"], ..WRC };
const SB3_LOOSE: Litmus = Litmus { weak: &["000"], forbidden: &[], ..SB3 };
/// Load buffering in a circle.
const LB3: Litmus = Litmus { forbidden: &["111"], ..SB3 };
/// The second PE sees x but not z, so the third one's store to z is later, and its load sees x.
const RWC: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5), Reg(2, 4)], allowed: &["___"], forbidden: &["100"], ..WRC };
const RWC_LOOSE: Litmus = Litmus { weak: &["100"], forbidden: &[], ..RWC };

pub(super) const TESTS: &[Litmus] = &[
    shape!(WRC_LOOSE: "WRC", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] }
        { ldr x4, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; ldr x5, [x10] }),
    shape!(WRC: "WRC+data+addr", "B2.3, External visibility requirement", V80,
        { str x1, [x10] }
        { ldr x4, [x10] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; ldr x5, [x10, x15] }),
    shape!(WRC: "WRC+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] }
        { ldr x4, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; ldr x5, [x10] }),
    shape!(WRC: "WRC+pola+poap", "B2.3, Barrier-ordered-before: STLR, LDAR", V80,
        { str x1, [x10] }
        { ldr x4, [x10] ; stlr x1, [x11] }
        { ldar x4, [x11] ; ldr x5, [x10] }),
    shape!(WRC: "ISA2+dmb.ishst+data+addr", "B2.3, External visibility requirement", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x12] }
        { ldr x4, [x12] ; eor x15, x4, x4 ; ldr x5, [x10, x15] }),
    shape!(WRC: "ISA2+popl+poal+poap", "B2.3, Barrier-ordered-before: STLR, LDAR", V80,
        { str x1, [x10] ; stlr x1, [x11] }
        { ldar x4, [x11] ; stlr x1, [x12] }
        { ldar x4, [x12] ; ldr x5, [x10] }),
    shape!(RWC_LOOSE: "W+RWC", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; ldr x5, [x12] }
        { str x1, [x12] ; ldr x4, [x10] }),
    shape!(RWC: "W+RWC+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; ldr x5, [x12] }
        { str x1, [x12] ; dmb ish ; ldr x4, [x10] }),
    shape!(RWC: "W+RWC+popl+poap+pola", "B2.3, Barrier-ordered-before: STLR, LDAR", V80,
        { str x1, [x10] ; stlr x1, [x11] }
        { ldar x4, [x11] ; ldr x5, [x12] }
        { stlr x1, [x12] ; ldar x4, [x10] }),
    shape!(SB3_LOOSE: "3.SB", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; ldr x4, [x11] }
        { str x1, [x11] ; ldr x4, [x12] }
        { str x1, [x12] ; ldr x4, [x10] }),
    shape!(SB3: "3.SB+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; ldr x4, [x11] }
        { str x1, [x11] ; dmb ish ; ldr x4, [x12] }
        { str x1, [x12] ; dmb ish ; ldr x4, [x10] }),
    shape!(LB3: "3.LB+datas", "B2.3, Dependency-ordered-before: data", V80,
        { ldr x4, [x10] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x12] }
        { ldr x4, [x12] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x10] }),
    shape!(IRIW_LOOSE: "IRIW", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] }
        { str x1, [x11] }
        { ldr x4, [x10] ; ldr x5, [x11] }
        { ldr x4, [x11] ; ldr x5, [x10] }),
    shape!(IRIW: "IRIW+addrs", "B2.3, External visibility requirement", V80,
        { str x1, [x10] }
        { str x1, [x11] }
        { ldr x4, [x10] ; eor x15, x4, x4 ; ldr x5, [x11, x15] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; ldr x5, [x10, x15] }),
    shape!(IRIW: "IRIW+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] }
        { str x1, [x11] }
        { ldr x4, [x10] ; dmb ish ; ldr x5, [x11] }
        { ldr x4, [x11] ; dmb ish ; ldr x5, [x10] }),
    shape!(IRIW: "IRIW+dmb.ishlds", "B2.3, Barrier-ordered-before: DMB LD", V80,
        { str x1, [x10] }
        { str x1, [x11] }
        { ldr x4, [x10] ; dmb ishld ; ldr x5, [x11] }
        { ldr x4, [x11] ; dmb ishld ; ldr x5, [x10] }),
    shape!(IRIW: "IRIW+poaas", "B2.3, Barrier-ordered-before: LDAR", V80,
        { stlr x1, [x10] }
        { stlr x1, [x11] }
        { ldar x4, [x10] ; ldar x5, [x11] }
        { ldar x4, [x11] ; ldar x5, [x10] }),
    shape!(IRIW: "IRIW+poqps", "B2.3, Barrier-ordered-before: LDAPR", V82,
        { str x1, [x10] }
        { str x1, [x11] }
        { ldapr x4, [x10] ; ldr x5, [x11] }
        { ldapr x4, [x11] ; ldr x5, [x10] }),
];
