//! Random programs in lockstep, with interrupts at random instants.
//!
//! Each program runs for some hundred stretches (see [`emu_engine::interp::lockstep`]), whose lengths are random; time
//! passes between them, so that timers come due anywhere in a program. All of it follows from a seed, but for the programs
//! (one in [`ROUGH`]) that a second thread rings in the middle of stretches, at whatever instant that is.
//!
//! | to | say |
//! |---|---|
//! | do what the tests do | `cargo run --release -p understage-tests --bin soak -- --seconds 120` |
//! | soak for half an hour | `cargo run --release -p understage-tests --bin soak -- --minutes 30` |
//! | try what nobody has tried | the same with `--seed new` |
//! | see one program again | `cargo run --release -p understage-tests --bin soak -- --seed SEED --program NUMBER` |

mod image;
mod program;
mod words;

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use emu_engine::interp::lockstep::Totals;
use emu_pe::doorbell::{Doorbell, reason};
use emu_pe::model::Model;

use crate::fuzz::{Pe, Random};
use crate::machine::Execution;

/// One program in so many is rung by another thread, and cannot be repeated exactly.
pub const ROUGH: u64 = 4;
/// Stretches of a program at most.
const STRETCHES: u64 = 600;
/// Stretches that the way into a program takes at most: it mostly writes system registers.
const PROLOGUE: u64 = 300;
/// The most nanoseconds that pass between two stretches.
const STEP: u64 = 20_000;
/// Host code that is kept: little, so that it is dropped often.
const CODE_BYTES: usize = 1 << 20;
/// How often a block runs until it is compiled.
const COMPILED_AT: [u8; 4] = [1, 1, 2, 5];
/// A stretch that takes longer sleeps for ever.
const ASLEEP: Duration = Duration::from_secs(2);

const MODELS: [fn() -> Model; 3] = [Model::cortex_a72, Model::neoverse_n1, Model::max];

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// For some time.
    Time(Duration),
    /// Only this program.
    Program(u64),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Programs.
    pub programs: u64,
    /// What lockstep says.
    pub totals: Totals,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = self.totals;
        write!(
            f,
            "{} programs, {} blocks, {} instructions in {} stretches compared ({} instructions done once, {} stretches \
             not compared)",
            self.programs, t.blocks, t.instructions, t.stretches, t.unchecked, t.inconclusive
        )
    }
}

/// Rings while a program runs, and wakes a PE that would sleep for ever. Ends with its owner.
struct Ringer {
    running: Arc<AtomicBool>,
    rough: Arc<AtomicBool>,
    stretches: Arc<AtomicU64>,
}

impl Ringer {
    fn new(bell: Arc<Doorbell>) -> Self {
        let this = Self {
            running: Arc::new(AtomicBool::new(true)),
            rough: Arc::default(),
            stretches: Arc::default(),
        };
        let (running, rough, stretches) = (this.running.clone(), this.rough.clone(), this.stretches.clone());
        std::thread::spawn(move || {
            let (mut last, mut since) = (0, Instant::now());
            while running.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_micros(20));
                if rough.load(Ordering::Acquire) {
                    bell.ring(reason::INTERRUPT);
                }
                let now = stretches.load(Ordering::Acquire);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > ASLEEP {
                    bell.ring(reason::CONTROL);
                    since = Instant::now();
                }
            }
        });
        this
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Release);
    }
}

/// A PE of each model.
struct Soak {
    pes: Vec<(Pe, Ringer)>,
}

impl Soak {
    fn new() -> Self {
        let pes = MODELS.map(|model| {
            let pe = Pe::new(model(), Execution::Lockstep, CODE_BYTES);
            let ringer = Ringer::new(pe.vcpu.cpu.wires.doorbell().clone());
            (pe, ringer)
        });
        Self { pes: pes.into() }
    }

    /// Runs a program; the error is the report on the first difference.
    fn program(&mut self, seed: u64, number: u64) -> Result<Totals, String> {
        let mut random = Random::new(seed ^ number.wrapping_mul(0xa076_1d64_78bd_642f));
        let which = random.below(self.pes.len() as u64) as usize;
        let (pe, ringer) = &mut self.pes[which];
        let mut image = image::Image::new(&mut random);
        program::place(&mut image, &mut random, pe.vcpu.cpu.identity.features());
        pe.load(&image.0);
        // When blocks are compiled, and the lengths of the stretches, belong to the program, too.
        pe.vcpu.use_jit(CODE_BYTES, COMPILED_AT[random.below(4) as usize]);
        if !pe.vcpu.check_lockstep(random.next()) {
            return Err("there is no code generator for this host\n".to_owned());
        }
        ringer.rough.store(number % ROUGH == ROUGH - 1, Ordering::Release);
        let mut report = None;
        for _ in 0..PROLOGUE {
            if image::is_in_program(pe.vcpu.cpu.regs.pc) {
                break;
            }
            pe.vcpu.run_turns(1);
        }
        for _ in 0..1 + random.below(STRETCHES) {
            ringer.stretches.fetch_add(1, Ordering::AcqRel);
            pe.vcpu.run_turns(1);
            report = pe.vcpu.take_difference();
            if report.is_some() {
                break;
            }
            if random.below(8) == 0 {
                pe.clock.advance(random.below(STEP));
            }
        }
        ringer.rough.store(false, Ordering::Release);
        report.map_or_else(|| Ok(pe.vcpu.lockstep_totals().unwrap_or_default()), Err)
    }
}

/// Runs programs. The error is the report on the first difference, and how to see it again.
pub fn run(seed: u64, until: Until, mut progress: impl FnMut(&Done)) -> Result<Done, String> {
    let mut soak = Soak::new();
    let mut done = Done::default();
    let begun = Instant::now();
    let mut told = begun;
    let (first, last, time) = match until {
        Until::Time(time) => (0, u64::MAX, time),
        Until::Program(n) => (n, n, Duration::MAX),
    };
    for number in first..=last {
        let totals = soak.program(seed, number).map_err(|report| {
            format!(
                "{report}\nprogram {number} of seed {seed} (after {done}); to see it again:\n  cargo run --release -p \
                 understage-tests --bin soak -- --seed {seed} --program {number}\n"
            )
        })?;
        done.programs += 1;
        done.totals = done.totals.add(totals);
        if begun.elapsed() >= time {
            break;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            progress(&done);
        }
    }
    Ok(done)
}
