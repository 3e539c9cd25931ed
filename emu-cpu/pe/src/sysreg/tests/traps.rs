//! Which bit traps what: tables from the descriptions of the trap registers in the Arm ARM.

use emu_a64::ir::SysEnc;
use emu_a64::level::El::{El0, El1, El2};

use super::{UNDEFINED, at, enc, trapped_to};
use crate::cpu::Cpu;
use crate::exception::{Exception, Stop, ec};
use crate::model::Model;
use crate::sysreg::*;
use crate::test_pe::{bench, max};

/// Makes an access of any kind; whether it trapped to EL2.
fn access(c: &mut Cpu, row: &Row, read: bool) -> Option<El> {
    match (row.cell, read) {
        (Cell::Insn(_), _) => trapped_to(c.sys_insn(row.enc, 3, 0).map(|()| 0)),
        (_, true) => trapped_to(c.mrs(row.enc, 3)),
        (_, false) => trapped_to(c.msr(row.enc, 3, 0).map(|()| 0)),
    }
}

/// EL0 and EL1 may access everything that is not trapped to EL2.
fn open_everything(c: &mut Cpu) {
    for reg in [Reg::SCTLR_EL1, Reg::SCTLR_EL2] {
        c.sys[reg] = sctlr::UCT | sctlr::UCI | sctlr::DZE | sctlr::ENRCTX | sctlr::UMA;
    }
    c.sys[Reg::CNTKCTL_EL1] = 0x303;
    c.sys[Reg::CNTHCTL_EL2] = 0xf03;
    c.sys[Reg::PMUSERENR_EL0] = 0xf;
    c.sys[Reg::CPACR_EL1] = 3 << 20;
    c.sys[Reg::MDCR_EL2] = 6;
}

const NO_TRAPS: u64 = hcr::ENSCXT | hcr::APK | hcr::API;

/// Each bit of the fine-grained traps, with everything that it traps, from every Exception level.
#[test]
fn every_fine_grained_trap() {
    let mut b = max();
    let c = &mut b.cpu;
    let registers = [
        ("HFGRTR_EL2", Reg::HFGRTR_EL2, true),
        ("HFGWTR_EL2", Reg::HFGWTR_EL2, false),
        ("HDFGRTR_EL2", Reg::HDFGRTR_EL2, true),
        ("HDFGWTR_EL2", Reg::HDFGWTR_EL2, false),
        ("HFGITR_EL2", Reg::HFGITR_EL2, false),
    ];
    for (name, control, read) in registers {
        open_everything(c);
        for row in rows().iter().filter(|row| row.fine.is_some() && row.models.is_none()) {
            let fine = row.fine.unwrap();
            for el in [El0, El1] {
                if !row.perm.at(el).allows(read) {
                    continue;
                }
                let group = match control {
                    Reg::HFGRTR_EL2 | Reg::HFGWTR_EL2 => fine.group == Group::Registers,
                    Reg::HFGITR_EL2 => fine.group == Group::Instructions,
                    Reg::HDFGWTR_EL2 => matches!(fine.group, Group::Debug | Group::DebugWrites),
                    _ => fine.group == Group::Debug,
                };
                // Only that bit, and all the others.
                for (bits, traps) in [(1 << fine.bit, group), (!(1 << fine.bit), false)] {
                    at(c, El2, 0);
                    c.msr(enc(name), 0, bits).unwrap();
                    open_everything(c);
                    at(c, el, NO_TRAPS);
                    let got = access(c, row, read);
                    assert_eq!(got, traps.then_some(El2), "{} by {name} = {bits:#x} at {el}", row.name);
                }
                at(c, El2, 0);
                c.msr(enc(name), 0, u64::MAX).unwrap();
                assert_eq!(access(c, row, read), None, "{} at EL2", row.name);
                if el == El0 {
                    open_everything(c);
                    at(c, El0, NO_TRAPS | hcr::E2H | hcr::TGE);
                    assert_eq!(access(c, row, read), None, "{} in a host's EL0", row.name);
                }
                at(c, El2, 0);
                c.msr(enc(name), 0, 0).unwrap();
            }
        }
    }
}

