//! Taking exceptions and returning from them.

use crate::guest_tests::program::{Level, Program, SCTLR_EL1};
use crate::guest_tests::registers::{self as r, SysReg};
use crate::guest_tests::report::{Taken, from, kind};

/// Exception classes (Arm ARM, ESR_EL1.EC).
mod ec {
    pub(super) const UNKNOWN: u64 = 0;
    pub(super) const ILLEGAL_STATE: u64 = 0x0e;
    pub(super) const SVC: u64 = 0x15;
    pub(super) const HVC: u64 = 0x16;
    pub(super) const SMC: u64 = 0x17;
    pub(super) const MSR: u64 = 0x18;
    pub(super) const PC_ALIGNMENT: u64 = 0x22;
    pub(super) const BRK: u64 = 0x3c;
}

/// HCR_EL2.RW.
const RW: u64 = 1 << 31;
/// HCR_EL2.TGE.
const TGE: u64 = 1 << 27;
/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;
/// SPSR_ELx.IL.
const IL: u64 = 1 << 20;
/// PSTATE.PAN in its register and in SPSR_ELx.
const PAN: u64 = 1 << 22;

/// An SVC goes to EL1 from EL0 and EL1, and to EL2 from EL2; the preferred return address is the next instruction.
pub(super) fn svc(p: &mut Program) {
    p.enter(Level::El0, |p| {
        p.calling(Taken::lower(1).class(ec::SVC, 0x1234).spsr(Level::El0.masked()), |p| a64!(p ; svc 0x1234));
    });
    p.enter(Level::El1h, |p| {
        p.calling(Taken::same(1).class(ec::SVC, 1).spsr(Level::El1h.masked()), |p| a64!(p ; svc 1));
    });
    p.calling(Taken::same(2).class(ec::SVC, 0).spsr(Level::El2h.masked()), |p| a64!(p ; svc 0));
}

/// HVC from EL1 and EL2; it is undefined at EL0.
pub(super) fn hvc(p: &mut Program) {
    p.enter(Level::El1h, |p| {
        p.calling(Taken::lower(2).class(ec::HVC, 0xabc).spsr(Level::El1h.masked()), |p| a64!(p ; hvc 0xabc));
    });
    p.calling(Taken::same(2).class(ec::HVC, 2), |p| a64!(p ; hvc 2));
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| a64!(p ; hvc 3)));
}

/// HCR_EL2.TSC traps SMC of EL1, with the SMC's own address as the return address; at EL0 SMC is undefined before that.
pub(super) fn smc_trapped(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | 1 << 19);
    p.enter(Level::El1h, |p| p.faulting(Taken::lower(2).class(ec::SMC, 7), |p| a64!(p ; smc 7)));
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| a64!(p ; smc 8)));
    p.set_now(r::HCR_EL2, RW);
}

/// BRK, with the instruction's own address as the return address.
pub(super) fn brk(p: &mut Program) {
    p.enter(Level::El0, |p| p.faulting(Taken::lower(1).class(ec::BRK, 0xabcd), |p| a64!(p ; brk 0xabcd)));
    p.enter(Level::El1h, |p| p.faulting(Taken::same(1).class(ec::BRK, 1), |p| a64!(p ; brk 1)));
    p.faulting(Taken::same(2).class(ec::BRK, 2), |p| a64!(p ; brk 2));
}

/// A permanently undefined and an unallocated instruction: EC 0, IL 1, ISS 0.
pub(super) fn undefined(p: &mut Program) {
    let undefined = |p: &mut Program, taken: Taken| {
        for word in [0x0000_0000, 0x0000_ffff, 0x6300_0000] {
            p.faulting(taken.class(ec::UNKNOWN, 0), |p| p.word(word));
        }
    };
    p.enter(Level::El0, |p| undefined(p, Taken::lower(1)));
    p.enter(Level::El1h, |p| undefined(p, Taken::same(1)));
    undefined(p, Taken::same(2));
}

