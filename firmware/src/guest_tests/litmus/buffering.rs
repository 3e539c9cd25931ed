//! SB: each PE stores, then loads what the other one stores. LB: each loads, then stores what the other one loads.

use super::{BLANK, Litmus, Observed::Reg, shape};

/// Each PE stores to its location and loads the other's: one must see the other's store.
const SB: Litmus =
    Litmus { observed: &[Reg(0, 4), Reg(1, 4)], allowed: &["01", "10", "11"], forbidden: &["00"], ..BLANK };
/// Both loads may pass the stores.
const SB_LOOSE: Litmus = Litmus { weak: &["00"], forbidden: &[], ..SB };
/// With what a PE sees of its own location, which is its store, before the other's.
const SB_FORWARD: Litmus = Litmus {
    observed: &[Reg(0, 5), Reg(0, 4), Reg(1, 5), Reg(1, 4)],
    allowed: &["1011", "1110", "1111"],
    weak: &["1010"],
    forbidden: &["0___", "__0_"],
    ..SB
};
/// Each PE loads one location and stores to the other: not both see the other's store.
const LB: Litmus =
    Litmus { observed: &[Reg(0, 4), Reg(1, 4)], allowed: &["00", "01", "10"], forbidden: &["11"], ..SB };
const LB_LOOSE: Litmus = Litmus { weak: &["11"], forbidden: &[], ..LB };

pub(super) const TESTS: &[Litmus] = &[
    shape!(SB_LOOSE: "SB", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; ldr x4, [x11] }
        { str x1, [x11] ; ldr x4, [x10] }),
    shape!(SB: "SB+dmb.sys", "B2.3, Barrier-ordered-before: DMB SY", V80,
        { str x1, [x10] ; dmb sy ; ldr x4, [x11] }
        { str x1, [x11] ; dmb sy ; ldr x4, [x10] }),
    shape!(SB: "SB+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; ldr x4, [x11] }
        { str x1, [x11] ; dmb ish ; ldr x4, [x10] }),
    shape!(SB: "SB+dsb.ishs", "B2.3, Barrier-ordered-before: a DSB is a DMB, too", V80,
        { str x1, [x10] ; dsb ish ; ldr x4, [x11] }
        { str x1, [x11] ; dsb ish ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+dmb.ishsts", "B2.3, Barrier-ordered-before: DMB ST does not order a load", V80,
        { str x1, [x10] ; dmb ishst ; ldr x4, [x11] }
        { str x1, [x11] ; dmb ishst ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+dmb.ishlds", "B2.3, Barrier-ordered-before: DMB LD does not order a store before it", V80,
        { str x1, [x10] ; dmb ishld ; ldr x4, [x11] }
        { str x1, [x11] ; dmb ishld ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+dmb.ish+po", "B2.3: both sides need order", V80,
        { str x1, [x10] ; dmb ish ; ldr x4, [x11] }
        { str x1, [x11] ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+isbs", "B2.3: an ISB does not order a store", V80,
        { str x1, [x10] ; isb ; ldr x4, [x11] }
        { str x1, [x11] ; isb ; ldr x4, [x10] }),
    shape!(SB: "SB+polas", "B2.3, Barrier-ordered-before: a Load-Acquire behind a Store-Release", V80,
        { stlr x1, [x10] ; ldar x4, [x11] }
        { stlr x1, [x11] ; ldar x4, [x10] }),
    shape!(SB: "SB+polas.bytes", "B2.3, Barrier-ordered-before: LDARB behind STLRB", V80,
        { stlrb w1, [x10] ; ldarb w4, [x11] }
        { stlrb w1, [x11] ; ldarb w4, [x10] }),
    shape!(SB_LOOSE: "SB+polqs", "B2.3, Barrier-ordered-before: LDAPR may pass an earlier Store-Release", V82,
        { stlr x1, [x10] ; ldapr x4, [x11] }
        { stlr x1, [x11] ; ldapr x4, [x10] }),
    shape!(SB_LOOSE: "SB+polps", "B2.3: a release does not order what follows it", V80,
        { stlr x1, [x10] ; ldr x4, [x11] }
        { stlr x1, [x11] ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+popas", "B2.3: an acquire does not order what precedes it", V80,
        { str x1, [x10] ; ldar x4, [x11] }
        { str x1, [x11] ; ldar x4, [x10] }),
    shape!(SB_FORWARD: "SB+rfi-addrs", "B2.3, Internal visibility requirement: one's own store is seen early", V80,
        { str x1, [x10] ; ldr x5, [x10] ; eor x15, x5, x5 ; ldr x4, [x11, x15] }
        { str x1, [x11] ; ldr x5, [x11] ; eor x15, x5, x5 ; ldr x4, [x10, x15] }),
    shape!(LB_LOOSE: "LB", "B2.3: nothing orders accesses to different locations", V80,
        { ldr x4, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; str x1, [x10] }),
    shape!(LB: "LB+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { ldr x4, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; str x1, [x10] }),
    shape!(LB: "LB+dmb.ishlds", "B2.3, Barrier-ordered-before: DMB LD orders loads before stores", V80,
        { ldr x4, [x10] ; dmb ishld ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishld ; str x1, [x10] }),
    shape!(LB_LOOSE: "LB+dmb.ishsts", "B2.3, Barrier-ordered-before: DMB ST does not order a load", V80,
        { ldr x4, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishst ; str x1, [x10] }),
    shape!(LB: "LB+acqs", "B2.3, Barrier-ordered-before: LDAR", V80,
        { ldar x4, [x10] ; str x1, [x11] }
        { ldar x4, [x11] ; str x1, [x10] }),
    shape!(LB: "LB+rels", "B2.3, Barrier-ordered-before: STLR", V80,
        { ldr x4, [x10] ; stlr x1, [x11] }
        { ldr x4, [x11] ; stlr x1, [x10] }),
    shape!(LB: "LB+datas", "B2.3, Dependency-ordered-before: data", V80,
        { ldr x4, [x10] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x10] }),
    shape!(LB: "LB+addrs", "B2.3, Dependency-ordered-before: address", V80,
        { ldr x4, [x10] ; eor x15, x4, x4 ; str x1, [x11, x15] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; str x1, [x10, x15] }),
    shape!(LB: "LB+ctrls", "B2.3, Dependency-ordered-before: control, to a store", V80,
        { ldr x4, [x10] ; cbnz x4, >on ; on: ; str x1, [x11] }
        { ldr x4, [x11] ; cbnz x4, >on ; on: ; str x1, [x10] }),
    shape!(LB_LOOSE: "LB+data+po", "B2.3: both sides need order", V80,
        { ldr x4, [x10] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x11] }
        { ldr x4, [x11] ; str x1, [x10] }),
];
