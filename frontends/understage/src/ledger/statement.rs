//! What all accounts say at one moment.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use emu_core::clock::Clock;
use emu_core::ledger::{Account, Cause, Ledger, Subject};
use emu_core::metrics::{CLASSES, Counters, LEVELS, Metric};
use emu_devices::pci::{Bdf, PciHost};
use serde::{Deserialize, Serialize};

use super::meaning::{self, meaning};
use crate::board::build::Board;
use crate::board::stats::grouped;
use crate::device::system_mmu::SystemMmu;
use crate::map;
use crate::monitor::smmu::on_system_bus;
use crate::power::SharedVcpu;

/// Counts of one account by key; those that are zero are left out.
type Counts = BTreeMap<String, u64>;

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Statement {
    /// The machine's time, in nanoseconds; of a difference, how long that was.
    pub ns: u64,
    /// By CPU (`cpu0`), device (`nvme@2`) and, for what devices have in common, `devices`.
    pub accounts: BTreeMap<String, Counts>,
}

impl Statement {
    /// What was counted after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let accounts = self.accounts.iter().map(|(name, counts)| {
            let left = counts.iter().map(|(key, n)| (key.clone(), n.wrapping_sub(earlier.get(name, key))));
            (name.clone(), left.filter(|(_, n)| *n != 0).collect::<Counts>())
        });
        let accounts = accounts.filter(|(_, counts)| !counts.is_empty()).collect();
        Self { ns: self.ns.saturating_sub(earlier.ns), accounts }
    }

    /// One count.
    #[must_use]
    pub fn get(&self, account: &str, key: &str) -> u64 {
        self.accounts.get(account).and_then(|counts| counts.get(key)).copied().unwrap_or(0)
    }

    /// One count of all accounts together.
    #[must_use]
    pub fn sum(&self, key: &str) -> u64 {
        self.accounts.values().filter_map(|counts| counts.get(key)).copied().fold(0, u64::wrapping_add)
    }

    /// One count of all CPUs together.
    #[must_use]
    pub fn cpus(&self, key: &str) -> u64 {
        let cpus = self.accounts.iter().filter(|(name, _)| name.starts_with("cpu"));
        cpus.filter_map(|(_, counts)| counts.get(key)).copied().fold(0, u64::wrapping_add)
    }

    fn add(&mut self, account: &str, key: String, n: u64) {
        if n != 0 {
            let counts = self.accounts.entry(account.to_owned()).or_default();
            let count = counts.entry(key).or_default();
            *count = count.wrapping_add(n);
        }
    }
}

/// Where counts come from.
pub struct Sources {
    clock: Arc<Clock>,
    vcpus: Vec<SharedVcpu>,
    cpus: Vec<Arc<Counters>>,
    devices: Arc<Counters>,
    pci: Arc<PciHost>,
    smmu: Option<SystemMmu>,
}

impl Sources {
    /// Those of a board.
    pub(crate) fn of(board: &Board) -> Self {
        Self {
            clock: board.clock.clone(),
            vcpus: board.vcpus.clone(),
            cpus: board.cpu_counters.clone(),
            devices: board.counters.clone(),
            pci: board.pci.clone(),
            smmu: board.smmu.clone(),
        }
    }

    /// What they say now, with the accounts of `ledger`.
    pub(super) fn state(&self, ledger: &Ledger) -> Statement {
        let mut out = Statement { ns: self.clock.now_ns(), ..Statement::default() };
        for (index, counters) in self.cpus.iter().enumerate() {
            self.settle(index);
            of_cpu(&mut out, &format!("cpu{index}"), counters);
        }
        of_metrics(&mut out, "devices", &self.devices);
        for (subject, account) in ledger.accounts() {
            of_account(&mut out, &self.name(&subject), &account);
        }
        let streams = self.smmu.as_ref().map(|smmu| smmu.core().counts()).unwrap_or_default();
        for (stream, count) in streams {
            let name = self.master(stream);
            for (key, _, get) in meaning::STREAM {
                out.add(&name, (*key).to_owned(), get(&count));
            }
        }
        out
    }

