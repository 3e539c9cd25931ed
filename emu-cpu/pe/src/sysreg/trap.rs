//! What traps an access to a system register: one rule per kind of control bit.

use emu_a64::ir::{ExcOp, SysEnc};
use emu_a64::level::El;

use super::{Reg, cptr, hcr, mdcr};
use crate::cpu::Cpu;
use crate::exception::{Exception, ec, syndrome::sysreg_iss};
use crate::level::Banked;
use crate::pmu::registers as pmu;

/// A reason to trap an access that is otherwise allowed. The rules of a row are asked in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// A bit of HCR_EL2, for accesses below EL2.
    Hcr(u64),
    /// As [`Trap::Hcr`], for reads only.
    HcrRead(u64),
    /// As [`Trap::Hcr`], for writes only.
    HcrWrite(u64),
    /// A bit of HCR_EL2 that traps if it is 0.
    HcrClear(u64),
    /// A bit of SCTLR_ELx that EL0 needs to be 1.
    El0Needs(u64),
    /// A bit of SCTLR_ELx that EL0 needs to be 0.
    El0Forbids(u64),
    /// CPTR_EL2.TCPAC, for accesses from EL1.
    Tcpac,
    /// SIMD&FP registers.
    Fp,
    /// A bit of MDCR_EL2, for accesses below EL2. TDA, TDOSA and TDRA count as set if TDE or HCR_EL2.TGE is.
    Mdcr(u64),
    /// PMUSERENR_EL0, for accesses from EL0: EN, or for reads or writes one of these.
    PmuEl0 {
        /// Bits that allow reading.
        read: u64,
        /// Bits that allow writing.
        write: u64,
    },
    /// The registers of an event counter: below EL2 those that MDCR_EL2.HPMN keeps for EL2. (To trap is one of the
    /// choices that the architecture gives, and the only one with FEAT_FGT.)
    Counter(usize),
    /// As [`Trap::Counter`], for the one that PMSELR_EL0 selects.
    SelectedCounter,
    /// MDSCR_EL1.TDCC at EL0.
    Dcc,
    /// CNTPCT_EL0.
    PhysicalCounter,
    /// CNTVCT_EL0.
    VirtualCounter,
    /// CNTFRQ_EL0: EL0 may read it if it may read either counter.
    Frequency,
    /// CNTP_*_EL0.
    PhysicalTimer,
    /// CNTV_*_EL0.
    VirtualTimer,
    /// UNDEFINED while the stack pointer in use is SP_EL0.
    NeedsSpSel,
    /// UNDEFINED below the highest Exception level.
    HighestEl,
    /// As [`Trap::HighestEl`], for writes.
    HighestElWrite,
}

/// CNTKCTL_EL1, and CNTHCTL_EL2 with E2H.
mod cnt {
    pub(super) const EL0PCTEN: u64 = 1;
    pub(super) const EL0VCTEN: u64 = 1 << 1;
    pub(super) const EL0VTEN: u64 = 1 << 8;
    pub(super) const EL0PTEN: u64 = 1 << 9;
    /// CNTHCTL_EL2 without E2H: EL1PCTEN, EL1PCEN.
    pub(super) const EL1PCTEN: u64 = 1;
    pub(super) const EL1PCEN: u64 = 1 << 1;
    /// CNTHCTL_EL2 with E2H: EL1PCTEN, EL1PTEN.
    pub(super) const EL1PCTEN_E2H: u64 = 1 << 10;
    pub(super) const EL1PTEN_E2H: u64 = 1 << 11;
    /// In both layouts (FEAT_ECV).
    pub(super) const EL1TVT: u64 = 1 << 13;
    pub(super) const EL1TVCT: u64 = 1 << 14;
}

/// PMUSERENR_EL0.
pub(super) mod pmuserenr {
    pub(in super::super) const EN: u64 = 1;
    pub(in super::super) const SW: u64 = 1 << 1;
    pub(in super::super) const CR: u64 = 1 << 2;
    pub(in super::super) const ER: u64 = 1 << 3;
}

/// MDSCR_EL1.TDCC.
const TDCC: u64 = 1 << 12;

impl Trap {
    /// It never traps an access at this Exception level.
    pub(super) const fn spares(self, el: El) -> bool {
        match self {
            Self::Hcr(_) | Self::HcrRead(_) | Self::HcrWrite(_) | Self::HcrClear(_) => {
                matches!(el, El::El2 | El::El3)
            }
            Self::El0Needs(_) | Self::El0Forbids(_) => el.is_privileged(),
            _ => false,
        }
    }

