//! List registers, the virtual CPU interface and its maintenance interrupt in a GICv2 (IHI 0048B, chapter 5).

use crate::guest_tests::gicv2::{Interface, ListRegister, NOTHING, PHYSICAL, VIRTUAL, gicd, gich};
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::report::{Taken, from, kind};

/// A virtual IRQ from EL1.
const VIRQ: Taken = Taken::to(1, from::SPX | kind::IRQ);
/// The maintenance interrupt's PPI.
const MAINTENANCE: u64 = 25;

const CTLR: u64 = VIRTUAL.at(Interface::CTLR);
const IAR: u64 = VIRTUAL.at(Interface::IAR);
const EOIR: u64 = VIRTUAL.at(Interface::EOIR);
const RPR: u64 = VIRTUAL.at(Interface::RPR);

fn expect_state(p: &mut Program, name: &str, n: u64, state: u64) {
    p.expect_bits_at(name, gich::LR + 4 * n, ListRegister::STATE, state);
}

/// A list register's life: pending, active by GICV_IAR, gone by GICV_EOIR.
pub(super) fn injection(p: &mut Program) {
    p.start_gicv2();
    p.start_virtual_gicv2(0);
    p.poke32(gich::LR, ListRegister::pending(42, 0x80).0);
    p.expect_at("ELRSR", gich::ELRSR, 0b1110);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.expect_at("INTID", IAR, 42);
        p.expect_at("RPR", RPR, 0x80);
    });
    expect_state(p, "active", 0, ListRegister::ACTIVE);
    p.enter(Level::El1h, |p| {
        p.poke32(EOIR, 42);
        p.expect_at("RPR when idle", RPR, 0xff);
        p.expect_at("nothing", IAR, NOTHING);
        p.open_for_a_while();
    });
    expect_state(p, "inactive", 0, 0);
    p.expect_at("all are free", gich::ELRSR, 0b1111);
}

/// Of several list registers the one with the highest priority; the suite's handler serves them. Then GICV_PMR.
pub(super) fn priorities(p: &mut Program) {
    p.start_gicv2();
    p.start_virtual_gicv2(0);
    for (n, priority) in [0x90, 0x50, 0xc0].into_iter().enumerate() {
        p.poke32(gich::LR + 4 * n as u64, ListRegister::pending(40 + n as u32, priority).0);
    }
    p.enter(Level::El1h, |p| {
        p.poke32(VIRTUAL.at(Interface::PMR), 0xa0);
        p.expect_taken(VIRQ.intid(41));
        p.expect_taken(VIRQ.intid(40));
        p.open_for_a_while();
        p.expect_at("masked", IAR, NOTHING);
        p.expect_taken(VIRQ.intid(42));
        p.poke32(VIRTUAL.at(Interface::PMR), 0xf0);
        p.open_for_a_while();
    });
    p.expect_bits_at("VMPriMask", gich::VMCR, 0x1f << 27, 0x1e << 27);
}

/// Group 0 with FIQEn is a virtual FIQ; Group 1 is a virtual IRQ.
pub(super) fn groups(p: &mut Program) {
    p.start_gicv2();
    p.start_virtual_gicv2(0);
    p.poke32(gich::LR, ListRegister::pending(40, 0x80).0);
    p.enter(Level::El1h, |p| {
        p.poke32(CTLR, 0b1011);
        p.expect_taken(Taken::to(1, from::SPX | kind::FIQ).intid(40));
        p.open_for_a_while();
    });
    p.poke32(gich::LR, ListRegister::pending(41, 0x80).group_1().0);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.expect_at("Group 1", VIRTUAL.at(Interface::AIAR), 41);
        p.poke32(VIRTUAL.at(Interface::AEOIR), 41);
        p.open_for_a_while();
    });
}

/// GICH_LR.HW: the guest's end of interrupt deactivates the physical interrupt.
pub(super) fn hardware_interrupt(p: &mut Program) {
    p.start_gicv2();
    // EOImode 1: the host only drops the priority.
    p.poke32(PHYSICAL.at(Interface::CTLR), 1 | 1 << 9);
    p.start_spi_v2(100, 1);
    let (word, bit) = (4 * (100 / 32), 1_u64 << (100 % 32));
    p.poke32(gicd::ISPENDR + word, bit as u32);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.expect_at("physical INTID", PHYSICAL.at(Interface::IAR), 100);
    p.poke32(PHYSICAL.at(Interface::EOIR), 100);
    p.start_virtual_gicv2(0);
    p.poke32(gich::LR, ListRegister::pending(50, 0x80).hardware(100).0);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.expect_at("virtual INTID", IAR, 50);
        p.expect_bits_at("still active", gicd::ISACTIVER + word, bit, bit);
        p.poke32(EOIR, 50);
        p.expect_bits_at("deactivated", gicd::ISACTIVER + word, bit, 0);
    });
    expect_state(p, "list register", 0, 0);
}

