//! A small driver of an SMMUv2 (Arm IHI 0062): registers, stream mapping groups, context banks, faults.

mod bank;
mod fault;
mod rig;

use super::layout::SMMU_V2;
use super::program::Program;

pub use bank::{Bank, sctlr};
pub use fault::{ContextFault, GlobalFault, fsr, gfsr};
pub use rig::{BANK_NESTED, BANK1, BANK2, DATA, IOVA, IPA, OTHER, Rig, VMID, stream};

/// Registers of the Global Address Space 0.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod reg {
    use super::SMMU_V2;
    pub const CR0: u64 = SMMU_V2;
    pub const ACR: u64 = SMMU_V2 + 0x10;
    pub const IDR0: u64 = SMMU_V2 + 0x20;
    pub const GFAR: u64 = SMMU_V2 + 0x40;
    pub const GFSR: u64 = SMMU_V2 + 0x48;
    pub const GFSRRESTORE: u64 = SMMU_V2 + 0x4c;
    pub const GFSYNR0: u64 = SMMU_V2 + 0x50;
    pub const GFSYNR1: u64 = SMMU_V2 + 0x54;
    pub const TLBIVMID: u64 = SMMU_V2 + 0x64;
    pub const TLBIALLNSNH: u64 = SMMU_V2 + 0x68;
    pub const TLBIALLH: u64 = SMMU_V2 + 0x6c;
    pub const TLBGSYNC: u64 = SMMU_V2 + 0x70;
    pub const TLBGSTATUS: u64 = SMMU_V2 + 0x74;
    pub const TLBIVAH: u64 = SMMU_V2 + 0x78;
    pub const TLBIVALH64: u64 = SMMU_V2 + 0xb0;
    pub const TLBIVMIDS1: u64 = SMMU_V2 + 0xb8;
    pub const TLBIVAH64: u64 = SMMU_V2 + 0xc0;
    pub const GATS1PR: u64 = SMMU_V2 + 0x110;
    pub const GATS12UR: u64 = SMMU_V2 + 0x120;
    pub const GATS12PW: u64 = SMMU_V2 + 0x138;
    pub const GPAR: u64 = SMMU_V2 + 0x180;
    pub const GATSR: u64 = SMMU_V2 + 0x188;
    pub const SMR: u64 = SMMU_V2 + 0x800;
    pub const S2CR: u64 = SMMU_V2 + 0xc00;
    pub const CIDR: u64 = SMMU_V2 + 0xff0;
}

/// Offsets in the Global Address Space 1.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod gr1 {
    pub const CBAR: u64 = 0x000;
    pub const CBFRSYNRA: u64 = 0x400;
    pub const CBA2R: u64 = 0x800;
}

/// Offsets in the page of a context bank.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod cb {
    pub const SCTLR: u64 = 0x00;
    pub const ACTLR: u64 = 0x04;
    pub const RESUME: u64 = 0x08;
    pub const TCR2: u64 = 0x10;
    pub const TTBR0: u64 = 0x20;
    pub const TTBR1: u64 = 0x28;
    pub const TCR: u64 = 0x30;
    pub const MAIR0: u64 = 0x38;
    pub const PAR: u64 = 0x50;
    pub const FSR: u64 = 0x58;
    pub const FSRRESTORE: u64 = 0x5c;
    pub const FAR: u64 = 0x60;
    pub const FSYNR0: u64 = 0x68;
    pub const IPAFAR: u64 = 0x70;
    pub const TLBIVA: u64 = 0x600;
    pub const TLBIVAA: u64 = 0x608;
    pub const TLBIASID: u64 = 0x610;
    pub const TLBIALL: u64 = 0x618;
    pub const TLBIVAL: u64 = 0x620;
    pub const TLBIVAAL: u64 = 0x628;
    pub const TLBIIPAS2: u64 = 0x630;
    pub const TLBIIPAS2L: u64 = 0x638;
    pub const TLBSYNC: u64 = 0x7f0;
    pub const TLBSTATUS: u64 = 0x7f4;
    pub const ATS1PR: u64 = 0x800;
    pub const ATS1PW: u64 = 0x808;
    pub const ATS1UR: u64 = 0x810;
    pub const ATS1UW: u64 = 0x818;
    pub const ATSR: u64 = 0x8f0;
}

