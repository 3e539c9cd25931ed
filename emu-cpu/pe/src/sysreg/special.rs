//! Functions behind registers that are more than storage.

use emu_a64::features::Feat;
use emu_a64::level::El;

use super::state::Reg;
use super::{DCZID, cptr, hcr, mdcr, sctlr};
use crate::cpu::Cpu;
use crate::level::Banked;

/// QC and the cumulative exception bits.
pub(super) const FPSR_BITS: u32 = 0x0800_009f;
/// AHP, DN, FZ, RMode. Traps of FP exceptions are not implemented: their enables are RAZ/WI.
const FPCR_BITS: u32 = 0x07c0_0000;
/// FZ16 (FEAT_FP16).
const FPCR_FZ16: u32 = 1 << 19;

pub(super) fn write_fpcr(cpu: &mut Cpu, v: u64) {
    let half = if cpu.identity.has(Feat::Fp16) { FPCR_FZ16 } else { 0 };
    cpu.regs.fpcr = v as u32 & (FPCR_BITS | half);
}

/// CPTR_EL2 has RES1 bits in the layout without E2H.
pub(super) fn read_cptr(cpu: &mut Cpu) -> u64 {
    let ones = if cpu.hcr() & hcr::E2H == 0 { 0x33ff } else { 0 };
    cpu.sys[Reg::CPTR_EL2] | ones
}

/// The bits of both layouts are stored; those of the other have no effect.
pub(super) fn write_cptr(cpu: &mut Cpu, v: u64) {
    let fpen = if cpu.identity.has(Feat::Vhe) { 3 << cptr::FPEN_SHIFT } else { 0 };
    cpu.sys[Reg::CPTR_EL2] = v & (cptr::TFP | cptr::TCPAC | fpen);
}

/// MIDR_EL1 reads as VPIDR_EL2 at EL1.
pub(super) fn read_midr(cpu: &mut Cpu) -> u64 {
    if cpu.el2_enabled() && cpu.pstate.el == El::El1 {
        cpu.sys[Reg::VPIDR_EL2]
    } else {
        u64::from(cpu.identity.model().midr)
    }
}

/// MPIDR_EL1 reads as VMPIDR_EL2 at EL1.
pub(super) fn read_mpidr(cpu: &mut Cpu) -> u64 {
    if cpu.el2_enabled() && cpu.pstate.el == El::El1 {
        cpu.sys[Reg::VMPIDR_EL2]
    } else {
        cpu.identity.mpidr()
    }
}

/// The cache that CSSELR_EL1 selects: InD is bit 0, the level less one bits 3:1.
pub(super) fn read_ccsidr(cpu: &mut Cpu) -> u64 {
    let [l1d, l1i, l2] = cpu.identity.model().caches;
    // Write-back with read and write allocation; instruction caches allocate on reads.
    let (cache, policy) = match cpu.sys[Reg::CSSELR_EL1] & 15 {
        0 => (l1d, 7),
        1 => (l1i, 2),
        2 => (l2, 7),
        _ => return 0,
    };
    let (sets, ways) = (u64::from(cache.sets.wrapping_sub(1)), u64::from(cache.ways.wrapping_sub(1)));
    // LineSize 2: 64 bytes.
    if cpu.identity.has(Feat::Ccidx) {
        sets << 32 | ways << 3 | 2
    } else {
        policy << 28 | (sets & 0x7fff) << 13 | (ways & 0x3ff) << 3 | 2
    }
}

/// DCZID_EL0: blocks of 64 bytes; DZP says that DC ZVA would trap here.
pub(super) fn read_dczid(cpu: &mut Cpu) -> u64 {
    dczid(cpu)
}

/// See [`read_dczid`].
pub(super) fn dczid(cpu: &Cpu) -> u64 {
    let el = cpu.pstate.el;
    let el0_control = cpu.sys[Banked::SCTLR.at(cpu.controller_of(El::El0))];
    let prohibited =
        el == El::El0 && el0_control & sctlr::DZE == 0 || el < El::El2 && cpu.hcr() & hcr::TDZ != 0;
    DCZID | u64::from(prohibited) << 4
}

/// SP_EL1, which may be the stack pointer in use.
pub(super) fn write_sp_el1(cpu: &mut Cpu, v: u64) {
    cpu.set_sp(Reg::SP_EL1, v);
}

/// PSTATE.SP.
pub(super) fn write_spsel(cpu: &mut Cpu, v: u64) {
    cpu.set_level(cpu.pstate.el, v & 1 != 0);
}

/// ISR_EL1: A, I, F pending. Below EL2 a kind whose physical interrupts go to EL2 shows the virtual ones.
pub(super) fn read_isr(cpu: &mut Cpu) -> u64 {
    cpu.interrupt_status()
}

/// Where DISR_EL1 is for the current Exception level: VDISR_EL2 at EL1 with HCR_EL2.AMO.
fn disr(cpu: &Cpu) -> Reg {
    if cpu.pstate.el == El::El1 && cpu.hcr() & hcr::AMO != 0 { Reg::VDISR_EL2 } else { Reg::DISR_EL1 }
}

pub(super) fn read_disr(cpu: &mut Cpu) -> u64 {
    cpu.sys[disr(cpu)]
}

pub(super) fn write_disr(cpu: &mut Cpu, v: u64) {
    let reg = disr(cpu);
    cpu.sys[reg] = v & (1 << 31 | 0x1ff_ffff);
}

/// OSLK is kept in bit 0 of the slot of OSLAR_EL1.
pub(super) fn write_oslar(cpu: &mut Cpu, v: u64) {
    cpu.sys[Reg::OSLAR_EL1] = v & 1;
}

/// OSLSR_EL1: OSLM = 0b10 (bits 3 and 0), the OS lock is implemented; OSLK is bit 1.
pub(super) fn read_oslsr(cpu: &mut Cpu) -> u64 {
    8 | (cpu.sys[Reg::OSLAR_EL1] & 1) << 1
}

/// MDCR_EL2.HPMN: all counters are EL1's.
pub(super) fn reset_mdcr(cpu: &mut Cpu) {
    cpu.sys[Reg::MDCR_EL2] =
        if cpu.identity.has(Feat::Pmuv3) { crate::pmu::EVENT_COUNTERS as u64 } else { 0 };
}

/// MDCR_EL2, by what each bit belongs to. HPMN is bits 4:0.
pub(super) fn write_mdcr(cpu: &mut Cpu, v: u64) {
    const BITS: &[(Feat, u64)] = &[
        (Feat::Base, mdcr::TDE | mdcr::TDA | mdcr::TDOSA | mdcr::TDRA),
        (Feat::Fgt, mdcr::TDCC),
        (Feat::Pmuv3, mdcr::TPM | mdcr::TPMCR | mdcr::HPME | 31),
        (Feat::Pmuv3p1, mdcr::HPMD),
        (Feat::Pmuv3p5, mdcr::HCCD | mdcr::HLP),
    ];
    let has = BITS.iter().filter(|(feat, _)| cpu.identity.has(*feat));
    let writable = has.fold(0, |all, (_, mask)| all | mask);
    crate::pmu::registers::write_mdcr(cpu, v, writable);
}
