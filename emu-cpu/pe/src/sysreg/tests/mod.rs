//! Registers as MRS and MSR see them.

mod attributes;
mod reset;
mod traps;

use emu_a64::ir::{ExcOp, PstateField, SysEnc};
use emu_a64::level::El::{self, El0, El1, El2};
use emu_a64::level::Levels;

use super::*;
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop};
use crate::model::Model;
use crate::test_pe::{bench, max};

pub(super) const UNDEFINED: Exception = Exception::Insn(ExcOp::Undefined);

pub(super) fn enc(name: &str) -> SysEnc {
    rows().iter().find(|r| r.name == name).unwrap_or_else(|| panic!("{name}")).enc
}

pub(super) fn at(cpu: &mut Cpu, el: El, hcr: u64) {
    cpu.sys[Reg::HCR_EL2] = hcr;
    cpu.set_level(el, el.is_privileged());
}

pub(super) fn trapped_to(r: Result<u64, impl Into<Stop>>) -> Option<El> {
    match r.map_err(Into::into) {
        Err(Stop::Exception(Exception::Trap { target, ec: 0x18, .. })) => Some(target),
        _ => None,
    }
}

#[test]
fn encodings_and_names_are_unique() {
    for (i, r) in rows().iter().enumerate() {
        for q in &rows()[..i] {
            let apart = match (r.models, q.models) {
                (Some(a), Some(b)) => !a.iter().any(|name| b.contains(name)),
                _ => false,
            };
            assert!(r.name != q.name || apart, "{}", r.name);
            assert!(r.enc != q.enc, "{} and {}", r.name, q.name);
        }
    }
}

#[test]
fn slots_belong_to_one_row() {
    for (i, r) in rows().iter().enumerate() {
        let Cell::Slot { reg, .. } = r.cell else { continue };
        assert!(r.name == reg.name() || r.only_e2h, "{}", r.name);
        for q in &rows()[..i] {
            let same = matches!(q.cell, Cell::Slot { reg: other, .. } if other == reg);
            assert!(!same || r.only_e2h, "{} and {}", r.name, q.name);
        }
    }
}

/// op1 says at which level a register is first accessible (Arm ARM, D17.1.1).
#[test]
fn op1_agrees_with_permissions() {
    for r in rows().iter().filter(|r| r.enc.parts().0 == 3) {
        let op1 = r.enc.parts().1;
        let expected = match op1 {
            3 => El0,
            4 | 5 => El2,
            _ => El1,
        };
        assert_eq!(r.perm.lowest(), Some(expected), "{}", r.name);
    }
}

#[test]
fn effective_hcr_values() {
    const LEVELS: Levels = Levels::BASE.with(El2);
    let f = Model::max().features;
    let all = !0u64;
    assert_eq!(effective_hcr(all, Levels::BASE, f), hcr::RW, "without EL2");
    let host = effective_hcr(all, LEVELS, f);
    assert_eq!(host & (hcr::E2H | hcr::TGE | hcr::RW), hcr::E2H | hcr::TGE | hcr::RW);
    let gone = hcr::VM
        | hcr::FMO
        | hcr::IMO
        | hcr::AMO
        | hcr::TWI
        | hcr::TWE
        | hcr::DC
        | hcr::TID2
        | hcr::TSC
        | hcr::TVM;
    assert_eq!(host & gone, 0);
    let tge = effective_hcr(hcr::TGE, LEVELS, f);
    assert_eq!(tge, hcr::TGE | hcr::RW | hcr::FMO | hcr::IMO | hcr::AMO);
    let a72 = Model::cortex_a72().features;
    assert_eq!(effective_hcr(hcr::E2H, LEVELS, a72), hcr::RW, "no VHE");
}

