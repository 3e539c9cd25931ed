//! The registers of a counter group (Arm IHI 0070, 10.5): where they are, and who answers for them.
//!
//! Counters, shadows, the overflow status and CAPR are in a page of their own (CFGR.RELOC_CTRS), 64 KiB behind the first one, so that
//! a hypervisor can give it to a guest whatever its granule.

use emu_core::registers::{Map, Row, constants, double, word};

use super::Group;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reg {
    Evcntr,
    Evtyper,
    Svr,
    Smr,
    CntenSet,
    CntenClr,
    IntenSet,
    IntenClr,
    OvsSet,
    OvsClr,
    Capr,
    Cfgr,
    Cr,
    Iidr,
    Ceid,
    IrqCtrl,
    IrqCtrlAck,
    IrqCfg0,
    IrqCfg1,
    IrqCfg2,
    IrqStatus,
    Aidr,
}

/// Bytes from the first page to behind the second one.
pub const WINDOW: u64 = 0x1_1000;
/// The second page.
pub const PAGE_1: u64 = 0x1_0000;
const P1: u32 = PAGE_1 as u32;

/// EVTYPER.OVFCAP: an overflow captures all counters.
pub(super) const OVFCAP: u32 = 1 << 31;
/// EVTYPER.FILTER_SID_SPAN: SMR is a span of StreamIDs.
pub(super) const FILTER_SID_SPAN: u32 = 1 << 29;
/// EVTYPER.EVENT.
pub(super) const EVENT: u32 = 0xffff;
/// IRQ_CFG0.ADDR, IRQ_CFG2.SH and MemAttr.
const MSI_ADDRESS: u64 = 0x00ff_ffff_ffff_fffc;
const MSI_ATTRIBUTES: u64 = 0x3f;

const ROWS: usize = 27;

/// The rows of a group, whose peripheral ID is given.
const fn rows(group: Group, pidr: &'static [u32; 4]) -> [Row<Reg>; ROWS] {
    let n = group.counters as u32;
    let all = u64::MAX >> (64 - n);
    let filters = if group.one_filter { 1 } else { n };
    [
        word("SMMU_PMCG_EVTYPER", 0x400, Reg::Evtyper)
            .array(n)
            .bits((OVFCAP | FILTER_SID_SPAN | EVENT) as u64),
        word("SMMU_PMCG_SMR", 0xa00, Reg::Smr).array(filters),
        double("SMMU_PMCG_CNTENSET0", 0xc00, Reg::CntenSet).bits(all),
        double("SMMU_PMCG_CNTENCLR0", 0xc20, Reg::CntenClr).bits(all),
        double("SMMU_PMCG_INTENSET0", 0xc40, Reg::IntenSet).bits(all),
        double("SMMU_PMCG_INTENCLR0", 0xc60, Reg::IntenClr).bits(all),
        word("SMMU_PMCG_CFGR", 0xe00, Reg::Cfgr).read_only(0xffff_ffff).varies(),
        word("SMMU_PMCG_CR", 0xe04, Reg::Cr).bits(1),
        word("SMMU_PMCG_IIDR", 0xe08, Reg::Iidr).read_only(0xffff_ffff).varies(),
        double("SMMU_PMCG_CEID", 0xe20, Reg::Ceid).array(2).read_only(u64::MAX).varies(),
        word("SMMU_PMCG_IRQ_CTRL", 0xe50, Reg::IrqCtrl).bits(1),
        word("SMMU_PMCG_IRQ_CTRLACK", 0xe54, Reg::IrqCtrlAck).read_only(1),
        double("SMMU_PMCG_IRQ_CFG0", 0xe58, Reg::IrqCfg0).bits(MSI_ADDRESS),
        word("SMMU_PMCG_IRQ_CFG1", 0xe60, Reg::IrqCfg1),
        word("SMMU_PMCG_IRQ_CFG2", 0xe64, Reg::IrqCfg2).bits(MSI_ATTRIBUTES),
        word("SMMU_PMCG_IRQ_STATUS", 0xe68, Reg::IrqStatus).read_only(1),
        word("SMMU_PMCG_AIDR", 0xe70, Reg::Aidr).read_only(0xff).varies(),
        // 10.5.2.29. PMAUTHSTATUS (0xfb8) is zero: nothing is said of who may count.
        constants("SMMU_PMCG_PMAUTHSTATUS", 0xfb8, &[0]),
        constants("SMMU_PMCG_PMDEVARCH", 0xfbc, &[0x4770_2a56]),
        constants("SMMU_PMCG_PMDEVTYPE", 0xfcc, &[0x56]),
        constants("SMMU_PMCG_PIDR0", 0xfe0, pidr),
        constants("SMMU_PMCG_CIDR", 0xff0, &[0x0d, 0x90, 0x05, 0xb1]),
        counters("SMMU_PMCG_EVCNTR", P1, Reg::Evcntr, group),
        counters("SMMU_PMCG_SVR", P1 + 0x600, Reg::Svr, group).read_only(group.mask()),
        double("SMMU_PMCG_OVSCLR0", P1 + 0xc80, Reg::OvsClr).bits(all),
        double("SMMU_PMCG_OVSSET0", P1 + 0xcc0, Reg::OvsSet).bits(all),
        word("SMMU_PMCG_CAPR", P1 + 0xd88, Reg::Capr).write_only(1),
    ]
}

