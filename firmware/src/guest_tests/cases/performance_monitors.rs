//! The performance monitors (Arm ARM, D13): an overflow interrupts before the counters are stopped that have overflowed.

use crate::guest_tests::program::Program;
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

/// PMCR_EL0: E, P, C.
const ENABLE: u64 = 1;
const RESET: u64 = 2 | 4;
/// PMEVTYPERn_EL0 and PMCCFILTR_EL0: NSH, counts at EL2.
const NSH: u64 = 1 << 27;
/// Events.
const INST_RETIRED: u64 = 0x08;
const MEM_ACCESS: u64 = 0x13;
/// The performance monitors' PPI.
const PPI: u64 = 23;
/// How many rounds the loop has that overflows a counter.
const ROUNDS: u64 = 100;
const CYCLES: u64 = 31;

/// The loop runs with counter `n`, which is near its end; `stop` then stops it.
fn overflows(p: &mut Program, n: u64, stop: impl FnOnce(&mut Program)) {
    let data = p.frame(0x1000);
    p.mov(1, data);
    p.set(r::PMINTENSET_EL1, 1 << n);
    p.set(r::PMCNTENSET_EL0, 1 << n);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.catching(|p| {
        p.mov(2, ROUNDS);
        a64!(p ; msr daifclr, 3);
        p.set_now(r::PMCR_EL0, ENABLE);
        a64!(p ; again: ; ldr x3, [x1] ; sub x2, x2, 1 ; cbnz x2, <again);
        stop(p);
        a64!(p ; isb ; msr daifset, 3);
    });
    a64!(p ; msr daifset, 3);
    p.acknowledge("INTID", PPI);
    p.expect_reg("overflow", r::PMOVSSET_EL0, u64::MAX, 1 << n);
    p.set(r::PMOVSCLR_EL0, 1 << n);
    p.set(r::PMINTENCLR_EL1, 1 << n);
    p.set(r::PMCNTENCLR_EL0, 1 << n);
    p.set_now(r::PMCR_EL0, RESET);
    p.end_of_interrupt(PPI);
    p.open_for_a_while();
}

/// Event counter 0 counts `event`, and overflows in the loop.
fn event(p: &mut Program, event: u64, stop: impl FnOnce(&mut Program)) {
    p.set(r::PMEVTYPER0_EL0, NSH | event);
    p.set_now(r::PMEVCNTR0_EL0, (1 << 32) - ROUNDS / 2);
    overflows(p, 0, stop);
}

/// The GIC, and MDCR_EL2.HPMN: all counters are EL1's, so that PMCR_EL0 is theirs.
fn start(p: &mut Program) {
    p.start_gic();
    p.mrs(0, r::PMCR_EL0);
    a64!(p ; ubfx x0, x0, 11, 5);
    p.msr(r::MDCR_EL2, 0);
}

/// PMCR_EL0.E stops all counters, and would take the interrupt away.
pub(super) fn overflow_before_e(p: &mut Program) {
    start(p);
    for number in [INST_RETIRED, MEM_ACCESS] {
        event(p, number, |p| p.set(r::PMCR_EL0, 0));
    }
    p.set(r::PMCCFILTR_EL0, NSH);
    p.set_now(r::PMCCNTR_EL0, u64::MAX - 10);
    overflows(p, CYCLES, |p| p.set(r::PMCR_EL0, 0));
}

/// So would PMOVSCLR_EL0 and PMINTENCLR_EL1. PMCNTENCLR_EL0 would not.
pub(super) fn overflow_before_others(p: &mut Program) {
    start(p);
    for register in [r::PMOVSCLR_EL0, r::PMINTENCLR_EL1, r::PMCNTENCLR_EL0] {
        event(p, INST_RETIRED, |p| p.set(register, 1));
    }
}
