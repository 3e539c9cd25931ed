//! Taking exceptions, and routing them.

mod serror;

use emu_a64::ir::SysEnc;
use emu_a64::level::El::{self, El0, El1, El2};
use emu_core::irq::Group;
use emu_core::metrics::Metric;

use super::*;
use crate::cpu::Cpu;
use crate::debug::StepState;
use crate::model::Model;
use crate::sysreg::{Reg, hcr, mdcr, sctlr};
use crate::test_pe::{Bench, bench, max};

pub(super) fn at(c: &mut Cpu, el: El, sp_sel: bool, hcr_el2: u64) {
    c.sys[Reg::HCR_EL2] = hcr_el2;
    c.sys[Reg::VBAR_EL1] = 0x1_0000;
    c.sys[Reg::VBAR_EL2] = 0x2_0000;
    c.set_level(el, sp_sel);
}

const HOST: u64 = hcr::E2H | hcr::TGE;

fn svc() -> Exception {
    Exception::Insn(ExcOp::Svc(0x1234))
}

fn abort(stage2: bool) -> Abort {
    Abort { va: 0xdead_0008, status: 7, stage2, s1ptw: false, ipa: None, write: false, maintenance: false }
}

/// SVC at each level: where it goes, the vector, SPSR.M.
#[test]
fn entry_by_level() {
    for (el, sp_sel, hcr_el2, target, pc) in [
        (El0, false, 0, El1, 0x1_0400),
        (El1, false, 0, El1, 0x1_0000),
        (El1, true, 0, El1, 0x1_0200),
        (El2, false, 0, El2, 0x2_0000),
        (El2, true, 0, El2, 0x2_0200),
        (El0, false, hcr::TGE, El2, 0x2_0400),
        (El0, false, HOST, El2, 0x2_0400),
        (El0, false, hcr::E2H, El1, 0x1_0400),
    ] {
        let mut b = max();
        let c = &mut b.cpu;
        at(c, el, sp_sel, hcr_el2);
        c.regs.nzcv = 0x6000_0000;
        c.pstate.daif = 0b0010;
        c.raise(svc(), 0x1000, 0);
        assert_eq!((c.pstate.el, c.regs.pc, c.pstate.sp_sel, c.pstate.daif), (target, pc, true, 15));
        let (esr, elr, spsr) = if target == El2 {
            (Reg::ESR_EL2, Reg::ELR_EL2, Reg::SPSR_EL2)
        } else {
            (Reg::ESR_EL1, Reg::ELR_EL1, Reg::SPSR_EL1)
        };
        assert_eq!((c.sys[esr], c.sys[elr]), (0x5600_1234, 0x1004));
        assert_eq!(c.sys[spsr], 0x6000_0080 | el.bits() | u64::from(sp_sel));
        c.eret().unwrap();
        assert_eq!((c.pstate.el, c.regs.pc, c.pstate.daif, c.regs.nzcv), (el, 0x1004, 2, 0x6000_0000));
        assert_eq!(c.pstate.sp_sel, sp_sel);
    }
}

#[test]
fn pstate_on_entry() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El0, false, 0);
    c.sys[Reg::SCTLR_EL1] = sctlr::SPAN | sctlr::DSSBS;
    c.pstate.uao = true;
    c.pstate.dit = true;
    c.pstate.ss = true;
    c.raise(Exception::Insn(ExcOp::Brk(0)), 0, 0);
    assert!(!c.pstate.pan && c.pstate.ssbs && !c.pstate.uao && c.pstate.dit && !c.pstate.ss);
    assert_eq!(c.sys[Reg::SPSR_EL1], 1 << 24 | 1 << 23 | 1 << 21 | 15 << 6);
    at(c, El0, false, 0);
    c.pstate.ss = true;
    c.raise(svc(), 0, 0);
    assert_eq!(c.sys[Reg::SPSR_EL1] >> 21 & 1, 0, "SSAdvance: a call has been executed");
    at(c, El0, false, 0);
    c.sys[Reg::SCTLR_EL1] = 0;
    c.raise(svc(), 0, 0);
    assert!(c.pstate.pan && !c.pstate.ssbs);
    // EL2 sets PAN only as a host.
    for (hcr_el2, pan) in [(0, false), (hcr::E2H, false), (hcr::TGE, false), (HOST, true)] {
        at(c, El2, true, hcr_el2);
        c.sys[Reg::SCTLR_EL2] = 0;
        c.pstate.pan = false;
        c.raise(svc(), 0, 0);
        assert_eq!(c.pstate.pan, pan, "{hcr_el2:#x}");
    }
    let mut b = bench(Model::cortex_a72());
    at(&mut b.cpu, El1, true, 0);
    b.cpu.raise(svc(), 0, 0);
    assert!(!b.cpu.pstate.pan, "no FEAT_PAN");
}