/// The first quarter of the table is for the same level with SP_EL0.
pub(super) fn vectors_with_sp_el0(p: &mut Program) {
    p.enter(Level::El1t, |p| {
        let taken = Taken::to(1, from::SP0 | kind::SYNC).class(ec::SVC, 3).spsr(Level::El1t.masked());
        p.calling(taken, |p| a64!(p ; svc 3));
    });
    p.enter(Level::El2t, |p| {
        let taken = Taken::to(2, from::SP0 | kind::SYNC).class(ec::HVC, 4).spsr(Level::El2t.masked());
        p.calling(taken, |p| a64!(p ; hvc 4));
        a64!(p ; msr spsel, 1);
    });
}

/// Exceptions are taken with SP_ELx, and do not move any stack pointer.
pub(super) fn stack_pointers(p: &mut Program) {
    p.set(r::SP_EL0, 0x1110);
    p.set(r::SP_EL1, 0x2220);
    a64!(p ; movz x0, 0x3330 ; mov sp, x0);
    p.enter(Level::El1t, |p| {
        a64!(p ; mov x1, sp);
        p.expect("SP at EL1t", 1, 0x1110);
        p.catching(|p| {
            p.expect_taken(Taken::to(1, from::SP0));
            a64!(p ; svc 1);
        });
        a64!(p ; mov x1, sp);
        p.expect("SP in the handler", 1, 0x2220);
        p.expect_reg("SPSel in the handler", r::SPSEL, u64::MAX, 1);
    });
    a64!(p ; mov x1, sp);
    p.expect("SP at EL2h", 1, 0x3330);
    p.expect_reg("SP_EL0", r::SP_EL0, u64::MAX, 0x1110);
}

/// ERET takes flags, masks and level from SPSR.
pub(super) fn eret_restores_pstate(p: &mut Program) {
    p.enter_with(Level::El1h, 0xa000_0300 | Level::El1h as u64, |p| {
        p.mrs(0, r::NZCV);
        p.mrs(1, r::DAIF);
        p.mrs(2, r::CURRENT_EL);
        p.expect("NZCV", 0, 0xa000_0000);
        p.expect("DAIF", 1, 0x300);
        p.expect("CurrentEL", 2, 1 << 2);
    });
}

/// Emits an ERET with an SPSR that cannot be, and expects Illegal Execution state behind it.
fn illegal(p: &mut Program, el: u8, spsr: u64, home: u64) {
    p.catching(|p| {
        let target = p.label();
        a64!(p ; adr x0, =>target);
        let (elr, spsr_reg) = if el == 2 { (r::ELR_EL2, r::SPSR_EL2) } else { (r::ELR_EL1, r::SPSR_EL1) };
        p.msr(elr, 0);
        p.set(spsr_reg, spsr);
        a64!(p ; eret ; nop);
        p.bind(target);
        p.expect_taken(
            Taken::same(el).class(ec::ILLEGAL_STATE, 0).elr(p.here()).spsr(spsr & 0x3c0 | IL | home),
        );
        a64!(p ; nop);
    });
}

/// A return to a level that is higher or not implemented sets PSTATE.IL and stays; masks still come from SPSR.
pub(super) fn illegal_return(p: &mut Program) {
    // EL3; a reserved mode (M[1] = 1); EL2 in AArch32.
    for m in [0x0d, 0x0a, 0x1a] {
        illegal(p, 2, 0x340 | m, 9);
    }
    p.enter(Level::El1h, |p| illegal(p, 1, 0x3c9, 5));
}

/// With HCR_EL2.TGE there is no EL1 to return to.
pub(super) fn illegal_return_to_el1_with_tge(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | TGE);
    illegal(p, 2, 0x3c5, 9);
    p.set_now(r::HCR_EL2, RW);
}

