//! Virtual interrupts: HCR_EL2.VI and friends, list registers, the virtual CPU interface, maintenance (IHI 0069, 6).

use crate::guest_tests::interrupts::{ListRegister, NOTHING, TO_EL2, gicd, gicr};
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

/// A virtual IRQ from EL1.
const VIRQ: Taken = Taken::to(1, from::SPX | kind::IRQ);
const RW: u64 = 1 << 31;
/// ICH_LR.State: active.
const ACTIVE: u64 = 2 << 62;
/// ICH_LR.State.
const STATE: u64 = 3 << 62;
/// The maintenance interrupt's PPI.
const MAINTENANCE: u64 = 25;
/// EL1h with IRQs open.
const OPEN: u64 = Level::El1h as u64 | 0x340;

/// HCR_EL2.VI, VF and VSE are taken at EL1 if it does not mask them, and never at EL2.
pub(super) fn by_hcr(p: &mut Program) {
    for (bits, expected) in [(1 << 7, kind::IRQ), (1 << 6, kind::FIQ), (1 << 8, kind::SERROR)] {
        p.set_now(r::HCR_EL2, TO_EL2 | 1 << 5 | bits);
        a64!(p ; msr daifclr, 7 ; isb ; msr daifset, 7);
        p.enter(Level::El1h, |p| {
            a64!(p ; isb);
            p.catching(|p| {
                p.expect_taken(Taken::to(1, from::SPX | expected));
                a64!(p ; msr daifclr, 7 ; isb ; nop);
            });
            a64!(p ; msr daifset, 7);
        });
    }
    p.set_now(r::HCR_EL2, RW);
}

/// A list register's life: pending, active by ICV_IAR1, gone by ICV_EOIR1.
pub(super) fn injection(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(42).0);
    p.expect_reg("ELRSR", r::ICH_ELRSR_EL2, 15, 14);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.acknowledge("INTID", 42);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0x80);
    });
    p.expect_reg("active", r::ICH_LR0_EL2, STATE, ACTIVE);
    p.enter(Level::El1h, |p| {
        p.end_of_interrupt(42);
        p.expect_reg("RPR when idle", r::ICC_RPR_EL1, u64::MAX, 0xff);
        p.acknowledge("nothing", NOTHING);
    });
    p.expect_reg("inactive", r::ICH_LR0_EL2, STATE, 0);
    p.expect_reg("all are free", r::ICH_ELRSR_EL2, 15, 15);
}

/// Of several list registers the one with the highest priority; the virtual priority mask.
pub(super) fn virtual_priorities(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    let with_priority = |vintid: u64, priority: u64| 1 << 62 | 1 << 60 | priority << 48 | vintid;
    p.set(r::ICH_LR0_EL2, with_priority(40, 0x90));
    p.set(r::ICH_LR1_EL2, with_priority(41, 0x50));
    p.set_now(r::ICH_LR2_EL2, with_priority(42, 0xc0));
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ.intid(41));
        p.expect_taken(VIRQ.intid(40));
        p.set_now(r::ICC_PMR_EL1, 0xa0);
        p.open_for_a_while();
        p.acknowledge("masked", NOTHING);
        p.expect_taken(VIRQ.intid(42));
        p.set_now(r::ICC_PMR_EL1, 0xf0);
        p.open_for_a_while();
    });
    // The guest's mask is in ICH_VMCR_EL2.VPMR.
    p.expect_reg("VPMR", r::ICH_VMCR_EL2, 0xff << 24, 0xf0 << 24);
}

/// At EL1: emits `cause`, behind which the maintenance interrupt is taken to EL2, with this in ICH_MISR_EL2.
fn expect_maintenance(p: &mut Program, misr: u64, cause: impl FnOnce(&mut Program)) {
    p.catching_at(2, |p| {
        p.expect_taken(Taken::to(2, from::LOWER | kind::IRQ));
        cause(p);
        p.linger();
    });
    p.expect_reg("MISR", r::ICH_MISR_EL2, 0xff, misr);
    p.acknowledge("INTID", MAINTENANCE);
}

/// At EL2: the maintenance interrupt is over.
fn end_maintenance(p: &mut Program) {
    p.set_now(r::ICH_HCR_EL2, 0);
    p.end_of_interrupt(MAINTENANCE);
    p.open_for_a_while();
}

/// ICH_HCR_EL2.UIE: none or one of the list registers is in use.
pub(super) fn maintenance_underflow(p: &mut Program) {
    p.start_gic();
    p.set(r::ICH_LR0_EL2, ListRegister::pending(40).0);
    p.set_now(r::ICH_LR1_EL2, ListRegister::pending(41).0);
    p.start_virtual_interface(1 << 1);
    p.expect_reg("MISR with two", r::ICH_MISR_EL2, 0xff, 0);
    p.open_for_a_while();
    p.enter(Level::El1h, |p| {
        p.acknowledge("virtual INTID", 40);
        expect_maintenance(p, 1 << 1, |p| p.end_of_interrupt(40));
    });
    end_maintenance(p);
    p.set_now(r::ICH_LR1_EL2, 0);
}

/// ICH_HCR_EL2.NPIE: no list register is pending.
pub(super) fn maintenance_none_pending(p: &mut Program) {
    p.start_gic();
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(40).0);
    p.start_virtual_interface(1 << 3);
    p.expect_reg("MISR", r::ICH_MISR_EL2, 0xff, 0);
    p.enter(Level::El1h, |p| {
        expect_maintenance(p, 1 << 3, |p| p.mrs(1, r::ICC_IAR1_EL1));
        p.expect("virtual INTID", 1, 40);
    });
    end_maintenance(p);
    p.set_now(r::ICH_LR0_EL2, 0);
}

