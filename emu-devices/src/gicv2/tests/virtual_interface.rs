//! List registers, virtual CPU interface and maintenance interrupt (IHI 0048B, chapter 5).

use super::*;

const VIRQ: Signals = Signals { virq: true, ..NONE };
const VFIQ: Signals = Signals { vfiq: true, ..NONE };

const GICH_HCR: u64 = 0x00;
const GICH_VMCR: u64 = 0x08;
const GICH_MISR: u64 = 0x10;
const GICH_EISR0: u64 = 0x20;
const GICH_ELRSR0: u64 = 0x30;
const GICH_APR: u64 = 0xf0;

/// A pending interrupt of Group 0 in a list register.
const fn pending(id: u32, priority: u32) -> u32 {
    1 << 28 | priority << 20 | id
}

const GROUP_1: u32 = 1 << 30;
const HW: u32 = 1 << 31;
const EOI: u32 = 1 << 19;

/// The interface on, with EnableGrp0 of the guest, nothing masked, and these bits of GICH_HCR.
fn rig(hcr: u32) -> Rig {
    let rig = Rig::warm(1);
    rig.gich(GICH_HCR, 1 | hcr);
    rig.gicv(gicc::CTLR, 1);
    rig.gicv(gicc::PMR, 0xf8);
    rig
}

/// The maintenance interrupt, PPI 9.
fn maintenance(rig: &Rig) -> bool {
    rig.gicd_read(gicd::ISPENDR) >> 25 & 1 != 0
}

#[test]
fn a_virtual_interrupt_from_injection_to_its_end() {
    let rig = rig(0);
    rig.lr(1, pending(40, 0x80));
    assert_eq!(rig.signals(0), VIRQ);
    assert_eq!(rig.gicv_read(gicc::HPPIR), 40);
    assert_eq!(rig.gicv_read(gicc::IAR), 40);
    assert_eq!((rig.signals(0), rig.gich_read(0x104) >> 28 & 3), (NONE, 2), "active");
    assert_eq!((rig.gicv_read(gicc::RPR), rig.gich_read(GICH_APR)), (0x80, 1 << 16));
    assert_eq!(rig.gich_read(GICH_ELRSR0), 0b1101);
    rig.gicv(gicc::EOIR, 40);
    assert_eq!((rig.gich_read(0x104) >> 28 & 3, rig.gicv_read(gicc::RPR)), (0, 0xff));
    assert_eq!((rig.gich_read(GICH_ELRSR0), rig.gicv_read(gicc::IAR)), (0b1111, NOTHING));
    assert!(!maintenance(&rig));
}

#[test]
fn nothing_without_the_enable_bits() {
    let rig = rig(0);
    rig.lr(0, pending(40, 0x80));
    rig.gich(GICH_HCR, 0);
    assert_eq!((rig.signals(0), rig.gicv_read(gicc::IAR)), (NONE, NOTHING), "GICH_HCR.En");
    rig.gich(GICH_HCR, 1);
    rig.gicv(gicc::CTLR, 2);
    assert_eq!(rig.signals(0), NONE, "GICV_CTLR.EnableGrp0");
    rig.gicv(gicc::CTLR, 1);
    rig.gicv(gicc::PMR, 0x80);
    assert_eq!(rig.signals(0), NONE, "GICV_PMR");
    rig.gicv(gicc::PMR, 0x88);
    assert_eq!(rig.signals(0), VIRQ);
}

