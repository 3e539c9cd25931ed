//! Running one stretch of code, by host code or by the interpreter, until something must be done only once.

use emu_a64::ir::{ExcOp, LeaveKind};
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::{Exception, Stop};

use super::repeatable::is_repeatable;
use crate::interp::block::Code;
use crate::interp::block_loop::{LoopEnd, Policy, Undisturbed};
use crate::interp::cache::Cached;
use crate::interp::exec::{self, End};
use crate::interp::run::{Blocks, Position};
use crate::interp::uop::{Frame, Uop};

/// Why a stretch ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum StretchEnd {
    /// Between two blocks: there have been enough instructions, or somebody wants attention.
    Budget,
    /// An instruction was given up; its number in the block.
    Fault(Stop, usize),
    /// An instruction cannot be done twice, and has not been done; its number in the block.
    NotReplayable(usize),
    /// The block's last instruction asks for an exception,
    Exception(ExcOp),
    /// or for the machine.
    Leave(LeaveKind),
    /// In place of the next instruction there is an exception: it cannot be fetched.
    Before(Exception),
    /// The interpreter went on where host code did not.
    TooFar,
}

/// How far a stretch got.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub why: StretchEnd,
    /// The block that was executed last, or, between blocks, the next one's address only.
    pub at: Position,
    /// Instructions that are done.
    pub done: u64,
    /// Addresses and numbers of the blocks on the way, as far as they are known.
    pub trail: Vec<Position>,
}

impl Reached {
    /// Address of the instruction that is next, or that the end is about.
    pub(super) fn pc(&self, code: Option<&Code>) -> u64 {
        let insn = match self.why {
            StretchEnd::Fault(_, insn) | StretchEnd::NotReplayable(insn) => insn,
            StretchEnd::Exception(_) | StretchEnd::Leave(_) => {
                code.map_or(0, |c| c.words.len().saturating_sub(1))
            }
            _ => 0,
        };
        self.at.pc.wrapping_add(4 * insn as u64)
    }

    /// With the end of the loop. All of the last block has been counted.
    fn because(self, ended: LoopEnd, blocks: &Blocks<'_>) -> Self {
        let length = blocks.cache.get(self.at.index).map_or(0, |b| b.code.words.len() as u64);
        let why = match ended {
            LoopEnd::Before(e) => StretchEnd::Before(e),
            LoopEnd::Block(End::Fault(stop, insn)) => {
                let done = self.done.wrapping_sub(length).wrapping_add(u64::from(insn));
                let insn = usize::from(insn);
                let why = if stop == Stop::NotReplayable {
                    StretchEnd::NotReplayable(insn)
                } else {
                    StretchEnd::Fault(stop, insn)
                };
                return Self { why, done, ..self };
            }
            LoopEnd::Block(End::Exception(e)) => StretchEnd::Exception(e),
            LoopEnd::Block(End::Leave(kind)) => StretchEnd::Leave(kind),
            LoopEnd::Between
            | LoopEnd::Block(End::Exit(_) | End::Indirect(_) | End::IndirectTyped(..) | End::Next) => {
                self.why
            }
        };
        Self { why, ..self }
    }

    /// True if both came to the same place in the same way.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        // PSTATE.BTYPE is set aside while the first instruction of a block is not done.
        let first = matches!(
            self.why,
            StretchEnd::Fault(_, 0) | StretchEnd::NotReplayable(0) | StretchEnd::Exception(_)
        );
        self.why == other.why
            && self.at.pc == other.at.pc
            && self.done == other.done
            && (!first || self.at.btype_on_entry == other.at.btype_on_entry)
    }
}

/// The loop that ships, for `budget` instructions or a few more.
pub(super) struct Natively {
    budget: u64,
    /// What host code had counted when nothing was done.
    start: u64,
    done: u64,
    trail: Vec<Position>,
}

impl Policy for Natively {
    fn ends(&mut self, blocks: &Blocks<'_>, at: &Position) -> bool {
        self.done >= self.budget || Undisturbed.ends(blocks, at)
    }

