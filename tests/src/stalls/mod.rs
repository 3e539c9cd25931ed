//! Stalls by the thousand: masters whose pages are not there, and two processors that answer as they like.
//!
//! The masters are devices of the ordinary kind: each has two tasks under way at a time ([`emu_core::dma::Task`]), on a thread of its
//! own. The processors are threads of the host that do with the SMMU what system software does, through its registers and
//! queues: they map the page and resume, resume without mapping, terminate one stall or those of a stream, take pages away,
//! invalidate what is cached (by commands, or as TLB maintenance of a CPU), detach streams, turn the SMMU off and on, and reset
//! it.
//!
//! What is checked, of each transaction ([`ledger`]): that one which stalled has moved nothing and comes again from the same byte;
//! that bytes are in memory exactly as far as the transfer came, and nothing is beyond; that each stall is answered, and once.
//!
//! | to | say |
//! |---|---|
//! | do what the tests do | `cargo run --release -p understage-tests --bin stalls` |
//! | see more of them | `cargo run --release -p understage-tests --bin stalls -- --stalls 1000000` |
//! | try what nobody has tried | the same with `--seed new` |
//!
//! A seed determines what each thread decides, not how threads interleave.

mod ledger;
mod master;
mod rig;
mod vcpu;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::fuzz::Random;

use self::rig::Rig;

/// A master that is not answered for so long has been forgotten.
const PATIENCE: Duration = Duration::from_secs(60);

macro_rules! counts {
    ($($name:ident $text:literal,)*) => {
        /// How often things happened.
        #[derive(Default)]
        struct Counts {
            $($name: AtomicU64,)*
        }

        /// How often things happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Done {
            $(#[doc = $text] pub $name: u64,)*
        }

        impl Counts {
            fn done(&self) -> Done {
                Done { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl std::fmt::Display for Done {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let all = [$((self.$name, $text),)*];
                let words: Vec<String> = all.iter().map(|(n, text)| format!("{n} {text}")).collect();
                f.write_str(&words.join(", "))
            }
        }
    };
}

counts! {
    stalls "stalls",
    bytes "bytes moved",
    complete "transfers complete",
    aborted "aborted",
    cancelled "cancelled",
    retried "answers to try again",
    mapped "of them with the page mapped",
    refused "to abort",
    zeroed "to read zeroes",
    terminated "CMD_STALL_TERM",
    unmapped "times pages taken away",
    forgotten "invalidations of configuration",
    detached "streams detached",
    disabled "times off and on",
    reset "resets",
}

fn count(of: &AtomicU64) {
    of.fetch_add(1, Ordering::Relaxed);
}

/// What all threads share.
struct Run {
    rig: Rig,
    counts: Counts,
    /// By stream.
    zeroed: Vec<ledger::Zeroed>,
    /// Stalls after which masters begin nothing more.
    enough: u64,
    /// Masters that are at work.
    left: AtomicUsize,
    failed: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl Run {
    /// Notes what is wrong; the first one counts.
    fn fail(&self, problem: String) {
        self.problem.lock().get_or_insert(problem);
        self.failed.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

/// Goes on until there were so many stalls. The error says what is wrong.
pub fn run(seed: u64, stalls: u64) -> Result<Done, String> {
    let run = Arc::new(Run {
        rig: Rig::new(),
        zeroed: (0..rig::STREAMS).map(|_| ledger::Zeroed::default()).collect(),
        counts: Counts::default(),
        enough: stalls,
        left: AtomicUsize::new(rig::STREAMS as usize),
        failed: AtomicBool::new(false),
        problem: Mutex::default(),
    });
    let random = |n: u64| Random::new(seed ^ n.wrapping_mul(0xa076_1d64_78bd_642f));
    run.rig.lock_all().set_up(7);
    std::thread::scope(|scope| {
        for stream in 0..rig::STREAMS {
            let run = &run;
            scope.spawn(move || {
                if let Err(problem) = master::work(run, stream, random(u64::from(stream) + 1)) {
                    run.fail(format!("stream {stream}: {problem}"));
                }
                run.left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        for cpu in 0..2 {
            let run = &run;
            scope.spawn(move || {
                if let Err(problem) = vcpu::work(run, random(1000 + cpu)) {
                    run.fail(format!("vCPU {cpu}: {problem}"));
                }
            });
        }
    });
    let left = run.rig.smmu.core().stalled();
    let problem = run.problem.lock().take();
    match problem {
        Some(problem) => Err(format!("seed {seed}: {problem} (after {})", run.counts.done())),
        None if !left.is_empty() => Err(format!("seed {seed}: nobody waits for {left:?}")),
        None => Ok(run.counts.done()),
    }
}
