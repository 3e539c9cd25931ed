//! Stage 1: its controls, decoded from registers, and what they say about an address and a leaf descriptor.

use emu_core::Security;

use crate::attributes::{MemAttrs, Shareability};
use crate::config::{Features, Granule, Regime, bit, field, physical_size};
use crate::descriptor::{self, Format};
use crate::permissions::{Permissions, Stage1Controls, Stage1Policy};

/// The controls of one half of the address space (the fields of TCR_ELx that end in 0 or in 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Half {
    /// Table base register, raw.
    pub ttbr: u64,
    /// TxSZ: the half has 2^(64 - TxSZ) addresses.
    pub txsz: u8,
    /// TG, as the implementation understands it.
    pub granule: Granule,
    /// TBI: the top byte is ignored.
    pub tbi: bool,
    /// TBID: not for instruction addresses.
    pub tbid: bool,
    /// EPD: no walks.
    pub epd: bool,
    /// HPD: the permission bits of table descriptors are ignored.
    pub hpd: bool,
    /// E0PD: unprivileged accesses fault at level 0.
    pub e0pd: bool,
    /// DS: 52-bit addresses with 4 KiB and 16 KiB pages; never set with 64 KiB.
    pub ds: bool,
    /// SH: shareability of everything mapped, when DS is set.
    pub sh: Shareability,
}

/// Raw registers that control stage 1 of one regime, and the Security state that it is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stage1Regs {
    /// SCTLR_ELx.
    pub sctlr: u64,
    /// TCR_ELx.
    pub tcr: u64,
    /// TTBR0_ELx.
    pub ttbr0: u64,
    /// TTBR1_ELx; ignored for [`Regime::El2`].
    pub ttbr1: u64,
    /// MAIR_ELx.
    pub mair: u64,
    /// The effective HCR_EL2; zero without EL2.
    pub hcr: u64,
    /// The Security state. Tables and what they map are in the physical address space of its name.
    pub security: Security,
}

/// Stage 1 of a translation regime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage1 {
    /// The regime.
    pub regime: Regime,
    /// The Security state that the regime is of.
    pub security: Security,
    /// Translation is on.
    pub enabled: bool,
    /// Lower (VA bit 55 clear) and upper half; without EL0 only the first counts.
    pub halves: [Half; 2],
    /// The current ASID, zero in a regime that has none.
    pub asid: u16,
    /// Output size that IPS or PS asks for, in bits.
    pub output: u8,
    /// HA: hardware sets the access flag.
    pub ha: bool,
    /// HD: hardware manages dirty state (with HA).
    pub hd: bool,
    /// The access flag counts as set where hardware does not set it: CD.AFFD of an SMMU (Arm IHI 0070, 5.4). A PE has no
    /// such control.
    pub af_fault_disable: bool,
    /// MAIR_ELx.
    pub mair: u64,
    /// SCTLR_ELx.WXN.
    pub wxn: bool,
    /// SCTLR_ELx.EPAN.
    pub epan: bool,
    /// SCTLR_ELx.C: Normal memory may be cacheable.
    pub cacheable: bool,
    /// HCR_EL2.DC, for stage 1 off in EL1&0.
    pub default_cacheable: bool,
    /// HCR_EL2.{NV,NV1} = {1,1}: the EL1&0 tables have EL2's permission format.
    pub nv1: bool,
}

mod hcr {
    pub(super) const DC: u32 = 12;
    pub(super) const TGE: u32 = 27;
    pub(super) const NV: u32 = 42;
    pub(super) const NV1: u32 = 43;
}

impl Stage1 {
    /// Decodes the registers of `regime` (Arm ARM D24.2: SCTLR_ELx, TCR_ELx).
    #[must_use]
    pub fn from_regs(features: &Features, regime: Regime, regs: &Stage1Regs) -> Self {
        let el10 = regime == Regime::El10;
        let enabled = bit(regs.sctlr, 0) && !(el10 && (bit(regs.hcr, hcr::DC) || bit(regs.hcr, hcr::TGE)));
        let unprivileged = regime.has_unprivileged();
        let tcr = regs.tcr;
        let (halves, ips, ha, hd) = if unprivileged {
            let halves = [lower_half(features, regs), upper_half(features, regs)];
            (halves, field(tcr, 34, 32), bit(tcr, 39), bit(tcr, 40))
        } else {
            let only = el2_half(features, regs);
            ([only, only], field(tcr, 18, 16), bit(tcr, 21), bit(tcr, 22))
        };
        let asid = if bit(tcr, 22) { regs.ttbr1 } else { regs.ttbr0 } >> 48;
        let asid16 = features.asid16 && bit(tcr, 36);
        Self {
            regime,
            security: regs.security,
            enabled,
            halves,
            asid: match (unprivileged, asid16) {
                (false, _) => 0,
                (true, false) => asid as u16 & 0xff,
                (true, true) => asid as u16,
            },
            output: physical_size(ips),
            ha: features.haf && ha,
            hd: features.hdbs && ha && hd,
            af_fault_disable: false,
            mair: regs.mair,
            wxn: bit(regs.sctlr, 19),
            epan: features.pan3 && unprivileged && bit(regs.sctlr, 57),
            cacheable: bit(regs.sctlr, 2),
            default_cacheable: el10 && bit(regs.hcr, hcr::DC),
            nv1: features.nv && el10 && bit(regs.hcr, hcr::NV) && bit(regs.hcr, hcr::NV1),
        }
    }

