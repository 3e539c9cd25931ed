//! Running a litmus test, and what came out of it.

use std::time::{Duration, Instant};

use emu_a64::features::Feat;
use emu_pe::model::Model;
use firmware::guest_tests::litmus::{Count, Kind, Litmus};
use firmware::guest_tests::{Needs, layout, report};

use crate::machine::{self, Ending, Execution, Limits};

/// How the PEs execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accel {
    /// The interpreter.
    Interp,
    /// Host code.
    Jit,
}

/// Outcomes of many rounds.
pub struct Seen {
    /// What was seen, and how often.
    pub counts: Vec<Count>,
    /// How long it took.
    pub time: Duration,
}

impl Seen {
    /// Rounds with an outcome of this kind.
    #[must_use]
    pub fn rounds(&self, kind: Kind) -> u64 {
        self.counts.iter().filter(|c| c.kind == kind).map(|c| c.rounds).sum()
    }

    /// All rounds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|c| c.rounds).sum()
    }

    /// Rounds with an outcome that must not be.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.rounds(Kind::Forbidden) + self.rounds(Kind::Impossible)
    }

    /// A line for each outcome, below the names of the values.
    #[must_use]
    pub fn histogram(&self, test: &Litmus) -> String {
        let mut text = format!("  {} ({})\n  {}\n", test.name, test.section, test.legend());
        for Count { outcome, kind, rounds } in &self.counts {
            let remark = match kind {
                Kind::Allowed => "",
                Kind::Weak => "  allowed by the relaxed model only",
                Kind::Forbidden => "  FORBIDDEN",
                Kind::Impossible => "  IMPOSSIBLE",
            };
            text.push_str(&format!("  {outcome:<6} {rounds:>10}{remark}\n"));
        }
        text
    }
}

/// Whether a model has what the test needs. FEAT_LSE2 is there if the host can do it.
#[must_use]
pub fn is_for(test: &Litmus, model: &Model) -> bool {
    match test.needs {
        Needs::V80 => true,
        Needs::V82 => model.features.has(Feat::Lse) && model.features.has(Feat::Lrcpc),
        Needs::Max => model.features.has(Feat::Lse2),
    }
}

/// Runs a test. The error is about a program that did not run as it should; outcomes are the caller's to judge.
pub fn run(test: &Litmus, model: Model, accel: Accel, rounds: u64) -> Result<Seen, String> {
    let made = test.assemble(rounds);
    let limits = Limits {
        cpus: test.pes(),
        instructions: u64::MAX,
        // A round takes a few microseconds where PEs must wait for each other, and the host may have other work.
        time: Duration::from_secs(60)
            + Duration::from_micros(500) * u32::try_from(rounds).unwrap_or(u32::MAX),
        execution: if accel == Accel::Jit { Execution::HostCode } else { Execution::Interpreted },
        ..Limits::default()
    };
    let begun = Instant::now();
    let outcome = machine::run(model, &made.image.bytes, limits);
    let time = begun.elapsed();
    let read = |at: u64, size: u64| {
        let mut bytes = vec![0; size as usize];
        outcome.ram.read(at - layout::RAM, &mut bytes).map(|()| bytes).ok_or("RAM ends before the results")
    };
    let mut wrong = report::failure(&made.image.expected, &read(layout::RESULTS, layout::RESULTS_SIZE)?)
        .unwrap_or_default();
    if outcome.ending != Ending::Off {
        wrong.push_str(&format!("it ended by {:x?}\n", outcome.ending));
    }
    if !wrong.is_empty() {
        return Err(format!("{}: {wrong}", test.name));
    }
    let counters: Vec<u64> = read(made.histogram, 8 * made.counters as u64)?
        .chunks_exact(8)
        .map(|b| b.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
        .collect();
    let seen = Seen { counts: test.counts(&counters), time };
    if seen.total() != made.rounds {
        return Err(format!("{}: {} rounds were counted, not {}", test.name, seen.total(), made.rounds));
    }
    Ok(seen)
}

/// Runs a test; an outcome that must not be is an error, too, with the histogram.
pub fn check(test: &Litmus, model: Model, accel: Accel, rounds: u64) -> Result<Seen, String> {
    let name = model.name;
    let seen = run(test, model, accel, rounds)?;
    match seen.violations() {
        0 => Ok(seen),
        _ => Err(format!("outcomes that must not be, on {name} by {accel:?}:\n{}", seen.histogram(test))),
    }
}
