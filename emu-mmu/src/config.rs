//! What an implementation has, and the vocabulary of translation control: regimes, granules, address sizes.

/// A stage 1 translation regime (Arm ARM D8.1.2), of whatever Security state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Regime {
    /// EL1&0.
    El10,
    /// EL2&0: EL2 with HCR_EL2.E2H = 1, and EL0 under a host with TGE = 1.
    El20,
    /// EL2 with HCR_EL2.E2H = 0: one TTBR, no unprivileged accesses.
    El2,
}

impl Regime {
    /// True if EL0 is part of the regime: two address ranges, `AP[1]`, UXN and PXN.
    #[must_use]
    pub const fn has_unprivileged(self) -> bool {
        !matches!(self, Self::El2)
    }
    /// True if stage 2 follows, while it is enabled.
    #[must_use]
    pub const fn has_stage2(self) -> bool {
        matches!(self, Self::El10)
    }
    /// True if translations that are not global belong to an ASID.
    #[must_use]
    pub const fn has_asids(self) -> bool {
        self.has_unprivileged()
    }
}

/// A translation granule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Granule {
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

impl Granule {
    /// log2 of the page size.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::K4 => 12,
            Self::K16 => 14,
            Self::K64 => 16,
        }
    }
    /// Address bits resolved by one full table.
    #[must_use]
    pub const fn stride(self) -> u32 {
        self.bits() - 3
    }
    /// log2 of what one descriptor at `level` (-1..=3) maps.
    #[must_use]
    pub const fn block_bits(self, level: i8) -> u32 {
        self.bits() + self.stride() * (3 - level) as u32
    }
    /// log2 of the number of descriptors in a contiguous group at `level`; 0 where the bit has no meaning
    /// (Arm ARM D8.6.1).
    #[must_use]
    pub const fn contiguous_bits(self, level: i8) -> u32 {
        match (self, level) {
            (Self::K4, 1..=3) => 4,
            (Self::K16, 2) | (Self::K64, 2 | 3) => 5,
            (Self::K16, 3) => 7,
            _ => 0,
        }
    }
    /// TCR_ELx.TG0 and VTCR_EL2.TG0.
    #[must_use]
    pub const fn from_tg0(tg: u64) -> Self {
        match tg & 3 {
            1 => Self::K64,
            2 => Self::K16,
            _ => Self::K4,
        }
    }
    /// TCR_ELx.TG1.
    #[must_use]
    pub const fn from_tg1(tg: u64) -> Self {
        match tg & 3 {
            1 => Self::K16,
            3 => Self::K64,
            _ => Self::K4,
        }
    }
}

/// The output size in bits that a PS or IPS field asks for; the reserved value means the largest.
#[must_use]
pub const fn physical_size(ps: u64) -> u8 {
    [32, 36, 40, 42, 44, 48, 52, 52][(ps & 7) as usize]
}

/// The parts of the architecture that change how translation works. A model's ID registers say the same.
/// FEAT_TTL, FEAT_TTCNP and FEAT_BBM are not here: level hints, sharing and replacement without break-before-make are all
/// correct with a TLB that ignores the hint, is private, and keeps the latest entry of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Physical address size in bits: 32, 36, 40, 42, 44, 48 or 52 (ID_AA64MMFR0_EL1.PARange).
    pub pa_bits: u8,
    /// The 16 KiB granule exists (TGran16).
    pub granule16: bool,
    /// The 64 KiB granule exists (TGran64).
    pub granule64: bool,
    /// FEAT_LPA: 52-bit addresses in descriptors of the 64 KiB granule.
    pub lpa: bool,
    /// FEAT_LVA: 52-bit virtual addresses with the 64 KiB granule.
    pub lva: bool,
    /// FEAT_LPA2: TCR_ELx.DS and VTCR_EL2.DS for the 4 KiB and 16 KiB granules.
    pub lpa2: bool,
    /// FEAT_TTST: TxSZ up to 48 (47 with 64 KiB pages), and start level 3 at stage 2 with 4 KiB pages.
    pub ttst: bool,
    /// FEAT_HAFDBS, hardware access flag.
    pub haf: bool,
    /// FEAT_HAFDBS, hardware dirty state.
    pub hdbs: bool,
    /// FEAT_HPDS: hierarchical permission disables.
    pub hpds: bool,
    /// FEAT_XNX: execute-never by exception level at stage 2.
    pub xnx: bool,
    /// FEAT_PAN.
    pub pan: bool,
    /// FEAT_PAN3: SCTLR_ELx.EPAN.
    pub pan3: bool,
    /// FEAT_E0PD.
    pub e0pd: bool,
    /// FEAT_PAuth: TCR_ELx.TBID.
    pub tbid: bool,
    /// FEAT_S2FWB.
    pub fwb: bool,
    /// FEAT_VMID16.
    pub vmid16: bool,
    /// 16-bit ASIDs (ID_AA64MMFR0_EL1.ASIDBits).
    pub asid16: bool,
    /// FEAT_NV: HCR_EL2.NV and NV1 change stage 1 permissions.
    pub nv: bool,
    /// FEAT_MTE2: attribute 0xF0 is Tagged Normal.
    pub mte2: bool,
}

