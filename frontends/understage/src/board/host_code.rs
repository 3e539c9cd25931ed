//! Host code as the user sees it: the files for `perf`, and what `--stats` says of it.

use std::fmt::Write;
use std::sync::Arc;

use emu_core::metrics::Metric;
use emu_engine::jit::observe::{CodeSize, Listener};
use emu_engine::jit::perf::{Dump, Map};
use emu_engine::jit::profile::Report;

use super::build::Board;
use super::stats::{self, Snapshot, grouped};
use crate::config::{Given, PerfFile};
use crate::error::{UserError, reason, user_error};

/// Lines of each list.
const TOP: usize = 20;

/// What is counted of host code.
pub const METRICS: [Metric; 12] = [
    Metric::Compiled,
    Metric::HostCodeBytes,
    Metric::HostCodeDrops,
    Metric::HostEntries,
    Metric::ExitsUnlinked,
    Metric::ExitsIndirect,
    Metric::ExitsEnd,
    Metric::ExitsEvent,
    Metric::ExitsFault,
    Metric::ExitsHot,
    Metric::Interpreted,
    Metric::Exact,
];

/// Why instructions were interpreted.
pub const REASONS: [Metric; 7] = [
    Metric::InterpretedCold,
    Metric::InterpretedRounds,
    Metric::InterpretedRefused,
    Metric::InterpretedWatched,
    Metric::InterpretedSingly,
    Metric::InterpretedOnce,
    Metric::InterpretedAlways,
];

/// Begins the files for `perf`.
pub(super) fn listeners(files: &[Given<PerfFile>]) -> Result<Vec<Arc<dyn Listener>>, UserError> {
    let open = |file: &Given<PerfFile>| -> Result<Arc<dyn Listener>, UserError> {
        let (path, opened) = match file.value {
            PerfFile::Map => {
                let path = Map::path();
                let map = Map::create(&path).map(|map| Arc::new(map) as Arc<dyn Listener>);
                (path, map)
            }
            PerfFile::Dump => {
                let path = Dump::path();
                let dump = Dump::create(&path).map(|dump| Arc::new(dump) as Arc<dyn Listener>);
                (path, dump)
            }
        };
        opened
            .map_err(|e| user_error!("cannot write '{}' for {}: {}", path.display(), file.option, reason(&e)))
    };
    files.iter().map(open).collect()
}

/// `part` of `whole` in per cent.
fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => format!(" ({:.2} %)", 100.0 * part as f64 / whole as f64),
    }
}

/// The most memory of this process that was resident at any time, in bytes. Host code counts twice: it is mapped to be
/// written and to be executed.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// What host code did, summed over the CPUs; no machine may run.
#[must_use]
pub fn table(board: &Board) -> String {
    let (mut size, mut report) = (None, None);
    for vcpu in &board.vcpus {
        let vcpu = vcpu.lock();
        if let Some(own) = vcpu.host_code() {
            let sum: &mut CodeSize = size.get_or_insert_default();
            sum.used += own.used;
            sum.bound += own.bound;
        }
        if let Some(profile) = vcpu.profile() {
            report.get_or_insert_with(Report::default).add(&profile.report());
        }
    }
    let all = Snapshot::of(&stats::sets(board));
    let mut out = reasons(&all);
    if let Some(size) = size {
        out.push_str(&section(&all, size, report.as_ref()));
    }
    if let Some(bytes) = peak_memory() {
        line(&mut out, bytes, "bytes of memory were resident at most");
    }
    out
}

fn line(out: &mut String, n: u64, what: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{:>20}  {what}", grouped(n));
}

/// How many instructions were interpreted, and why.
fn reasons(all: &Snapshot) -> String {
    let mut out = String::from("\nInstructions that were interpreted\n");
    let sum = REASONS.iter().map(|m| all.get(*m)).fold(0, u64::wrapping_add);
    line(&mut out, sum, &format!("in all{}", share(sum, all.get(Metric::Instructions))));
    for m in REASONS.iter().filter(|m| all.get(**m) != 0) {
        line(&mut out, all.get(*m), m.name());
    }
    out
}

fn section(all: &Snapshot, size: CodeSize, report: Option<&Report>) -> String {
    let mut out = String::from("\nHost code\n");
    for m in METRICS.iter().filter(|m| all.get(**m) != 0) {
        line(&mut out, all.get(*m), m.name());
    }
    line(&mut out, size.used, &format!("bytes of host code now, of at most {}", grouped(size.bound)));
    if let Some(report) = report {
        profile(&mut out, all, report);
    }
    out
}

fn profile(out: &mut String, all: &Snapshot, report: &Report) {
    line(out, report.runs, "blocks begun in host code");
    let stayed = report.runs.saturating_sub(all.get(Metric::HostEntries));
    let what = format!("of these from another block in host code{}", share(stayed, report.runs));
    line(out, stayed, &what);
    line(out, report.accesses, "memory accesses in host code");
    let what = format!("of these by a function of the runtime{}", share(report.missed, report.accesses));
    line(out, report.missed, &what);
    if !report.operations.is_empty() {
        out.push_str("\nOperations that host code left to a function, most frequent first\n");
        report.operations.iter().take(TOP).for_each(|(name, n)| line(out, *n, name));
    }
    if !report.blocks.is_empty() {
        out.push_str("\nBlocks in host code with the most instructions\n");
        for b in report.blocks.iter().take(TOP) {
            let of = share(b.instructions, report.instructions);
            let what = format!("at {:#018x}, {}: {} runs{of}", b.pc, b.el, grouped(b.runs));
            line(out, b.instructions, &what);
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::level::El;
    use emu_core::metrics::Counters;
    use emu_engine::jit::profile::HotBlock;

    use super::*;

    #[test]
    fn what_is_said_of_host_code() {
        let counters = Arc::new(Counters::default());
        counters.add(Metric::Compiled, 2);
        counters.add(Metric::HostEntries, 10);
        let report = Report {
            runs: 1000,
            instructions: 4000,
            accesses: 200,
            missed: 1,
            operations: vec![("MRS CNTVCT_EL0".into(), 7)],
            blocks: vec![HotBlock { pc: 0x4000_1000, el: El::El2, runs: 900, instructions: 3000 }],
        };
        let text =
            section(&Snapshot::of(&[counters]), CodeSize { used: 4096, bound: 1 << 20 }, Some(&report));
        for expected in [
            "                   2  blocks compiled to host code\n",
            "               4,096  bytes of host code now, of at most 1,048,576\n",
            "                 990  of these from another block in host code (99.00 %)\n",
            "                   1  of these by a function of the runtime (0.50 %)\n",
            "                   7  MRS CNTVCT_EL0\n",
            "               3,000  at 0x0000000040001000, EL2: 900 runs (75.00 %)\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        assert!(!text.contains("fault"), "what did not happen is not said\n{text}");
    }

    #[test]
    fn every_reason_for_interpreting_is_named_with_its_count() {
        let counters = Arc::new(Counters::default());
        counters.add(Metric::Instructions, 2000);
        counters.add(Metric::InterpretedCold, 30);
        counters.add(Metric::InterpretedSingly, 10);
        assert_eq!(
            reasons(&Snapshot::of(&[counters])),
            "\nInstructions that were interpreted\n\
             \x20                 40  in all (2.00 %)\n\
             \x20                 30  because their block has run too few times to be compiled\n\
             \x20                 10  for a software step or a step of the debugger\n"
        );
    }

    #[test]
    fn this_process_has_memory() {
        let bytes = peak_memory().unwrap();
        assert!(bytes > 1 << 20 && bytes.is_multiple_of(1024), "{bytes}");
    }
}
