//! Memory, and a copy of what must be in it.

use emu_core::ram::GuestRam;

pub(super) const RAM: u64 = 0x4000_0000;
pub(super) const RAM_SIZE: u64 = 0x10_0000;

/// A copy of memory, for whoever must not look at what the SMMU has made of it.
pub(super) struct Mirror(Vec<u8>);

impl Mirror {
    /// The doubleword at an aligned address, if memory is there.
    pub(super) fn get(&self, pa: u64) -> Option<u64> {
        let at = pa.checked_sub(RAM).filter(|at| at.is_multiple_of(8))? as usize;
        self.0.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// Bytes that are in memory as a whole.
    pub(super) fn bytes(&self, pa: u64, len: usize) -> Option<&[u8]> {
        let at = pa.checked_sub(RAM)? as usize;
        self.0.get(at..at.checked_add(len)?)
    }
}

/// Memory and its copy.
pub(super) struct Memory {
    pub(super) ram: &'static GuestRam,
    pub(super) mirror: Mirror,
}

impl Memory {
    pub(super) fn new() -> Self {
        let ram = GuestRam::new(RAM_SIZE).expect("the host has a MiB of address space");
        Self { ram, mirror: Mirror(vec![0; RAM_SIZE as usize]) }
    }

    /// From `data` on each doubleword tells where it is, and what is before is zero.
    pub(super) fn reset(&mut self, data: u64) {
        let (tables, rest) = self.mirror.0.split_at_mut((data - RAM) as usize);
        tables.fill(0);
        for (at, word) in (data..).step_by(8).zip(rest.chunks_mut(8)) {
            word.copy_from_slice(&at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        }
        self.ram.write(0, &self.mirror.0).expect("it is as large as memory");
    }

    /// What software reads.
    pub(super) fn get(&self, pa: u64) -> u64 {
        self.mirror.get(pa).unwrap_or(0)
    }

    /// Software writes a doubleword.
    pub(super) fn put(&mut self, pa: u64, value: u64) {
        self.ram.store_u64(pa - RAM, value).expect("it is in memory");
        self.settle(pa, &value.to_le_bytes());
    }

    /// The bytes that are in memory, as they are.
    pub(super) fn now(&self, pa: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.ram.read(pa.checked_sub(RAM)?, &mut bytes)?;
        Some(bytes)
    }

    /// The doubleword that is in memory, as it is.
    pub(super) fn now_at(&self, pa: u64) -> u64 {
        self.ram.load_u64(pa.wrapping_sub(RAM)).unwrap_or(0)
    }

    /// These bytes have been written rightly.
    pub(super) fn settle(&mut self, pa: u64, bytes: &[u8]) {
        let at = (pa - RAM) as usize;
        self.mirror.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// What is in a range is as it is.
    pub(super) fn accept(&mut self, pa: u64, len: usize) {
        if let Some(bytes) = self.now(pa, len) {
            self.settle(pa, &bytes);
        }
    }

    /// The first doubleword that is not as it must be.
    pub(super) fn difference(&self) -> Option<(u64, u64, u64)> {
        let is = self.now(RAM, RAM_SIZE as usize)?;
        if is == self.mirror.0 {
            return None;
        }
        let at = (0..is.len()).find(|&at| is[at] != self.mirror.0[at])? & !7;
        let word = |of: &[u8]| of[at..at + 8].iter().rev().fold(0, |w, b| w << 8 | u64::from(*b));
        Some((RAM + at as u64, word(&is), word(&self.mirror.0)))
    }
}
