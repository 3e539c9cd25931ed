//! More of the virtual CPU interface: groups, nesting, states of list registers, ICH_VMCR_EL2, maintenance (IHI 0069, 6).

use crate::guest_tests::interrupts::{ListRegister, NOTHING};
use crate::guest_tests::program::{Level, Program};
use crate::guest_tests::registers as r;
use crate::guest_tests::report::{Taken, from, kind};

const VIRQ: Taken = Taken::to(1, from::SPX | kind::IRQ);
const VFIQ: Taken = Taken::to(1, from::SPX | kind::FIQ);
/// ICH_LR.State.
const STATE: u64 = 3 << 62;
const PENDING: u64 = 1 << 62;
const ACTIVE: u64 = 2 << 62;
const GROUP_1: u64 = 1 << 60;
/// ICH_HCR_EL2: En, and the enables of maintenance interrupts for groups.
const GROUP_0_ENABLED: u64 = 1 << 4;
const GROUP_0_DISABLED: u64 = 1 << 5;
const GROUP_1_ENABLED: u64 = 1 << 6;
const GROUP_1_DISABLED: u64 = 1 << 7;

fn list(priority: u64, vintid: u64) -> u64 {
    PENDING | GROUP_1 | priority << 48 | vintid
}

/// A group 0 list register is a virtual FIQ, acknowledged by ICV_IAR0.
pub(super) fn group_0(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    // VENG0, too.
    p.set(r::ICH_VMCR_EL2, 0xff << 24 | 3);
    p.set_now(r::ICH_LR0_EL2, PENDING | 0x80 << 48 | 44);
    p.enter(Level::El1h, |p| {
        p.acknowledge("by IAR1", NOTHING);
        p.expect_reg("HPPIR0", r::ICC_HPPIR0_EL1, u64::MAX, 44);
        p.expect_taken(VFIQ.intid(44));
        p.open_for_a_while();
    });
    p.expect_reg("inactive", r::ICH_LR0_EL2, STATE, 0);
}

/// A virtual interrupt preempts another one by its group priority; ICH_AP1R0_EL2 has both.
pub(super) fn preemption(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, list(0xa0, 40));
    p.enter(Level::El1h, |p| {
        p.acknowledge("first", 40);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0xa0);
    });
    p.set_now(r::ICH_LR1_EL2, list(0xb0, 41));
    p.enter(Level::El1h, |p| {
        p.open_for_a_while();
        p.acknowledge("not that", NOTHING);
    });
    p.set_now(r::ICH_LR2_EL2, list(0x40, 42));
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.acknowledge("second", 42);
        p.expect_reg("RPR", r::ICC_RPR_EL1, u64::MAX, 0x40);
        p.end_of_interrupt(42);
        p.expect_reg("RPR below", r::ICC_RPR_EL1, u64::MAX, 0xa0);
        p.end_of_interrupt(40);
        p.expect_taken(VIRQ.intid(41));
        p.open_for_a_while();
    });
    p.expect_reg("AP1R0", r::ICH_AP1R0_EL2, u64::MAX, 0);
    p.expect_reg("all are free", r::ICH_ELRSR_EL2, 15, 15);
}

/// ICH_AP1R0_EL2 shows the active priority and can be taken away with the list register, as a hypervisor switches guests.
pub(super) fn switch(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, list(0x80, 40));
    p.enter(Level::El1h, |p| p.acknowledge("first guest", 40));
    p.mrs(6, r::ICH_AP1R0_EL2);
    p.mrs(7, r::ICH_LR0_EL2);
    a64!(p ; cmp x6, xzr ; cset x0, ne);
    p.expect("a priority is active", 0, 1);
    p.set(r::ICH_AP1R0_EL2, 0);
    p.set_now(r::ICH_LR0_EL2, list(0xc0, 50));
    p.enter(Level::El1h, |p| {
        p.expect_reg("RPR of the second", r::ICC_RPR_EL1, u64::MAX, 0xff);
        p.expect_taken(VIRQ.intid(50));
        p.open_for_a_while();
    });
    p.msr(r::ICH_AP1R0_EL2, 6);
    p.msr(r::ICH_LR0_EL2, 7);
    a64!(p ; isb);
    p.enter(Level::El1h, |p| {
        p.expect_reg("RPR of the first", r::ICC_RPR_EL1, u64::MAX, 0x80);
        p.end_of_interrupt(40);
        p.expect_reg("idle", r::ICC_RPR_EL1, u64::MAX, 0xff);
    });
}

