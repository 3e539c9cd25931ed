//! Asynchronous exceptions: physical and virtual SError, FIQ and IRQ; what wakes WFI; when WFI and WFE are trapped
//! (Arm ARM, D1.3.6 and D1.6).

use emu_a64::features::Feat;
use emu_a64::level::El;
use emu_a64::regs::Pstate;
use emu_core::metrics::Metric;

use super::Exception;
use super::entry::Vector;
use super::syndrome::{IL, ec};
use crate::cpu::Cpu;
use crate::level::Banked;
use crate::sysreg::{Reg, hcr, sctlr};

/// The four instructions that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the architecture's names; the values are ISS.TI")]
pub enum WaitKind {
    Wfi = 0,
    Wfe = 1,
    Wfit = 2,
    Wfet = 3,
}

/// What kind of interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    SError,
    Fiq,
    Irq,
}

impl Kind {
    /// Highest priority first. (The architecture leaves the order to the implementation, D1.3.6.)
    const ALL: [Self; 3] = [Self::SError, Self::Fiq, Self::Irq];

    const fn mask(self) -> u8 {
        match self {
            Self::SError => Pstate::A,
            Self::Fiq => Pstate::F,
            Self::Irq => Pstate::I,
        }
    }
    /// HCR_EL2.AMO, FMO, IMO.
    const fn route(self) -> u64 {
        match self {
            Self::SError => hcr::AMO,
            Self::Fiq => hcr::FMO,
            Self::Irq => hcr::IMO,
        }
    }
    const fn vector(self) -> Vector {
        match self {
            Self::SError => Vector::SError,
            Self::Fiq => Vector::Fiq,
            Self::Irq => Vector::Irq,
        }
    }
    const fn metric(self, is_virtual: bool) -> Metric {
        match (self, is_virtual) {
            (Self::SError, _) => Metric::SErrors,
            (Self::Fiq, false) => Metric::Fiqs,
            (Self::Fiq, true) => Metric::VirtualFiqs,
            (Self::Irq, false) => Metric::Irqs,
            (Self::Irq, true) => Metric::VirtualIrqs,
        }
    }
}

/// Which interrupts are pending, whether they can be taken or not.
#[derive(Clone, Copy, Default)]
struct Waiting {
    physical: [bool; 3],
    virt: [bool; 3],
}

impl Cpu {
    fn waiting(&self) -> Waiting {
        let s = self.gic.signals();
        Waiting {
            physical: [self.requests.serror().is_some(), s.fiq, s.irq],
            virt: [
                self.hcr() & hcr::VSE != 0,
                self.hcr() & hcr::VF != 0 || s.vfiq,
                self.hcr() & hcr::VI != 0 || s.virq,
            ],
        }
    }

    /// Where a physical interrupt would be taken to, if anywhere from here: routing and masking.
    fn physical_target(&self, kind: Kind) -> Option<El> {
        let (el, h) = (self.pstate.el, self.hcr());
        let masked = self.pstate.daif & kind.mask() != 0;
        if h & (kind.route() | hcr::TGE) == 0 {
            return (el < El::El2 && !masked).then_some(El::El1);
        }
        // From a lower level PSTATE does not mask it, except for the EL0 of a host.
        let unmaskable = el < El::El2 && !self.is_in_host(El::El0);
        (unmaskable || !masked).then_some(El::El2)
    }

    /// Virtual interrupts are taken to EL1, below EL2, if physical ones of the kind are routed to EL2.
    fn virtual_enabled(&self, kind: Kind) -> bool {
        self.pstate.el < El::El2 && self.hcr() & hcr::TGE == 0 && self.hcr() & kind.route() != 0
    }

    /// Takes the asynchronous exception of highest priority, if any can be taken now.
    pub fn poll_interrupts(&mut self) -> bool {
        let waiting = self.waiting();
        self.derived.set_masked_pending_event(
            waiting.physical.contains(&true) || waiting.virt.contains(&true) || self.debug().is_in_use(),
        );
        for (kind, pending) in Kind::ALL.into_iter().zip(waiting.physical) {
            if pending && let Some(target) = self.physical_target(kind) {
                if kind == Kind::SError {
                    let iss = self.requests.take_serror().unwrap_or(0);
                    self.report_serror(target, iss);
                }
                self.interrupt(kind, target, false);
                return true;
            }
        }
        for (kind, pending) in Kind::ALL.into_iter().zip(waiting.virt) {
            if pending && self.virtual_enabled(kind) && self.pstate.daif & kind.mask() == 0 {
                if kind == Kind::SError {
                    self.take_virtual_serror();
                }
                self.interrupt(kind, El::El1, true);
                return true;
            }
        }
        false
    }

