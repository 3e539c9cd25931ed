//! What the guest writes: the same for the same seed, so that whoever looks at the image knows it.

use emu_core::random::SplitMix64;

/// Bytes of the disk.
pub(super) const DISK: u64 = 16 << 20;
/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;
/// The most writes of a batch, and the most sectors of one.
pub(super) const WRITES: u64 = 8;
pub(super) const SECTORS: u64 = 128;

/// A write of whole sectors, each filled with a number that no other write has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) sector: u64,
    pub(super) sectors: u64,
    /// 0 for zeros that the device is to make by itself.
    pub(super) stamp: u64,
}

/// Batches of writes, which do not overlap: each has a part of the disk to itself.
pub(super) struct Workload {
    random: SplitMix64,
    stamp: u64,
}

impl Workload {
    /// Its writes have the numbers from `first` on.
    pub(super) fn new(seed: u64, first: u64) -> Self {
        Self { random: SplitMix64::new(seed), stamp: first }
    }

    /// The number after those of all writes so far.
    pub(super) fn next_stamp(&self) -> u64 {
        self.stamp
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random.number() % n
    }

    pub(super) fn batch(&mut self) -> Vec<Write> {
        let part = DISK / SECTOR / WRITES;
        let writes = 1 + self.below(WRITES);
        (0..writes)
            .map(|n| {
                let sectors = 1 + self.below(SECTORS);
                let sector = n * part + self.below(part - sectors);
                let zeros = self.below(6) == 0;
                self.stamp += 1;
                Write { sector, sectors, stamp: if zeros { 0 } else { self.stamp - 1 } }
            })
            .collect()
    }
}
