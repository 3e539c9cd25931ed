//! The wires between devices and the interrupt controller: a client may listen to them, and drive them.

use std::sync::Arc;

use emu_core::irq::IrqSink;
use parking_lot::Mutex;

/// Told of a wire's new level.
pub(super) type Told = Arc<dyn Fn(u32, bool) + Send + Sync>;

/// Who listens, and the levels since then.
struct Listener {
    told: Told,
    high: Vec<u32>,
}

/// Stands before the interrupt controller, which gets every level all the same.
pub struct Intercept {
    controller: Arc<dyn IrqSink>,
    listener: Mutex<Option<Listener>>,
}

impl Intercept {
    /// Before `controller`, with nobody who listens.
    #[must_use]
    pub fn new(controller: Arc<dyn IrqSink>) -> Arc<Self> {
        Arc::new(Self { controller, listener: Mutex::new(None) })
    }

    /// From now on `told` hears of each wire that changes. Those that are high already are not told of. The first one stays.
    pub(super) fn listen(&self, told: Told) {
        self.listener.lock().get_or_insert(Listener { told, high: Vec::new() });
    }
}

impl IrqSink for Intercept {
    fn set_level(&self, line: u32, level: bool) {
        self.controller.set_level(line, level);
        let mut listener = self.listener.lock();
        let Some(Listener { told, high }) = &mut *listener else { return };
        let was = high.contains(&line);
        if was != level {
            high.retain(|l| *l != line);
            if level {
                high.push(line);
            }
            // In order: whoever changes a wire next waits for this line to be said.
            told(line, level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(u32, bool)>>);

    impl IrqSink for Seen {
        fn set_level(&self, line: u32, level: bool) {
            self.0.lock().push((line, level));
        }
    }

    #[test]
    fn changes_are_told_and_everything_goes_on() {
        let (controller, heard) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let wires = Intercept::new(controller.clone());
        wires.set_level(1, true);
        let hears = heard.clone();
        wires.listen(Arc::new(move |line, level| hears.set_level(line, level)));
        for (line, level) in [(2, false), (2, true), (2, true), (3, true), (2, false)] {
            wires.set_level(line, level);
        }
        assert_eq!(*heard.0.lock(), [(2, true), (3, true), (2, false)]);
        assert_eq!(controller.0.lock().len(), 6);
    }
}
