//! Rows of the debug registers (Arm ARM, D17.3). There is no external debugger, so the debug communications channel
//! is always empty.

use emu_a64::features::Feat as F;

use super::fine::hdfgrtr;
use super::mdcr;
use super::row::{ALL, LOW32, Perm, Row, reg};
use super::special as f;
use super::state::Reg;
use super::trap::Trap;

const RW: Perm = Perm::RW;
const RO: Perm = Perm::RO;
const WO: Perm = Perm::WO;

const TDA: &[Trap] = &[Trap::Mdcr(mdcr::TDA)];
const TDOSA: &[Trap] = &[Trap::Mdcr(mdcr::TDOSA)];
const TDRA: &[Trap] = &[Trap::Mdcr(mdcr::TDRA)];
/// The debug communications channel, from EL0.
const DCC: &[Trap] = &[Trap::Dcc, Trap::Mdcr(mdcr::TDA | mdcr::TDCC)];
/// The same, from EL1.
const DCC_EL1: &[Trap] = &[Trap::Mdcr(mdcr::TDA | mdcr::TDCC)];

/// SS, TDCC, KDE, HDE, MDE.
const MDSCR: &[(F, u64)] = &[(F::Base, 0xf001)];
/// DBGBVR<n>: a virtual address or a context.
const BVR: &[(F, u64)] = ALL;
/// E, PMC, BAS, HMC, SSC, LBN, BT.
const BCR: &[(F, u64)] = &[(F::Base, 0x00ff_e1e7)];
/// A doubleword-aligned (or word-aligned) address.
const WVR: &[(F, u64)] = &[(F::Base, !3)];
/// E, PAC, LSC, BAS, HMC, SSC, LBN, WT, MASK.
const WCR: &[(F, u64)] = &[(F::Base, 0x1f1f_ffff)];

const fn breakpoint(name: &'static str, n: u32, op2: u32, slot: Reg, bits: &'static [(F, u64)]) -> Row {
    reg(name, 2, 0, 0, n, op2).el1(RW).traps(TDA).slot(slot, bits).context()
}