/// sCR0.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod cr0 {
    pub const CLIENTPD: u32 = 1 << 0;
    pub const GFRE: u32 = 1 << 1;
    pub const GFIE: u32 = 1 << 2;
    pub const EXIDENABLE: u32 = 1 << 3;
    pub const GCFGFRE: u32 = 1 << 4;
    pub const GCFGFIE: u32 = 1 << 5;
    pub const STALLD: u32 = 1 << 8;
    pub const USFCFG: u32 = 1 << 10;
    pub const VMIDPNE: u32 = 1 << 11;
    pub const PTM: u32 = 1 << 12;
    pub const SMCFCFG: u32 = 1 << 21;
    pub const VMID16EN: u32 = 1 << 31;

    /// As drivers have it: every fault is recorded, interrupts and aborts.
    pub const USUAL: u32 = GFRE | GFIE | GCFGFRE | GCFGFIE | USFCFG | VMIDPNE | PTM | SMCFCFG;
}

/// SMRn.VALID.
pub const VALID: u32 = 1 << 31;

/// S2CRn: the type, and what goes with it.
pub mod s2cr {
    /// Translation by this context bank.
    #[must_use]
    pub const fn translate(bank: u32) -> u32 {
        bank
    }
    /// Everything passes.
    pub const BYPASS: u32 = 1 << 16;
    /// Nothing does.
    pub const FAULT: u32 = 2 << 16;
    /// EXIDVALID: the group is valid, where IDs are extended.
    pub const EXIDVALID: u32 = 1 << 10;
    /// PRIVCFG: never privileged, always.
    pub const UNPRIVILEGED: u32 = 2 << 24;
    /// See there.
    pub const PRIVILEGED: u32 = 3 << 24;
    /// INSTCFG: never instructions, always.
    pub const DATA: u32 = 2 << 26;
    /// See there.
    pub const INSTRUCTION: u32 = 3 << 26;
}

/// Where the pages of registers are.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Bytes of a page (IDR1.PAGESIZE).
    pub page: u64,
    /// Pages of the global address space, and of context banks (IDR1.NUMPAGENDXB).
    pub pages: u64,
}

impl Window {
    /// Of MMU-500.
    pub const MMU500: Self = Self { page: 0x1000, pages: 32 };
    /// Of the largest one.
    pub const FULL: Self = Self { page: 0x1_0000, pages: 128 };

    /// A register of the Global Address Space 1, of a context bank.
    #[must_use]
    pub const fn gr1(self, register: u64, bank: u32) -> u64 {
        SMMU_V2 + self.page + register + 4 * bank as u64
    }

    /// A register of a context bank.
    #[must_use]
    pub const fn bank(self, bank: u32, register: u64) -> u64 {
        SMMU_V2 + (self.pages + bank as u64) * self.page + register
    }
}

impl Program {
    /// Maps streams: SMRn and S2CRn of a group. `id` may have a mask in its upper half.
    pub fn smmu_group(&mut self, group: u32, id: u32, s2cr: u32) {
        self.poke32(reg::S2CR + 4 * u64::from(group), s2cr);
        self.poke32(reg::SMR + 4 * u64::from(group), VALID | id);
    }

    /// TLB maintenance is complete: sTLBGSYNC, and sTLBGSTATUS.GSACTIVE is 0.
    pub fn smmu_sync(&mut self) {
        self.poke32(reg::TLBGSYNC, 0);
        self.until(15, |p| {
            p.peek32(15, reg::TLBGSTATUS);
            a64!(p ; tst x15, 1 ; cset x15, eq);
        });
    }
}
