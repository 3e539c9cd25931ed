//! Stage 2: its controls, decoded from VTCR_EL2, VTTBR_EL2 and HCR_EL2 (Arm ARM D8.2, D24.2.192).

use crate::attributes::Shareability;
use crate::config::{Features, Granule, bit, field, physical_size};
use crate::descriptor::{self, Format};
use crate::permissions::{Permissions, stage2_permissions};

/// Raw registers that control stage 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stage2Regs {
    /// VTCR_EL2.
    pub vtcr: u64,
    /// VTTBR_EL2.
    pub vttbr: u64,
    /// The effective HCR_EL2.
    pub hcr: u64,
}

/// Stage 2 of the EL1&0 regime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage2 {
    /// HCR_EL2.VM or DC.
    pub enabled: bool,
    /// VTTBR_EL2, raw.
    pub vttbr: u64,
    /// The VMID: 8 or 16 bits (VTCR_EL2.VS). It tags TLB entries even while stage 2 is off.
    pub vmid: u16,
    /// T0SZ.
    pub txsz: u8,
    /// SL0.
    pub sl0: u8,
    /// SL2, for 4 KiB pages with DS.
    pub sl2: bool,
    /// TG0, as the implementation understands it.
    pub granule: Granule,
    /// Output size that PS asks for, in bits.
    pub output: u8,
    /// DS: 52-bit addresses with 4 KiB and 16 KiB pages.
    pub ds: bool,
    /// SH0: shareability of everything mapped, when DS is set.
    pub sh: Shareability,
    /// HA: hardware sets the access flag.
    pub ha: bool,
    /// HD: hardware manages dirty state (with HA).
    pub hd: bool,
    /// The access flag counts as set where hardware does not set it: STE.S2AFFD of an SMMU (Arm IHI 0070, 5.2).
    pub af_fault_disable: bool,
    /// HCR_EL2.PTW: a walk of stage 1 that lands in Device memory faults.
    pub ptw: bool,
    /// HCR_EL2.CD: data is Non-cacheable.
    pub cache_disable: bool,
    /// HCR_EL2.FWB.
    pub fwb: bool,
}

impl Stage2 {
    /// Decodes the registers.
    #[must_use]
    pub fn from_regs(features: &Features, regs: &Stage2Regs) -> Self {
        let Stage2Regs { vtcr, vttbr, hcr } = *regs;
        let granule = features.granule(Granule::from_tg0(field(vtcr, 15, 14)));
        let ds = features.lpa2 && granule != Granule::K64 && bit(vtcr, 32);
        let vmid16 = features.vmid16 && bit(vtcr, 19);
        Self {
            enabled: bit(hcr, 0) || bit(hcr, 12),
            vttbr,
            vmid: (vttbr >> 48) as u16 & if vmid16 { 0xffff } else { 0xff },
            txsz: field(vtcr, 5, 0) as u8,
            sl0: field(vtcr, 7, 6) as u8,
            sl2: granule == Granule::K4 && ds && bit(vtcr, 33),
            granule,
            output: physical_size(field(vtcr, 18, 16)),
            ds,
            sh: Shareability::from_sh(field(vtcr, 13, 12)),
            ha: features.haf && bit(vtcr, 21),
            hd: features.hdbs && bit(vtcr, 21) && bit(vtcr, 22),
            af_fault_disable: false,
            ptw: bit(hcr, 2) && !bit(hcr, 27),
            cache_disable: bit(hcr, 32),
            fwb: features.fwb && bit(hcr, 46),
        }
    }

    /// A clear access flag means nothing.
    pub(crate) const fn ignores_af(&self) -> bool {
        self.af_fault_disable && !self.ha
    }

    pub(crate) const fn input_bits(&self) -> u32 {
        64 - self.txsz as u32
    }

