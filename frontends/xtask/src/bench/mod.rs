//! `cargo xtask bench`: how fast guests run on this emulator, on another one, and natively.
//!
//! The benchmarks are C programs (`tests/bench`), compiled into one static binary that is the first process of a guest
//! with Debian's kernel. It measures with the guest's monotonic clock; we add the emulator's processor time, which
//! a busy host disturbs less. Emulators take turns, round by round, so that a host that changes its speed changes
//! both. `docs/benchmarks.md` has the method and results.

mod block;
mod build;
mod cpu_time;
mod dma;
mod host;
mod machine;
mod measure;
mod report;
mod results;
mod said;
mod scaling;
mod session;
mod statistics;
mod suite;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::files::write;
use crate::guests;
use crate::process::Failure;
use host::Host;
use machine::{Guest, Machine};
use measure::{Outcome, Watch};
use report::Report;
use results::Results;
use session::Stop;
use suite::{ALIGNED, BOOT, Benchmark};

/// The other emulator, if `--peer` does not name it.
const PEER_VARIABLE: &str = "UNDERSTAGE_PEER";

/// The options of `cargo xtask bench`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Names or groups of the benchmarks to run, with commas between them [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the benchmarks and run none
    #[arg(long)]
    list: bool,
    /// Measure instead how fast two CPUs with a load each are, against one CPU with one load
    #[arg(long)]
    scaling: bool,
    /// How often each is measured on each machine; the report has medians
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Milliseconds that one measurement is to take, as the guest's clock goes
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    time: u32,
    /// Model of the guest's CPU, for both emulators
    #[arg(long, value_name = "MODEL", default_value = "neoverse-n1")]
    cpu: String,
    /// Passed on to 'understage run'
    #[arg(long, value_name = "HOW")]
    accel: Option<String>,
    /// The program to measure [default: built from this tree]
    #[arg(long, value_name = "FILE")]
    understage: Option<PathBuf>,
    /// Command that takes QEMU's command line, to compare with [default: $UNDERSTAGE_PEER, or none]
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    /// Leave out the comparison with programs of this host
    #[arg(long)]
    no_native: bool,
    /// Write all measurements to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report to a file, in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Measures and reports.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<(), Failure> {
    if options.list {
        print!("{}", suite::listing());
        return Ok(());
    }
    let mut suite = suite::select(&options.only)?;
    if options.scaling {
        suite = scaling::pairs(&suite)?;
    }
    let host = Host::look(workspace);
    let machines = machines(workspace, options)?;
    let files = guests::ensure(workspace)?;
    let initrd = build::guest(workspace)?;
    if suite.iter().any(|b| dma::is_native(b.name)) {
        build::translation(workspace)?;
    }
    let guest = Guest {
        initrd,
        disk_initrd: build::disk_guest(workspace, &files)?,
        block: block::image(&build::directory(workspace)?)?,
        bare: build::bare(workspace, options.time)?,
        files,
        cpu: options.cpu.clone(),
        cpus: if options.scaling { 2 } else { 1 },
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|e| format!("cannot take care of Ctrl-C: {e}"))?;
    }
    let mut bench =
        Bench { workspace, options, suite, machines, guest, interrupted, results: Results::default() };
    let ended = bench.all_rounds();
    bench.report(host, ended.is_ok())?;
    match ended {
        Err(Stop::Failed(why)) => Err(why),
        Err(Stop::Interrupted) => Err("interrupted".into()),
        Ok(()) if bench.results.wrongs().is_empty() => Ok(()),
        Ok(()) => Err("not all is well: see below the table".into()),
    }
}

/// What to measure on, in the order of the turns.
fn machines(workspace: &Path, options: &Options) -> Result<Vec<Machine>, Failure> {
    let mut machines = Vec::new();
    let program = match &options.understage {
        Some(file) => {
            std::path::absolute(file).map_err(|e| format!("cannot find '{}': {e}", file.display()))?
        }
        None => build::understage(workspace)?,
    };
    machines.push(Machine::Ours { program, accel: options.accel.clone() });
    let peer = options.peer.clone().or_else(|| std::env::var(PEER_VARIABLE).ok());
    if let Some(command) = peer {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(format!("the command of the peer is empty (--peer or ${PEER_VARIABLE})"));
        }
        machines.push(Machine::Peer { words });
    }
    if !options.no_native {
        match build::native(workspace) {
            Ok(program) => machines.push(Machine::Native { program }),
            Err(why) => eprintln!("xtask: no comparison with programs of this host: {why}"),
        }
    }
    Ok(machines)
}

/// A whole run.
struct Bench<'a> {
    workspace: &'a Path,
    options: &'a Options,
    suite: Vec<Benchmark>,
    machines: Vec<Machine>,
    guest: Guest,
    interrupted: Arc<AtomicBool>,
    results: Results,
}