    fn run(&mut self, blocks: &mut Blocks<'_>, at: &mut Position) -> Option<End> {
        self.trail.push(*at);
        blocks.frame.jit.limit = self.start.wrapping_add(self.budget);
        let end = blocks.run(at, self);
        self.done = blocks.frame.jit.count.wrapping_sub(self.start);
        if self.trail.last().is_none_or(|p| p.pc != at.pc) {
            self.trail.push(*at);
        }
        end
    }

    fn interpret(&mut self, code: &Code, pc: u64, frame: &mut Frame, cpu: &mut Cpu) -> End {
        // Host code does not count it.
        self.start = self.start.wrapping_sub(code.words.len() as u64);
        run(code, pc, frame, cpu)
    }

    /// A loop with something in it that is done once is left as it is.
    fn may_be_recorded(&self, blocks: &Blocks<'_>, at: &Position) -> bool {
        let whole = |b: &Cached| b.code.uops.iter().all(|uop| is_repeatable(uop, blocks.cpu));
        blocks.cache.get(at.index).is_some_and(whole)
    }
}

impl Natively {
    /// Follows code from `pc`.
    pub(super) fn follow(mut blocks: Blocks<'_>, pc: u64, budget: u64) -> Reached {
        let start = blocks.frame.jit.count;
        let (mut at, mut policy) = (Position::at(pc), Self { budget, start, done: 0, trail: Vec::new() });
        let ended = blocks.follow(&mut at, &mut policy);
        let reached = Reached { why: StretchEnd::Budget, at, done: policy.done, trail: policy.trail };
        reached.because(ended, &blocks)
    }
}

/// The interpreter, up to where host code came: as many instructions if that was between two blocks, the same event
/// otherwise.
pub(super) struct Interpreted<'a> {
    native: &'a Reached,
    done: u64,
    trail: Vec<Position>,
}

impl Policy for Interpreted<'_> {
    fn ends(&mut self, _: &Blocks<'_>, _: &Position) -> bool {
        self.done > self.native.done || self.native.why == StretchEnd::Budget && self.done == self.native.done
    }

    fn run(&mut self, blocks: &mut Blocks<'_>, at: &mut Position) -> Option<End> {
        self.trail.push(*at);
        blocks.run(at, self)
    }

    fn interpret(&mut self, code: &Code, pc: u64, frame: &mut Frame, cpu: &mut Cpu) -> End {
        self.done += code.words.len() as u64;
        run(code, pc, frame, cpu)
    }

    /// What host code has done is counted.
    fn count(&self, _: &Cpu, _: u64, _: Metric) {}

    /// Host code goes on behind it if nothing has to be looked at, which it knows better in some cases.
    fn passes_context(&self, _: &Cpu) -> bool {
        self.native.why != StretchEnd::Leave(LeaveKind::Context) || self.native.done != self.done
    }
}

impl Interpreted<'_> {
    /// Follows code from `pc`.
    pub(super) fn follow(mut blocks: Blocks<'_>, pc: u64, native: &Reached) -> Reached {
        let (mut at, mut policy) = (Position::at(pc), Interpreted { native, done: 0, trail: Vec::new() });
        let ended = blocks.follow(&mut at, &mut policy);
        let between = if policy.done > native.done { StretchEnd::TooFar } else { StretchEnd::Budget };
        let reached = Reached { why: between, at, done: policy.done, trail: policy.trail };
        reached.because(ended, &blocks)
    }
}

/// Runs a block; stops before what cannot be done twice.
fn run(code: &Code, pc: u64, frame: &mut Frame, cpu: &mut Cpu) -> End {
    if code.uops.iter().all(|uop| is_repeatable(uop, cpu)) {
        return exec::run(code, pc, frame, cpu);
    }
    for (n, uop) in code.uops.iter().enumerate() {
        if !is_repeatable(uop, cpu) {
            let insn = code.insn_of.get(n).copied().unwrap_or(0);
            return End::Fault(Stop::NotReplayable, insn);
        }
        match exec::run_one(code, n, pc, frame, cpu) {
            End::Next => {}
            end => return end,
        }
    }
    debug_assert!(matches!(code.uops.last(), None | Some(Uop::Leave { .. })), "a block has an end");
    End::Leave(LeaveKind::Context)
}