    /// The level of the first lookup, or `None` if T0SZ, SL0 and SL2 do not fit each other or the implementation
    /// (S2TxSZFaults, S2InvalidSL, S2InconsistentSL): any walk then faults at level 0.
    #[must_use]
    pub fn start_level(&self, features: &Features) -> Option<i8> {
        let pa = features.pa_bits;
        // A 52-bit IPA needs 64 KiB pages or DS.
        let largest = if self.granule != Granule::K64 && !self.ds { pa.min(48) } else { pa.min(52) };
        if self.txsz < 64 - largest || self.txsz > features.max_txsz(self.granule) {
            return None;
        }
        let level = match (self.granule, self.sl2, self.sl0) {
            (Granule::K4, false, 0) => 2,
            (Granule::K4, false, 1) => 1,
            (Granule::K4, false, 2) if pa >= 44 => 0,
            (Granule::K4, false, 3) if features.ttst => 3,
            (Granule::K4, true, 0) => -1,
            (Granule::K16 | Granule::K64, _, 0) => 3,
            (Granule::K16 | Granule::K64, _, 1) => 2,
            (Granule::K16, _, 2) if pa >= 42 => 1,
            (Granule::K16, _, 3) if self.ds => 0,
            (Granule::K64, _, 2) if pa >= 44 => 1,
            _ => return None,
        };
        // One table, or up to 16 concatenated ones, must cover the input exactly.
        let least = self.granule.block_bits(level) + 1;
        let most = least + self.granule.stride() - 1 + 4;
        (least..=most).contains(&self.input_bits()).then_some(level)
    }

    /// The base of the first (possibly concatenated) table at `start`.
    pub(crate) fn base(&self, format: &Format, start: i8) -> u64 {
        let index_bits = self.input_bits() - self.granule.block_bits(start);
        let wide = self.ds || format.lpa && self.granule == Granule::K64 && self.output >= 52;
        format.table_base(self.vttbr, index_bits + 3, wide)
    }

    /// The permissions of a leaf; with hardware dirty state a page with DBM is writable.
    pub(crate) fn permissions(&self, features: &Features, d: u64) -> Permissions {
        let writable = if self.hd && d & descriptor::DBM != 0 { 2 } else { 0 };
        let xn = if features.xnx { field(d, 54, 53) } else { field(d, 54, 54) << 1 };
        stage2_permissions(field(d, 7, 6) as u8 | writable, xn as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s2(vtcr: u64) -> Stage2 {
        Stage2::from_regs(&Features::max(), &Stage2Regs { vtcr, vttbr: 0x1234 << 48, hcr: 1 })
    }

    #[test]
    fn vmid_width() {
        assert_eq!(s2(0).vmid, 0x34);
        assert_eq!(s2(1 << 19).vmid, 0x1234);
        let regs = Stage2Regs { vtcr: 1 << 19, vttbr: 0x1234 << 48, hcr: 1 };
        assert_eq!(Stage2::from_regs(&Features::cortex_a72(), &regs).vmid, 0x34);
    }

    #[test]
    fn start_levels() {
        let max = Features::max();
        // 4 KiB: 40-bit IPA from level 1 with two concatenated tables, from level 0 it is inconsistent.
        assert_eq!(s2(24 | 1 << 6).start_level(&max), Some(1));
        assert_eq!(s2(24 | 2 << 6).start_level(&max), Some(0));
        assert_eq!(s2(25 | 2 << 6).start_level(&max), None);
        assert_eq!(s2(20 | 1 << 6).start_level(&max), None);
        assert_eq!(s2(21 | 1 << 6).start_level(&max), Some(1));
        assert_eq!(s2(32).start_level(&max), Some(2));
        assert_eq!(s2(48 | 3 << 6).start_level(&max), Some(3));
        // LPA2: level -1 by SL2.
        assert_eq!(s2(12 | 1 << 32 | 1 << 33).start_level(&max), Some(-1));
        assert_eq!(s2(12 | 1 << 32 | 1 << 33 | 1 << 6).start_level(&max), None);
        assert_eq!(s2(12).start_level(&max), None);
        // 64 KiB: level 1 needs a 44-bit PA, level 3 with 16 concatenated tables is 33 bits.
        assert_eq!(s2(16 | 1 << 14 | 2 << 6).start_level(&max), Some(1));
        assert_eq!(s2(31 | 1 << 14).start_level(&max), Some(3));
        assert_eq!(s2(31 | 1 << 14 | 3 << 6).start_level(&max), None);
        // 16 KiB level 0 only with DS.
        assert_eq!(s2(12 | 2 << 14 | 3 << 6).start_level(&max), None);
        assert_eq!(s2(12 | 2 << 14 | 3 << 6 | 1 << 32).start_level(&max), Some(0));
    }

    #[test]
    fn ipa_is_limited_by_the_implementation() {
        let a72 = Features::cortex_a72();
        let at = |t0sz: u64| {
            let regs = Stage2Regs { vtcr: t0sz | 2 << 6, vttbr: 0, hcr: 1 };
            Stage2::from_regs(&a72, &regs).start_level(&a72)
        };
        assert_eq!(at(20), Some(0));
        assert_eq!(at(19), None);
    }
}
