//! The registers of the GIC's distributor and redistributors (Arm IHI 0069, chapter 12), and what they have in common with those of
//! a GICv2.

use emu_core::registers::{Map, Row, Sizes, constants, double, reserved, word};

use crate::registers::PCELL_ID;

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

/// ICFGR: of the two bits of each interrupt, the upper one is "edge-triggered".
pub(crate) const CONFIG_BITS: u64 = 0xaaaa_aaaa;

/// PIDR0 to PIDR3: Arm's part `part`, of GIC architecture `version`.
pub(crate) const fn pidr(part: u32, version: u32) -> [u32; 4] {
    [part, 0xb4, version << 4 | 0xb, 0]
}

/// CIDR0 to CIDR3.
pub(crate) const CIDR: &[u32] = PCELL_ID;

/// PIDR4 to PIDR7 of a frame of 64 KiB.
const PIDR4: &[u32] = &[0x44, 0, 0, 0];

/// The CoreSight identification registers at the end of each 64 KiB frame (12.1.2): PIDR4 to PIDR7 in the first row, PIDR0
/// to PIDR3, CIDR0 to CIDR3.
pub(super) const fn identification<R: Copy>(names: [&'static str; 2], pidr: &'static [u32]) -> [Row<R>; 3] {
    [
        constants(names[0], 0xffd0, PIDR4).first(4),
        constants(names[0], 0xffe0, pidr),
        constants(names[1], 0xfff0, CIDR),
    ]
}

/// GICD_IIDR, GICR_IIDR, GITS_IIDR: implementer Arm, product 0.
pub(super) const IIDR: &[u32] = &[0x43b];

/// GICD_CTLR.
pub(super) mod gicd_ctlr {
    /// EnableGrp0 and EnableGrp1 can be written.
    pub(in crate::gic) const WRITABLE: u64 = 0b11;
    /// ARE and DS read as one (one Security state, no legacy operation).
    pub(in crate::gic) const FIXED: u64 = 1 << 4 | 1 << 6;
}

/// GICD_IROUTER without its RES0 bits.
pub(super) const IROUTER: u64 = 0x0000_00ff_80ff_ffff;

/// Distributor registers (12.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dist {
    Ctlr,
    Typer,
    SetSpi,
    ClearSpi,
    Bits(BankReg),
    Priority,
    Config,
    Router,
}

static DISTRIBUTOR_PIDR: [u32; 4] = pidr(0x92, 3);
const DISTRIBUTOR_ID: [Row<Dist>; 3] = identification(["GICD_PIDR", "GICD_CIDR"], &DISTRIBUTOR_PIDR);

