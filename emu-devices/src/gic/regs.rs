//! The register maps of the GIC, as data (Arm IHI 0069, chapter 12), and the access rules that come with them.

use emu_core::addr::Size;

/// Which accesses a register takes (IHI 0069, 12.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// 32 bits.
    Word,
    /// 8 or 32 bits: one byte per interrupt.
    ByteOrWord,
    /// 16 or 32 bits: the message registers.
    HalfOrWord,
    /// 64 bits, or either 32-bit half.
    Double,
}

impl Access {
    fn takes(self, size: Size) -> bool {
        match self {
            Self::Word => size == Size::B4,
            Self::ByteOrWord => matches!(size, Size::B1 | Size::B4),
            Self::HalfOrWord => matches!(size, Size::B2 | Size::B4),
            Self::Double => matches!(size, Size::B4 | Size::B8),
        }
    }
}

/// One register, or one array of registers.
pub(crate) struct Row<R> {
    /// The architecture's name.
    pub(crate) name: &'static str,
    /// Offset of the first byte in the frame.
    pub(crate) offset: u32,
    /// Length in bytes.
    pub(crate) bytes: u32,
    /// Accesses it takes.
    pub(crate) access: Access,
    /// What it is.
    pub(crate) reg: R,
}

pub(crate) const fn row<R>(name: &'static str, offset: u32, bytes: u32, access: Access, reg: R) -> Row<R> {
    Row { name, offset, bytes, access, reg }
}

/// A register that an access hits.
pub(crate) struct Hit<R> {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) reg: R,
    /// Byte offset inside the array.
    pub(crate) at: u32,
}

/// Finds the register behind an access of `size` at `offset`. None if it is reserved, or takes no such access:
/// those read as zero and ignore writes.
pub(crate) fn find<R: Copy>(map: &'static [Row<R>], offset: u64, size: Size) -> Option<Hit<R>> {
    let offset = u32::try_from(offset).ok()?;
    let i = map.partition_point(|r| r.offset <= offset).checked_sub(1)?;
    let row = &map[i];
    let at = offset - row.offset;
    let inside = at < row.bytes && row.access.takes(size) && u64::from(offset) % size.bytes() == 0;
    inside.then_some(Hit { name: row.name, reg: row.reg, at })
}

/// The part of the 64-bit register `value` that an access at byte `at` reads.
pub(crate) fn part_of(value: u64, at: u32, size: Size) -> u64 {
    (value >> (8 * (at & 7))) & size.mask()
}

/// The 64-bit register `old` after an access at byte `at` writes `value`.
pub(crate) fn merged(old: u64, at: u32, size: Size, value: u64) -> u64 {
    let shift = 8 * (at & 7);
    (old & !(size.mask() << shift)) | ((value & size.mask()) << shift)
}

/// Per-interrupt bits: 32 interrupts per word. Distributor and redistributors have the same set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BankReg {
    /// IGROUPR: 1 is Group 1.
    Group,
    /// ISENABLER.
    SetEnable,
    /// ICENABLER.
    ClearEnable,
    /// ISPENDR.
    SetPending,
    /// ICPENDR.
    ClearPending,
    /// ISACTIVER.
    SetActive,
    /// ICACTIVER.
    ClearActive,
}

/// Distributor registers (12.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dist {
    Ctlr,
    Typer,
    Iidr,
    SetSpi,
    ClearSpi,
    Bits(BankReg),
    Priority,
    Config,
    Router,
    /// Implemented as RAZ/WI: what the configuration makes so (one Security state, affinity routing always on).
    Zero,
    Id,
}

/// Offset of the first identification register in every frame (12.1.2).
pub(super) const ID_BASE: u32 = 0xffd0;

use Access::{ByteOrWord, Double, HalfOrWord, Word};

