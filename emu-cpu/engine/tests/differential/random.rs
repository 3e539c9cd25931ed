//! Random numbers that are the same everywhere, and operands that are hard.

use emu_core::random::SplitMix64;

/// Operands from a seed.
pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0.number()
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// 64 bits: near a power of two or its negative, small, short, repeated, or any.
    pub(crate) fn integer(&mut self) -> u64 {
        let n = self.next();
        match self.below(8) {
            0 => n % 4,
            1 => (n % 4).wrapping_neg(),
            2 => 1u64 << (n & 63),
            3 => (1u64 << (n & 63)).wrapping_sub(1),
            4 => (1u64 << (n & 63)).wrapping_neg(),
            5 => (n as i64 >> (n & 63)) as u64,
            6 => (n & 0xffff_ffff) * 0x1_0000_0001,
            _ => n,
        }
    }

    /// A floating-point number of `exponent` and `fraction` bits, extreme ones as frequent as ordinary ones.
    fn float(&mut self, exponent: u32, fraction: u32) -> u64 {
        let top = (1u64 << exponent) - 1;
        let bias = top >> 1;
        let e = match self.below(8) {
            0 => 0,
            1 => top,
            2 => 1,
            3 => top - 1,
            4 => self.next() & top,
            _ => bias - 2 + self.next() % 5,
        };
        let ones = (1u64 << fraction) - 1;
        let f = match self.below(5) {
            0 => 0,
            1 => ones,
            2 => 1 << (fraction - 1),
            3 => 1 << self.below(fraction as usize),
            _ => self.next() & ones,
        };
        (self.next() & 1) << (exponent + fraction) | e << fraction | f
    }

    /// 128 bits: elements that are hard as integers or as floating-point numbers.
    pub(crate) fn vector(&mut self) -> u128 {
        let half = |r: &mut Self| match r.below(6) {
            0 => r.integer(),
            1 => r.float(11, 52),
            2 => r.float(8, 23) | r.float(8, 23) << 32,
            3 => (0..4).fold(0, |v, i| v | r.float(5, 10) << (16 * i)),
            4 => (0..8).fold(0, |v, i| v | u64::from(r.integer() as u8) << (8 * i)),
            _ => (0..2).fold(0, |v, i| v | u64::from(r.integer() as u32) << (32 * i)),
        };
        u128::from(half(self)) | u128::from(half(self)) << 64
    }
}
