//! Rows of the special-purpose registers (Arm ARM, C5.2): PSTATE, FPCR and FPSR, stack pointers.

use emu_a64::features::Feat as F;

use super::fine::hfgrtr;
use super::row::{ALL, InLine, Perm, Row, reg};
use super::sctlr;
use super::special as f;
use super::state::Reg;
use super::trap::Trap;

const RW: Perm = Perm::RW;

pub(super) const ROWS: &[Row] = &[
    // Stack pointers cannot be named while they are in use.
    reg("SP_EL0", 3, 0, 4, 1, 0).el1(RW).traps(&[Trap::NeedsSpSel]).slot(Reg::SP_EL0, ALL).no_effect(),
    reg("SP_EL1", 3, 4, 4, 1, 0)
        .el2(RW)
        .computed(|cpu| cpu.sp(Reg::SP_EL1))
        .write(f::write_sp_el1)
        .nv2(0x240)
        .no_effect()
        .repeatable_write(),
    reg("SPSel", 3, 0, 4, 2, 0).el1(RW).computed(|cpu| u64::from(cpu.pstate.sp_sel)).write(f::write_spsel),
    reg("CurrentEL", 3, 0, 4, 2, 2).el1(Perm::RO).computed(|cpu| cpu.pstate.el.bits()),
    reg("PAN", 3, 0, 4, 2, 3)
        .el1(RW)
        .needs(F::Pan)
        .computed(|cpu| u64::from(cpu.pstate.pan) << 22)
        .write(|cpu, v| cpu.pstate.pan = v >> 22 & 1 != 0)
        .context(),
    reg("UAO", 3, 0, 4, 2, 4)
        .el1(RW)
        .needs(F::Uao)
        .computed(|cpu| u64::from(cpu.pstate.uao) << 23)
        .write(|cpu, v| cpu.pstate.uao = v >> 23 & 1 != 0)
        .context(),
    reg("NZCV", 3, 3, 4, 2, 0)
        .el0(RW)
        .computed(|cpu| u64::from(cpu.regs.nzcv & 0xf000_0000))
        .write(|cpu, v| cpu.regs.nzcv = v as u32 & 0xf000_0000)
        .repeatable_write(),
    reg("DAIF", 3, 3, 4, 2, 1)
        .el0(RW)
        .traps(&[Trap::El0Needs(sctlr::UMA)])
        .computed(|cpu| u64::from(cpu.pstate.daif & 15) << 6)
        .write(|cpu, v| cpu.pstate.daif = (v >> 6 & 15) as u8)
        .context()
        .repeatable_write()
        .in_line(InLine::Daif),
    reg("DIT", 3, 3, 4, 2, 5)
        .el0(RW)
        .needs(F::Dit)
        .computed(|cpu| u64::from(cpu.pstate.dit) << 24)
        .write(|cpu, v| cpu.pstate.dit = v >> 24 & 1 != 0),
    reg("SSBS", 3, 3, 4, 2, 6)
        .el0(RW)
        .needs(F::Ssbs2)
        .computed(|cpu| u64::from(cpu.pstate.ssbs) << 12)
        .write(|cpu, v| cpu.pstate.ssbs = v >> 12 & 1 != 0),
    // It chooses how FP operations are translated; FPSR is cumulative only.
    reg("FPCR", 3, 3, 4, 4, 0)
        .el0(RW)
        .traps(&[Trap::Fp])
        .computed(|cpu| u64::from(cpu.regs.fpcr))
        .write(f::write_fpcr)
        .repeatable_write()
        .in_line(InLine::Fpcr),
    reg("FPSR", 3, 3, 4, 4, 1)
        .el0(RW)
        .traps(&[Trap::Fp])
        .computed(|cpu| u64::from(cpu.regs.fpsr))
        .write(|cpu, v| cpu.regs.fpsr = v as u32 & f::FPSR_BITS)
        .no_effect()
        .repeatable_write(),
    // Never exhausted. What they do to NZCV is in the lowering of MRS.
    reg("RNDR", 3, 3, 2, 4, 0).el0(Perm::RO).needs(F::Rng).read(|cpu| cpu.random.number()),
    reg("RNDRRS", 3, 3, 2, 4, 1).el0(Perm::RO).needs(F::Rng).read(|cpu| cpu.random.number()),
    reg("ISR_EL1", 3, 0, 12, 1, 0).el1(Perm::RO).read(f::read_isr).fine(hfgrtr::ISR_EL1),
];
