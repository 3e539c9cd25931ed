//! What needs no check at present: host code looks here instead of asking each time whether an instruction traps.
//!
//! A permit is for the accesses whose rows name it ([`InLine`]), and is given where nothing of what these rows say traps.
//! [`crate::mem::context::select`] finds all permits again, after every change of the context. Where one is not given the
//! instruction must be checked, and may be allowed nevertheless.

use emu_a64::level::El;

use super::fine::Group;
use super::row::{InLine, Row};
use super::special::dczid;
use super::table::WRITTEN;
use super::trap::Trap;
use super::{Reg, fine};
use crate::cpu::Cpu;
use crate::level::Banked;
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

/// All that can trap what one permit is for.
struct Traps {
    /// Bits of HCR_EL2.
    hcr: u64,
    /// Bits of SCTLR_ELx that EL0 needs.
    el0_needs: u64,
    /// Bits of HFGRTR_EL2.
    hfgrtr: u64,
    /// Bits of HFGITR_EL2.
    hfgitr: u64,
}

// Found in the rows when this is compiled.
const ZERO_BLOCK: Traps = Traps::of(InLine::ZeroBlock);
const CLEAN: Traps = Traps::of(InLine::Clean);
const ZERO_SIZE: Traps = Traps::of(InLine::ZeroSize);

impl Traps {
    /// Of the rows that say so.
    const fn of(what: InLine) -> Self {
        let mut all = Self { hcr: 0, el0_needs: 0, hfgrtr: 0, hfgitr: 0 };
        let mut found = false;
        let mut i = 0;
        while i < WRITTEN.len() {
            let mut j = 0;
            while j < WRITTEN[i].len() {
                let row = &WRITTEN[i][j];
                if matches!(row.in_line, Some(in_line) if in_line as u8 == what as u8) {
                    all = all.with(row);
                    found = true;
                }
                j += 1;
            }
            i += 1;
        }
        assert!(found, "no row says so");
        all
    }

    const fn with(mut self, row: &Row) -> Self {
        let mut i = 0;
        while i < row.traps.len() {
            match row.traps[i] {
                Trap::Hcr(bits) => self.hcr |= bits,
                Trap::El0Needs(bits) => self.el0_needs |= bits,
                _ => panic!("a permit does not ask for this kind of trap"),
            }
            i += 1;
        }
        match row.fine {
            None => {}
            Some(field) => match field.group {
                Group::Registers => self.hfgrtr |= field.mask(),
                Group::Instructions => self.hfgitr |= field.mask(),
                Group::Debug | Group::DebugWrites => panic!("a permit does not ask for this kind of trap"),
            },
        }
        self
    }

    /// Nothing of that traps at present.
    fn are_off(&self, cpu: &Cpu) -> bool {
        let el = cpu.pstate.el;
        let sctlr = cpu.sys[Banked::SCTLR.at(cpu.controller_of(El::El0))];
        let fine = cpu.sys[Reg::HFGRTR_EL2] & self.hfgrtr | cpu.sys[Reg::HFGITR_EL2] & self.hfgitr;
        (el.is_privileged() || sctlr & self.el0_needs == self.el0_needs)
            && (el >= El::El2 || cpu.hcr() & self.hcr == 0)
            && (fine == 0 || !fine::active(cpu))
    }
}

impl Permits {
    /// Those of the current state.
    pub(crate) fn of(cpu: &Cpu) -> Self {
        Self {
            zero_block: u8::from(ZERO_BLOCK.are_off(cpu)),
            clean: u8::from(CLEAN.are_off(cpu)),
            zero_size: u8::from(ZERO_SIZE.are_off(cpu) && dczid(cpu) == DCZID),
            pauth: pauth::Quick::of(cpu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fine::hfgitr, fine::hfgrtr, hcr, sctlr};
    use super::*;
    use crate::mem::context::select;
    use crate::model::Model;
    use crate::test_pe::bench;

    #[test]
    fn a_permit_is_given_only_where_nothing_traps() {
        let mut b = bench(Model::max());
        let c = &mut b.cpu;
        c.set_level(El::El1, true);
        select(c);
        assert_eq!(
            (c.derived.permits().zero_block, c.derived.permits().clean, c.derived.permits().zero_size),
            (1, 1, 1)
        );
        for (reg, bits, expected) in [
            (Reg::HCR_EL2, hcr::TDZ, (0, 1, 0)),
            (Reg::HCR_EL2, hcr::TPCP, (1, 0, 1)),
            // DCZID_EL0.DZP is about HCR_EL2.TDZ and SCTLR_ELx.DZE only.
            (Reg::HFGITR_EL2, hfgitr::DCZVA.mask(), (0, 1, 1)),
            (Reg::HFGITR_EL2, hfgitr::DCCVAU.mask(), (1, 0, 1)),
            (Reg::HFGITR_EL2, hfgitr::ICIVAU.mask(), (1, 0, 1)),
            (Reg::HFGITR_EL2, hfgitr::TLBIVAE1.mask(), (1, 1, 1)),
            (Reg::HFGRTR_EL2, hfgrtr::DCZID_EL0.mask(), (1, 1, 0)),
            (Reg::HFGWTR_EL2, hfgrtr::DCZID_EL0.mask(), (1, 1, 1)),
        ] {
            let old = c.sys[reg];
            c.sys[reg] |= bits;
            c.refresh();
            select(c);
            assert_eq!(
                (c.derived.permits().zero_block, c.derived.permits().clean, c.derived.permits().zero_size),
                expected,
                "{reg:?}"
            );
            c.sys[reg] = old;
        }
        c.set_level(El::El0, false);
        select(c);
        assert_eq!((c.derived.permits().zero_block, c.derived.permits().clean), (0, 0), "SCTLR_EL1.DZE, UCI");
        c.sys[Reg::SCTLR_EL1] |= sctlr::DZE | sctlr::UCI;
        c.refresh();
        select(c);
        assert_eq!((c.derived.permits().zero_block, c.derived.permits().clean), (1, 1));
    }
}
