//! The four legacy interrupt wires of the root bus.

use emu_core::irq::IrqLine;
use parking_lot::Mutex;

/// Wires INTA# to INTD# of all functions, ORed onto four interrupt lines.
pub struct IntxRouter {
    lines: [IrqLine; 4],
    /// How many functions assert each line.
    asserted: Mutex<[u32; 4]>,
}

impl IntxRouter {
    /// A router onto `lines`.
    #[must_use]
    pub fn new(lines: [IrqLine; 4]) -> Self {
        Self { lines, asserted: Mutex::new([0; 4]) }
    }

    /// The line that `pin` (1 for INTA#) of `device` is wired to: each device's pins are rotated by one against the
    /// previous device's (PCI-to-PCI bridge architecture 1.2, 9.1).
    #[must_use]
    pub fn line_of(device: u8, pin: u8) -> usize {
        (usize::from(device) + usize::from(pin.saturating_sub(1))) % 4
    }

    /// One function more, or one less, asserts `line` (0..=3).
    pub(super) fn change(&self, line: usize, assert: bool) {
        let mut asserted = self.asserted.lock();
        let count = &mut asserted[line % 4];
        let before = *count > 0;
        *count = if assert { count.saturating_add(1) } else { count.saturating_sub(1) };
        if before != (*count > 0) {
            self.lines[line % 4].set(*count > 0);
        }
    }
}
