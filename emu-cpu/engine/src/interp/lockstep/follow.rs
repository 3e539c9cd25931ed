//! Running one stretch of code, by host code or by the interpreter, until something must be done only once.

use emu_a64::ir::{ExcOp, LeaveKind};
use emu_pe::cpu::Cpu;
use emu_pe::exception::Exception;

use super::repeatable::is_repeatable;
use crate::interp::block::Code;
use crate::interp::cache::Cached;
use crate::interp::exec::{self, End};
use crate::interp::run::{Blocks, Came, Place};
use crate::interp::uop::{Frame, Uop};

/// Why a stretch ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Why {
    /// Between two blocks: there have been enough instructions, or somebody wants attention.
    Enough,
    /// An instruction raised an exception; its number in the block.
    Fault(Exception, usize),
    /// An instruction cannot be done twice, and has not been done; its number in the block.
    Once(usize),
    /// The block's last instruction asks for an exception,
    Exception(ExcOp),
    /// or for the machine.
    Leave(LeaveKind),
    /// The next instruction cannot be fetched.
    Fetch(Exception),
    /// The program counter is not aligned.
    Alignment,
    /// The interpreter went on where host code did not.
    TooFar,
}

/// How far a stretch got.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub why: Why,
    /// The block that was executed last, or, between blocks, the next one's address only.
    pub at: Place,
    /// Instructions that are done.
    pub done: u64,
    /// Addresses and numbers of the blocks on the way, as far as they are known.
    pub trail: Vec<Place>,
}

impl Reached {
    /// Address of the instruction that is next, or that the end is about.
    pub(super) fn pc(&self, code: Option<&Code>) -> u64 {
        let insn = match self.why {
            Why::Fault(_, insn) | Why::Once(insn) => insn,
            Why::Exception(_) | Why::Leave(_) => code.map_or(0, |c| c.words.len().saturating_sub(1)),
            _ => 0,
        };
        self.at.pc.wrapping_add(4 * insn as u64)
    }

    /// True if both came to the same place in the same way.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        // PSTATE.BTYPE is set aside while the first instruction of a block is not done.
        let first = matches!(self.why, Why::Fault(_, 0) | Why::Once(0) | Why::Exception(_));
        self.why == other.why
            && self.at.pc == other.at.pc
            && self.done == other.done
            && (!first || self.at.landed == other.at.landed)
    }
}

/// Follows code from the current place.
pub(super) struct Follower<'a> {
    pub blocks: Blocks<'a>,
    pub at: Place,
    pub done: u64,
    pub trail: Vec<Place>,
}

