//! The PRI queue (Arm IHI 0070, chapter 8), as a driver reads it.

use super::{INDEX, ON, PRIQEN, Smmu, reg};
use crate::guest_tests::program::Program;
use crate::guest_tests::test_master::{Dma, attributes, request};

/// A record.
#[derive(Clone, Copy, Debug)]
pub struct PageRecord(pub [u64; 2]);

impl PageRecord {
    /// That of the page of the address of a transfer.
    #[must_use]
    pub const fn of(dma: &Dma, what: u32, group: u64) -> Self {
        const fn flag(word: u32, bit: u32, n: u32) -> u64 {
            if word & bit != 0 { 1 << n } else { 0 }
        }
        let substream = match dma.substream {
            Some(id) => {
                1 << 63
                    | (id as u64) << 32
                    | flag(dma.attributes, attributes::INSTRUCTION, 59)
                    | flag(dma.attributes, attributes::PRIVILEGED, 58)
            }
            None => 0,
        };
        let wants =
            flag(what, request::LAST, 62) | flag(what, request::WRITE, 61) | flag(what, request::READ, 60);
        Self([dma.stream as u64 | substream | wants, dma.address & !0xfff | group])
    }
}

/// The queue, and what of it has been used when the program is here.
pub struct PageRequests {
    /// Where it is.
    pub queue: u64,
    bits: u32,
    seen: u64,
    /// PRIQ_CONS.OVACKFLG.
    acknowledged: bool,
}

impl PageRequests {
    /// A queue of 2^`bits` records, that an SMMU is to be told of.
    pub fn new(p: &mut Program, bits: u32) -> Self {
        Self { queue: p.frame(0x1000), bits, seen: 0, acknowledged: false }
    }

    /// Registers as drivers write them; the SMMU runs.
    pub fn start(&self, p: &mut Program) {
        p.poke(reg::PRIQ_BASE, self.queue | u64::from(self.bits));
        p.poke32(reg::PRIQ_PROD, 0);
        p.poke32(reg::PRIQ_CONS, 0);
        Smmu::control(p, ON | PRIQEN);
    }

    /// Expects `more` records, and whether there was an overflow that is not acknowledged.
    pub fn expect_records(&self, p: &mut Program, name: &str, more: u64, overflow: bool) {
        let index = (self.seen + more) % (2 << self.bits);
        let flag = u64::from(self.acknowledged ^ overflow) << 31;
        p.peek32(0, reg::PRIQ_PROD);
        p.expect(&format!("{name}: PRIQ_PROD"), 0, index | flag);
    }

    /// Expects the next record to be this one, and consumes it.
    pub fn expect(&mut self, p: &mut Program, name: &str, record: &PageRecord) {
        p.mov(11, self.seen);
        p.until(15, |p| {
            p.peek32(15, reg::PRIQ_PROD);
            a64!(p ; and w15, w15, INDEX as u32 ; cmp x15, x11 ; cset x15, ne);
        });
        p.mov(18, self.queue + 16 * (self.seen % (1 << self.bits)));
        a64!(p ; ldp x0, x1, [x18]);
        for (n, word) in (0_u8..).zip(record.0) {
            p.expect(&format!("{name}: doubleword {n} of the record"), n, word);
        }
        self.seen = (self.seen + 1) % (2 << self.bits);
        self.consume(p);
    }

    /// Writes PRIQ_CONS.
    fn consume(&self, p: &mut Program) {
        p.poke32(reg::PRIQ_CONS, self.seen as u32 | u32::from(self.acknowledged) << 31);
    }

    /// Acknowledges an overflow.
    pub fn acknowledge_overflow(&mut self, p: &mut Program) {
        self.acknowledged = !self.acknowledged;
        self.consume(p);
    }
}