/// One register for each counter: of 32 bits if that is enough.
const fn counters(name: &'static str, offset: u32, reg: Reg, group: Group) -> Row<Reg> {
    let row = if group.bits > 32 { double(name, offset, reg) } else { word(name, offset, reg) };
    row.array(group.counters as u32).bits(group.mask())
}

static FULL_ROWS: [Row<Reg>; ROWS] = rows(Group::FULL, &[0; 4]);
static MMU600_ROWS: [Row<Reg>; ROWS] = rows(Group::MMU600, &[0x83, 0xb4, 0x2b, 0]);

/// The map of [`Group::FULL`].
pub(super) static FULL: Map<Reg> = Map { specification: SPECIFICATION, window: WINDOW, rows: &FULL_ROWS };
/// The map of [`Group::MMU600`].
pub(super) static MMU600: Map<Reg> = Map { specification: SPECIFICATION, window: WINDOW, rows: &MMU600_ROWS };

const SPECIFICATION: &str = "Arm IHI 0070, 10.5.1 (SMMUv3 PMCG)";

#[cfg(test)]
mod tests {
    use emu_core::addr::Size;

    use super::*;

    #[test]
    fn the_maps_have_no_flaw() {
        assert_eq!((FULL.flaw(), MMU600.flaw()), (None, None));
    }

    /// 10.5.1: counters of 32 bits are 4 bytes from each other, larger ones 8, and both are in page 1.
    #[test]
    fn registers_are_where_the_specification_has_them() {
        let at = |map: &'static Map<Reg>, offset, size| {
            map.find(offset, size).map(|hit| (hit.row.name, hit.index))
        };
        assert_eq!(at(&FULL, 0x1_0018, Size::B8), Some(("SMMU_PMCG_EVCNTR", 3)));
        assert_eq!(at(&MMU600, 0x1_000c, Size::B4), Some(("SMMU_PMCG_EVCNTR", 3)));
        assert_eq!(at(&FULL, 0x1_0618, Size::B8), Some(("SMMU_PMCG_SVR", 3)));
        assert_eq!(at(&FULL, 0x41c, Size::B4), Some(("SMMU_PMCG_EVTYPER", 7)));
        assert_eq!(at(&FULL, 0xa1c, Size::B4), Some(("SMMU_PMCG_SMR", 7)));
        for (offset, size, name) in [
            (0xc00, Size::B8, "SMMU_PMCG_CNTENSET0"),
            (0xc20, Size::B8, "SMMU_PMCG_CNTENCLR0"),
            (0xc40, Size::B8, "SMMU_PMCG_INTENSET0"),
            (0xc60, Size::B8, "SMMU_PMCG_INTENCLR0"),
            (0xe00, Size::B4, "SMMU_PMCG_CFGR"),
            (0xe04, Size::B4, "SMMU_PMCG_CR"),
            (0xe08, Size::B4, "SMMU_PMCG_IIDR"),
            (0xe28, Size::B8, "SMMU_PMCG_CEID"),
            (0xe50, Size::B4, "SMMU_PMCG_IRQ_CTRL"),
            (0xe58, Size::B8, "SMMU_PMCG_IRQ_CFG0"),
            (0xe68, Size::B4, "SMMU_PMCG_IRQ_STATUS"),
            (0xe70, Size::B4, "SMMU_PMCG_AIDR"),
            (0xfbc, Size::B4, "SMMU_PMCG_PMDEVARCH"),
            (0x1_0c80, Size::B8, "SMMU_PMCG_OVSCLR0"),
            (0x1_0cc0, Size::B8, "SMMU_PMCG_OVSSET0"),
            (0x1_0d88, Size::B4, "SMMU_PMCG_CAPR"),
        ] {
            assert_eq!(at(&FULL, offset, size).map(|found| found.0), Some(name));
        }
        // What is not there: a fifth counter, a second filter, counters in page 0, SCR of no Secure state.
        for (map, offset) in
            [(&MMU600, 0x1_0010), (&MMU600, 0xa04), (&FULL, 0), (&FULL, 0xc80), (&FULL, 0xdf8)]
        {
            assert_eq!(at(map, offset, Size::B4), None);
        }
    }
}
