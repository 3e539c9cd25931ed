//! What the machine counted, as a table.

use std::sync::Arc;

use emu_core::metrics::{Counters, Metric};
use emu_engine::interp::lockstep::Totals;
use emu_smmu::translation::{Core, StreamCount};

use super::build::Board;
use super::host_code;

/// Digits in groups of three.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Everything that a machine counted up to some moment, summed over its CPUs and devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot([u64; Metric::ALL.len()]);

impl Snapshot {
    /// The sums of `sets` now.
    #[must_use]
    pub fn of(sets: &[Arc<Counters>]) -> Self {
        let mut sums = [0u64; Metric::ALL.len()];
        for m in Metric::ALL {
            sums[*m as usize] = sets.iter().map(|s| s.get(*m)).fold(0, u64::wrapping_add);
        }
        Self(sums)
    }

    /// One count.
    #[must_use]
    pub fn get(&self, m: Metric) -> u64 {
        self.0[m as usize]
    }

    /// What was counted after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_sub(earlier.0[i])))
    }
}

/// All sets of counters of a board.
#[must_use]
pub fn sets(board: &Board) -> Vec<Arc<Counters>> {
    board.cpu_counters.iter().chain(std::iter::once(&board.counters)).cloned().collect()
}

/// One line for each thing that was counted at all, summed over the CPUs and the devices. What is said of host code is
/// [`host_code::table`].
#[must_use]
pub fn table(board: &Board) -> String {
    let all = Snapshot::of(&sets(board));
    let mut out = String::new();
    let elsewhere = |m: &Metric| host_code::METRICS.contains(m) || host_code::REASONS.contains(m);
    for m in Metric::ALL.iter().filter(|m| all.get(**m) != 0 && !elsewhere(m)) {
        out.push_str(&line(all.get(*m), m.name()));
    }
    if let Some(smmu) = &board.smmu {
        out.push_str(&of_smmu(&streams(smmu.core())));
        let (found, _) = smmu.core().findings();
        if found != 0 {
            out.push_str(&line(found, "findings of the SMMU's sanitizers"));
        }
    }
    out
}

/// What an SMMU counted, over all streams.
#[must_use]
pub fn streams(core: &Core) -> StreamCount {
    sum(core.counts().into_iter().map(|(_, count)| count))
}

fn sum(streams: impl Iterator<Item = StreamCount>) -> StreamCount {
    streams.fold(StreamCount::default(), StreamCount::plus)
}

fn line(count: u64, what: &str) -> String {
    format!("{:>20}  {what}\n", grouped(count))
}

/// A count, and what is said of it.
type Counted = (&'static str, fn(&StreamCount) -> u64);

/// What is said of an SMMU, over all streams.
const SMMU: &[Counted] = &[
    ("transactions through the SMMU", |c| c.transactions),
    ("pages of them that a port of the SMMU knew", |c| c.quick),
    ("pages of them that its TLB knew", |c| c.hits),
    ("pages of them that it walked tables for", |c| c.walks),
    ("translation faults in the SMMU", |c| c.faults),
    ("transactions that the SMMU aborted", |c| c.aborts),
    ("stalls of transactions in the SMMU", |c| c.stalls),
];

fn of_smmu(all: &StreamCount) -> String {
    let counted = SMMU.iter().map(|(what, count)| (count(all), what)).filter(|(count, _)| *count != 0);
    counted.map(|(count, what)| line(count, what)).collect()
}

/// What lockstep has compared, if it was on, summed over the CPUs.
#[must_use]
pub fn lockstep(board: &Board) -> Option<String> {
    board.vcpus.iter().filter_map(|v| v.lock().lockstep_totals()).reduce(|a, b| a + b).map(compared)
}

/// What lockstep has compared, as a line.
#[must_use]
pub fn compared(totals: Totals) -> String {
    format!(
        "lockstep: {} instructions in {} stretches compared; {} instructions done once, {} stretches not compared\n",
        grouped(totals.instructions),
        grouped(totals.stretches),
        grouped(totals.unchecked),
        grouped(totals.inconclusive),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn what_an_smmu_counted_is_said_once_for_all_streams() {
        let count = |transactions, walks| StreamCount { transactions, walks, ..StreamCount::default() };
        let expected = "               1,002  transactions through the SMMU\n                   1  pages of them that it walked tables for\n";
        assert_eq!(of_smmu(&sum([count(1000, 1), count(2, 0)].into_iter())), expected);
        assert_eq!(of_smmu(&sum(std::iter::empty())), "");
    }

    #[test]
    fn snapshots_are_sums_and_have_differences() {
        let sets = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        sets[0].add(Metric::Hvc, 2);
        let before = Snapshot::of(&sets);
        sets[0].add(Metric::Hvc, 3);
        sets[1].add(Metric::Hvc, 4);
        let after = Snapshot::of(&sets);
        assert_eq!((before.get(Metric::Hvc), after.get(Metric::Hvc)), (2, 9));
        assert_eq!(after.since(&before).get(Metric::Hvc), 7);
        assert_eq!(after.since(&before).get(Metric::Smc), 0);
    }
}