pub(super) const ROWS: &[Row] = &[
    reg("OSDTRRX_EL1", 2, 0, 0, 0, 2).el1(RW).traps(DCC_EL1).slot(Reg::OSDTRRX_EL1, LOW32),
    reg("MDCCINT_EL1", 2, 0, 0, 2, 0).el1(RW).traps(DCC_EL1).slot(Reg::MDCCINT_EL1, &[(F::Base, 3 << 29)]),
    reg("MDSCR_EL1", 2, 0, 0, 2, 2)
        .el1(RW)
        .traps(TDA)
        .slot(Reg::MDSCR_EL1, MDSCR)
        .nv2(0x158)
        .context()
        .fine(hdfgrtr::MDSCR_EL1),
    reg("OSDTRTX_EL1", 2, 0, 0, 3, 2).el1(RW).traps(DCC_EL1).slot(Reg::OSDTRTX_EL1, LOW32),
    reg("OSECCR_EL1", 2, 0, 0, 6, 2).el1(RW).traps(TDA).fine(hdfgrtr::OSECCR_EL1),
    reg("MDRAR_EL1", 2, 0, 1, 0, 0).el1(RO).traps(TDRA),
    // The OS lock is set after a cold reset.
    reg("OSLAR_EL1", 2, 0, 1, 0, 4)
        .el1(WO)
        .traps(TDOSA)
        .write(f::write_oslar)
        .context()
        .on_reset(|cpu| cpu.sys[Reg::OSLAR_EL1] = 1)
        .fine(hdfgrtr::OSLAR_EL1),
    reg("OSLSR_EL1", 2, 0, 1, 1, 4).el1(RO).traps(TDOSA).read(f::read_oslsr).fine(hdfgrtr::OSLSR_EL1),
    reg("OSDLR_EL1", 2, 0, 1, 3, 4)
        .el1(RW)
        .traps(TDOSA)
        .slot(Reg::OSDLR_EL1, &[(F::Base, 1)])
        .context()
        .fine(hdfgrtr::OSDLR_EL1),
    reg("DBGPRCR_EL1", 2, 0, 1, 4, 4)
        .el1(RW)
        .traps(TDOSA)
        .slot(Reg::DBGPRCR_EL1, &[(F::Base, 1)])
        .fine(hdfgrtr::DBGPRCR_EL1),
    reg("DBGCLAIMSET_EL1", 2, 0, 7, 8, 6)
        .el1(RW)
        .traps(TDA)
        .read(|_| 0xff)
        .write(|cpu, v| cpu.sys[Reg::DBGCLAIM_EL1] |= v & 0xff)
        .fine(hdfgrtr::DBGCLAIM),
    reg("DBGCLAIMCLR_EL1", 2, 0, 7, 9, 6)
        .el1(RW)
        .traps(TDA)
        .read(|cpu| cpu.sys[Reg::DBGCLAIM_EL1])
        .write(|cpu, v| cpu.sys[Reg::DBGCLAIM_EL1] &= !v)
        .fine(hdfgrtr::DBGCLAIM),
    // Non-secure invasive and non-invasive debug implemented, disabled.
    reg("DBGAUTHSTATUS_EL1", 2, 0, 7, 14, 6).el1(RO).traps(TDA).value(0x0a).fine(hdfgrtr::DBGAUTHSTATUS_EL1),
    // Vector catch of AArch32, for EL2 to save and restore: on parts that have it.
    reg("DBGVCR32_EL2", 2, 4, 0, 7, 0)
        .el2(RW)
        .needs(F::AArch32Registers)
        .slot(Reg::DBGVCR32_EL2, &[(F::Base, 0xde00_00de)]),
    reg("MDCCSR_EL0", 2, 3, 0, 1, 0).el0(RO).traps(DCC),
    reg("DBGDTR_EL0", 2, 3, 0, 4, 0).el0(RW).traps(DCC),
    reg("DBGDTRRX_EL0", 2, 3, 0, 5, 0).el0(RW).traps(DCC),
    breakpoint("DBGBVR0_EL1", 0, 4, Reg::DBGBVR0_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBVR1_EL1", 1, 4, Reg::DBGBVR1_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBVR2_EL1", 2, 4, Reg::DBGBVR2_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBVR3_EL1", 3, 4, Reg::DBGBVR3_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBVR4_EL1", 4, 4, Reg::DBGBVR4_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBVR5_EL1", 5, 4, Reg::DBGBVR5_EL1, BVR).fine(hdfgrtr::DBGBVRn_EL1),
    breakpoint("DBGBCR0_EL1", 0, 5, Reg::DBGBCR0_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGBCR1_EL1", 1, 5, Reg::DBGBCR1_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGBCR2_EL1", 2, 5, Reg::DBGBCR2_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGBCR3_EL1", 3, 5, Reg::DBGBCR3_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGBCR4_EL1", 4, 5, Reg::DBGBCR4_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGBCR5_EL1", 5, 5, Reg::DBGBCR5_EL1, BCR).fine(hdfgrtr::DBGBCRn_EL1),
    breakpoint("DBGWVR0_EL1", 0, 6, Reg::DBGWVR0_EL1, WVR).fine(hdfgrtr::DBGWVRn_EL1),
    breakpoint("DBGWVR1_EL1", 1, 6, Reg::DBGWVR1_EL1, WVR).fine(hdfgrtr::DBGWVRn_EL1),
    breakpoint("DBGWVR2_EL1", 2, 6, Reg::DBGWVR2_EL1, WVR).fine(hdfgrtr::DBGWVRn_EL1),
    breakpoint("DBGWVR3_EL1", 3, 6, Reg::DBGWVR3_EL1, WVR).fine(hdfgrtr::DBGWVRn_EL1),
    breakpoint("DBGWCR0_EL1", 0, 7, Reg::DBGWCR0_EL1, WCR).fine(hdfgrtr::DBGWCRn_EL1),
    breakpoint("DBGWCR1_EL1", 1, 7, Reg::DBGWCR1_EL1, WCR).fine(hdfgrtr::DBGWCRn_EL1),
    breakpoint("DBGWCR2_EL1", 2, 7, Reg::DBGWCR2_EL1, WCR).fine(hdfgrtr::DBGWCRn_EL1),
    breakpoint("DBGWCR3_EL1", 3, 7, Reg::DBGWCR3_EL1, WCR).fine(hdfgrtr::DBGWCRn_EL1),
];
