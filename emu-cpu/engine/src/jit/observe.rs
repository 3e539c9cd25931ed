//! Who is told of host code when it is made.

use std::sync::Arc;

use emu_a64::level::El;

use super::profile::Profile;
use crate::interp::block::Code;

/// What a piece of host code does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeOrigin {
    /// It is used by all blocks: entering, leaving, calling the runtime.
    Shared,
    /// It was made from the guest's code at this virtual address, for this Exception level. The same code can run at
    /// other addresses, too: where the guest has mapped it more than once.
    Block {
        /// The address.
        pc: u64,
        /// The level.
        el: El,
    },
}

/// Is told of all host code.
pub trait Listener: Send + Sync {
    /// These bytes will run at host address `at`, in place of whatever was there before.
    fn made(&self, at: u64, bytes: &[u8], what: CodeOrigin);
    /// The machine has ended: nothing more will be told. Called once for each end of the process, whatever its reason, and
    /// perhaps while another thread is in [`Listener::made`]; does not wait for long.
    fn finish(&self) {}
}

/// How much host code there is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeSize {
    /// Bytes.
    pub used: u64,
    /// The most.
    pub bound: u64,
}

/// All who observe the host code of one vCPU.
#[derive(Clone, Default)]
pub struct Observers {
    /// Are told of it.
    pub listeners: Vec<Arc<dyn Listener>>,
    /// Counts how often it runs. This makes it longer.
    pub profile: Option<Arc<Profile>>,
}

impl Observers {
    /// Code was made.
    pub(super) fn made(&self, at: u64, bytes: &[u8], what: CodeOrigin) {
        for listener in &self.listeners {
            listener.made(at, bytes, what);
        }
    }

    /// Host address of the counter of runs for a block that will be compiled, if they are counted.
    pub(super) fn counter(&self, code: &Code, pc: u64, el: El) -> Option<u64> {
        self.profile.as_ref().map(|p| p.counter(code, pc, el))
    }

    /// All code of blocks was dropped.
    pub(super) fn dropped(&self) {
        if let Some(profile) = &self.profile {
            profile.fold();
        }
    }
}