#[test]
fn fine_grained_traps_exist_where_there_is_something_to_trap() {
    let mut b = max();
    let c = &mut b.cpu;
    for (name, expected) in [
        // Without what comes with FEAT_LS64, GCS, SME, THE, PIE, POE, AIE and RAS v1.1.
        ("HFGRTR_EL2", 0x0002_3fff_ffff_ffffu64),
        ("HFGWTR_EL2", 0x0002_3aff_e9db_39fbu64),
        ("HFGITR_EL2", 0x107f_ffff_ffff_ffffu64),
        ("HDFGRTR_EL2", 0x0600_0000_004f_feffu64),
        ("HDFGWTR_EL2", 0x0200_0000_003f_fdbfu64),
    ] {
        c.msr(enc(name), 0, u64::MAX).unwrap();
        assert_eq!(c.mrs(enc(name), 0), Ok(expected), "{name}");
    }
    let mut n1 = bench(Model::neoverse_n1());
    assert_eq!(n1.cpu.mrs(enc("HFGRTR_EL2"), 0), Err(UNDEFINED), "no FEAT_FGT");
    assert_eq!(c.mrs(SysEnc::new(3, 4, 3, 1, 6), 0), Err(UNDEFINED), "HAFGRTR_EL2: no FEAT_AMUv1");
}

#[test]
fn nxs_forms_can_be_exempt() {
    let mut b = max();
    let c = &mut b.cpu;
    c.sys[Reg::HFGITR_EL2] = 1 << 43;
    for (control, trapped) in [(0, Some(El2)), (hcrx::FGTNXS, None)] {
        c.sys[Reg::HCRX_EL2] = control;
        at(c, El1, 0);
        assert_eq!(trapped_to(c.sys_insn(enc("TLBI VAE1NXS"), 0, 0).map(|()| 0)), trapped);
        assert_eq!(trapped_to(c.sys_insn(enc("TLBI VAE1"), 0, 0).map(|()| 0)), Some(El2));
    }
    at(c, El1, hcr::TTLBIS);
    assert_eq!(trapped_to(c.sys_insn(enc("TLBI VAAE1ISNXS"), 0, 0).map(|()| 0)), Some(El2));
}

#[test]
fn exception_generating_instructions() {
    let mut b = max();
    let c = &mut b.cpu;
    c.sys[Reg::HFGITR_EL2] = 1 << 52 | 1 << 51;
    at(c, El0, NO_TRAPS);
    c.raise(Exception::Insn(emu_a64::ir::ExcOp::Svc(7)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ELR_EL2]), (El2, 0x1000), "to be executed again");
    assert_eq!(c.sys[Reg::ESR_EL2], 0x15 << 26 | 1 << 25 | 7);
    at(c, El1, NO_TRAPS);
    c.raise(Exception::Insn(emu_a64::ir::ExcOp::Svc(7)), 0x1000, 0);
    assert_eq!((c.pstate.el, c.sys[Reg::ELR_EL1]), (El1, 0x1004), "SVC_EL1 is another bit");
    for (key, iss) in [(None, 0), (Some(false), 2), (Some(true), 3)] {
        at(c, El1, NO_TRAPS);
        let e = match key {
            None => c.eret(),
            Some(key_b) => c.eret_authenticated(key_b),
        };
        assert_eq!(e, Err(Exception::Trap { target: El2, ec: ec::ERET, iss }));
    }
}

#[test]
fn virtual_counters_and_timers() {
    let mut b = max();
    let c = &mut b.cpu;
    open_everything(c);
    let (el1tvt, el1tvct) = (1 << 13, 1 << 14);
    for (name, bit) in [
        ("CNTV_CTL_EL0", el1tvt),
        ("CNTV_CVAL_EL0", el1tvt),
        ("CNTV_TVAL_EL0", el1tvt),
        ("CNTVCT_EL0", el1tvct),
        ("CNTVCTSS_EL0", el1tvct),
    ] {
        for el in [El0, El1] {
            for control in [0, el1tvt, el1tvct] {
                c.sys[Reg::CNTHCTL_EL2] = 3 | control;
                at(c, el, 0);
                assert_eq!(trapped_to(c.mrs(enc(name), 0)), (bit == control).then_some(El2), "{name} {el}");
            }
        }
        c.sys[Reg::CNTHCTL_EL2] = 0xf03 | bit;
        at(c, El0, hcr::E2H | hcr::TGE);
        assert_eq!(trapped_to(c.mrs(enc(name), 0)), None, "{name} in a host");
    }
}

