//! Physical interrupts through the GICv2 (IHI 0048B).

use crate::guest_tests::gicv2::{Interface, NOTHING, PHYSICAL, gicd};
use crate::guest_tests::interrupts::PRIORITY;
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

/// An IRQ from EL2 itself.
const IRQ: Taken = Taken::to(2, from::SPX | kind::IRQ);
/// An SPI with no device of the board.
const SPI: u64 = 100;

const CTLR: u64 = PHYSICAL.at(Interface::CTLR);
const PMR: u64 = PHYSICAL.at(Interface::PMR);
const IAR: u64 = PHYSICAL.at(Interface::IAR);
const EOIR: u64 = PHYSICAL.at(Interface::EOIR);
const RPR: u64 = PHYSICAL.at(Interface::RPR);
const HPPIR: u64 = PHYSICAL.at(Interface::HPPIR);

/// An SGI to itself: taken, acknowledged, ended.
pub(super) fn sgi_to_self(p: &mut Program) {
    p.start_gicv2();
    p.send_sgi_v2(5, 1);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("HPPIR", HPPIR, 5);
    p.expect_at("INTID", IAR, 5);
    p.expect_at("RPR", RPR, PRIORITY.into());
    p.expect_at("it is active", IAR, NOTHING);
    p.poke32(EOIR, 5);
    p.expect_at("RPR when idle", RPR, 0xff);
    p.open_for_a_while();
}

/// An SGI says who sent it; the answer goes to all but oneself.
pub(super) fn sgi_to_another(p: &mut Program) {
    let ready = p.frame(0x1000);
    p.start_gicv2();
    p.start_second(ready, |p| {
        a64!(p ; mov x10, x0);
        p.start_gicv2();
        a64!(p ; movz x1, 1 ; str x1, [x10] ; dsb sy);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.expect_at("SGI 6 of PE 0", IAR, 6);
        p.poke32(EOIR, 6);
        // TargetListFilter 1.
        p.poke32(gicd::SGIR, 1 << 24 | 7);
    });
    p.mov(10, ready);
    p.until(15, |p| a64!(p ; yield ; ldr x15, [x10]));
    p.send_sgi_v2(6, 2);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("SGI 7 of PE 1", IAR, 1 << 10 | 7);
    p.poke32(EOIR, 1 << 10 | 7);
    p.open_for_a_while();
    p.join();
}

/// The EL2 timer's PPI is level-sensitive: it comes until the timer is stopped.
pub(super) fn timer(p: &mut Program) {
    p.start_gicv2();
    p.set(r::CNTHP_CVAL_EL2, 0);
    p.set_now(r::CNTHP_CTL_EL2, 1);
    for _ in 0..2 {
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.expect_at("INTID", IAR, 26);
        p.expect_bits_at("active and pending", gicd::ISPENDR, 1 << 26, 1 << 26);
        p.poke32(EOIR, 26);
    }
    p.set_now(r::CNTHP_CTL_EL2, 0);
    p.expect_bits_at("not any more", gicd::ISPENDR, 1 << 26, 0);
    p.open_for_a_while();
    p.expect_at("nothing", IAR, NOTHING);
}

/// An SPI made pending by software goes to its targets only, and to one of them.
pub(super) fn spi(p: &mut Program) {
    p.start_gicv2();
    p.start_spi_v2(SPI, 2);
    let (word, bit) = (4 * (SPI / 32), 1_u32 << (SPI % 32));
    p.poke32(gicd::ISPENDR + word, bit);
    p.open_for_a_while();
    p.expect_at("it is the other PE's", IAR, NOTHING);
    p.start_spi_v2(SPI, 3);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("INTID", IAR, SPI);
    p.expect_bits_at("active", gicd::ISACTIVER + word, bit.into(), bit.into());
    p.poke32(EOIR, SPI as u32);
    p.expect_bits_at("inactive", gicd::ISACTIVER + word, bit.into(), 0);
    p.open_for_a_while();
}

/// The suite's own handler serves what comes: the most urgent first, equal ones by number.
pub(super) fn order_of_priorities(p: &mut Program) {
    p.start_gicv2();
    p.priority_v2(3, 0x40);
    p.priority_v2(9, 0x20);
    for intid in [2, 3, 9, 1] {
        p.send_sgi_v2(intid, 1);
    }
    for intid in [9, 3, 1, 2] {
        p.expect_taken(IRQ.intid(intid));
    }
    p.open_for_a_while();
}

