//! PSTATE as a debugger writes it.

use emu_a64::features::Feat;
use emu_a64::level::El;

use super::entry::spsr;
use crate::cpu::Cpu;

impl Cpu {
    /// Sets PSTATE from the layout of SPSR_ELx, as [`Cpu::spsr`] shows it; Exception level and stack pointer may change.
    /// False, and nothing changed, if the value names a state that this PE does not have.
    pub fn set_spsr(&mut self, value: u64) -> bool {
        let el = El::from_bits(value);
        if value & (spsr::AARCH32 | 2) != 0 || !self.has_el(el) || el == El::El0 && value & 1 != 0 {
            return false;
        }
        let features = self.identity.features();
        let bit = |feat: Feat, bit: u64| features.has(feat) && value & bit != 0;
        self.regs.nzcv = value as u32 & 0xf000_0000;
        let p = &mut self.pstate;
        p.daif = (value >> spsr::DAIF & 15) as u8;
        p.il = value & spsr::IL != 0;
        p.ss = value & spsr::SS != 0;
        p.pan = bit(Feat::Pan, spsr::PAN);
        p.uao = bit(Feat::Uao, spsr::UAO);
        p.dit = bit(Feat::Dit, spsr::DIT);
        p.ssbs = bit(Feat::Ssbs, spsr::SSBS);
        p.btype = if features.has(Feat::Bti) { (value >> spsr::BTYPE & 3) as u8 } else { 0 };
        self.set_level(el, value & 1 != 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::El;
    use crate::test_pe::max;

    #[test]
    fn what_is_shown_can_be_written() {
        let mut b = max();
        let c = &mut b.cpu;
        assert!(c.set_spsr(0x6000_03c9));
        assert_eq!((c.pstate.el, c.pstate.sp_sel, c.spsr()), (El::El2, true, 0x6000_03c9));
        assert!(c.set_spsr(0x8000_0000));
        assert_eq!((c.pstate.el, c.spsr()), (El::El0, 0x8000_0000));
        for bad in [0xd, 0x10, 0x2, 0x1] {
            assert!(!c.set_spsr(bad), "{bad:#x}");
        }
        assert_eq!(c.spsr(), 0x8000_0000);
    }
}
