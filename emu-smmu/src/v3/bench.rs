//! A bench for tests: memory with structures in it.

use std::sync::Arc;

use emu_core::Pa;
use emu_core::bus::{Backing, Bus, BusView};
use emu_core::ram::GuestRam;
use emu_core::table::TableBus;

use super::layout::Words;
use super::profile::Profile;

/// Everything that is implemented, and StreamIDs of any size.
pub(super) const FULL: Profile = Profile { stream_bits: 32, ..Profile::FULL };

/// Where the memory is.
pub(super) const RAM: u64 = 0x4000_0000;
const SIZE: u64 = 1 << 20;

/// A structure with values at bits.
pub(super) fn words(bits: &[(u16, u64)]) -> Words {
    let mut words = [0; 8];
    for &(at, value) in bits {
        words[usize::from(at) / 64] |= value << (at % 64);
    }
    words
}

/// Memory of 1 MiB.
pub(super) struct Bench {
    pub(super) bus: Arc<Bus>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), SIZE, Backing::Ram(GuestRam::new(SIZE).unwrap(), 0)).unwrap();
        Self { bus }
    }

    pub(super) fn memory(&self) -> TableBus<Arc<BusView>> {
        TableBus::new(self.bus.view())
    }

    /// Writes doublewords.
    pub(super) fn put(&self, at: u64, words: &[u64]) {
        let memory = self.memory();
        for (i, word) in words.iter().enumerate() {
            memory.write_u64(Pa(at + 8 * i as u64), *word).unwrap();
        }
    }

    pub(super) fn get(&self, at: u64) -> u64 {
        self.memory().read_u64(Pa(at)).unwrap()
    }
}
