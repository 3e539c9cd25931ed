//! What streams have done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::flight::Traffic;

/// What one stream did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StreamCount {
    /// Transactions; one that is tried again is counted again.
    pub transactions: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// Pages of transactions that the port itself knew the way of.
    pub quick: u64,
    /// Pages that the main TLB knew.
    pub hits: u64,
    /// Pages that translation tables were walked for.
    pub walks: u64,
    /// Faults of translation.
    pub faults: u64,
    /// Transactions that were aborted, for whatever reason.
    pub aborts: u64,
    /// Times that a transaction was stalled.
    pub stalls: u64,
    /// How long transactions were stalled, in nanoseconds of the machine's time: those that have been answered.
    pub stalled_ns: u64,
}

impl StreamCount {
    /// Of several ports together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            transactions: self.transactions + other.transactions,
            bytes: self.bytes + other.bytes,
            quick: self.quick + other.quick,
            hits: self.hits + other.hits,
            walks: self.walks + other.walks,
            faults: self.faults + other.faults,
            aborts: self.aborts + other.aborts,
            stalls: self.stalls + other.stalls,
            stalled_ns: self.stalled_ns + other.stalled_ns,
        }
    }
}

/// A number that several threads count up.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one port counts beside its [`Traffic`]. What was quick is what was not slow.
#[derive(Default)]
pub(super) struct Counts {
    /// Pages after the first of a transaction.
    pub(super) more_pages: Counter,
    /// Pages whose way the port did not know.
    pub(super) misses: Counter,
    pub(super) hits: Counter,
    pub(super) walks: Counter,
    pub(super) faults: Counter,
    pub(super) aborts: Counter,
    pub(super) stalls: Counter,
    pub(super) stalled_ns: Counter,
}

impl Counts {
    pub(super) fn with(&self, traffic: &Traffic) -> StreamCount {
        let transactions = traffic.total();
        StreamCount {
            transactions,
            bytes: traffic.bytes(),
            quick: (transactions + self.more_pages.get()).saturating_sub(self.misses.get()),
            hits: self.hits.get(),
            walks: self.walks.get(),
            faults: self.faults.get(),
            aborts: self.aborts.get(),
            stalls: self.stalls.get(),
            stalled_ns: self.stalled_ns.get(),
        }
    }
}