#[test]
fn the_physical_offset() {
    let mut b = max();
    b.clock.advance(1000);
    let c = &mut b.cpu;
    open_everything(c);
    c.msr(enc("CNTPOFF_EL2"), 0, 300).unwrap();
    at(c, El1, 0);
    assert_eq!(c.mrs(enc("CNTPCT_EL0"), 0), Ok(1000), "CNTHCTL_EL2.ECV = 0");
    at(c, El2, 0);
    c.msr(enc("CNTHCTL_EL2"), 0, 1 << 12 | 3).unwrap();
    assert_eq!(c.mrs(enc("CNTPCT_EL0"), 0), Ok(1000), "EL2");
    at(c, El1, 0);
    assert_eq!(c.mrs(enc("CNTPCT_EL0"), 0), Ok(700));
    assert_eq!(c.mrs(enc("CNTPCTSS_EL0"), 0), Ok(700));
    c.msr(enc("CNTP_CVAL_EL0"), 0, 800).unwrap();
    c.msr(enc("CNTP_CTL_EL0"), 0, 1).unwrap();
    assert_eq!(c.timers.next_deadline(&c.sys), Some(1100));
    assert_eq!(c.mrs(enc("CNTP_TVAL_EL0"), 0), Ok(100));
    at(c, El0, hcr::E2H | hcr::TGE);
    assert!(b.port.ppi(30), "a host has no offset: 1000 is past 800");
}

#[test]
fn prediction_restriction_from_el0() {
    let mut b = max();
    let c = &mut b.cpu;
    for name in ["CFP RCTX", "DVP RCTX", "COSP RCTX", "CPP RCTX"] {
        c.sys[Reg::SCTLR_EL1] = 0;
        at(c, El0, 0);
        assert_eq!(trapped_to(c.sys_insn(enc(name), 0, 0).map(|()| 0)), Some(El1), "{name}");
        c.sys[Reg::SCTLR_EL1] = sctlr::ENRCTX;
        assert_eq!(c.sys_insn(enc(name), 0, 0), Ok(()));
        at(c, El1, 0);
        assert_eq!(c.sys_insn(enc(name), 0, 0), Ok(()));
    }
}

#[test]
fn implementation_defined_functionality() {
    let mut b = max();
    let c = &mut b.cpu;
    for e in [SysEnc::new(3, 1, 15, 2, 0), SysEnc::new(3, 3, 11, 0, 7)] {
        c.sys[Reg::SCTLR_EL1] = 0;
        at(c, El0, 0);
        assert_eq!(c.mrs(e, 0), Err(UNDEFINED));
        c.sys[Reg::SCTLR_EL1] = sctlr::TIDCP;
        assert_eq!(trapped_to(c.mrs(e, 0)), Some(El1));
        at(c, El1, 0);
        assert_eq!(c.mrs(e, 0), Err(UNDEFINED));
        at(c, El1, hcr::TIDCP);
        assert_eq!(trapped_to(c.mrs(e, 0)), Some(El2));
    }
}