#[test]
fn calls() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El1, true, 0);
    c.raise(Exception::Insn(ExcOp::Hvc(5)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2], c.sys[Reg::ELR_EL2]), (El2, 0x5a00_0005, 0x1004));
    at(c, El1, true, hcr::HCD);
    c.raise(Exception::Insn(ExcOp::Hvc(5)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1], c.sys[Reg::ELR_EL1]), (El1, 0x0200_0000, 0x1000));
    at(c, El0, false, 0);
    c.raise(Exception::Insn(ExcOp::Hvc(5)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1]), (El1, 0x0200_0000));
    // BRK: MDCR_EL2.TDE.
    at(c, El1, true, 0);
    c.raise(Exception::Insn(ExcOp::Brk(0x800)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1], c.sys[Reg::ELR_EL1]), (El1, 0xf200_0800, 0x1000));
    c.sys[Reg::MDCR_EL2] = mdcr::TDE;
    c.raise(Exception::Insn(ExcOp::Brk(1)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2]), (El2, 0xf200_0001));
    assert_eq!(b.cpu.counters.get(Metric::Hvc), 1);
}

#[test]
fn aborts() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El1, true, hcr::VM);
    c.raise(Exception::Data(abort(false)), 0x1000, 0xb940_0041);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1], c.sys[Reg::FAR_EL1]), (El1, 0x9600_0007, 0xdead_0008));
    at(c, El0, false, hcr::VM);
    c.raise(Exception::Fetch(abort(false)), 0x1000, 0);
    assert_eq!(c.sys[Reg::ESR_EL1], 0x8200_0007);
    // Stage 2: to EL2, with HPFAR and the instruction's syndrome.
    at(c, El1, true, hcr::VM);
    let s2 = Abort { ipa: Some(0x0900_0018), ..abort(true) };
    c.raise(Exception::Data(s2), 0x1000, 0xb940_0041);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2]), (El2, 0x9381_0007));
    assert_eq!((c.sys[Reg::FAR_EL2], c.sys[Reg::HPFAR_EL2]), (0xdead_0008, 0x9_0000));
    assert_eq!(b.cpu.counters.get(Metric::Stage2Aborts), 1);
    // LDR W1 moves four bytes. EL1 took two aborts, EL2 one.
    assert_eq!(b.cpu.counters.get(Metric::EmulatedBytes), 4);
    let classes = [(true, 0x24), (false, 0x25), (false, 0x20)];
    assert_eq!(classes.map(|(to_el2, ec)| b.cpu.counters.class(to_el2, ec)), [1, 1, 1]);
    // Of a permission fault, too, the IPA is known.
    let c = &mut b.cpu;
    at(c, El1, true, hcr::VM);
    c.raise(Exception::Data(Abort { status: 0xf, ipa: Some(0x1000), ..abort(true) }), 0x1000, 0);
    assert_eq!((c.sys[Reg::ESR_EL2], c.sys[Reg::HPFAR_EL2]), (0x9200_000f, 0x10));
    // HCR_EL2.TEA.
    at(c, El1, true, hcr::TEA);
    c.raise(Exception::Data(Abort { status: 0x10, ..abort(false) }), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2]), (El2, 0x9200_0010));
    at(c, El2, true, 0);
    c.raise(Exception::Data(abort(false)), 0x1000, 0);
    assert_eq!(c.sys[Reg::ESR_EL2], 0x9600_0007);
    c.raise(Exception::PcAlignment(0x1001), 0x1001, 0);
    assert_eq!(
        (c.sys[Reg::ESR_EL2], c.sys[Reg::FAR_EL2], c.sys[Reg::ELR_EL2]),
        (0x8a00_0000, 0x1001, 0x1001)
    );
    c.raise(Exception::SpAlignment, 0x1000, 0);
    assert_eq!(c.sys[Reg::ESR_EL2], 0x9a00_0000);
}

#[test]
fn floating_point() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El0, false, 0);
    c.raise(Exception::Insn(ExcOp::FpAccess), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1]), (El1, 0x1fe0_0000));
    // With TGE it is reported as unknown.
    at(c, El0, false, hcr::TGE);
    c.raise(Exception::Insn(ExcOp::FpAccess), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL2]), (El2, 0x0200_0000));
    at(c, El2, true, hcr::E2H);
    c.raise(Exception::Insn(ExcOp::FpAccess), 0x1000, 0);
    assert_eq!(c.sys[Reg::ESR_EL2], 0x1fe0_0000);
    // Nothing traps any more: executed again.
    c.sys[Reg::CPTR_EL2] = 3 << 20;
    c.refresh();
    c.raise(Exception::Insn(ExcOp::FpAccess), 0x4444, 0);
    assert_eq!(c.regs.pc, 0x4444);
}