/// ICH_LR.EOI: the end of this interrupt is reported, by list register in ICH_EISR_EL2.
pub(super) fn maintenance_eoi(p: &mut Program) {
    p.start_gic();
    p.set_now(r::ICH_LR1_EL2, ListRegister::pending(40).eoi().0);
    p.start_virtual_interface(0);
    p.enter(Level::El1h, |p| {
        p.acknowledge("virtual INTID", 40);
        expect_maintenance(p, 1, |p| p.end_of_interrupt(40));
    });
    p.expect_reg("EISR", r::ICH_EISR_EL2, 15, 2);
    end_maintenance(p);
    p.set_now(r::ICH_LR1_EL2, 0);
    p.expect_reg("EISR afterwards", r::ICH_EISR_EL2, 15, 0);
}

/// ICH_HCR_EL2.LRENPIE and EOIcount: the guest ends an interrupt that is in no list register.
pub(super) fn maintenance_not_present(p: &mut Program) {
    p.start_gic();
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(40).0);
    p.start_virtual_interface(1 << 2);
    p.enter(Level::El1h, |p| p.acknowledge("virtual INTID", 40));
    // The hypervisor takes it out of its list register.
    p.set_now(r::ICH_LR0_EL2, 0);
    p.enter(Level::El1h, |p| expect_maintenance(p, 1 << 2, |p| p.end_of_interrupt(40)));
    p.expect_reg("EOIcount", r::ICH_HCR_EL2, 0x1f << 27, 1 << 27);
    end_maintenance(p);
}

/// ICH_LR.HW: the guest's end of interrupt deactivates the physical interrupt.
pub(super) fn hardware_interrupt(p: &mut Program) {
    p.start_gic();
    // EOImode 1: the host only drops the priority.
    p.set_now(r::ICC_CTLR_EL1, 2);
    p.start_spi(100);
    let (word, bit) = (4 * (100 / 32), 1_u64 << (100 % 32));
    p.poke32(gicd::ISPENDR + word, bit as u32);
    p.expect_taken(Taken::to(2, from::SPX | kind::IRQ));
    p.take_interrupt();
    p.acknowledge("physical INTID", 100);
    p.end_of_interrupt(100);
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(50).hardware(100).0);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.acknowledge("virtual INTID", 50);
        p.peek32(0, gicd::ISACTIVER + word);
        p.expect_bits("still active", 0, bit, bit);
        p.end_of_interrupt(50);
        p.peek32(0, gicd::ISACTIVER + word);
        p.expect_bits("deactivated", 0, bit, 0);
    });
    p.expect_reg("list register", r::ICH_LR0_EL2, STATE, 0);
}

/// ICV_CTLR_EL1.EOImode 1: EOIR drops the priority, ICV_DIR deactivates.
pub(super) fn virtual_eoi_mode(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(60).0);
    p.enter(Level::El1h, |p| {
        p.set_now(r::ICC_CTLR_EL1, 2);
        p.acknowledge("INTID", 60);
        p.end_of_interrupt(60);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0xff);
    });
    p.expect_reg("active", r::ICH_LR0_EL2, STATE, ACTIVE);
    // VEOIM in ICH_VMCR_EL2.
    p.expect_reg("VEOIM", r::ICH_VMCR_EL2, 1 << 9, 1 << 9);
    p.enter(Level::El1h, |p| p.set_now(r::ICC_DIR_EL1, 60));
    p.expect_reg("inactive", r::ICH_LR0_EL2, STATE, 0);
}

/// ICH_HCR_EL2.TC and TALL1 trap the guest's accesses; TDIR those of ICC_DIR_EL1.
pub(super) fn traps(p: &mut Program) {
    p.start_gic();
    let cases = [
        (1 << 10, r::ICC_PMR_EL1, r::ICC_IAR1_EL1),
        (1 << 12, r::ICC_IAR1_EL1, r::ICC_PMR_EL1),
        (1 << 11, r::ICC_IAR0_EL1, r::ICC_IAR1_EL1),
    ];
    for (bit, trapped, free) in cases {
        p.start_virtual_interface(bit);
        p.enter(Level::El1h, |p| {
            p.faulting(Taken::lower(2).class(0x18, trapped.iss(5, true)), |p| p.mrs(5, trapped));
            p.mrs(5, free);
        });
    }
    p.start_virtual_interface(1 << 14);
    p.enter(Level::El1h, |p| {
        p.faulting(Taken::lower(2).class(0x18, r::ICC_DIR_EL1.iss(5, false)), |p| p.msr(r::ICC_DIR_EL1, 5));
    });
}

/// A physical interrupt that arrives while the guest runs with a virtual one pending goes to EL2 first.
pub(super) fn physical_before_virtual(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, ListRegister::pending(70).0);
    let pending = p.gicr(gicr::ISPENDR0);
    p.poke32(pending, 1 << 3);
    p.expect_taken(Taken::to(2, from::LOWER | kind::IRQ).spsr(OPEN).intid(3));
    p.expect_taken(VIRQ.intid(70));
    p.enter_with(Level::El1h, OPEN, |p| {
        a64!(p ; nop ; nop ; isb ; nop ; msr daifset, 3);
    });
}
