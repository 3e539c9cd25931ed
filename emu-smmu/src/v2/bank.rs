//! What a translation context bank says of translation (Arm IHI 0062): SMMU_CBARn and CBA2Rn, SCTLR, TCR and TCR2,
//! TTBRs and MAIRs, in the formats of VMSAv8-64.

use emu_core::Security;
use emu_mmu::{Features, Regime, Stage1, Stage1Regs, Stage2, Stage2Regs};

use super::registers::{Bank, VMID16EN};
use crate::translation::FaultPolicy;

/// SMMU_CBARn.TYPE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    /// 0b00: a context of stage 2.
    Stage2,
    /// 0b01: stage 1, and stage 2 is bypassed.
    Stage1,
    /// 0b10: stage 1, and stage 2 faults whatever it is given.
    Stage1Fault,
    /// 0b11: stage 1, and stage 2 of the context bank CBNDX.
    Nested(u8),
}

const HYPC: u32 = 1 << 10;
/// CBA2R.VA64: VMSAv8-64.
const VA64: u32 = 1 << 0;

/// SCTLR.
const M: u32 = 1 << 0;
const AFFD: u32 = 1 << 3;
const CFRE: u32 = 1 << 5;
const CFIE: u32 = 1 << 6;
const CFCFG: u32 = 1 << 7;
const HUPCF: u32 = 1 << 8;
const WXN: u32 = 1 << 9;
/// Of a context of stage 2: its tables of stage 1 must not be in Device memory.
const PTW: u32 = 1 << 13;

/// TCR2.AS: ASIDs have 16 bits.
const AS: u32 = 1 << 4;

/// The bits that input addresses are extended from, by TCR2.SEP. The last one is that of the upstream bus, of 49 bits.
const SIGNS: [u8; 8] = [31, 35, 39, 41, 43, 47, 48, 48];

impl Bank {
    pub(super) const fn kind(&self) -> Type {
        match self.cbar >> 16 & 3 {
            0 => Type::Stage2,
            1 => Type::Stage1,
            2 => Type::Stage1Fault,
            _ => Type::Nested((self.cbar >> 8) as u8),
        }
    }

    /// Its tables are of the format that there is.
    pub(super) const fn is_aarch64(&self) -> bool {
        self.cba2r & VA64 != 0
    }

    /// The regime: HYPC makes it EL2's, which has no stage 2.
    pub(super) const fn regime(&self) -> Regime {
        match self.kind() {
            Type::Stage1 if self.cbar & HYPC != 0 => Regime::El2,
            _ => Regime::El10,
        }
    }

    /// The VMID: of 8 bits in CBAR, or of 16 in CBA2R if sCR0.VMID16EN is set.
    pub(super) const fn vmid(&self, cr0: u32) -> u16 {
        if cr0 & VMID16EN != 0 { (self.cba2r >> 16) as u16 } else { (self.cbar & 0xff) as u16 }
    }

    /// The ASID of an operand, in as many bits as the context has.
    pub(super) const fn asid(&self, asid: u16) -> u16 {
        if self.tcr2 & AS != 0 { asid } else { asid & 0xff }
    }

    /// SCTLR.M: its stage translates.
    const fn is_enabled(&self) -> bool {
        self.sctlr & M != 0
    }

    /// Stage 1, if it is enabled.
    pub(super) fn stage1(&self, features: &Features) -> Option<Stage1> {
        let regime = self.regime();
        let control = |there: u32, bit: u32| u64::from(self.sctlr & there != 0) << bit;
        let (low, high) = (u64::from(self.tcr), u64::from(self.tcr2));
        let tcr = match regime {
            // PS and TBI of EL2 have places of their own in a CPU's TCR.
            Regime::El2 => low & 0xffff | (high & 7) << 16 | (high >> 5 & 1) << 20,
            _ => low | (high & 0x77) << 32,
        };
        let regs = Stage1Regs {
            // M, C, WXN.
            sctlr: 1 | 1 << 2 | control(WXN, 19),
            tcr,
            ttbr0: self.ttbr[0],
            ttbr1: self.ttbr[1],
            mair: u64::from(self.mair[1]) << 32 | u64::from(self.mair[0]),
            hcr: 0,
            security: Security::NonSecure,
        };
        let af_fault_disable = self.sctlr & AFFD != 0;
        self.is_enabled().then(|| Stage1 { af_fault_disable, ..Stage1::from_regs(features, regime, &regs) })
    }

