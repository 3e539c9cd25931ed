//! More of what EL2 traps: each control with what it covers, what it leaves alone, and who comes first.

use super::traps::{trapped, with_hcr};
use crate::guest_tests::interrupts::TO_EL2;
use crate::guest_tests::program::{Level, Program, SCTLR_EL1};
use crate::guest_tests::registers::{self as r, SysReg};
use crate::guest_tests::report::Taken;
use crate::guest_tests::tables::{Granule, desc};

const MSR: u64 = 0x18;
const WFX: u64 = 0x01;
const FP: u64 = 0x07;
/// CV and COND: valid, always.
const ALWAYS: u64 = 1 << 24 | 0xe << 20;
const RW: u64 = 1 << 31;
const TGE: u64 = 1 << 27;
const E2H: u64 = 1 << 34;
const VA: u64 = 0x30_0000_0000;
/// CPTR_EL2 without E2H that traps nothing.
const CPTR_NONE: u64 = 0x33ff;

/// An access of EL0 that traps to `el`.
fn trapped_at_el0(p: &mut Program, el: u8, reg: SysReg, rt: u32, read: bool) {
    p.faulting(Taken::lower(el).class(MSR, reg.iss(rt, read)), |p| {
        if read { p.mrs(rt, reg) } else { p.msr(reg, rt) }
    });
}

fn undefined(p: &mut Program, el: u8, body: impl FnOnce(&mut Program)) {
    p.faulting(if el == 1 { Taken::same(1) } else { Taken::same(2) }.class(0, 0), body);
}

/// HCR_EL2.TID1: implementation and revision.
pub(super) fn tid1(p: &mut Program) {
    with_hcr(p, 1 << 16, |p| {
        trapped(p, r::AIDR_EL1, 3, true);
        trapped(p, r::REVIDR_EL1, 4, true);
        p.mrs(0, r::CLIDR_EL1);
        p.mrs(0, r::ID_AA64PFR0_EL1);
    });
}

/// HCR_EL2.TID2: caches.
pub(super) fn tid2(p: &mut Program) {
    with_hcr(p, 1 << 17, |p| {
        for reg in [r::CTR_EL0, r::CCSIDR_EL1, r::CLIDR_EL1, r::CSSELR_EL1] {
            trapped(p, reg, 5, true);
        }
        trapped(p, r::CSSELR_EL1, 6, false);
        p.mrs(0, r::DCZID_EL0);
        p.mrs(0, r::REVIDR_EL1);
    });
}

/// HCR_EL2.TID2 and CTR_EL0 at EL0: SCTLR_EL1.UCT decides first.
pub(super) fn tid2_at_el0(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 17);
    p.enter(Level::El0, |p| trapped_at_el0(p, 1, r::CTR_EL0, 7, true));
    p.set_now(r::SCTLR_EL1, SCTLR_EL1 | 1 << 15);
    p.enter(Level::El0, |p| trapped_at_el0(p, 2, r::CTR_EL0, 8, true));
    p.set_now(r::HCR_EL2, RW);
    p.enter(Level::El0, |p| p.mrs(8, r::CTR_EL0));
}

/// HCR_EL2.TID3: more of its group, encodings that are reserved among them (they read as zero otherwise).
pub(super) fn tid3_group(p: &mut Program) {
    let reserved = SysReg::new(3, 0, 0, 4, 6);
    p.enter(Level::El1h, |p| p.expect_reg("reserved", reserved, u64::MAX, 0));
    with_hcr(p, 1 << 18, |p| {
        for reg in [r::MVFR0_EL1, r::ID_AA64DFR0_EL1, r::ID_AA64ISAR1_EL1, reserved] {
            trapped(p, reg, 10, true);
        }
        p.mrs(0, r::MPIDR_EL1);
    });
}

/// HCR_EL2.TIDCP: what an implementation may define (CRn 11 and 15).
pub(super) fn tidcp(p: &mut Program) {
    with_hcr(p, 1 << 20, |p| {
        trapped(p, SysReg::new(3, 0, 15, 0, 7), 3, true);
        trapped(p, SysReg::new(3, 0, 11, 3, 2), 4, false);
    });
}

