//! Taking an exception (Arm ARM, D1.4 and the pseudocode function AArch64.TakeException).

use emu_a64::features::Feat;
use emu_a64::level::El;
use emu_a64::regs::{Pstate, nzcv};
use emu_core::metrics::Metric;

use crate::cpu::Cpu;
use crate::level::Banked;
use crate::sysreg::sctlr;

/// Offsets in the vector table for the four kinds of exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Vector {
    Synchronous = 0,
    Irq = 0x80,
    Fiq = 0x100,
    SError = 0x180,
}

/// Bits of SPSR_ELx.
pub(crate) mod spsr {
    pub(crate) const TCO: u64 = 1 << 25;
    pub(crate) const DIT: u64 = 1 << 24;
    pub(crate) const UAO: u64 = 1 << 23;
    pub(crate) const PAN: u64 = 1 << 22;
    pub(crate) const SS: u64 = 1 << 21;
    pub(crate) const IL: u64 = 1 << 20;
    pub(crate) const SSBS: u64 = 1 << 12;
    pub(crate) const BTYPE: u32 = 10;
    pub(crate) const DAIF: u32 = 6;
    pub(crate) const AARCH32: u64 = 1 << 4;
}

impl Cpu {
    /// The value that SPSR_ELx gets from the current PSTATE.
    #[must_use]
    pub fn spsr(&self) -> u64 {
        let p = &self.pstate;
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        u64::from(self.regs.nzcv & (nzcv::N | nzcv::Z | nzcv::C | nzcv::V))
            | flag(p.tco, spsr::TCO)
            | flag(p.dit, spsr::DIT)
            | flag(p.uao, spsr::UAO)
            | flag(p.pan, spsr::PAN)
            | flag(p.ss, spsr::SS)
            | flag(p.il, spsr::IL)
            | flag(p.ssbs, spsr::SSBS)
            | u64::from(p.btype & 3) << spsr::BTYPE
            | u64::from(p.daif & 15) << spsr::DAIF
            | p.el.bits()
            | u64::from(p.sp_sel)
    }

    /// Enters `target` by its vector table; `ret` goes to ELR. The syndrome registers are the caller's.
    pub(crate) fn enter(&mut self, target: El, vector: Vector, ret: u64) {
        let base = match (target > self.pstate.el, self.pstate.sp_sel) {
            (true, _) => 0x400,
            (false, true) => 0x200,
            (false, false) => 0,
        };
        let saved = self.spsr();
        self.counters.bump(if target == El::El2 { Metric::ExcToEl2 } else { Metric::ExcToEl1 });
        self.sys[Banked::SPSR.at(target)] = saved;
        self.sys[Banked::ELR.at(target)] = ret;
        let control = self.sys[Banked::SCTLR.at(target)];
        let host = self.is_in_host(El::El0);
        let p = &mut self.pstate;
        // Set on entry to EL1, and to EL2 if that is the host of its EL0, unless SPAN says to leave it.
        if self.identity.has(Feat::Pan) && (target == El::El1 || host) && control & sctlr::SPAN == 0 {
            p.pan = true;
        }
        p.daif = Pstate::D | Pstate::A | Pstate::I | Pstate::F;
        p.uao = false;
        p.btype = 0;
        p.ss = false;
        p.il = false;
        p.ssbs = control & sctlr::DSSBS != 0 && self.identity.has(Feat::Ssbs);
        self.regs.pc = (self.sys[Banked::VBAR.at(target)] & !0x7ff).wrapping_add(base + vector as u64);
        self.set_level(target, true);
    }
}