#[test]
fn groups_and_fiq() {
    let rig = rig(0);
    rig.lr(0, pending(40, 0x80) | GROUP_1);
    assert_eq!(rig.signals(0), NONE);
    rig.gicv(gicc::CTLR, 0b1011);
    assert_eq!((rig.signals(0), rig.gicv_read(gicc::IAR)), (VIRQ, 1022));
    rig.lr(1, pending(41, 0x40));
    assert_eq!((rig.signals(0), rig.gicv_read(gicc::AIAR)), (VFIQ, NOTHING));
    assert_eq!(rig.gicv_read(gicc::IAR), 41);
    rig.gicv(gicc::EOIR, 41);
    assert_eq!(rig.gicv_read(gicc::AIAR), 40);
    rig.gicv(gicc::AEOIR, 40);
    rig.lr(0, pending(40, 0x80) | GROUP_1);
    rig.gicv(gicc::CTLR, 0b0111);
    assert_eq!(rig.gicv_read(gicc::IAR), 40, "AckCtl");
}

#[test]
fn an_sgi_is_known_by_its_sender() {
    let rig = rig(0);
    rig.lr(0, pending(3, 0x80) | 2 << 10);
    rig.lr(1, pending(3, 0x80) | 5 << 10);
    assert_eq!(rig.gicv_read(gicc::IAR), 2 << 10 | 3);
    rig.lr(1, pending(3, 0x40) | 5 << 10);
    assert_eq!(rig.gicv_read(gicc::IAR), 5 << 10 | 3);
    rig.gicv(gicc::EOIR, 5 << 10 | 3);
    assert_eq!((rig.gich_read(0x100) >> 28 & 3, rig.gich_read(0x104) >> 28 & 3), (2, 0));
    rig.gicv(gicc::EOIR, 3);
    assert_eq!(rig.gich_read(0x100) >> 28 & 3, 0, "software that drops the sender means that one");
}

#[test]
fn a_hardware_interrupt_is_deactivated_with_its_virtual_one() {
    let rig = rig(0);
    rig.gicc(0, gicc::CTLR, 1 | 1 << 9);
    rig.gicd(gicd::ISENABLER + 4, 1 << 8);
    rig.raise(40);
    assert_eq!(rig.gicc_read(0, gicc::IAR), 40);
    rig.gicc(0, gicc::EOIR, 40);
    rig.lr(0, pending(77, 0x80) | HW | 40 << 10);
    assert_eq!(rig.gicv_read(gicc::IAR), 77);
    assert_eq!(rig.gicd_read(gicd::ISACTIVER + 4), 1 << 8);
    rig.lower(40);
    rig.gicv(gicc::EOIR, 77);
    assert_eq!((rig.gicd_read(gicd::ISACTIVER + 4), rig.gich_read(GICH_EISR0)), (0, 0));
}

#[test]
fn virtual_eoi_mode() {
    let rig = rig(0);
    rig.gicv(gicc::CTLR, 1 | 1 << 9);
    assert_eq!(rig.gich_read(GICH_VMCR) >> 9 & 1, 1, "VEM");
    rig.lr(0, pending(40, 0x80));
    assert_eq!(rig.gicv_read(gicc::IAR), 40);
    rig.gicv(gicc::EOIR, 40);
    assert_eq!((rig.gicv_read(gicc::RPR), rig.gich_read(0x100) >> 28 & 3), (0xff, 2));
    rig.gicv(gicc::DIR, 40);
    assert_eq!(rig.gich_read(0x100) >> 28 & 3, 0);
    rig.gicv(gicc::DIR, 41);
    assert_eq!(rig.gich_read(GICH_HCR) >> 27, 1, "EOICount: no list register has it");
}

#[test]
fn maintenance_at_the_end_of_an_interrupt() {
    let rig = rig(0);
    rig.lr(2, pending(40, 0x80) | EOI);
    rig.gicv_read(gicc::IAR);
    assert!(!maintenance(&rig));
    rig.gicv(gicc::EOIR, 40);
    assert!(maintenance(&rig));
    assert_eq!(
        (rig.gich_read(GICH_MISR), rig.gich_read(GICH_EISR0), rig.gich_read(GICH_ELRSR0)),
        (1, 4, 0b1011)
    );
    rig.lr(2, 0);
    assert!(!maintenance(&rig));
}

