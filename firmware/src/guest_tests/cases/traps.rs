//! Traps to EL2, and those that EL1 sets for EL0.

use crate::guest_tests::program::{Level, Program, SCTLR_EL1};
use crate::guest_tests::registers::{self as r, SysReg};
use crate::guest_tests::report::Taken;

/// A trapped MSR, MRS or SYS.
const MSR: u64 = 0x18;
/// A trapped WFI or WFE.
const WFX: u64 = 0x01;
/// A trapped access to SIMD&FP.
const FP: u64 = 0x07;
/// CV and COND of a syndrome from AArch64: valid, always.
const ALWAYS: u64 = 1 << 24 | 0xe << 20;
/// HCR_EL2.RW.
const RW: u64 = 1 << 31;
/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;
/// CPTR_EL2 without E2H that traps nothing.
const CPTR_NONE: u64 = 0x33ff;

/// Registers that HCR_EL2.TVM and TRVM cover.
const VIRTUAL_MEMORY: [SysReg; 10] = [
    r::SCTLR_EL1,
    r::TTBR0_EL1,
    r::TTBR1_EL1,
    r::TCR_EL1,
    r::ESR_EL1,
    r::FAR_EL1,
    r::AFSR0_EL1,
    r::MAIR_EL1,
    r::CONTEXTIDR_EL1,
    // Not covered: must not trap.
    r::TPIDR_EL1,
];

/// Runs at EL1 with bits of HCR_EL2 set.
pub(super) fn with_hcr(p: &mut Program, bits: u64, body: impl FnOnce(&mut Program)) {
    p.set_now(r::HCR_EL2, RW | bits);
    p.enter(Level::El1h, body);
    p.set_now(r::HCR_EL2, RW);
}

pub(super) fn trapped(p: &mut Program, reg: SysReg, rt: u32, read: bool) {
    p.faulting(Taken::lower(2).class(MSR, reg.iss(rt, read)), |p| {
        if read { p.mrs(rt, reg) } else { p.msr(reg, rt) }
    });
}

/// HCR_EL2.TVM: writes trap, reads do not.
pub(super) fn tvm(p: &mut Program) {
    with_hcr(p, 1 << 26, |p| {
        for (i, reg) in VIRTUAL_MEMORY[..9].iter().enumerate() {
            trapped(p, *reg, i as u32 + 1, false);
            p.mrs(0, *reg);
        }
        p.msr(VIRTUAL_MEMORY[9], 0);
    });
}

/// HCR_EL2.TRVM: reads trap.
pub(super) fn trvm(p: &mut Program) {
    with_hcr(p, 1 << 30, |p| {
        VIRTUAL_MEMORY[..9].iter().for_each(|reg| trapped(p, *reg, 14, true));
        p.mrs(0, VIRTUAL_MEMORY[9]);
    });
}

/// HCR_EL2.TID3: the feature registers.
pub(super) fn tid3(p: &mut Program) {
    with_hcr(p, 1 << 18, |p| {
        for reg in [r::ID_AA64PFR0_EL1, r::ID_AA64ISAR0_EL1, r::ID_AA64MMFR0_EL1, r::ID_AA64MMFR1_EL1] {
            trapped(p, reg, 9, true);
        }
        p.mrs(0, r::MIDR_EL1);
    });
}

/// HCR_EL2.TSW: cache maintenance by set and way.
pub(super) fn tsw(p: &mut Program) {
    with_hcr(p, 1 << 22, |p| {
        trapped(p, r::DC_ISW, 2, false);
        trapped(p, r::DC_CISW, 3, false);
    });
}

/// HCR_EL2.TTLB: TLB maintenance.
pub(super) fn ttlb(p: &mut Program) {
    with_hcr(p, 1 << 25, |p| {
        trapped(p, r::TLBI_VMALLE1, 31, false);
        trapped(p, r::TLBI_VAE1, 4, false);
        trapped(p, r::TLBI_VMALLE1IS, 31, false);
    });
}

/// HCR_EL2.TPU and TPCP: cache maintenance to the points of unification and coherency.
pub(super) fn tpu_and_tpcp(p: &mut Program) {
    with_hcr(p, 1 << 24, |p| {
        trapped(p, r::IC_IALLU, 31, false);
        trapped(p, r::IC_IVAU, 3, false);
        trapped(p, r::DC_CVAU, 4, false);
    });
    with_hcr(p, 1 << 23, |p| {
        trapped(p, r::DC_IVAC, 5, false);
        trapped(p, r::DC_CIVAC, 6, false);
    });
}

/// HCR_EL2.TACR: ACTLR_EL1.
pub(super) fn tacr(p: &mut Program) {
    with_hcr(p, 1 << 21, |p| {
        trapped(p, r::ACTLR_EL1, 5, true);
        trapped(p, r::ACTLR_EL1, 6, false);
    });
}

/// HCR_EL2.TWI: a WFI that would wait.
pub(super) fn twi(p: &mut Program) {
    with_hcr(p, 1 << 13, |p| p.faulting(Taken::lower(2).class(WFX, ALWAYS), |p| a64!(p ; wfi)));
}

/// HCR_EL2.TWE traps a WFE only if it would wait: not with the event register set, by SEVL or by an exception return
/// (D1.6.1). A peer that treats WFE as a hint to yield may trap each of them; the specification decides.
pub(super) fn twe_looks_at_the_event_register(p: &mut Program) {
    with_hcr(p, 1 << 14, |p| {
        a64!(p ; wfe);
        p.faulting(Taken::lower(2).class(WFX, ALWAYS | 1), |p| a64!(p ; wfe));
        // The handler's return set the register.
        a64!(p ; wfe ; sevl ; wfe);
        p.faulting(Taken::lower(2).class(WFX, ALWAYS | 1), |p| a64!(p ; wfe));
    });
}