impl Bench<'_> {
    fn all_rounds(&mut self) -> Result<(), Stop> {
        let steps = self.suite.len() * self.machines.len() * self.options.rounds as usize;
        let bar = progress(steps as u64);
        let done = (1..=self.options.rounds).try_for_each(|round| self.round(round, &bar));
        bar.finish_and_clear();
        done
    }

    /// One turn for each machine.
    fn round(&mut self, round: u32, bar: &ProgressBar) -> Result<(), Stop> {
        for machine in &self.machines {
            let name = machine.name();
            let title = format!("round {round} of {}, {name}", self.options.rounds);
            if bar.is_hidden() {
                eprintln!("{title}");
            }
            let all = self.suite.iter().map(|b| b.name).filter(|b| !self.results.has_failed(name, b));
            let todo: Vec<&str> = all.collect();
            let others = [ALIGNED.name, BOOT.name];
            let only = |wanted: &dyn Fn(&str) -> bool| -> Vec<&str> {
                todo.iter().copied().filter(|b| wanted(b)).collect()
            };
            let elsewhere = |b: &str| dma::is_native(b) || dma::is_of_disk(b) || block::has(b);
            let programs = only(&|b| !others.contains(&b) && !elsewhere(b));
            let mut desk = Desk { machine: name, title: &title, results: &mut self.results, bar };
            let (ms, interrupted) = (self.options.time, &*self.interrupted);
            let in_machine = |stop| match stop {
                Stop::Failed(why) => Stop::Failed(format!("{name}: {why}")),
                interrupted => interrupted,
            };
            let bench = |names: &[&str]| machine.bench(&self.guest, ms, names);
            measure::programs(bench, &programs, interrupted, &mut desk).map_err(in_machine)?;
            if matches!(machine, Machine::Ours { .. }) {
                let bench = |names: &[&str]| build::translation_command(self.workspace, ms, names);
                measure::programs(bench, &only(&dma::is_native), interrupted, &mut desk)
                    .map_err(in_machine)?;
            }
            for way in dma::WAYS.iter().filter(|_| machine.is_emulator()) {
                let bench = |names: &[&str]| machine.disk(&self.guest, way, ms, names);
                measure::programs(bench, &only(&|b| way.has(b)), interrupted, &mut desk)
                    .map_err(in_machine)?;
            }
            for device in block::DEVICES.iter().filter(|_| machine.is_emulator()) {
                let bench = |names: &[&str]| machine.block(&self.guest, device, ms, names);
                measure::programs(bench, &only(&|b| device.has(b)), interrupted, &mut desk)
                    .map_err(in_machine)?;
            }
            if machine.is_emulator() && todo.contains(&ALIGNED.name) {
                measure::bare(machine, &self.guest, ALIGNED.name, interrupted, &mut desk)
                    .map_err(in_machine)?;
            }
            if machine.is_emulator() && todo.contains(&BOOT.name) {
                measure::boot(machine, &self.guest, BOOT.name, interrupted, &mut desk).map_err(in_machine)?;
            }
        }
        Ok(())
    }

    /// Prints and writes what there is.
    fn report(&self, host: Host, complete: bool) -> Result<(), Failure> {
        if self.results.is_empty() {
            return Ok(());
        }
        let with_native = self.machines.iter().any(|m| !m.is_emulator());
        let report = Report {
            host,
            complete,
            scaling: self.options.scaling,
            cpu: &self.options.cpu,
            cpus: self.guest.cpus,
            rounds: self.options.rounds,
            ms: self.options.time,
            versions: self.machines.iter().filter_map(|m| Some((m.name(), m.version()?))).collect(),
            compilers: build::compilers(with_native),
            machines: self.machines.iter().map(Machine::name).collect(),
            suite: &self.suite,
            results: &self.results,
        };
        print!("{}", report.text());
        if let Some(file) = &self.options.json {
            write(file, report.json()?.as_bytes())?;
        }
        if let Some(file) = &self.options.markdown {
            write(file, report.markdown().as_bytes())?;
        }
        Ok(())
    }
}

/// Takes down outcomes of one machine, and shows where we are.
struct Desk<'a> {
    machine: &'static str,
    title: &'a str,
    results: &'a mut Results,
    bar: &'a ProgressBar,
}

impl Watch for Desk<'_> {
    fn trying(&mut self, name: &str) {
        self.bar.set_message(format!("{}: {name}", self.title));
    }

    fn outcome(&mut self, name: &str, outcome: Outcome) {
        self.results.add(self.machine, name, outcome);
        self.bar.inc(1);
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {msg} ({elapsed}, {eta} to go)") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
