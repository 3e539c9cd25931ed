//! Rows of the registers of the GIC CPU interface (IHI 0069, 12.2 and 12.4), whether an implementation has them or not. The
//! virtual registers (`ICV_*`) share the encodings of the `ICC_*` ones. Which accesses are UNDEFINED or trapped beyond what
//! is said here is the CPU interface's to say.

use super::fine::hfgrtr;
use super::row::{Perm, Row, reg};
use crate::gic::Direction;
use crate::gic::GicReg::{self, *};

const fn perm(gic: GicReg) -> Perm {
    match gic.direction() {
        Direction::ReadOnly => Perm::RO,
        Direction::WriteOnly => Perm::WO,
        Direction::ReadWrite => Perm::RW,
    }
}

const fn el1(name: &'static str, crn: u32, crm: u32, op2: u32, gic: GicReg) -> Row {
    reg(name, 3, 0, crn, crm, op2).el1(perm(gic)).gic(gic)
}

const fn el2(name: &'static str, crm: u32, op2: u32, gic: GicReg) -> Row {
    reg(name, 3, 4, 12, crm, op2).el2(perm(gic)).gic(gic)
}

/// ICH_LR&lt;n&gt;_EL2. EL2, where they are written, takes no virtual interrupt.
const fn list_register(name: &'static str, n: u8) -> Row {
    el2(name, 12 + n as u32 / 8, n as u32 % 8, ICH_LR_EL2(n)).no_effect()
}

pub(super) const ROWS: &[Row] = &[
    el1("ICC_PMR_EL1", 4, 6, 0, ICC_PMR_EL1),
    el1("ICC_IAR0_EL1", 12, 8, 0, ICC_IAR0_EL1).acknowledges(),
    el1("ICC_EOIR0_EL1", 12, 8, 1, ICC_EOIR0_EL1),
    el1("ICC_HPPIR0_EL1", 12, 8, 2, ICC_HPPIR0_EL1),
    el1("ICC_BPR0_EL1", 12, 8, 3, ICC_BPR0_EL1),
    el1("ICC_AP0R0_EL1", 12, 8, 4, ICC_AP0R_EL1(0)),
    el1("ICC_AP0R1_EL1", 12, 8, 5, ICC_AP0R_EL1(1)),
    el1("ICC_AP0R2_EL1", 12, 8, 6, ICC_AP0R_EL1(2)),
    el1("ICC_AP0R3_EL1", 12, 8, 7, ICC_AP0R_EL1(3)),
    el1("ICC_AP1R0_EL1", 12, 9, 0, ICC_AP1R_EL1(0)),
    el1("ICC_AP1R1_EL1", 12, 9, 1, ICC_AP1R_EL1(1)),
    el1("ICC_AP1R2_EL1", 12, 9, 2, ICC_AP1R_EL1(2)),
    el1("ICC_AP1R3_EL1", 12, 9, 3, ICC_AP1R_EL1(3)),
    el1("ICC_DIR_EL1", 12, 11, 1, ICC_DIR_EL1),
    el1("ICC_RPR_EL1", 12, 11, 3, ICC_RPR_EL1),
    el1("ICC_SGI1R_EL1", 12, 11, 5, ICC_SGI1R_EL1),
    el1("ICC_ASGI1R_EL1", 12, 11, 6, ICC_ASGI1R_EL1),
    el1("ICC_SGI0R_EL1", 12, 11, 7, ICC_SGI0R_EL1),
    el1("ICC_IAR1_EL1", 12, 12, 0, ICC_IAR1_EL1).acknowledges(),
    el1("ICC_EOIR1_EL1", 12, 12, 1, ICC_EOIR1_EL1),
    el1("ICC_HPPIR1_EL1", 12, 12, 2, ICC_HPPIR1_EL1),
    el1("ICC_BPR1_EL1", 12, 12, 3, ICC_BPR1_EL1),
    el1("ICC_CTLR_EL1", 12, 12, 4, ICC_CTLR_EL1),
    el1("ICC_SRE_EL1", 12, 12, 5, ICC_SRE_EL1),
    el1("ICC_IGRPEN0_EL1", 12, 12, 6, ICC_IGRPEN0_EL1).fine(hfgrtr::ICC_IGRPENn_EL1),
    el1("ICC_IGRPEN1_EL1", 12, 12, 7, ICC_IGRPEN1_EL1).fine(hfgrtr::ICC_IGRPENn_EL1),
    el2("ICH_AP0R0_EL2", 8, 0, ICH_AP0R_EL2(0)),
    el2("ICH_AP0R1_EL2", 8, 1, ICH_AP0R_EL2(1)),
    el2("ICH_AP0R2_EL2", 8, 2, ICH_AP0R_EL2(2)),
    el2("ICH_AP0R3_EL2", 8, 3, ICH_AP0R_EL2(3)),
    el2("ICH_AP1R0_EL2", 9, 0, ICH_AP1R_EL2(0)),
    el2("ICH_AP1R1_EL2", 9, 1, ICH_AP1R_EL2(1)),
    el2("ICH_AP1R2_EL2", 9, 2, ICH_AP1R_EL2(2)),
    el2("ICH_AP1R3_EL2", 9, 3, ICH_AP1R_EL2(3)),
    el2("ICC_SRE_EL2", 9, 5, ICC_SRE_EL2),
    el2("ICH_HCR_EL2", 11, 0, ICH_HCR_EL2),
    el2("ICH_VTR_EL2", 11, 1, ICH_VTR_EL2),
    el2("ICH_MISR_EL2", 11, 2, ICH_MISR_EL2),
    el2("ICH_EISR_EL2", 11, 3, ICH_EISR_EL2),
    el2("ICH_ELRSR_EL2", 11, 5, ICH_ELRSR_EL2),
    el2("ICH_VMCR_EL2", 11, 7, ICH_VMCR_EL2),
    list_register("ICH_LR0_EL2", 0),
    list_register("ICH_LR1_EL2", 1),
    list_register("ICH_LR2_EL2", 2),
    list_register("ICH_LR3_EL2", 3),
    list_register("ICH_LR4_EL2", 4),
    list_register("ICH_LR5_EL2", 5),
    list_register("ICH_LR6_EL2", 6),
    list_register("ICH_LR7_EL2", 7),
    list_register("ICH_LR8_EL2", 8),
    list_register("ICH_LR9_EL2", 9),
    list_register("ICH_LR10_EL2", 10),
    list_register("ICH_LR11_EL2", 11),
    list_register("ICH_LR12_EL2", 12),
    list_register("ICH_LR13_EL2", 13),
    list_register("ICH_LR14_EL2", 14),
    list_register("ICH_LR15_EL2", 15),
];