    /// A stage 1 that is not there, in front of a stage 2: addresses are IPAs as they come, all bits of them, and may be
    /// accessed in any way (of an SMMU: Arm IHI 0070, 3.4).
    #[must_use]
    pub fn bypass(features: &Features, security: Security) -> Self {
        let off = Stage1Regs { security, ..Stage1Regs::default() };
        Self { default_cacheable: true, ..Self::from_regs(features, Regime::El10, &off) }
    }

    /// A clear access flag means nothing.
    pub(crate) const fn ignores_af(&self) -> bool {
        self.af_fault_disable && !self.ha
    }

    /// The half that `va` belongs to.
    #[must_use]
    pub const fn half(&self, va: u64) -> &Half {
        &self.halves[(bit(va, 55) && self.regime.has_unprivileged()) as usize]
    }

    /// `va` without its tag, as tables, TLBs and the PC of a fetch see it: with TBI the top byte becomes a copy of
    /// bit 55 (zero where there is one half only), otherwise it stays. Two addresses mean the same location exactly if
    /// their canonical forms are equal.
    #[must_use]
    pub const fn canonical(&self, va: u64, execute: bool) -> u64 {
        let half = self.half(va);
        if !half.tbi || (half.tbid && execute) {
            return va;
        }
        match (self.regime.has_unprivileged(), bit(va, 55)) {
            (true, true) => va | 0xff << 56,
            _ => va & !(0xff << 56),
        }
    }

    /// True if the tables of `half` can cover the canonical address (AArch64.VAIsOutOfRange).
    #[must_use]
    pub(crate) const fn in_range(&self, canonical: u64, half: &Half) -> bool {
        let size = 64 - half.txsz as u32;
        let rest = canonical >> size;
        rest == 0 || self.regime.has_unprivileged() && bit(canonical, 55) && rest == u64::MAX >> size
    }

    /// The permissions of the leaf descriptor `d` under the collected `table` controls.
    pub(crate) fn permissions(
        &self,
        features: &Features,
        half: &Half,
        d: u64,
        table: Stage1Controls,
    ) -> Permissions {
        let unprivileged = self.regime.has_unprivileged();
        let mut c = table;
        if self.nv1 {
            c.ap |= (field(d, 7, 7) << 1) as u8;
            c.pxn |= bit(d, 54);
        } else if unprivileged {
            c.ap |= field(d, 7, 6) as u8;
            c.uxn |= bit(d, 54);
            c.pxn |= bit(d, 53);
        } else {
            c.ap |= (field(d, 7, 7) << 1) as u8 | 1;
            c.uxn |= bit(d, 54);
        }
        if self.hd && d & descriptor::DBM != 0 {
            c.ap &= !2;
        }
        c.permissions(&Stage1Policy {
            unprivileged,
            wxn: self.wxn,
            pan: features.pan && !self.nv1,
            epan: self.epan,
            e0pd: half.e0pd,
        })
    }

    /// Adds the permission bits of a table descriptor (AArch64.S1ApplyTablePerms).
    pub(crate) fn table_controls(&self, half: &Half, d: u64, controls: &mut Stage1Controls) {
        if half.hpd {
            return;
        }
        if self.nv1 {
            controls.ap_table |= (field(d, 62, 62) << 1) as u8;
            controls.pxn |= bit(d, 60);
        } else if self.regime.has_unprivileged() {
            controls.ap_table |= field(d, 62, 61) as u8;
            controls.uxn |= bit(d, 60);
            controls.pxn |= bit(d, 59);
        } else {
            controls.ap_table |= (field(d, 62, 62) << 1) as u8;
            controls.uxn |= bit(d, 60);
        }
    }

