//! Where in the fast TLB the write tags of a page of RAM are: making code from the page takes them away, and there are too
//! many places to look at all of them each time that a program writes new code over old.

use super::fast::PAGE_MASK;
use super::shared::CodeMap;

/// Where the write tags of a page may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// There are none.
    Nowhere,
    /// In this bank, for this virtual page only.
    One {
        /// Number of the bank.
        bank: u8,
        /// Address of the page, as programs write it.
        va: u64,
    },
    /// In several places.
    Anywhere,
}

/// What a word holds for [`Where::Anywhere`]; 0 is [`Where::Nowhere`], and else it is the virtual page with the bank's
/// number plus 1 in the low bits.
const ANYWHERE: u64 = u64::MAX;

/// One word for each page of RAM.
pub(super) struct Writers {
    ranges: Vec<(u64, Box<[u64]>)>,
}

impl Writers {
    pub(super) fn new(code: &CodeMap) -> Self {
        Self { ranges: code.ranges().map(|(first, pages)| (first, vec![0; pages].into())).collect() }
    }

    fn word(&mut self, page: u64) -> Option<&mut u64> {
        self.ranges.iter_mut().find_map(|(first, words)| words.get_mut(page.checked_sub(*first)? as usize))
    }

    /// A write tag of physical page `page` was made.
    pub(super) fn note(&mut self, page: u64, bank: u8, va: u64) {
        if let Some(word) = self.word(page) {
            let one = va & PAGE_MASK | (u64::from(bank) + 1);
            *word = if *word == 0 || *word == one { one } else { ANYWHERE };
        }
    }

    /// All write tags of the page go away now: where they may be.
    pub(super) fn take(&mut self, page: u64) -> Where {
        match self.word(page).map(std::mem::take) {
            Some(0) => Where::Nowhere,
            Some(ANYWHERE) | None => Where::Anywhere,
            Some(one) => Where::One { bank: ((one & !PAGE_MASK) - 1) as u8, va: one & PAGE_MASK },
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_core::Pa;

    use super::*;
    use crate::mem::shared::Shared;

    #[test]
    fn one_place_and_several() {
        let shared = Shared::new(1, &[(Pa(0x4000_0000), 0x4000)]);
        let mut w = Writers::new(&shared.code);
        assert_eq!(w.take(0x40001), Where::Nowhere);
        w.note(0x40001, 31, 0xffff_8000_1234_5678);
        w.note(0x40001, 31, 0xffff_8000_1234_5000);
        w.note(0x40002, 0, 0x7000);
        assert_eq!(w.take(0x40001), Where::One { bank: 31, va: 0xffff_8000_1234_5000 });
        assert_eq!(w.take(0x40001), Where::Nowhere);
        w.note(0x40002, 1, 0x7000);
        assert_eq!(w.take(0x40002), Where::Anywhere);
        w.note(0x40002, 0, 0x7000);
        w.note(0x40002, 0, 0x8000);
        assert_eq!(w.take(0x40002), Where::Anywhere);
        assert_eq!(w.take(0x1), Where::Anywhere, "nothing is known about what is not RAM");
    }
}
