//! Exception return (Arm ARM, D1.5 and the pseudocode functions AArch64.ExceptionReturn and SetPSTATEFromPSR).

use emu_a64::features::Feat;
use emu_a64::ir::PacOp;
use emu_a64::level::El;
use emu_a64::regs::SP;
use emu_core::metrics::Metric;

use super::Exception;
use super::entry::spsr;
use crate::cpu::Cpu;
use crate::level::Banked;
use crate::sysreg::hcr;

impl Cpu {
    /// ERET at EL1 or EL2.
    pub fn eret(&mut self) -> Result<(), Exception> {
        self.check_eret(None)?;
        self.eret_to(self.elr());
        Ok(())
    }

    /// ERETAA, ERETAB: ELR_ELx authenticated with SP as the modifier.
    pub fn eret_authenticated(&mut self, key_b: bool) -> Result<(), Exception> {
        self.check_eret(Some(key_b))?;
        let op = if key_b { PacOp::AutIb } else { PacOp::AutIa };
        let ret = self.authenticate(op, self.elr(), self.regs.x[SP])?;
        self.eret_to(ret);
        Ok(())
    }

    fn elr(&self) -> u64 {
        self.sys[Banked::ELR.at(self.pstate.el)]
    }

    fn eret_to(&mut self, ret: u64) {
        let from = self.pstate.el;
        let saved = self.sys[Banked::SPSR.at(from)];
        self.counters.bump(Metric::ExceptionReturns);
        self.repeats.end();
        let legal = self.return_is_legal(saved);
        let to = if legal { El::from_bits(saved) } else { from };
        let daif = (saved >> spsr::DAIF & 15) as u8;
        let step = self.debug().step_bit_on_return(saved & spsr::SS != 0, to, daif);
        let features = self.identity.features();
        let bit = |feat: Feat, bit: u64| features.has(feat) && saved & bit != 0;
        if legal {
            self.pstate.il = saved & spsr::IL != 0;
            self.pstate.uao = bit(Feat::Uao, spsr::UAO);
            self.pstate.dit = bit(Feat::Dit, spsr::DIT);
            self.pstate.ssbs = bit(Feat::Ssbs, spsr::SSBS);
            self.pstate.btype = if features.has(Feat::Bti) { (saved >> spsr::BTYPE & 3) as u8 } else { 0 };
            self.pstate.tco = false;
        } else {
            self.pstate.il = true;
        }
        self.pstate.ss = step;
        self.pstate.pan = bit(Feat::Pan, spsr::PAN);
        self.pstate.daif = daif;
        self.regs.nzcv = saved as u32 & 0xf000_0000;
        if legal {
            self.set_level(to, saved & 1 != 0);
        } else {
            self.refresh();
        }
        self.regs.pc = self.branch_address(ret);
        self.mem.clear_exclusive();
        self.wires.doorbell().send_event();
        crate::trace::exception_return(self, from);
    }

    /// False for an illegal exception return: AArch32, an EL that is higher than this one, EL1 while TGE is set,
    /// reserved values of M.
    fn return_is_legal(&self, saved: u64) -> bool {
        let el = El::from_bits(saved);
        let reserved = saved & spsr::AARCH32 != 0 || saved & 2 != 0 || el == El::El0 && saved & 1 != 0;
        let from_el2_to_el1 = self.pstate.el == El::El2 && el == El::El1;
        !reserved && el <= self.pstate.el && !(from_el2_to_el1 && self.hcr() & hcr::TGE != 0)
    }

    /// Where a branch to `va` goes: with top byte ignore for instruction addresses, the tag is replaced by copies of
    /// bit 55 (or zero at EL2 without E2H). Pseudocode function AArch64.BranchAddr.
    #[inline]
    #[must_use]
    pub fn branch_address(&self, va: u64) -> u64 {
        let controller = self.controller_of(self.pstate.el);
        let tcr = self.sys[Banked::TCR.at(controller)];
        let upper = va >> 55 & 1 != 0;
        // TCR_ELx with two ranges: TBI0 37, TBI1 38, TBID0 51, TBID1 52; TCR_EL2 with one: TBI 20, TBID 29. The TBID
        // bits belong to FEAT_PAuth and are RES0 without it.
        if controller == El::El2 && !self.is_in_host(El::El2) {
            let ignored = tcr >> 20 & 1 != 0 && tcr >> 29 & 1 == 0;
            return if ignored { va & (u64::MAX >> 8) } else { va };
        }
        let (tbi, tbid) = if upper { (38, 52) } else { (37, 51) };
        if tcr >> tbi & 1 == 0 || tcr >> tbid & 1 != 0 {
            va
        } else if upper {
            va | 0xff << 56
        } else {
            va & (u64::MAX >> 8)
        }
    }
}
