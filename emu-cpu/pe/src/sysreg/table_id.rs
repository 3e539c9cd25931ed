//! Rows of the identification registers (Arm ARM, D17.2 and D17.1.2 for the ID space).

use emu_a64::features::Feat;

use super::fine::hfgrtr;
use super::row::{InLine, LOW32, Perm, Row, reg};
use super::special as f;
use super::state::Reg;
use super::trap::Trap;
use super::{hcr, sctlr};

const RO: Perm = Perm::RO;

/// An ID register of group 3.
const fn id(name: &'static str, crm: u32, op2: u32) -> Row {
    reg(name, 3, 0, 0, crm, op2).el1(RO).traps(&[Trap::HcrRead(hcr::TID3)]).id((crm * 8 + op2) as u8)
}

/// Encodings of the ID space that have no register read as zero: op0 = 3, op1 = 0, CRn = 0, CRm = 1 to 7.
pub(super) const RESERVED: Row = id("reserved ID register", 1, 0).value(0);

pub(super) const ROWS: &[Row] = &[
    reg("MIDR_EL1", 3, 0, 0, 0, 0).el1(RO).computed(f::read_midr).fine(hfgrtr::MIDR_EL1),
    reg("MPIDR_EL1", 3, 0, 0, 0, 5).el1(RO).computed(f::read_mpidr).fine(hfgrtr::MPIDR_EL1),
    reg("REVIDR_EL1", 3, 0, 0, 0, 6)
        .el1(RO)
        .traps(&[Trap::HcrRead(hcr::TID1)])
        .computed(|cpu| u64::from(cpu.identity.model().revidr))
        .fine(hfgrtr::REVIDR_EL1),
    reg("AIDR_EL1", 3, 1, 0, 0, 7).el1(RO).traps(&[Trap::HcrRead(hcr::TID1)]).fine(hfgrtr::AIDR_EL1),
    reg("CCSIDR_EL1", 3, 1, 0, 0, 0)
        .el1(RO)
        .traps(&[Trap::Hcr(hcr::TID2 | hcr::TID4)])
        .computed(f::read_ccsidr)
        .fine(hfgrtr::CCSIDR_EL1),
    // UNKNOWN in AArch64 state.
    reg("CCSIDR2_EL1", 3, 1, 0, 0, 2).el1(RO).needs(Feat::Ccidx).traps(&[Trap::Hcr(hcr::TID2 | hcr::TID4)]),
    reg("CLIDR_EL1", 3, 1, 0, 0, 1)
        .el1(RO)
        .traps(&[Trap::Hcr(hcr::TID2 | hcr::TID4)])
        .computed(|cpu| cpu.identity.model().clidr)
        .fine(hfgrtr::CLIDR_EL1),
    reg("CSSELR_EL1", 3, 2, 0, 0, 0)
        .el1(Perm::RW)
        .traps(&[Trap::Hcr(hcr::TID2 | hcr::TID4)])
        .slot(Reg::CSSELR_EL1, &[(Feat::Base, 15)])
        .fine(hfgrtr::CSSELR_EL1)
        .no_effect(),
    reg("CTR_EL0", 3, 3, 0, 0, 1)
        .el0(RO)
        .traps(&[Trap::El0Needs(sctlr::UCT), Trap::HcrRead(hcr::TID2)])
        .computed(|cpu| u64::from(cpu.identity.model().ctr))
        .fine(hfgrtr::CTR_EL0),
    reg("DCZID_EL0", 3, 3, 0, 0, 7)
        .el0(RO)
        .computed(f::read_dczid)
        .fine(hfgrtr::DCZID_EL0)
        .in_line(InLine::ZeroSize),
    reg("VPIDR_EL2", 3, 4, 0, 0, 0)
        .el2(Perm::RW)
        .slot(Reg::VPIDR_EL2, LOW32)
        .nv2(0x88)
        .on_reset(|cpu| cpu.sys[Reg::VPIDR_EL2] = u64::from(cpu.identity.model().midr)),
    reg("VMPIDR_EL2", 3, 4, 0, 0, 5)
        .el2(Perm::RW)
        .slot_res1(Reg::VMPIDR_EL2, &[(Feat::Base, 0xff_41ff_ffff)], 1 << 31)
        .nv2(0x50)
        .on_reset(|cpu| cpu.sys[Reg::VMPIDR_EL2] = cpu.identity.mpidr()),
    reg("RVBAR_EL1", 3, 0, 12, 0, 1)
        .perms(Perm::NO, RO, Perm::NO)
        .traps(&[Trap::HighestEl])
        .computed(|cpu| cpu.entry.pc),
    reg("RVBAR_EL2", 3, 4, 12, 0, 1).el2(RO).computed(|cpu| cpu.entry.pc),
    // AArch32, which no Exception level has: these read as zero.
    id("ID_PFR0_EL1", 1, 0),
    id("ID_PFR1_EL1", 1, 1),
    id("ID_DFR0_EL1", 1, 2),
    id("ID_AFR0_EL1", 1, 3),
    id("ID_MMFR0_EL1", 1, 4),
    id("ID_MMFR1_EL1", 1, 5),
    id("ID_MMFR2_EL1", 1, 6),
    id("ID_MMFR3_EL1", 1, 7),
    id("ID_ISAR0_EL1", 2, 0),
    id("ID_ISAR1_EL1", 2, 1),
    id("ID_ISAR2_EL1", 2, 2),
    id("ID_ISAR3_EL1", 2, 3),
    id("ID_ISAR4_EL1", 2, 4),
    id("ID_ISAR5_EL1", 2, 5),
    id("ID_MMFR4_EL1", 2, 6),
    id("ID_ISAR6_EL1", 2, 7),
    id("MVFR0_EL1", 3, 0),
    id("MVFR1_EL1", 3, 1),
    id("MVFR2_EL1", 3, 2),
    id("ID_PFR2_EL1", 3, 4),
    id("ID_DFR1_EL1", 3, 5),
    id("ID_MMFR5_EL1", 3, 6),
    id("ID_AA64PFR0_EL1", 4, 0),
    id("ID_AA64PFR1_EL1", 4, 1),
    id("ID_AA64PFR2_EL1", 4, 2),
    id("ID_AA64ZFR0_EL1", 4, 4),
    id("ID_AA64SMFR0_EL1", 4, 5),
    id("ID_AA64FPFR0_EL1", 4, 7),
    id("ID_AA64DFR0_EL1", 5, 0),
    id("ID_AA64DFR1_EL1", 5, 1),
    id("ID_AA64AFR0_EL1", 5, 4),
    id("ID_AA64AFR1_EL1", 5, 5),
    id("ID_AA64ISAR0_EL1", 6, 0),
    id("ID_AA64ISAR1_EL1", 6, 1),
    id("ID_AA64ISAR2_EL1", 6, 2),
    id("ID_AA64ISAR3_EL1", 6, 3),
    id("ID_AA64MMFR0_EL1", 7, 0),
    id("ID_AA64MMFR1_EL1", 7, 1),
    id("ID_AA64MMFR2_EL1", 7, 2),
    id("ID_AA64MMFR3_EL1", 7, 3),
    id("ID_AA64MMFR4_EL1", 7, 4),
];
