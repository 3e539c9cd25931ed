//! What is written into the registers of a context bank.

use super::{Window, cb, gr1};
use crate::guest_tests::program::Program;
use crate::guest_tests::tables::{MAIR, Tables};

/// CBn_SCTLR.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod sctlr {
    pub const M: u32 = 1 << 0;
    pub const TRE: u32 = 1 << 1;
    pub const AFE: u32 = 1 << 2;
    pub const AFFD: u32 = 1 << 3;
    pub const CFRE: u32 = 1 << 5;
    pub const CFIE: u32 = 1 << 6;
    pub const CFCFG: u32 = 1 << 7;
    pub const HUPCF: u32 = 1 << 8;
    pub const WXN: u32 = 1 << 9;
    pub const PTW: u32 = 1 << 13;

    /// As drivers have it: faults abort and interrupt.
    pub const USUAL: u32 = M | TRE | AFE | CFRE | CFIE;
}

/// TCR2.AS: ASIDs have 16 bits.
const AS: u32 = 1 << 4;
/// TCR2.SEP: addresses are extended from the last bit of the upstream bus.
const SEP: u32 = 7 << 15;

/// A context bank.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    /// CBARn.
    pub cbar: u32,
    /// CBA2Rn.
    pub cba2r: u32,
    /// SCTLR.
    pub sctlr: u32,
    /// TCR.
    pub tcr: u32,
    /// TCR2.
    pub tcr2: u32,
    /// TTBR0 and TTBR1.
    pub ttbr: [u64; 2],
}

impl Bank {
    /// Stage 1 with the lower half by these tables; stage 2 is bypassed.
    #[must_use]
    pub const fn stage1(tables: Tables, asid: u64) -> Self {
        let tcr = tables.tcr();
        Self {
            cbar: 1 << 16,
            cba2r: 1,
            sctlr: sctlr::USUAL,
            tcr: tcr as u32,
            tcr2: (tcr >> 32) as u32 | AS | SEP,
            ttbr: [tables.root | asid << 48, 0],
        }
    }

    /// Stage 2.
    #[must_use]
    pub const fn stage2(tables: Tables, vmid: u32) -> Self {
        Self {
            cbar: vmid,
            cba2r: 1,
            sctlr: sctlr::USUAL,
            tcr: tables.vtcr() as u32,
            tcr2: 0,
            ttbr: [tables.root, 0],
        }
    }

    /// Stage 1, and then stage 2 of another bank.
    #[must_use]
    pub const fn nested(tables: Tables, asid: u64, bank2: u32, vmid: u32) -> Self {
        Self { cbar: 3 << 16 | bank2 << 8 | vmid, ..Self::stage1(tables, asid) }
    }

    /// A hypervisor's (CBAR.HYPC): one half, and no ASID.
    #[must_use]
    pub const fn hypervisor(tables: Tables) -> Self {
        Self { cbar: 1 << 16 | 1 << 10, ..Self::stage1(tables, 0) }
    }

    /// With other bits of SCTLR beside its own.
    #[must_use]
    pub const fn with(mut self, bits: u32) -> Self {
        self.sctlr |= bits;
        self
    }

    /// Without these bits of SCTLR.
    #[must_use]
    pub const fn without(mut self, bits: u32) -> Self {
        self.sctlr &= !bits;
        self
    }
}

impl Program {
    /// Writes the registers of a context bank, SCTLR last.
    pub fn smmu_bank(&mut self, window: Window, n: u32, bank: &Bank) {
        let words = [
            (window.gr1(gr1::CBA2R, n), bank.cba2r),
            (window.gr1(gr1::CBAR, n), bank.cbar),
            (window.bank(n, cb::TCR2), bank.tcr2),
            (window.bank(n, cb::TCR), bank.tcr),
            (window.bank(n, cb::MAIR0), MAIR as u32),
        ];
        for (at, value) in words {
            self.poke32(at, value);
        }
        self.poke(window.bank(n, cb::TTBR0), bank.ttbr[0]);
        self.poke(window.bank(n, cb::TTBR1), bank.ttbr[1]);
        self.poke32(window.bank(n, cb::SCTLR), bank.sctlr);
    }
}