/// The distributor's frame.
pub(super) static DISTRIBUTOR: &[Row<Dist>] = &[
    row("GICD_CTLR", 0x0000, 4, Word, Dist::Ctlr),
    row("GICD_TYPER", 0x0004, 4, Word, Dist::Typer),
    row("GICD_IIDR", 0x0008, 4, Word, Dist::Iidr),
    row("GICD_TYPER2", 0x000c, 4, Word, Dist::Zero),
    row("GICD_STATUSR", 0x0010, 4, Word, Dist::Zero),
    row("GICD_SETSPI_NSR", 0x0040, 4, HalfOrWord, Dist::SetSpi),
    row("GICD_CLRSPI_NSR", 0x0048, 4, HalfOrWord, Dist::ClearSpi),
    row("GICD_SETSPI_SR", 0x0050, 4, HalfOrWord, Dist::Zero),
    row("GICD_CLRSPI_SR", 0x0058, 4, HalfOrWord, Dist::Zero),
    row("GICD_IGROUPR", 0x0080, 0x80, Word, Dist::Bits(BankReg::Group)),
    row("GICD_ISENABLER", 0x0100, 0x80, Word, Dist::Bits(BankReg::SetEnable)),
    row("GICD_ICENABLER", 0x0180, 0x80, Word, Dist::Bits(BankReg::ClearEnable)),
    row("GICD_ISPENDR", 0x0200, 0x80, Word, Dist::Bits(BankReg::SetPending)),
    row("GICD_ICPENDR", 0x0280, 0x80, Word, Dist::Bits(BankReg::ClearPending)),
    row("GICD_ISACTIVER", 0x0300, 0x80, Word, Dist::Bits(BankReg::SetActive)),
    row("GICD_ICACTIVER", 0x0380, 0x80, Word, Dist::Bits(BankReg::ClearActive)),
    row("GICD_IPRIORITYR", 0x0400, 0x400, ByteOrWord, Dist::Priority),
    row("GICD_ITARGETSR", 0x0800, 0x400, ByteOrWord, Dist::Zero),
    row("GICD_ICFGR", 0x0c00, 0x100, Word, Dist::Config),
    row("GICD_IGRPMODR", 0x0d00, 0x80, Word, Dist::Zero),
    row("GICD_NSACR", 0x0e00, 0x100, Word, Dist::Zero),
    row("GICD_SGIR", 0x0f00, 4, Word, Dist::Zero),
    row("GICD_CPENDSGIR", 0x0f10, 0x10, ByteOrWord, Dist::Zero),
    row("GICD_SPENDSGIR", 0x0f20, 0x10, ByteOrWord, Dist::Zero),
    row("GICD_INMIR", 0x0f80, 0x80, Word, Dist::Zero),
    row("GICD_IROUTER", 0x6000, 0x1fe0, Double, Dist::Router),
    row("GICD_ID", ID_BASE, 0x30, Word, Dist::Id),
];

/// Redistributor registers of the RD_base frame (12.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Redist {
    Ctlr,
    Iidr,
    Typer,
    Waker,
    PropBaser,
    PendBaser,
    InvLpi,
    InvAll,
    Sync,
    Zero,
    Id,
}

/// The first frame of a redistributor.
pub(super) static REDISTRIBUTOR: &[Row<Redist>] = &[
    row("GICR_CTLR", 0x0000, 4, Word, Redist::Ctlr),
    row("GICR_IIDR", 0x0004, 4, Word, Redist::Iidr),
    row("GICR_TYPER", 0x0008, 8, Double, Redist::Typer),
    row("GICR_STATUSR", 0x0010, 4, Word, Redist::Zero),
    row("GICR_WAKER", 0x0014, 4, Word, Redist::Waker),
    row("GICR_PROPBASER", 0x0070, 8, Double, Redist::PropBaser),
    row("GICR_PENDBASER", 0x0078, 8, Double, Redist::PendBaser),
    row("GICR_INVLPIR", 0x00a0, 8, Double, Redist::InvLpi),
    row("GICR_INVALLR", 0x00b0, 8, Double, Redist::InvAll),
    row("GICR_SYNCR", 0x00c0, 4, Word, Redist::Sync),
    row("GICR_ID", ID_BASE, 0x30, Word, Redist::Id),
];

/// Redistributor registers of the SGI_base frame (12.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SgiFrame {
    Bits(BankReg),
    Priority,
    Config,
    Zero,
}

/// The second frame of a redistributor.
pub(super) static SGI_FRAME: &[Row<SgiFrame>] = &[
    row("GICR_IGROUPR0", 0x0080, 4, Word, SgiFrame::Bits(BankReg::Group)),
    row("GICR_ISENABLER0", 0x0100, 4, Word, SgiFrame::Bits(BankReg::SetEnable)),
    row("GICR_ICENABLER0", 0x0180, 4, Word, SgiFrame::Bits(BankReg::ClearEnable)),
    row("GICR_ISPENDR0", 0x0200, 4, Word, SgiFrame::Bits(BankReg::SetPending)),
    row("GICR_ICPENDR0", 0x0280, 4, Word, SgiFrame::Bits(BankReg::ClearPending)),
    row("GICR_ISACTIVER0", 0x0300, 4, Word, SgiFrame::Bits(BankReg::SetActive)),
    row("GICR_ICACTIVER0", 0x0380, 4, Word, SgiFrame::Bits(BankReg::ClearActive)),
    row("GICR_IPRIORITYR", 0x0400, 0x20, ByteOrWord, SgiFrame::Priority),
    row("GICR_ICFGR", 0x0c00, 8, Word, SgiFrame::Config),
    row("GICR_IGRPMODR0", 0x0d00, 4, Word, SgiFrame::Zero),
    row("GICR_NSACR", 0x0e00, 4, Word, SgiFrame::Zero),
    row("GICR_INMIR0", 0x0f80, 4, Word, SgiFrame::Zero),
];

