//! Where translated bytes are: in a block of RAM, which is accessed without asking the bus again, or at a physical address.
//!
//! What an address leads to holds for one generation of the bus; who keeps an output keeps it for that generation.

use std::sync::OnceLock;

use emu_core::Pa;
use emu_core::addr::PAGE_SIZE;
use emu_core::bus::{BusView, Target};
use emu_core::ram::GuestRam;

/// Blocks of RAM that have a number: a machine has fewer. What is in others is accessed by its address.
const BLOCKS: usize = 15;

/// Where bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// In a block, by its number ([`Blocks`]), from byte `offset` on.
    Ram { block: usize, offset: u64 },
    /// At an address: registers, memory that is not written as RAM is, or nothing.
    At(Pa),
}

impl Output {
    /// What is `bytes` further on.
    #[inline]
    pub(super) fn after(self, bytes: u64) -> Self {
        match self {
            Self::Ram { block, offset } => Self::Ram { block, offset: offset + bytes },
            Self::At(pa) => Self::At(pa.offset(bytes)),
        }
    }

    /// A page in one word: below its first byte the block's number, or 0 for an address.
    pub(super) fn page_word(self) -> u64 {
        match self {
            Self::Ram { block, offset } => offset & !(PAGE_SIZE - 1) | (block + 1) as u64,
            Self::At(pa) => pa.page_base().0,
        }
    }

    /// The first byte of the page that a word says.
    #[inline]
    pub(super) fn of_word(word: u64) -> Self {
        let first = word & !(PAGE_SIZE - 1);
        match (word % PAGE_SIZE) as usize {
            0 => Self::At(Pa(first)),
            number => Self::Ram { block: number - 1, offset: first },
        }
    }
}

/// Numbers for blocks of RAM. A block keeps its number, for blocks are there for ever.
#[derive(Default)]
pub(super) struct Blocks([OnceLock<&'static GuestRam>; BLOCKS]);

impl Blocks {
    /// Where `pa` leads to.
    pub(super) fn output(&self, pa: Pa, view: &BusView) -> Output {
        let Some(Target::Ram(place)) = view.target(pa) else { return Output::At(pa) };
        let (ram, offset) = place.in_block();
        match self.0.iter().position(|slot| std::ptr::eq(*slot.get_or_init(|| ram), ram)) {
            Some(block) => Output::Ram { block, offset },
            None => Output::At(pa),
        }
    }

    /// The block of a number that [`Blocks::output`] gave.
    #[inline]
    pub(super) fn get(&self, block: usize) -> Option<&'static GuestRam> {
        self.0.get(block)?.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use emu_core::bus::{Backing, Bus};

    use super::*;

    #[test]
    fn a_word_says_which_page() {
        for (page, word) in [
            (Output::At(Pa(0)), 0),
            (Output::At(Pa(1 << 63 | 0x5000)), 1 << 63 | 0x5000),
            (Output::Ram { block: 0, offset: 0x5000 }, 0x5001),
            (Output::Ram { block: 14, offset: 0 }, 15),
        ] {
            assert_eq!((page.page_word(), Output::of_word(word)), (word, page));
            assert_eq!(page.after(0xfff).page_word(), word, "any byte of it");
        }
    }

    #[test]
    fn blocks_beyond_the_last_number_have_none() {
        let (bus, blocks) = (Arc::new(Bus::new()), Blocks::default());
        let rams: Vec<_> = (0..=BLOCKS as u64)
            .map(|n| {
                let ram = GuestRam::new(0x2000).unwrap();
                bus.map(Pa(n << 20), 0x1000, Backing::Ram(ram, 0x1000)).unwrap();
                ram
            })
            .collect();
        let view = bus.view();
        for _ in 0..2 {
            for (n, ram) in rams[..BLOCKS].iter().enumerate() {
                let pa = Pa((n as u64) << 20 | 0x123);
                assert_eq!(blocks.output(pa, &view), Output::Ram { block: n, offset: 0x1123 });
                assert!(std::ptr::eq(blocks.get(n).unwrap(), *ram));
            }
            let last = Pa((BLOCKS as u64) << 20);
            assert_eq!(blocks.output(last, &view), Output::At(last));
            assert_eq!(blocks.output(Pa(0x1000), &view), Output::At(Pa(0x1000)), "nothing is there");
        }
        assert!(blocks.get(BLOCKS).is_none() && Blocks::default().get(0).is_none());
    }
}