/// HCR_EL2.TDZ: DC ZVA traps, and DCZID_EL0.DZP says that it must not be used; EL2 itself may.
pub(super) fn tdz(p: &mut Program) {
    let frame = p.frame(0x1000);
    p.set_now(r::SCTLR_EL1, SCTLR_EL1 | 1 << 14);
    with_hcr(p, 1 << 28, |p| {
        p.mov(3, frame);
        trapped(p, r::DC_ZVA, 3, false);
        p.expect_reg("DZP at EL1", r::DCZID_EL0, 1 << 4, 1 << 4);
    });
    p.set_now(r::HCR_EL2, RW | 1 << 28);
    p.expect_reg("DZP at EL2", r::DCZID_EL0, 1 << 4, 0);
    p.enter(Level::El0, |p| trapped_at_el0(p, 2, r::DC_ZVA, 3, false));
    p.set_now(r::HCR_EL2, RW);
    p.enter(Level::El1h, |p| p.expect_reg("DZP without", r::DCZID_EL0, 1 << 4, 0));
}

/// SCTLR_EL1.DZE comes before HCR_EL2.TDZ.
pub(super) fn dze_before_tdz(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 28);
    p.enter(Level::El0, |p| trapped_at_el0(p, 1, r::DC_ZVA, 3, false));
    p.set_now(r::HCR_EL2, RW);
}

/// HCR_EL2.HCD: HVC is undefined at EL1 and EL2.
pub(super) fn hcd(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 29);
    undefined(p, 2, |p| a64!(p ; hvc 1));
    // HVC is the suite's way up, too: an SMC takes it down again.
    p.set_now(r::HCR_EL2, RW | 1 << 29 | 1 << 19);
    p.enter(Level::El1h, |p| {
        undefined(p, 1, |p| a64!(p ; hvc 2));
        p.catching_at(2, |p| {
            p.expect_taken(Taken::lower(2).class(0x17, 3));
            a64!(p ; smc 3);
        });
    });
    p.set_now(r::HCR_EL2, RW);
}

/// HCR_EL2.TVM: the rest of its group.
pub(super) fn tvm_group(p: &mut Program) {
    with_hcr(p, 1 << 26, |p| {
        trapped(p, r::AFSR1_EL1, 3, false);
        trapped(p, r::AMAIR_EL1, 4, false);
        p.mrs(0, r::AMAIR_EL1);
        // Not virtual memory control.
        p.msr(r::VBAR_EL1, 0);
        p.msr(r::CPACR_EL1, 0);
        p.mov(0, crate::guest_tests::vectors::EL1_TABLE);
        p.msr(r::VBAR_EL1, 0);
        a64!(p ; isb);
    });
}

/// HCR_EL2.TWI and TWE for EL0, which SCTLR_EL1 lets wait.
pub(super) fn waits_of_el0(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 13);
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(WFX, ALWAYS), |p| a64!(p ; wfi)));
    p.set_now(r::HCR_EL2, RW);
}

/// SCTLR_EL1.nTWI traps to EL2 under HCR_EL2.TGE, with the syndrome of the trap.
pub(super) fn ntwi_with_tge(p: &mut Program) {
    p.set_now(r::SCTLR_EL1, SCTLR_EL1 & !(1 << 16));
    p.set_now(r::HCR_EL2, RW | TGE);
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(WFX, ALWAYS), |p| a64!(p ; wfi)));
    p.set_now(r::HCR_EL2, RW);
}

/// SCTLR_EL1.nTWE traps a WFE of EL0 that would wait.
pub(super) fn ntwe(p: &mut Program) {
    p.set_now(r::SCTLR_EL1, SCTLR_EL1 & !(1 << 18));
    p.enter(Level::El0, |p| {
        // Takes the event of the exception return.
        a64!(p ; sevl ; wfe);
        p.faulting(Taken::lower(1).class(WFX, ALWAYS | 1), |p| a64!(p ; wfe));
    });
}

/// What SCTLR_EL1 allows EL0: UMA, UCT, UCI, DZE.
pub(super) fn allowed_by_sctlr(p: &mut Program) {
    let t = p.stage1(Granule::K4);
    let frame = p.frame(0x1000);
    p.page(t, VA, frame, desc::EL0_RW);
    p.use_stage1_with(t, 1 << 9 | 1 << 14 | 1 << 15 | 1 << 26, 0);
    p.enter(Level::El0, |p| {
        p.mov(1, VA);
        p.mrs(0, r::DAIF);
        a64!(p ; msr daifclr, 8 ; msr daifset, 8);
        p.mrs(0, r::CTR_EL0);
        p.msr(r::DC_ZVA, 1);
        p.msr(r::DC_CVAU, 1);
        p.msr(r::DC_CIVAC, 1);
        p.msr(r::IC_IVAU, 1);
    });
}

/// CPTR_EL2.TCPAC: CPACR_EL1 of EL1.
pub(super) fn cptr_tcpac(p: &mut Program) {
    p.set_now(r::CPTR_EL2, CPTR_NONE | 1 << 31);
    p.enter(Level::El1h, |p| {
        trapped(p, r::CPACR_EL1, 3, true);
        trapped(p, r::CPACR_EL1, 4, false);
    });
    p.mrs(0, r::CPACR_EL1);
    p.set_now(r::CPTR_EL2, CPTR_NONE);
}