    /// Stage 2, if it is enabled, for contexts of a VMID.
    pub(super) fn stage2(&self, features: &Features, vmid: u16) -> Option<Stage2> {
        let ptw = u64::from(self.sctlr & PTW != 0) << 2;
        let regs = Stage2Regs { vtcr: self.tcr.into(), vttbr: self.ttbr[0] & 0xffff_ffff_ffff, hcr: 1 | ptw };
        let af_fault_disable = self.sctlr & AFFD != 0;
        self.is_enabled().then(|| Stage2 { vmid, af_fault_disable, ..Stage2::from_regs(features, &regs) })
    }

    /// The bit that input addresses are extended from, in a regime with two halves.
    pub(super) const fn sign(&self) -> Option<u8> {
        match (self.kind(), self.regime()) {
            (Type::Stage2, _) | (_, Regime::El2) => None,
            _ if !self.is_enabled() => None,
            _ => Some(SIGNS[(self.tcr2 >> 15 & 7) as usize]),
        }
    }

    /// What becomes of transactions that fault. `stalls`: sCR0.STALLD is 0.
    pub(super) const fn policy(&self, stalls: bool) -> FaultPolicy {
        FaultPolicy {
            record: self.sctlr & CFIE != 0,
            abort: self.sctlr & CFRE != 0,
            stall: stalls && self.sctlr & CFCFG != 0,
        }
    }

    /// Its interrupt is asserted: while a fault is recorded, and, in MMU-500, while a transaction is stalled.
    pub(super) const fn interrupts(&self) -> bool {
        self.has_fault() && self.sctlr & CFIE != 0
    }

