//! Requests under way, and how each says that it can go on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::VirtioCore;
use crate::virtio::Request;

/// The most requests of one queue that are under way at a time: the bits of a set.
pub(super) const MAX_DEPTH: u16 = 64;

/// The first slot of stalled transactions that is a request's: those before are the queues', for their rings.
const FIRST_SLOT: u16 = 64;

/// A request under way.
pub(super) struct Running {
    /// Its name in the rings.
    pub(super) head: u16,
    pub(super) request: Request,
}

/// Whose a stalled transaction is.
pub(super) enum Whose {
    Rings(u16),
    /// The queue, and the place among its requests.
    Request(u16, u16),
}

/// The slot of a request's stalled transactions.
pub(super) fn slot(queue: u16, place: u16) -> u16 {
    FIRST_SLOT + queue * MAX_DEPTH + place
}

/// The other way round.
pub(super) fn whose(slot: u16) -> Whose {
    match slot.checked_sub(FIRST_SLOT) {
        None => Whose::Rings(slot),
        Some(n) => Whose::Request(n / MAX_DEPTH, n % MAX_DEPTH),
    }
}

/// Which requests of a queue can go on, as far as they have said so: one bit for each place.
pub(super) struct Wakers {
    woken: Arc<AtomicU64>,
    places: Vec<Waker>,
}

impl Wakers {
    pub(super) fn new(core: &Weak<VirtioCore>, queue: u16, depth: u16) -> Self {
        let woken = Arc::<AtomicU64>::default();
        let place = |n| {
            Waker::from(Arc::new(Place { core: core.clone(), queue, bit: 1_u64 << n, woken: woken.clone() }))
        };
        Self { places: (0..depth).map(place).collect(), woken }
    }

    /// How the request at `place` says that it can go on.
    pub(super) fn waker(&self, place: usize) -> &Waker {
        self.places.get(place).map_or(Waker::noop(), |waker| waker)
    }

    /// The request at `place` can go on. To be called without a lock.
    pub(super) fn wake(&self, place: u16) {
        self.waker(place.into()).wake_by_ref();
    }

    /// Takes one that can go on.
    pub(super) fn take(&self) -> Option<usize> {
        let woken = self.woken.load(Ordering::Acquire);
        if woken == 0 {
            return None;
        }
        let place = woken.trailing_zeros();
        self.woken.fetch_and(!(1 << place), Ordering::AcqRel);
        Some(place as usize)
    }
}

/// A place among the requests of a queue. A word for one that is no longer there does no harm: who has its place is looked at.
struct Place {
    core: Weak<VirtioCore>,
    queue: u16,
    bit: u64,
    woken: Arc<AtomicU64>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.fetch_or(self.bit, Ordering::AcqRel);
        if let Some(core) = self.core.upgrade() {
            core.service_queue(self.queue);
        }
    }
}