    /// ISR_EL1: A, I, F are bits 8, 7, 6. Below EL2 a kind whose physical interrupts are routed to EL2 shows the
    /// virtual ones.
    pub(crate) fn interrupt_status(&self) -> u64 {
        let waiting = self.waiting();
        let mut status = 0;
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            let shown = if self.virtual_enabled(kind) { waiting.virt[i] } else { waiting.physical[i] };
            let bit = match kind {
                Kind::SError => 8,
                Kind::Irq => 7,
                Kind::Fiq => 6,
            };
            status |= u64::from(shown) << bit;
        }
        status
    }

    fn interrupt(&mut self, kind: Kind, target: El, is_virtual: bool) {
        self.counters.bump(kind.metric(is_virtual));
        let ret = self.regs.pc;
        let from = self.pstate.el;
        self.enter(target, kind.vector(), ret);
        crate::trace::exception(self, from, kind.vector());
    }

    fn report_serror(&mut self, target: El, iss: u32) {
        self.sys[Banked::ESR.at(target)] = u64::from(ec::SERROR) << 26 | IL | u64::from(iss & 0x1ff_ffff);
    }

    /// The virtual SError stops pending and reports VSESR_EL2 (with FEAT_RAS).
    fn take_virtual_serror(&mut self) {
        let iss = self.virtual_serror_iss();
        self.sys[Reg::HCR_EL2] &= !hcr::VSE;
        self.refresh();
        self.report_serror(El::El1, iss);
    }

    fn virtual_serror_iss(&self) -> u32 {
        if self.identity.has(Feat::Ras) { self.sys[Reg::VSESR_EL2] as u32 & 0x1ff_ffff } else { 0 }
    }

    /// ESB with FEAT_RAS: SErrors that are pending and masked are deferred to DISR_EL1 and VDISR_EL2 (Arm ARM,
    /// C6.2 ESB). The others are taken by the next [`Cpu::poll_interrupts`].
    pub fn error_barrier(&mut self) {
        const A: u64 = 1 << 31;
        if !self.identity.has(Feat::Ras) {
            return;
        }
        if let (Some(iss), None) = (self.requests.serror(), self.physical_target(Kind::SError)) {
            self.requests.take_serror();
            self.sys[Reg::DISR_EL1] = A | u64::from(iss & 0x1ff_ffff);
        }
        let masked = self.pstate.daif & Pstate::A != 0;
        if self.hcr() & hcr::VSE != 0 && self.virtual_enabled(Kind::SError) && masked {
            self.sys[Reg::VDISR_EL2] = A | u64::from(self.virtual_serror_iss());
            self.sys[Reg::HCR_EL2] &= !hcr::VSE;
            self.refresh();
        }
    }

    /// True if a WFI does not sleep: an interrupt is pending, whether PSTATE masks it or not (Arm ARM, D1.6.2).
    pub fn wakes_wfi(&self) -> bool {
        let waiting = self.waiting();
        waiting.physical.contains(&true)
            || Kind::ALL.into_iter().zip(waiting.virt).any(|(kind, p)| p && self.virtual_enabled(kind))
    }

    /// The trap of a WFI, WFE, WFIT or WFET that would sleep: by SCTLR_ELx.nTWI and nTWE at EL0, by HCR_EL2.TWI and
    /// TWE below EL2. `rn` is the register with the timeout (31 without).
    pub fn check_wait(&self, kind: WaitKind, rn: u8) -> Result<(), Exception> {
        let event = matches!(kind, WaitKind::Wfe | WaitKind::Wfet);
        let with_timeout = matches!(kind, WaitKind::Wfit | WaitKind::Wfet);
        // CV = 1, COND = 0b1110; RN and RV for the forms with a timeout.
        let rn = if with_timeout { u32::from(rn & 31) << 5 | 1 << 2 } else { 0 };
        let trap = |target| Err(Exception::Trap { target, ec: ec::WFX, iss: 0x1e << 20 | rn | kind as u32 });
        let el = self.pstate.el;
        if el == El::El0 {
            let controller = self.controller_of(el);
            let control = self.sys[Banked::SCTLR.at(controller)];
            if control & if event { sctlr::NTWE } else { sctlr::NTWI } == 0 {
                return trap(controller);
            }
        }
        if el < El::El2 && self.hcr() & if event { hcr::TWE } else { hcr::TWI } != 0 {
            return trap(El::El2);
        }
        Ok(())
    }
}
