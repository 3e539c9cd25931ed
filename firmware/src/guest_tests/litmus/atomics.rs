//! Atomic instructions of FEAT_LSE: nothing comes between their load and their store, and what acquire and release mean
//! for them.

use super::{BLANK, Litmus, Location, Needs, Observed::Final, Observed::Reg, shape};

/// Both PEs change x, with the old value in X4; the counts are those of additions.
const ADD: Litmus = Litmus {
    needs: Needs::V82,
    observed: &[Reg(0, 4), Reg(1, 4), Final(Location::X)],
    allowed: &["012", "102"],
    forbidden: &["001", "002", "112"],
    ..BLANK
};
/// Only what stays.
const STAYS: Litmus = Litmus { observed: &[Final(Location::X)], allowed: &["2"], forbidden: &["1"], ..ADD };
/// The first one sets bit 0, the second one bit 1.
const BITS: Litmus = Litmus { allowed: &["013", "203"], forbidden: &["001", "002", "003"], ..ADD };
/// The first one leaves 1 behind, the second one 2.
const EXCHANGE: Litmus = Litmus { allowed: &["012", "201"], forbidden: &["001", "002", "211", "212"], ..ADD };
/// The greater of both stays.
const MAX: Litmus = Litmus { allowed: &["012", "202"], forbidden: &["001", "002", "011", "201"], ..ADD };
/// One of both finds 0.
const ONE_WINS: Litmus = Litmus { allowed: &["011", "202"], forbidden: &["001", "002"], ..ADD };
/// An addition and a plain store of 2.
const ADD_AND_STORE: Litmus = Litmus {
    observed: &[Reg(0, 4), Final(Location::X)],
    allowed: &["02", "23"],
    forbidden: &["01", "03"],
    ..ADD
};
/// See `message_passing` and `buffering`.
const MP: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5)], allowed: &["00", "01", "11"], forbidden: &["10"], ..ADD };
const MP_LOOSE: Litmus = Litmus { weak: &["10"], forbidden: &[], ..MP };
const SB: Litmus =
    Litmus { observed: &[Reg(0, 4), Reg(1, 4)], allowed: &["01", "10", "11"], forbidden: &["00"], ..ADD };
const SB_LOOSE: Litmus = Litmus { weak: &["00"], forbidden: &[], ..SB };

