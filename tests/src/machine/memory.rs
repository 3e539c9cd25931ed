//! RAM of machines that are there one after the other. A block of guest memory is there for ever, so the next machine has it again.

use std::ops::Deref;

use emu_core::ram::GuestRam;
use firmware::guest_tests::layout;
use parking_lot::Mutex;

/// Blocks that no machine has at present.
static FREE: Mutex<Vec<&'static GuestRam>> = Mutex::new(Vec::new());

/// The RAM of one machine.
pub struct Ram(&'static GuestRam);

impl Ram {
    /// All of it is zero.
    pub(super) fn new() -> Self {
        let used = FREE.lock().pop();
        let block = used.unwrap_or_else(|| {
            GuestRam::new(layout::RAM_SIZE).expect("the host has 16 MiB of address space")
        });
        if used.is_some() {
            block.write(0, &vec![0; layout::RAM_SIZE as usize]).expect("it is as large as RAM");
        }
        Self(block)
    }

    pub(super) fn block(&self) -> &'static GuestRam {
        self.0
    }
}

impl Deref for Ram {
    type Target = GuestRam;

    fn deref(&self) -> &GuestRam {
        self.0
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        FREE.lock().push(self.0);
    }
}
