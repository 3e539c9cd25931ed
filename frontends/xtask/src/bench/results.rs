//! All measurements, and the figures that are made of them.

use std::collections::BTreeMap;

use super::measure::{Outcome, Sample};
use super::statistics::median;
use crate::process::Failure;

/// The outcomes of one benchmark on one machine, in order.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    /// What was measured.
    pub(crate) samples: Vec<Sample>,
    /// What failed.
    pub(crate) failure: Option<Failure>,
}

/// The medians of one benchmark on one machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// Nanoseconds for a round.
    pub(crate) ns: f64,
    /// Nanoseconds of processor time for a round: of an emulator what it used itself ("user"); of a program on the
    /// host also what the kernel did for it, which an emulator does itself.
    pub(crate) cpu_ns: f64,
}

/// All outcomes, by the machine's and the benchmark's name.
#[derive(Debug, Default)]
pub(crate) struct Results {
    cells: BTreeMap<(&'static str, String), Cell>,
}

impl Results {
    /// Takes down an outcome.
    pub(crate) fn add(&mut self, machine: &'static str, name: &str, outcome: Outcome) {
        let cell = self.cells.entry((machine, name.to_owned())).or_default();
        match outcome {
            Outcome::Measured(sample) => cell.samples.push(sample),
            Outcome::Failed(why) => cell.failure = Some(why),
            Outcome::Absent => {}
        }
    }

    /// What there is about a benchmark on a machine.
    pub(crate) fn cell(&self, machine: &'static str, name: &str) -> Option<&Cell> {
        self.cells.get(&(machine, name.to_owned()))
    }

    /// Whether it has failed there: then there is no point in trying again.
    pub(crate) fn has_failed(&self, machine: &'static str, name: &str) -> bool {
        self.cell(machine, name).is_some_and(|cell| cell.failure.is_some())
    }

    /// The medians.
    pub(crate) fn figures(&self, machine: &'static str, name: &str) -> Option<Figures> {
        let samples = &self.cell(machine, name)?.samples;
        let cpu = |s: &Sample| if machine == "native" { s.cpu.user + s.cpu.system } else { s.cpu.user };
        Some(Figures { ns: median(samples.iter().map(|s| s.ns))?, cpu_ns: median(samples.iter().map(cpu))? })
    }

    /// Whether anything was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.values().all(|cell| cell.samples.is_empty())
    }

    /// All that went wrong, a sentence each: failures, and rounds of the same binary that computed different things.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        let failed = self.cells.iter().filter_map(|((machine, name), cell)| {
            cell.failure.as_ref().map(|why| format!("{name} failed on {machine}: {why}"))
        });
        let mut wrongs: Vec<String> = failed.collect();
        let mut checks: BTreeMap<&str, BTreeMap<u64, &'static str>> = BTreeMap::new();
        for ((machine, name), cell) in self.cells.iter().filter(|((machine, _), _)| *machine != "native") {
            for sample in &cell.samples {
                checks.entry(name).or_default().entry(sample.check).or_insert(machine);
            }
        }
        for (name, values) in checks.iter().filter(|(_, values)| values.len() > 1) {
            let all: Vec<_> =
                values.iter().map(|(value, machine)| format!("{value:#x} ({machine})")).collect();
            wrongs.push(format!("{name} does not compute the same every time: {}", all.join(", ")));
        }
        wrongs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cpu_time::CpuTime;

    fn measured(ns: f64, check: u64) -> Outcome {
        Outcome::Measured(Sample { ns, cpu: CpuTime { user: 2.0 * ns, system: ns }, rounds: 1, check })
    }

    #[test]
    fn medians_over_the_rounds() {
        let mut results = Results::default();
        for ns in [5.0, 1.0, 3.0] {
            results.add("ours", "fib", measured(ns, 7));
            results.add("native", "fib", measured(ns, 8));
        }
        assert_eq!(results.figures("ours", "fib"), Some(Figures { ns: 3.0, cpu_ns: 6.0 }));
        assert_eq!(results.figures("native", "fib"), Some(Figures { ns: 3.0, cpu_ns: 9.0 }));
        assert_eq!(results.figures("peer", "fib"), None);
        // The host's binary may compute something else: contracted multiplications, another C library.
        assert!(results.wrongs().is_empty() && !results.is_empty());
    }

    #[test]
    fn wrong_results_are_said() {
        let mut results = Results::default();
        results.add("ours", "fib", measured(1.0, 7));
        results.add("peer", "fib", measured(1.0, 9));
        results.add("ours", "pipe", Outcome::Failed("it ended early".into()));
        results.add("native", "codegen", Outcome::Absent);
        let wrongs = results.wrongs();
        assert_eq!(wrongs[0], "pipe failed on ours: it ended early");
        assert_eq!(wrongs[1], "fib does not compute the same every time: 0x7 (ours), 0x9 (peer)");
        assert!(results.has_failed("ours", "pipe") && !results.has_failed("ours", "fib"));
    }
}
