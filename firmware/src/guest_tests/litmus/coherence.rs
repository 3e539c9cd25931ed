//! One location: all PEs agree on the order of stores to it, and no PE goes back in it (B2.3, Internal visibility
//! requirement). No barrier is needed for that.

use super::{BLANK, Litmus, Location, Observed::Final, Observed::Reg, shape};

/// What the second PE sees is never older than what it saw before.
const CORR: Litmus =
    Litmus { observed: &[Reg(1, 4), Reg(1, 5)], allowed: &["00", "01", "11"], forbidden: &["10"], ..BLANK };
/// The same with two stores of one PE, of which the second one stays.
const COWW: Litmus = Litmus {
    observed: &[Reg(1, 4), Reg(1, 5), Final(Location::X)],
    allowed: &["002", "012", "022", "112", "122", "222"],
    forbidden: &["102", "202", "212", "__1"],
    ..CORR
};
/// A load does not see the store behind it, nor anything that is behind that.
const CORW: Litmus = Litmus {
    observed: &[Reg(0, 4), Final(Location::X)],
    allowed: &["01", "02", "21"],
    forbidden: &["11", "12", "22"],
    ..CORR
};
/// A load sees the PE's own store, or one that came after it.
const COWR: Litmus = Litmus {
    observed: &[Reg(0, 4), Final(Location::X)],
    allowed: &["11", "12", "22"],
    forbidden: &["01", "02", "21"],
    ..CORR
};
/// Two PEs that look never disagree on the order of two stores.
const CO_IRIW: Litmus = Litmus {
    observed: &[Reg(2, 4), Reg(2, 5), Reg(3, 4), Reg(3, 5)],
    allowed: &[
        "____", "__02", "__22", "02__", "22__", "0202", "0222", "2202", "2222", "__12", "12__", "1212",
        "0212", "1202", "2212", "1222", "__21", "21__", "2121", "0221", "2102", "2221", "2122",
    ],
    // 1 before 0, 2 before 0, and one sees 1 before 2 where the other sees 2 before 1.
    forbidden: &[
        "10__", "__10", "1002", "0210", "1012", "1210", "1021", "2110", "1022", "2210", "1221", "2112",
    ],
    ..CORR
};

pub(super) const TESTS: &[Litmus] = &[
    shape!(CORR: "CoRR", "B2.3, Internal visibility requirement", V80,
        { str x1, [x10] }
        { ldr x4, [x10] ; ldr x5, [x10] }),
    shape!(CORR: "CoRR.low-half", "B2.3, Internal visibility requirement: accesses that overlap", V80,
        { str w1, [x10] }
        { ldr x4, [x10] ; ldr w5, [x10] }),
    shape!(CORR: "CoRR.whole", "B2.3, Internal visibility requirement: accesses that overlap", V80,
        { strb w1, [x10] }
        { ldrb w4, [x10] ; ldr x5, [x10] }),
    shape!(CORR: "CoRR.pair", "B2.3, Internal visibility requirement: accesses that overlap", V80,
        { str x1, [x10] }
        { ldp x4, x15, [x10] ; ldr x5, [x10] }),
    shape!(CORR: "CoRR.acquire", "B2.3, Internal visibility requirement", V80,
        { stlr x1, [x10] }
        { ldr x4, [x10] ; ldar x5, [x10] }),
    shape!(COWW: "CoWW", "B2.3, Internal visibility requirement", V80,
        { str x1, [x10] ; str x2, [x10] }
        { ldr x4, [x10] ; ldr x5, [x10] }),
    shape!(COWW: "CoWW.release", "B2.3, Internal visibility requirement", V80,
        { str x1, [x10] ; stlr x2, [x10] }
        { ldr x4, [x10] ; ldr x5, [x10] }),
    shape!(CORW: "CoRW", "B2.3, Internal visibility requirement", V80,
        { ldr x4, [x10] ; str x1, [x10] }
        { str x2, [x10] }),
    shape!(COWR: "CoWR", "B2.3, Internal visibility requirement", V80,
        { str x1, [x10] ; ldr x4, [x10] }
        { str x2, [x10] }),
    shape!(COWR: "CoWR.release", "B2.3, Internal visibility requirement", V80,
        { stlr x1, [x10] ; ldr x4, [x10] }
        { stlr x2, [x10] }),
    shape!(CO_IRIW: "CoRR+CoRR", "B2.3, Coherence order: it is total", V80,
        { str x1, [x10] }
        { str x2, [x10] }
        { ldr x4, [x10] ; ldr x5, [x10] }
        { ldr x4, [x10] ; ldr x5, [x10] }),
];