/// Entry to EL1 masks D, A, I and F.
pub(super) fn entry_masks(p: &mut Program) {
    p.enter_with(Level::El0, 0, |p| {
        p.catching_at(1, |p| {
            p.expect_taken(Taken::lower(1).class(ec::SVC, 5).spsr(0));
            a64!(p ; svc 5);
        });
        p.mrs(0, r::DAIF);
        p.expect("DAIF", 0, 0x3c0);
        p.mrs(1, r::SPSEL);
        p.expect("SPSel", 1, 1);
    });
}

/// SCTLR_EL1.SPAN decides whether entry to EL1 sets PAN; SPSR keeps the old value.
pub(super) fn pan_on_entry(p: &mut Program) {
    for (span, pan) in [(0, PAN), (1 << 23, 0)] {
        p.set_now(r::SCTLR_EL1, SCTLR_EL1 & !(1 << 23) | span);
        p.enter(Level::El0, |p| {
            p.catching_at(1, |p| {
                p.expect_taken(Taken::lower(1).class(ec::SVC, 6).spsr(Level::El0.masked()));
                a64!(p ; svc 6);
            });
            p.expect_reg("PAN", r::PAN, u64::MAX, pan);
        });
    }
    // Without SPAN an exception from a level with PAN clear sets it; EL2 without E2H does not look at SPAN.
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 & !(1 << 23));
    p.catching(|p| {
        p.expect_taken(Taken::same(2).class(ec::SVC, 7));
        a64!(p ; svc 7);
    });
    p.expect_reg("PAN at EL2", r::PAN, u64::MAX, 0);
}

/// In the host's EL2 (E2H and TGE) SCTLR_EL2.SPAN works as at EL1.
pub(super) fn pan_on_entry_to_host(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | TGE | E2H);
    p.set_now(r::SCTLR_EL2, 0x30c5_0830 & !(1 << 23));
    p.enter(Level::El0, |p| {
        p.catching_at(2, |p| {
            p.expect_taken(Taken::lower(2).class(ec::SVC, 6).spsr(Level::El0.masked()));
            a64!(p ; svc 6);
        });
        p.mrs(0, r::PAN);
        a64!(p ; msr pan, 0);
        p.expect("PAN", 0, PAN);
    });
    p.set_now(r::HCR_EL2, RW);
}

/// HCR_EL2.TGE sends what EL0 raises to EL2.
pub(super) fn tge_routes_el0(p: &mut Program) {
    p.set_now(r::HCR_EL2, RW | TGE);
    p.enter(Level::El0, |p| {
        p.calling(Taken::lower(2).class(ec::SVC, 9).spsr(Level::El0.masked()), |p| a64!(p ; svc 9));
        p.faulting(Taken::lower(2).class(ec::UNKNOWN, 0), |p| a64!(p ; udf 0));
        p.faulting(Taken::lower(2).class(ec::BRK, 1), |p| a64!(p ; brk 1));
    });
    p.set_now(r::HCR_EL2, RW);
}

/// With E2H the names of EL1's registers mean EL2's at EL2, and `_EL12` names mean EL1's.
pub(super) fn vhe_redirection(p: &mut Program) {
    p.set(r::FAR_EL1, 0x11);
    p.set(r::FAR_EL2, 0x22);
    p.set(r::ELR_EL1, 0x44);
    p.set_now(r::HCR_EL2, RW | E2H);
    p.expect_reg("FAR_EL1 is FAR_EL2", r::FAR_EL1, u64::MAX, 0x22);
    p.expect_reg("FAR_EL12 is FAR_EL1", r::FAR_EL12, u64::MAX, 0x11);
    p.expect_reg("ELR_EL12 is ELR_EL1", r::ELR_EL12, u64::MAX, 0x44);
    p.set(r::FAR_EL1, 0x33);
    p.set(r::FAR_EL12, 0x55);
    p.set(r::ESR_EL12, 0x66);
    p.set_now(r::HCR_EL2, RW);
    p.expect_reg("FAR_EL2", r::FAR_EL2, u64::MAX, 0x33);
    p.expect_reg("FAR_EL1", r::FAR_EL1, u64::MAX, 0x55);
    p.expect_reg("ESR_EL1", r::ESR_EL1, u64::MAX, 0x66);
}