/// The bits of MDCR_EL2, with a register that each traps and one that it does not.
#[test]
fn debug_and_pmu_traps() {
    let mut b = max();
    let c = &mut b.cpu;
    for (bit, trapped, free) in [
        (mdcr::TDRA, "MDRAR_EL1", "MDSCR_EL1"),
        (mdcr::TDOSA, "OSLSR_EL1", "MDSCR_EL1"),
        (mdcr::TDOSA, "OSDLR_EL1", "DBGBVR0_EL1"),
        (mdcr::TDOSA, "DBGPRCR_EL1", "DBGCLAIMSET_EL1"),
        (mdcr::TDA, "DBGWCR3_EL1", "OSLSR_EL1"),
        (mdcr::TDA, "MDCCSR_EL0", "OSDLR_EL1"),
        (mdcr::TDA, "DBGAUTHSTATUS_EL1", "MDRAR_EL1"),
        (mdcr::TDCC, "MDCCSR_EL0", "MDSCR_EL1"),
        (mdcr::TDCC, "MDCCINT_EL1", "DBGBVR0_EL1"),
        (mdcr::TDCC, "OSDTRRX_EL1", "OSECCR_EL1"),
        (mdcr::TDCC, "DBGDTR_EL0", "DBGCLAIMCLR_EL1"),
        (mdcr::TPM, "PMCCNTR_EL0", "MDSCR_EL1"),
        (mdcr::TPM, "PMINTENSET_EL1", "OSLSR_EL1"),
        (mdcr::TPMCR, "PMCR_EL0", "PMCCNTR_EL0"),
    ] {
        open_everything(c);
        at(c, El1, NO_TRAPS);
        c.sys[Reg::MDCR_EL2] = bit | 6;
        assert_eq!(trapped_to(c.mrs(enc(trapped), 0)), Some(El2), "{trapped} by {bit:#x}");
        assert_eq!(trapped_to(c.mrs(enc(free), 0)), None, "{free} by {bit:#x}");
        c.sys[Reg::MDCR_EL2] = 6;
        assert_eq!(trapped_to(c.mrs(enc(trapped), 0)), None, "{trapped}");
    }
    // HPMN keeps counters for EL2.
    c.sys[Reg::MDCR_EL2] = 4;
    assert_eq!(trapped_to(c.mrs(enc("PMEVCNTR3_EL0"), 0)), None);
    assert_eq!(trapped_to(c.mrs(enc("PMEVCNTR4_EL0"), 0)), Some(El2));
}

/// What is trapped to EL1 goes there first, whatever EL2 would trap (Arm ARM, D1.3.3.2).
#[test]
fn el1_comes_first() {
    let mut b = max();
    let c = &mut b.cpu;
    c.sys[Reg::HFGRTR_EL2] = u64::MAX;
    c.sys[Reg::HFGITR_EL2] = u64::MAX;
    c.sys[Reg::HDFGRTR_EL2] = u64::MAX;
    c.sys[Reg::SCTLR_EL1] = 0;
    c.sys[Reg::CNTHCTL_EL2] = 3 << 13;
    c.sys[Reg::MDCR_EL2] = mdcr::TPM;
    at(c, El0, hcr::TID2 | hcr::TPCP | hcr::TPU | hcr::TDZ);
    for name in ["CTR_EL0", "CNTVCT_EL0", "CNTV_CTL_EL0", "PMCCNTR_EL0", "PMSELR_EL0"] {
        assert_eq!(trapped_to(c.mrs(enc(name), 0)), Some(El1), "{name}");
    }
    for name in ["DC CIVAC", "DC CVAU", "IC IVAU", "DC ZVA", "CFP RCTX"] {
        assert_eq!(trapped_to(c.sys_insn(enc(name), 0, 0).map(|()| 0)), Some(El1), "{name}");
    }
    // UNDEFINED comes before all traps.
    assert_eq!(c.mrs(enc("SCTLR_EL1"), 0), Err(UNDEFINED));
}

/// Virtual memory controls.
const VM: &[&str] = &[
    "SCTLR_EL1",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "TCR_EL1",
    "ESR_EL1",
    "FAR_EL1",
    "AFSR0_EL1",
    "AFSR1_EL1",
    "MAIR_EL1",
    "AMAIR_EL1",
    "CONTEXTIDR_EL1",
];

