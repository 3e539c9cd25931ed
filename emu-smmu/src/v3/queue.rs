//! Circular queues in memory, as both sides see them (Arm IHI 0070, 3.5.1, 6.3.26 to 6.3.29, 6.3.95, 6.3.96).

use emu_core::Pa;
use serde::{Deserialize, Serialize};

/// *_BASE.ADDR.
const ADDR: u64 = 0x000f_ffff_ffff_ffe0;
/// *_BASE.LOG2SIZE.
const LOG2SIZE: u64 = 0x1f;
/// *_PROD.WR and *_CONS.RD, with the wrap flag of the largest queue.
pub(super) const INDEX: u32 = 0x000f_ffff;

/// The registers of one queue. Bits beside the indexes belong to those who know the kind of queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) base: u64,
    pub(super) prod: u32,
    pub(super) cons: u32,
}

/// What an implementation adds to the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// CMDQS, EVENTQS.
    pub(super) max_bits: u8,
    /// log2 of the bytes of an entry.
    pub(super) entry_bits: u8,
    /// OAS.
    pub(super) output_bits: u8,
}

impl Queue {
    /// log2 of the entries: more than there can be are those that there can be.
    fn bits(&self, shape: &Shape) -> u32 {
        ((self.base & LOG2SIZE) as u32).min(shape.max_bits.into())
    }

    /// The bits of an index that count: those of the place, and the wrap flag.
    fn index_mask(&self, shape: &Shape) -> u32 {
        (2 << self.bits(shape)) - 1
    }

    /// Nothing is in it.
    pub(super) fn is_empty(&self, shape: &Shape) -> bool {
        (self.prod ^ self.cons) & self.index_mask(shape) == 0
    }

    /// It has no room: the places are the same, the wrap flags differ.
    pub(super) fn is_full(&self, shape: &Shape) -> bool {
        (self.prod ^ self.cons) & self.index_mask(shape) == 1 << self.bits(shape)
    }

    /// Entries that software can have meant to be there, and with indexes that make no sense those on the way from one to
    /// the other: never more than two rounds.
    pub(super) fn distance(&self, shape: &Shape) -> u32 {
        self.prod.wrapping_sub(self.cons) & self.index_mask(shape)
    }

    /// Entries that there is room for.
    pub(super) fn room(&self, shape: &Shape) -> u32 {
        (1_u32 << self.bits(shape)).saturating_sub(self.distance(shape))
    }

    /// Where the entry is that an index names. The base is aligned to the size of the queue, and at least to 32 bytes.
    pub(super) fn slot(&self, index: u32, shape: &Shape) -> Pa {
        let bits = self.bits(shape);
        let size = 1_u64 << (bits + u32::from(shape.entry_bits)).max(5);
        let base = self.base & ADDR & !(size - 1) & ((1 << shape.output_bits) - 1);
        let place = u64::from(index & ((1 << bits) - 1));
        Pa(base + (place << shape.entry_bits))
    }

    /// An index one entry further on, with the wrap flag as it is due, and what else is in the register.
    pub(super) fn next(&self, register: u32, shape: &Shape) -> u32 {
        register & !INDEX | register.wrapping_add(1) & self.index_mask(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { max_bits: 4, entry_bits: 4, output_bits: 44 };

    fn queue(log2size: u64) -> Queue {
        Queue { base: 1 << 62 | 0x8000_0fe0 | log2size, prod: 0, cons: 0 }
    }

    #[test]
    fn indexes_wrap_and_toggle_their_flag() {
        let mut q = queue(2);
        assert!(q.is_empty(&SHAPE) && !q.is_full(&SHAPE));
        for i in 1..=4 {
            q.prod = q.next(q.prod, &SHAPE);
            assert_eq!((q.distance(&SHAPE), q.room(&SHAPE)), (i, 4 - i));
        }
        assert_eq!(q.prod, 4, "the wrap flag is bit 2");
        assert!(q.is_full(&SHAPE));
        q.cons = 7;
        assert_eq!(q.next(q.cons, &SHAPE), 0);
    }

    #[test]
    fn a_queue_of_one_entry_has_only_a_wrap_flag() {
        let mut q = queue(0);
        q.prod = q.next(q.prod, &SHAPE);
        assert!(q.is_full(&SHAPE) && q.prod == 1);
        assert_eq!(q.next(q.prod, &SHAPE), 0);
        assert_eq!(q.slot(1, &SHAPE), Pa(0x8000_0fe0), "aligned to 32 bytes");
    }

    #[test]
    fn other_bits_stay() {
        let q = queue(4);
        assert_eq!(q.next(1 << 31 | 0x1f, &SHAPE), 1 << 31);
    }

    #[test]
    fn the_size_is_capped_and_the_base_is_aligned_to_it() {
        let q = Queue { base: 0xffff_8000_0fe0 | 31, prod: 0x10, cons: 0 };
        assert!(q.is_full(&SHAPE), "16 entries and no more");
        // 16 entries of 16 bytes; an address beyond 44 bits is truncated.
        assert_eq!(q.slot(0x13, &SHAPE), Pa(0xfff_8000_0f00 + 0x30));
    }

    #[test]
    fn indexes_beyond_the_queue_do_not_count() {
        let q = Queue { base: 2, prod: 0xffff8, cons: 0 };
        assert!(q.is_empty(&SHAPE));
    }
}
