//! The initial states of recorded cases: the same generator as in `record.c`.

use emu_core::random::SplitMix64;

use crate::machine::{MEM_ADDR, MEM_SIZE, Machine};

/// Elements from a seed.
pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0.number()
    }

    /// 64 bits full of elements of one size, many of them at the ends of its range or small.
    pub(crate) fn elements(&mut self) -> u64 {
        let kind = self.next() % 5;
        if kind == 4 {
            return self.next();
        }
        let bits = 8 << kind;
        let (mask, top) = (u64::MAX >> (64 - bits), 1u64 << (bits - 1));
        (0..64).step_by(bits as usize).fold(0, |out, i| {
            let s = self.next();
            let x = match s % 8 {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => top,
                4 => top - 1,
                5 => (s >> 8) % (2 * bits),
                6 => ((s >> 8) % (2 * bits)).wrapping_neg(),
                _ => s >> 8,
            };
            out | (x & mask) << i
        })
    }
}

/// The state that case `set` of an instruction starts from.
pub(crate) fn initial(word: u32, set: u8) -> Machine {
    let mut r = Random::new(u64::from(word) << 8 | u64::from(set));
    let mut m = Machine::default();
    for v in &mut m.v {
        let lo = r.elements();
        *v = u128::from(lo) | u128::from(r.elements()) << 64;
    }
    for x in &mut m.x[..16] {
        *x = r.next();
    }
    for i in (0..MEM_SIZE).step_by(8) {
        m.mem[i..i + 8].copy_from_slice(&r.next().to_le_bytes());
    }
    if word & 0xbe00_0000 == 0x0c00_0000 {
        m.x[word as usize >> 5 & 15] = MEM_ADDR + 32 + r.next() % 16;
    }
    m
}
