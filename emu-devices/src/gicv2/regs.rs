//! The register maps of the GICv2, as data (IHI 0048B, 4.1, 4.3, 4.4, 5.2, 5.3, 5.5).

use crate::gic::regs::{Access, BankReg, Row, row};

use Access::{ByteOrWord, Word};

/// Distributor registers (4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dist {
    Ctlr,
    Typer,
    Iidr,
    Bits(BankReg),
    Priority,
    Target,
    Config,
    Sgir,
    ClearSgi,
    SetSgi,
    /// Implemented as RAZ/WI: it is about Security states.
    Zero,
    Id,
}

/// Offset of the first identification register: at the end of a 4 KiB frame (4.3.17).
const ID_BASE: u32 = 0xfd0;

/// The distributor.
pub(super) static DISTRIBUTOR: &[Row<Dist>] = &[
    row("GICD_CTLR", 0x000, 4, Word, Dist::Ctlr),
    row("GICD_TYPER", 0x004, 4, Word, Dist::Typer),
    row("GICD_IIDR", 0x008, 4, Word, Dist::Iidr),
    row("GICD_IGROUPR", 0x080, 0x80, Word, Dist::Bits(BankReg::Group)),
    row("GICD_ISENABLER", 0x100, 0x80, Word, Dist::Bits(BankReg::SetEnable)),
    row("GICD_ICENABLER", 0x180, 0x80, Word, Dist::Bits(BankReg::ClearEnable)),
    row("GICD_ISPENDR", 0x200, 0x80, Word, Dist::Bits(BankReg::SetPending)),
    row("GICD_ICPENDR", 0x280, 0x80, Word, Dist::Bits(BankReg::ClearPending)),
    row("GICD_ISACTIVER", 0x300, 0x80, Word, Dist::Bits(BankReg::SetActive)),
    row("GICD_ICACTIVER", 0x380, 0x80, Word, Dist::Bits(BankReg::ClearActive)),
    row("GICD_IPRIORITYR", 0x400, 0x400, ByteOrWord, Dist::Priority),
    row("GICD_ITARGETSR", 0x800, 0x400, ByteOrWord, Dist::Target),
    row("GICD_ICFGR", 0xc00, 0x100, Word, Dist::Config),
    row("GICD_NSACR", 0xe00, 0x100, Word, Dist::Zero),
    row("GICD_SGIR", 0xf00, 4, Word, Dist::Sgir),
    row("GICD_CPENDSGIR", 0xf10, 0x10, ByteOrWord, Dist::ClearSgi),
    row("GICD_SPENDSGIR", 0xf20, 0x10, ByteOrWord, Dist::SetSgi),
    row("GICD_ID", ID_BASE, 0x30, Word, Dist::Id),
];

/// Registers of a CPU interface (4.4) and of a virtual one (5.5), which has the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interface {
    Ctlr,
    Pmr,
    Bpr,
    Iar,
    Eoir,
    Rpr,
    Hppir,
    Abpr,
    Aiar,
    Aeoir,
    Ahppir,
    /// Active priorities; of Group 0 only in a physical interface.
    Apr,
    /// Active priorities of Group 1.
    Nsapr,
    /// Implemented as RAZ/WI: active priorities beyond 32 levels.
    Zero,
    Iidr,
    Dir,
}

impl Interface {
    /// Reading it changes something.
    pub(super) fn acknowledges(self) -> bool {
        matches!(self, Self::Iar | Self::Aiar)
    }
}

/// A CPU interface.
pub(super) static CPU_INTERFACE: &[Row<Interface>] = &[
    row("GICC_CTLR", 0x0000, 4, Word, Interface::Ctlr),
    row("GICC_PMR", 0x0004, 4, Word, Interface::Pmr),
    row("GICC_BPR", 0x0008, 4, Word, Interface::Bpr),
    row("GICC_IAR", 0x000c, 4, Word, Interface::Iar),
    row("GICC_EOIR", 0x0010, 4, Word, Interface::Eoir),
    row("GICC_RPR", 0x0014, 4, Word, Interface::Rpr),
    row("GICC_HPPIR", 0x0018, 4, Word, Interface::Hppir),
    row("GICC_ABPR", 0x001c, 4, Word, Interface::Abpr),
    row("GICC_AIAR", 0x0020, 4, Word, Interface::Aiar),
    row("GICC_AEOIR", 0x0024, 4, Word, Interface::Aeoir),
    row("GICC_AHPPIR", 0x0028, 4, Word, Interface::Ahppir),
    row("GICC_APR0", 0x00d0, 4, Word, Interface::Apr),
    row("GICC_APR", 0x00d4, 12, Word, Interface::Zero),
    row("GICC_NSAPR0", 0x00e0, 4, Word, Interface::Nsapr),
    row("GICC_NSAPR", 0x00e4, 12, Word, Interface::Zero),
    row("GICC_IIDR", 0x00fc, 4, Word, Interface::Iidr),
    row("GICC_DIR", 0x1000, 4, Word, Interface::Dir),
];

