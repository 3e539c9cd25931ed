//! Translation tables, built in the image while the program is assembled (Arm ARM, D8.3).

use super::layout;
use super::program::{Program, SCTLR_EL1};
use super::registers as r;

/// Bits of descriptors.
pub mod desc {
    /// A page (level 3) or a table.
    pub const PAGE: u64 = 3;
    /// A block (levels 1 and 2).
    pub const BLOCK: u64 = 1;
    /// Access flag.
    pub const AF: u64 = 1 << 10;
    /// Inner shareable.
    pub const SH: u64 = 3 << 8;
    /// Stage 1, AP\[1\]: EL0 may access.
    pub const EL0: u64 = 1 << 6;
    /// Stage 1, AP\[2\]: read-only.
    pub const RO: u64 = 1 << 7;
    /// Stage 1: not global.
    pub const NG: u64 = 1 << 11;
    /// Dirty bit modifier.
    pub const DBM: u64 = 1 << 51;
    /// Contiguous.
    pub const CONTIGUOUS: u64 = 1 << 52;
    /// Stage 1: not for execution at EL1.
    pub const PXN: u64 = 1 << 53;
    /// Stage 1: not for execution at EL0. Stage 2: XN\[1\].
    pub const UXN: u64 = 1 << 54;
    /// Stage 1: memory attribute 1 of [`super::MAIR`], Device-nGnRnE.
    pub const DEVICE: u64 = 1 << 2;
    /// Stage 1: normal memory, accessible at EL1 only, mapped.
    pub const EL1_RW: u64 = AF | SH;
    /// Stage 1: normal memory, accessible at both levels, mapped.
    pub const EL0_RW: u64 = AF | SH | EL0;
    /// Stage 2: normal write-back memory, readable and writable.
    pub const S2_RW: u64 = AF | SH | S2_NORMAL | S2_R | S2_W;
    /// Stage 2: readable.
    pub const S2_R: u64 = 1 << 6;
    /// Stage 2: writable.
    pub const S2_W: u64 = 1 << 7;
    /// Stage 2: normal write-back memory.
    pub const S2_NORMAL: u64 = 0xf << 2;
}

/// Attribute 0: normal write-back; 1: Device-nGnRnE; 2: normal non-cacheable.
pub const MAIR: u64 = 0x44_00_ff;
/// SCTLR_ELx.M, C and I. Without C normal memory would be non-cacheable.
pub const SCTLR_ON: u64 = 1 << 12 | 1 << 2 | 1;
/// Bits of an input address.
pub const INPUT_BITS: u32 = 39;
/// TxSZ for [`INPUT_BITS`].
pub const TSZ: u64 = 64 - INPUT_BITS as u64;
/// Output addresses of 40 bits (the encoding of TCR_ELx.IPS, VTCR_EL2.PS).
const PS_40: u64 = 2;
/// Write-back cacheable, inner shareable walks: IRGN, ORGN, SH.
const WALKS: u64 = 0x3500;

/// The translation granule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granule {
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

impl Granule {
    /// Bits of an offset in a page.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::K4 => 12,
            Self::K16 => 14,
            Self::K64 => 16,
        }
    }
    /// Bytes of a page.
    #[must_use]
    pub const fn size(self) -> u64 {
        1 << self.bits()
    }
    /// The position of the bits that a level resolves.
    #[must_use]
    pub const fn shift(self, level: u32) -> u32 {
        self.bits() + (self.bits() - 3) * (3 - level)
    }
    /// Where a walk of [`INPUT_BITS`] starts.
    #[must_use]
    pub const fn first_level(self) -> u32 {
        match self {
            Self::K64 => 2,
            _ => 1,
        }
    }
    /// TCR_EL1.TG0, VTCR_EL2.TG0.
    const fn tg0(self) -> u64 {
        match self {
            Self::K4 => 0,
            Self::K16 => 2,
            Self::K64 => 1,
        }
    }
    /// VTCR_EL2.SL0 for a walk from [`Granule::first_level`].
    const fn sl0(self) -> u64 {
        match self {
            Self::K4 => 1,
            Self::K16 => 2,
            Self::K64 => 1,
        }
    }
}

/// A set of tables for one stage.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// The first table.
    pub root: u64,
    /// Their granule.
    pub granule: Granule,
}

impl Tables {
    /// TCR_EL1 (or the same fields of TCR_EL2 with E2H) for these tables; TTBR1 is not walked.
    #[must_use]
    pub const fn tcr(self) -> u64 {
        PS_40 << 32 | 1 << 23 | self.granule.tg0() << 14 | WALKS | TSZ
    }
    /// TCR_EL2 without E2H.
    #[must_use]
    pub const fn tcr_el2(self) -> u64 {
        1 << 31 | 1 << 23 | PS_40 << 16 | self.granule.tg0() << 14 | WALKS | TSZ
    }
    /// VTCR_EL2 for these tables.
    #[must_use]
    pub const fn vtcr(self) -> u64 {
        1 << 31 | PS_40 << 16 | self.granule.tg0() << 14 | WALKS | self.granule.sl0() << 6 | TSZ
    }
}

impl Program {
    /// An empty table.
    pub fn table(&mut self, granule: Granule) -> u64 {
        let size = granule.size() as usize;
        let at = self.tables.len().next_multiple_of(size);
        self.tables.resize(at + size, 0);
        let address = layout::TABLES + at as u64;
        assert!(address + granule.size() <= layout::TABLES_END, "too many tables");
        address
    }