/// `_EL12` and `_EL02` names are undefined at EL2 without E2H, and at EL1.
pub(super) fn el12_names_without_e2h(p: &mut Program) {
    for reg in [r::SCTLR_EL12, r::FAR_EL12, r::CNTP_CTL_EL02] {
        p.faulting(Taken::same(2).class(ec::UNKNOWN, 0), |p| p.mrs(0, reg));
        p.enter(Level::El1h, |p| p.faulting(Taken::same(1).class(ec::UNKNOWN, 0), |p| p.mrs(0, reg)));
    }
}

/// A branch to an address that is not a multiple of 4: FAR and ELR hold it.
pub(super) fn pc_alignment(p: &mut Program) {
    p.catching(|p| {
        let target = p.here() | 2;
        p.mov(0, target);
        p.expect_taken(Taken::same(2).class(ec::PC_ALIGNMENT, 0).elr(target).far(target));
        a64!(p ; br x0);
    });
}

/// Registers of EL1 are undefined at EL0; what SCTLR_EL1 may allow is trapped with a syndrome.
pub(super) fn system_registers_at_el0(p: &mut Program) {
    p.enter(Level::El0, |p| {
        for reg in [r::SCTLR_EL1, r::HCR_EL2, r::SPSR_EL1] {
            p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| p.mrs(0, reg));
        }
        // UMA, UCT, UCI and DZE are 0.
        p.faulting(Taken::lower(1).class(ec::MSR, r::DAIF.iss(3, true)), |p| p.mrs(3, r::DAIF));
        p.faulting(Taken::lower(1).class(ec::MSR, r::CTR_EL0.iss(4, true)), |p| p.mrs(4, r::CTR_EL0));
        p.faulting(Taken::lower(1).class(ec::MSR, r::DC_CVAU.iss(5, false)), |p| p.msr(r::DC_CVAU, 5));
        p.faulting(Taken::lower(1).class(ec::MSR, r::DC_ZVA.iss(6, false)), |p| p.msr(r::DC_ZVA, 6));
    });
}

/// HLT and DCPS1 are undefined while halting is not allowed; ERET is undefined at EL0.
pub(super) fn undefined_for_debug_and_eret(p: &mut Program) {
    let words = |p: &mut Program, taken: Taken| {
        p.faulting(taken.class(ec::UNKNOWN, 0), |p| a64!(p ; hlt 1));
        p.faulting(taken.class(ec::UNKNOWN, 0), |p| a64!(p ; dcps1 1));
    };
    p.enter(Level::El0, |p| {
        words(p, Taken::lower(1));
        p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| a64!(p ; eret));
    });
    p.enter(Level::El1h, |p| words(p, Taken::same(1)));
    words(p, Taken::same(2));
}

/// System registers that do not exist are undefined at every level, and so are EL2's below it.
pub(super) fn undefined_registers(p: &mut Program) {
    let none = [SysReg::new(3, 6, 5, 9, 7), SysReg::new(3, 3, 9, 1, 0), SysReg::new(3, 2, 7, 7, 7)];
    p.enter(Level::El0, |p| {
        for reg in none.into_iter().chain([r::VBAR_EL2, r::TTBR0_EL1]) {
            p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| p.mrs(0, reg));
        }
    });
    p.enter(Level::El1h, |p| {
        for reg in none.into_iter().chain([r::HCR_EL2, r::VTTBR_EL2, r::ICH_LR0_EL2]) {
            p.faulting(Taken::same(1).class(ec::UNKNOWN, 0), |p| p.msr(reg, 0));
        }
    });
    for reg in none {
        p.faulting(Taken::same(2).class(ec::UNKNOWN, 0), |p| p.mrs(0, reg));
    }
    // Read-only ones cannot be written.
    for reg in [r::MIDR_EL1, r::ISR_EL1, r::CNTPCT_EL0, r::ICH_VTR_EL2] {
        p.faulting(Taken::same(2).class(ec::UNKNOWN, 0), |p| p.msr(reg, 0));
    }
}