#[test]
fn vhe_moves_names() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El2, hcr::E2H);
    c.msr(enc("FAR_EL1"), 0, 0x1234).unwrap();
    assert_eq!(c.sys[Reg::FAR_EL2], 0x1234);
    c.msr(enc("FAR_EL12"), 0, 0x5678).unwrap();
    assert_eq!(c.sys[Reg::FAR_EL1], 0x5678);
    c.msr(enc("CPACR_EL1"), 0, 3 << 20).unwrap();
    assert_eq!(c.sys[Reg::CPTR_EL2], 3 << 20);
    c.msr(enc("CNTP_CVAL_EL0"), 0, 77).unwrap();
    assert_eq!((c.sys[Reg::CNTHP_CVAL_EL2], c.sys[Reg::CNTP_CVAL_EL0]), (77, 0));
    c.msr(enc("CNTV_CVAL_EL02"), 0, 78).unwrap();
    assert_eq!((c.sys[Reg::CNTHV_CVAL_EL2], c.sys[Reg::CNTV_CVAL_EL0]), (0, 78));
    c.msr(enc("CNTKCTL_EL1"), 0, 0xc00).unwrap();
    assert_eq!(c.sys[Reg::CNTHCTL_EL2], 0xc00);
    // SP_EL1, TPIDR_EL1 and PAR_EL1 do not move.
    c.msr(enc("TPIDR_EL1"), 0, 9).unwrap();
    assert_eq!(c.sys[Reg::TPIDR_EL1], 9);
    at(c, El2, 0);
    assert_eq!(c.msr(enc("FAR_EL12"), 0, 1), Err(UNDEFINED.into()));
    c.msr(enc("FAR_EL1"), 0, 0x9999).unwrap();
    assert_eq!((c.sys[Reg::FAR_EL1], c.sys[Reg::FAR_EL2]), (0x9999, 0x1234));
    at(c, El1, hcr::E2H);
    assert_eq!(c.mrs(enc("FAR_EL12"), 0), Err(UNDEFINED));
    // The EL0 of a host uses EL2's timers by their EL0 names.
    c.sys[Reg::CNTHCTL_EL2] = 0x303;
    at(c, El0, hcr::E2H | hcr::TGE);
    assert_eq!(c.mrs(enc("CNTP_CVAL_EL0"), 0), Ok(77));
    at(c, El0, hcr::E2H);
    c.sys[Reg::CNTKCTL_EL1] = 0x303;
    c.sys[Reg::CNTHCTL_EL2] = 0xc00;
    assert_eq!(c.mrs(enc("CNTP_CVAL_EL0"), 0), Ok(0));
}

#[test]
fn without_vhe_there_are_no_such_names() {
    let mut b = bench(Model::cortex_a72());
    let c = &mut b.cpu;
    c.msr(enc("HCR_EL2"), 0, !0).unwrap();
    assert_eq!(c.mrs(enc("HCR_EL2"), 0), Ok(0x3_ffff_ffff));
    for name in ["SCTLR_EL12", "TTBR1_EL2", "CONTEXTIDR_EL2", "CNTHV_CTL_EL2"] {
        assert_eq!(c.mrs(enc(name), 0), Err(UNDEFINED), "{name}");
    }
}

/// Each bit of HCR_EL2 that traps, with a register it traps; reads, writes, from EL1.
#[test]
fn hcr_traps() {
    let mut b = max();
    let c = &mut b.cpu;
    for (bit, name, read, write) in [
        (hcr::TVM, "SCTLR_EL1", false, true),
        (hcr::TRVM, "SCTLR_EL1", true, false),
        (hcr::TVM, "TTBR1_EL1", false, true),
        (hcr::TVM, "CONTEXTIDR_EL1", false, true),
        (hcr::TRVM, "FAR_EL1", true, false),
        (hcr::TACR, "ACTLR_EL1", true, true),
        (hcr::TID1, "REVIDR_EL1", true, false),
        (hcr::TID2, "CSSELR_EL1", true, true),
        (hcr::TID2, "CTR_EL0", true, false),
        (hcr::TID4, "CCSIDR_EL1", true, false),
        (hcr::TID3, "ID_AA64PFR0_EL1", true, false),
        (hcr::TID3, "MVFR0_EL1", true, false),
        (hcr::TLOR, "LORC_EL1", true, true),
        (hcr::TERR, "ERRIDR_EL1", true, false),
    ] {
        for on in [false, true] {
            at(c, El1, if on { bit | hcr::ENSCXT } else { hcr::ENSCXT });
            let got = c.mrs(enc(name), 5);
            assert_eq!(trapped_to(got), (on && read).then_some(El2), "{name} read, {bit:#x}");
            let got = c.msr(enc(name), 5, 0).map(|()| 0);
            assert_eq!(trapped_to(got), (on && write).then_some(El2), "{name} write, {bit:#x}");
        }
        at(c, El2, bit);
        assert!(trapped_to(c.mrs(enc(name), 5)).is_none(), "{name} at EL2");
    }
    at(c, El1, 0);
    assert_eq!(trapped_to(c.mrs(enc("SCXTNUM_EL1"), 0)), Some(El2), "EnSCXT");
}

