//! Choices out of bytes.

/// A reader that turns the bytes of an input into choices. When they run out it gives zeros, so that every input means
/// something; loops end with [`Source::is_empty`].
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// The choices in `data`.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// True if only zeros are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let n = N.min(self.0.len());
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        let mut out = [0; N];
        out[..n].copy_from_slice(head);
        out
    }

    /// 8 bits.
    pub fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }
    /// 16 bits.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }
    /// 32 bits.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    /// 64 bits.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// A number below `n` (which is not 0).
    pub fn below(&mut self, n: u64) -> u64 {
        match n {
            0..=0x100 => u64::from(self.u8()) % n.max(1),
            0x101..=0x1_0000 => u64::from(self.u16()) % n,
            0x1_0001..=0x1_0000_0000 => u64::from(self.u32()) % n,
            _ => self.u64() % n,
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u8) -> bool {
        self.u8().is_multiple_of(n.max(1))
    }

    /// One of several (at least one).
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A number of the kind that breaks things: small, a power of two or its neighbour, sparse, negative, or anything.
    pub fn value(&mut self) -> u64 {
        match self.u8() % 10 {
            0 => 0,
            1 => u64::MAX,
            2 => self.u8().into(),
            3 => 1 << self.below(64),
            4 => (1 << self.below(64)) - 1,
            5 => u64::from(self.u8()).wrapping_neg(),
            6 => self.u16().into(),
            7 => self.u32().into(),
            8 => self.u64() & self.u64() & self.u64(),
            _ => self.u64(),
        }
    }

    /// An address near one of several places, or anywhere. `places` are first addresses and sizes.
    pub fn address(&mut self, places: &[(u64, u64)]) -> u64 {
        match self.u8() % 16 {
            0 => self.value(),
            1 => {
                let (base, size) = self.pick(places);
                // Across an end.
                base.wrapping_add(size).wrapping_sub(u64::from(self.u8() % 24))
            }
            n => {
                let (base, size) = self.pick(places);
                let offset = self.below(size.max(1));
                base.wrapping_add(if n < 4 { offset } else { offset & !7 })
            }
        }
    }
}
