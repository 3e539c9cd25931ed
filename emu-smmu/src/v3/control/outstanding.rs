//! Invalidations of functions' caches that are not complete (Arm IHI 0070, 3.9.1.4 and 4.5.1).
//!
//! Who has to wait for them is the command queue: it stands at a CMD_SYNC, and goes on when the last one is complete; and at a
//! CMD_ATC_INV of a function that has no tag left for one more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// How long a function may take: a minute (PCIe 6.0, 10.3.1: Invalidation Completion Timeout).
pub(super) const TIMEOUT: u64 = 60_000_000_000;
/// How many of a function can be under way: it has so many tags (10.3.1: ITag).
const TAGS: usize = 32;

struct Pending {
    serial: u64,
    stream: u32,
    deadline: u64,
}

#[derive(Default)]
struct State {
    pending: Vec<Pending>,
    /// One will never be complete, and no CMD_SYNC has said so.
    lost: bool,
    /// The queue stands, and goes on when something of this changes.
    standing: bool,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Outstanding {
    state: Mutex<State>,
    next: AtomicU64,
}

/// What a CMD_SYNC finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// All are complete.
    Complete,
    /// Not yet: the queue stands.
    Waiting,
    /// One is lost.
    Lost,
}

impl Outstanding {
    /// The queue is looked at: it does not stand until it is said again.
    pub(super) fn look(&self) {
        self.state.lock().standing = false;
    }

    /// There is a tag left for a stream; otherwise the queue stands.
    pub(super) fn has_room(&self, stream: u32) -> bool {
        let state = &mut *self.state.lock();
        let room = state.pending.iter().filter(|p| p.stream == stream).count() < TAGS;
        state.standing |= !room;
        room
    }

    /// One begins at a time; gives the number that it ends by.
    pub(super) fn begin(&self, stream: u32, now: u64) -> u64 {
        let serial = self.next.fetch_add(1, Relaxed);
        let deadline = now.saturating_add(TIMEOUT);
        self.state.lock().pending.push(Pending { serial, stream, deadline });
        serial
    }

    /// One is complete, or never will be. True if the queue stood for it. Those that are not known any more change nothing.
    pub(super) fn end(&self, serial: u64, complete: bool) -> bool {
        let state = &mut *self.state.lock();
        let Some(at) = state.pending.iter().position(|p| p.serial == serial) else { return false };
        state.pending.remove(at);
        state.lost |= !complete;
        std::mem::take(&mut state.standing)
    }

    /// Those that have taken too long are lost. True if the queue stood for one.
    pub(super) fn expire(&self, now: u64) -> bool {
        let state = &mut *self.state.lock();
        let before = state.pending.len();
        state.pending.retain(|p| p.deadline > now);
        let some = state.pending.len() != before;
        state.lost |= some;
        some && std::mem::take(&mut state.standing)
    }

    /// When the next one will have taken too long.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.state.lock().pending.iter().map(|p| p.deadline).min()
    }

    /// For a CMD_SYNC. That one is lost is said once: the next CMD_SYNC is about those that are left.
    pub(super) fn settle(&self) -> Settled {
        let state = &mut *self.state.lock();
        if std::mem::take(&mut state.lost) {
            return Settled::Lost;
        }
        state.standing = !state.pending.is_empty();
        if state.standing { Settled::Waiting } else { Settled::Complete }
    }

    /// Nothing of before counts.
    pub(super) fn forget(&self) {
        *self.state.lock() = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_lets_the_queue_go_on() {
        let all = Outstanding::default();
        assert_eq!(all.settle(), Settled::Complete);
        let [a, b, c] = [all.begin(1, 0), all.begin(2, 0), all.begin(2, 0)];
        assert!(!all.end(a, true), "nobody waits");
        assert_eq!(all.settle(), Settled::Waiting);
        assert!(all.end(b, true), "what stands looks again");
        assert_eq!(all.settle(), Settled::Waiting);
        assert!(all.end(c, true) && !all.end(c, true), "once");
        assert_eq!(all.settle(), Settled::Complete);
    }

    #[test]
    fn one_that_is_lost_is_told_of_once() {
        let all = Outstanding::default();
        let [a, b] = [all.begin(1, 0), all.begin(1, 5)];
        assert_eq!(all.settle(), Settled::Waiting);
        assert!(all.end(a, false));
        assert_eq!([all.settle(), all.settle()], [Settled::Lost, Settled::Waiting]);
        assert_eq!(all.deadline(), Some(60_000_000_005));
        assert!(!all.expire(60_000_000_004) && all.expire(60_000_000_005));
        assert!(!all.end(b, true), "too late");
        assert_eq!([all.settle(), all.settle()], [Settled::Lost, Settled::Complete]);
    }

    #[test]
    fn a_function_has_so_many_tags() {
        let all = Outstanding::default();
        let serials: Vec<_> = (0..32).map(|_| all.begin(1, 0)).collect();
        assert!(all.has_room(2) && !all.has_room(1));
        assert!(all.end(serials[7], true), "the queue stood");
        assert!(all.has_room(1));
        all.forget();
        assert!(!all.end(serials[0], false));
        assert_eq!(all.settle(), Settled::Complete);
    }
}
