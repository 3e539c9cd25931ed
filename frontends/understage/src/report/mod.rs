//! `understage io-report`: what each way to a disk costs.
//!
//! The work is that of the tour ([`firmware::guest_tour`]): the same sectors are read from a disk that the hypervisor emulates, from
//! a virtio disk, and from that disk with the SMMU between it and memory; a hypercall and a timer interrupt are beside them, to
//! compare with. What is counted is what the ledger says ([`crate::ledger`]).
//!
//! | module | what lives there |
//! |---|---|
//! | [`phases`] | the ways in a ledger's file |
//! | [`costs`] | the rows: what is said of each way, and where it is counted |
//! | [`text`] | the table on the terminal |
//! | [`page`], [`plot`] | the page, and its plots |
//!
//! The same is made of the ledger of any machine ([`phases`]): then what is compared are the phases that its guest has marked.
//!
//! In counted time ([`crate::config::Time`]) nothing comes from outside, so that two reports are the same, byte for byte.

mod costs;
mod page;
mod phases;
mod plot;
mod text;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use emu_core::ledger::TIMELINE;
use firmware::guest_tour::{self, Phase};
use parking_lot::Mutex;
use serde::Serialize;

use crate::config::{CharBackend, Given, HostFile, Ledger, MachineConfig, Time, Tracing};
use crate::error::{UserError, reason, user_error};
use crate::ledger::Statement;
use crate::power::Stop;
use crate::quit::{STATUS_FAILED, STATUS_OUTPUT_CLOSED};
use crate::tour::{self, Journal, Since};
use crate::{out, terminal};
use costs::Cost;

const EXAMPLES: &str = "\
Examples:
  understage io-report                                   the table
  understage io-report --html report.html --json report.json
  understage io-report --time real                       with the host's clock: times are those of this host

  understage io-report --from ledger.json --html report.html
                                                         the same of the phases that a guest has marked (docs/ledger.md)

Without --from it needs no files: the hypervisor and its guests are built in. What the columns are:
  emulated disk    the guest reads word by word from registers that do not exist; EL2 emulates each access
  virtio disk      the guest has a virtio disk of its own, which reads its requests from memory and writes there by DMA
  behind the SMMU  the same disk, with the system MMU between it and the guest's scattered pages
  hypercall, virtual timer   for comparison: what one exit and one interrupt cost
";

/// What `io-report` is told.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Write the report as a page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write it as JSON, with all that the ledger has of each way
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure nothing, but make the report of a ledger's phases ('understage run --ledger FILE'). A phase whose mark is called
    /// NAME/1000/read is shown per read, of which it has a thousand; those called start and end are left out
    #[arg(long, value_name = "LEDGER", conflicts_with_all = ["timeline", "time", "quiet"])]
    from: Option<PathBuf>,
    /// Write what happens when, for Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// How the guest's time passes: counted (an instruction takes a nanosecond; two reports are equal) or real
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Clock::Counted)]
    time: Clock,
    /// Do not say on standard error what is being measured
    #[arg(long)]
    quiet: bool,
}

/// How the guest's time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Clock {
    Counted,
    Real,
}

/// What one way cost.
#[derive(Serialize)]
struct Way {
    title: String,
    name: String,
    unit: String,
    operations: u64,
    /// What the guest wanted, for all operations together.
    payload_bytes: u64,
    /// By key, for all operations together.
    costs: Vec<Cost>,
    /// What the ledger says.
    #[serde(flatten)]
    ledger: Statement,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    version: u32,
    /// Of a ledger's file, that is not known.
    time: Option<Clock>,
    ways: Vec<Way>,
}

/// The version of the form of JSON.
const VERSION: u32 = 1;

impl Since for Statement {
    fn since(&self, earlier: &Self) -> Self {
        Self::since(self, earlier)
    }
}