/// GICV_CTLR.EOImode 1: EOIR drops the priority, DIR deactivates.
pub(super) fn eoi_mode(p: &mut Program) {
    p.start_gicv2();
    p.start_virtual_gicv2(0);
    p.poke32(gich::LR, ListRegister::pending(60, 0x80).0);
    p.enter(Level::El1h, |p| {
        p.poke32(CTLR, 1 | 1 << 9);
        p.expect_at("INTID", IAR, 60);
        p.poke32(EOIR, 60);
        p.expect_at("RPR", RPR, 0xff);
    });
    expect_state(p, "active", 0, ListRegister::ACTIVE);
    p.expect_bits_at("VEM", gich::VMCR, 1 << 9, 1 << 9);
    p.enter(Level::El1h, |p| p.poke32(VIRTUAL.at(Interface::DIR), 60));
    expect_state(p, "inactive", 0, 0);
}

/// At EL1: emits `cause`, behind which the maintenance interrupt is taken to EL2, with this in GICH_MISR.
fn expect_maintenance(p: &mut Program, misr: u64, cause: impl FnOnce(&mut Program)) {
    p.catching_at(2, |p| {
        p.expect_taken(Taken::to(2, from::LOWER | kind::IRQ));
        cause(p);
        p.linger();
    });
    p.expect_at("MISR", gich::MISR, misr);
    p.expect_at("INTID", PHYSICAL.at(Interface::IAR), MAINTENANCE);
}

/// At EL2: the maintenance interrupt is over.
fn end_maintenance(p: &mut Program) {
    p.poke32(gich::HCR, 0);
    p.poke32(PHYSICAL.at(Interface::EOIR), MAINTENANCE as u32);
    p.open_for_a_while();
}

/// GICH_LR.EOI: the end of this interrupt is reported, by list register in GICH_EISR0.
pub(super) fn maintenance_eoi(p: &mut Program) {
    p.start_gicv2();
    p.poke32(gich::LR + 4, ListRegister::pending(40, 0x80).eoi().0);
    p.start_virtual_gicv2(0);
    p.enter(Level::El1h, |p| {
        p.expect_at("virtual INTID", IAR, 40);
        expect_maintenance(p, 1, |p| p.poke32(EOIR, 40));
    });
    p.expect_at("EISR", gich::EISR, 2);
    end_maintenance(p);
    p.poke32(gich::LR + 4, 0);
    p.expect_at("EISR afterwards", gich::EISR, 0);
}

/// GICH_HCR.UIE: none or one of the list registers is in use.
pub(super) fn maintenance_underflow(p: &mut Program) {
    p.start_gicv2();
    p.poke32(gich::LR, ListRegister::pending(40, 0x80).0);
    p.poke32(gich::LR + 4, ListRegister::pending(41, 0x80).0);
    p.start_virtual_gicv2(1 << 1);
    p.expect_at("MISR with two", gich::MISR, 0);
    p.open_for_a_while();
    p.enter(Level::El1h, |p| {
        p.expect_at("virtual INTID", IAR, 40);
        expect_maintenance(p, 1 << 1, |p| p.poke32(EOIR, 40));
    });
    end_maintenance(p);
}

/// GICH_HCR.LRENPIE and EOICount: the guest ends an interrupt that is in no list register.
pub(super) fn maintenance_not_present(p: &mut Program) {
    p.start_gicv2();
    p.poke32(gich::LR, ListRegister::pending(40, 0x80).0);
    p.start_virtual_gicv2(1 << 2);
    p.enter(Level::El1h, |p| p.expect_at("virtual INTID", IAR, 40));
    // The hypervisor takes it out of its list register.
    p.poke32(gich::LR, 0);
    p.enter(Level::El1h, |p| expect_maintenance(p, 1 << 2, |p| p.poke32(EOIR, 40)));
    p.expect_bits_at("EOICount", gich::HCR, 0x1f << 27, 1 << 27);
    end_maintenance(p);
}
