//! What TLBI by address asks before it looks for pages: filters that may say yes too often.
//!
//! A kernel invalidates single pages all the time, mostly such as no bank of the fast TLB has. The banks are many and large,
//! so that asking each of them would cost more than everything else; the filters here are shared, and answer with the set of
//! banks that are worth asking.

/// Pages of a range that are looked up one by one; a longer range counts as a hit.
const MAX_PAGES: u64 = 64;
/// The bits of an address that a TLBI compares: not the tag byte.
pub(super) const UNTAGGED: u64 = 0x00ff_ffff_ffff_f000;
/// How many bits that leaves of an address.
const UNTAGGED_BITS: u8 = 56;

/// A set of banks: bit n is bank number n.
pub(super) type Banks = u32;

/// Places of a filter of pages.
const PAGES: usize = 8192;
/// Places of a filter of blocks.
const BLOCKS: usize = 1024;

/// The banks that have had something at a place.
struct Places {
    banks: Box<[Banks]>,
    /// Banks that are at any place.
    any: Banks,
}

impl Places {
    fn new(places: usize) -> Self {
        Self { banks: vec![0; places].into(), any: 0 }
    }

    #[inline]
    fn at(&self, place: u64) -> Banks {
        self.banks[place as usize % self.banks.len()]
    }

    #[inline]
    fn add(&mut self, place: u64, bank: u8) {
        let n = self.banks.len();
        self.banks[place as usize % n] |= 1 << bank;
        self.any |= 1 << bank;
    }

    fn forget(&mut self, bank: u8) {
        if self.any >> bank & 1 != 0 {
            self.any &= !(1 << bank);
            self.banks.iter_mut().for_each(|banks| *banks &= !(1 << bank));
        }
    }
}

/// Pages by number, whatever the tag byte.
pub(super) struct Pages(Places);

impl Pages {
    pub(super) fn new() -> Self {
        Self(Places::new(PAGES))
    }

    /// A bank has the page of `va`.
    #[inline]
    pub(super) fn add(&mut self, va: u64, bank: u8) {
        self.0.add(va >> 12, bank);
    }

    /// Banks that may have a page between two addresses, both included.
    pub(super) fn between(&self, start: u64, end: u64) -> Banks {
        match page_count(start, end) {
            Some(pages) => (0..pages).fold(0, |banks, n| banks | self.0.at((start >> 12).wrapping_add(n))),
            None => self.0.any,
        }
    }

    /// The bank has no page any more.
    pub(super) fn forget(&mut self, bank: u8) {
        self.0.forget(bank);
    }
}

/// The number of pages between two addresses, both included; `None` if they are more than [`MAX_PAGES`].
pub(super) fn page_count(start: u64, end: u64) -> Option<u64> {
    let pages = (end >> 12).wrapping_sub(start >> 12).wrapping_add(1);
    (1..=MAX_PAGES).contains(&pages).then_some(pages)
}

/// Which blocks (or contiguous runs) of stage 1 pages were taken from. Every page of a block goes when a TLBI names any
/// address in it, and the pages of a bank do not know their block.
pub(super) struct Blocks {
    /// Bit n: there are blocks of 2^n bytes.
    sizes: u64,
    places: Places,
}

impl Blocks {
    /// Blocks that a range is looked up for one by one; a longer range counts as a hit.
    const MOST: u64 = 64;

    pub(super) fn new() -> Self {
        Self { sizes: 0, places: Places::new(BLOCKS) }
    }

    fn place(block: u64, bits: u8) -> u64 {
        (block ^ u64::from(bits) << 58).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54
    }

    /// A bank has a page of the block of 2^`bits` bytes around `va`.
    pub(super) fn add(&mut self, va: u64, bits: u8, bank: u8) {
        let bits = bits.min(UNTAGGED_BITS);
        self.sizes |= 1 << bits;
        self.places.add(Self::place((va & UNTAGGED) >> bits, bits), bank);
    }

    /// Banks that may have a page of a block that a range touches.
    pub(super) fn touched(&self, start: u64, end: u64) -> Banks {
        let (start, end) = (start & UNTAGGED, end & UNTAGGED);
        let (mut sizes, mut banks) = (self.sizes, 0);
        while sizes != 0 {
            let bits = sizes.trailing_zeros() as u8;
            sizes &= sizes - 1;
            let (first, last) = (start >> bits, end >> bits);
            if last.wrapping_sub(first) >= Self::MOST {
                return self.places.any;
            }
            banks = (first..=last).fold(banks, |banks, b| banks | self.places.at(Self::place(b, bits)));
        }
        banks
    }

    /// The bank has no page any more.
    pub(super) fn forget(&mut self, bank: u8) {
        self.places.forget(bank);
        if self.places.any == 0 {
            self.sizes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_whatever_their_tag_byte() {
        let mut pages = Pages::new();
        pages.add(0x5000, 3);
        pages.add(0x5800, 31);
        pages.add(0x9000, 0);
        assert_eq!(pages.between(0x5000, 0x5fff), 1 << 3 | 1 << 31);
        assert_eq!(pages.between(0xff00_0000_0000_5000, 0xff00_0000_0000_5fff), 1 << 3 | 1 << 31);
        assert_eq!(pages.between(0x4000, 0x9fff), 1 << 3 | 1 << 31 | 1);
        assert_eq!(pages.between(0x6000, 0x8fff), 0);
        assert_eq!(pages.between(0, u64::MAX), 1 << 3 | 1 << 31 | 1, "all banks that have any");
        pages.forget(31);
        assert_eq!(pages.between(0x5000, 0x5fff), 1 << 3);
        assert_eq!(page_count(0x3fff, 0x4000), Some(2));
        assert_eq!(page_count(0, 0x3_ffff), Some(64));
        assert_eq!(
            (page_count(0, 0x4_0000), page_count(0, u64::MAX), page_count(0x1000, 0)),
            (None, None, None)
        );
    }

    #[test]
    fn a_block_is_touched_by_each_of_its_addresses() {
        let mut blocks = Blocks::new();
        blocks.add(0x20_0000, 21, 1);
        blocks.add(0x4000_0000, 30, 2);
        assert_eq!(blocks.touched(0x3f_f000, 0x3f_ffff), 1 << 1);
        assert_eq!(blocks.touched(0x7fff_f000, 0x7fff_ffff), 1 << 2);
        assert_eq!(blocks.touched(0x40_0000, 0x40_0fff), 0);
        assert_eq!(blocks.touched(0x1f_f000, 0x20_0fff), 1 << 1);
        assert_eq!(blocks.touched(0, u64::MAX), 1 << 1 | 1 << 2);
        blocks.forget(1);
        assert_eq!(blocks.touched(0x3f_f000, 0x3f_ffff), 0);
        blocks.forget(2);
        assert_eq!((blocks.sizes, blocks.touched(0, u64::MAX)), (0, 0));
    }
}
