//! A small driver of an SMMUv3 (Arm IHI 0070): registers, commands, events. The structures that it reads are made while the program is
//! assembled, as far as they do not change.

mod pages;
mod rig;
pub mod structures;

use self::structures::command::{self, Words};
use self::structures::{Entry, Event};
use super::layout::SMMU;
use super::program::Program;
use super::tables::Granule;

pub use pages::{PageRecord, PageRequests};
pub use rig::{DATA, IOVA, IPA, OTHER, Rig, VMID, stream};

/// Registers (6.2).
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod reg {
    use super::SMMU;
    pub const IDR0: u64 = SMMU;
    pub const AIDR: u64 = SMMU + 0x1c;
    pub const CR0: u64 = SMMU + 0x20;
    pub const CR0ACK: u64 = SMMU + 0x24;
    pub const CR1: u64 = SMMU + 0x28;
    pub const CR2: u64 = SMMU + 0x2c;
    pub const GBPA: u64 = SMMU + 0x44;
    pub const IRQ_CTRL: u64 = SMMU + 0x50;
    pub const IRQ_CTRLACK: u64 = SMMU + 0x54;
    pub const GERROR: u64 = SMMU + 0x60;
    pub const GERRORN: u64 = SMMU + 0x64;
    pub const GERROR_IRQ_CFG0: u64 = SMMU + 0x68;
    pub const STRTAB_BASE: u64 = SMMU + 0x80;
    pub const STRTAB_BASE_CFG: u64 = SMMU + 0x88;
    pub const CMDQ_BASE: u64 = SMMU + 0x90;
    pub const CMDQ_PROD: u64 = SMMU + 0x98;
    pub const CMDQ_CONS: u64 = SMMU + 0x9c;
    pub const EVENTQ_BASE: u64 = SMMU + 0xa0;
    pub const EVENTQ_PROD: u64 = SMMU + 0x1_00a8;
    pub const EVENTQ_CONS: u64 = SMMU + 0x1_00ac;
    pub const EVENTQ_IRQ_CFG0: u64 = SMMU + 0xb0;
    pub const PRIQ_BASE: u64 = SMMU + 0xc0;
    pub const PRIQ_PROD: u64 = SMMU + 0x1_00c8;
    pub const PRIQ_CONS: u64 = SMMU + 0x1_00cc;
    pub const PRIQ_IRQ_CFG0: u64 = SMMU + 0xd0;
    pub const PRIQ_IRQ_CFG2: u64 = SMMU + 0xdc;
    pub const CIDR: u64 = SMMU + 0xff0;
}

/// CR0: transactions are translated.
pub const SMMUEN: u32 = 1;
/// CR0: page requests are recorded.
pub const PRIQEN: u32 = 1 << 1;
/// CR0: events are recorded.
pub const EVENTQEN: u32 = 1 << 2;
/// CR0: commands are executed.
pub const CMDQEN: u32 = 1 << 3;
/// CR0: translated transactions are checked.
pub const ATSCHK: u32 = 1 << 4;
/// CR0 after [`Smmu::start`].
pub const ON: u32 = SMMUEN | EVENTQEN | CMDQEN;

/// CR2: EL2 has ASIDs.
pub const E2H: u32 = 1;
/// CR2: C_BAD_STREAMID is recorded.
pub const RECINVSID: u32 = 1 << 1;
/// CR2: no part in TLB maintenance of PEs.
pub const PTM: u32 = 1 << 2;

/// CMDQ_CONS.ERR (7.1): the command is illegal.
pub const CERROR_ILL: u64 = 1;
/// CMDQ_CONS.ERR: it cannot be read.
pub const CERROR_ABT: u64 = 2;

/// CMDQ_CONS.ERR: a function has not completed an invalidation.
pub const CERROR_ATC_INV_SYNC: u64 = 3;

/// An index and its wrap flag.
const INDEX: u64 = 0xf_ffff;
/// An SMMU and its memory, and what of its queues has been used when the program is here.
pub struct Smmu {
    /// The stream table, and STRTAB_BASE.
    pub stream_table: u64,
    /// STRTAB_BASE_CFG.
    pub stream_table_cfg: u32,
    /// CR2.
    pub cr2: u32,
    /// IDR0.HYP: it has commands about EL2.
    pub has_el2: bool,
    /// The command queue.
    pub commands: u64,
    /// log2 of its entries.
    pub command_bits: u32,
    /// The event queue.
    pub events: u64,
    /// log2 of its entries.
    pub event_bits: u32,
    next: u64,
    seen: u64,
    /// EVENTQ_CONS.OVACKFLG.
    acknowledged: bool,
}