#[test]
fn instruction_traps() {
    let mut b = max();
    let c = &mut b.cpu;
    for (bit, name, traps) in [
        (hcr::TSW, "DC CISW", true),
        (hcr::TSW, "DC CIVAC", false),
        (hcr::TPCP, "DC CIVAC", true),
        (hcr::TPCP, "DC IVAC", true),
        (hcr::TPCP, "DC CVAU", false),
        (hcr::TPU, "DC CVAU", true),
        (hcr::TPU, "IC IVAU", true),
        (hcr::TPU, "IC IALLU", true),
        (hcr::TOCU, "IC IALLU", true),
        (hcr::TOCU, "IC IALLUIS", false),
        (hcr::TICAB, "IC IALLUIS", true),
        (hcr::TDZ, "DC ZVA", true),
        (hcr::TTLB, "TLBI VMALLE1", true),
        (hcr::TTLB, "TLBI VAE1IS", true),
        (hcr::TTLB, "TLBI RVAE1OS", true),
        (hcr::TTLBIS, "TLBI VAE1IS", true),
        (hcr::TTLBIS, "TLBI VAE1", false),
        (hcr::TTLBOS, "TLBI VAE1OS", true),
    ] {
        at(c, El1, bit);
        let e = c.sys_insn(enc(name), 7, 0).map(|()| 0);
        assert_eq!(trapped_to(e), traps.then_some(El2), "{name} {bit:#x}");
    }
    at(c, El1, 0);
    assert_eq!(c.sys_insn(enc("TLBI ALLE1"), 0, 0), Err(UNDEFINED.into()));
    assert_eq!(c.sys_insn(enc("AT S12E1R"), 0, 0), Err(UNDEFINED.into()));
    // EL0: SCTLR_EL1.UCI, DZE.
    at(c, El0, 0);
    for (name, bit) in [("DC CIVAC", sctlr::UCI), ("IC IVAU", sctlr::UCI), ("DC ZVA", sctlr::DZE)] {
        c.sys[Reg::SCTLR_EL1] = 0;
        assert_eq!(trapped_to(c.sys_insn(enc(name), 0, 0).map(|()| 0)), Some(El1), "{name}");
        c.sys[Reg::SCTLR_EL1] = bit;
        assert_eq!(trapped_to(c.sys_insn(enc(name), 0, 0).map(|()| 0)), None, "{name}");
    }
    assert_eq!(c.sys_insn(enc("DC IVAC"), 0, 0), Err(UNDEFINED.into()));
}

#[test]
fn the_syndrome_names_the_access() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El1, hcr::TVM);
    // MSR TTBR0_EL1, X7: op0 3, op1 0, CRn 2, CRm 0, op2 0.
    assert_eq!(
        c.msr(enc("TTBR0_EL1"), 7, 0),
        Err(Exception::Trap { target: El2, ec: 0x18, iss: 3 << 20 | 2 << 10 | 7 << 5 }.into())
    );
    at(c, El1, hcr::TIDCP);
    let e = SysEnc::new(3, 1, 15, 2, 0);
    assert_eq!(
        c.mrs(e, 9),
        Err(Exception::Trap {
            target: El2,
            ec: 0x18,
            iss: 3 << 20 | 1 << 14 | 15 << 10 | 9 << 5 | 2 << 1 | 1
        }),
        "implementation defined"
    );
    at(c, El1, 0);
    assert_eq!(c.mrs(e, 0), Err(UNDEFINED));
}

