//! What a performance monitor is told of: what happens to transactions on their way through an SMMU.
//!
//! A port that remembers where a page goes tells nobody, and is as quick as without a monitor. So while transactions themselves
//! are counted, ports do not remember what is counted: each of them is then seen by the core, and counted at once, so that a
//! monitor can interrupt at the very transaction that makes a counter overflow.
//!
//! # Invariant
//! What is wanted is known before the epoch begins that it holds for: a transaction that finds nothing remembered in that epoch
//! sees it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{OnceLock, Weak};

use emu_core::Pa;
use emu_mmu::{ExternalAbort, TableMemory, UpdateError};

/// Something that can be counted of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Happening {
    /// A transaction arrives: the part of an access that is in one page of 4 KiB, or an ATS Translation Request.
    Transaction,
    /// A transaction, or a unit of a request, needs a walk of translation tables.
    TlbMiss,
    /// A transaction needs configuration from memory.
    ConfigurationMiss,
    /// A translation table is read or updated.
    WalkAccess,
    /// A structure of the configuration is read.
    ConfigurationAccess,
    /// An ATS Translation Request arrives.
    TranslationRequest,
    /// A transaction arrives whose address has been translated before (ATS).
    TranslatedTransaction,
}

impl Happening {
    /// Its place in a set.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Who counts.
pub trait Monitor: Send + Sync {
    /// Something happened `times` times. True if it is counted for this stream.
    ///
    /// It is called while a transaction is under way, and so must not wait for whoever waits for transactions.
    fn happened(&self, stream: u32, what: Happening, times: u64) -> bool;
}

/// The place of the monitor, if there is one.
#[derive(Default)]
pub(super) struct Probe {
    /// A bit for each [`Happening`] that is wanted of any stream.
    wanted: AtomicU32,
    monitor: OnceLock<Weak<dyn Monitor>>,
}

impl Probe {
    /// The first monitor stays.
    pub(super) fn attach(&self, monitor: Weak<dyn Monitor>) {
        let _ = self.monitor.set(monitor);
    }

    /// What is wanted from now on.
    pub(super) fn want(&self, what: u32) {
        self.wanted.store(what, Relaxed);
    }

    /// Tells of something, if it is wanted. True if it is counted for this stream.
    #[inline]
    pub(super) fn tell(&self, stream: u32, what: Happening, times: u64) -> bool {
        self.wanted.load(Relaxed) & what.bit() != 0 && self.tell_monitor(stream, what, times)
    }

    #[cold]
    fn tell_monitor(&self, stream: u32, what: Happening, times: u64) -> bool {
        let monitor = self.monitor.get().and_then(Weak::upgrade);
        times != 0 && monitor.is_some_and(|m| m.happened(stream, what, times))
    }
}

/// Memory with tables in it, and how often they were accessed.
pub(crate) struct Counted<M> {
    memory: M,
    descriptors: Cell<u64>,
    structures: Cell<u64>,
}

impl<M> Counted<M> {
    pub(crate) const fn new(memory: M) -> Self {
        Self { memory, descriptors: Cell::new(0), structures: Cell::new(0) }
    }

    /// Accesses of translation tables.
    pub(crate) const fn descriptors(&self) -> u64 {
        self.descriptors.get()
    }

    /// Accesses of the configuration.
    pub(crate) const fn structures(&self) -> u64 {
        self.structures.get()
    }

    /// For one access of the configuration.
    pub(crate) fn for_structure(&self) -> &M {
        self.structures.set(self.structures.get() + 1);
        &self.memory
    }

    fn for_descriptor(&self) -> &M {
        self.descriptors.set(self.descriptors.get() + 1);
        &self.memory
    }
}

impl<M: TableMemory> TableMemory for Counted<M> {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        self.for_descriptor().read_descriptor(pa)
    }

    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        self.for_descriptor().update_descriptor(pa, old, new)
    }
}
