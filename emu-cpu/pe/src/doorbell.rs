//! What other threads may touch of a vCPU: a word of pending reasons, the event register, and its sleep.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use emu_core::irq::Kick;
use parking_lot::{Condvar, Mutex};

/// Reasons for a vCPU to leave running code at its next check, as bits.
pub mod reason {
    /// Interrupt or timer state may have changed.
    pub const INTERRUPT: u32 = 1;
    /// Other vCPUs posted maintenance (TLB, code) requests.
    pub const REQUEST: u32 = 2;
    /// The machine wants the thread: pause, stop, power state.
    pub const CONTROL: u32 = 4;
}

/// Shared between a vCPU's thread and everybody who needs its attention.
#[derive(Default)]
pub struct Doorbell {
    pending: AtomicU32,
    /// The event register of WFE and SEV (Arm ARM, D1.6.1): latched until a WFE takes it.
    event: AtomicBool,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Doorbell {
    /// True if there is a reason to leave. The check in hot loops.
    #[inline]
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.pending.load(Ordering::Relaxed) != 0
    }
    /// Host address of the word of reasons, 0 if there is none; for host code.
    pub fn word_address(&self) -> u64 {
        self.pending.as_ptr().expose_provenance() as u64
    }
    /// True if one of these reasons is there.
    #[must_use]
    pub fn is_rung_for(&self, reasons: u32) -> bool {
        self.pending.load(Ordering::Acquire) & reasons != 0
    }
    /// Clears some reasons.
    pub fn clear(&self, reasons: u32) {
        self.pending.fetch_and(!reasons, Ordering::AcqRel);
    }
    /// Takes and clears the reasons.
    pub fn take(&self) -> u32 {
        self.pending.swap(0, Ordering::AcqRel)
    }
    /// Adds reasons and wakes the thread if it sleeps.
    pub fn ring(&self, reasons: u32) {
        self.pending.fetch_or(reasons, Ordering::AcqRel);
        self.wake();
    }
    /// Sets the event register and wakes the thread if it sleeps.
    pub fn send_event(&self) {
        if !self.event.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }
    /// Clears the event register; true if it was set.
    pub fn take_event(&self) -> bool {
        self.event.swap(false, Ordering::AcqRel)
    }
    /// Sleeps until a reason is rung, an event is sent (if `for_event`) or `longest` is over.
    pub fn sleep(&self, for_event: bool, longest: Option<Duration>) {
        let mut guard = self.lock.lock();
        if self.is_rung() || for_event && self.event.load(Ordering::Acquire) {
            return;
        }
        match longest {
            Some(d) => {
                self.rung.wait_for(&mut guard, d);
            }
            None => self.rung.wait(&mut guard),
        }
    }
    fn wake(&self) {
        // Taking the lock orders this against the check in `sleep`, so that no wake-up is lost.
        drop(self.lock.lock());
        self.rung.notify_all();
    }
}

impl Kick for Doorbell {
    fn kick(&self) {
        self.ring(reason::INTERRUPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_event_register_is_latched() {
        let bell = Doorbell::default();
        bell.send_event();
        bell.sleep(true, None);
        assert!(bell.take_event());
        assert!(!bell.take_event());
    }

    #[test]
    fn a_ring_before_or_during_sleep_wakes() {
        let bell = Arc::new(Doorbell::default());
        let other = bell.clone();
        let t = std::thread::spawn(move || other.ring(reason::CONTROL));
        while !bell.is_rung() {
            bell.sleep(false, None);
        }
        assert_eq!(bell.take(), reason::CONTROL);
        t.join().unwrap();
    }
}
