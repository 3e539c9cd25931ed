//! Host code against the interpreter, on the same memory.
//!
//! A vCPU in lockstep runs *stretches*: host code runs as it always does, block to block by all the links between them,
//! for a budget of instructions; then registers and memory are put back, the interpreter runs just as many instructions,
//! and what both left behind is compared. What the interpreter left is what the machine goes on with, so that a
//! difference cannot spread.
//!
//! # What is compared
//! X0..X30, SP, V0..V31, NZCV, FPCR, FPSR, PSTATE, the stored system registers, the exclusive monitor, every byte of
//! RAM that either wrote, where the stretch ended, after how many instructions, and with which exception.
//!
//! # What is not
//! Operations with effects elsewhere, or whose result is another one each time, are done once, by the interpreter: a
//! stretch ends before them ([`repeatable`], [`emu_pe::mem::journal`]). They are accesses to registers of devices, system
//! registers that are more than storage, TLBI and AT, SEV, stores to pages that code was made from, and, with more than
//! one vCPU, DSB. Exceptions and returns from them, WFI and the like end a block; up
//! to there all is compared. A stretch during which a walk updated a descriptor is not compared, for the descriptor may
//! have been read, too. PSTATE.BTYPE in a block that a branch has entered is compared while the block's first instruction
//! is not done.
//!
//! # Others
//! One vCPU runs at a time; whoever waits for its turn counts as parked. DMA waits while a stretch is under way
//! ([`turns`]). Interrupts arrive whenever they do: host code stops at its next check, and the interpreter
//! there, too.

mod follow;
pub(crate) mod repeatable;
mod report;
mod state;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use emu_a64::ir::LeaveKind;
use emu_core::metrics::Metric;
use follow::{Interpreted, Natively, Reached, StretchEnd};
use parking_lot::MutexGuard;
use state::RegisterSnapshot;
use turns::Turns;

use super::block_loop::LoopEnd;
use super::exec::End;
use super::run::{Blocks, Position};
use super::vcpu::Vcpu;

/// The most instructions of a stretch.
const LONGEST: u64 = 4096;
/// Different bytes that a report lists.
const BYTES: usize = 64;

/// What was done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Stretches that were compared.
    pub stretches: u64,
    /// Blocks of the interpreter in them.
    pub blocks: u64,
    /// Instructions in them.
    pub instructions: u64,
    /// Instructions that were executed once, by the interpreter, and not compared.
    pub unchecked: u64,
    /// Stretches that were not compared, as a walk has updated a descriptor.
    pub inconclusive: u64,
}

impl std::ops::Add for Totals {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            stretches: self.stretches + other.stretches,
            blocks: self.blocks + other.blocks,
            instructions: self.instructions + other.instructions,
            unchecked: self.unchecked + other.unchecked,
            inconclusive: self.inconclusive + other.inconclusive,
        }
    }
}

/// The state of the check of one vCPU.
pub(super) struct Lockstep {
    turns: Arc<Turns>,
    /// Where the lengths of stretches come from.
    random: u64,
    totals: Totals,
    difference: Option<String>,
    /// Ends of the last stretches, oldest first.
    history: Vec<String>,
}

impl Lockstep {
    /// Lengths of all orders of magnitude, the same ones in each run.
    fn budget(&mut self) -> u64 {
        // A linear congruential generator (Knuth's MMIX).
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = self.random >> 40;
        (LONGEST >> (bits % 13)).max(1) + (self.random >> 50) % 8
    }

    fn add_to_history(&mut self, text: String) {
        if self.history.len() >= 16 {
            self.history.remove(0);
        }
        self.history.push(text);
    }
}

/// What differs.
struct Difference {
    native: Reached,
    interpreted: Reached,
    /// After the one and the other.
    states: [RegisterSnapshot; 2],
    bytes: Vec<emu_pe::mem::journal::DifferentByte>,
}

impl Vcpu {
    /// From now on checks host code against the interpreter. After [`Vcpu::use_jit`]; false if there is no host code.
    /// `seed` chooses the lengths of stretches. Either all vCPUs of a machine are checked or none, for only those that are
    /// wait for each other's turns.
    pub fn check_lockstep(&mut self, seed: u64) -> bool {
        if self.native.is_none() {
            return false;
        }
        let Some(turns) = Turns::of(self.cpu.mem.bus()) else { return false };
        // Host code is made in another way, and nothing can be written in line yet.
        self.cache.clear();
        self.cpu.mem.begin_journal();
        let totals = Totals::default();
        let (difference, history) = (None, Vec::new());
        self.lockstep = Some(Box::new(Lockstep { turns, random: seed, totals, difference, history }));
        true
    }

    /// The report on the first difference, after which the vCPU does not run any more.
    pub fn take_difference(&mut self) -> Option<String> {
        self.lockstep.as_mut()?.difference.take()
    }

    /// What lockstep has done so far.
    #[must_use]
    pub fn lockstep_totals(&self) -> Option<Totals> {
        self.lockstep.as_ref().map(|l| l.totals)
    }

    /// There is a report.
    #[must_use]
    pub fn has_difference(&self) -> bool {
        self.lockstep.as_ref().is_some_and(|l| l.difference.is_some())
    }

    /// One stretch, and what ended it.
    pub(super) fn run_lockstep(&mut self) {
        let Some(turns) = self.lockstep.as_ref().map(|l| l.turns.clone()) else { return };
        let alone = !self.cpu.mem.has_peers();
        if !alone {
            self.cpu.mem.park();
        }
        let turn = turns.take();
        if !alone {
            self.cpu.mem.unpark();
        }
        let leave = self.stretch(&turns);
        MutexGuard::unlock_fair(turn);
        self.leave(leave);
    }

