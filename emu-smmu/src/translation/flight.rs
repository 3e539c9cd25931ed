//! Transactions under way: what whoever took a translation away waits for.
//!
//! Time is cut into phases. A transaction is noted with the phase that it begins in; [`Phases::wait`] begins the next one and waits
//! until nothing is left of the one before. One at a time waits: so there are transactions of two phases at most.
//!
//! Most of the time a port has one transaction under way, from one thread. It has a place of its own, which costs one atomic
//! exchange to take and a store to leave; who has it also counts without more of them. Those that find it taken are a crowd,
//! in two words: one for each parity of the phase.
//!
//! # Invariant
//! A transaction is noted before it looks at anything that can be taken away, and who takes away does so before it waits. All
//! of that is sequentially consistent: either the transaction sees that it was taken away, or the wait sees the transaction.
//! A transaction leaves by a release, which the wait acquires: what it has read and written was before the wait's end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

/// One transaction of the crowd under way, in the word of a phase. The bits below count all that ever began: at ten million in
/// a second they last for 14 years.
const UNDER_WAY: u64 = 1 << 52;

/// The phases of all ports of an SMMU.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Phases {
    now: AtomicU64,
    waiting: Mutex<()>,
}

impl Phases {
    /// Returns when no transaction of `ports` is under way that began before the call.
    pub(super) fn wait<'a>(&self, ports: impl Iterator<Item = &'a Traffic>) {
        let _one = self.waiting.lock();
        let ending = self.now.fetch_add(1, SeqCst);
        for port in ports {
            for tries in 0.. {
                if port.is_idle(ending) {
                    break;
                }
                pause(tries);
            }
        }
    }
}

/// Copying takes no time; a device whose registers are accessed may take some.
fn pause(tries: u32) {
    match tries {
        0..64 => std::hint::spin_loop(),
        64..256 => thread::yield_now(),
        _ => thread::sleep(Duration::from_micros(50)),
    }
}

/// The transactions of one port.
#[derive(Default)]
pub(super) struct Traffic {
    /// 0, or one more than the phase of the transaction that has the place.
    single: AtomicU64,
    /// What was done there: changed by who has the place, and by nobody else.
    transactions: AtomicU64,
    bytes: AtomicU64,
    /// The others, by the parity of the phase, and their bytes.
    crowd: [AtomicU64; 2],
    crowd_bytes: AtomicU64,
}

impl Traffic {
    /// A transaction begins; it ends when what this gives is dropped.
    #[inline]
    pub(super) fn enter(&self, phases: &Phases) -> UnderWay<'_> {
        let mut phase = phases.now.load(SeqCst);
        if self.single.compare_exchange(0, phase + 1, SeqCst, Relaxed).is_err() {
            return self.join(phases, phase);
        }
        loop {
            let now = phases.now.load(SeqCst);
            if now == phase {
                add(&self.transactions, 1);
                return UnderWay { traffic: self, crowd: None };
            }
            // Whoever waits for that phase may have looked already.
            phase = now;
            self.single.store(phase + 1, SeqCst);
        }
    }

    #[cold]
    fn join(&self, phases: &Phases, mut phase: u64) -> UnderWay<'_> {
        loop {
            let word = &self.crowd[(phase & 1) as usize];
            word.fetch_add(UNDER_WAY + 1, SeqCst);
            let now = phases.now.load(SeqCst);
            if now == phase {
                return UnderWay { traffic: self, crowd: Some(word) };
            }
            word.fetch_sub(UNDER_WAY + 1, SeqCst);
            phase = now;
        }
    }

    fn is_idle(&self, phase: u64) -> bool {
        self.single.load(SeqCst) != phase + 1 && self.crowd[(phase & 1) as usize].load(SeqCst) < UNDER_WAY
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        let crowd: u64 = self.crowd.iter().map(|word| word.load(Relaxed) % UNDER_WAY).sum();
        self.transactions.load(Relaxed) + crowd
    }

    /// How many bytes they have moved.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed) + self.crowd_bytes.load(Relaxed)
    }
}

/// Adds to what one thread at a time changes. The next one has it from the last by the place's release and acquisition.
#[inline]
fn add(word: &AtomicU64, n: u64) {
    word.store(word.load(Relaxed) + n, Relaxed);
}

/// A transaction under way.
pub(super) struct UnderWay<'a> {
    traffic: &'a Traffic,
    /// The word that it is counted in, if it has not got the place.
    crowd: Option<&'a AtomicU64>,
}

impl UnderWay<'_> {
    /// It has moved so many bytes.
    #[inline]
    pub(super) fn moved(&self, bytes: u64) {
        match self.crowd {
            None => add(&self.traffic.bytes, bytes),
            Some(_) => {
                self.traffic.crowd_bytes.fetch_add(bytes, Relaxed);
            }
        }
    }
}

impl Drop for UnderWay<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.crowd {
            None => self.traffic.single.store(0, Release),
            Some(word) => {
                word.fetch_sub(UNDER_WAY, Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_wait_ends_with_the_last_transaction_that_began_before() {
        let (phases, traffic) = (Phases::default(), Traffic::default());
        let before = traffic.enter(&phases);
        let over = AtomicBool::new(false);
        thread::scope(|s| {
            let waits = s.spawn(|| {
                phases.wait([&traffic].into_iter());
                assert!(over.load(SeqCst));
            });
            while phases.now.load(SeqCst) == 0 {
                thread::yield_now();
            }
            // One that begins now is not waited for.
            let after = traffic.enter(&phases);
            assert!(!waits.is_finished());
            over.store(true, SeqCst);
            drop(before);
            waits.join().unwrap();
            drop(after);
        });
        assert_eq!(traffic.total(), 2);
    }

    #[test]
    fn whoever_finds_the_place_taken_is_waited_for_and_counted_too() {
        let (phases, traffic) = (Phases::default(), Traffic::default());
        let [single, joined] = [traffic.enter(&phases), traffic.enter(&phases)];
        assert!(single.crowd.is_none() && joined.crowd.is_some());
        single.moved(8);
        joined.moved(4);
        assert_eq!((traffic.total(), traffic.bytes()), (2, 12));
        drop(single);
        assert!(!traffic.is_idle(0));
        let again = traffic.enter(&phases);
        assert!(again.crowd.is_none());
        drop(joined);
        assert!(!traffic.is_idle(0));
        drop(again);
        assert!(traffic.is_idle(0) && traffic.total() == 3);
    }

    #[test]
    fn waits_one_after_the_other_wait_for_the_newer_phases() {
        let (phases, traffic) = (Phases::default(), Traffic::default());
        for n in 1..5 {
            let under_way = traffic.enter(&phases);
            let nested = traffic.enter(&phases);
            drop(under_way);
            drop(nested);
            phases.wait([&traffic].into_iter());
            assert_eq!((traffic.total(), phases.now.load(SeqCst)), (2 * n, n));
        }
    }
}