/// The distributor's frame. What is reserved is so by the configuration: one Security state, affinity routing always on.
pub(super) static DISTRIBUTOR: Map<Dist> = Map {
    specification: "Arm IHI 0069, 12.9 (GIC distributor)",
    window: super::DISTRIBUTOR_SIZE,
    rows: &[
        word("GICD_CTLR", 0x0000, Dist::Ctlr)
            .bits(gicd_ctlr::WRITABLE | gicd_ctlr::FIXED)
            .writes(gicd_ctlr::WRITABLE)
            .reset(gicd_ctlr::FIXED),
        word("GICD_TYPER", 0x0004, Dist::Typer).read_only(0xffff_ffff).varies(),
        constants("GICD_IIDR", 0x0008, IIDR),
        reserved("GICD_TYPER2", 0x000c),
        reserved("GICD_STATUSR", 0x0010),
        word("GICD_SETSPI_NSR", 0x0040, Dist::SetSpi).takes(Sizes::HALF_OR_WORD).write_only(0x1fff),
        word("GICD_CLRSPI_NSR", 0x0048, Dist::ClearSpi).takes(Sizes::HALF_OR_WORD).write_only(0x1fff),
        reserved("GICD_SETSPI_SR", 0x0050).takes(Sizes::HALF_OR_WORD),
        reserved("GICD_CLRSPI_SR", 0x0058).takes(Sizes::HALF_OR_WORD),
        word("GICD_IGROUPR", 0x0080, Dist::Bits(BankReg::Group)).array(32),
        word("GICD_ISENABLER", 0x0100, Dist::Bits(BankReg::SetEnable)).array(32),
        word("GICD_ICENABLER", 0x0180, Dist::Bits(BankReg::ClearEnable)).array(32),
        // Wires may be up.
        word("GICD_ISPENDR", 0x0200, Dist::Bits(BankReg::SetPending)).array(32).varies(),
        word("GICD_ICPENDR", 0x0280, Dist::Bits(BankReg::ClearPending)).array(32).varies(),
        word("GICD_ISACTIVER", 0x0300, Dist::Bits(BankReg::SetActive)).array(32),
        word("GICD_ICACTIVER", 0x0380, Dist::Bits(BankReg::ClearActive)).array(32),
        word("GICD_IPRIORITYR", 0x0400, Dist::Priority).array(256).takes(Sizes::BYTE_OR_WORD),
        reserved("GICD_ITARGETSR", 0x0800).array(256).takes(Sizes::BYTE_OR_WORD),
        word("GICD_ICFGR", 0x0c00, Dist::Config).array(64).bits(CONFIG_BITS),
        reserved("GICD_IGRPMODR", 0x0d00).array(32),
        reserved("GICD_NSACR", 0x0e00).array(64),
        reserved("GICD_SGIR", 0x0f00),
        reserved("GICD_CPENDSGIR", 0x0f10).array(4).takes(Sizes::BYTE_OR_WORD),
        reserved("GICD_SPENDSGIR", 0x0f20).array(4).takes(Sizes::BYTE_OR_WORD),
        reserved("GICD_INMIR", 0x0f80).array(32),
        double("GICD_IROUTER", 0x6000, Dist::Router).array(1020).bits(IROUTER),
        DISTRIBUTOR_ID[0],
        DISTRIBUTOR_ID[1],
        DISTRIBUTOR_ID[2],
    ],
};

/// GICR_CTLR.
pub(super) mod gicr_ctlr {
    /// EnableLPIs.
    pub(in crate::gic) const ENABLE_LPIS: u64 = 1 << 0;
    /// CES: EnableLPIs can be cleared again.
    pub(in crate::gic) const CES: u64 = 1 << 1;
    /// IR: GICR_INVLPIR and GICR_INVALLR work without DirectLPI.
    pub(in crate::gic) const IR: u64 = 1 << 2;
    /// DPG0.
    pub(in crate::gic) const DPG0: u64 = 1 << 24;
    /// DPG1NS.
    pub(in crate::gic) const DPG1NS: u64 = 1 << 25;
    /// What can be written.
    pub(in crate::gic) const WRITABLE: u64 = ENABLE_LPIS | DPG0 | DPG1NS;
}

/// GICR_WAKER.
pub(super) mod gicr_waker {
    /// ProcessorSleep.
    pub(in crate::gic) const PROCESSOR_SLEEP: u64 = 1 << 1;
    /// ChildrenAsleep.
    pub(in crate::gic) const CHILDREN_ASLEEP: u64 = 1 << 2;
    /// Both.
    pub(in crate::gic) const ASLEEP: u64 = PROCESSOR_SLEEP | CHILDREN_ASLEEP;
}

/// GICR_PROPBASER without its RES0 bits (12.11.24).
const PROPBASER: u64 = 0x070f_ffff_ffff_ff9f;
/// GICR_PENDBASER without its RES0 bits and PTZ (12.11.23).
const PENDBASER: u64 = 0x070f_ffff_ffff_0f80;
/// GICR_PENDBASER.PTZ: the pending table is zero. Write-only.
pub(super) const PTZ: u64 = 1 << 62;

/// Redistributor registers of the RD_base frame (12.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Redist {
    Ctlr,
    Typer,
    Waker,
    PropBaser,
    PendBaser,
    InvLpi,
    InvAll,
    Sync,
}

static REDISTRIBUTOR_PIDR: [u32; 4] = pidr(0x93, 3);
const REDISTRIBUTOR_ID: [Row<Redist>; 3] = identification(["GICR_PIDR", "GICR_CIDR"], &REDISTRIBUTOR_PIDR);

