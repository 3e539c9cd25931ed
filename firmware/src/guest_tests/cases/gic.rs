//! Physical interrupts through the GICv3 (IHI 0069).

use crate::guest_tests::interrupts::{NOTHING, PRIORITY, gicd, gicr};
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

/// An IRQ from EL2 itself.
const IRQ: Taken = Taken::to(2, from::SPX | kind::IRQ);
/// An SPI with no device of the board.
const SPI: u64 = 100;

/// Expects the active bit of an SGI or PPI in bit 0 of a value.
fn expect_active(p: &mut Program, name: &str, intid: u64, active: bool) {
    let register = p.gicr(gicr::ISACTIVER0);
    p.peek32(0, register);
    p.expect_bits(name, 0, 1 << intid, u64::from(active) << intid);
}

/// An SGI to itself: taken, acknowledged, ended.
pub(super) fn sgi_to_self(p: &mut Program) {
    p.start_gic();
    p.send_sgi(5, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.expect_reg("HPPIR", r::ICC_HPPIR1_EL1, u64::MAX, 5);
    p.acknowledge("INTID", 5);
    p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, PRIORITY.into());
    p.acknowledge("it is active", NOTHING);
    p.end_of_interrupt(5);
    p.expect_reg("RPR when idle", r::ICC_RPR_EL1, u64::MAX, 0xff);
    p.open_for_a_while();
}

/// The suite's own handler serves what comes: three SGIs, the most urgent first, equal ones by number.
pub(super) fn order_of_priorities(p: &mut Program) {
    p.start_gic();
    p.priority(3, 0x40);
    p.priority(9, 0x20);
    for intid in [2, 3, 9, 1] {
        p.send_sgi(intid, 0);
    }
    for intid in [9, 3, 1, 2] {
        p.expect_taken(IRQ.intid(intid));
    }
    p.open_for_a_while();
}

