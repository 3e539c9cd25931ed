//! Self-hosted debug (Arm ARM, D2).

use emu_a64::level::El;

use super::entry::spsr;
use crate::cpu::Cpu;
use crate::sysreg::{Reg, hcr, mdcr};

/// State of the software step machine (Arm ARM, D2.12.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepState {
    /// Software step is not active: execute.
    Inactive,
    /// One instruction is executed, then PSTATE.SS is cleared.
    NotPending,
    /// A software step exception is taken before the next instruction.
    Pending,
}

/// MDSCR_EL1: software step enable, kernel debug enable, monitor debug events.
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;

/// PSTATE.D in [`emu_a64::regs::Pstate::daif`].
const MASK_D: u8 = emu_a64::regs::Pstate::D;

impl Cpu {
    /// Whether debug exceptions other than BRK are taken from an Exception level with this PSTATE.DAIF
    /// (AArch64.GenerateDebugExceptionsFrom).
    fn debug_enabled_from(&self, el: El, daif: u8) -> bool {
        // The OS lock; the OS double lock, unless DBGPRCR_EL1.CORENPDRQ holds power.
        let double_lock = self.sys[Reg::OSDLR_EL1] & 1 != 0 && self.sys[Reg::DBGPRCR_EL1] & 1 == 0;
        if self.sys[Reg::OSLAR_EL1] & 1 != 0 || double_lock {
            return false;
        }
        let target = self.debug_level();
        if el == target { self.sys[Reg::MDSCR_EL1] & KDE != 0 && daif & MASK_D == 0 } else { target > el }
    }

    /// The level that debug exceptions go to from below: EL2 if HCR_EL2.TGE or MDCR_EL2.TDE is set, else EL1 (pseudocode
    /// function DebugTarget).
    pub(super) fn debug_level(&self) -> El {
        let to_el2 =
            self.el2_enabled() && (self.hcr() & hcr::TGE != 0 || self.sys[Reg::MDCR_EL2] & mdcr::TDE != 0);
        if to_el2 { El::El2 } else { El::El1 }
    }

    /// MDSCR_EL1.SS or MDE: stepping, breakpoints or watchpoints are in use, at some Exception level.
    pub(super) fn software_debug_enabled(&self) -> bool {
        self.sys[Reg::MDSCR_EL1] & (SS | MDE) != 0
    }

    /// MDSCR_EL1.MDE: breakpoints and watchpoints are in use, at some Exception level.
    #[must_use]
    pub fn monitor_debug_enabled(&self) -> bool {
        self.sys[Reg::MDSCR_EL1] & MDE != 0
    }

    /// Breakpoints and watchpoints can match (MDSCR_EL1.MDE, not masked). Cheap.
    #[must_use]
    pub fn debug_events_enabled(&self) -> bool {
        self.monitor_debug_enabled() && self.debug_enabled_from(self.pstate.el, self.pstate.daif)
    }

    /// What the software step machine does with the next instruction.
    #[must_use]
    pub fn step_state(&self) -> StepState {
        let active =
            self.sys[Reg::MDSCR_EL1] & SS != 0 && self.debug_enabled_from(self.pstate.el, self.pstate.daif);
        match (active, self.pstate.ss) {
            (false, _) => StepState::Inactive,
            (true, true) => StepState::NotPending,
            (true, false) => StepState::Pending,
        }
    }

    /// PSTATE.SS after an exception return (DebugExceptionReturnSS): SPSR.SS if stepping is off here and on there.
    pub(super) fn step_bit_on_return(&self, saved: u64, legal: bool) -> bool {
        if self.sys[Reg::MDSCR_EL1] & SS == 0 || saved & spsr::SS == 0 {
            return false;
        }
        let here = self.debug_enabled_from(self.pstate.el, self.pstate.daif);
        let el = if legal { El::from_bits(saved) } else { self.pstate.el };
        !here && self.debug_enabled_from(el, (saved >> spsr::DAIF & 15) as u8)
    }
}