/// SCTLR_EL1.nTWI traps WFI of EL0 to EL1, before HCR_EL2.TWI traps it to EL2.
pub(super) fn ntwi(p: &mut Program) {
    p.set_now(r::SCTLR_EL1, SCTLR_EL1 & !(1 << 16));
    p.set_now(r::HCR_EL2, RW | 1 << 13);
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(WFX, ALWAYS), |p| a64!(p ; wfi)));
    p.set_now(r::HCR_EL2, RW);
}

/// An access that is undefined at EL0 is not one that EL2 traps.
pub(super) fn undefined_before_trapped(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 21 | 1 << 25);
    p.enter(Level::El0, |p| {
        p.faulting(Taken::lower(1).class(0, 0), |p| p.mrs(0, r::ACTLR_EL1));
        p.faulting(Taken::lower(1).class(0, 0), |p| p.msr(r::TLBI_VMALLE1, 31));
    });
    p.set_now(r::HCR_EL2, RW);
}

/// CPTR_EL2.TFP without E2H traps SIMD&FP at EL2, EL1 and EL0 to EL2.
pub(super) fn cptr_tfp(p: &mut Program) {
    p.set_now(r::CPTR_EL2, CPTR_NONE | 1 << 10);
    p.faulting(Taken::same(2).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0));
    p.enter(Level::El1h, |p| {
        p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| a64!(p ; fmov x0, d1));
        p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| p.mrs(0, r::FPCR));
    });
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| a64!(p ; ldr q0, [x0])));
    p.set_now(r::CPTR_EL2, CPTR_NONE);
    a64!(p ; fmov d0, x28 ; fmov x0, d0 ; sub x0, x0, x28);
    p.expect("FP works again", 0, 0);
}

/// CPACR_EL1.FPEN: 0 traps EL0 and EL1, 1 traps EL0, 3 nobody. CPACR_EL1 comes before CPTR_EL2.
pub(super) fn cpacr_fpen(p: &mut Program) {
    p.set_now(r::CPTR_EL2, CPTR_NONE | 1 << 10);
    p.set_now(r::CPACR_EL1, 0);
    p.enter(Level::El1h, |p| p.faulting(Taken::same(1).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    p.set_now(r::CPACR_EL1, 1 << 20);
    p.enter(Level::El1h, |p| p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    p.set_now(r::CPTR_EL2, CPTR_NONE);
    p.set_now(r::CPACR_EL1, 3 << 20);
    p.enter(Level::El0, |p| a64!(p ; fmov d0, x0));
}

/// With E2H CPTR_EL2 has the layout of CPACR_EL1: FPEN in bits 21:20.
pub(super) fn cptr_with_e2h(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | E2H);
    for fpen in [0, 2] {
        p.set_now(r::CPTR_EL2, fpen << 20);
        p.faulting(Taken::same(2).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0));
        p.enter(Level::El1h, |p| p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    }
    // FPEN = 1 traps EL0 with TGE only; TFP's place means nothing.
    for fpen in [1, 3] {
        p.set_now(r::CPTR_EL2, fpen << 20 | 1 << 10);
        a64!(p ; fmov d0, x0);
        p.enter(Level::El1h, |p| a64!(p ; fmov d0, x0));
    }
    // At EL2 the name CPACR_EL1 is CPTR_EL2.
    p.set_now(r::CPACR_EL1, 0);
    p.expect_reg("CPTR_EL2", r::CPTR_EL2, 3 << 20, 0);
    p.set_now(r::HCR_EL2, RW | E2H | 1 << 27);
    p.set_now(r::CPTR_EL2, 1 << 20);
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(FP, ALWAYS), |p| a64!(p ; fmov d0, x0)));
    p.set_now(r::HCR_EL2, RW);
    p.set_now(r::CPTR_EL2, CPTR_NONE);
}

/// MDCR_EL2.TDA and TDOSA: debug registers.
pub(super) fn mdcr(p: &mut Program) {
    p.set_now(r::MDCR_EL2, 1 << 9 | 1 << 10);
    p.enter(Level::El1h, |p| {
        trapped(p, r::MDSCR_EL1, 3, true);
        trapped(p, r::MDSCR_EL1, 4, false);
        trapped(p, r::OSLSR_EL1, 5, true);
        trapped(p, r::OSLAR_EL1, 6, false);
    });
    p.set_now(r::MDCR_EL2, 0);
}

/// EL1 reads VPIDR_EL2 and VMPIDR_EL2 as MIDR_EL1 and MPIDR_EL1.
pub(super) fn virtual_identity(p: &mut Program) {
    p.mrs(7, r::MIDR_EL1);
    p.set(r::VPIDR_EL2, 0x4242_4242);
    p.set_now(r::VMPIDR_EL2, 0x8000_0305);
    p.enter(Level::El1h, |p| {
        p.expect_reg("MIDR_EL1 at EL1", r::MIDR_EL1, u64::MAX, 0x4242_4242);
        p.expect_reg("MPIDR_EL1 at EL1", r::MPIDR_EL1, u64::MAX, 0x8000_0305);
    });
    p.mrs(8, r::MIDR_EL1);
    a64!(p ; sub x7, x7, x8);
    p.expect("MIDR_EL1 at EL2 is unchanged", 7, 0);
}
