//! What needs no check at present: host code looks here instead of asking each time whether an instruction traps.
//!
//! [`crate::mem::context::select`] finds them again, after every change of the context. Where a permit is not given the instruction must be checked, and may be allowed
//! nevertheless.

use super::{Reg, fine, hcr, sctlr, trap};
use crate::cpu::Cpu;
use crate::pauth;

/// See the module's head. Not 0: given.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Permits {
    /// DC ZVA.
    pub zero_block: u8,
    /// DC CVAC, CVAU, CIVAC and IC IVAU, but for the translation of the address.
    pub clean: u8,
    /// Reads of DCZID_EL0, which give [`DCZID`].
    pub zero_size: u8,
    /// Pointer authentication.
    pub pauth: pauth::Quick,
}

/// DCZID_EL0 where DC ZVA is permitted: blocks of 64 bytes.
pub const DCZID: u64 = 4;
/// HFGRTR_EL2.DCZID_EL0.
const TRAPS_DCZID: u64 = 1 << 15;

impl Permits {
    /// Those of the current state.
    pub(crate) fn of(cpu: &Cpu) -> Self {
        let (el, h) = (cpu.pstate.el, cpu.hcr());
        let is_fine = fine::active(cpu);
        let sctlr = cpu.sys[if trap::el0_in_host(cpu) { Reg::SCTLR_EL2 } else { Reg::SCTLR_EL1 }];
        let instruction = |traps: u64, el0_needs: u64| {
            (!is_fine || cpu.sys[Reg::HFGITR_EL2] == 0)
                && (el > 0 || sctlr & el0_needs != 0)
                && (el > 1 || h & traps == 0)
        };
        let zero_block = instruction(hcr::TDZ, sctlr::DZE);
        let reads_size = !is_fine || cpu.sys[Reg::HFGRTR_EL2] & TRAPS_DCZID == 0;
        Self {
            zero_block: u8::from(zero_block),
            clean: u8::from(instruction(hcr::TPCP | hcr::TPU | hcr::TOCU, sctlr::UCI)),
            zero_size: u8::from(zero_block && reads_size),
            pauth: pauth::Quick::of(cpu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::context::select;
    use crate::model::Model;
    use crate::test_pe::bench;

    #[test]
    fn a_permit_is_given_only_where_nothing_traps() {
        let mut b = bench(Model::max(), true);
        let c = &mut b.cpu;
        c.set_level(1, true);
        select(c);
        assert_eq!((c.permits.zero_block, c.permits.clean, c.permits.zero_size), (1, 1, 1));
        for (reg, bits, expected) in [
            (Reg::HCR_EL2, hcr::TDZ, (0, 1, 0)),
            (Reg::HCR_EL2, hcr::TPCP, (1, 0, 1)),
            (Reg::HFGITR_EL2, 1 << 11, (0, 0, 0)),
            (Reg::HFGRTR_EL2, TRAPS_DCZID, (1, 1, 0)),
        ] {
            let old = c.sys[reg];
            c.sys[reg] |= bits;
            c.refresh();
            select(c);
            assert_eq!((c.permits.zero_block, c.permits.clean, c.permits.zero_size), expected, "{reg:?}");
            c.sys[reg] = old;
        }
        c.set_level(0, false);
        select(c);
        assert_eq!((c.permits.zero_block, c.permits.clean), (0, 0), "SCTLR_EL1.DZE, UCI");
        c.sys[Reg::SCTLR_EL1] |= sctlr::DZE | sctlr::UCI;
        c.refresh();
        select(c);
        assert_eq!((c.permits.zero_block, c.permits.clean), (1, 1));
    }
}