/// CPTR_EL2.TCPAC with E2H: bit 31 as well.
pub(super) fn cptr_tcpac_with_e2h(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | E2H);
    p.set_now(r::CPTR_EL2, 3 << 20 | 1 << 31);
    p.enter(Level::El1h, |p| trapped(p, r::CPACR_EL1, 3, true));
    // The name means CPTR_EL2 here, and _EL12 names are not trapped.
    p.mrs(0, r::CPACR_EL1);
    p.mrs(0, r::CPACR_EL12);
    p.set_now(r::CPTR_EL2, 3 << 20);
    p.set_now(r::HCR_EL2, RW);
}

/// Under HCR_EL2.TGE what CPACR_EL1 traps is an unknown instruction for EL2 (AArch64.AdvSIMDFPAccessTrap).
pub(super) fn cpacr_with_tge(p: &mut Program) {
    p.set_now(r::CPACR_EL1, 0);
    p.set_now(r::HCR_EL2, RW | TGE);
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(0, 0), |p| a64!(p ; fmov d0, x0)));
    p.set_now(r::CPACR_EL1, 3 << 20);
    p.enter(Level::El0, |p| a64!(p ; fmov d0, x0));
    p.set_now(r::HCR_EL2, RW);
}

/// All of a vector's instructions trap alike: loads, arithmetic, FPSR.
pub(super) fn cptr_covers(p: &mut Program) {
    p.set_now(r::CPTR_EL2, CPTR_NONE | 1 << 10);
    p.enter(Level::El1h, |p| {
        let taken = Taken::lower(2).class(FP, ALWAYS);
        p.faulting(taken, |p| a64!(p ; add v0.b16, v1.b16, v2.b16));
        p.faulting(taken, |p| a64!(p ; stp q0, q1, [sp]));
        p.faulting(taken, |p| a64!(p ; scvtf d0, x1));
        p.faulting(taken, |p| p.mrs(0, r::FPSR));
        p.faulting(taken, |p| p.msr(r::FPCR, 0));
    });
    p.set_now(r::CPTR_EL2, CPTR_NONE);
}

/// MDCR_EL2.TDE sends debug exceptions of lower levels to EL2, and makes debug registers trap.
pub(super) fn mdcr_tde(p: &mut Program) {
    p.set_now(r::MDCR_EL2, 1 << 8);
    p.enter(Level::El1h, |p| p.faulting(Taken::lower(2).class(0x3c, 5), |p| a64!(p ; brk 5)));
    p.enter(Level::El0, |p| p.faulting(Taken::lower(2).class(0x3c, 6), |p| a64!(p ; brk 6)));
    p.enter(Level::El1h, |p| {
        trapped(p, r::MDSCR_EL1, 3, true);
        trapped(p, r::OSLSR_EL1, 4, true);
        trapped(p, r::MDRAR_EL1, 5, true);
    });
    p.set_now(r::MDCR_EL2, 0);
}

/// MDCR_EL2.TDA alone covers neither the OS lock nor the ROM address (but TDE and TDOSA, TDRA do).
pub(super) fn mdcr_tda(p: &mut Program) {
    p.set_now(r::MDCR_EL2, 1 << 9);
    p.enter(Level::El1h, |p| {
        trapped(p, r::MDSCR_EL1, 3, false);
        trapped(p, r::DBGBVR0_EL1, 4, true);
        p.mrs(0, r::OSLSR_EL1);
        p.mrs(0, r::MDRAR_EL1);
    });
    p.set_now(r::MDCR_EL2, 0);
}

/// MDCR_EL2.TDOSA: OS lock, double lock, power control. A peer may not have DBGPRCR_EL1, which every implementation has
/// (D24.3).
pub(super) fn mdcr_tdosa(p: &mut Program) {
    p.set_now(r::MDCR_EL2, 1 << 10);
    p.enter(Level::El1h, |p| {
        trapped(p, r::OSLSR_EL1, 3, true);
        trapped(p, r::OSDLR_EL1, 4, true);
        trapped(p, r::DBGPRCR_EL1, 5, true);
        p.mrs(0, r::MDSCR_EL1);
    });
    p.set_now(r::MDCR_EL2, 0);
}

/// MDCR_EL2.TDRA: MDRAR_EL1.
pub(super) fn mdcr_tdra(p: &mut Program) {
    p.set_now(r::MDCR_EL2, 1 << 11);
    p.enter(Level::El1h, |p| {
        trapped(p, r::MDRAR_EL1, 3, true);
        p.mrs(0, r::OSLSR_EL1);
    });
    p.set_now(r::MDCR_EL2, 0);
}