#[test]
fn debug_traps() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El1, 0);
    for (bit, name, traps) in [
        (mdcr::TDA, "MDSCR_EL1", true),
        (mdcr::TDA, "DBGBVR0_EL1", true),
        (mdcr::TDA, "OSLSR_EL1", false),
        (mdcr::TDOSA, "OSLSR_EL1", true),
        (mdcr::TDRA, "MDRAR_EL1", true),
        (mdcr::TDE, "MDSCR_EL1", true),
        (mdcr::TDE, "OSDLR_EL1", true),
    ] {
        c.sys[Reg::MDCR_EL2] = bit;
        assert_eq!(trapped_to(c.mrs(enc(name), 0)), traps.then_some(El2), "{name} {bit:#x}");
    }
}

#[test]
fn floating_point_control() {
    let mut b = max();
    let c = &mut b.cpu;
    let fp = Err(Exception::Insn(ExcOp::FpAccess));
    at(c, El1, 0);
    assert_eq!(c.mrs(enc("FPCR"), 0), fp, "CPACR_EL1.FPEN = 0");
    c.msr(enc("CPACR_EL1"), 0, 1 << 20).unwrap();
    assert_eq!(c.mrs(enc("FPCR"), 0), Ok(0));
    at(c, El0, 0);
    assert_eq!(c.mrs(enc("FPCR"), 0), fp, "FPEN = 1 traps EL0");
    at(c, El1, 0);
    c.sys[Reg::CPTR_EL2] = cptr::TCPAC | cptr::TFP;
    c.refresh();
    assert_eq!(c.fp_trap(), Some(El2));
    assert_eq!(trapped_to(c.mrs(enc("CPACR_EL1"), 0)), Some(El2), "TCPAC");
    at(c, El2, 0);
    assert_eq!(c.fp_trap(), Some(El2), "TFP traps EL2 too");
    at(c, El2, hcr::E2H);
    c.sys[Reg::CPTR_EL2] = 3 << 20;
    c.refresh();
    assert_eq!(c.fp_trap(), None);
    c.sys[Reg::CPTR_EL2] = 1 << 20;
    at(c, El0, hcr::E2H | hcr::TGE);
    assert_eq!(c.fp_trap(), Some(El2), "a host's EL0");
    assert_eq!(c.sys[Reg::CPACR_EL1], 1 << 20, "which CPACR_EL1 does not matter to");
    at(c, El2, hcr::E2H | hcr::TGE);
    assert_eq!(c.fp_trap(), None);
    c.msr(enc("FPCR"), 0, !0).unwrap();
    assert_eq!(c.regs.fpcr, 0x07c8_0000);
}

#[test]
fn counters_from_el0_and_el1() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El0, 0);
    c.sys[Reg::CNTHCTL_EL2] = 3;
    assert_eq!(trapped_to(c.mrs(enc("CNTVCT_EL0"), 0)), Some(El1));
    assert_eq!(trapped_to(c.mrs(enc("CNTFRQ_EL0"), 0)), Some(El1));
    c.sys[Reg::CNTKCTL_EL1] = 2;
    assert_eq!(trapped_to(c.mrs(enc("CNTVCT_EL0"), 0)), None);
    assert_eq!(c.mrs(enc("CNTFRQ_EL0"), 0), Ok(1_000_000_000));
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), Some(El1));
    assert_eq!(trapped_to(c.mrs(enc("CNTV_CTL_EL0"), 0)), Some(El1));
    c.sys[Reg::CNTKCTL_EL1] = 0x303;
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), None);
    c.sys[Reg::CNTHCTL_EL2] = 0;
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), Some(El2), "EL1PCTEN traps EL0 too");
    at(c, El1, 0);
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), Some(El2));
    assert_eq!(trapped_to(c.mrs(enc("CNTP_CTL_EL0"), 0)), Some(El2), "EL1PCEN");
    assert_eq!(trapped_to(c.mrs(enc("CNTV_CTL_EL0"), 0)), None);
    // The other layout.
    at(c, El1, hcr::E2H);
    c.sys[Reg::CNTHCTL_EL2] = 3;
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), Some(El2));
    c.sys[Reg::CNTHCTL_EL2] = 1 << 10;
    assert_eq!(trapped_to(c.mrs(enc("CNTPCT_EL0"), 0)), None);
    assert_eq!(trapped_to(c.mrs(enc("CNTP_CTL_EL0"), 0)), Some(El2));
    c.sys[Reg::CNTHCTL_EL2] = 1 << 11;
    assert_eq!(trapped_to(c.mrs(enc("CNTP_CTL_EL0"), 0)), None);
    assert_eq!(c.msr(enc("CNTFRQ_EL0"), 0, 1), Err(UNDEFINED.into()), "written at the highest level only");
}