/// A list register that is pending and active is pending after its end.
pub(super) fn pending_and_active(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_LR0_EL2, list(0x80, 40));
    p.enter(Level::El1h, |p| p.acknowledge("first", 40));
    p.mrs(0, r::ICH_LR0_EL2);
    a64!(p ; orr x0, x0, 1 << 62);
    p.msr(r::ICH_LR0_EL2, 0);
    a64!(p ; isb);
    p.enter(Level::El1h, |p| {
        p.open_for_a_while();
        p.end_of_interrupt(40);
        p.expect_taken(VIRQ);
        p.take_interrupt();
        p.acknowledge("again", 40);
    });
    p.expect_reg("active", r::ICH_LR0_EL2, STATE, ACTIVE);
    p.enter(Level::El1h, |p| p.end_of_interrupt(40));
    p.expect_reg("inactive", r::ICH_LR0_EL2, STATE, 0);
}

/// Without ICH_HCR_EL2.En there is no virtual interrupt.
pub(super) fn disabled(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set_now(r::ICH_HCR_EL2, 0);
    p.set_now(r::ICH_LR0_EL2, list(0x80, 40));
    p.enter(Level::El1h, |p| p.open_for_a_while());
    p.set_now(r::ICH_HCR_EL2, 1);
    p.enter(Level::El1h, |p| {
        p.expect_taken(VIRQ.intid(40));
        p.open_for_a_while();
    });
}

/// What the guest writes is in ICH_VMCR_EL2, and the other way round.
pub(super) fn vmcr(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.enter(Level::El1h, |p| {
        p.set(r::ICC_PMR_EL1, 0xb0);
        p.set(r::ICC_BPR1_EL1, 6);
        p.set(r::ICC_BPR0_EL1, 4);
        p.set(r::ICC_CTLR_EL1, 1 << 1);
        p.set(r::ICC_IGRPEN0_EL1, 1);
        p.set_now(r::ICC_IGRPEN1_EL1, 0);
    });
    // VPMR, VBPR0, VBPR1, VEOIM, VCBPR, VENG1, VENG0.
    let all = 0xff << 24 | 7 << 21 | 7 << 18 | 1 << 9 | 1 << 4 | 3;
    p.expect_reg("VMCR", r::ICH_VMCR_EL2, all, 0xb0 << 24 | 4 << 21 | 6 << 18 | 1 << 9 | 1);
    p.set_now(r::ICH_VMCR_EL2, 0x50 << 24 | 5 << 21 | 7 << 18 | 1 << 4 | 2);
    p.enter(Level::El1h, |p| {
        p.expect_reg("PMR", r::ICC_PMR_EL1, u64::MAX, 0x50);
        p.expect_reg("BPR0", r::ICC_BPR0_EL1, u64::MAX, 5);
        p.expect_reg("BPR1 with CBPR", r::ICC_BPR1_EL1, u64::MAX, 6);
        p.expect_reg("CTLR", r::ICC_CTLR_EL1, 3, 1);
        p.expect_reg("IGRPEN0", r::ICC_IGRPEN0_EL1, u64::MAX, 0);
        p.expect_reg("IGRPEN1", r::ICC_IGRPEN1_EL1, u64::MAX, 1);
    });
}

/// ICV_HPPIR1 shows what would be acknowledged, and acknowledges nothing.
pub(super) fn highest_pending(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set(r::ICH_LR0_EL2, list(0x90, 40));
    p.set_now(r::ICH_LR1_EL2, list(0x50, 41));
    p.enter(Level::El1h, |p| {
        p.expect_reg("HPPIR1", r::ICC_HPPIR1_EL1, u64::MAX, 41);
        p.expect_reg("HPPIR0", r::ICC_HPPIR0_EL1, u64::MAX, NOTHING);
    });
    p.expect_reg("still pending", r::ICH_LR1_EL2, STATE, PENDING);
}