    fn stretch(&mut self, turns: &Turns) -> Option<LeaveKind> {
        let pc = self.cpu.regs.pc;
        let Some(lockstep) = &mut self.lockstep else { return None };
        let budget = lockstep.budget();
        let before = RegisterSnapshot::of(&self.frame, &mut self.cpu);
        let counted = self.cpu.counters.get(Metric::Instructions);
        let quiet = turns.hold_devices();
        self.cpu.mem.record();
        let result = match self.compare(pc, &before, budget) {
            Ok(reached) => Ok(reached),
            Err(found) => Err(self.describe(pc, &before, budget, *found)),
        };
        self.cpu.mem.accept();
        drop(quiet);
        // Both counted.
        let now = self.cpu.counters.get(Metric::Instructions);
        let lockstep = self.lockstep.as_mut()?;
        match result {
            Ok(reached) => {
                let pc = reached.pc(self.cache.get(reached.at.index).map(|b| &b.code));
                lockstep.add_to_history(format!(
                    "{:#x}: {:?} after {} instructions",
                    pc, reached.why, reached.done
                ));
                lockstep.totals.instructions += reached.done;
                lockstep.totals.blocks += reached.trail.len() as u64;
                self.cpu
                    .counters
                    .bump_by(Metric::Instructions, counted.wrapping_sub(now).wrapping_add(reached.done));
                self.finish_stretch(&reached)
            }
            Err(report) => {
                lockstep.difference = Some(report);
                self.cpu.regs.pc = pc;
                None
            }
        }
    }

    /// Runs by host code, then by the interpreter, and compares. The journal still holds what they wrote.
    fn compare(
        &mut self,
        pc: u64,
        before: &RegisterSnapshot,
        budget: u64,
    ) -> Result<Reached, Box<Difference>> {
        let native = Natively::follow(self.blocks(true), pc, budget);
        let after_native = RegisterSnapshot::of(&self.frame, &mut self.cpu);
        self.cpu.mem.take_back();
        before.restore(&mut self.frame, &mut self.cpu);
        let interpreted = Interpreted::follow(self.blocks(false), pc, &native);
        let after = RegisterSnapshot::of(&self.frame, &mut self.cpu);
        let bytes = self.cpu.mem.different_bytes(BYTES);
        let Some(lockstep) = &mut self.lockstep else { return Ok(interpreted) };
        if self.cpu.mem.is_inconclusive() {
            lockstep.totals.inconclusive += 1;
            return Ok(interpreted);
        }
        lockstep.totals.stretches += 1;
        if native.agrees(&interpreted) && after_native.agrees(&after) && bytes.is_empty() {
            return Ok(interpreted);
        }
        Err(Box::new(Difference { native, interpreted, states: [after_native, after], bytes }))
    }

    /// Looks for the shortest stretch that differs, and describes it.
    fn describe(&mut self, pc: u64, before: &RegisterSnapshot, budget: u64, found: Difference) -> String {
        let mut shortest = (budget, found);
        let lengths = (0..).map(|n| 1 << n).take_while(|n| *n < budget);
        for budget in lengths {
            self.cpu.mem.rewind();
            before.restore(&mut self.frame, &mut self.cpu);
            if let Err(found) = self.compare(pc, before, budget) {
                shortest = (budget, *found);
                break;
            }
        }
        let history = self.lockstep.as_ref().map(|l| l.history.join("\n  ")).unwrap_or_default();
        report::report(self, pc, before, &shortest.1, shortest.0, &history)
    }

    fn blocks(&mut self, natively: bool) -> Blocks<'_> {
        let Self { cpu, frame, cache, native, .. } = self;
        Blocks::new(cpu, frame, cache, native.as_mut().filter(|_| natively))
    }

    /// Does what the end of a stretch asks for: an exception, a return from the loop, an instruction that was not replayable.
    fn finish_stretch(&mut self, reached: &Reached) -> Option<LeaveKind> {
        let at = reached.at;
        let length = self.cache.get(at.index).map_or(0, |b| b.length());
        let (insn, end) = match reached.why {
            StretchEnd::Budget | StretchEnd::TooFar => return self.end(at, LoopEnd::Between, None),
            StretchEnd::Before(e) => return self.end(at, LoopEnd::Before(e), None),
            StretchEnd::NotReplayable(insn) => {
                if insn == 0 {
                    self.cpu.pstate.btype = at.btype_on_entry;
                }
                return self.run_without_check(at.pc.wrapping_add(4 * insn as u64));
            }
            // What follows counts the whole block and takes back what was not done.
            StretchEnd::Fault(stop, insn) => (insn as u64, End::Fault(stop, insn as u16)),
            StretchEnd::Exception(e) => (length, End::Exception(e)),
            StretchEnd::Leave(kind) => (length, End::Leave(kind)),
        };
        self.cpu.counters.bump_by(Metric::Instructions, length.wrapping_sub(insn));
        self.end(at, LoopEnd::Block(end), None)
    }

    /// Executes one instruction by the interpreter only: it cannot be replayed.
    fn run_without_check(&mut self, pc: u64) -> Option<LeaveKind> {
        if let Some(lockstep) = &mut self.lockstep {
            lockstep.totals.unchecked += 1;
        }
        let mut at = Position::at(pc);
        let (code, end) = self.blocks(false).single(&mut at, Metric::InterpretedOnce);
        self.end(at, LoopEnd::Block(end), Some(&code))
    }
}