    fn entry_mut(&mut self, address: u64) -> &mut [u8] {
        let at = (address - layout::TABLES) as usize;
        &mut self.tables[at..at + 8]
    }

    fn entry(&self, address: u64) -> u64 {
        let at = (address - layout::TABLES) as usize;
        self.tables[at..at + 8].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
    }

    /// Puts a descriptor at its own address.
    pub fn put_at(&mut self, slot: u64, descriptor: u64) {
        self.entry_mut(slot).copy_from_slice(&descriptor.to_le_bytes());
    }

    /// Sets bits of the descriptor at an address.
    pub fn or_at(&mut self, slot: u64, bits: u64) {
        let descriptor = self.entry(slot) | bits;
        self.put_at(slot, descriptor);
    }

    /// The address of the descriptor for `va` at `level`; makes the tables above it.
    pub fn slot(&mut self, t: Tables, va: u64, level: u32) -> u64 {
        let g = t.granule;
        let index_mask = (1 << (g.bits() - 3)) - 1;
        // Addresses of the upper half have ones above.
        let va = va & ((1 << INPUT_BITS) - 1);
        let mut table = t.root;
        for l in g.first_level()..=3 {
            let slot = table + 8 * (va >> g.shift(l) & index_mask);
            if l == level {
                return slot;
            }
            let entry = self.entry(slot);
            table = if entry == 0 {
                let made = self.table(g);
                self.entry_mut(slot).copy_from_slice(&(made | desc::PAGE).to_le_bytes());
                made
            } else {
                assert_eq!(entry & 3, desc::PAGE, "{va:#x} is mapped by a block");
                entry & 0xffff_ffff_f000
            };
        }
        unreachable!("level {level} is not a level of this walk")
    }

    /// Puts a descriptor for `va` at `level`.
    pub fn put(&mut self, t: Tables, va: u64, level: u32, descriptor: u64) {
        let slot = self.slot(t, va, level);
        self.entry_mut(slot).copy_from_slice(&descriptor.to_le_bytes());
    }

    /// Maps one page.
    pub fn page(&mut self, t: Tables, va: u64, pa: u64, attributes: u64) {
        self.put(t, va, 3, pa | attributes | desc::PAGE);
    }

    fn range(&mut self, t: Tables, start: u64, end: u64, attributes: u64) {
        for at in (start..end).step_by(t.granule.size() as usize) {
            self.page(t, at, at, attributes);
        }
    }

    /// Tables of stage 1 that map the code (read-only, for all levels) and the results (for EL1) to themselves.
    pub fn stage1(&mut self, granule: Granule) -> Tables {
        let t = Tables { root: self.table(granule), granule };
        self.range(t, layout::IMAGE, layout::TABLES, desc::EL0_RW | desc::RO);
        let results = desc::EL1_RW | desc::PXN | desc::UXN;
        self.range(t, layout::RESULTS, layout::RESULTS + layout::RESULTS_SIZE, results);
        t
    }

    /// Tables of stage 2 that map code, tables and results to themselves.
    pub fn stage2(&mut self, granule: Granule) -> Tables {
        let t = Tables { root: self.table(granule), granule };
        self.range(t, layout::IMAGE, layout::RESULTS + layout::RESULTS_SIZE, desc::S2_RW);
        t
    }

    /// As [`Program::stage2`] with 4 KiB, and a second table right behind the first one: two of level 1 that are walked as
    /// one.
    pub fn stage2_concatenated(&mut self) -> Tables {
        while !self.tables.len().is_multiple_of(0x2000) {
            self.table(Granule::K4);
        }
        let t = Tables { root: self.table(Granule::K4), granule: Granule::K4 };
        self.table(Granule::K4);
        self.range(t, layout::IMAGE, layout::RESULTS + layout::RESULTS_SIZE, desc::S2_RW);
        t
    }

    /// From EL2: turns stage 1 of EL1&0 on, with extra bits of SCTLR_EL1 and TCR_EL1.
    pub fn use_stage1_with(&mut self, t: Tables, sctlr: u64, tcr: u64) {
        self.set(r::MAIR_EL1, MAIR);
        self.set(r::TCR_EL1, t.tcr() | tcr);
        self.set(r::TTBR0_EL1, t.root);
        self.set(r::SCTLR_EL1, SCTLR_EL1 | SCTLR_ON | sctlr);
        a64!(self ; isb);
        self.flush();
    }

    /// From EL2: turns stage 1 of EL1&0 on.
    pub fn use_stage1(&mut self, t: Tables) {
        self.use_stage1_with(t, 0, 0);
    }

    /// From EL2: turns stage 2 on, with VMID 1 and extra bits of HCR_EL2 and VTCR_EL2.
    pub fn use_stage2_with(&mut self, t: Tables, hcr: u64, vtcr: u64) {
        self.set(r::VTCR_EL2, t.vtcr() | vtcr);
        self.set(r::VTTBR_EL2, t.root | 1 << 48);
        self.set(r::HCR_EL2, 1 << 31 | 1 | hcr);
        a64!(self ; isb);
        self.flush();
    }

    /// From EL2: turns stage 2 on.
    pub fn use_stage2(&mut self, t: Tables) {
        self.use_stage2_with(t, 0, 0);
    }

    /// From EL2: nothing of EL1&0 stays in the TLB.
    pub fn flush(&mut self) {
        a64!(self ; dsb sy);
        self.msr(r::TLBI_ALLE1, 31);
        a64!(self ; dsb sy ; isb);
    }
}