/// The maintenance interrupts of group enables follow ICH_VMCR_EL2. A peer may look at VENG1 for VGrp0D; it is VENG0 (IHI
/// 0069, ICH_MISR_EL2.VGrp0D).
pub(super) fn maintenance_of_groups(p: &mut Program) {
    p.start_gic();
    for (bit, vmcr, misr) in [
        (GROUP_0_ENABLED, 1, GROUP_0_ENABLED),
        (GROUP_0_ENABLED, 2, 0),
        (GROUP_0_DISABLED, 2, GROUP_0_DISABLED),
        (GROUP_0_DISABLED, 1, 0),
        (GROUP_1_ENABLED, 2, GROUP_1_ENABLED),
        (GROUP_1_ENABLED, 1, 0),
        (GROUP_1_DISABLED, 1, GROUP_1_DISABLED),
        (GROUP_1_DISABLED, 2, 0),
    ] {
        p.set(r::ICH_VMCR_EL2, 0xff << 24 | vmcr);
        p.set_now(r::ICH_HCR_EL2, 1 | bit);
        p.expect_reg(&format!("MISR with {bit:#x}, {vmcr}"), r::ICH_MISR_EL2, 0xff, misr);
    }
    p.set_now(r::ICH_HCR_EL2, 0);
}

/// ICH_MISR_EL2 has several conditions at once; without En it has none.
pub(super) fn maintenance_conditions(p: &mut Program) {
    p.start_gic();
    // UIE, NPIE.
    p.set_now(r::ICH_HCR_EL2, 1 | 1 << 1 | 1 << 3);
    p.expect_reg("U and NP", r::ICH_MISR_EL2, 0xff, 1 << 1 | 1 << 3);
    p.set_now(r::ICH_LR0_EL2, list(0x80, 40));
    p.expect_reg("U", r::ICH_MISR_EL2, 0xff, 1 << 1);
    p.set_now(r::ICH_LR1_EL2, list(0x80, 41));
    p.expect_reg("none", r::ICH_MISR_EL2, 0xff, 0);
    // An invalid list register with EOI set, and without HW: its end is reported.
    p.set_now(r::ICH_LR2_EL2, 1 << 41 | 42);
    p.expect_reg("EOI", r::ICH_MISR_EL2, 0xff, 1);
    p.expect_reg("EISR", r::ICH_EISR_EL2, 15, 4);
    p.expect_reg("not free", r::ICH_ELRSR_EL2, 15, 8);
    p.set_now(r::ICH_HCR_EL2, 0);
    for lr in [r::ICH_LR0_EL2, r::ICH_LR1_EL2, r::ICH_LR2_EL2] {
        p.set_now(lr, 0);
    }
}

/// ICV_DIR of an interrupt in no list register counts in EOIcount.
pub(super) fn deactivate_absent(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.enter(Level::El1h, |p| {
        p.set_now(r::ICC_CTLR_EL1, 2);
        p.set_now(r::ICC_DIR_EL1, 77);
        p.set_now(r::ICC_DIR_EL1, 78);
    });
    p.expect_reg("EOIcount", r::ICH_HCR_EL2, 0x1f << 27, 2 << 27);
    p.set_now(r::ICH_HCR_EL2, 0);
}

/// Equal priorities: one of them, then the other.
pub(super) fn equal_priorities(p: &mut Program) {
    p.start_gic();
    p.start_virtual_interface(0);
    p.set(r::ICH_LR0_EL2, ListRegister::pending(40).0);
    p.set_now(r::ICH_LR3_EL2, ListRegister::pending(41).0);
    p.enter(Level::El1h, |p| {
        p.mrs(1, r::ICC_IAR1_EL1);
        p.msr(r::ICC_EOIR1_EL1, 1);
        p.mrs(2, r::ICC_IAR1_EL1);
        p.msr(r::ICC_EOIR1_EL1, 2);
        a64!(p ; add x0, x1, x2 ; cmp x1, x2 ; cset x3, ne);
        p.expect("their sum", 0, 81);
        p.expect("two of them", 3, 1);
    });
    p.expect_reg("all are free", r::ICH_ELRSR_EL2, 15, 15);
}