/// The first frame of a redistributor.
pub(super) static REDISTRIBUTOR: Map<Redist> = Map {
    specification: "Arm IHI 0069, 12.10 (GIC redistributor, RD_base)",
    window: super::FRAME,
    rows: &[
        word("GICR_CTLR", 0x0000, Redist::Ctlr)
            .bits(gicr_ctlr::WRITABLE | gicr_ctlr::CES | gicr_ctlr::IR)
            .writes(gicr_ctlr::WRITABLE)
            .varies(),
        constants("GICR_IIDR", 0x0004, IIDR),
        double("GICR_TYPER", 0x0008, Redist::Typer).read_only(u64::MAX).varies(),
        reserved("GICR_STATUSR", 0x0010),
        word("GICR_WAKER", 0x0014, Redist::Waker)
            .bits(gicr_waker::ASLEEP)
            .writes(gicr_waker::PROCESSOR_SLEEP)
            .reset(gicr_waker::ASLEEP),
        double("GICR_PROPBASER", 0x0070, Redist::PropBaser).bits(PROPBASER),
        double("GICR_PENDBASER", 0x0078, Redist::PendBaser).bits(PENDBASER).writes(PENDBASER | PTZ),
        double("GICR_INVLPIR", 0x00a0, Redist::InvLpi).write_only(0xffff_ffff),
        double("GICR_INVALLR", 0x00b0, Redist::InvAll).write_only(u64::MAX),
        word("GICR_SYNCR", 0x00c0, Redist::Sync).read_only(1),
        REDISTRIBUTOR_ID[0],
        REDISTRIBUTOR_ID[1],
        REDISTRIBUTOR_ID[2],
    ],
};

/// Redistributor registers of the SGI_base frame (12.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SgiFrame {
    Bits(BankReg),
    Priority,
    Config,
}

/// The second frame of a redistributor.
pub(super) static SGI_FRAME: Map<SgiFrame> = Map {
    specification: "Arm IHI 0069, 12.11 (GIC redistributor, SGI_base)",
    window: super::FRAME,
    rows: &[
        word("GICR_IGROUPR0", 0x0080, SgiFrame::Bits(BankReg::Group)),
        word("GICR_ISENABLER0", 0x0100, SgiFrame::Bits(BankReg::SetEnable)),
        word("GICR_ICENABLER0", 0x0180, SgiFrame::Bits(BankReg::ClearEnable)),
        word("GICR_ISPENDR0", 0x0200, SgiFrame::Bits(BankReg::SetPending)).varies(),
        word("GICR_ICPENDR0", 0x0280, SgiFrame::Bits(BankReg::ClearPending)).varies(),
        word("GICR_ISACTIVER0", 0x0300, SgiFrame::Bits(BankReg::SetActive)),
        word("GICR_ICACTIVER0", 0x0380, SgiFrame::Bits(BankReg::ClearActive)),
        word("GICR_IPRIORITYR", 0x0400, SgiFrame::Priority).array(8).takes(Sizes::BYTE_OR_WORD),
        // SGIs are always edge-triggered.
        word("GICR_ICFGR", 0x0c00, SgiFrame::Config).array(2).bits(CONFIG_BITS).varies(),
        reserved("GICR_IGRPMODR0", 0x0d00),
        reserved("GICR_NSACR", 0x0e00),
        reserved("GICR_INMIR0", 0x0f80),
    ],
};

#[cfg(test)]
mod tests {
    use emu_core::addr::Size;

    use super::*;

    #[test]
    fn accesses_are_checked_by_size_and_alignment() {
        let find = |offset, size| DISTRIBUTOR.find(offset, size);
        let hit = find(0x104, Size::B4).unwrap();
        assert_eq!((hit.row.name, hit.index), ("GICD_ISENABLER", 1));
        assert!(find(0x104, Size::B1).is_none());
        assert!(find(0x423, Size::B1).is_some());
        assert!(find(0x423, Size::B4).is_none());
        assert!(find(0x6104, Size::B4).is_some());
        assert!(find(0x6104, Size::B8).is_none());
        assert!(find(0x14, Size::B4).is_none());
        assert_eq!(find(0xffe8, Size::B4).unwrap().value(|_| 0), 0x3b, "PIDR2: GICv3");
    }
}