/// Registers of the ITS control frame (12.19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Its {
    Ctlr,
    Iidr,
    Typer,
    Cbaser,
    Cwriter,
    Creadr,
    Baser,
    Zero,
    Id,
}

/// The ITS control frame.
pub(super) static ITS: &[Row<Its>] = &[
    row("GITS_CTLR", 0x0000, 4, Word, Its::Ctlr),
    row("GITS_IIDR", 0x0004, 4, Word, Its::Iidr),
    row("GITS_TYPER", 0x0008, 8, Double, Its::Typer),
    row("GITS_MPAMIDR", 0x0010, 4, Word, Its::Zero),
    row("GITS_PARTIDR", 0x0014, 4, Word, Its::Zero),
    row("GITS_MPIDR", 0x0018, 4, Word, Its::Zero),
    row("GITS_STATUSR", 0x0040, 4, Word, Its::Zero),
    row("GITS_UMSIR", 0x0048, 8, Double, Its::Zero),
    row("GITS_CBASER", 0x0080, 8, Double, Its::Cbaser),
    row("GITS_CWRITER", 0x0088, 8, Double, Its::Cwriter),
    row("GITS_CREADR", 0x0090, 8, Double, Its::Creadr),
    row("GITS_BASER", 0x0100, 0x40, Double, Its::Baser),
    row("GITS_ID", ID_BASE, 0x30, Word, Its::Id),
];

/// Offset of GITS_TRANSLATER in the ITS region: the second 64 KiB frame, 0x40 (12.20).
pub(super) const TRANSLATER: u64 = 0x1_0040;

/// GICD_IIDR, GICR_IIDR, GITS_IIDR: implementer Arm, product 0.
pub(super) const IIDR: u32 = 0x43b;

/// The CoreSight identification registers from [`ID_BASE`] on: PIDR4..7, PIDR0..3, CIDR0..3. `part` is the low byte
/// of the part number. PIDR2[7:4] = 3 says GICv3.
pub(super) fn id_register(at: u32, part: u32) -> u32 {
    match at / 4 {
        0 => 0x44,
        4 => part,
        5 => 0xb4,
        6 => 0x3b,
        8 => 0x0d,
        9 => 0xf0,
        10 => 0x05,
        11 => 0xb1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<R>(map: &[Row<R>]) -> bool {
        map.windows(2).all(|w| w[0].offset + w[0].bytes <= w[1].offset)
    }

    #[test]
    fn maps_are_sorted_and_disjoint() {
        assert!(sorted(DISTRIBUTOR) && sorted(REDISTRIBUTOR) && sorted(SGI_FRAME) && sorted(ITS));
    }

    #[test]
    fn find_checks_size_and_alignment() {
        let hit = find(DISTRIBUTOR, 0x104, Size::B4).unwrap();
        assert_eq!((hit.name, hit.at), ("GICD_ISENABLER", 4));
        assert!(find(DISTRIBUTOR, 0x104, Size::B1).is_none());
        assert!(find(DISTRIBUTOR, 0x423, Size::B1).is_some());
        assert!(find(DISTRIBUTOR, 0x423, Size::B4).is_none());
        assert!(find(DISTRIBUTOR, 0x6104, Size::B4).is_some());
        assert!(find(DISTRIBUTOR, 0x6104, Size::B8).is_none());
        assert!(find(DISTRIBUTOR, 0x14, Size::B4).is_none());
        assert_eq!(find(DISTRIBUTOR, 0xffe8, Size::B4).unwrap().at, 0x18);
        assert_eq!(id_register(0x18, 0x92), 0x3b);
    }

    #[test]
    fn halves_of_a_doubleword() {
        assert_eq!(part_of(0x1122_3344_5566_7788, 4, Size::B4), 0x1122_3344);
        assert_eq!(merged(0x1122_3344_5566_7788, 0, Size::B4, 0xaabb_ccdd), 0x1122_3344_aabb_ccdd);
        assert_eq!(merged(1, 0, Size::B8, 2), 2);
    }
}