/// Measures, and writes what was found; the status is 0 if the work came to its end.
pub fn run(args: &Args) -> Result<u8, UserError> {
    let timeline = args.timeline.as_ref().map(|f| HostFile::new("--timeline", f.clone()));
    let trace = Tracing { timeline, ..Tracing::default() };
    crate::log::start("warn", &trace)?;
    let from = args.from.as_ref().map(|f| phases::report(&HostFile::new("--from", f.clone()))).transpose()?;
    let files = [("--html", &args.html), ("--json", &args.json)].map(|(option, file)| {
        let given = file.as_ref().map(|f| HostFile::new(option, f.clone()));
        given.map(create).transpose()
    });
    let [html, json] = files;
    let (html, json) = (html?, json?);
    let report = match from {
        Some(report) => report,
        None => match measure(args, trace)? {
            Ok(report) => report,
            Err(status) => return Ok(status),
        },
    };
    if let Some(file) = html {
        put(file, &page::page(&report))?;
    }
    if let Some(file) = json {
        // Plain data with text for keys has a form in JSON.
        put(file, &(serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"))?;
    }
    let status = out::print(&text::table(&report));
    // That nobody reads the table any more is no failure.
    Ok(if status == STATUS_OUTPUT_CLOSED { 0 } else { status })
}

fn create(given: HostFile) -> Result<(HostFile, File), UserError> {
    let file = File::create(&given.value)
        .map_err(|e| user_error!("cannot write {}: {}", given.describe(), reason(&e)))?;
    Ok((given, file))
}

fn put((given, mut file): (HostFile, File), text: &str) -> Result<(), UserError> {
    file.write_all(text.as_bytes())
        .map_err(|e| user_error!("cannot write {}: {}", given.describe(), reason(&e)))
}

/// The machine of the tour, with a ledger.
fn machine(image: &guest_tour::Image, time: Clock) -> MachineConfig {
    let time = match time {
        Clock::Counted => Time::Counted(Given::new("--time counted", 0_u32)),
        Clock::Real => Time::Real,
    };
    MachineConfig { time, ledger: Ledger::Kept, ..tour::config(image, CharBackend::Null) }
}

/// Runs the work. Gives a report, or the status with which to end.
fn measure(args: &Args, trace: Tracing) -> Result<Result<Report, u8>, UserError> {
    let image = guest_tour::image().map_err(|e| user_error!("the tour does not assemble: {e}"))?;
    let config = MachineConfig { trace, ..machine(&image, args.time) };
    let plan = crate::launch::plan(&config)?;
    let board = crate::launch::build(&config, &plan)?;
    let book = board.book.clone().ok_or_else(|| user_error!("the machine keeps no ledger"))?;
    crate::timeline::open(&config.trace, &board)?;
    let journal = Arc::new(Mutex::new(Journal::<Statement>::default()));
    let (watched, quiet) = (journal.clone(), args.quiet);
    board.serial.watch(Box::new(move |bytes| {
        let mut journal = watched.lock();
        let before = journal.present().copied();
        journal.feed(bytes, || book.now());
        if let Some(phase) = journal.present().filter(|p| Some(**p) != before) {
            tracing::trace!(target: TIMELINE, mark = phase.name);
            if !quiet {
                out::say(&format!("understage: {}\n", phase.name));
            }
        }
    }));
    let stop = crate::board::run::prepare(&board, &plan)?.run(config.no_reboot, config.no_shutdown)?;
    terminal::raw::restore();
    if let Stop::Quit(status) = stop {
        return Ok(Err(status));
    }
    let journal = journal.lock();
    let Some(measured) = journal.whole() else {
        out::say("understage: the work ended before its end: 'understage tour' shows where\n");
        return Ok(Err(STATUS_FAILED));
    };
    let ways = measured.iter().map(|(phase, done)| way(phase, done)).collect();
    // The machine ends with the process.
    drop(journal);
    std::mem::forget(board);
    Ok(Ok(Report { version: VERSION, time: Some(args.time), ways }))
}

fn way(phase: &Phase, done: &Statement) -> Way {
    Way {
        title: phase.title.to_owned(),
        name: phase.name.to_owned(),
        unit: phase.unit.to_owned(),
        operations: phase.operations,
        payload_bytes: phase.bytes,
        costs: costs::of(done),
        ledger: done.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A report of two ways with some counts.
    pub(super) fn example() -> Report {
        let phases = [guest_tour::PHASES[0], guest_tour::PHASES[3]];
        let counts =
            |of: &[(&str, u64)]| of.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect::<BTreeMap<_, _>>();
        let emulated = counts(&[
            ("instructions", 9600),
            ("instructions_el1", 3200),
            ("exc_to_el2", 64),
            ("to_el2_ec_0x24", 62),
        ]);
        let virtio =
            counts(&[("instructions", 640), ("instructions_el1", 320), ("exc_to_el2", 32), ("irqs", 32)]);
        let moved = counts(&[("dma_bytes_written", 16_384)]);
        let statements = [
            Statement { ns: 3200, accounts: BTreeMap::from([("cpu0".to_owned(), emulated)]) },
            Statement {
                ns: 640,
                accounts: BTreeMap::from([("cpu0".to_owned(), virtio), ("devices".to_owned(), moved)]),
            },
        ];
        let ways = phases.iter().zip(&statements).map(|(phase, done)| way(phase, done)).collect();
        Report { version: VERSION, time: Some(Clock::Counted), ways }
    }

    #[test]
    fn the_machine_is_one_that_can_be_built() {
        let image = guest_tour::image().unwrap();
        for time in [Clock::Counted, Clock::Real] {
            machine(&image, time).check().unwrap();
        }
    }
}
