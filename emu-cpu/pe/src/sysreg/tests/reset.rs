//! What every register of a PE holds after a reset, against its specification ("this field resets to"). Where that says
//! UNKNOWN the value is zero.

use crate::model::{MODELS, Model};
use crate::sysreg::*;
use crate::test_pe::{Bench, bench};

/// Not zero in any model: name, value, and why.
const VALUES: &[(&str, u64, &str)] = &[
    ("SCTLR_EL1", 0x30d0_0980, "M, C, I 0; RES1: LSMAOE, nTLSMD, SPAN, EIS, TSCXT, EOS, SED, ITD"),
    ("SCTLR_EL2", 0x30c5_0830, "M, C, I 0; RES1: LSMAOE, nTLSMD, SPAN, EIS, nTWE, nTWI, EOS, 5, SA0"),
    ("HCR_EL2", 1 << 31, "0; RW is RAO/WI without AArch32"),
    ("MDCR_EL2", 6, "HPMN: PMCR_EL0.N"),
    ("CPTR_EL2", 0x33ff, "RES1, among them TZ without SVE"),
    ("VTCR_EL2", 1 << 31, "RES1"),
    ("SPSel", 1, "PSTATE.SP"),
    ("CurrentEL", 2 << 2, "the highest Exception level"),
    ("DAIF", 0xf << 6, "all masked"),
    ("MPIDR_EL1", 1 << 31, "RES1; part of a multiprocessor"),
    ("VMPIDR_EL2", 1 << 31, "MPIDR_EL1, as EL2 is the highest level"),
    ("DCZID_EL0", 4, "64 bytes, DC ZVA permitted"),
    // EL1PCEN, EL1PCTEN: EL1 may use what is physical until EL2 says otherwise.
    ("CNTHCTL_EL2", 3, "UNKNOWN in later issues of the Arm ARM, ones in earlier ones"),
    ("OSLSR_EL1", 0b1010, "OSLM 0b10: OS lock, no double; OSLK after a cold reset"),
    ("DBGCLAIMSET_EL1", 0xff, "which CLAIM bits there are"),
    ("DBGAUTHSTATUS_EL1", 0b1010, "NSID, NSNID: implemented, disabled"),
    ("PMCEID0_EL0", 0x400a_0701, "of every version"),
    ("ICC_IAR0_EL1", 1023, "nothing pending"),
    ("ICC_IAR1_EL1", 1023, "nothing pending"),
    ("ICC_HPPIR0_EL1", 1023, "nothing pending"),
    ("ICC_HPPIR1_EL1", 1023, "nothing pending"),
    ("ICC_RPR_EL1", 0xff, "idle"),
    ("ICC_BPR0_EL1", 2, "the minimum with 5 bits of priority"),
    ("ICC_BPR1_EL1", 3, "the minimum of the Non-secure copy"),
    ("ICC_CTLR_EL1", 1 << 18 | 1 << 15 | 4 << 8, "RSS, A3V, PRIbits; EOImode and CBPR 0"),
    ("ICC_SRE_EL1", 7, "SRE RAO/WI: there is no other interface; DFB, DIB: no bypass"),
    ("ICC_SRE_EL2", 7, "the same; Enable 0"),
    (
        "ICH_VTR_EL2",
        4 << 29 | 4 << 26 | 1 << 21 | 1 << 20 | 1 << 19 | 3,
        "PRIbits, PREbits, A3V, nV4, TDS, ListRegs",
    ),
    ("ICH_ELRSR_EL2", 0xf, "all list registers are empty"),
    ("ICH_VMCR_EL2", 2 << 21 | 3 << 18 | 1 << 3, "the minimal VBPR0 and VBPR1; VFIQEn RES1"),
];

/// What differs from model to model: that is a value of the model, and tested there.
const OF_THE_MODEL: &[&str] =
    &["MIDR_EL1", "REVIDR_EL1", "VPIDR_EL2", "CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1", "CNTFRQ_EL0", "PMCR_EL0"];

/// Values of single models.
fn of_features(name: &str, model: &Model) -> Option<u64> {
    let has = |feat| model.features.has(feat);
    match name {
        "FPEXC32_EL2" if has(Feat::AArch32Registers) => Some(0x700),
        // STALL_FRONTEND and STALL_BACKEND; STALL.
        "PMCEID1_EL0" => {
            let stalls = if has(Feat::Pmuv3p1) { 3 << 3 } else { 0 };
            Some(if has(Feat::Pmuv3p4) { stalls | 1 << 28 } else { stalls })
        }
        "CPUCFR_EL1" if row_is_of(name, model) => Some(4),
        _ => None,
    }
}

fn row_is_of(name: &str, model: &Model) -> bool {
    rows().iter().any(|r| r.name == name && r.models.is_some_and(|models| models.contains(&model.name)))
}

/// Looks at every register, in the state that `prepare` makes.
fn check(prepare: impl Fn(&mut Bench)) {
    for model in MODELS {
        let mut b = bench(model.clone());
        prepare(&mut b);
        for row in rows() {
            let fixed = matches!(row.cell, Cell::Id(_)) || OF_THE_MODEL.contains(&row.name);
            // A random number.
            if fixed || row.name.starts_with("RNDR") {
                continue;
            }
            let Some(value) = b.cpu.peek(row) else { continue };
            let (expected, why) = match VALUES.iter().find(|(name, ..)| *name == row.name) {
                Some((_, value, why)) => (*value, *why),
                None => (of_features(row.name, model).unwrap_or(0), ""),
            };
            assert_eq!(value, expected, "{} of {} ({why})", row.name, model.name);
        }
    }
}

#[test]
fn registers_after_a_cold_reset() {
    check(|_| ());
}

/// A second reset leaves nothing of what was written in between.
#[test]
fn registers_after_a_later_reset() {
    check(|b| {
        for row in rows() {
            b.cpu.poke(row, !0);
        }
        b.cpu.reset(crate::cpu::Entry::default());
    });
}

/// Each name in the table stands for a register.
#[test]
fn the_table_names_registers() {
    for (name, ..) in VALUES {
        assert!(rows().iter().any(|r| r.name == *name), "{name}");
    }
}