/// A PC that is not aligned at EL0 goes to EL1, with FAR.
pub(super) fn pc_alignment_of_el0(p: &mut Program) {
    p.enter(Level::El0, |p| {
        p.catching_at(1, |p| {
            let target = p.here() | 1;
            p.mov(0, target);
            p.expect_taken(Taken::lower(1).class(ec::PC_ALIGNMENT, 0).elr(target).far(target));
            a64!(p ; br x0);
        });
    });
}

/// An exception in a handler overwrites ELR and SPSR of its level; those of the other level stay.
pub(super) fn nested(p: &mut Program) {
    p.enter(Level::El1h, |p| {
        p.set(r::ELR_EL1, 0x1111);
        p.set(r::SPSR_EL1, 0x2000_0005);
        p.calling(Taken::lower(2).class(ec::HVC, 1), |p| a64!(p ; hvc 1));
        p.expect_reg("ELR_EL1", r::ELR_EL1, u64::MAX, 0x1111);
        p.expect_reg("SPSR_EL1", r::SPSR_EL1, u64::MAX, 0x2000_0005);
        p.catching(|p| {
            p.expect_taken(Taken::same(1).class(ec::SVC, 2));
            a64!(p ; svc 2);
        });
        p.mrs(5, r::ELR_EL1);
        a64!(p ; cmp x5, 0x111, lsl 12 ; cset x5, hi);
        p.expect("ELR_EL1 is new", 5, 1);
    });
}

/// TPIDR_EL0 and TPIDRRO_EL0 at EL0: one can be written there.
pub(super) fn thread_registers(p: &mut Program) {
    p.set(r::TPIDRRO_EL0, 0x77);
    p.enter(Level::El0, |p| {
        p.mov(1, 0x88);
        p.msr(r::TPIDR_EL0, 1);
        p.mrs(2, r::TPIDRRO_EL0);
        p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| p.msr(r::TPIDRRO_EL0, 1));
        p.faulting(Taken::lower(1).class(ec::UNKNOWN, 0), |p| p.mrs(3, r::TPIDR_EL1));
    });
    p.expect_reg("TPIDR_EL0", r::TPIDR_EL0, u64::MAX, 0x88);
    p.expect("TPIDRRO_EL0", 2, 0x77);
}

/// PSCI by SMC: version 1.0 or later, its features, and what is not there (DEN 0022, 5.1).
pub(super) fn psci(p: &mut Program) {
    let call = |p: &mut Program, function: u64, argument: u64| {
        p.mov(0, function);
        p.mov(1, argument);
        a64!(p ; smc 0);
    };
    call(p, 0x8400_0000, 0);
    a64!(p ; lsr x0, x0, 16);
    p.expect("major version", 0, 1);
    // PSCI_FEATURES of CPU_ON, and of no function.
    call(p, 0x8400_000a, 0xc400_0003);
    p.expect("CPU_ON", 0, 0);
    call(p, 0x8400_000a, 0x8400_00ff);
    p.expect_bits("no function", 0, 0xffff_ffff, 0xffff_ffff);
    call(p, 0x8400_00ff, 0);
    p.expect_bits("NOT_SUPPORTED", 0, 0xffff_ffff, 0xffff_ffff);
    // AFFINITY_INFO of the second PE: off.
    p.mov(2, 0);
    call(p, 0xc400_0004, 1);
    p.expect("off", 0, 1);
}
