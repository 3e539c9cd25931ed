//! VMSAv8-64 descriptors (Arm ARM D8.3): what 64 bits in a table mean at a level.

use crate::config::{Features, Granule, bit, field, low_mask};

/// Access flag.
pub const AF: u64 = 1 << 10;
/// Stage 1 `AP[2]` (read-only), cleared by hardware when a clean page with [`DBM`] is written; at stage 2 the same bit is
/// `S2AP[1]` (writable) and is set.
pub const AP2: u64 = 1 << 7;
/// Dirty bit modifier.
pub const DBM: u64 = 1 << 51;
/// Not global (stage 1).
pub const NG: u64 = 1 << 11;
/// Guarded page (stage 1, FEAT_BTI).
pub const GP: u64 = 1 << 50;
/// One of a contiguous group.
pub const CONTIGUOUS: u64 = 1 << 52;

/// The address format of one stage's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// The granule.
    pub granule: Granule,
    /// TCR.DS: 52-bit addresses in 4 KiB and 16 KiB descriptors.
    pub ds: bool,
    /// The implementation has 52-bit addresses in 64 KiB descriptors (FEAT_LPA).
    pub lpa: bool,
    /// A level 1 block exists with 64 KiB pages (52-bit PA).
    pub block64_level1: bool,
}

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptor {
    /// Bit 0 clear, or a block where the level has none.
    Invalid,
    /// Points to the next level's table at this address.
    Table(u64),
    /// A block or page whose output starts at this address.
    Leaf(u64),
}

impl Format {
    /// The format for a granule; `ds` is the effective DS bit.
    #[must_use]
    pub const fn new(granule: Granule, ds: bool, features: &Features) -> Self {
        Self { granule, ds, lpa: features.lpa, block64_level1: features.pa_bits >= 52 }
    }

    /// Address bits 51:48 of a descriptor, in place.
    const fn high_address(&self, d: u64) -> u64 {
        match self.granule {
            Granule::K64 if self.lpa => field(d, 15, 12) << 48,
            Granule::K4 | Granule::K16 if self.ds => (field(d, 9, 8) << 50) | (field(d, 49, 48) << 48),
            _ => 0,
        }
    }

    const fn has_block(&self, level: i8) -> bool {
        match self.granule {
            Granule::K4 => matches!(level, 1 | 2) || level == 0 && self.ds,
            Granule::K16 => level == 2 || level == 1 && self.ds,
            Granule::K64 => level == 2 || level == 1 && self.block64_level1,
        }
    }

    /// Decodes `d`, read at `level`. The low bits of a block's output address are ignored.
    #[must_use]
    pub fn decode(&self, d: u64, level: i8) -> Descriptor {
        if !bit(d, 0) {
            return Descriptor::Invalid;
        }
        let base = |bits: u32| (d & low_mask(48) & !low_mask(bits)) | self.high_address(d);
        match (bit(d, 1), level == 3) {
            (true, false) => Descriptor::Table(base(self.granule.bits())),
            (true, true) => Descriptor::Leaf(base(self.granule.bits())),
            (false, _) if self.has_block(level) => Descriptor::Leaf(base(self.granule.block_bits(level))),
            (false, _) => Descriptor::Invalid,
        }
    }

    /// The base of the first table, from a TTBR: alignment to the table's size, and bits 51:48 where the format has
    /// them (Arm ARM D8.2.4). `wide` is true if the register carries bits 51:48 in its bits 5:2.
    #[must_use]
    pub const fn table_base(&self, ttbr: u64, table_bits: u32, wide: bool) -> u64 {
        let (address, least) = if wide {
            ((ttbr & low_mask(48) & !low_mask(6)) | (field(ttbr, 5, 2) << 48), 6)
        } else {
            (ttbr & low_mask(48) & !1, 0)
        };
        let align = if table_bits > least { table_bits } else { least };
        address & !low_mask(align)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn format(granule: Granule, ds: bool) -> Format {
        Format::new(granule, ds, &Features::max())
    }

    #[test]
    fn types_by_level() {
        let f = format(Granule::K4, false);
        assert_eq!(f.decode(0x4000_0000, 3), Descriptor::Invalid);
        assert_eq!(f.decode(0x4000_0003, 0), Descriptor::Table(0x4000_0000));
        assert_eq!(f.decode(0x4000_0003, 3), Descriptor::Leaf(0x4000_0000));
        assert_eq!(f.decode(0x4000_0001, 3), Descriptor::Invalid);
        assert_eq!(f.decode(0x4000_0001, 1), Descriptor::Leaf(0x4000_0000));
        assert_eq!(f.decode(0x4000_0001, 0), Descriptor::Invalid);
        assert_eq!(format(Granule::K16, false).decode(1, 1), Descriptor::Invalid);
        assert_eq!(format(Granule::K64, false).decode(1, 1), Descriptor::Leaf(0));
        let n1 = Format::new(Granule::K64, false, &Features::neoverse_n1());
        assert_eq!(n1.decode(1, 1), Descriptor::Invalid);
    }

    #[test]
    fn low_bits_of_a_block_are_ignored() {
        let f = format(Granule::K4, false);
        assert_eq!(f.decode(0x401f_f001, 2), Descriptor::Leaf(0x4000_0000));
        assert_eq!(format(Granule::K16, false).decode(0x0340_1001, 2), Descriptor::Leaf(0x0200_0000));
    }

    #[test]
    fn lpa2_addresses() {
        let f = format(Granule::K4, true);
        // Bits 49:48 in place, 51:50 from bits 9:8 where shareability used to be.
        let d = (0b01 << 48) | (0b10 << 8) | 0x4000_1003;
        assert_eq!(f.decode(d, 3), Descriptor::Leaf(0x0009_0000_4000_1000));
        assert_eq!(f.decode(d, 1), Descriptor::Table(0x0009_0000_4000_1000));
        assert_eq!(f.decode(d & !2, 0), Descriptor::Leaf(0x0009_0000_0000_0000));
        assert_eq!(format(Granule::K4, false).decode(d, 3), Descriptor::Leaf(0x4000_1000));
    }

    #[test]
    fn lpa_addresses_with_64k() {
        let d = (0xa << 12) | 0x1234_0003;
        assert_eq!(format(Granule::K64, false).decode(d, 3), Descriptor::Leaf(0x000a_0000_1234_0000));
    }

    #[test]
    fn table_bases_are_aligned() {
        let f = format(Granule::K4, false);
        assert_eq!(f.table_base(0x1234_5678, 12, false), 0x1234_5000);
        assert_eq!(f.table_base(0x1234_5678, 6, false), 0x1234_5640);
        assert_eq!(f.table_base(0x1234_567c, 3, true), 0x000f_0000_1234_5640);
    }
}
