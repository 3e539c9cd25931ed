//! Rows of the performance monitors (Arm ARM, D17.5).

use emu_a64::features::Feat as F;

use super::fine::{hdfgrtr, hdfgwtr};
use super::mdcr;
use super::row::{Perm, Row, reg};
use super::state::Reg;
use super::trap::{Trap, pmuserenr};
use crate::pmu::registers as r;

const RW: Perm = Perm::RW;
const RO: Perm = Perm::RO;
const WO: Perm = Perm::WO;

const TPM: &[Trap] = &[Trap::Mdcr(mdcr::TPM)];
/// From EL0, needs PMUSERENR_EL0.EN.
const EN: &[Trap] = &[Trap::PmuEl0 { read: 0, write: 0 }, Trap::Mdcr(mdcr::TPM)];
const CONTROL: &[Trap] = &[Trap::PmuEl0 { read: 0, write: 0 }, Trap::Mdcr(mdcr::TPM | mdcr::TPMCR)];
/// Or SW, for writes.
const SOFTWARE: &[Trap] = &[Trap::PmuEl0 { read: 0, write: pmuserenr::SW }, Trap::Mdcr(mdcr::TPM)];
/// Or CR, for reads.
const CYCLES: &[Trap] = &[Trap::PmuEl0 { read: pmuserenr::CR, write: 0 }, Trap::Mdcr(mdcr::TPM)];
/// Or ER.
const SELECT: &[Trap] = &[Trap::PmuEl0 { read: pmuserenr::ER, write: pmuserenr::ER }, Trap::Mdcr(mdcr::TPM)];
const SELECTED_COUNTER: &[Trap] =
    &[Trap::PmuEl0 { read: pmuserenr::ER, write: 0 }, Trap::Mdcr(mdcr::TPM), Trap::SelectedCounter];
const SELECTED_TYPE: &[Trap] =
    &[Trap::PmuEl0 { read: 0, write: 0 }, Trap::Mdcr(mdcr::TPM), Trap::SelectedCounter];

/// A register that EL0 may be allowed to use.
const fn el0(name: &'static str, crm: u32, op2: u32) -> Row {
    reg(name, 3, 3, 9, crm, op2).el0(RW).needs(F::Pmuv3).traps(EN)
}

const fn el1(name: &'static str, op2: u32) -> Row {
    reg(name, 3, 0, 9, 14, op2).el1(RW).needs(F::Pmuv3).traps(TPM)
}

/// The registers of event counter $n.
macro_rules! counter {
    ($n:literal, $counter:literal, $type:literal) => {
        [
            reg($counter, 3, 3, 14, 8 + $n / 8, $n % 8)
                .el0(RW)
                .needs(F::Pmuv3)
                .traps(&[
                    Trap::PmuEl0 { read: pmuserenr::ER, write: 0 },
                    Trap::Mdcr(mdcr::TPM),
                    Trap::Counter($n),
                ])
                .read(|cpu| r::read_counter(cpu, $n))
                .write(|cpu, v| r::write_counter(cpu, $n, v))
                .fine(hdfgrtr::PMEVCNTRn_EL0)
                .counts_instructions(),
            reg($type, 3, 3, 14, 12 + $n / 8, $n % 8)
                .el0(RW)
                .needs(F::Pmuv3)
                .traps(&[Trap::PmuEl0 { read: 0, write: 0 }, Trap::Mdcr(mdcr::TPM), Trap::Counter($n)])
                .read(|cpu| r::read_type(cpu, $n))
                .write(|cpu, v| r::write_type(cpu, $n, v))
                .fine(hdfgrtr::PMEVTYPERn_EL0),
        ]
    };
}

pub(super) const COUNTERS: [&[Row]; 6] = [
    &counter!(0, "PMEVCNTR0_EL0", "PMEVTYPER0_EL0"),
    &counter!(1, "PMEVCNTR1_EL0", "PMEVTYPER1_EL0"),
    &counter!(2, "PMEVCNTR2_EL0", "PMEVTYPER2_EL0"),
    &counter!(3, "PMEVCNTR3_EL0", "PMEVTYPER3_EL0"),
    &counter!(4, "PMEVCNTR4_EL0", "PMEVTYPER4_EL0"),
    &counter!(5, "PMEVCNTR5_EL0", "PMEVTYPER5_EL0"),
];