#[test]
fn identification() {
    let mut b = max();
    let c = &mut b.cpu;
    c.msr(enc("VPIDR_EL2"), 0, 0x1_2345_6789).unwrap();
    c.msr(enc("VMPIDR_EL2"), 0, 0x105).unwrap();
    assert_eq!(c.mrs(enc("MIDR_EL1"), 0), Ok(0x000f_0510));
    assert_eq!(c.mrs(enc("MPIDR_EL1"), 0), Ok(0x8000_0000));
    at(c, El1, 0);
    assert_eq!(c.mrs(enc("MIDR_EL1"), 0), Ok(0x2345_6789));
    assert_eq!(c.mrs(enc("MPIDR_EL1"), 0), Ok(0x8000_0105));
    // Holes of the ID space read as zero, and trap with it.
    let hole = SysEnc::new(3, 0, 0, 7, 7);
    assert_eq!(c.mrs(hole, 0), Ok(0));
    assert_eq!(c.msr(hole, 0, 0), Err(UNDEFINED.into()));
    at(c, El1, hcr::TID3);
    assert_eq!(trapped_to(c.mrs(hole, 0)), Some(El2));
    // FEAT_IDST.
    at(c, El0, 0);
    assert_eq!(trapped_to(c.mrs(enc("ID_AA64ISAR0_EL1"), 0)), Some(El1));
    assert_eq!(c.mrs(enc("SCTLR_EL1"), 0), Err(UNDEFINED));
    let mut n1 = bench(Model::neoverse_n1());
    at(&mut n1.cpu, El0, 0);
    assert_eq!(n1.cpu.mrs(enc("ID_AA64ISAR0_EL1"), 0), Err(UNDEFINED));
    assert_eq!(c.mrs(enc("DCZID_EL0"), 0), Ok(0x14));
    c.sys[Reg::SCTLR_EL1] |= sctlr::DZE;
    assert_eq!(c.mrs(enc("DCZID_EL0"), 0), Ok(4));
}

#[test]
fn stack_pointers_and_pstate() {
    let mut b = max();
    let c = &mut b.cpu;
    at(c, El2, 0);
    c.regs.x[31] = 0x2000;
    c.msr(enc("SP_EL0"), 0, 0x100).unwrap();
    c.msr(enc("SP_EL1"), 0, 0x1000).unwrap();
    c.msr_imm(PstateField::SpSel, 0).unwrap();
    assert_eq!(c.regs.x[31], 0x100);
    assert_eq!(c.mrs(enc("SP_EL0"), 0), Err(UNDEFINED));
    c.msr(enc("SPSel"), 0, 1).unwrap();
    assert_eq!(c.regs.x[31], 0x2000);
    at(c, El1, 0);
    assert_eq!(c.regs.x[31], 0x1000);
    assert_eq!(c.mrs(enc("CurrentEL"), 0), Ok(4));
    c.msr_imm(PstateField::DaifClr, 0b0010).unwrap();
    assert_eq!(c.mrs(enc("DAIF"), 0), Ok(0x340));
    c.msr(enc("PAN"), 0, 1 << 22).unwrap();
    assert!(c.pstate.pan);
    at(c, El0, 0);
    assert_eq!(c.msr_imm(PstateField::Pan, 1), Err(UNDEFINED));
    c.sys[Reg::SCTLR_EL1] &= !sctlr::UMA;
    assert_eq!(
        c.msr_imm(PstateField::DaifSet, 2),
        Err(Exception::Trap { target: El1, ec: 0x18, iss: 6 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 2 << 1 })
    );
    c.sys[Reg::SCTLR_EL1] |= sctlr::UMA;
    c.msr_imm(PstateField::DaifSet, 2).unwrap();
}

