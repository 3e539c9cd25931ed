//! Where in the fast TLB the write tags of a page of RAM are: making code from the page takes them away, and there are too
//! many places to look at all of them each time that a program writes new code over old.

use super::fast::PAGE_MASK;
use super::filters::Banks;
use super::shared::CodeMap;

/// Addresses that are known of a page, at most. A kernel has one for all memory, in the contexts of all its processes; a second
/// one for what it maps now and then, and a process or a hypervisor has another.
const ADDRESSES: usize = 3;

/// Where the write tags of a page may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// There are none.
    Nowhere,
    /// In these banks, for these virtual pages.
    At {
        /// Addresses of the page, as programs write it.
        addresses: [Option<u64>; ADDRESSES],
        /// In which banks.
        banks: Banks,
    },
    /// At more addresses than are noted.
    Anywhere,
}

/// Words of one page: its addresses, each with [`PRESENT`], and the banks with [`MORE`].
const WORDS: usize = ADDRESSES + 1;
/// There is an address in the word.
const PRESENT: u64 = 1;
/// There were more addresses.
const MORE: u64 = 1 << 32;

/// Some words for each page of RAM: 0 where nothing is known, so that the memory is not touched until then.
pub(super) struct Writers {
    ranges: Vec<(u64, Box<[u64]>)>,
}

impl Writers {
    pub(super) fn new(code: &CodeMap) -> Self {
        Self { ranges: code.ranges().map(|(first, pages)| (first, vec![0; pages * WORDS].into())).collect() }
    }

    fn words(&mut self, page: u64) -> Option<&mut [u64; WORDS]> {
        self.ranges.iter_mut().find_map(|(first, words)| {
            let at = (page.checked_sub(*first)? as usize).checked_mul(WORDS)?;
            words.get_mut(at..)?.first_chunk_mut()
        })
    }

    /// A write tag of physical page `page` was made.
    pub(super) fn note(&mut self, page: u64, bank: u8, va: u64) {
        let address = va & PAGE_MASK | PRESENT;
        if let Some([addresses @ .., banks]) = self.words(page) {
            *banks |= 1 << bank;
            match addresses.iter_mut().find(|a| **a == 0 || **a == address) {
                Some(a) => *a = address,
                None => *banks |= MORE,
            }
        }
    }

    /// All write tags of all pages go away now: calls `each` with the pages that may have had some.
    pub(super) fn take_all(&mut self, mut each: impl FnMut(u64)) {
        for (first, words) in &mut self.ranges {
            for (page, words) in (*first..).zip(words.chunks_exact_mut(WORDS)) {
                // What is not known was never touched, and stays so.
                if words.iter().any(|word| *word != 0) {
                    words.fill(0);
                    each(page);
                }
            }
        }
    }

    /// All write tags of the page go away now: where they may be.
    pub(super) fn take(&mut self, page: u64) -> Where {
        match self.words(page).map(std::mem::take) {
            Some([.., 0]) => Where::Nowhere,
            Some([addresses @ .., banks]) if banks & MORE == 0 => {
                let address = |a| (a != 0).then_some(a & PAGE_MASK);
                Where::At { addresses: addresses.map(address), banks: banks as Banks }
            }
            _ => Where::Anywhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use emu_core::Pa;

    use super::*;
    use crate::mem::shared::Shared;

    #[test]
    fn all_pages_at_once() {
        let shared = Shared::new(1, &[(Pa(0x4000_0000), 0x4000), (Pa(0x8000_0000), 0x2000)]);
        let mut w = Writers::new(&shared.code);
        w.note(0x40001, 3, 0x7000);
        w.note(0x80001, 0, 0);
        let mut pages = Vec::new();
        w.take_all(|page| pages.push(page));
        assert_eq!(pages, [0x40001, 0x80001]);
        assert_eq!((w.take(0x40001), w.take(0x80001)), (Where::Nowhere, Where::Nowhere));
    }

    #[test]
    fn one_place_and_several() {
        let shared = Shared::new(1, &[(Pa(0x4000_0000), 0x4000)]);
        let mut w = Writers::new(&shared.code);
        let at = |addresses, banks| Where::At { addresses, banks };
        assert_eq!(w.take(0x40001), Where::Nowhere);
        w.note(0x40001, 31, 0xffff_8000_1234_5678);
        w.note(0x40001, 31, 0xffff_8000_1234_5000);
        w.note(0x40002, 0, 0);
        assert_eq!(w.take(0x40001), at([Some(0xffff_8000_1234_5000), None, None], 1 << 31));
        assert_eq!(w.take(0x40001), Where::Nowhere);
        w.note(0x40002, 1, 0x7000);
        w.note(0x40002, 1, 0);
        assert_eq!(w.take(0x40002), at([Some(0), Some(0x7000), None], 1 | 1 << 1));
        for va in [0x7000, 0x8000, 0x9000] {
            w.note(0x40003, 0, va);
        }
        assert_eq!(w.take(0x40003), at([Some(0x7000), Some(0x8000), Some(0x9000)], 1));
        for va in [0x7000, 0x8000, 0x9000, 0xa000] {
            w.note(0x40003, 0, va);
        }
        assert_eq!(w.take(0x40003), Where::Anywhere);
        assert_eq!(w.take(0x40003), Where::Nowhere);
        assert_eq!(w.take(0x40004), Where::Anywhere, "the page after the last one");
        assert_eq!(w.take(0x1), Where::Anywhere, "nothing is known about what is not RAM");
    }
}
