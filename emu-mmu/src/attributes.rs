//! Memory attributes: MAIR, stage 2 MemAttr, their combination and FEAT_S2FWB (Arm ARM D8.6).

use crate::config::field;

/// Kinds of Device memory, the most restrictive first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum DeviceKind {
    /// No gathering, no reordering, no early write acknowledgement.
    NGnRnE = 0,
    /// No gathering, no reordering.
    NGnRE = 1,
    /// No gathering.
    NGRE = 2,
    /// Gathering, reordering, early write acknowledgement.
    GRE = 3,
}

impl DeviceKind {
    const fn from_bits(b: u64) -> Self {
        match b & 3 {
            0 => Self::NGnRnE,
            1 => Self::NGnRE,
            2 => Self::NGRE,
            _ => Self::GRE,
        }
    }
}

/// Who shares the memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shareability {
    /// Non-shareable.
    Non,
    /// Inner Shareable.
    Inner,
    /// Outer Shareable.
    Outer,
}

impl Shareability {
    /// An SH field; the reserved value means Outer Shareable.
    #[must_use]
    pub const fn from_sh(sh: u64) -> Self {
        match sh & 3 {
            0 => Self::Non,
            3 => Self::Inner,
            _ => Self::Outer,
        }
    }
    /// The SH encoding.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Non => 0b00,
            Self::Inner => 0b11,
            Self::Outer => 0b10,
        }
    }
}

/// The cache policy of one level, in the encoding of a MAIR nibble: 0b0100 is Non-cacheable, bit 2 clear is
/// Write-Through, set is Write-Back; bit 3 is clear for transient; bits 1:0 are the read and write allocation hints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cacheability(u8);

impl Cacheability {
    /// Non-cacheable.
    pub const NC: Self = Self(0b0100);
    /// Write-Back, non-transient, read and write allocate.
    pub const WB: Self = Self(0b1111);

    /// From a MAIR nibble; the reserved 0b0000 means Non-cacheable.
    #[must_use]
    pub const fn from_mair(nibble: u8) -> Self {
        if nibble & 0xf == 0 { Self::NC } else { Self(nibble & 0xf) }
    }
    /// The MAIR nibble.
    #[must_use]
    pub const fn mair(self) -> u8 {
        self.0
    }
    /// True for Non-cacheable.
    #[must_use]
    pub const fn is_nc(self) -> bool {
        self.0 == Self::NC.0
    }
    const fn is_write_through(self) -> bool {
        self.0 & 0b0100 == 0
    }
    /// The weaker of stage 1 (`self`, whose hints stay) and a stage 2 policy (MemAttr encoding 01 NC, 10 WT, 11 WB).
    const fn limit(self, stage2: u64) -> Self {
        match stage2 & 3 {
            _ if self.is_nc() => self,
            0 | 1 => Self::NC,
            2 => Self(self.0 & !0b0100),
            _ => self,
        }
    }
}

/// Device or Normal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemType {
    /// Device memory.
    Device(DeviceKind),
    /// Normal memory.
    Normal {
        /// Outer cacheability.
        outer: Cacheability,
        /// Inner cacheability.
        inner: Cacheability,
    },
}

/// The attributes of a translation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemAttrs {
    /// Device or Normal, and how.
    pub ty: MemType,
    /// Shareability.
    pub sh: Shareability,
    /// Tagged Normal memory (FEAT_MTE2).
    pub tagged: bool,
}

impl MemAttrs {
    /// Device-nGnRnE: data accesses with stage 1 off.
    pub const DEVICE: Self =
        Self { ty: MemType::Device(DeviceKind::NGnRnE), sh: Shareability::Outer, tagged: false };
    /// Normal Write-Back, Non-shareable: stage 1 off with HCR_EL2.DC.
    pub const DEFAULT_CACHEABLE: Self = Self {
        ty: MemType::Normal { outer: Cacheability::WB, inner: Cacheability::WB },
        sh: Shareability::Non,
        tagged: false,
    };
    const NC: MemType = MemType::Normal { outer: Cacheability::NC, inner: Cacheability::NC };

    /// Decodes a MAIR attribute (Arm ARM D24.2.109). `mte2`: 0xF0 is Tagged Normal.
    #[must_use]
    pub const fn from_mair(attr: u8, sh: Shareability, mte2: bool) -> Self {
        let wb = MemType::Normal { outer: Cacheability::WB, inner: Cacheability::WB };
        match attr {
            0x00..=0x0f => {
                Self { ty: MemType::Device(DeviceKind::from_bits(attr as u64 >> 2)), sh, tagged: false }
            }
            0xf0 if mte2 => Self { ty: wb, sh, tagged: true },
            _ => {
                let (outer, inner) = (Cacheability::from_mair(attr >> 4), Cacheability::from_mair(attr));
                Self { ty: MemType::Normal { outer, inner }, sh, tagged: false }
            }
        }
    }

    /// The attribute in MAIR and PAR_EL1 encoding.
    #[must_use]
    pub const fn mair(self) -> u8 {
        match self.ty {
            _ if self.tagged => 0xf0,
            MemType::Device(kind) => (kind as u8) << 2,
            MemType::Normal { outer, inner } => outer.mair() << 4 | inner.mair(),
        }
    }