#[test]
fn reset_and_reserved_bits() {
    let mut b = bench(Model::cortex_a72());
    let c = &mut b.cpu;
    assert_eq!(c.sys[Reg::SCTLR_EL1], 0x30d0_0980);
    assert_eq!(c.sys[Reg::SCTLR_EL2], 0x30c5_0830);
    assert_eq!(c.mrs(enc("CPTR_EL2"), 0), Ok(0x33ff));
    assert_eq!(c.mrs(enc("CNTFRQ_EL0"), 0), Ok(62_500_000));
    assert_eq!(c.mrs(enc("OSLSR_EL1"), 0), Ok(0xa));
    c.msr(enc("OSLAR_EL1"), 0, 0).unwrap();
    assert_eq!(c.mrs(enc("OSLSR_EL1"), 0), Ok(8));
    c.msr(enc("SCTLR_EL1"), 0, 0).unwrap();
    assert_eq!(c.mrs(enc("SCTLR_EL1"), 0), Ok(0x30d0_0980), "no UAO, PAN, SSBS: RES1");
    c.msr(enc("VBAR_EL1"), 0, !0).unwrap();
    assert_eq!(c.mrs(enc("VBAR_EL1"), 0), Ok(!0x7ff));
    c.msr(enc("CSSELR_EL1"), 0, 2).unwrap();
    assert_eq!(c.mrs(enc("CCSIDR_EL1"), 0), Ok(7 << 28 | 1023 << 13 | 15 << 3 | 2));
    assert_eq!(c.mrs(enc("CPUACTLR_EL1"), 0), Ok(0));
    assert_eq!(c.mrs(SysEnc::new(3, 0, 15, 1, 0), 0), Err(UNDEFINED), "a register of another CPU");
}

#[test]
fn gic_registers_are_in_the_table() {
    let mut b = max();
    let c = &mut b.cpu;
    c.msr(enc("ICC_SRE_EL2"), 0, 0xf).unwrap();
    c.msr(enc("ICC_PMR_EL1"), 0, 0xf0).unwrap();
    assert_eq!(c.mrs(enc("ICC_PMR_EL1"), 0), Ok(0xf0));
    c.msr(enc("ICH_HCR_EL2"), 0, 1 << 10).unwrap();
    at(c, El1, 0);
    assert_eq!(trapped_to(c.mrs(enc("ICC_PMR_EL1"), 0)), Some(El2), "ICH_HCR_EL2.TC");
    assert_eq!(c.mrs(enc("ICH_VTR_EL2"), 0), Err(UNDEFINED));
    at(c, El0, 0);
    assert_eq!(c.mrs(enc("ICC_PMR_EL1"), 0), Err(UNDEFINED));
}

#[test]
fn every_encoding_is_harmless_at_every_level() {
    let mut b = max();
    let c = &mut b.cpu;
    for el in [El0, El1, El2] {
        for h in [0, hcr::E2H, hcr::E2H | hcr::TGE, !hcr::TGE] {
            for e in 0..=u16::MAX {
                at(c, el, h);
                let _ = c.mrs(SysEnc(e), 0);
                let _ = c.msr(SysEnc(e), 0, 0x0123_4567_89ab_cdef);
                let _ = c.sys_insn(SysEnc(e), 0, 0);
            }
        }
    }
}

