//! Instructions that another PE changes (B2.2.5, Concurrent modification and execution; B2.4.4). A NOP is replaced by a
//! branch: for these two, an execution without synchronization is one of the old or of the new instruction.

use super::{BLANK, Litmus, Observed::Reg, Third};
use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;

const BASE: Litmus = Litmus {
    third: Third::Code,
    // Whether the reader knows of the new instruction, and whether it executed it.
    observed: &[Reg(1, 4), Reg(1, 5)],
    allowed: &["00", "01", "11"],
    forbidden: &["10"],
    ..BLANK
};

fn change(p: &mut Program) {
    a64!(p ; str w3, [x12]);
    p.msr(r::DC_CVAU, 12);
    a64!(p ; dsb ish);
    p.msr(r::IC_IVAU, 12);
    a64!(p ; dsb ish);
}

fn change_and_tell(p: &mut Program) {
    change(p);
    a64!(p ; str x1, [x11]);
}

/// CTR_EL0.IDC and DIC say that no maintenance is needed.
fn store_and_tell(p: &mut Program) {
    a64!(p ; str w3, [x12] ; dsb ish ; str x1, [x11]);
}

fn call(p: &mut Program) {
    a64!(p ; blr x12);
}

fn see_then_call(p: &mut Program) {
    a64!(p ; ldr x4, [x11] ; cbnz x4, >on ; on: ; isb ; blr x12);
}

fn change_and_call(p: &mut Program) {
    change(p);
    a64!(p ; isb ; blr x12);
}

fn store_and_call(p: &mut Program) {
    a64!(p ; str w3, [x12] ; dsb ish ; isb ; blr x12);
}

/// Twice, with the first result in X4.
fn call_twice(p: &mut Program) {
    a64!(p ; blr x12 ; mov x4, x5 ; movz x5, 0 ; isb ; blr x12);
}

pub(super) const TESTS: &[Litmus] = &[
    Litmus {
        name: "code.cross",
        section: "B2.4.4: DC CVAU, DSB, IC IVAU, DSB here, ISB there",
        threads: &[change_and_tell, see_then_call],
        ..BASE
    },
    Litmus {
        name: "code.cross.three",
        section: "B2.4.4: DC CVAU, DSB, IC IVAU, DSB here, ISB there; on all PEs",
        threads: &[change_and_tell, see_then_call, see_then_call],
        observed: &[Reg(1, 4), Reg(1, 5), Reg(2, 4), Reg(2, 5)],
        allowed: &["____"],
        forbidden: &["10__", "__10"],
        ..BASE
    },
    Litmus {
        name: "code.cross.idc-dic",
        section: "B2.4.4, CTR_EL0.IDC, DIC: without maintenance, where none is needed",
        threads: &[store_and_tell, see_then_call],
        ..BASE
    },
    Litmus {
        name: "code.self",
        section: "B2.4.4: one's own code, while another PE executes it",
        threads: &[change_and_call, call],
        observed: &[Reg(0, 5), Reg(1, 5)],
        allowed: &["10", "11"],
        forbidden: &["0_"],
        ..BASE
    },
    Litmus {
        name: "code.self.idc-dic",
        section: "B2.4.4, CTR_EL0.IDC, DIC: one's own code without maintenance",
        threads: &[store_and_call, call],
        observed: &[Reg(0, 5), Reg(1, 5)],
        allowed: &["10", "11"],
        forbidden: &["0_"],
        ..BASE
    },
    Litmus {
        name: "code.concurrent",
        section: "B2.2.5: old or new, and with CTR_EL0.DIC not back to the old one after an ISB",
        threads: &[|p| a64!(p ; str w3, [x12]), call_twice],
        ..BASE
    },
];
