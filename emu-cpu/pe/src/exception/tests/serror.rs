//! SErrors, physical and virtual: where they go, what masks them, how ESB defers them (Arm ARM, D1.3.6, and the
//! pseudocode functions AArch64.ESBOperation and AArch64.vESBOperation).

use emu_a64::ir::SysEnc;
use emu_a64::level::El::{El0, El1, El2};
use emu_a64::regs::Pstate;

use super::at;
use crate::model::Model;
use crate::requests::Requests;
use crate::sysreg::{Reg, hcr};
use crate::test_pe::{bench, max};

const A: u8 = Pstate::A;
const HOST: u64 = hcr::E2H | hcr::TGE;
const DISR_EL1: SysEnc = SysEnc::new(3, 0, 12, 1, 1);
const VDISR_EL2: SysEnc = SysEnc::new(3, 4, 12, 1, 1);
/// ESR_ELx of an SError with ISS 0x0123.
const ESR: u64 = 0x2f << 26 | 1 << 25 | 0x123;

#[test]
fn a_physical_serror_is_taken_or_deferred() {
    // EL, PSTATE.DAIF, HCR_EL2; the level it is taken to, if it is.
    for (el, daif, hcr_el2, target) in [
        (El0, 0, 0, Some(El1)),
        (El0, A, 0, None),
        (El1, 0, 0, Some(El1)),
        (El1, A, 0, None),
        (El2, 0, 0, None),
        (El2, A, 0, None),
        (El0, A, hcr::AMO, Some(El2)),
        (El1, A, hcr::AMO, Some(El2)),
        (El2, 0, hcr::AMO, Some(El2)),
        (El2, A, hcr::AMO, None),
        (El0, A, hcr::TGE, Some(El2)),
        (El2, 0, hcr::TGE, Some(El2)),
        (El0, 0, HOST, Some(El2)),
        (El0, A, HOST, None),
        (El2, 0, HOST, Some(El2)),
        (El2, A, HOST, None),
        (El2, 0, hcr::E2H, None),
    ] {
        let pe = || {
            let mut b = max();
            at(&mut b.cpu, el, el.is_privileged(), hcr_el2);
            b.cpu.pstate.daif = daif;
            b.cpu.requests = Requests::new(Some(0x123), false);
            b
        };
        let what = format!("{el}, DAIF {daif:#x}, HCR_EL2 {hcr_el2:#x}");
        let mut b = pe();
        assert!(b.cpu.wakes_wfi(), "{what}");
        assert_eq!(b.cpu.poll_interrupts(), target.is_some(), "{what}");
        if let Some(target) = target {
            let (esr, vbar) =
                if target == El2 { (Reg::ESR_EL2, Reg::VBAR_EL2) } else { (Reg::ESR_EL1, Reg::VBAR_EL1) };
            assert_eq!(
                (b.cpu.pstate.el, b.cpu.sys[esr], b.cpu.requests.serror()),
                (target, ESR, None),
                "{what}"
            );
            assert_eq!((b.cpu.regs.pc - b.cpu.sys[vbar]) & 0x1ff, 0x180, "{what}");
        }
        // ESB: what cannot be taken is deferred, the rest is taken after it.
        let mut b = pe();
        b.cpu.error_barrier();
        let deferred = target.is_none();
        assert_eq!(b.cpu.sys[Reg::DISR_EL1], if deferred { 0x8000_0123 } else { 0 }, "{what}");
        assert_eq!(b.cpu.requests.serror().is_none(), deferred, "{what}");
    }
}

#[test]
fn a_virtual_serror_is_taken_or_deferred() {
    // EL, PSTATE.DAIF, HCR_EL2 beside VSE; what becomes of it: taken, deferred by ESB.
    for (el, daif, hcr_el2, taken, deferred) in [
        (El1, 0, hcr::AMO, true, false),
        (El0, 0, hcr::AMO, true, false),
        (El1, A, hcr::AMO, false, true),
        (El0, A, hcr::AMO, false, true),
        (El1, 0, 0, false, false),
        (El1, A, 0, false, false),
        (El2, 0, hcr::AMO, false, false),
        (El0, 0, hcr::AMO | hcr::TGE, false, false),
        (El0, 0, hcr::AMO | HOST, false, false),
    ] {
        let pe = || {
            let mut b = max();
            at(&mut b.cpu, el, el.is_privileged(), hcr_el2 | hcr::VSE);
            b.cpu.pstate.daif = daif;
            b.cpu.sys[Reg::VSESR_EL2] = 0x123;
            b
        };
        let what = format!("{el}, DAIF {daif:#x}, HCR_EL2 {hcr_el2:#x}");
        let mut b = pe();
        assert_eq!(b.cpu.poll_interrupts(), taken, "{what}");
        if taken {
            assert_eq!((b.cpu.pstate.el, b.cpu.sys[Reg::ESR_EL1]), (El1, ESR), "{what}");
        }
        assert_eq!(b.cpu.sys[Reg::HCR_EL2] & hcr::VSE == 0, taken, "taken once: {what}");
        let mut b = pe();
        b.cpu.error_barrier();
        assert_eq!(b.cpu.sys[Reg::VDISR_EL2], if deferred { 0x8000_0123 } else { 0 }, "{what}");
        assert_eq!(b.cpu.sys[Reg::HCR_EL2] & hcr::VSE == 0, deferred, "{what}");
        assert_eq!(b.cpu.sys[Reg::DISR_EL1], 0);
    }
}

#[test]
fn a_guest_reads_the_virtual_register_of_deferred_errors() {
    let mut b = max();
    let c = &mut b.cpu;
    c.sys[Reg::DISR_EL1] = 0x8000_0001;
    c.sys[Reg::VDISR_EL2] = 0x8000_0002;
    at(c, El1, true, hcr::AMO);
    assert_eq!(c.mrs(DISR_EL1, 0), Ok(0x8000_0002));
    c.msr(DISR_EL1, 0, 0).unwrap();
    at(c, El1, true, 0);
    assert_eq!(c.mrs(DISR_EL1, 0), Ok(0x8000_0001));
    at(c, El2, true, hcr::AMO);
    assert_eq!((c.mrs(DISR_EL1, 0), c.mrs(VDISR_EL2, 0)), (Ok(0x8000_0001), Ok(0)));
}

#[test]
fn isr_shows_what_the_level_sees() {
    let mut b = max();
    let c = &mut b.cpu;
    let isr = SysEnc::new(3, 0, 12, 1, 0);
    c.requests = Requests::new(Some(0), false);
    at(c, El1, true, hcr::AMO);
    assert_eq!(c.mrs(isr, 0), Ok(0), "the physical one is EL2's");
    at(c, El1, true, hcr::AMO | hcr::VSE);
    assert_eq!(c.mrs(isr, 0), Ok(1 << 8));
    c.requests = Requests::new(None, false);
    at(c, El2, true, hcr::AMO | hcr::VSE);
    assert_eq!(c.mrs(isr, 0), Ok(0));
}

#[test]
fn without_the_extension() {
    let mut b = bench(Model::cortex_a72());
    let c = &mut b.cpu;
    at(c, El1, true, hcr::AMO | hcr::VSE);
    c.sys[Reg::VSESR_EL2] = 0x123;
    c.pstate.daif = 0;
    c.error_barrier();
    assert_eq!(c.sys[Reg::HCR_EL2] & hcr::VSE, hcr::VSE, "ESB is a NOP");
    assert!(c.poll_interrupts());
    assert_eq!(c.sys[Reg::ESR_EL1], 0x2f << 26 | 1 << 25);
    assert!(c.mrs(DISR_EL1, 0).is_err());
}
