//! Where in the fast TLB the write tags of a page of RAM are: watching the page takes them away, and there are too
//! many places to look at all of them each time that a program writes new code over old.

use emu_core::page::Page;
use emu_core::ram::GuestRam;

use super::fast::{PAGE, PAGE_MASK};
use super::filters::Banks;

/// Addresses that are known of a page, at most. A kernel has one for all memory, in the contexts of all its processes; a second
/// one for what it maps now and then, and a process or a hypervisor has another.
const ADDRESSES: usize = 3;

/// Where the write tags of a page may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TagPlaces {
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

/// Some words for each page of the blocks that have ever had a tag: 0 where nothing is known, so that the memory is not
/// touched until then.
#[derive(Default)]
pub(super) struct Writers {
    blocks: Vec<(&'static GuestRam, Box<[[u64; WORDS]]>)>,
}

impl Writers {
    fn words(&mut self, page: Page) -> Option<&mut [u64; WORDS]> {
        let (_, words) = self.blocks.iter_mut().find(|(ram, _)| std::ptr::eq(*ram, page.ram()))?;
        words.get_mut(page.index())
    }

    /// A write tag of `page` was made.
    pub(super) fn note(&mut self, page: Page, bank: u8, va: u64) {
        let address = va & PAGE_MASK | PRESENT;
        if self.words(page).is_none() {
            let pages = (page.ram().size() / PAGE) as usize;
            self.blocks.push((page.ram(), vec![[0; WORDS]; pages].into()));
        }
        if let Some([addresses @ .., banks]) = self.words(page) {
            *banks |= 1 << bank;
            match addresses.iter_mut().find(|a| **a == 0 || **a == address) {
                Some(a) => *a = address,
                None => *banks |= MORE,
            }
        }
    }

    /// All write tags of all pages go away now: calls `each` with the pages that may have had some.
    pub(super) fn take_all(&mut self, each: impl Fn(Page)) {
        for (ram, words) in &mut self.blocks {
            let pages = (0..).step_by(PAGE as usize).map_while(|at| ram.place(at));
            for (place, words) in pages.zip(words.iter_mut()) {
                // What is not known was never touched, and stays so.
                if words.iter().any(|word| *word != 0) {
                    words.fill(0);
                    each(place.page());
                }
            }
        }
    }

    /// All write tags of the page go away now: where they may be.
    pub(super) fn take(&mut self, page: Page) -> TagPlaces {
        match self.words(page).map(std::mem::take) {
            None | Some([.., 0]) => TagPlaces::Nowhere,
            Some([addresses @ .., banks]) if banks & MORE == 0 => {
                let address = |a| (a != 0).then_some(a & PAGE_MASK);
                TagPlaces::At { addresses: addresses.map(address), banks: banks as Banks }
            }
            Some(_) => TagPlaces::Anywhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn pages<const N: usize>() -> [Page; N] {
        let ram = GuestRam::new(N as u64 * PAGE).unwrap();
        std::array::from_fn(|n| ram.place(n as u64 * PAGE).unwrap().page())
    }

    #[test]
    fn all_pages_at_once() {
        let (some, others) = (pages::<4>(), pages::<2>());
        let mut w = Writers::default();
        w.note(some[1], 3, 0x7000);
        w.note(others[1], 0, 0);
        let seen = RefCell::new(Vec::new());
        w.take_all(|page| seen.borrow_mut().push(page));
        assert_eq!(*seen.borrow(), [some[1], others[1]]);
        assert_eq!((w.take(some[1]), w.take(others[1])), (TagPlaces::Nowhere, TagPlaces::Nowhere));
    }

    #[test]
    fn one_place_and_several() {
        let p = pages::<4>();
        let mut w = Writers::default();
        let at = |addresses, banks| TagPlaces::At { addresses, banks };
        assert_eq!(w.take(p[1]), TagPlaces::Nowhere);
        w.note(p[1], 31, 0xffff_8000_1234_5678);
        w.note(p[1], 31, 0xffff_8000_1234_5000);
        w.note(p[2], 0, 0);
        assert_eq!(w.take(p[1]), at([Some(0xffff_8000_1234_5000), None, None], 1 << 31));
        assert_eq!(w.take(p[1]), TagPlaces::Nowhere);
        w.note(p[2], 1, 0x7000);
        w.note(p[2], 1, 0);
        assert_eq!(w.take(p[2]), at([Some(0), Some(0x7000), None], 1 | 1 << 1));
        for va in [0x7000, 0x8000, 0x9000] {
            w.note(p[3], 0, va);
        }
        assert_eq!(w.take(p[3]), at([Some(0x7000), Some(0x8000), Some(0x9000)], 1));
        for va in [0x7000, 0x8000, 0x9000, 0xa000] {
            w.note(p[3], 0, va);
        }
        assert_eq!(w.take(p[3]), TagPlaces::Anywhere);
        assert_eq!(w.take(p[3]), TagPlaces::Nowhere);
        assert_eq!(w.take(pages::<1>()[0]), TagPlaces::Nowhere, "another block");
    }
}
