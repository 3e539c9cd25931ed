//! What the loop over blocks asks of host code, whether this host has a code generator or not.

use std::fmt::Debug;

use emu_a64::mode::Mode;
use emu_pe::cpu::Cpu;

use super::UnitBlock;
use super::observe::{CodeSize, Observers};
use crate::interp::cache::Cache;
use crate::interp::uop::Frame;

/// Why host code was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitReason {
    /// At exit 0 or 1.
    Exit(usize),
    /// By an indirect branch to [`super::state::JitState::target`].
    Indirect,
    /// At the block's last operation, which is still to be done.
    End,
    /// Before the block: a request is pending, or its code has changed.
    Event,
    /// With [`super::state::JitState::fault`].
    Fault,
    /// Before the block, to which host code has jumped back very often: it may be the head of a loop.
    LoopCandidate,
}

/// The host code of one vCPU.
pub trait HostCode: Sized {
    /// The host code of a unit that begins with a block.
    type Unit: Copy + Debug;

    /// With room for `bytes` of code; loops are compiled as such after this many rounds. `None` if the host gives no memory
    /// that can be executed, or lacks an instruction that all code uses.
    #[must_use]
    fn new(bytes: usize, rounds: u32) -> Option<Self>;

    /// As on a host that has nothing beyond the least that code needs: for x86-64 that is x86-64-v2.
    #[must_use]
    fn baseline(bytes: usize, rounds: u32) -> Option<Self>;

    /// Tells these observers of all code from now on.
    fn observe(&mut self, observers: Observers);

    /// How much code there is.
    #[must_use]
    fn size(&self) -> CodeSize;

    /// False if there may be no room for another unit: then everything must be dropped first.
    #[must_use]
    fn has_room(&self) -> bool;

    /// What the tables cost, in bytes, that grow with the code.
    #[must_use]
    fn table_bytes(&self) -> usize;

    /// Drops all code if it was made in another epoch: code names blocks by their numbers. Before a block is compiled; until
    /// then no block of the new epoch has host code, so nothing leads to what is left of the old one.
    fn begin(&mut self, epoch: u64);

    /// Compiles a unit: a block, or the blocks of a loop. `key` is that under which a loop's blocks were found in their pages.
    /// `None` if there is no room, or more code than any unit should have.
    fn compile(&mut self, blocks: &[UnitBlock<'_>], key: u64, place: (&Cpu, Mode)) -> Option<Self::Unit>;

    /// Counts a recording that begins with the unit as the head of a loop. False if there were too many that did not end: where
    /// hot loops are inside one another, each interrupts the recordings of the others.
    fn begin_recording_attempt(unit: &mut Self::Unit) -> bool;

    /// The host code of a unit as it is now, and its address.
    #[must_use]
    fn code(&self, unit: &Self::Unit) -> (u64, &[u8]);

    /// Links the exit by which host code was left last to a unit, if it was this one. `page` and `key` are
    /// those under which that was found.
    fn link(&mut self, exit: (u32, usize), to: (u32, &Self::Unit), page: u64, key: u64);

    /// Remembers where an indirect branch to `pc` leads.
    fn remember(&mut self, pc: u64, key: u64, to: &Self::Unit);

    /// A recording has found no loop with this head, or none in this context: it is not recorded again for long, or ever.
    fn finalise_unit(&mut self, unit: &mut Self::Unit);

    /// All entries of `old` lead to `new`, a unit that begins with the same block.
    fn replace(&mut self, old: &Self::Unit, new: &mut Self::Unit);

    /// Runs host code from a unit's entry on. The frame's registers are up to date before and after. Gives why it was left,
    /// and in which block.
    fn enter(
        &mut self,
        unit: &Self::Unit,
        frame: &mut Frame,
        cpu: &mut Cpu,
        cache: &Cache,
    ) -> (ExitReason, u32);
}