/// ICC_PMR_EL1: only what has a higher priority (a lower value) is signalled.
pub(super) fn priority_mask(p: &mut Program) {
    p.start_gic();
    for mask in [0x80, PRIORITY.into()] {
        p.set_now(r::ICC_PMR_EL1, mask);
        p.send_sgi(5, 0);
        p.open_for_a_while();
        p.acknowledge("masked", NOTHING);
    }
    p.set_now(r::ICC_PMR_EL1, 0xb0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("INTID", 5);
    p.end_of_interrupt(5);
}

/// A running interrupt is interrupted by a higher group priority only; EOIs go in the reverse order.
pub(super) fn preemption(p: &mut Program) {
    p.start_gic();
    p.priority(2, 0x40);
    p.priority(3, 0xb0);
    p.send_sgi(1, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("first", 1);
    p.send_sgi(3, 0);
    p.open_for_a_while();
    p.send_sgi(2, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("second", 2);
    p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0x40);
    p.end_of_interrupt(2);
    p.expect_reg("RPR below", r::ICC_RPR_EL1, u64::MAX, PRIORITY.into());
    p.end_of_interrupt(1);
    p.expect_taken(IRQ.intid(3));
    p.open_for_a_while();
}

/// ICC_BPR1_EL1 makes priorities of one group equal: no preemption inside it.
pub(super) fn binary_point(p: &mut Program) {
    p.start_gic();
    // Group priority: bits 7:6 (BPR1 of 6 splits ggs... as BPR0 of 5 does, 4.8.5).
    p.set_now(r::ICC_BPR1_EL1, 6);
    p.mrs(0, r::ICC_BPR1_EL1);
    p.expect("BPR1", 0, 6);
    p.priority(1, 0x80);
    p.priority(2, 0x40);
    p.priority(3, 0x90);
    p.send_sgi(3, 0);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("first", 3);
    p.send_sgi(1, 0);
    p.open_for_a_while();
    p.send_sgi(2, 0);
    p.expect_taken(IRQ.intid(2));
    p.open_for_a_while();
    p.end_of_interrupt(3);
    p.expect_taken(IRQ.intid(1));
    p.open_for_a_while();
}

/// ICC_CTLR_EL1.EOImode 0: EOIR deactivates. 1: EOIR drops the priority, DIR deactivates.
pub(super) fn eoi_modes(p: &mut Program) {
    p.start_gic();
    for (eoi_mode, after_eoi) in [(0, false), (1, true)] {
        p.set_now(r::ICC_CTLR_EL1, eoi_mode << 1);
        p.send_sgi(4, 0);
        p.expect_taken(IRQ);
        p.take_interrupt();
        p.acknowledge("INTID", 4);
        expect_active(p, "active", 4, true);
        p.end_of_interrupt(4);
        expect_active(p, "active after EOIR", 4, after_eoi);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0xff);
        if after_eoi {
            // Pending and active: not signalled.
            p.send_sgi(4, 0);
            p.open_for_a_while();
            p.set_now(r::ICC_DIR_EL1, 4);
            expect_active(p, "active after DIR", 4, false);
            p.expect_taken(IRQ);
            p.take_interrupt();
            p.acknowledge("again", 4);
            p.end_of_interrupt(4);
            p.set_now(r::ICC_DIR_EL1, 4);
        }
    }
}

/// Neither the distributor's nor the CPU interface's enable alone lets group 1 through.
pub(super) fn group_enables(p: &mut Program) {
    p.start_gic();
    p.set_now(r::ICC_IGRPEN1_EL1, 0);
    p.send_sgi(5, 0);
    p.open_for_a_while();
    p.set_now(r::ICC_IGRPEN1_EL1, 1);
    p.poke32(gicd::CTLR, 1 << 4 | 1);
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    p.poke32(gicd::CTLR, 1 << 4 | 3);
    p.expect_taken(IRQ.intid(5));
    p.open_for_a_while();
}

/// Group 0 comes as FIQ, and is acknowledged by its own register.
pub(super) fn group_0_is_fiq(p: &mut Program) {
    p.start_gic();
    let groups = p.gicr(gicr::IGROUPR0);
    p.poke32(groups, !(1 << 6));
    p.set_now(r::ICC_IGRPEN0_EL1, 1);
    p.set_now(r::ICC_SGI0R_EL1, 6 << 24 | 1);
    p.expect_taken(Taken::to(2, from::SPX | kind::FIQ).intid(6));
    p.open_for_a_while();
}

/// A disabled SGI stays pending until it is enabled.
pub(super) fn enable_bits(p: &mut Program) {
    p.start_gic();
    let (clear, set, pending) = (p.gicr(gicr::ICENABLER0), p.gicr(gicr::ISENABLER0), p.gicr(gicr::ISPENDR0));
    p.poke32(clear, 1 << 7);
    p.send_sgi(7, 0);
    p.open_for_a_while();
    p.peek32(0, pending);
    p.expect_bits("pending", 0, 1 << 7, 1 << 7);
    p.poke32(set, 1 << 7);
    p.expect_taken(IRQ.intid(7));
    p.open_for_a_while();
    p.peek32(0, pending);
    p.expect_bits("served", 0, 1 << 7, 0);
}

/// An SPI made pending by GICD_ISPENDR; GICD_ICPENDR takes it back.
pub(super) fn spi_by_software(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    let (word, bit) = (4 * (SPI / 32), 1_u32 << (SPI % 32));
    p.poke32(gicd::ISPENDR + word, bit);
    p.poke32(gicd::ICPENDR + word, bit);
    p.open_for_a_while();
    p.poke32(gicd::ISPENDR + word, bit);
    p.expect_taken(IRQ);
    p.take_interrupt();
    p.acknowledge("INTID", SPI);
    p.peek32(0, gicd::ISACTIVER + word);
    p.expect_bits("active", 0, bit.into(), bit.into());
    p.end_of_interrupt(SPI);
    p.peek32(0, gicd::ISACTIVER + word);
    p.expect_bits("inactive", 0, bit.into(), 0);
}

/// GICD_ISACTIVER makes an interrupt active: it is not signalled until it is deactivated.
pub(super) fn active_by_software(p: &mut Program) {
    p.start_gic();
    p.start_spi(SPI);
    let (word, bit) = (4 * (SPI / 32), 1_u32 << (SPI % 32));
    p.poke32(gicd::ISACTIVER + word, bit);
    p.poke32(gicd::ISPENDR + word, bit);
    p.open_for_a_while();
    p.acknowledge("nothing", NOTHING);
    // GICD_ICACTIVER.
    p.poke32(gicd::ISACTIVER + 0x80 + word, bit);
    p.expect_taken(IRQ.intid(SPI));
    p.open_for_a_while();
}

/// HCR_EL2.IMO sends interrupts of EL1 to EL2 although EL1 masks them; without it EL1 takes them, and EL2 never does.
pub(super) fn routing(p: &mut Program) {
    p.start_gic();
    p.enter(Level::El1h, |p| {
        p.catching_at(2, |p| {
            p.expect_taken(Taken::to(2, from::LOWER | kind::IRQ).spsr(Level::El1h.masked()));
            // SGI generation by EL1 traps with IMO; the pending bit is what makes it come.
            let pending = p.gicr(gicr::ISPENDR0);
            p.poke32(pending, 1 << 8);
            p.linger();
        });
    });
    p.acknowledge("INTID", 8);
    p.end_of_interrupt(8);
    p.set_now(r::HCR_EL2, 1 << 31);
    p.send_sgi(9, 0);
    p.open_for_a_while();
    p.enter(Level::El1h, |p| {
        p.expect_taken(Taken::to(1, from::SPX | kind::IRQ).intid(9));
        p.open_for_a_while();
    });
}

/// With HCR_EL2.IMO an SGI that EL1 generates traps.
pub(super) fn sgi_generation_traps(p: &mut Program) {
    p.start_gic();
    p.enter(Level::El1h, |p| {
        p.faulting(Taken::lower(2).class(0x18, r::ICC_SGI1R_EL1.iss(7, false)), |p| {
            p.msr(r::ICC_SGI1R_EL1, 7)
        });
    });
}
