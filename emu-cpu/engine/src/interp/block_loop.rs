//! The loop over blocks: finds one, runs it, and goes on to the next, until something must be looked at.
//!
//! There is one loop. What else is done in it (breakpoints, a trace, a check, a recording) is its [`Policy`], a type, so that
//! the loop of a machine that runs undisturbed has nothing of that in it.

use emu_a64::ir::LeaveKind;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::Exception;

use super::block::Code;
use super::exec::{self, End};
use super::run::{Blocks, EntryEdge, Position};
use super::uop::Frame;

/// What a loop over blocks does beside running them.
pub(super) trait Policy: Sized {
    /// The loop ends here: the block at the place is not run.
    #[inline]
    fn ends(&mut self, blocks: &Blocks<'_>, _at: &Position) -> bool {
        blocks.cpu.wires.doorbell().is_rung()
    }

    /// Runs the block at the place, which is up to date, and maybe more. See [`Blocks::run`].
    #[inline]
    fn run(&mut self, blocks: &mut Blocks<'_>, at: &mut Position) -> Option<End> {
        blocks.run(at, self)
    }

    /// Interprets a block that starts at `pc`.
    #[inline]
    fn interpret(&mut self, code: &Code, pc: u64, frame: &mut Frame, cpu: &mut Cpu) -> End {
        exec::run(code, pc, frame, cpu)
    }

    /// Counts a block of `length` instructions that is interpreted, and why it is.
    #[inline]
    fn count(&self, cpu: &Cpu, length: u64, reason: Metric) {
        cpu.counters.bump_by(Metric::Instructions, length);
        cpu.counters.bump_by(reason, length);
        cpu.counters.bump(Metric::Blocks);
    }

    /// The block at the place may be interpreted as a part of a loop that is recorded.
    #[inline]
    fn may_be_recorded(&self, _blocks: &Blocks<'_>, _at: &Position) -> bool {
        true
    }

    /// The loop goes on behind a block that may have changed the context, for it has not, or nothing waits for the change.
    #[inline]
    fn passes_context(&self, cpu: &Cpu) -> bool {
        cpu.derived.needs_no_poll()
    }
}

/// A machine that nobody watches.
pub(super) struct Undisturbed;

impl Policy for Undisturbed {}

/// Why a loop over blocks has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum LoopEnd {
    /// Its policy says so. The place is where the next block begins, whose number is not known.
    Between,
    /// In place of the instruction at the place, which has not been executed, there is an exception.
    Before(Exception),
    /// The block at the place does not end in a branch: what ended it is to be dealt with.
    Block(End),
}

impl Blocks<'_> {
    /// Runs blocks from the place on.
    pub(super) fn follow<P: Policy>(&mut self, at: &mut Position, policy: &mut P) -> LoopEnd {
        'next: loop {
            if policy.ends(self, at) {
                return LoopEnd::Between;
            }
            if at.pc & 3 != 0 {
                return LoopEnd::Before(Exception::PcAlignment(at.pc));
            }
            if let Err(e) = self.find(at) {
                return LoopEnd::Before(e);
            }
            loop {
                let Some(block) = self.cache.get(at.index) else { continue 'next };
                if !block.source.holds() {
                    match self.cache.renew(self.cpu, at.index, at.pc) {
                        Ok(()) => continue,
                        Err(e) => {
                            self.restore_pending_btype(at);
                            return LoopEnd::Before(e);
                        }
                    }
                }
                let Some(end) = policy.run(self, at) else { continue 'next };
                match end {
                    End::Exit(n) if self.exit(at, n, policy) => continue,
                    End::Leave(LeaveKind::Context) if policy.passes_context(self.cpu) => {
                        if self.exit(at, 0, policy) {
                            continue;
                        }
                    }
                    End::Exit(_) => {}
                    End::Indirect(target) => self.branch(at, target, 0),
                    End::IndirectTyped(target, btype) => self.branch(at, target, btype),
                    end => return LoopEnd::Block(end),
                }
                continue 'next;
            }
        }
    }

    /// Leaves a block by exit `n`. True if the block there is known and can run at once.
    #[inline]
    fn exit<P: Policy>(&mut self, at: &mut Position, n: usize, policy: &mut P) -> bool {
        let Some(block) = self.cache.get(at.index) else { return false };
        let n = n & 1;
        let exit = block.code.exits[n];
        at.pc = at.pc.wrapping_add(exit.rel as u64);
        let (serial, epoch) = (self.cpu.mem.serial(at.pc), self.cache.epoch());
        self.entry_edge = EntryEdge::Exit { serial, epoch, from: at.index, n };
        if exit.serial != serial || policy.ends(self, at) {
            return false;
        }
        (at.index, at.btype_on_entry) = (exit.block, 0);
        self.link_native(at);
        true
    }
}
