//! Self-hosted debug (Arm ARM, D2): when debug exceptions are enabled, and software step. Breakpoints and watchpoints are in
//! `comparators`.
//!
//! Everything here is an answer about registers that others keep: [`SelfHostedDebug`] is a view of these.

mod comparators;

use emu_a64::level::El;
use emu_a64::regs::Pstate;
use emu_core::Security;

use crate::cpu::Cpu;
use crate::identity::Identity;
use crate::level;
use crate::sysreg::{Reg, SysState, hcr, mdcr};

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

/// The debug registers, and what debug depends on beside them.
#[derive(Clone, Copy)]
pub struct SelfHostedDebug<'a> {
    sys: &'a SysState,
    identity: &'a Identity,
    pstate: &'a Pstate,
    /// The effective value of HCR_EL2.
    hcr: u64,
    security: Security,
}

impl Cpu {
    /// Self-hosted debug in the present state.
    #[inline]
    #[must_use]
    pub const fn debug(&self) -> SelfHostedDebug<'_> {
        SelfHostedDebug {
            sys: &self.sys,
            identity: &self.identity,
            pstate: &self.pstate,
            hcr: self.hcr(),
            security: self.security(),
        }
    }
}

impl SelfHostedDebug<'_> {
    /// Whether debug exceptions other than BRK are taken from an Exception level with this PSTATE.DAIF
    /// (AArch64.GenerateDebugExceptionsFrom).
    fn enabled_from(&self, el: El, daif: u8) -> bool {
        // The OS lock; the OS double lock, unless DBGPRCR_EL1.CORENPDRQ holds power.
        let double_lock = self.sys[Reg::OSDLR_EL1] & 1 != 0 && self.sys[Reg::DBGPRCR_EL1] & 1 == 0;
        if self.sys[Reg::OSLAR_EL1] & 1 != 0 || double_lock {
            return false;
        }
        let target = self.level();
        if el == target { self.sys[Reg::MDSCR_EL1] & KDE != 0 && daif & Pstate::D == 0 } else { target > el }
    }

    fn enabled_here(&self) -> bool {
        self.enabled_from(self.pstate.el, self.pstate.daif)
    }

    fn el2_enabled(&self) -> bool {
        self.identity.levels().contains(El::El2)
    }

    fn is_in_host(&self, el: El) -> bool {
        level::is_in_host(el, self.hcr)
    }

    /// The level that debug exceptions go to from below: EL2 if HCR_EL2.TGE or MDCR_EL2.TDE is set, else EL1 (pseudocode
    /// function DebugTarget).
    pub(crate) fn level(&self) -> El {
        let to_el2 =
            self.el2_enabled() && (self.hcr & hcr::TGE != 0 || self.sys[Reg::MDCR_EL2] & mdcr::TDE != 0);
        if to_el2 { El::El2 } else { El::El1 }
    }

    /// MDSCR_EL1.SS or MDE: stepping, breakpoints or watchpoints are in use, at some Exception level.
    pub(crate) fn is_in_use(&self) -> bool {
        self.sys[Reg::MDSCR_EL1] & (SS | MDE) != 0
    }

    /// MDSCR_EL1.MDE: breakpoints and watchpoints are in use, at some Exception level.
    #[must_use]
    pub fn monitors(&self) -> bool {
        self.sys[Reg::MDSCR_EL1] & MDE != 0
    }

    /// Breakpoints and watchpoints can match (MDSCR_EL1.MDE, not masked). Cheap.
    #[must_use]
    pub fn events_enabled(&self) -> bool {
        self.monitors() && self.enabled_here()
    }

    /// What the software step machine does with the next instruction.
    #[must_use]
    pub fn step_state(&self) -> StepState {
        let active = self.sys[Reg::MDSCR_EL1] & SS != 0 && self.enabled_here();
        match (active, self.pstate.ss) {
            (false, _) => StepState::Inactive,
            (true, true) => StepState::NotPending,
            (true, false) => StepState::Pending,
        }
    }

    /// PSTATE.SS after an exception return to `el` with this PSTATE.DAIF (pseudocode function DebugExceptionReturnSS):
    /// SPSR.SS, which is `saved`, if stepping is off here and on there.
    pub(crate) fn step_bit_on_return(&self, saved: bool, el: El, daif: u8) -> bool {
        saved && self.sys[Reg::MDSCR_EL1] & SS != 0 && !self.enabled_here() && self.enabled_from(el, daif)
    }
}