    /// What a CPU that does not execute did at its level is settled; one that makes a mark has done so.
    fn settle(&self, index: usize) {
        if let Some(vcpu) = self.vcpus.get(index).and_then(|vcpu| vcpu.try_lock()) {
            vcpu.cpu.counters.settle_level(vcpu.cpu.pstate.el as usize);
        }
    }

    fn name(&self, subject: &Subject) -> String {
        match subject {
            Subject::Device(name) => name.clone(),
            Subject::Master(stream) => self.master(*stream),
            Subject::Line(line) => line_name(*line),
        }
    }

    /// The device that a stream is of.
    pub(super) fn master(&self, stream: u32) -> String {
        let function = u16::try_from(stream).ok().and_then(|id| self.pci.function(Bdf(id)));
        let function = function.map(|f| f.name().to_owned());
        function.or_else(|| on_system_bus(stream)).unwrap_or_else(|| format!("stream {stream:#x}"))
    }
}

/// Who drives a wire to the interrupt controller: the transport, if it is one's own.
pub(crate) fn line_name(spi: u32) -> String {
    match spi.checked_sub(map::VIRTIO_MMIO_SPI).filter(|n| *n < map::VIRTIO_MMIO_COUNT) {
        Some(n) => format!("virtio-mmio@{:x}", map::virtio_mmio(n).base),
        None => format!("interrupt line {spi}"),
    }
}

fn of_metrics(out: &mut Statement, name: &str, counters: &Counters) {
    for metric in Metric::ALL {
        out.add(name, meaning::of_metric(*metric), counters.get(*metric));
    }
}

fn of_cpu(out: &mut Statement, name: &str, counters: &Counters) {
    of_metrics(out, name, counters);
    for level in 0..LEVELS {
        out.add(name, meaning::of_level(level), counters.at_level(level));
    }
    for to_el2 in [false, true] {
        for ec in 0..CLASSES as u8 {
            out.add(name, meaning::of_class(to_el2, ec), counters.class(to_el2, ec));
        }
    }
}

fn of_account(out: &mut Statement, name: &str, account: &Account) {
    for cause in Cause::ALL {
        out.add(name, meaning::of_cause(*cause), account.get(*cause));
    }
}

/// For people: a part for each account.
#[must_use]
pub fn table(statement: &Statement) -> String {
    let mut out = String::new();
    if statement.accounts.is_empty() {
        out.push_str("nothing has been counted\n");
    }
    for (name, counts) in &statement.accounts {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{name}");
        for (key, count) in counts {
            let _ = writeln!(out, "{:>20}  {}", grouped(*count), meaning(key));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_leave_out_what_is_zero() {
        let mut early = Statement { ns: 5, ..Statement::default() };
        early.add("cpu0", "hvc".into(), 2);
        early.add("cpu1", "hvc".into(), 1);
        let mut late = early.clone();
        late.ns = 9;
        late.add("cpu0", "hvc".into(), 3);
        late.add("nvme@2", "dma_reads".into(), 0);
        let between = late.since(&early);
        assert_eq!((between.ns, between.get("cpu0", "hvc"), late.sum("hvc")), (4, 3, 6));
        assert_eq!(between.accounts.len(), 1);
        assert_eq!(table(&Statement::default()), "nothing has been counted\n");
        assert_eq!(table(&between), "cpu0\n                   3  HVC calls\n");
    }

    #[test]
    fn wires_are_named_by_who_drives_them() {
        assert_eq!(
            line_name(map::VIRTIO_MMIO_SPI + 1),
            format!("virtio-mmio@{:x}", map::virtio_mmio(1).base)
        );
        assert_eq!(line_name(1), "interrupt line 1");
    }
}
