//! Transactions under way: what whoever took a translation away waits for.
//!
//! Time is cut into phases. A transaction is counted in the phase that it begins in; [`Phases::wait`] begins the next one and waits
//! until nothing is left of the one before. One at a time waits: so there are transactions of two phases at most, and each port
//! has two counts.
//!
//! # Invariant
//! A transaction is counted before it looks at anything that can be taken away, and who takes away does so before it waits. All
//! of that is sequentially consistent: either the transaction sees that it was taken away, or the wait sees the transaction.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

/// One transaction under way, in the word of a phase. The bits below count all that ever began: at ten million in a second they
/// last for 14 years.
const UNDER_WAY: u64 = 1 << 52;

/// The phases of all ports of an SMMU.
#[derive(Default)]
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

/// The transactions of one port, by the parity of the phase.
#[derive(Default)]
pub(super) struct Traffic([AtomicU64; 2]);

impl Traffic {
    /// A transaction begins; it ends when what this gives is dropped.
    #[inline]
    pub(super) fn enter(&self, phases: &Phases) -> UnderWay<'_> {
        let mut phase = phases.now.load(SeqCst);
        loop {
            let word = &self.0[(phase & 1) as usize];
            word.fetch_add(UNDER_WAY + 1, SeqCst);
            let now = phases.now.load(SeqCst);
            if now == phase {
                return UnderWay(word);
            }
            // Whoever waits for this phase may have looked already.
            word.fetch_sub(UNDER_WAY + 1, SeqCst);
            phase = now;
        }
    }

    fn is_idle(&self, phase: u64) -> bool {
        self.0[(phase & 1) as usize].load(SeqCst) < UNDER_WAY
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|word| word.load(Relaxed) % UNDER_WAY).sum()
    }
}

/// A transaction under way.
pub(super) struct UnderWay<'a>(&'a AtomicU64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(UNDER_WAY, Release);
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
