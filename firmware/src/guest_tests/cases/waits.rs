//! WFI, WFE and the event register (Arm ARM, D1.6).

use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

/// WFI ends with an interrupt that PSTATE masks; it stays pending.
pub(super) fn wfi_with_masked_interrupt(p: &mut Program) {
    p.start_gic();
    p.send_sgi(3, 0);
    a64!(p ; wfi);
    // ISR_EL1.I: a physical IRQ is pending for EL2.
    p.expect_reg("ISR_EL1", r::ISR_EL1, 1 << 7, 1 << 7);
    p.acknowledge("INTID", 3);
    p.end_of_interrupt(3);
}

/// A timer ends a WFI at EL1 whose physical interrupts go to EL2, and is taken there although EL1 masks IRQs.
pub(super) fn wfi_until_timer(p: &mut Program) {
    p.start_gic();
    p.enter(Level::El1h, |p| {
        p.catching_at(2, |p| {
            p.expect_taken(Taken::to(2, from::LOWER | kind::IRQ).spsr(Level::El1h.masked()));
            // Not earlier: the interrupt is not masked here.
            p.set(r::CNTP_TVAL_EL0, 20_000);
            p.set_now(r::CNTP_CTL_EL0, 1);
            // A WFI may end early: again, until the interrupt is taken.
            a64!(p ; again: ; wfi ; b <again);
        });
        p.acknowledge("INTID", 30);
        p.set_now(r::CNTP_CTL_EL0, 0);
        p.end_of_interrupt(30);
    });
}

/// SEVL, SEV and exception returns set this PE's event register, so that the next WFE does not wait. Interrupts are masked; a WFE that did
/// wait would never end on a machine whose WFE sleeps. A peer may sleep in the WFE behind an ERET; D1.6.1 has exception returns
/// among the events.
pub(super) fn events(p: &mut Program) {
    a64!(p ; sevl ; wfe ; sev ; wfe ; sev ; sevl ; wfe);
    p.enter(Level::El1h, |p| a64!(p ; wfe));
    p.mov(0, 1);
    p.expect("got here", 0, 1);
}

/// A WFE behind an exception return falls through: the return is an event, also that from EL1 to EL0 and from EL2 to
/// itself. Interrupts are masked. A peer may sleep there (see [`events`]).
pub(super) fn exception_returns(p: &mut Program) {
    p.enter(Level::El1h, |p| {
        a64!(p ; wfe);
        p.calling(Taken::same(1).class(0x15, 1), |p| a64!(p ; svc 1));
        a64!(p ; wfe);
        p.enter(Level::El0, |p| a64!(p ; wfe));
    });
    p.calling(Taken::same(2).class(0x15, 2), |p| a64!(p ; svc 2));
    a64!(p ; wfe ; movz x0, 1);
    p.expect("got here", 0, 1);
}

/// An interrupt that PSTATE does not mask ends a WFE, and is taken.
pub(super) fn wfe_until_timer(p: &mut Program) {
    p.start_gic();
    p.set(r::CNTP_TVAL_EL0, 20_000);
    p.set_now(r::CNTP_CTL_EL0, 1);
    p.catching(|p| {
        p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
        a64!(p ; msr daifclr, 2 ; again: ; wfe ; b <again);
    });
    p.acknowledge("INTID", 30);
    p.set_now(r::CNTP_CTL_EL0, 0);
    p.end_of_interrupt(30);
}

/// The event stream of CNTKCTL_EL1 (EVNTEN, EVNTI) ends WFEs; and that of CNTHCTL_EL2.
pub(super) fn event_stream(p: &mut Program) {
    for reg in [r::CNTKCTL_EL1, r::CNTHCTL_EL2] {
        p.set_now(reg, 3 | 1 << 2 | 8 << 4);
        a64!(p ; movz x0, 20 ; again: ; wfe ; sub x0, x0, 1 ; cbnz x0, <again);
        p.expect("all of them ended", 0, 0);
        p.set_now(reg, 3);
    }
}

/// CLREX and a store of this PE end the monitor: with SEV in between, the WFE behind does not wait.
pub(super) fn wfe_with_monitor(p: &mut Program) {
    let frame = p.frame(0x1000);
    p.mov(1, frame);
    a64!(p ; ldxr x0, [x1] ; sev ; wfe ; clrex ; sev ; wfe ; movz x0, 1);
    p.expect("got here", 0, 1);
}