pub(super) const TESTS: &[Litmus] = &[
    shape!(ADD: "LDADD", "B2.3, Atomic requirement", V82,
        { ldadd x1, x4, [x10] }
        { ldadd x1, x4, [x10] }),
    shape!(ADD: "LDADDAL", "B2.3, Atomic requirement", V82,
        { ldaddal x1, x4, [x10] }
        { ldaddal x1, x4, [x10] }),
    shape!(ADD: "LDADD.words", "B2.3, Atomic requirement", V82,
        { ldadd w1, w4, [x10] }
        { ldadd w1, w4, [x10] }),
    shape!(ADD: "LDADDB", "B2.3, Atomic requirement", V82,
        { ldaddb w1, w4, [x10] }
        { ldaddb w1, w4, [x10] }),
    shape!(ADD: "LDADDH", "B2.3, Atomic requirement", V82,
        { ldaddh w1, w4, [x10] }
        { ldaddh w1, w4, [x10] }),
    shape!(STAYS: "STADD", "B2.3, Atomic requirement", V82,
        { stadd x1, [x10] }
        { stadd x1, [x10] }),
    shape!(BITS: "LDSET", "B2.3, Atomic requirement", V82,
        { ldset x1, x4, [x10] }
        { ldset x2, x4, [x10] }),
    shape!(BITS: "LDEOR", "B2.3, Atomic requirement", V82,
        { ldeor x1, x4, [x10] }
        { ldeor x2, x4, [x10] }),
    shape!(BITS: "LDSETB+LDEORB", "B2.3, Atomic requirement", V82,
        { ldsetb w1, w4, [x10] }
        { ldeorb w2, w4, [x10] }),
    shape!(MAX: "LDSMAX", "B2.3, Atomic requirement", V82,
        { ldsmax x1, x4, [x10] }
        { ldsmax x2, x4, [x10] }),
    shape!(MAX: "LDUMAXH", "B2.3, Atomic requirement", V82,
        { ldumaxh w1, w4, [x10] }
        { ldumaxh w2, w4, [x10] }),
    shape!(EXCHANGE: "SWP", "B2.3, Atomic requirement", V82,
        { swp x1, x4, [x10] }
        { swp x2, x4, [x10] }),
    shape!(EXCHANGE: "SWPAL.words", "B2.3, Atomic requirement", V82,
        { swpal w1, w4, [x10] }
        { swpal w2, w4, [x10] }),
    shape!(ONE_WINS: "CAS", "B2.3, Atomic requirement", V82,
        { cas x4, x1, [x10] }
        { cas x4, x2, [x10] }),
    shape!(ONE_WINS: "CASAL.words", "B2.3, Atomic requirement", V82,
        { casal w4, w1, [x10] }
        { casal w4, w2, [x10] }),
    shape!(ONE_WINS: "CASB", "B2.3, Atomic requirement", V82,
        { casb w4, w1, [x10] }
        { casb w4, w2, [x10] }),
    Litmus {
        observed: &[Reg(0, 4), Reg(0, 5), Reg(1, 4), Reg(1, 5), Final(Location::X)],
        allowed: &["00111", "22002"],
        forbidden: &["0000_", "00002", "0001_", "0010_", "20002", "02002"],
        ..shape!(ADD: "CASP", "B2.3, Atomic requirement: the pair is one", V82,
            { mov x16, x1 ; mov x17, x1 ; casp x4, x5, x16, x17, [x10] }
            { mov x16, x2 ; mov x17, x2 ; casp x4, x5, x16, x17, [x10] })
    },
    shape!(ADD_AND_STORE: "LDADD+STR", "B2.3, Atomic requirement", V82,
        { ldadd x1, x4, [x10] }
        { str x2, [x10] }),
    shape!(ADD_AND_STORE: "LDSET+STR.bytes", "B2.3, Atomic requirement", V82,
        { ldsetb w1, w4, [x10] }
        { strb w2, [x10] }),
    shape!(MP: "MP+swpl+ldadda", "B2.3, Barrier-ordered-before: SWPL releases, LDADDA acquires", V82,
        { str x1, [x10] ; swpl x1, x15, [x11] }
        { mov x15, xzr ; ldadda x15, x4, [x11] ; ldr x5, [x10] }),
    shape!(MP: "MP+casl+poap", "B2.3, Barrier-ordered-before: CASL releases", V82,
        { str x1, [x10] ; mov x15, xzr ; casl x15, x1, [x11] }
        { ldar x4, [x11] ; ldr x5, [x10] }),
    shape!(MP_LOOSE: "MP+swp+ldadd", "B2.3: without A and L an atomic instruction orders nothing", V82,
        { str x1, [x10] ; swp x1, x15, [x11] }
        { mov x15, xzr ; ldadd x15, x4, [x11] ; ldr x5, [x10] }),
    shape!(SB: "SB+swpals", "B2.3, Barrier-ordered-before: what has A and L is a full barrier", V82,
        { str x1, [x10] ; swpal x1, x15, [x12] ; ldr x4, [x11] }
        { str x1, [x11] ; swpal x1, x15, [x12] ; ldr x4, [x10] }),
    shape!(SB: "SB+ldaddals", "B2.3, Barrier-ordered-before: what has A and L is a full barrier", V82,
        { str x1, [x10] ; add x16, x13, 24 ; ldaddal x1, x15, [x16] ; ldr x4, [x11] }
        { str x1, [x11] ; add x16, x13, 24 ; ldaddal x1, x15, [x16] ; ldr x4, [x10] }),
    shape!(SB: "SB+swpal-ldar", "B2.3, Barrier-ordered-before: a Load-Acquire behind what releases", V82,
        { swpal x1, x15, [x10] ; ldar x4, [x11] }
        { swpal x1, x15, [x11] ; ldar x4, [x10] }),
    shape!(SB: "SB+casal-ldar", "B2.3, Barrier-ordered-before: a Load-Acquire behind what releases", V82,
        { mov x15, xzr ; casal x15, x1, [x10] ; ldar x4, [x11] }
        { mov x15, xzr ; casal x15, x1, [x11] ; ldar x4, [x10] }),
    shape!(SB_LOOSE: "SB+swpal-ldr", "B2.3: a load may pass the store of an atomic instruction, if not its load", V82,
        { swpal x1, x15, [x10] ; ldr x4, [x11] }
        { swpal x1, x15, [x11] ; ldr x4, [x10] }),
    shape!(SB_LOOSE: "SB+ldadds", "B2.3: without A and L an atomic instruction orders nothing", V82,
        { str x1, [x10] ; ldadd x1, x15, [x12] ; ldr x4, [x11] }
        { str x1, [x11] ; ldadd x1, x15, [x12] ; ldr x4, [x10] }),
];