    /// The attributes of a leaf.
    pub(crate) fn attributes(&self, features: &Features, half: &Half, d: u64) -> MemAttrs {
        let sh = if half.ds { half.sh } else { Shareability::from_sh(field(d, 9, 8)) };
        let attr = (self.mair >> (8 * field(d, 4, 2))) as u8;
        let attrs = MemAttrs::from_mair(attr, sh, features.mte2);
        if self.cacheable { attrs } else { attrs.uncached() }
    }
}

impl Half {
    /// TxSZ is outside what the implementation has: any walk faults.
    #[must_use]
    pub(crate) const fn bad_size(&self, features: &Features) -> bool {
        let wide = self.ds || features.lva && matches!(self.granule, Granule::K64);
        let min = if wide { 12 } else { 16 };
        self.txsz < min || self.txsz > features.max_txsz(self.granule)
    }

    /// The number of address bits that a pointer of the half has, whatever walks say to it: TxSZ, limited to what the
    /// implementation has (pseudocode function CalculateBottomPACBit).
    #[must_use]
    pub fn address_bits(&self, features: &Features) -> u32 {
        let wide = self.ds || features.lva && matches!(self.granule, Granule::K64);
        let min = if wide { 12 } else { 16 };
        64 - u32::from(self.txsz.clamp(min, features.max_txsz(self.granule)))
    }

    /// Address bits that the half resolves.
    pub(crate) const fn input_bits(&self) -> u32 {
        64 - self.txsz as u32
    }

    /// The level of the first lookup; the size must have been checked.
    pub(crate) const fn start_level(&self) -> i8 {
        3 - ((self.input_bits() - 1 - self.granule.bits()) / self.granule.stride()) as i8
    }

    /// The base of the first table. `output` is the size that IPS asks for.
    pub(crate) const fn base(&self, format: &Format, output: u8) -> u64 {
        let index_bits = self.input_bits() - self.granule.block_bits(self.start_level());
        let wide = self.ds || format.lpa && matches!(self.granule, Granule::K64) && output >= 52;
        format.table_base(self.ttbr, index_bits + 3, wide)
    }
}

fn effective_ds(features: &Features, granule: Granule, ds: bool) -> bool {
    features.lpa2 && granule != Granule::K64 && ds
}

fn lower_half(features: &Features, regs: &Stage1Regs) -> Half {
    let tcr = regs.tcr;
    let granule = features.granule(Granule::from_tg0(field(tcr, 15, 14)));
    Half {
        ttbr: regs.ttbr0,
        txsz: field(tcr, 5, 0) as u8,
        granule,
        tbi: bit(tcr, 37),
        tbid: features.tbid && bit(tcr, 51),
        epd: bit(tcr, 7),
        hpd: features.hpds && bit(tcr, 41),
        e0pd: features.e0pd && bit(tcr, 55),
        ds: effective_ds(features, granule, bit(tcr, 59)),
        sh: Shareability::from_sh(field(tcr, 13, 12)),
    }
}

fn upper_half(features: &Features, regs: &Stage1Regs) -> Half {
    let tcr = regs.tcr;
    let granule = features.granule(Granule::from_tg1(field(tcr, 31, 30)));
    Half {
        ttbr: regs.ttbr1,
        txsz: field(tcr, 21, 16) as u8,
        granule,
        tbi: bit(tcr, 38),
        tbid: features.tbid && bit(tcr, 52),
        epd: bit(tcr, 23),
        hpd: features.hpds && bit(tcr, 42),
        e0pd: features.e0pd && bit(tcr, 56),
        ds: effective_ds(features, granule, bit(tcr, 59)),
        sh: Shareability::from_sh(field(tcr, 29, 28)),
    }
}