impl Smmu {
    /// With a linear stream table of 64 entries, none of them valid.
    pub fn new(p: &mut Program) -> Self {
        Self {
            stream_table: p.table(Granule::K4),
            stream_table_cfg: 6,
            cr2: RECINVSID | PTM,
            has_el2: true,
            commands: p.frame(0x1000),
            command_bits: 6,
            events: p.frame(0x1000),
            event_bits: 4,
            next: 0,
            seen: 0,
            acknowledged: false,
        }
    }

    /// Where the STE of a stream is in the linear table.
    #[must_use]
    pub fn ste(&self, stream: u32) -> u64 {
        self.stream_table + 64 * u64::from(stream)
    }

    /// Writes CR0, and waits for the acknowledgement.
    pub fn control(p: &mut Program, cr0: u32) {
        p.poke32(reg::CR0, cr0);
        p.mov(11, cr0.into());
        p.until(15, |p| {
            p.peek32(15, reg::CR0ACK);
            a64!(p ; cmp x15, x11 ; cset x15, eq);
        });
    }

    /// Registers as drivers write them, in their order (6.3.9): at the end all is on.
    pub fn start(&mut self, p: &mut Program) {
        Self::control(p, 0);
        p.poke32(reg::CR2, self.cr2);
        self.point_at_streams(p);
        p.poke(reg::CMDQ_BASE, self.commands | u64::from(self.command_bits));
        p.poke32(reg::CMDQ_PROD, 0);
        p.poke32(reg::CMDQ_CONS, 0);
        p.poke(reg::EVENTQ_BASE, self.events | u64::from(self.event_bits));
        p.poke32(reg::EVENTQ_PROD, 0);
        p.poke32(reg::EVENTQ_CONS, 0);
        Self::control(p, CMDQEN);
        self.give(p, command::CFGI_ALL);
        if self.has_el2 {
            self.give(p, command::TLBI_EL2_ALL);
        }
        self.give(p, command::TLBI_NSNH_ALL);
        self.sync(p);
        Self::control(p, CMDQEN | EVENTQEN);
        Self::control(p, ON);
    }

    /// STRTAB_BASE and STRTAB_BASE_CFG.
    pub fn point_at_streams(&self, p: &mut Program) {
        p.poke(reg::STRTAB_BASE, self.stream_table);
        p.poke32(reg::STRTAB_BASE_CFG, self.stream_table_cfg);
    }

    // Commands.

    /// Puts a command into the queue; the next one comes behind it.
    fn put(&mut self, p: &mut Program, [first, second]: Words) -> u64 {
        let slot = self.commands + 16 * (self.next % (1 << self.command_bits));
        p.poke(slot, first);
        p.poke(slot + 8, second);
        self.next = (self.next + 1) % (2 << self.command_bits);
        slot
    }

    /// Shows the SMMU what is in the queue.
    fn publish(&self, p: &mut Program) {
        p.poke32(reg::CMDQ_PROD, self.next as u32);
    }

    /// Expects the queue to stand at the command that was put there last, with this CMDQ_CONS.ERR.
    pub fn expect_standing(&self, p: &mut Program, name: &str, error: u64) {
        let index = (self.next + (2 << self.command_bits) - 1) % (2 << self.command_bits);
        p.peek32(0, reg::CMDQ_CONS);
        p.expect(&format!("{name}: CMDQ_CONS"), 0, error << 24 | index);
    }

    /// Waits until all commands are consumed.
    pub fn until_consumed(&self, p: &mut Program) {
        p.mov(11, self.next);
        p.until(15, |p| {
            p.peek32(15, reg::CMDQ_CONS);
            a64!(p ; and w15, w15, INDEX as u32 ; cmp x15, x11 ; cset x15, eq);
        });
    }

    /// Gives a command, and waits until it is consumed.
    pub fn give(&mut self, p: &mut Program, words: Words) {
        self.put(p, words);
        self.publish(p);
        self.until_consumed(p);
    }

    /// CMD_SYNC.
    pub fn sync(&mut self, p: &mut Program) {
        self.give(p, command::SYNC);
    }

    /// Gives a command and a CMD_SYNC.
    pub fn complete(&mut self, p: &mut Program, words: Words) {
        self.give(p, words);
        self.sync(p);
    }

    /// Gives a command, and waits for nothing.
    pub fn post(&mut self, p: &mut Program, words: Words) {
        self.put(p, words);
        self.publish(p);
    }