#[test]
fn maintenance_conditions() {
    // UIE: fewer than two valid list registers.
    let underflow = rig(1 << 1);
    assert_eq!((underflow.gich_read(GICH_MISR), maintenance(&underflow)), (1 << 1, true));
    underflow.lr(0, pending(40, 0x80));
    underflow.lr(1, pending(41, 0x80));
    assert_eq!((underflow.gich_read(GICH_MISR), maintenance(&underflow)), (0, false));
    // NPIE: none is pending.
    let none = rig(1 << 3);
    assert_eq!(none.gich_read(GICH_MISR), 1 << 3);
    none.lr(0, pending(40, 0x80));
    assert_eq!(none.gich_read(GICH_MISR), 0);
    // LRENPIE: an EOI that no list register had.
    let absent = rig(1 << 2);
    absent.gich(GICH_APR, 1 << 16);
    absent.gicv(gicc::EOIR, 40);
    assert_eq!((absent.gich_read(GICH_MISR), absent.gich_read(GICH_HCR) >> 27), (1 << 2, 1));
    absent.gicv(gicc::EOIR, 40);
    assert_eq!(absent.gich_read(GICH_HCR) >> 27, 1, "nothing is being serviced");
    // VGrp0EIE, VGrp0DIE, VGrp1EIE, VGrp1DIE.
    let groups = rig(0xf0);
    assert_eq!(groups.gich_read(GICH_MISR), 1 << 4 | 1 << 7);
    groups.gicv(gicc::CTLR, 2);
    assert_eq!(groups.gich_read(GICH_MISR), 1 << 5 | 1 << 6);
    // Nothing without En.
    groups.gich(GICH_HCR, 0xf0);
    assert!(!maintenance(&groups));
}

#[test]
fn the_maintenance_interrupt_is_a_ppi() {
    let rig = rig(0);
    rig.gicd(gicd::ISENABLER, 1 << 25);
    rig.gich(GICH_HCR, 1 | 1 << 3);
    assert_eq!((rig.signals(0), rig.gicc_read(0, gicc::IAR)), (IRQ, 25));
    rig.gich(GICH_HCR, 1);
    rig.gicc(0, gicc::EOIR, 25);
    assert_eq!(rig.signals(0), NONE);
}

#[test]
fn vmcr_is_the_guests_registers() {
    let rig = rig(0);
    rig.gicv(gicc::CTLR, 0x21f);
    rig.gicv(gicc::PMR, 0xa8);
    rig.gicv(gicc::BPR, 4);
    rig.gicv(gicc::ABPR, 5);
    assert_eq!(rig.gich_read(GICH_VMCR), 0xa8 << 24 | 4 << 21 | 5 << 18 | 0x21f);
    rig.gich(GICH_VMCR, 0x50 << 24 | 3 << 21 | 6 << 18 | 1);
    let guest = [gicc::CTLR, gicc::PMR, gicc::BPR, gicc::ABPR].map(|r| rig.gicv_read(r));
    assert_eq!(guest, [1, 0x50, 3, 6]);
    rig.gich(GICH_VMCR, 0);
    assert_eq!(rig.gich_read(GICH_VMCR), 2 << 21 | 3 << 18, "the least binary points");
    rig.gich(GICH_APR, 0x1234);
    assert_eq!(rig.gicv_read(gicc::APR), 0x1234);
}

#[test]
fn each_pe_has_its_own() {
    let rig = Rig::warm(2);
    write(&rig.control, 1, GICH_HCR, 1);
    write(&rig.control, 1, 0x100, pending(40, 0x80));
    write(&rig.virt, 1, gicc::CTLR, 1);
    write(&rig.virt, 1, gicc::PMR, 0xf8);
    assert_eq!((rig.signals(0), rig.signals(1)), (NONE, VIRQ));
    assert_eq!((rig.gich_read(0x100), rig.gicv_read(gicc::IAR)), (0, NOTHING));
    assert_eq!(read(&rig.virt, 1, gicc::IAR), 40);
}
