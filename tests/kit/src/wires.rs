//! Ends of interrupt wires that write down what comes.

use std::sync::atomic::{AtomicU32, Ordering};

use emu_core::irq::{IrqSink, Kick};
use parking_lot::Mutex;

/// The end of any number of wires.
#[derive(Default)]
pub struct Wires(Mutex<Vec<(u32, bool)>>);

impl Wires {
    /// Every line and the level that it was set to, in order.
    #[must_use]
    pub fn log(&self) -> Vec<(u32, bool)> {
        self.0.lock().clone()
    }

    /// What came since this was asked last.
    #[must_use]
    pub fn take(&self) -> Vec<(u32, bool)> {
        std::mem::take(&mut *self.0.lock())
    }

    /// The level of a wire now; low if it was never set, or before [`Wires::take`].
    #[must_use]
    pub fn level(&self, line: u32) -> bool {
        self.0.lock().iter().rev().find(|(n, _)| *n == line).is_some_and(|(_, level)| *level)
    }

    /// A bit for each of the first 32 wires that is high.
    #[must_use]
    pub fn levels(&self) -> u32 {
        (0..32).fold(0, |levels, line| levels | u32::from(self.level(line)) << line)
    }
}

impl IrqSink for Wires {
    fn set_level(&self, line: u32, level: bool) {
        self.0.lock().push((line, level));
    }
}

/// Counts how often a vCPU would have been woken.
#[derive(Default)]
pub struct Kicks(AtomicU32);

impl Kicks {
    /// How often, since this was asked last.
    #[must_use]
    pub fn take(&self) -> u32 {
        self.0.swap(0, Ordering::SeqCst)
    }

    /// Forgets them.
    pub fn forget(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

impl Kick for Kicks {
    fn kick(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
