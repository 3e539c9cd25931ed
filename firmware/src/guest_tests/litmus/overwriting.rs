//! S, R, 2+2W: the order of two stores to one location decides.

use super::{BLANK, Litmus, Location, Observed::Final, Observed::Reg, shape};

/// The second PE sees y and overwrites x, which was 2 before y was 1.
const S: Litmus = Litmus {
    observed: &[Reg(1, 4), Final(Location::X)],
    allowed: &["01", "02", "11"],
    forbidden: &["12"],
    ..BLANK
};
const S_LOOSE: Litmus = Litmus { weak: &["12"], forbidden: &[], ..S };
/// The second PE's store to y comes last, so x was 1 before.
const R: Litmus = Litmus {
    observed: &[Reg(1, 4), Final(Location::Y)],
    allowed: &["01", "11", "12"],
    forbidden: &["02"],
    ..S
};
const R_LOOSE: Litmus = Litmus { weak: &["02"], forbidden: &[], ..R };
/// Both store to both, each 1 first and then 2: not both second stores are overwritten by first ones.
const W22: Litmus = Litmus {
    observed: &[Final(Location::X), Final(Location::Y)],
    allowed: &["12", "21", "22"],
    forbidden: &["11"],
    ..S
};
const W22_LOOSE: Litmus = Litmus { weak: &["11"], forbidden: &[], ..W22 };

pub(super) const TESTS: &[Litmus] = &[
    shape!(S_LOOSE: "S", "B2.3: nothing orders accesses to different locations", V80,
        { str x2, [x10] ; str x1, [x11] }
        { ldr x4, [x11] ; str x1, [x10] }),
    shape!(S: "S+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x2, [x10] ; dmb ish ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ish ; str x1, [x10] }),
    shape!(S: "S+dmb.ishst+dmb.ishld", "B2.3, Barrier-ordered-before: DMB ST, DMB LD", V80,
        { str x2, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; dmb ishld ; str x1, [x10] }),
    shape!(S: "S+dmb.ishst+data", "B2.3, Dependency-ordered-before: data", V80,
        { str x2, [x10] ; dmb ishst ; str x1, [x11] }
        { ldr x4, [x11] ; eor x15, x4, x4 ; add x15, x15, 1 ; str x15, [x10] }),
    shape!(S: "S+popl+poap", "B2.3, Barrier-ordered-before: STLR, LDAR", V80,
        { str x2, [x10] ; stlr x1, [x11] }
        { ldar x4, [x11] ; str x1, [x10] }),
    shape!(R_LOOSE: "R", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; str x1, [x11] }
        { str x2, [x11] ; ldr x4, [x10] }),
    shape!(R: "R+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; str x1, [x11] }
        { str x2, [x11] ; dmb ish ; ldr x4, [x10] }),
    shape!(R: "R+dmb.ishst+dmb.ish", "B2.3, Barrier-ordered-before: DMB ST for stores, DMB ISH for a store and a load", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { str x2, [x11] ; dmb ish ; ldr x4, [x10] }),
    shape!(R_LOOSE: "R+dmb.ishsts", "B2.3, Barrier-ordered-before: DMB ST does not order a load", V80,
        { str x1, [x10] ; dmb ishst ; str x1, [x11] }
        { str x2, [x11] ; dmb ishst ; ldr x4, [x10] }),
    shape!(R: "R+popl+pola", "B2.3, Barrier-ordered-before: a Load-Acquire behind a Store-Release", V80,
        { str x1, [x10] ; stlr x1, [x11] }
        { stlr x2, [x11] ; ldar x4, [x10] }),
    shape!(W22_LOOSE: "2+2W", "B2.3: nothing orders accesses to different locations", V80,
        { str x1, [x10] ; str x2, [x11] }
        { str x1, [x11] ; str x2, [x10] }),
    shape!(W22: "2+2W+dmb.ishs", "B2.3, Barrier-ordered-before: DMB ISH", V80,
        { str x1, [x10] ; dmb ish ; str x2, [x11] }
        { str x1, [x11] ; dmb ish ; str x2, [x10] }),
    shape!(W22: "2+2W+dmb.ishsts", "B2.3, Barrier-ordered-before: DMB ST", V80,
        { str x1, [x10] ; dmb ishst ; str x2, [x11] }
        { str x1, [x11] ; dmb ishst ; str x2, [x10] }),
    shape!(W22: "2+2W+popls", "B2.3, Barrier-ordered-before: STLR", V80,
        { str x1, [x10] ; stlr x2, [x11] }
        { str x1, [x11] ; stlr x2, [x10] }),
    shape!(W22_LOOSE: "2+2W+dmb.ishst+po", "B2.3: both sides need order", V80,
        { str x1, [x10] ; dmb ishst ; str x2, [x11] }
        { str x1, [x11] ; str x2, [x10] }),
];
