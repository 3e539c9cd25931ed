//! Which operations can be done twice.

use emu_a64::ir::{BarrierKind, PstateField, SysEnc};
use emu_pe::cpu::Cpu;

use crate::interp::uop::{Repeat, Uop};

/// True if an operation depends on nothing but registers and memory, and changes nothing else: then it may be done by
/// host code, taken back, and done by the interpreter. The others are done once, and are not compared.
pub(crate) fn is_repeatable(uop: &Uop, cpu: &Cpu) -> bool {
    match uop.facts().repeat {
        Repeat::Always => true,
        Repeat::Never => false,
        Repeat::Read(enc) => is_stored(enc),
        Repeat::Write(enc) => is_plain(enc),
        Repeat::Instruction(enc) => is_cache_maintenance(enc),
        Repeat::Field(field) => matches!(field, PstateField::DaifSet | PstateField::DaifClr),
        // It waits for others, who may wait for us.
        Repeat::Barrier(BarrierKind::Dsb) => !cpu.mem.shared.has_peers(),
        Repeat::Barrier(_) => true,
    }
}

/// Reads give what is stored in the CPU: not counters, timers, the GIC, the performance monitors, random numbers,
/// pending interrupts, and the debug registers.
fn is_stored(enc: SysEnc) -> bool {
    match enc.parts() {
        (3, _, 9 | 14, _, _) => false,
        (3, _, 12, crm, _) => crm == 0,
        // RNDR, RNDRRS.
        (3, 3, 2, 4, _) => false,
        (3, ..) => true,
        _ => false,
    }
}

/// Writes only store.
fn is_plain(enc: SysEnc) -> bool {
    let (op0, op1, crn, crm, op2) = enc.parts();
    op0 == 3
        && match (crn, crm, op2) {
            // SPSR_ELx, ELR_ELx, SP_EL0 and SP_EL1.
            (4, 0, 0 | 1) | (4, 1, 0) => true,
            // NZCV, DAIF; FPCR, FPSR.
            (4, 2 | 4, 0 | 1) => op1 == 3,
            // ESR_ELx, FAR_ELx.
            (5, 2, 0) | (6, 0, 0) => true,
            // TPIDR_EL0, TPIDR_EL2, TPIDRRO_EL0; TPIDR_EL1.
            (13, 0, 2 | 3) => true,
            (13, 0, 4) => op1 == 0,
            _ => false,
        }
}

/// DC and IC; not AT, TLBI and what restricts speculation.
fn is_cache_maintenance(enc: SysEnc) -> bool {
    let (op0, _, crn, crm, _) = enc.parts();
    op0 == 1 && crn == 7 && !matches!(crm, 3 | 8 | 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_effects_is_done_once() {
        let cntvct = SysEnc::new(3, 3, 14, 0, 2);
        let (icc_iar1, vbar, esr) =
            (SysEnc::new(3, 0, 12, 12, 0), SysEnc::new(3, 0, 12, 0, 0), SysEnc::new(3, 0, 5, 2, 0));
        assert!(!is_stored(cntvct) && !is_stored(icc_iar1) && is_stored(vbar) && is_stored(esr));
        let (sctlr, tpidr, daif) =
            (SysEnc::new(3, 0, 1, 0, 0), SysEnc::new(3, 3, 13, 0, 2), SysEnc::new(3, 3, 4, 2, 1));
        assert!(!is_plain(sctlr) && !is_plain(vbar) && is_plain(tpidr) && is_plain(daif));
        let (zva, at, tlbi) =
            (SysEnc::new(1, 3, 7, 4, 1), SysEnc::new(1, 0, 7, 8, 0), SysEnc::new(1, 0, 8, 7, 0));
        assert!(is_cache_maintenance(zva) && !is_cache_maintenance(at) && !is_cache_maintenance(tlbi));
    }
}
