//! Tier 1: predecoded blocks as host code.
//!
//! One forward pass over the operations of a [`Code`] makes host code that does exactly what [`crate::interp::exec`] does
//! with them. Interpreter and host code share one [`Frame`](crate::interp::uop::Frame), so
//! that they can take turns at every block.
//!
//! | module | what lives there |
//! |---|---|
//! | `profile`, `observe` | what host code does, counted and told to whoever asks |
//! | `perf` | the files from which Linux's `perf` knows translated code |
//! | `state` | what host code keeps in the frame beside registers |
//! | `constants` | vectors that code uses as operands |
//! | `arena` | memory for code: one mapping to write, one to execute |
//! | `runtime` | the functions that host code calls |
//! | `host_code` | what the loop over blocks asks of host code: a trait, so that hosts without a generator have the same side |
//! | `native` | the compiled units of one vCPU: making, entering, linking, dropping them |
//! | `absent` | the same where there is no generator |
//! | `context_key` | what links and targets of indirect branches depend on beside addresses |
//! | `x64` | the code generator for x86-64 |
//!
//! # Invariants
//! - Host code is position-independent in the guest: a block knows its offset in its page, and the page's address is in
//!   the frame. Direct branches inside a page are host jumps; others first compare what they were linked under.
//! - Control enters a block at its *checked* entry (pending requests, generation of its page) from everywhere but from
//!   further up in the same page, so that no path between two checks is longer than a page, or than one round of a loop.
//! - The registers in the frame are up to date whenever a function of `runtime` runs.

pub mod constants;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(dead_code, reason = "for the code generator")
)]
pub mod context_key;
mod host_code;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(dead_code, reason = "nothing to observe")
)]
pub mod observe;
pub mod perf;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(dead_code, reason = "nothing to count")
)]
pub mod profile;
pub mod state;

// Tests have it on all hosts, so that the compiler sees it.
#[cfg(any(test, not(all(target_arch = "x86_64", target_os = "linux"))))]
mod absent;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod arena;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod native;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod runtime;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x64;

pub use host_code::{ExitReason, HostCode};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub use absent::Native;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use native::Native;

/// The host code of a unit.
pub type CompiledUnit = <Native as HostCode>::Unit;

use crate::interp::block::Code;

/// A block of a unit: what is compiled together, a block or the blocks of a loop.
#[derive(Clone, Copy)]
pub struct UnitBlock<'a> {
    /// Its operations.
    pub code: &'a Code,
    /// Its number.
    pub number: u32,
    /// Virtual page of its code. A unit is good for all pages that its first block is in, but enters another block's page only
    /// if that is where it was.
    pub page: u64,
    /// Host address of a word, and its value while the code is good ([`emu_core::page::Watched::word`]).
    pub valid: (u64, u32),
    /// Offset of its first instruction in its page.
    pub offset: u32,
    /// The blocks of the unit that its exits lead to, by their places; `None`: the exit leaves the unit.
    pub successors: [Option<usize>; 2],
    /// The blocks that an indirect branch at its end is compared with.
    pub indirect_successors: [Option<usize>; 3],
    /// How often it runs, compared with others of the unit.
    pub frequency: u32,
    /// Host address of the counter of its runs, if they are counted.
    pub counter: Option<u64>,
}

impl UnitBlock<'_> {
    /// All blocks of the unit that it leads to.
    pub fn all_successors(&self) -> impl Iterator<Item = usize> {
        self.successors.into_iter().chain(self.indirect_successors).flatten()
    }

    /// True if it has successors in its unit: then the unit is a loop.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        self.all_successors().next().is_some()
    }
}
