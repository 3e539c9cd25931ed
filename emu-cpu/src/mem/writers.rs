//! Where in the fast TLB the write tags of a page of RAM are: making code from the page takes them away, and there are too
//! many places to look at all of them each time that a program writes new code over old.

use super::fast::PAGE_MASK;
use super::filters::Banks;
use super::shared::CodeMap;

/// Where the write tags of a page may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// There are none.
    Nowhere,
    /// For this virtual page only. A kernel has a page at one address, in the contexts of all its processes.
    At {
        /// Address of the page, as programs write it.
        va: u64,
        /// In which banks.
        banks: Banks,
    },
    /// At several addresses.
    Anywhere,
}

/// What is known of one page.
#[derive(Clone, Copy, Default)]
struct Tags {
    /// The virtual page, or [`SEVERAL`].
    va: u64,
    /// The banks; 0 for [`Where::Nowhere`].
    banks: Banks,
}

/// Not the address of a page.
const SEVERAL: u64 = 1;

/// One entry for each page of RAM.
pub(super) struct Writers {
    ranges: Vec<(u64, Box<[Tags]>)>,
}

impl Writers {
    pub(super) fn new(code: &CodeMap) -> Self {
        let none = |pages| vec![Tags::default(); pages].into();
        Self { ranges: code.ranges().map(|(first, pages)| (first, none(pages))).collect() }
    }

    fn tags(&mut self, page: u64) -> Option<&mut Tags> {
        self.ranges.iter_mut().find_map(|(first, tags)| tags.get_mut(page.checked_sub(*first)? as usize))
    }

    /// A write tag of physical page `page` was made.
    pub(super) fn note(&mut self, page: u64, bank: u8, va: u64) {
        let va = va & PAGE_MASK;
        if let Some(tags) = self.tags(page) {
            if tags.banks == 0 {
                tags.va = va;
            } else if tags.va != va {
                tags.va = SEVERAL;
            }
            tags.banks |= 1 << bank;
        }
    }

    /// All write tags of the page go away now: where they may be.
    pub(super) fn take(&mut self, page: u64) -> Where {
        match self.tags(page).map(std::mem::take) {
            Some(Tags { banks: 0, .. }) => Where::Nowhere,
            Some(Tags { va: SEVERAL, .. }) | None => Where::Anywhere,
            Some(Tags { va, banks }) => Where::At { va, banks },
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
        assert_eq!(w.take(0x40001), Where::At { va: 0xffff_8000_1234_5000, banks: 1 << 31 });
        assert_eq!(w.take(0x40001), Where::Nowhere);
        w.note(0x40002, 1, 0x7000);
        assert_eq!(w.take(0x40002), Where::At { va: 0x7000, banks: 1 | 1 << 1 });
        w.note(0x40002, 0, 0x7000);
        w.note(0x40002, 0, 0x8000);
        assert_eq!(w.take(0x40002), Where::Anywhere);
        assert_eq!(w.take(0x1), Where::Anywhere, "nothing is known about what is not RAM");
    }
}