    /// The Exception level that the access traps to: EL1 (subject to TGE) or EL2.
    fn target(self, cpu: &Cpu, read: bool) -> Option<El> {
        let el = cpu.pstate.el;
        let below = el < El::El2 && cpu.el2_enabled();
        let h = cpu.hcr();
        let to_el2 = |trapped: bool| (below && trapped).then_some(El::El2);
        match self {
            Self::Hcr(bit) => to_el2(h & bit != 0),
            Self::HcrRead(bit) => to_el2(read && h & bit != 0),
            Self::HcrWrite(bit) => to_el2(!read && h & bit != 0),
            Self::HcrClear(bit) => to_el2(h & bit == 0 && !cpu.is_in_host(el)),
            Self::El0Needs(bit) => el0_control(cpu, |sctlr| sctlr & bit == 0),
            Self::El0Forbids(bit) => el0_control(cpu, |sctlr| sctlr & bit != 0),
            Self::Tcpac => to_el2(el == El::El1 && cpu.sys[Reg::CPTR_EL2] & cptr::TCPAC != 0),
            Self::Fp | Self::NeedsSpSel | Self::HighestEl | Self::HighestElWrite => None,
            Self::Mdcr(bit) => {
                let control = cpu.sys[Reg::MDCR_EL2];
                let all_debug = (control & mdcr::TDE != 0 || h & hcr::TGE != 0)
                    && bit & (mdcr::TDA | mdcr::TDOSA | mdcr::TDRA) != 0;
                to_el2(control & bit != 0 || all_debug)
            }
            Self::PmuEl0 { read: reads, write: writes } => {
                let allowing = pmuserenr::EN | if read { reads } else { writes };
                (el == El::El0 && cpu.sys[Reg::PMUSERENR_EL0] & allowing == 0).then_some(El::El1)
            }
            Self::Counter(n) => to_el2(pmu::is_hidden(cpu, n)),
            Self::SelectedCounter => to_el2(pmu::is_hidden(cpu, pmu::selected(cpu))),
            Self::Dcc => (el == El::El0 && cpu.sys[Reg::MDSCR_EL1] & TDCC != 0).then_some(El::El1),
            Self::PhysicalCounter => {
                el0_counter(cpu, cnt::EL0PCTEN).or_else(|| el1_counter(cpu, cnt::EL1PCTEN, cnt::EL1PCTEN_E2H))
            }
            Self::VirtualCounter => {
                el0_counter(cpu, cnt::EL0VCTEN).or_else(|| virtual_trap(cpu, cnt::EL1TVCT))
            }
            Self::Frequency => el0_counter(cpu, cnt::EL0PCTEN | cnt::EL0VCTEN),
            Self::PhysicalTimer => {
                el0_counter(cpu, cnt::EL0PTEN).or_else(|| el1_counter(cpu, cnt::EL1PCEN, cnt::EL1PTEN_E2H))
            }
            Self::VirtualTimer => el0_counter(cpu, cnt::EL0VTEN).or_else(|| virtual_trap(cpu, cnt::EL1TVT)),
        }
    }

    /// The exception, if an access with the encoding `enc` and register `rt` traps.
    pub(super) fn check(self, cpu: &Cpu, enc: SysEnc, rt: u8, read: bool) -> Result<(), Exception> {
        let highest = cpu.pstate.el == cpu.identity.levels().highest();
        let refused = match self {
            Self::Fp if !cpu.derived.fp_enabled() => Some(ExcOp::FpAccess),
            Self::NeedsSpSel if !cpu.pstate.sp_sel => Some(ExcOp::Undefined),
            Self::HighestEl if !highest => Some(ExcOp::Undefined),
            Self::HighestElWrite if !read && !highest => Some(ExcOp::Undefined),
            _ => None,
        };
        if let Some(op) = refused {
            return Err(Exception::Insn(op));
        }
        match self.target(cpu, read) {
            Some(target) => Err(trap(target, enc, rt, read)),
            None => Ok(()),
        }
    }
}

/// The trap of a system register access to `target`.
pub(super) const fn trap(target: El, enc: SysEnc, rt: u8, read: bool) -> Exception {
    Exception::Trap { target, ec: ec::SYSREG, iss: sysreg_iss(enc, rt, read) }
}

/// Controls of EL0 in SCTLR_EL1, or in the host's SCTLR_EL2.
fn el0_control(cpu: &Cpu, traps: impl Fn(u64) -> bool) -> Option<El> {
    el0_controlled_by(cpu, Banked::SCTLR, traps)
}

/// EL0's access to counters and timers: one of `enable` in CNTKCTL_EL1, or in the host's CNTHCTL_EL2.
fn el0_counter(cpu: &Cpu, enable: u64) -> Option<El> {
    el0_controlled_by(cpu, Banked::CNTKCTL, |control| control & enable == 0)
}

/// At EL0: whether the register of the level that controls it traps.
fn el0_controlled_by(cpu: &Cpu, register: Banked, traps: impl Fn(u64) -> bool) -> Option<El> {
    let controller = cpu.controller_of(El::El0);
    (cpu.pstate.el == El::El0 && traps(cpu.sys[register.at(controller)])).then_some(controller)
}

/// Access from EL1, and from EL0 unless in a host, to what is physical: enabled by CNTHCTL_EL2.
fn el1_counter(cpu: &Cpu, enable: u64, enable_e2h: u64) -> Option<El> {
    let bit = if cpu.hcr() & hcr::E2H != 0 { enable_e2h } else { enable };
    (cpu.is_in_guest() && cpu.sys[Reg::CNTHCTL_EL2] & bit == 0).then_some(El::El2)
}

/// Access from EL1, and from EL0 unless in a host, to what is virtual: trapped by a bit of CNTHCTL_EL2 (FEAT_ECV).
fn virtual_trap(cpu: &Cpu, bit: u64) -> Option<El> {
    (cpu.is_in_guest() && cpu.sys[Reg::CNTHCTL_EL2] & bit != 0).then_some(El::El2)
}