fn el2_half(features: &Features, regs: &Stage1Regs) -> Half {
    let tcr = regs.tcr;
    let granule = features.granule(Granule::from_tg0(field(tcr, 15, 14)));
    Half {
        ttbr: regs.ttbr0,
        txsz: field(tcr, 5, 0) as u8,
        granule,
        tbi: bit(tcr, 20),
        tbid: features.tbid && bit(tcr, 29),
        epd: false,
        hpd: features.hpds && bit(tcr, 24),
        e0pd: false,
        ds: effective_ds(features, granule, bit(tcr, 32)),
        sh: Shareability::from_sh(field(tcr, 13, 12)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Features = Features::max();

    fn el10(tcr: u64) -> Stage1 {
        let regs =
            Stage1Regs { sctlr: 5, tcr, ttbr0: 0x1234 << 48, ttbr1: 0xabcd << 48, ..Default::default() };
        Stage1::from_regs(&MAX, Regime::El10, &regs)
    }

    #[test]
    fn linux_tcr_decodes() {
        // 48-bit halves, 4 KiB, TBI0, AS, A1, 48-bit IPS, HA, HD.
        let tcr = 16 | 16 << 16 | 2 << 30 | 1 << 37 | 1 << 36 | 1 << 22 | 5 << 32 | 3 << 39;
        let s1 = el10(tcr);
        assert_eq!((s1.halves[0].txsz, s1.halves[1].txsz), (16, 16));
        assert_eq!((s1.halves[0].granule, s1.halves[1].granule), (Granule::K4, Granule::K4));
        assert!(s1.halves[0].tbi && !s1.halves[1].tbi && s1.ha && s1.hd && s1.cacheable);
        assert_eq!((s1.asid, s1.output), (0xabcd, 48));
        assert_eq!(s1.halves[0].start_level(), 0);
        assert_eq!(el10(tcr & !(1 << 36)).asid, 0xcd);
        assert_eq!(el10(tcr & !(1 << 22)).asid, 0x1234);
        let a72 = Stage1::from_regs(
            &Features::cortex_a72(),
            Regime::El10,
            &Stage1Regs { sctlr: 1, tcr, ..Default::default() },
        );
        assert!(!a72.ha && !a72.hd);
    }

    #[test]
    fn enable_depends_on_hcr() {
        let on = |regime, hcr| {
            let regs = Stage1Regs { sctlr: 1, hcr, ..Default::default() };
            Stage1::from_regs(&MAX, regime, &regs).enabled
        };
        assert!(on(Regime::El10, 0));
        assert!(!on(Regime::El10, 1 << 12));
        assert!(!on(Regime::El10, 1 << 27));
        assert!(on(Regime::El20, 1 << 27));
    }

    #[test]
    fn el2_layout() {
        let regs = Stage1Regs {
            sctlr: 1,
            tcr: 20 | 1 << 20 | 3 << 21 | 4 << 16 | 1 << 24 | 1 << 32,
            ..Default::default()
        };
        let s1 = Stage1::from_regs(&MAX, Regime::El2, &regs);
        assert!(s1.halves[0].tbi && s1.ha && s1.hd && s1.halves[0].hpd && s1.halves[0].ds);
        assert_eq!((s1.output, s1.asid), (44, 0));
        assert_eq!(s1.half(1 << 55).txsz, 20);
    }

    #[test]
    fn start_levels() {
        let level = |txsz, granule| Half { txsz, granule, ..el10(0).halves[0] }.start_level();
        assert_eq!(level(16, Granule::K4), 0);
        assert_eq!(level(25, Granule::K4), 1);
        assert_eq!(level(24, Granule::K4), 0);
        assert_eq!(level(12, Granule::K4), -1);
        assert_eq!(level(48, Granule::K4), 3);
        assert_eq!(level(16, Granule::K16), 0);
        assert_eq!(level(17, Granule::K16), 1);
        assert_eq!(level(12, Granule::K64), 1);
        assert_eq!(level(22, Granule::K64), 2);
        assert_eq!(level(47, Granule::K64), 3);
    }

    #[test]
    fn tags_come_off() {
        let s1 = el10(25 | 25 << 16 | 1 << 37 | 1 << 51);
        assert_eq!(s1.canonical(0xab00_0000_0000_1000, false), 0x1000);
        // TBID: instruction addresses keep the byte.
        assert_eq!(s1.canonical(0xab00_0000_0000_1000, true), 0xab00_0000_0000_1000);
        assert_eq!(s1.canonical(0xabff_ffff_ffff_f000, false), 0xabff_ffff_ffff_f000);
        let both = el10(25 | 25 << 16 | 3 << 37);
        assert_eq!(both.canonical(0x12ff_ffff_ffff_f000, false), 0xffff_ffff_ffff_f000);
    }

    #[test]
    fn ranges() {
        let s1 = el10(25 | 25 << 16);
        let ok = |va| s1.in_range(va, s1.half(va));
        assert!(ok(0x7f_ffff_ffff) && !ok(0x80_0000_0000));
        assert!(ok(0xffff_ff80_0000_0000) && !ok(0xffff_ff7f_ffff_ffff));
        assert!(!ok(0x0100_0000_0000_0000));
    }
}