/// GICC_PMR: only what has a higher priority (a lower value) is signalled.
pub(super) fn priority_mask(p: &mut Program) {
    p.start_gicv2();
    p.poke32(PMR, PRIORITY);
    p.send_sgi_v2(5, 1);
    p.open_for_a_while();
    p.expect_at("masked", IAR, NOTHING);
    p.poke32(PMR, 0xff);
    p.expect_at("five bits", PMR, 0xf8);
    p.expect_taken(IRQ.intid(5));
    p.open_for_a_while();
}

/// A running interrupt is interrupted by a higher group priority only; EOIs go in the reverse order.
pub(super) fn preemption(p: &mut Program) {
    p.start_gicv2();
    p.priority_v2(2, 0x40);
    p.priority_v2(3, 0xb0);
    p.send_sgi_v2(1, 1);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("first", IAR, 1);
    p.send_sgi_v2(3, 1);
    p.open_for_a_while();
    p.send_sgi_v2(2, 1);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("second", IAR, 2);
    p.expect_at("RPR", RPR, 0x40);
    p.poke32(EOIR, 2);
    p.expect_at("RPR below", RPR, PRIORITY.into());
    p.poke32(EOIR, 1);
    p.expect_taken(IRQ.intid(3));
    p.open_for_a_while();
}

/// EOImode 0: GICC_EOIR deactivates. 1: it drops the priority, and GICC_DIR deactivates.
pub(super) fn eoi_modes(p: &mut Program) {
    p.start_gicv2();
    for (mode, after_eoi) in [(0, 0), (1, 1 << 4)] {
        p.poke32(CTLR, 1 | mode << 9);
        p.send_sgi_v2(4, 1);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.expect_at("INTID", IAR, 4);
        p.expect_bits_at("active", gicd::ISACTIVER, 1 << 4, 1 << 4);
        p.poke32(EOIR, 4);
        p.expect_bits_at("active after EOIR", gicd::ISACTIVER, 1 << 4, after_eoi);
        p.expect_at("RPR", RPR, 0xff);
    }
    // Active and pending: not signalled.
    p.send_sgi_v2(4, 1);
    p.open_for_a_while();
    p.expect_taken(IRQ);
    p.poke32(PHYSICAL.at(Interface::DIR), 4);
    p.take_interrupt();
    p.expect_at("again", IAR, 4);
}

/// Group 0 as FIQ, Group 1 as IRQ, which has registers of its own.
pub(super) fn groups(p: &mut Program) {
    p.start_gicv2();
    p.poke32(gicd::CTLR, 3);
    p.poke32(gicd::IGROUPR, 1 << 6);
    p.poke32(CTLR, 0b1011);
    p.send_sgi_v2(5, 1);
    p.expect_taken(Taken::to(2, from::SPX | kind::FIQ));
    p.take_interrupt();
    p.expect_at("Group 0", IAR, 5);
    p.poke32(EOIR, 5);
    p.send_sgi_v2(6, 1);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_at("of Group 1", IAR, 1022);
    p.expect_at("Group 1", PHYSICAL.at(Interface::AIAR), 6);
    p.poke32(PHYSICAL.at(Interface::AEOIR), 6);
    p.expect_at("RPR", RPR, 0xff);
    p.open_for_a_while();
}

/// There are no system registers of a CPU interface, and ID_AA64PFR0_EL1.GIC says so.
pub(super) fn no_system_registers(p: &mut Program) {
    p.expect_reg("GIC", r::ID_AA64PFR0_EL1, 15 << 24, 0);
    for reg in [r::ICC_SRE_EL2, r::ICC_SRE_EL1, r::ICC_PMR_EL1, r::ICC_IAR1_EL1, r::ICH_VTR_EL2] {
        p.faulting(Taken::same(2).class(0, 0), |p| p.mrs(5, reg));
    }
    p.faulting(Taken::same(2).class(0, 0), |p| p.msr(r::ICC_SGI1R_EL1, 5));
    p.enter(Level::El1h, |p| {
        p.faulting(Taken::same(1).class(0, 0), |p| p.mrs(5, r::ICC_PMR_EL1));
    });
}
