//! Load-exclusive and store-exclusive (B2.12): a store-exclusive succeeds only if nobody has stored to the location since
//! the load-exclusive.

use super::{BLANK, Litmus, Location, Observed::Final, Observed::Reg, shape};

/// Both PEs add 1, with the old value in X4.
const ADD: Litmus = Litmus {
    observed: &[Reg(0, 4), Reg(1, 4), Final(Location::X)],
    allowed: &["012", "102"],
    forbidden: &["001", "002", "112"],
    ..BLANK
};
/// The same for y, under a lock.
const LOCKED: Litmus = Litmus { observed: &[Reg(0, 4), Reg(1, 4), Final(Location::Y)], ..ADD };
/// Of the first PE: the value that was loaded, and what STXR says; it stores 2. The second one stores 1.
const AGAINST_STORE: Litmus = Litmus {
    observed: &[Reg(0, 4), Reg(0, 5), Final(Location::X)],
    allowed: &["001", "102", "011"],
    // It may fail without a reason.
    weak: &["111"],
    forbidden: &["002", "012", "112", "101"],
    ..ADD
};
/// The second PE stores 1 and then 0 again, if it sees z, which the first one stored behind its load-exclusive (1:X4).
/// If that sees y before its store-exclusive (0:X6), the other's stores were in between: it fails (0:X5).
const ABA: Litmus = Litmus {
    observed: &[Reg(1, 4), Reg(0, 4), Reg(0, 6), Reg(0, 5)],
    allowed: &["____"],
    forbidden: &["1010"],
    ..ADD
};
const MP: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5)], allowed: &["00", "01", "11"], forbidden: &["10"], ..ADD };
const SB_LOOSE: Litmus = Litmus {
    observed: &[Reg(0, 4), Reg(1, 4)],
    allowed: &["01", "10", "11"],
    weak: &["00"],
    forbidden: &[],
    ..ADD
};

