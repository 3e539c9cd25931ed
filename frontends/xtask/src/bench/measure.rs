//! Runs benchmarks on a machine and takes down what they say.

use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::cpu_time::CpuTime;
use super::machine::{Guest, Machine, SHELL_IS_THERE};
use super::said::{self, Said};
use super::session::{Session, Stop};
use crate::process::Failure;

/// One measurement of one benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Nanoseconds for a round: by the guest's clock, for the boot by the host's.
    pub(crate) ns: f64,
    /// Processor time of the host for a round.
    pub(crate) cpu: CpuTime,
    /// How many rounds were measured.
    pub(crate) rounds: u64,
    /// What they computed.
    pub(crate) check: u64,
}

/// What became of one benchmark on one machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It was measured.
    Measured(Sample),
    /// It is not there for this machine.
    Absent,
    /// It failed: why.
    Failed(Failure),
}

/// Where outcomes go, and progress is shown.
pub(crate) trait Watch {
    /// This benchmark is being run now.
    fn trying(&mut self, name: &str);
    /// This came out of it.
    fn outcome(&mut self, name: &str, outcome: Outcome);
}

/// Runs the named benchmarks by what `start` gives for them: in one guest, and after a failure the remaining ones in another. A
/// guest that does not even start the first benchmark is an error.
pub(crate) fn programs(
    start: impl Fn(&[&str]) -> Command,
    names: &[&str],
    interrupted: &AtomicBool,
    watch: &mut impl Watch,
) -> Result<(), Stop> {
    let mut todo = names;
    while !todo.is_empty() {
        let session = Session::start(start(todo), interrupted)?;
        let mut run = Run::of(session);
        match run.follow(watch) {
            Ok(()) => return Ok(()),
            Err(Stop::Failed(why)) => {
                let name = run.current.take().ok_or(Stop::Failed(why.clone()))?;
                watch.outcome(&name, Outcome::Failed(why));
                todo = &todo[(run.done + 1).min(todo.len())..];
            }
            Err(interrupted) => return Err(interrupted),
        }
    }
    Ok(())
}

/// Runs the program that needs no kernel.
pub(crate) fn bare(
    machine: &Machine,
    guest: &Guest,
    name: &str,
    interrupted: &AtomicBool,
    watch: &mut impl Watch,
) -> Result<(), Stop> {
    let mut run = Run::of(Session::start(machine.bare(guest), interrupted)?);
    match run.follow(watch) {
        Err(Stop::Failed(why)) => {
            watch.outcome(name, Outcome::Failed(why));
            Ok(())
        }
        ended => ended,
    }
}

/// One guest that goes through its list.
struct Run<'a> {
    session: Session<'a>,
    /// The benchmark that runs.
    current: Option<String>,
    /// The processor time when its measured rounds began.
    started: CpuTime,
    /// How many are over.
    done: usize,
}

impl<'a> Run<'a> {
    fn of(session: Session<'a>) -> Self {
        Self { session, current: None, started: CpuTime::default(), done: 0 }
    }

    fn follow(&mut self, watch: &mut impl Watch) -> Result<(), Stop> {
        loop {
            let line = self.session.line()?;
            match said::parse(&line) {
                Some(Said::Try(name)) => {
                    watch.trying(&name);
                    self.current = Some(name);
                }
                Some(Said::Start(_)) => self.started = self.session.cpu_time(),
                Some(Said::Bench { name, ns_per_round, rounds, check }) => {
                    let used = self.session.cpu_time() - self.started;
                    let each = |ns: f64| ns / rounds as f64;
                    let cpu = CpuTime { user: each(used.user), system: each(used.system) };
                    self.over(
                        watch,
                        &name,
                        Outcome::Measured(Sample { ns: ns_per_round, cpu, rounds, check }),
                    );
                }
                Some(Said::Skip(name)) => self.over(watch, &name, Outcome::Absent),
                Some(Said::Fail(why)) => return Err(Stop::Failed(format!("the guest says: {why}"))),
                Some(Said::Done) => return Ok(()),
                None if line.contains("Kernel panic") => {
                    return Err(self.session.failed("the guest's kernel panicked"));
                }
                None => {}
            }
        }
    }

    fn over(&mut self, watch: &mut impl Watch, name: &str, outcome: Outcome) {
        self.current = None;
        self.done += 1;
        watch.outcome(name, outcome);
    }
}

/// Boots a machine to a shell.
pub(crate) fn boot(
    machine: &Machine,
    guest: &Guest,
    name: &str,
    interrupted: &AtomicBool,
    watch: &mut impl Watch,
) -> Result<(), Stop> {
    watch.trying(name);
    let mut session = Session::start(machine.boot(guest), interrupted)?;
    let outcome = loop {
        match session.line() {
            Ok(line) if line.starts_with(SHELL_IS_THERE) => {
                let ns = session.elapsed().as_secs_f64() * 1e9;
                break Outcome::Measured(Sample { ns, cpu: session.cpu_time(), rounds: 1, check: 0 });
            }
            Ok(_) => {}
            Err(Stop::Failed(why)) => break Outcome::Failed(why),
            Err(interrupted) => return Err(interrupted),
        }
    };
    watch.outcome(name, outcome);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Notes(Vec<(String, Outcome)>);

    impl Watch for Notes {
        fn trying(&mut self, _: &str) {}

        fn outcome(&mut self, name: &str, outcome: Outcome) {
            self.0.push((name.into(), outcome));
        }
    }

    fn run(script: &str) -> (Result<(), Stop>, Option<String>, Notes) {
        let never = AtomicBool::new(false);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let session = Session::start(command, &never).unwrap();
        let mut run = Run::of(session);
        let mut notes = Notes::default();
        let end = run.follow(&mut notes);
        (end, run.current, notes)
    }

    #[test]
    fn a_whole_run() {
        let (end, current, notes) =
            run("echo '[ 0.1] Linux'; echo TRY a; echo START a; echo BENCH a 12.50 8 0f; \
             echo SKIP b; echo DONE");
        assert_eq!((end, current), (Ok(()), None));
        let [(a, Outcome::Measured(sample)), (b, Outcome::Absent)] = &notes.0[..] else {
            panic!("{:?}", notes.0)
        };
        assert_eq!((a.as_str(), b.as_str()), ("a", "b"));
        assert_eq!((sample.ns, sample.rounds, sample.check), (12.5, 8, 15));
    }

    #[test]
    fn a_guest_that_dies_says_in_what() {
        let (end, current, notes) = run("echo TRY a; echo oops >&2; sleep 0; exit 1");
        assert!(matches!(end, Err(Stop::Failed(why)) if why.contains("oops")));
        assert_eq!(current.as_deref(), Some("a"));
        assert!(notes.0.is_empty());
    }
}