    /// True for Device memory.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self.ty, MemType::Device(_))
    }

    /// Device and Non-cacheable Normal memory is always Outer Shareable.
    #[must_use]
    pub const fn effective(mut self) -> Self {
        let uncached = match self.ty {
            MemType::Device(_) => true,
            MemType::Normal { outer, inner } => outer.is_nc() && inner.is_nc(),
        };
        if uncached {
            self.sh = Shareability::Outer;
        }
        self
    }

    /// Normal memory becomes Non-cacheable (SCTLR_ELx.C = 0, HCR_EL2.CD = 1).
    #[must_use]
    pub const fn uncached(mut self) -> Self {
        if !self.is_device() {
            self.ty = Self::NC;
            self.tagged = false;
        }
        self
    }

    /// Combines stage 1 attributes (`self`) with a stage 2 `MemAttr[3:0]` and shareability (S2CombineS1MemAttrs).
    #[must_use]
    pub fn combine(self, mem_attr: u64, sh: Shareability) -> Self {
        let s2_device = (mem_attr & 0b1100 == 0).then(|| DeviceKind::from_bits(mem_attr));
        let ty = match (self.ty, s2_device) {
            (MemType::Device(a), Some(b)) => MemType::Device(a.min(b)),
            (MemType::Device(a), None) | (MemType::Normal { .. }, Some(a)) => MemType::Device(a),
            (MemType::Normal { outer, inner }, None) => {
                MemType::Normal { outer: outer.limit(field(mem_attr, 3, 2)), inner: inner.limit(mem_attr) }
            }
        };
        let wb = matches!(ty, MemType::Normal { outer, inner }
            if outer == Cacheability::WB && inner == Cacheability::WB);
        Self { ty, sh: self.sh.max(sh), tagged: self.tagged && wb }.effective()
    }

    /// Combines under HCR_EL2.FWB = 1 (S2ApplyFWBMemAttrs).
    #[must_use]
    pub fn combine_fwb(self, mem_attr: u64, sh: Shareability) -> Self {
        let ty = match mem_attr & 0b111 {
            kind @ 0..=3 => {
                let s2 = DeviceKind::from_bits(kind);
                MemType::Device(if let MemType::Device(s1) = self.ty { s1.min(s2) } else { s2 })
            }
            0b111 => self.ty,
            0b110 => {
                let write_back = |c: Cacheability| match c {
                    c if c.is_nc() => Cacheability::WB,
                    c if c.is_write_through() => Cacheability(c.0 | 0b0100),
                    c => c,
                };
                match self.ty {
                    MemType::Device(_) => {
                        MemType::Normal { outer: Cacheability::WB, inner: Cacheability::WB }
                    }
                    MemType::Normal { outer, inner } => {
                        MemType::Normal { outer: write_back(outer), inner: write_back(inner) }
                    }
                }
            }
            _ if self.is_device() => self.ty,
            _ => Self::NC,
        };
        let tagged = self.tagged && matches!(mem_attr & 0b111, 0b110 | 0b111);
        Self { ty, sh: self.sh.max(sh), tagged }.effective()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s1(attr: u8) -> MemAttrs {
        MemAttrs::from_mair(attr, Shareability::Inner, true)
    }

    #[test]
    fn mair_round_trip() {
        for attr in [0x00, 0x04, 0x08, 0x0c, 0x44, 0xff, 0xbb, 0xee, 0x4f, 0xf4, 0xf0] {
            assert_eq!(s1(attr).mair(), attr);
        }
        assert!(s1(0xf0).tagged);
        assert_eq!(MemAttrs::from_mair(0xf0, Shareability::Inner, false).mair(), 0xf4);
        assert_eq!(MemAttrs::DEVICE.mair(), 0);
        assert_eq!(MemAttrs::DEFAULT_CACHEABLE.mair(), 0xff);
    }

    #[test]
    fn combination() {
        let with = |attr, s2| s1(attr).combine(s2, Shareability::Inner).mair();
        assert_eq!(with(0xff, 0b1111), 0xff);
        assert_eq!(with(0xff, 0b0101), 0x44);
        assert_eq!(with(0xff, 0b1010), 0xbb);
        assert_eq!(with(0xff, 0b0111), 0x4f);
        assert_eq!(with(0x44, 0b1111), 0x44);
        assert_eq!(with(0xff, 0b0001), 0x04);
        assert_eq!(with(0x0c, 0b0001), 0x04);
        assert_eq!(with(0x00, 0b1111), 0x00);
        assert_eq!(with(0xf0, 0b1111), 0xf0);
        assert_eq!(with(0xf0, 0b1010), 0xbb);
        assert_eq!(s1(0xff).combine(0b1111, Shareability::Outer).sh, Shareability::Outer);
        assert_eq!(s1(0xff).combine(0b1111, Shareability::Non).sh, Shareability::Inner);
        assert_eq!(s1(0xff).combine(0b0101, Shareability::Non).sh, Shareability::Outer);
    }

    #[test]
    fn forced_write_back() {
        let with = |attr, s2| s1(attr).combine_fwb(s2, Shareability::Inner).mair();
        assert_eq!(with(0x00, 0b0110), 0xff);
        assert_eq!(with(0x44, 0b0110), 0xff);
        assert_eq!(with(0xbb, 0b0110), 0xff);
        assert_eq!(with(0x44, 0b0111), 0x44);
        assert_eq!(with(0x00, 0b0111), 0x00);
        assert_eq!(with(0xff, 0b0101), 0x44);
        assert_eq!(with(0x04, 0b0101), 0x04);
        assert_eq!(with(0xff, 0b0001), 0x04);
        assert_eq!(with(0x00, 0b0011), 0x00);
    }
}
