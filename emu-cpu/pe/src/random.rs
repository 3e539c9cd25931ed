//! Random numbers for FEAT_RNG.

use std::hash::{BuildHasher, RandomState};

use emu_core::clock::{Clock, Mode};
use emu_core::random::SplitMix64;

/// The generator of the PE `index`. It starts from the host's randomness, or, in a machine whose time is counted and whose
/// runs repeat, from the number of the PE.
pub(crate) fn generator(clock: &Clock, index: usize) -> SplitMix64 {
    SplitMix64::new(match clock.mode() {
        Mode::Counted => index as u64,
        _ => RandomState::new().hash_one(index),
    })
}
