//! Random numbers for FEAT_RNG.

use std::hash::{BuildHasher, RandomState};

use emu_core::clock::{Clock, Mode};

/// A generator: SplitMix64, which passes the usual statistical tests. It starts from the host's randomness, or, in a
/// machine whose time is counted and whose runs repeat, from the number of the PE.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of PE `index`.
    #[must_use]
    pub fn new(clock: &Clock, index: usize) -> Self {
        Self(match clock.mode() {
            Mode::Counted => index as u64,
            _ => RandomState::new().hash_one(index),
        })
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Where the generator is, for a snapshot.
    pub(crate) fn state(&self) -> u64 {
        self.0
    }

    /// Goes on from a snapshot.
    pub(crate) fn restore(&mut self, state: u64) {
        self.0 = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of SplitMix64 from seed 0.
    #[test]
    fn reference_sequence() {
        let mut r = Random(0);
        assert_eq!([r.number(), r.number()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}