    /// Gives a command that is refused: the queue stands at it, with CMDQ_CONS.ERR as said. Then software puts a CMD_SYNC in its
    /// place and acknowledges, as drivers do (7.1).
    pub fn refused(&mut self, p: &mut Program, name: &str, words: Words, error: u64) {
        let index = self.next;
        let slot = self.put(p, words);
        self.publish(p);
        p.until(15, |p| gerror(p, 15, 0));
        p.peek32(0, reg::CMDQ_CONS);
        p.expect(&format!("{name}: CMDQ_CONS"), 0, error << 24 | index);
        let [first, second] = command::SYNC;
        p.poke(slot, first);
        p.poke(slot + 8, second);
        Self::acknowledge_errors(p);
        self.until_consumed(p);
    }

    /// GERRORN becomes what GERROR is.
    pub fn acknowledge_errors(p: &mut Program) {
        p.peek32(0, reg::GERROR);
        p.mov(18, reg::GERRORN);
        a64!(p ; str w0, [x18] ; dsb sy);
    }

    /// CMD_RESUME for the transaction of the event that was read last: bit 0 of `action` is Ac, bit 1 is Ab.
    pub fn resume(&mut self, p: &mut Program, stream: u32, action: u64) {
        let [first, _] = command::of_stream(0x44, stream);
        let slot = self.put(p, [first | action << 12, 0]);
        p.mov(18, slot);
        a64!(p ; str x10, [x18, 8] ; dsb sy);
        self.publish(p);
        self.until_consumed(p);
    }

    // Events.

    /// Expects the next record to be this one, and consumes it. Its STAG stays in X10.
    pub fn expect_event(&mut self, p: &mut Program, name: &str, event: &Event) {
        p.mov(11, self.seen);
        p.until(15, |p| {
            p.peek32(15, reg::EVENTQ_PROD);
            a64!(p ; and w15, w15, INDEX as u32 ; cmp x15, x11 ; cset x15, ne);
        });
        p.mov(18, self.events + 32 * (self.seen % (1 << self.event_bits)));
        a64!(p ; ldp x0, x1, [x18] ; ldp x2, x3, [x18, 16] ; and x10, x1, 0xffff);
        for (n, word) in (0_u8..).zip(event.words) {
            let mask = if n == 1 && event.stalled { !0xffff } else { u64::MAX };
            p.expect_bits(&format!("{name}: doubleword {n} of the event"), n, mask, word);
        }
        self.seen = (self.seen + 1) % (2 << self.event_bits);
        self.consume(p);
    }

    /// Writes EVENTQ_CONS.
    fn consume(&self, p: &mut Program) {
        p.poke32(reg::EVENTQ_CONS, self.seen as u32 | u32::from(self.acknowledged) << 31);
    }

    /// Expects that there is no other record, and that nothing was lost.
    pub fn expect_no_event(&self, p: &mut Program, name: &str) {
        self.expect_events(p, name, 0, false);
    }

    /// Expects that there are `more` records, and whether there was an overflow that is not acknowledged.
    pub fn expect_events(&self, p: &mut Program, name: &str, more: u64, overflow: bool) {
        let index = (self.seen + more) % (2 << self.event_bits);
        let flag = u64::from(self.acknowledged ^ overflow) << 31;
        p.peek32(0, reg::EVENTQ_PROD);
        p.expect(&format!("{name}: EVENTQ_PROD"), 0, index | flag);
    }

    /// Acknowledges an overflow.
    pub fn acknowledge_overflow(&mut self, p: &mut Program) {
        self.acknowledged = !self.acknowledged;
        self.consume(p);
    }
}

/// `X[rt]` is 1 if the global error `n` is active, else 0. By way of X14 and X18.
pub fn gerror(p: &mut Program, rt: u8, n: u32) {
    p.peek32(rt, reg::GERROR);
    p.peek32(14, reg::GERRORN);
    a64!(p ; eor x14, x14, X(rt) ; lsr x14, x14, n ; and x14, x14, 1 ; mov X(rt), x14);
}

impl Program {
    /// Puts an STE or a CD into the image.
    pub fn put_entry(&mut self, address: u64, entry: Entry) {
        for (n, word) in (0..).zip(entry.0) {
            self.put_at(address + 8 * n, word);
        }
    }

    /// Writes one while the program runs, its first doubleword last.
    pub fn write_entry(&mut self, address: u64, entry: Entry) {
        for (n, word) in (0..).zip(entry.0).skip(1) {
            self.poke(address + 8 * n, word);
        }
        self.poke(address, entry.0[0]);
    }
}