pub(super) const TESTS: &[Litmus] = &[
    shape!(ADD: "LDXR-STXR", "B2.3, Atomic requirement", V80,
        { again: ; ldxr x4, [x10] ; add x15, x4, 1 ; stxr w16, x15, [x10] ; cbnz w16, <again }
        { again: ; ldxr x4, [x10] ; add x15, x4, 1 ; stxr w16, x15, [x10] ; cbnz w16, <again }),
    shape!(ADD: "LDAXR-STLXR", "B2.3, Atomic requirement", V80,
        { again: ; ldaxr x4, [x10] ; add x15, x4, 1 ; stlxr w16, x15, [x10] ; cbnz w16, <again }
        { again: ; ldaxr x4, [x10] ; add x15, x4, 1 ; stlxr w16, x15, [x10] ; cbnz w16, <again }),
    shape!(ADD: "LDXR-STXR.words", "B2.3, Atomic requirement", V80,
        { again: ; ldxr w4, [x10] ; add w15, w4, 1 ; stxr w16, w15, [x10] ; cbnz w16, <again }
        { again: ; ldxr w4, [x10] ; add w15, w4, 1 ; stxr w16, w15, [x10] ; cbnz w16, <again }),
    shape!(ADD: "LDXRB-STXRB", "B2.3, Atomic requirement", V80,
        { again: ; ldxrb w4, [x10] ; add w15, w4, 1 ; stxrb w16, w15, [x10] ; cbnz w16, <again }
        { again: ; ldxrb w4, [x10] ; add w15, w4, 1 ; stxrb w16, w15, [x10] ; cbnz w16, <again }),
    Litmus {
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 4), Reg(1, 5), Final(Location::X)],
        allowed: &["00112", "11002"],
        forbidden: &["0000_", "00002", "00102", "00012", "01002", "10002"],
        ..shape!(ADD: "LDXP-STXP", "B2.3, Atomic requirement: the pair is one", V80,
            { again:
            ; ldxp x4, x5, [x10]
            ; add x15, x4, 1
            ; add x17, x5, 1
            ; stxp w16, x15, x17, [x10]
            ; cbnz w16, <again }
            { again:
            ; ldxp x4, x5, [x10]
            ; add x15, x4, 1
            ; add x17, x5, 1
            ; stxp w16, x15, x17, [x10]
            ; cbnz w16, <again })
    },
    shape!(ADD: "LDXR-STXR+LDADD", "B2.3, Atomic requirement", V82,
        { again: ; ldxr x4, [x10] ; add x15, x4, 1 ; stxr w16, x15, [x10] ; cbnz w16, <again }
        { ldadd x1, x4, [x10] }),
    shape!(LOCKED: "lock", "B2.12, K13: a lock by LDAXR and STXR, unlocked by STLR", V80,
        { again: ; ldaxr w15, [x10] ; cbnz w15, <again ; stxr w16, w1, [x10] ; cbnz w16, <again
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; stlr wzr, [x10] }
        { again: ; ldaxr w15, [x10] ; cbnz w15, <again ; stxr w16, w1, [x10] ; cbnz w16, <again
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; stlr wzr, [x10] }),
    shape!(LOCKED: "lock.lse", "B2.12: a lock by SWPA, unlocked by STLR", V82,
        { again: ; swpa w1, w15, [x10] ; cbnz w15, <again
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; stlr wzr, [x10] }
        { again: ; swpa w1, w15, [x10] ; cbnz w15, <again
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; stlr wzr, [x10] }),
    shape!(LOCKED: "lock.dmb", "B2.12: a lock with DMB in place of acquire and release", V80,
        { again: ; ldxr w15, [x10] ; cbnz w15, <again ; stxr w16, w1, [x10] ; cbnz w16, <again ; dmb ish
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; dmb ish ; str wzr, [x10] }
        { again: ; ldxr w15, [x10] ; cbnz w15, <again ; stxr w16, w1, [x10] ; cbnz w16, <again ; dmb ish
        ; ldr x4, [x11] ; add x15, x4, 1 ; str x15, [x11] ; dmb ish ; str wzr, [x10] }),
    shape!(AGAINST_STORE: "STXR+STR", "B2.12: another PE's store ends exclusivity", V80,
        { ldxr x4, [x10] ; stxr w5, x2, [x10] }
        { str x1, [x10] }),
    shape!(AGAINST_STORE: "STXR+STR.bytes", "B2.12: another PE's store ends exclusivity", V80,
        { ldxrb w4, [x10] ; stxrb w5, w2, [x10] }
        { strb w1, [x10] }),
    shape!(AGAINST_STORE: "STXR+STP", "B2.12: another PE's store ends exclusivity", V80,
        { ldxr x4, [x10] ; stxr w5, x2, [x10] }
        { stp x1, x1, [x10] }),
    shape!(AGAINST_STORE: "STXR+SWP", "B2.12: another PE's store ends exclusivity", V82,
        { ldxr x4, [x10] ; stxr w5, x2, [x10] }
        { swp x1, x15, [x10] }),
    shape!(ABA: "ABA", "B2.12: a store of the same value ends exclusivity, too", V80,
        { ldxr x4, [x10] ; dmb ish ; str x1, [x12] ; movz x15, 200
        ; again: ; ldr x6, [x11] ; sub x15, x15, 1 ; cbz x15, >on ; cbz x6, <again ; on:
        ; dmb ish ; stxr w5, x2, [x10] }
        { movz x15, 200
        ; again: ; ldr x4, [x12] ; sub x15, x15, 1 ; cbz x15, >on ; cbz x4, <again ; on: ; dmb ish
        ; str x1, [x10] ; str xzr, [x10] ; dmb ish ; str x1, [x11] }),
    shape!(ABA: "ABA.same-value", "B2.12: a store of the value that is there ends exclusivity, too", V80,
        { ldxr x4, [x10] ; dmb ish ; str x1, [x12] ; movz x15, 200
        ; again: ; ldr x6, [x11] ; sub x15, x15, 1 ; cbz x15, >on ; cbz x6, <again ; on:
        ; dmb ish ; stxr w5, x2, [x10] }
        { movz x15, 200
        ; again: ; ldr x4, [x12] ; sub x15, x15, 1 ; cbz x15, >on ; cbz x4, <again ; on: ; dmb ish
        ; str xzr, [x10] ; dmb ish ; str x1, [x11] }),
    Litmus {
        observed: &[Reg(0, 5), Final(Location::X)],
        allowed: &["11"],
        forbidden: &["02", "01", "12"],
        ..shape!(ADD: "CLREX", "C6.2 CLREX: no store-exclusive succeeds without a load-exclusive", V80,
            { ldxr x4, [x10] ; clrex ; stxr w5, x2, [x10] }
            { str x1, [x10] })
    },
    shape!(MP: "MP+stlxr+ldaxr", "B2.3, Barrier-ordered-before: STLXR, LDAXR", V80,
        { str x1, [x10] ; again: ; ldxr x15, [x11] ; stlxr w16, x1, [x11] ; cbnz w16, <again }
        { ldaxr x4, [x11] ; ldr x5, [x10] ; clrex }),
    shape!(MP: "MP+dmb.ishst-stxr+ldxr-dmb.ishld", "B2.3, Barrier-ordered-before: DMB ST, DMB LD", V80,
        { str x1, [x10] ; dmb ishst ; again: ; ldxr x15, [x11] ; stxr w16, x1, [x11] ; cbnz w16, <again }
        { ldxr x4, [x11] ; dmb ishld ; ldr x5, [x10] ; clrex }),
    shape!(SB_LOOSE: "SB+ldaxr-stlxrs", "B2.3: LDAXR and STLXR are no full barrier", V80,
        { str x1, [x10] ; add x17, x13, 24 ; ldaxr x15, [x17] ; stlxr w16, x15, [x17] ; ldr x4, [x11] }
        { str x1, [x11] ; add x17, x13, 24 ; ldaxr x15, [x17] ; stlxr w16, x15, [x17] ; ldr x4, [x10] }),
];
