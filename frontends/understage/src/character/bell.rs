//! Wakes the thread that serves a character device.

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct Rung {
    rung: bool,
    /// Somebody has turned to the device, or connected to it.
    came: bool,
}

/// Says that there is input, or that somebody has come.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

impl Bell {
    /// There is something to do; with `came`, because somebody has come.
    pub fn ring(&self, came: bool) {
        let mut rung = self.rung.lock();
        *rung = Rung { rung: true, came: rung.came || came };
        self.changed.notify_all();
    }

    /// Waits; true if somebody has come since the last time.
    pub fn wait(&self) -> bool {
        let mut rung = self.rung.lock();
        while !rung.rung {
            self.changed.wait(&mut rung);
        }
        std::mem::take(&mut *rung).came
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_is_not_forgotten_for_input() {
        let bell = Bell::default();
        bell.ring(true);
        bell.ring(false);
        assert!(bell.wait());
        bell.ring(false);
        assert!(!bell.wait());
    }
}