/// FEAT_IDST: an exception of a read in the feature ID space (op0 = 3, op1 = 0, 1, 3, CRn = 0, CRm = 0 to 7) is a trap with
/// EC 0x18 to the level that UNDEFINED would go to, and nothing else is; a write is UNDEFINED.
#[test]
fn idst_is_about_reads_of_the_id_space() {
    for (model, idst) in [("max", true), ("neoverse-v1", true), ("neoverse-n1", false)] {
        let mut b = bench(Model::by_name(model).unwrap());
        let c = &mut b.cpu;
        for el in [El0, El1, El2] {
            at(c, el, 0);
            c.sys[Reg::SCTLR_EL1] |= sctlr::UCT;
            for bits in 0..1u32 << 9 {
                let (op1, crm, op2) = (bits >> 6, bits >> 3 & 7, bits & 7);
                let enc = SysEnc::new(3, op1, 0, crm, op2);
                let what = format!("{model} {el} S3_{op1}_C0_C{crm}_{op2}");
                let reported = idst && matches!(op1, 0 | 1 | 3);
                match c.mrs(enc, 5) {
                    Ok(_) => {}
                    Err(Exception::Trap { target, ec: 0x18, .. }) if reported => {
                        assert_eq!(target, el.max(El1), "{what}");
                    }
                    other => assert!(!reported && other == Err(UNDEFINED), "{what}: {other:?}"),
                }
                let wrote = c.msr(enc, 5, 0);
                assert!(matches!(wrote, Ok(()) | Err(Stop::Exception(UNDEFINED))), "{what}: {wrote:?}");
            }
            // Neither of these is in the space.
            for name in ["CSSELR_EL1", "LORID_EL1", "VPIDR_EL2", "SCTLR_EL1"] {
                let allowed = el == El2 || el == El1 && name != "VPIDR_EL2";
                let read = c.mrs(enc(name), 0);
                assert!(if allowed { read.is_ok() } else { read == Err(UNDEFINED) }, "{model} {el} {name}");
            }
        }
        // What nobody has: an encoding of each op1.
        for (op1, crm, op2) in [(0, 0, 1), (1, 0, 5), (3, 0, 2), (3, 7, 7), (1, 4, 0)] {
            for el in [El0, El1, El2] {
                at(c, el, 0);
                let iss = crate::exception::syndrome::sysreg_iss(SysEnc::new(3, op1, 0, crm, op2), 7, true);
                let trapped = Err(Exception::Trap { target: el.max(El1), ec: 0x18, iss });
                let expected = if idst { trapped } else { Err(UNDEFINED) };
                assert_eq!(
                    c.mrs(SysEnc::new(3, op1, 0, crm, op2), 7),
                    expected,
                    "{model} {el} {op1} {crm} {op2}"
                );
            }
        }
    }
}

/// A hypervisor saves and restores the state of AArch32 guests on every part that can have some.
#[test]
fn registers_of_aarch32_guests_are_storage_where_the_part_has_them() {
    for (name, writable, fixed) in [
        ("DACR32_EL2", 0xffff_ffff, 0),
        ("IFSR32_EL2", 0x1_163f, 0),
        ("FPEXC32_EL2", 1 << 30, 0x700),
        ("DBGVCR32_EL2", 0xde00_00de, 0),
    ] {
        for model in crate::model::MODELS {
            let part =
                ["cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a72"].contains(&model.name);
            let mut b = bench(model.clone());
            let c = &mut b.cpu;
            at(c, El2, 0);
            c.sys[Reg::CPTR_EL2] = 0;
            c.refresh();
            let wrote = c.msr(enc(name), 0, !0);
            assert_eq!(wrote, if part { Ok(()) } else { Err(UNDEFINED.into()) }, "{name} of {}", model.name);
            if part {
                assert_eq!(c.mrs(enc(name), 0), Ok(writable | fixed), "{name} of {}", model.name);
                c.msr(enc(name), 0, 0).unwrap();
                assert_eq!(c.mrs(enc(name), 0), Ok(fixed), "{name} of {}", model.name);
                at(c, El1, 0);
                assert_eq!(c.mrs(enc(name), 0), Err(UNDEFINED), "{name} at EL1");
            }
            assert_eq!(c.identity.registers().get(8 * 4) & 0xff, 0x11, "AArch64 only");
        }
    }
}
