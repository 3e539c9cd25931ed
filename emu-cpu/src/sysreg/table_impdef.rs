//! Rows of implementation defined registers that firmware and errata workarounds touch. Their bits tune a
//! microarchitecture that is not there: they read as zero and ignore writes.

use super::row::{Perm, Row, reg};

const RW: Perm = Perm::RW;

/// A register of the Cortex-A72 (TRM, 4.3).
const fn a72(name: &'static str, op1: u32, crn: u32, crm: u32, op2: u32) -> Row {
    reg(name, 3, op1, crn, crm, op2).el1(RW).only_model("cortex-a72")
}

/// A register of the Neoverse N1 (TRM, B2).
const fn n1(name: &'static str, op1: u32, crn: u32, crm: u32, op2: u32) -> Row {
    reg(name, 3, op1, crn, crm, op2).el1(RW).only_model("neoverse-n1")
}

pub(super) const ROWS: &[Row] = &[
    a72("L2ACTLR_EL1", 1, 15, 0, 0),
    a72("CPUACTLR_EL1", 1, 15, 2, 0),
    a72("CPUECTLR_EL1", 1, 15, 2, 1),
    a72("CPUMERRSR_EL1", 1, 15, 2, 2),
    a72("L2MERRSR_EL1", 1, 15, 2, 3),
    n1("CPUACTLR_EL1", 0, 15, 1, 0),
    n1("CPUACTLR2_EL1", 0, 15, 1, 1),
    n1("CPUACTLR3_EL1", 0, 15, 1, 2),
    n1("CPUECTLR_EL1", 0, 15, 1, 4),
    n1("CPUPWRCTLR_EL1", 0, 15, 2, 7),
];
