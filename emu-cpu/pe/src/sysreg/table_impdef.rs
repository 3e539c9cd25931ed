//! Rows of implementation defined registers that firmware and errata workarounds touch (the parts' Technical Reference
//! Manuals). Their bits tune or describe a microarchitecture that is not there: they read as zero and ignore writes.

use super::row::{Perm, Row, reg};

const RW: Perm = Perm::RW;
const RO: Perm = Perm::RO;

/// Parts of Armv8.0.
const V8_0: &[&str] = &["cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72"];
/// Parts whose registers are at S3_0_C15.
const V8_2: &[&str] = &["cortex-a55", "cortex-a76", "neoverse-n1", "neoverse-v1", "neoverse-n2"];
const WITH_ACTLR3: &[&str] = &["cortex-a76", "neoverse-n1", "neoverse-v1", "neoverse-n2"];
const NEOVERSE: &[&str] = &["neoverse-n1", "neoverse-v1", "neoverse-n2"];
const WITH_ECTLR2: &[&str] = &["neoverse-v1", "neoverse-n2"];
const ONLY_N2: &[&str] = &["neoverse-n2"];
/// Parts that inject errors through registers of their own.
const WITH_PFG: &[&str] = &["cortex-a55", "cortex-a76", "neoverse-n1", "neoverse-v1"];

const fn old(name: &'static str, crn: u32, crm: u32, op2: u32) -> Row {
    reg(name, 3, 1, crn, crm, op2).el1(RW).only_in(V8_0)
}

const fn new(name: &'static str, crm: u32, op2: u32, models: &'static [&'static str]) -> Row {
    reg(name, 3, 0, 15, crm, op2).el1(RW).only_in(models)
}

const fn el2(name: &'static str, crm: u32, op2: u32) -> Row {
    reg(name, 3, 4, 15, crm, op2).el2(RW).only_in(NEOVERSE)
}

pub(super) const ROWS: &[Row] = &[
    // Also the number of CPUs in the cluster, less one.
    old("L2CTLR_EL1", 11, 0, 2),
    old("L2ECTLR_EL1", 11, 0, 3),
    old("L2ACTLR_EL1", 15, 0, 0),
    // Both eras have these two names.
    old("CPUACTLR_EL1", 15, 2, 0),
    old("CPUECTLR_EL1", 15, 2, 1),
    old("CPUMERRSR_EL1", 15, 2, 2),
    old("L2MERRSR_EL1", 15, 2, 3),
    // Bit 2: there is no unit that keeps the caches of a cluster coherent, and so none of its registers.
    new("CPUCFR_EL1", 0, 0, V8_2).el1(RO).value(4),
    new("CPUACTLR_EL1", 1, 0, V8_2),
    new("CPUACTLR2_EL1", 1, 1, V8_2),
    new("CPUACTLR3_EL1", 1, 2, WITH_ACTLR3),
    new("CPUACTLR4_EL1", 1, 3, ONLY_N2),
    new("CPUECTLR_EL1", 1, 4, V8_2),
    new("CPUECTLR2_EL1", 1, 5, WITH_ECTLR2),
    new("ERXPFGF_EL1", 2, 0, WITH_PFG).el1(RO),
    new("ERXPFGCTL_EL1", 2, 1, WITH_PFG),
    new("ERXPFGCDN_EL1", 2, 2, WITH_PFG),
    new("CPUPWRCTLR_EL1", 2, 7, V8_2),
    new("CPUACTLR5_EL1", 8, 0, ONLY_N2),
    new("CPUACTLR6_EL1", 8, 1, ONLY_N2),
    new("CPUACTLR7_EL1", 8, 2, ONLY_N2),
    new("ATCR_EL1", 7, 0, NEOVERSE),
    el2("ATCR_EL2", 7, 0),
    el2("AVTCR_EL2", 7, 1),
];