    /// Transactions wait, or are terminated, since an earlier one has faulted: SCTLR.HUPCF is 0.
    pub(super) const fn holds_back(&self) -> bool {
        self.has_fault() && self.sctlr & HUPCF == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::Profile;
    use emu_mmu::Granule;

    const F: Features = Profile::FULL.features();

    #[test]
    fn the_type_of_a_bank_is_in_bits_17_and_16() {
        let kind = |cbar| Bank { cbar, ..Bank::default() }.kind();
        assert_eq!(kind(0x0000_1234), Type::Stage2);
        assert_eq!(kind(0x0001_0000), Type::Stage1);
        assert_eq!(kind(0x0002_0000), Type::Stage1Fault);
        assert_eq!(kind(0x0003_2a07), Type::Nested(0x2a));
    }

    #[test]
    fn a_vmid_has_8_bits_or_16() {
        let bank = Bank { cbar: 0x0003_2a07, cba2r: 0xbeef_0001, ..Bank::default() };
        assert_eq!((bank.vmid(0), bank.vmid(1 << 31)), (7, 0xbeef));
        assert!(bank.is_aarch64() && !Bank::default().is_aarch64());
    }

    #[test]
    fn stage_1_is_as_linux_programs_it() {
        // 48 bits, 4 KiB, EPD1; PASize 44 bits, AS, SEP 7; ASID 0x105.
        let bank = Bank {
            cbar: 0x0001_0000,
            sctlr: 0x1 | 0x2 | 0x4 | 0x20 | 0x40,
            tcr: 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 30,
            tcr2: 4 | 1 << 4 | 7 << 15,
            ttbr: [0x0105_0000_4000_0000, 0x0105_0000_0000_0000],
            mair: [0x0000_ff44, 0x0c04_0000],
            ..Bank::default()
        };
        let s1 = bank.stage1(&F).unwrap();
        assert_eq!((s1.regime, s1.asid, s1.output), (Regime::El10, 0x105, 44));
        let [lower, upper] = s1.halves;
        assert_eq!((lower.txsz, lower.granule, lower.epd, upper.epd), (16, Granule::K4, false, true));
        assert_eq!((s1.mair, lower.ttbr & 0xffff_ffff_ffff), (0x0c04_0000_0000_ff44, 0x4000_0000));
        assert_eq!(bank.sign(), Some(48));
        let p = bank.policy(true);
        assert!(p.abort && p.record && !p.stall);
        assert_eq!(Bank { sctlr: 0, ..bank }.stage1(&F), None);
    }

    #[test]
    fn an_asid_has_8_bits_without_as() {
        let bank = Bank { sctlr: 1, ttbr: [0x1234 << 48, 0], ..Bank::default() };
        assert_eq!((bank.stage1(&F).unwrap().asid, bank.asid(0x1234)), (0x34, 0x34));
        assert_eq!(Bank { tcr2: 1 << 4, ..bank }.asid(0x1234), 0x1234);
    }

    #[test]
    fn a_hypervisors_context_has_one_half_and_no_sign() {
        let bank = Bank {
            cbar: 0x0001_0400,
            sctlr: 1,
            tcr: 25 | 1 << 14,
            tcr2: 5 | 1 << 5,
            ttbr: [0x12 << 48 | 0x4000_0000, 0],
            ..Bank::default()
        };
        let s1 = bank.stage1(&F).unwrap();
        assert_eq!((s1.regime, s1.asid, s1.output), (Regime::El2, 0, 48));
        assert_eq!((s1.halves[0].txsz, s1.halves[0].granule, s1.halves[0].tbi), (25, Granule::K64, true));
        assert_eq!(bank.sign(), None);
    }

    #[test]
    fn stage_2_is_as_xen_programs_it() {
        // T0SZ 24, SL0 1, 4 KiB, PASize 40 bits, bit 31 is RES1.
        let tcr = 24 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1 << 31;
        let bank = Bank { sctlr: 0x61, tcr, ttbr: [0x4010_0000, 0], ..Bank::default() };
        let s2 = bank.stage2(&F, 9).unwrap();
        assert!(s2.enabled && !s2.ptw && !s2.af_fault_disable);
        assert_eq!((s2.vmid, s2.txsz, s2.sl0, s2.output, s2.vttbr), (9, 24, 1, 40, 0x4010_0000));
        let s2 = Bank { sctlr: 1 | 1 << 13 | 1 << 3, ..bank }.stage2(&F, 9).unwrap();
        assert!(s2.ptw && s2.af_fault_disable);
    }

    #[test]
    fn the_sign_is_where_sep_says() {
        let sign = |sep: u32| Bank { cbar: 1 << 16, sctlr: 1, tcr2: sep << 15, ..Bank::default() }.sign();
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(sign), [31, 35, 39, 41, 43, 47, 48].map(Some));
        assert_eq!(Bank { sctlr: 1, tcr2: 7 << 15, ..Bank::default() }.sign(), None, "stage 2 has none");
    }

    #[test]
    fn policies_are_bits_5_to_8_of_sctlr() {
        let bank = |sctlr| Bank { sctlr, fsr: 2, ..Bank::default() };
        let all = bank(0xe0).policy(true);
        assert!(all.abort && all.record && all.stall && !bank(0xe0).policy(false).stall);
        assert!(bank(0x40).interrupts() && !bank(0xa0).interrupts());
        assert!(bank(0x40).holds_back() && !bank(0x140).holds_back());
        assert!(!Bank { sctlr: 0x40, fsr: 0x400, ..Bank::default() }.holds_back());
    }
}