impl Follower<'_> {
    fn reached(self, why: Why) -> Reached {
        Reached { why, at: self.at, done: self.done, trail: self.trail }
    }

    /// The next block, up to date, or why there is none.
    fn find(&mut self) -> Result<(), Why> {
        if self.at.pc & 3 != 0 {
            return Err(Why::Alignment);
        }
        self.blocks.find(&mut self.at).map_err(Why::Fetch)?;
        Ok(())
    }

    /// False if the block must be looked for again.
    fn renew(&mut self) -> Result<bool, Why> {
        loop {
            let Some(block) = self.blocks.cache.get(self.at.index) else { return Ok(false) };
            if block.generation == self.blocks.cpu.mem.shared.code.generation(block.page) {
                return Ok(true);
            }
            self.blocks.cache.renew(self.blocks.cpu, self.at.index, self.at.pc).map_err(Why::Fetch)?;
        }
    }

    /// Exit `n`, as the loop over blocks does it; true if its block is known.
    fn exit(&mut self, n: usize) -> bool {
        let (serial, epoch) = (self.blocks.cpu.mem.serial(self.at.pc), self.blocks.cache.epoch());
        let from = self.at.index;
        let Some(block) = self.blocks.cache.get(from) else { return false };
        let exit = block.code.exits[n & 1];
        self.blocks.came = Came::ByExit { serial, epoch, from, n: n & 1 };
        self.at.pc = self.at.pc.wrapping_add(exit.rel as u64);
        if exit.serial != serial {
            return false;
        }
        (self.at.index, self.at.landed) = (exit.block, 0);
        self.blocks.link_native(&self.at);
        true
    }

    /// As host code, for `budget` instructions or a few more, with all links between blocks as they are made.
    pub(super) fn natively(mut self, budget: u64) -> Reached {
        let mut start = self.blocks.frame.jit.count;
        'next: loop {
            if self.done >= budget || self.blocks.cpu.doorbell.is_rung() {
                return self.reached(Why::Enough);
            }
            if let Err(why) = self.find() {
                return self.reached(why);
            }
            loop {
                match self.renew() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.blocks.take_landing_back(&self.at);
                        continue 'next;
                    }
                    Err(why) => return self.reached(why),
                }
                self.trail.push(self.at);
                let in_round = self.interprets_round();
                let native = !in_round && self.is_compiled();
                let Some(block) = self.blocks.cache.get(self.at.index) else {
                    self.blocks.take_landing_back(&self.at);
                    continue 'next;
                };
                if !native {
                    // Host code does not count it.
                    start = start.wrapping_sub(block.code.words.len() as u64);
                }
                self.blocks.frame.jit.limit = start.wrapping_add(budget);
                let end = if native || in_round {
                    self.blocks.run(&mut self.at)
                } else {
                    Some(run(&block.code, self.at.pc, self.blocks.frame, self.blocks.cpu))
                };
                self.done = self.blocks.frame.jit.count.wrapping_sub(start);
                if self.trail.last().is_none_or(|p| p.pc != self.at.pc) {
                    self.trail.push(self.at);
                }
                let Some(end) = end else { continue 'next };
                match end {
                    End::Exit(n) => {
                        if self.exit(n) && !self.blocks.cpu.doorbell.is_rung() && self.done < budget {
                            continue;
                        }
                    }
                    End::Indirect(target) => self.blocks.branch(&mut self.at, target, 0),
                    End::Landing(target, btype) => self.blocks.branch(&mut self.at, target, btype),
                    end => return self.end(end),
                }
                continue 'next;
            }
        }
    }

    /// True if the block is interpreted, to see which blocks a loop has. A loop with something in it that is done once
    /// is left as it is.
    fn interprets_round(&mut self) -> bool {
        let Some(head) = self.blocks.round.as_ref().map(|r| r.head) else { return false };
        if self.blocks.round_ends(&self.at) {
            return false;
        }
        let cpu = &*self.blocks.cpu;
        let whole = |b: &Cached| b.code.uops.iter().all(|uop| is_repeatable(uop, cpu));
        if self.blocks.cache.get(self.at.index).is_some_and(whole) {
            return true;
        }
        self.blocks.give_up(head);
        false
    }

    /// True if the block has host code now. One that has run too few times for that is interpreted on this side, too: what
    /// is linked to it meanwhile is what it will be in earnest.
    fn is_compiled(&mut self) -> bool {
        let at = self.at;
        self.blocks.cache.get(at.index).is_some_and(|b| b.is_native) || self.blocks.warm(&at)
    }

    /// By the interpreter, up to where host code came: `enough` instructions if that was between two blocks, the same
    /// event otherwise.
    pub(super) fn interpreted(mut self, native: &Reached) -> Reached {
        let left_at = |done| native.why == Why::Leave(LeaveKind::Context) && native.done == done;
        loop {
            if native.why == Why::Enough && self.done >= native.done {
                return self.reached(Why::Enough);
            }
            if self.done > native.done {
                return self.reached(Why::TooFar);
            }
            if let Err(why) = self.find() {
                return self.reached(why);
            }
            match self.renew() {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => return self.reached(why),
            }
            self.trail.push(self.at);
            let Some(block) = self.blocks.cache.get(self.at.index) else { continue };
            let end = run(&block.code, self.at.pc, self.blocks.frame, self.blocks.cpu);
            self.done += block.code.words.len() as u64;
            match end {
                End::Exit(n) => {
                    self.exit(n);
                }
                // Host code goes on behind it if nothing has to be looked at, which it knows better in some cases.
                End::Leave(LeaveKind::Context) if !left_at(self.done) => {
                    self.exit(0);
                }
                End::Indirect(target) => self.blocks.branch(&mut self.at, target, 0),
                End::Landing(target, btype) => self.blocks.branch(&mut self.at, target, btype),
                end => return self.end(end),
            }
        }
    }

    /// An end that is not just the way to another block. All of this block has been counted.
    fn end(mut self, end: End) -> Reached {
        let length = self.blocks.cache.get(self.at.index).map_or(0, |b| b.code.words.len() as u64);
        match end {
            End::Fault(e, insn) => {
                self.done = self.done.wrapping_sub(length).wrapping_add(u64::from(insn));
                let insn = usize::from(insn);
                let why = if self.blocks.cpu.mem.journal.take_stopped() {
                    Why::Once(insn)
                } else {
                    Why::Fault(e, insn)
                };
                self.reached(why)
            }
            End::Exception(e) => self.reached(Why::Exception(e)),
            End::Leave(kind) => self.reached(Why::Leave(kind)),
            End::Exit(_) | End::Indirect(_) | End::Landing(..) | End::Next => self.reached(Why::Enough),
        }
    }
}

/// Runs a block; stops before what cannot be done twice.
fn run(code: &Code, pc: u64, frame: &mut Frame, cpu: &mut Cpu) -> End {
    if code.uops.iter().all(|uop| is_repeatable(uop, cpu)) {
        return exec::run(code, pc, frame, cpu);
    }
    for (n, uop) in code.uops.iter().enumerate() {
        if !is_repeatable(uop, cpu) {
            cpu.mem.journal.stop();
            let insn = code.insn_of.get(n).copied().unwrap_or(0);
            return End::Fault(Exception::SpAlignment, insn);
        }
        match exec::run_one(code, n, pc, frame, cpu) {
            End::Next => {}
            end => return end,
        }
    }
    debug_assert!(matches!(code.uops.last(), None | Some(Uop::Leave { .. })), "a block has an end");
    End::Leave(LeaveKind::Context)
}
