//! What is said of each way, and where it is counted.

use serde::Serialize;

use crate::ledger::Statement;

/// What is counted of all devices together.
const DEVICES: &str = "devices";

/// What a row belongs to: a part of the table, and who pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Instructions,
    Exits,
    Interrupts,
    Registers,
    Bytes,
    Smmu,
    Storage,
    Time,
}

impl Part {
    pub(super) const ALL: [Self; 8] = [
        Self::Instructions,
        Self::Exits,
        Self::Interrupts,
        Self::Registers,
        Self::Bytes,
        Self::Smmu,
        Self::Storage,
        Self::Time,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Instructions => "Instructions",
            Self::Exits => "Exits to EL2",
            Self::Interrupts => "Interrupts",
            Self::Registers => "Registers of devices",
            Self::Bytes => "Bytes moved",
            Self::Smmu => "System MMU",
            Self::Storage => "The disk itself",
            Self::Time => "Time",
        }
    }
}

/// A row: its part, its key, what it says, where it is counted.
pub(super) struct Row {
    pub(super) part: Part,
    pub(super) key: &'static str,
    pub(super) about: &'static str,
    count: fn(&Statement) -> u64,
}

const fn row(part: Part, key: &'static str, about: &'static str, count: fn(&Statement) -> u64) -> Row {
    Row { part, key, about, count }
}

/// Exits of one class.
macro_rules! class {
    ($ec:literal) => {
        |s| s.cpus(concat!("to_el2_ec_", $ec))
    };
}

/// The classes that have a row of their own. (Arm ARM, ESR_ELx.EC.)
const CLASSES: &[Row] = &[
    row(Part::Exits, "exits_data_abort", "stage-2 aborts of loads and stores", class!("0x24")),
    row(Part::Exits, "exits_instruction_abort", "stage-2 aborts of fetches", class!("0x20")),
    row(Part::Exits, "exits_hvc", "hypercalls (HVC)", class!("0x16")),
    row(Part::Exits, "exits_smc", "SMC", class!("0x17")),
    row(Part::Exits, "exits_wfx", "WFI, WFE", class!("0x01")),
    row(Part::Exits, "exits_sysreg", "system registers", class!("0x18")),
    row(Part::Exits, "exits_interrupt", "physical interrupts", |s| {
        s.cpus("irqs").saturating_add(s.cpus("fiqs"))
    }),
];

/// All others.
const ROWS: &[Row] = &[
    row(Part::Instructions, "instructions_guest", "by the guest (EL0, EL1)", guest),
    row(Part::Instructions, "instructions_hypervisor", "by the hypervisor (EL2)", |s| {
        s.cpus("instructions").saturating_sub(guest(s))
    }),
    row(Part::Exits, "exits_other", "of any other class", |s| {
        let known = CLASSES.iter().map(|row| (row.count)(s)).fold(0, u64::saturating_add);
        s.cpus("exc_to_el2").saturating_sub(known)
    }),
    row(Part::Interrupts, "list_registers", "put into list registers by EL2", |s| s.cpus("list_registers")),
    row(Part::Interrupts, "virtual_interrupts", "virtual ones taken by the guest", |s| {
        s.cpus("virtual_irqs").saturating_add(s.cpus("virtual_fiqs"))
    }),
    row(Part::Interrupts, "lines_raised", "lines raised by devices", |s| s.get(DEVICES, "spis_raised")),
    row(Part::Interrupts, "messages", "messages (MSIs) by devices", |s| s.get(DEVICES, "msis")),
    row(Part::Registers, "register_reads", "reads", |s| s.cpus("mmio_reads")),
    row(Part::Registers, "register_writes", "writes, doorbells among them", |s| s.cpus("mmio_writes")),
    row(Part::Bytes, "bytes_emulated", "by accesses that EL2 emulated", |s| s.cpus("emulated_bytes")),
    row(Part::Bytes, "bytes_dma_read", "read by DMA", |s| s.get(DEVICES, "dma_bytes_read")),
    row(Part::Bytes, "bytes_dma_written", "written by DMA", |s| s.get(DEVICES, "dma_bytes_written")),
    row(Part::Smmu, "smmu_transactions", "transactions", |s| s.sum("smmu_transactions")),
    row(Part::Smmu, "smmu_known", "pages that it knew", |s| {
        s.sum("smmu_quick").saturating_add(s.sum("smmu_hits"))
    }),
    row(Part::Smmu, "smmu_walks", "pages that it walked tables for", |s| s.sum("smmu_walks")),
    row(Part::Smmu, "smmu_faults", "faults", |s| s.sum("smmu_faults")),
    row(Part::Storage, "storage_requests", "requests", |s| s.sum("requests_begun")),
    row(Part::Storage, "storage_bytes", "bytes", |s| {
        s.sum("storage_bytes_read").saturating_add(s.sum("storage_bytes_written"))
    }),
    row(Part::Time, "ns", "nanoseconds of the guest's time", |s| s.ns),
];

fn guest(s: &Statement) -> u64 {
    s.cpus("instructions_el0").saturating_add(s.cpus("instructions_el1"))
}

/// The rows of a part.
pub(super) fn rows(part: Part) -> impl Iterator<Item = &'static Row> {
    CLASSES.iter().chain(ROWS).filter(move |row| row.part == part)
}

/// What was counted for a row.
#[derive(Serialize)]
pub(super) struct Cost {
    pub(super) key: &'static str,
    pub(super) count: u64,
}

/// All rows of a statement.
pub(super) fn of(done: &Statement) -> Vec<Cost> {
    let rows = Part::ALL.into_iter().flat_map(rows);
    rows.map(|row| Cost { key: row.key, count: (row.count)(done) }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::example;
    use super::*;

    #[test]
    fn every_row_is_there_once() {
        let keys: Vec<&str> = Part::ALL.into_iter().flat_map(rows).map(|row| row.key).collect();
        assert_eq!(keys.len(), CLASSES.len() + ROWS.len());
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    }

    #[test]
    fn the_parts_of_a_sum_are_the_sum() {
        let report = example();
        let cost =
            |way: usize, key: &str| report.ways[way].costs.iter().find(|c| c.key == key).map(|c| c.count);
        assert_eq!(cost(0, "instructions_guest"), Some(3200));
        assert_eq!(cost(0, "instructions_hypervisor"), Some(6400));
        assert_eq!((cost(0, "exits_data_abort"), cost(0, "exits_other")), (Some(62), Some(2)));
        assert_eq!((cost(1, "exits_interrupt"), cost(1, "exits_other")), (Some(32), Some(0)));
        assert_eq!(cost(1, "bytes_dma_written"), Some(16_384));
    }
}
