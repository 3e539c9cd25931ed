//! The slots for values that live in no guest register.

use super::TooBig;
use crate::interp::uop::FIRST_TEMP;

/// The temporaries of one file.
pub(super) struct Temps {
    free: Vec<u8>,
    /// Slots in use, with the operation after which they are free.
    busy: Vec<(u8, u16)>,
}

impl Temps {
    pub(super) fn new() -> Self {
        Self { free: (FIRST_TEMP..=255).rev().collect(), busy: Vec::new() }
    }
    pub(super) fn expire(&mut self, now: u16) {
        let free = &mut self.free;
        self.busy.retain(|&(slot, last)| {
            let keep = last > now;
            if !keep {
                free.push(slot);
            }
            keep
        });
    }
    pub(super) fn take(&mut self, last: u16) -> Result<u8, TooBig> {
        let slot = self.free.pop().ok_or(TooBig)?;
        self.busy.push((slot, last));
        Ok(slot)
    }
    pub(super) fn extend(&mut self, slot: u8, last: u16) {
        if let Some(e) = self.busy.iter_mut().find(|e| e.0 == slot) {
            e.1 = e.1.max(last);
        }
    }
}