/// Tries everything in the table from EL1 and asks whether exactly what `expected` names was trapped to EL2.
fn try_all(c: &mut Cpu, what: &str, set: impl Fn(&mut Cpu) -> u64, expected: impl Fn(&str, bool) -> bool) {
    let has = c.identity.features();
    for row in rows().iter().filter(|row| row.models.is_none() && has.has(row.feat)) {
        for read in [true, false] {
            if !row.perm.at(El1).allows(read) || matches!(row.cell, Cell::Insn(_)) && read {
                continue;
            }
            at(c, El2, 0);
            open_everything(c);
            c.msr(enc("ICC_SRE_EL2"), 0, 0xf).unwrap();
            c.msr(enc("ICH_HCR_EL2"), 0, 0).unwrap();
            c.sys[Reg::CPTR_EL2] = 0;
            // The CPU interface says which of its registers can be read and written.
            at(c, El1, NO_TRAPS);
            let allowed =
                if read { c.mrs(row.enc, 3).map(|_| ()).map_err(Stop::from) } else { c.msr(row.enc, 3, 0) };
            if matches!(row.cell, Cell::Gic(_)) && allowed == Err(UNDEFINED.into()) {
                continue;
            }
            at(c, El2, 0);
            open_everything(c);
            let h = set(c);
            at(c, El1, h);
            let trapped = access(c, row, read);
            let how = if read { "read" } else { "write" };
            assert_eq!(trapped, expected(row.name, read).then_some(El2), "{} {how} by {what}", row.name);
        }
    }
}

/// HCR_EL2, CPTR_EL2 and ICH_HCR_EL2: the complete lists of what their bits trap.
#[test]
fn every_trap_of_el1() {
    fn is_tlbi(name: &str) -> bool {
        name.starts_with("TLBI ")
    }
    fn shared(name: &str, domain: &str) -> bool {
        is_tlbi(name) && name.trim_end_matches("NXS").ends_with(domain)
    }
    type Expected = fn(&str, bool) -> bool;
    let hcr_bits: [(&str, u64, Expected); 18] = [
        ("nothing", 0, |_, _| false),
        ("TVM", hcr::TVM, |n, read| !read && VM.contains(&n)),
        ("TRVM", hcr::TRVM, |n, read| read && VM.contains(&n)),
        ("TACR", hcr::TACR, |n, _| n == "ACTLR_EL1"),
        ("TID1", hcr::TID1, |n, _| matches!(n, "AIDR_EL1" | "REVIDR_EL1")),
        ("TID2", hcr::TID2, |n, _| {
            matches!(n, "CTR_EL0" | "CCSIDR_EL1" | "CCSIDR2_EL1" | "CLIDR_EL1" | "CSSELR_EL1")
        }),
        ("TID3", hcr::TID3, |n, _| n.starts_with("ID_") || n.starts_with("MVFR")),
        ("TID4", hcr::TID4, |n, _| matches!(n, "CCSIDR_EL1" | "CCSIDR2_EL1" | "CLIDR_EL1" | "CSSELR_EL1")),
        ("TSW", hcr::TSW, |n, _| matches!(n, "DC ISW" | "DC CSW" | "DC CISW")),
        ("TPCP", hcr::TPCP, |n, _| matches!(n, "DC IVAC" | "DC CIVAC" | "DC CVAC" | "DC CVAP" | "DC CVADP")),
        ("TPU", hcr::TPU, |n, _| n.starts_with("IC ") || n == "DC CVAU"),
        ("TOCU", hcr::TOCU, |n, _| matches!(n, "IC IALLU" | "IC IVAU" | "DC CVAU")),
        ("TICAB", hcr::TICAB, |n, _| n == "IC IALLUIS"),
        ("TDZ", hcr::TDZ, |n, _| n == "DC ZVA"),
        ("TTLB", hcr::TTLB, |n, _| is_tlbi(n)),
        ("TTLBIS", hcr::TTLBIS, |n, _| shared(n, "IS")),
        ("TTLBOS", hcr::TTLBOS, |n, _| shared(n, "OS")),
        ("TLOR, TERR", hcr::TLOR | hcr::TERR, |n, _| {
            n.starts_with("LOR") || n.starts_with("ERR") || n.starts_with("ERX")
        }),
    ];
    let mut b = max();
    let c = &mut b.cpu;
    for (what, bits, expected) in hcr_bits {
        try_all(c, what, |_| NO_TRAPS | bits, expected);
    }
    try_all(c, "EnSCXT", |_| NO_TRAPS & !hcr::ENSCXT, |n, _| n.starts_with("SCXTNUM_EL"));
    try_all(c, "APK", |_| NO_TRAPS & !hcr::APK, |n, _| n.starts_with("AP") && n.contains("Key"));
    let tcpac = |c: &mut Cpu| {
        c.sys[Reg::CPTR_EL2] = cptr::TCPAC;
        NO_TRAPS
    };
    try_all(c, "TCPAC", tcpac, |n, _| n == "CPACR_EL1");
    let common = |n: &str| {
        matches!(n, "ICC_PMR_EL1" | "ICC_CTLR_EL1" | "ICC_RPR_EL1" | "ICC_DIR_EL1")
            || n.starts_with("ICC_SGI")
            || n.starts_with("ICC_ASGI")
    };
    let group = |n: &str, g: char| {
        let of = |prefix: &str| n.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(g));
        ["ICC_AP", "ICC_BPR", "ICC_EOIR", "ICC_HPPIR", "ICC_IAR", "ICC_IGRPEN"].into_iter().any(of)
    };
    for bit in [10, 11, 12, 14] {
        let set = |c: &mut Cpu| {
            c.msr(enc("ICH_HCR_EL2"), 0, 1 << bit).unwrap();
            NO_TRAPS
        };
        let expected = |n: &str, _| match bit {
            10 => common(n),
            11 => group(n, '0'),
            12 => group(n, '1'),
            _ => n == "ICC_DIR_EL1",
        };
        try_all(c, &format!("ICH_HCR_EL2 bit {bit}"), set, expected);
    }
}