#[test]
fn illegal_returns() {
    for (el, hcr_el2, spsr, why) in [
        (El1, 0, 0x9, "to a higher level"),
        (El2, 0, 0xd, "to EL3"),
        (El2, hcr::TGE, 0x5, "to EL1 with TGE"),
        (El1, 0, 0x10, "to AArch32"),
        (El2, 0, 0x1, "EL0 with SP_EL1"),
        (El2, 0, 0x6, "reserved"),
    ] {
        let mut b = max();
        let c = &mut b.cpu;
        at(c, el, true, hcr_el2);
        let (s, e) = if el == El2 { (Reg::SPSR_EL2, Reg::ELR_EL2) } else { (Reg::SPSR_EL1, Reg::ELR_EL1) };
        c.sys[s] = spsr | 0x8000_0140;
        c.sys[e] = 0x8888;
        c.eret().unwrap();
        assert!(c.pstate.il, "{why}");
        assert_eq!((c.pstate.el, c.pstate.sp_sel, c.regs.pc), (el, true, 0x8888), "{why}");
        assert_eq!((c.pstate.daif, c.regs.nzcv), (5, 0x8000_0000), "{why}");
        c.raise(Exception::IllegalState, 0x8888, 0);
        let esr = if el == El2 { Reg::ESR_EL2 } else { Reg::ESR_EL1 };
        assert_eq!(c.sys[esr], 0x3a00_0000);
        assert!(!c.pstate.il);
    }
}

#[test]
fn a_return_sets_the_event_register() {
    let mut b = max();
    at(&mut b.cpu, El2, true, 0);
    b.cpu.sys[Reg::SPSR_EL2] = 0x3c5;
    b.cpu.wires.doorbell().take_event();
    b.cpu.eret().unwrap();
    assert_eq!(b.cpu.pstate.el, El1);
    assert!(b.cpu.wires.doorbell().take_event());
}

/// Enables both groups at the CPU interface and offers an interrupt.
fn offer(b: &mut Bench, group: Group) {
    b.cpu.set_level(El2, true);
    for (crm, op2, v) in [(6, 0, 0xf0), (12, 6, 1), (12, 7, 1)] {
        let crn = if crm == 6 { 4 } else { 12 };
        b.cpu.msr(SysEnc::new(3, 0, crn, crm, op2), 0, v).unwrap();
    }
    b.port.offer(Some(group));
}

/// Routing and masking of physical interrupts.
#[test]
fn physical_interrupts() {
    for (group, mask, route, vector) in [(Group::G1, 2, hcr::IMO, 0x80), (Group::G0, 1, hcr::FMO, 0x100)] {
        let mut b = max();
        offer(&mut b, group);
        let c = &mut b.cpu;
        for (el, hcr_el2, masked, taken) in [
            (El0, 0, 0, Some(0x1_0400)),
            (El0, 0, mask, None),
            (El1, 0, 0, Some(0x1_0200)),
            (El1, 0, mask, None),
            (El2, 0, 0, None),
            (El2, hcr::E2H, 0, None),
            (El0, route, 15, Some(0x2_0400)),
            (El1, route, 15, Some(0x2_0400)),
            (El2, route, 0, Some(0x2_0200)),
            (El2, route, mask, None),
            (El0, hcr::TGE, 15, Some(0x2_0400)),
            (El2, hcr::TGE, 0, Some(0x2_0200)),
            (El0, HOST, 0, Some(0x2_0400)),
            (El0, HOST, mask, None),
            (El2, HOST, 0, Some(0x2_0200)),
            (El2, HOST, mask, None),
        ] {
            at(c, el, el.is_privileged(), hcr_el2);
            c.pstate.daif = masked;
            c.regs.pc = 0x4000;
            assert!(c.wakes_wfi());
            let got = c.poll_interrupts().then_some(c.regs.pc);
            assert_eq!(got, taken.map(|v| v + vector), "{el} {hcr_el2:#x} {masked}");
            if let Some(pc) = got {
                let elr = if pc >= 0x2_0000 { Reg::ELR_EL2 } else { Reg::ELR_EL1 };
                assert_eq!(c.sys[elr], 0x4000);
            }
        }
        b.port.offer(None);
        assert!(!b.cpu.poll_interrupts() && !b.cpu.wakes_wfi());
    }
}