/// CNTKCTL_EL1 denies EL0, and HCR_EL2.TGE sends that to EL2.
pub(super) fn counters_with_tge(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | TGE);
    p.enter(Level::El0, |p| {
        trapped_at_el0(p, 2, r::CNTPCT_EL0, 3, true);
        trapped_at_el0(p, 2, r::CNTV_CTL_EL0, 4, true);
    });
    p.set_now(r::HCR_EL2, RW);
}

/// In a host CNTHCTL_EL2 has EL0's enables (EL0PCTEN, EL0VCTEN, EL0VTEN, EL0PTEN), and CNTKCTL_EL1 none.
pub(super) fn counters_in_host(p: &mut Program) {
    p.set_now(r::CNTKCTL_EL1, 0x303);
    p.set_now(r::HCR_EL2, RW | TGE | E2H);
    for (bits, free) in
        [(1, r::CNTPCT_EL0), (2, r::CNTVCT_EL0), (1 << 8, r::CNTV_CTL_EL0), (1 << 9, r::CNTP_CTL_EL0)]
    {
        p.set_now(r::CNTHCTL_EL2, bits);
        p.enter(Level::El0, |p| {
            for reg in [r::CNTPCT_EL0, r::CNTVCT_EL0, r::CNTV_CTL_EL0, r::CNTP_CTL_EL0] {
                if reg == free {
                    p.mrs(5, reg);
                } else {
                    trapped_at_el0(p, 2, reg, 5, true);
                }
            }
        });
    }
    p.set_now(r::HCR_EL2, RW);
    p.set_now(r::CNTHCTL_EL2, 3);
}

fn with_ich(p: &mut Program, bit: u64, traps: &[(SysReg, bool)], free: &[SysReg]) {
    p.start_gic();
    p.start_virtual_interface(bit);
    p.enter(Level::El1h, |p| {
        for (i, (reg, read)) in (3..).zip(traps) {
            trapped(p, *reg, i, *read);
        }
        free.iter().for_each(|reg| p.mrs(0, *reg));
    });
    p.set_now(r::ICH_HCR_EL2, 0);
    p.set_now(r::HCR_EL2, TO_EL2);
}

/// ICH_HCR_EL2.TC: what both groups share.
pub(super) fn ich_tc(p: &mut Program) {
    let traps = [
        (r::ICC_PMR_EL1, true),
        (r::ICC_PMR_EL1, false),
        (r::ICC_RPR_EL1, true),
        (r::ICC_CTLR_EL1, true),
        (r::ICC_CTLR_EL1, false),
        (r::ICC_DIR_EL1, false),
    ];
    with_ich(p, 1 << 10, &traps, &[r::ICC_HPPIR1_EL1, r::ICC_BPR0_EL1, r::ICC_IGRPEN1_EL1]);
}

/// ICH_HCR_EL2.TALL0: group 0.
pub(super) fn ich_tall0(p: &mut Program) {
    let traps = [
        (r::ICC_IAR0_EL1, true),
        (r::ICC_EOIR0_EL1, false),
        (r::ICC_HPPIR0_EL1, true),
        (r::ICC_BPR0_EL1, false),
        (r::ICC_AP0R0_EL1, true),
        (r::ICC_IGRPEN0_EL1, true),
    ];
    with_ich(p, 1 << 11, &traps, &[r::ICC_HPPIR1_EL1, r::ICC_PMR_EL1, r::ICC_AP1R0_EL1]);
}

/// ICH_HCR_EL2.TALL1: group 1.
pub(super) fn ich_tall1(p: &mut Program) {
    let traps = [
        (r::ICC_IAR1_EL1, true),
        (r::ICC_EOIR1_EL1, false),
        (r::ICC_HPPIR1_EL1, true),
        (r::ICC_BPR1_EL1, true),
        (r::ICC_AP1R0_EL1, false),
        (r::ICC_IGRPEN1_EL1, false),
    ];
    with_ich(p, 1 << 12, &traps, &[r::ICC_HPPIR0_EL1, r::ICC_PMR_EL1, r::ICC_AP0R0_EL1]);
}

/// With HCR_EL2.FMO group 0's SGIs trap, with IMO all kinds do.
pub(super) fn sgi_kinds(p: &mut Program) {
    p.start_gic();
    let (sgi0, asgi1) = (r::ICC_SGI0R_EL1, SysReg::new(3, 0, 12, 11, 6));
    for reg in [sgi0, asgi1, r::ICC_SGI1R_EL1] {
        p.enter(Level::El1h, |p| trapped(p, reg, 9, false));
    }
}