/// SCTLR_EL1, and SCTLR_EL2 for the EL0 of a host: what EL0 may do, and where it is trapped to if it may not.
#[test]
fn controls_of_el0() {
    let mut b = max();
    let c = &mut b.cpu;
    for (bit, needs, name) in [
        (sctlr::UCT, true, "CTR_EL0"),
        (sctlr::UCI, true, "DC CVAC"),
        (sctlr::UCI, true, "DC CVAU"),
        (sctlr::UCI, true, "DC CVAP"),
        (sctlr::UCI, true, "DC CVADP"),
        (sctlr::UCI, true, "DC CIVAC"),
        (sctlr::UCI, true, "IC IVAU"),
        (sctlr::DZE, true, "DC ZVA"),
        (sctlr::ENRCTX, true, "CFP RCTX"),
        (sctlr::TSCXT, false, "SCXTNUM_EL0"),
    ] {
        for (h, reg, other, target) in [
            (NO_TRAPS, Reg::SCTLR_EL1, Reg::SCTLR_EL2, El1),
            (NO_TRAPS | hcr::E2H, Reg::SCTLR_EL1, Reg::SCTLR_EL2, El1),
            (NO_TRAPS | hcr::E2H | hcr::TGE, Reg::SCTLR_EL2, Reg::SCTLR_EL1, El2),
        ] {
            let row = rows().iter().find(|row| row.name == name).unwrap();
            let read = !matches!(row.cell, Cell::Insn(_));
            for set in [false, true] {
                // The other register says the opposite, and does not matter.
                c.sys[reg] = if set { bit } else { 0 };
                c.sys[other] = if set { 0 } else { bit };
                at(c, El0, h);
                let trapped = (set != needs).then_some(target);
                assert_eq!(access(c, row, read), trapped, "{name} with {bit:#x} {set}, HCR_EL2 {h:#x}");
            }
        }
    }
    // Masks: SCTLR_EL1.UMA, and never in a host.
    for (h, control, allowed) in
        [(0, 0, false), (0, sctlr::UMA, true), (hcr::E2H | hcr::TGE, sctlr::UMA, false)]
    {
        c.sys[Reg::SCTLR_EL1] = control;
        c.sys[Reg::SCTLR_EL2] = 0;
        at(c, El0, h);
        assert_eq!(c.mrs(enc("DAIF"), 0).is_ok(), allowed);
        assert_eq!(c.msr_imm(emu_a64::ir::PstateField::DaifClr, 0).is_ok(), allowed);
    }
}