impl Features {
    /// Armv8.0 with nothing optional and `pa_bits` of physical address.
    const fn v8_0(pa_bits: u8) -> Self {
        Self {
            pa_bits,
            granule16: false,
            granule64: true,
            lpa: false,
            lva: false,
            lpa2: false,
            ttst: false,
            haf: false,
            hdbs: false,
            hpds: false,
            xnx: false,
            pan: false,
            pan3: false,
            e0pd: false,
            tbid: false,
            fwb: false,
            vmid16: false,
            asid16: true,
            nv: false,
            mte2: false,
        }
    }

    /// Cortex-A72: Armv8.0, 44-bit PA.
    #[must_use]
    pub const fn cortex_a72() -> Self {
        Self::v8_0(44)
    }

    /// Neoverse N1: Armv8.2, 48-bit PA.
    #[must_use]
    pub const fn neoverse_n1() -> Self {
        Self {
            granule16: true,
            haf: true,
            hdbs: true,
            hpds: true,
            xnx: true,
            pan: true,
            vmid16: true,
            ..Self::v8_0(48)
        }
    }

    /// Everything that this crate implements.
    #[must_use]
    pub const fn max() -> Self {
        Self {
            lpa: true,
            lva: true,
            lpa2: true,
            ttst: true,
            pan3: true,
            e0pd: true,
            tbid: true,
            fwb: true,
            nv: true,
            mte2: true,
            pa_bits: 52,
            ..Self::neoverse_n1()
        }
    }

    /// The granule that walks use when `wanted` is selected: an unimplemented one means 4 KiB.
    #[must_use]
    pub const fn granule(&self, wanted: Granule) -> Granule {
        match wanted {
            Granule::K16 if !self.granule16 => Granule::K4,
            Granule::K64 if !self.granule64 => Granule::K4,
            g => g,
        }
    }

    /// The largest TxSZ (Arm ARM D8.2.5).
    #[must_use]
    pub const fn max_txsz(&self, granule: Granule) -> u8 {
        match (self.ttst, granule) {
            (false, _) => 39,
            (true, Granule::K64) => 47,
            (true, _) => 48,
        }
    }

    /// The output size in bits for a PS or IPS field of `ps` bits; limited by the implementation and, with 4 KiB and
    /// 16 KiB pages and no DS, by the descriptor format.
    #[must_use]
    pub const fn output_bits(&self, ps: u8, granule: Granule, ds: bool) -> u32 {
        let format = match granule {
            Granule::K64 if self.lpa => 52,
            Granule::K64 => 48,
            _ if ds => 52,
            _ => 48,
        };
        let smaller = if ps < self.pa_bits { ps } else { self.pa_bits };
        if smaller < format { smaller as u32 } else { format as u32 }
    }
}

/// The bits `hi..=lo` of a register.
pub(crate) const fn field(value: u64, hi: u32, lo: u32) -> u64 {
    (value >> lo) & (u64::MAX >> (63 - (hi - lo)))
}

/// One bit of a register.
pub(crate) const fn bit(value: u64, n: u32) -> bool {
    value >> n & 1 != 0
}

/// The lowest `n` bits set (`n` below 64).
pub(crate) const fn low_mask(n: u32) -> u64 {
    (1 << n) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes() {
        assert_eq!(Granule::K4.block_bits(3), 12);
        assert_eq!(Granule::K4.block_bits(2), 21);
        assert_eq!(Granule::K4.block_bits(-1), 48);
        assert_eq!(Granule::K16.block_bits(2), 25);
        assert_eq!(Granule::K16.block_bits(1), 36);
        assert_eq!(Granule::K64.block_bits(2), 29);
        assert_eq!(Granule::K64.block_bits(1), 42);
    }

    #[test]
    fn output_sizes_are_limited() {
        let max = Features::max();
        assert_eq!(max.output_bits(52, Granule::K4, false), 48);
        assert_eq!(max.output_bits(52, Granule::K4, true), 52);
        assert_eq!(max.output_bits(52, Granule::K64, false), 52);
        assert_eq!(Features::cortex_a72().output_bits(48, Granule::K64, false), 44);
        assert_eq!(physical_size(7), 52);
    }

    #[test]
    fn absent_granule_is_4k() {
        assert_eq!(Features::cortex_a72().granule(Granule::K16), Granule::K4);
        assert_eq!(Features::neoverse_n1().granule(Granule::K16), Granule::K16);
        assert_eq!(Granule::from_tg1(0), Granule::K4);
        assert_eq!(Granule::from_tg1(3), Granule::K64);
        assert_eq!(Granule::from_tg0(3), Granule::K4);
    }
}