/// A virtual CPU interface.
pub(super) static VIRTUAL_INTERFACE: &[Row<Interface>] = &[
    row("GICV_CTLR", 0x0000, 4, Word, Interface::Ctlr),
    row("GICV_PMR", 0x0004, 4, Word, Interface::Pmr),
    row("GICV_BPR", 0x0008, 4, Word, Interface::Bpr),
    row("GICV_IAR", 0x000c, 4, Word, Interface::Iar),
    row("GICV_EOIR", 0x0010, 4, Word, Interface::Eoir),
    row("GICV_RPR", 0x0014, 4, Word, Interface::Rpr),
    row("GICV_HPPIR", 0x0018, 4, Word, Interface::Hppir),
    row("GICV_ABPR", 0x001c, 4, Word, Interface::Abpr),
    row("GICV_AIAR", 0x0020, 4, Word, Interface::Aiar),
    row("GICV_AEOIR", 0x0024, 4, Word, Interface::Aeoir),
    row("GICV_AHPPIR", 0x0028, 4, Word, Interface::Ahppir),
    row("GICV_APR0", 0x00d0, 4, Word, Interface::Apr),
    row("GICV_APR", 0x00d4, 12, Word, Interface::Zero),
    row("GICV_IIDR", 0x00fc, 4, Word, Interface::Iidr),
    row("GICV_DIR", 0x1000, 4, Word, Interface::Dir),
];

/// Control of a virtual CPU interface (5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    Hcr,
    Vtr,
    Vmcr,
    Misr,
    Eisr,
    Elrsr,
    Apr,
    Lr,
    /// Implemented as RAZ/WI: the second words for list registers beyond the 32nd.
    Zero,
}

/// Control of a virtual CPU interface.
pub(super) static VIRTUAL_CONTROL: &[Row<Control>] = &[
    row("GICH_HCR", 0x000, 4, Word, Control::Hcr),
    row("GICH_VTR", 0x004, 4, Word, Control::Vtr),
    row("GICH_VMCR", 0x008, 4, Word, Control::Vmcr),
    row("GICH_MISR", 0x010, 4, Word, Control::Misr),
    row("GICH_EISR0", 0x020, 4, Word, Control::Eisr),
    row("GICH_EISR1", 0x024, 4, Word, Control::Zero),
    row("GICH_ELRSR0", 0x030, 4, Word, Control::Elrsr),
    row("GICH_ELRSR1", 0x034, 4, Word, Control::Zero),
    row("GICH_APR", 0x0f0, 4, Word, Control::Apr),
    row("GICH_LR", 0x100, 0x100, Word, Control::Lr),
];

/// GICD_IIDR: implementer Arm, product 0.
pub(super) const GICD_IIDR: u32 = 0x43b;
/// GICC_IIDR and GICV_IIDR: the same, architecture version 2 in bits 19:16.
pub(super) const GICC_IIDR: u32 = 2 << 16 | 0x43b;

/// The identification registers of the distributor: PIDR4..7, PIDR0..3, CIDR0..3. PIDR2\[7:4\] = 2 says GICv2.
pub(super) fn id_register(at: u32) -> u32 {
    match at / 4 {
        0 => 0x04,
        4 => 0x90,
        5 => 0xb4,
        6 => 0x2b,
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
        assert!(sorted(DISTRIBUTOR) && sorted(CPU_INTERFACE));
        assert!(sorted(VIRTUAL_INTERFACE) && sorted(VIRTUAL_CONTROL));
    }
}
