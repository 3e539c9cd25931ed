//! Rows of the generic timer (Arm ARM, D17.10).

use emu_a64::features::Feat as F;

use super::row::{ALL, LOW32, Perm, Row, reg};
use super::state::Reg;
use super::trap::Trap;
use crate::timer::TimerId;

const RW: Perm = Perm::RW;
const RO: Perm = Perm::RO;

/// The layout without E2H is part of that with it. ECV, EL1TVT, EL1TVCT and EVNTIS are bits 12, 13, 14 and 17.
const CNTHCTL: &[(F, u64)] =
    &[(F::Base, 0xff), (F::Vhe, 0xfff), (F::EcvPoff, 1 << 12), (F::Ecv, 1 << 17 | 3 << 13)];

pub(super) const ROWS: &[Row] = &[
    reg("CNTFRQ_EL0", 3, 3, 14, 0, 0)
        .perms(RO, RW, RW)
        .traps(&[Trap::Frequency, Trap::HighestElWrite])
        .slot(Reg::CNTFRQ_EL0, LOW32)
        .on_reset(|cpu| cpu.sys[Reg::CNTFRQ_EL0] = cpu.identity.model().frequency()),
    reg("CNTPCT_EL0", 3, 3, 14, 0, 1)
        .el0(RO)
        .traps(&[Trap::PhysicalCounter])
        .read(|cpu| cpu.timers.physical_counter(cpu.pstate.el)),
    reg("CNTVCT_EL0", 3, 3, 14, 0, 2)
        .el0(RO)
        .traps(&[Trap::VirtualCounter])
        .read(|cpu| cpu.timers.virtual_counter(&cpu.sys, cpu.pstate.el, cpu.hcr())),
    // The self-synchronising views (FEAT_ECV): counters are always read in order here.
    reg("CNTPCTSS_EL0", 3, 3, 14, 0, 5)
        .el0(RO)
        .needs(F::Ecv)
        .traps(&[Trap::PhysicalCounter])
        .read(|cpu| cpu.timers.physical_counter(cpu.pstate.el)),
    reg("CNTVCTSS_EL0", 3, 3, 14, 0, 6)
        .el0(RO)
        .needs(F::Ecv)
        .traps(&[Trap::VirtualCounter])
        .read(|cpu| cpu.timers.virtual_counter(&cpu.sys, cpu.pstate.el, cpu.hcr())),
    // EVNTIS is bit 17.
    reg("CNTKCTL_EL1", 3, 0, 14, 1, 0)
        .el1(RW)
        .slot(Reg::CNTKCTL_EL1, &[(F::Base, 0x3ff), (F::Ecv, 1 << 17)])
        .moves("CNTKCTL_EL12"),
    reg("CNTHCTL_EL2", 3, 4, 14, 1, 0)
        .el2(RW)
        .slot(Reg::CNTHCTL_EL2, CNTHCTL)
        .on_reset(|cpu| cpu.sys[Reg::CNTHCTL_EL2] = 3)
        .context(),
    reg("CNTPOFF_EL2", 3, 4, 14, 0, 6)
        .el2(RW)
        .needs(F::EcvPoff)
        .slot(Reg::CNTPOFF_EL2, ALL)
        .nv2(0x1a8)
        .context(),
    reg("CNTVOFF_EL2", 3, 4, 14, 0, 3)
        .el2(RW)
        .read(|cpu| cpu.sys[Reg::CNTVOFF_EL2])
        .write(|cpu, v| cpu.timers.set_virtual_offset(&mut cpu.sys, v))
        .nv2(0x60),
];

/// TVAL, CTL and CVAL of a timer, with the names that they have at EL2 with E2H if these are others.
macro_rules! timer {
    ($rows:ident, $id:ident, [$tval:literal, $ctl:literal, $cval:literal], $op1:literal, $crm:literal,
     $([$tval2:literal, $ctl2:literal, $cval2:literal],)? |$row:ident| $with:expr) => {
        pub(super) const $rows: &[Row] = &{
            const fn with($row: Row) -> Row {
                $with
            }
            [
                with(reg($tval, 3, $op1, 14, $crm, 0))
                    .read(|cpu| cpu.timers.tval(&cpu.sys, TimerId::$id))
                    .write(|cpu, v| cpu.timers.set_tval(&mut cpu.sys, TimerId::$id, v))
                    $(.moves($tval2))?,
                with(reg($ctl, 3, $op1, 14, $crm, 1))
                    .read(|cpu| cpu.timers.ctl(&cpu.sys, TimerId::$id))
                    .write(|cpu, v| cpu.timers.set_ctl(&mut cpu.sys, TimerId::$id, v))
                    $(.moves($ctl2))?,
                with(reg($cval, 3, $op1, 14, $crm, 2))
                    .read(|cpu| cpu.timers.cval(&cpu.sys, TimerId::$id))
                    .write(|cpu, v| cpu.timers.set_cval(&mut cpu.sys, TimerId::$id, v))
                    $(.moves($cval2))?,
            ]
        };
    };
}

timer!(
    PHYSICAL,
    Physical,
    ["CNTP_TVAL_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"],
    3,
    2,
    ["CNTP_TVAL_EL02", "CNTP_CTL_EL02", "CNTP_CVAL_EL02"],
    |row| row.el0(RW).traps(&[Trap::PhysicalTimer])
);
timer!(
    VIRTUAL,
    Virtual,
    ["CNTV_TVAL_EL0", "CNTV_CTL_EL0", "CNTV_CVAL_EL0"],
    3,
    3,
    ["CNTV_TVAL_EL02", "CNTV_CTL_EL02", "CNTV_CVAL_EL02"],
    |row| row.el0(RW).traps(&[Trap::VirtualTimer])
);
timer!(HYP_PHYSICAL, HypPhysical, ["CNTHP_TVAL_EL2", "CNTHP_CTL_EL2", "CNTHP_CVAL_EL2"], 4, 2, |row| {
    row.el2(RW)
});
timer!(HYP_VIRTUAL, HypVirtual, ["CNTHV_TVAL_EL2", "CNTHV_CTL_EL2", "CNTHV_CVAL_EL2"], 4, 3, |row| {
    row.el2(RW).needs(F::Vhe)
});
