//! What depends on Exception levels, asked in the architecture's words: which level a setting belongs to, who is under whose
//! control, and which registers a level has for itself.

use emu_a64::level::El;
use emu_core::Security;

use crate::cpu::Cpu;
use crate::sysreg::{Reg, hcr};

/// `el` is that of a host: EL2 with HCR_EL2.E2H set, and EL0 while TGE is set as well (pseudocode function ELIsInHost).
/// `hcr` is the effective value of HCR_EL2.
#[must_use]
pub(crate) const fn is_in_host(el: El, hcr: u64) -> bool {
    let needs = match el {
        El::El0 => hcr::E2H | hcr::TGE,
        El::El2 => hcr::E2H,
        El::El1 | El::El3 => return false,
    };
    hcr & needs == needs
}

/// A register that each Exception level with exceptions and translation of its own has: `SCTLR_ELx`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Banked {
    el1: Reg,
    el2: Reg,
}

impl Banked {
    pub(crate) const ELR: Self = Self { el1: Reg::ELR_EL1, el2: Reg::ELR_EL2 };
    pub(crate) const ESR: Self = Self { el1: Reg::ESR_EL1, el2: Reg::ESR_EL2 };
    pub(crate) const FAR: Self = Self { el1: Reg::FAR_EL1, el2: Reg::FAR_EL2 };
    pub(crate) const MAIR: Self = Self { el1: Reg::MAIR_EL1, el2: Reg::MAIR_EL2 };
    pub(crate) const SCTLR: Self = Self { el1: Reg::SCTLR_EL1, el2: Reg::SCTLR_EL2 };
    pub(crate) const SPSR: Self = Self { el1: Reg::SPSR_EL1, el2: Reg::SPSR_EL2 };
    pub(crate) const TCR: Self = Self { el1: Reg::TCR_EL1, el2: Reg::TCR_EL2 };
    pub(crate) const TTBR0: Self = Self { el1: Reg::TTBR0_EL1, el2: Reg::TTBR0_EL2 };
    pub(crate) const TTBR1: Self = Self { el1: Reg::TTBR1_EL1, el2: Reg::TTBR1_EL2 };
    pub(crate) const VBAR: Self = Self { el1: Reg::VBAR_EL1, el2: Reg::VBAR_EL2 };
    /// What lets EL0 use counters and timers: CNTKCTL_EL1, and in a host CNTHCTL_EL2.
    pub(crate) const CNTKCTL: Self = Self { el1: Reg::CNTKCTL_EL1, el2: Reg::CNTHCTL_EL2 };

    /// The one of `el`; EL0 has none, and is subject to EL1's. No PE has EL3 so far, whose registers would be a third.
    #[inline]
    #[must_use]
    pub(crate) const fn at(self, el: El) -> Reg {
        match el {
            El::El0 | El::El1 => self.el1,
            El::El2 | El::El3 => self.el2,
        }
    }
}

impl Cpu {
    /// The PE has this level (pseudocode function HaveEL).
    #[inline]
    #[must_use]
    pub const fn has_el(&self, el: El) -> bool {
        self.identity.levels().contains(el)
    }

    /// The Security state that the PE is in (pseudocode function CurrentSecurityState). Without EL3 there is one.
    #[inline]
    #[must_use]
    pub const fn security(&self) -> Security {
        Security::NonSecure
    }

    /// EL2 controls the levels below it (pseudocode function EL2Enabled).
    #[inline]
    #[must_use]
    pub const fn el2_enabled(&self) -> bool {
        self.has_el(El::El2)
    }

    /// See [`is_in_host`].
    #[inline]
    #[must_use]
    pub(crate) const fn is_in_host(&self, el: El) -> bool {
        is_in_host(el, self.hcr())
    }

    /// The level whose registers control translation for `el`, and what `el` may do: its own, or that above EL0 (pseudocode
    /// function S1TranslationRegime).
    #[inline]
    #[must_use]
    pub(crate) const fn controller_of(&self, el: El) -> El {
        match el {
            El::El0 if self.is_in_host(El::El0) => El::El2,
            El::El0 => El::El1,
            el => el,
        }
    }

    /// This is EL1, or EL0 of an operating system at EL1, and there is an EL2 whose guest that is.
    #[inline]
    #[must_use]
    pub(crate) fn is_in_guest(&self) -> bool {
        let el = self.pstate.el;
        self.el2_enabled() && el < El::El2 && !self.is_in_host(el)
    }
}