#[test]
fn virtual_interrupts() {
    for (pending, route, mask, vector) in
        [(hcr::VI, hcr::IMO, 2, 0x80), (hcr::VF, hcr::FMO, 1, 0x100), (hcr::VSE, hcr::AMO, 4, 0x180)]
    {
        let mut b = max();
        let c = &mut b.cpu;
        for (el, hcr_el2, masked, taken) in [
            (El1, pending | route, 0, Some(0x1_0200)),
            (El0, pending | route, 0, Some(0x1_0400)),
            (El1, pending | route, mask, None),
            (El1, pending, 0, None),
            (El2, pending | route, 0, None),
            (El0, pending | route | hcr::TGE, 0, None),
            (El0, pending | route | HOST, 0, None),
            (El1, pending | route | hcr::E2H, 0, Some(0x1_0200)),
        ] {
            at(c, el, el.is_privileged(), hcr_el2);
            c.pstate.daif = masked;
            let got = c.poll_interrupts().then_some(c.regs.pc);
            assert_eq!(got, taken.map(|v| v + vector), "{el} {hcr_el2:#x} {masked}");
        }
    }
}

#[test]
fn waiting_is_trapped() {
    let mut b = max();
    let c = &mut b.cpu;
    let trap = |target, iss| Err(Exception::Trap { target, ec: 1, iss });
    at(c, El0, false, 0);
    c.sys[Reg::SCTLR_EL1] = sctlr::NTWE;
    assert_eq!(c.check_wait(WaitKind::Wfi, 31), trap(El1, 0x1e0_0000));
    assert_eq!(c.check_wait(WaitKind::Wfe, 31), Ok(()));
    at(c, El1, true, hcr::TWI);
    assert_eq!(c.check_wait(WaitKind::Wfi, 31), trap(El2, 0x1e0_0000));
    assert_eq!(c.check_wait(WaitKind::Wfit, 3), trap(El2, 0x1e0_0066));
    at(c, El1, true, hcr::TWE);
    assert_eq!(c.check_wait(WaitKind::Wfe, 31), trap(El2, 0x1e0_0001));
    assert_eq!(c.check_wait(WaitKind::Wfi, 31), Ok(()));
    at(c, El2, true, hcr::TWE | hcr::TWI);
    assert_eq!(c.check_wait(WaitKind::Wfe, 31), Ok(()));
    at(c, El0, false, HOST | hcr::TWI);
    c.sys[Reg::SCTLR_EL2] = 0;
    assert_eq!(c.check_wait(WaitKind::Wfi, 31), trap(El2, 0x1e0_0000));
    c.sys[Reg::SCTLR_EL2] = sctlr::NTWI;
    assert_eq!(c.check_wait(WaitKind::Wfi, 31), Ok(()), "TWI does not count in a host");
}

#[test]
fn software_step() {
    let mut b = max();
    let c = &mut b.cpu;
    // KDE clear, debugger at EL1, debuggee at EL0.
    at(c, El1, true, 0);
    c.sys[Reg::OSLAR_EL1] = 0;
    c.sys[Reg::MDSCR_EL1] = 1;
    assert_eq!(c.debug().step_state(), StepState::Inactive);
    c.sys[Reg::SPSR_EL1] = 1 << 21;
    c.eret().unwrap();
    assert_eq!(c.debug().step_state(), StepState::NotPending);
    c.pstate.ss = false;
    assert_eq!(c.debug().step_state(), StepState::Pending);
    c.raise(Exception::SoftwareStep { exclusive: Some(false) }, 0x1004, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ESR_EL1]), (El1, 0xcb00_0022));
    assert_eq!(c.debug().step_state(), StepState::Inactive);
    c.sys[Reg::OSLAR_EL1] = 1;
    c.set_level(El0, false);
    assert_eq!(c.debug().step_state(), StepState::Inactive, "the OS lock");
}

#[test]
fn tagged_branches() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El0, false, 0);
    c.sys[Reg::TCR_EL1] = 1 << 37;
    assert_eq!(c.branch_address(0xab00_0000_0000_1000), 0x1000);
    assert_eq!(c.branch_address(0xab80_0000_0000_1000), 0xab80_0000_0000_1000, "TBI1 is 0");
    c.sys[Reg::TCR_EL1] = 1 << 38;
    assert_eq!(c.branch_address(0xab80_0000_0000_1000), 0xff80_0000_0000_1000);
    at(c, El2, true, 0);
    c.sys[Reg::TCR_EL2] = 1 << 20;
    assert_eq!(c.branch_address(0xab80_0000_0000_1000), 0x0080_0000_0000_1000);
}