pub(super) const ROWS: &[Row] = &[
    el0("PMCR_EL0", 12, 0).traps(CONTROL).read(r::read_pmcr).write(r::write_pmcr).fine(hdfgwtr::PMCR_EL0),
    el0("PMCNTENSET_EL0", 12, 1)
        .read(|cpu| r::read_bits(cpu, Reg::PMCNTENSET_EL0))
        .write(|cpu, v| r::set_bits(cpu, Reg::PMCNTENSET_EL0, v))
        .fine(hdfgrtr::PMCNTEN),
    el0("PMCNTENCLR_EL0", 12, 2)
        .read(|cpu| r::read_bits(cpu, Reg::PMCNTENSET_EL0))
        .write(|cpu, v| r::clear_bits(cpu, Reg::PMCNTENSET_EL0, v))
        .fine(hdfgrtr::PMCNTEN),
    el0("PMOVSCLR_EL0", 12, 3)
        .read(|cpu| r::read_bits(cpu, Reg::PMOVSSET_EL0))
        .write(|cpu, v| r::clear_bits(cpu, Reg::PMOVSSET_EL0, v))
        .fine(hdfgrtr::PMOVS)
        .counts_instructions(),
    el0("PMSWINC_EL0", 12, 4).el0(WO).traps(SOFTWARE).write(r::write_swinc).fine(hdfgrtr::PMSWINC_EL0),
    el0("PMSELR_EL0", 12, 5).traps(SELECT).slot(Reg::PMSELR_EL0, &[(F::Base, 31)]).fine(hdfgrtr::PMSELR_EL0),
    el0("PMCEID0_EL0", 12, 6).el0(RO).read(|cpu| r::read_ceid(cpu, 0)).fine(hdfgrtr::PMCEIDn_EL0),
    el0("PMCEID1_EL0", 12, 7).el0(RO).read(|cpu| r::read_ceid(cpu, 1)).fine(hdfgrtr::PMCEIDn_EL0),
    el0("PMCCNTR_EL0", 13, 0)
        .traps(CYCLES)
        .read(r::read_cycles)
        .write(r::write_cycles)
        .fine(hdfgrtr::PMCCNTR_EL0)
        .counts_instructions(),
    el0("PMXEVTYPER_EL0", 13, 1)
        .traps(SELECTED_TYPE)
        .read(|cpu| r::read_type(cpu, r::selected(cpu)))
        .write(|cpu, v| r::write_type(cpu, r::selected(cpu), v))
        .fine(hdfgrtr::PMEVTYPERn_EL0),
    el0("PMXEVCNTR_EL0", 13, 2)
        .traps(SELECTED_COUNTER)
        .read(|cpu| r::read_counter(cpu, r::selected(cpu)))
        .write(|cpu, v| r::write_counter(cpu, r::selected(cpu), v))
        .fine(hdfgrtr::PMEVCNTRn_EL0)
        .counts_instructions(),
    el0("PMUSERENR_EL0", 14, 0)
        .perms(RO, RW, RW)
        .traps(TPM)
        .slot(Reg::PMUSERENR_EL0, &[(F::Base, 15)])
        .fine(hdfgrtr::PMUSERENR_EL0),
    el0("PMOVSSET_EL0", 14, 3)
        .read(|cpu| r::read_bits(cpu, Reg::PMOVSSET_EL0))
        .write(|cpu, v| r::set_bits(cpu, Reg::PMOVSSET_EL0, v))
        .fine(hdfgrtr::PMOVS)
        .counts_instructions(),
    el1("PMINTENSET_EL1", 1)
        .read(|cpu| r::read_bits(cpu, Reg::PMINTENSET_EL1))
        .write(|cpu, v| r::set_bits(cpu, Reg::PMINTENSET_EL1, v))
        .fine(hdfgrtr::PMINTEN),
    el1("PMINTENCLR_EL1", 2)
        .read(|cpu| r::read_bits(cpu, Reg::PMINTENSET_EL1))
        .write(|cpu, v| r::clear_bits(cpu, Reg::PMINTENSET_EL1, v))
        .fine(hdfgrtr::PMINTEN),
    // No SLOTS.
    el1("PMMIR_EL1", 6).el1(RO).needs(F::Pmuv3p4).fine(hdfgrtr::PMMIR_EL1),
    reg("PMCCFILTR_EL0", 3, 3, 14, 15, 7)
        .el0(RW)
        .needs(F::Pmuv3)
        .traps(EN)
        .read(|cpu| cpu.sys[Reg::PMCCFILTR_EL0])
        .write(r::write_cycle_filter)
        .fine(hdfgrtr::PMCCFILTR_EL0),
];
