//! The test master of the machine (emu-devices, `test_master`), as a program drives it.

use super::layout;
use super::program::Program;

/// Registers, from the master's own address on.
mod tm {
    pub(super) const COMMAND: u64 = 0x04;
    pub(super) const STATUS: u64 = 0x08;
    pub(super) const INTERRUPT_ENABLE: u64 = 0x0c;
    pub(super) const INTERRUPT: u64 = 0x10;
    pub(super) const STREAM: u64 = 0x14;
    pub(super) const SUBSTREAM: u64 = 0x18;
    pub(super) const ATTRIBUTES: u64 = 0x1c;
    pub(super) const ADDRESS: u64 = 0x20;
    pub(super) const LENGTH: u64 = 0x28;
    pub(super) const LIST: u64 = 0x2c;
    pub(super) const WIDTH: u64 = 0x30;
    pub(super) const DONE: u64 = 0x38;
    pub(super) const REQUEST: u64 = 0x3c;
    pub(super) const CACHE: u64 = 0x40;
    pub(super) const CACHE_CONTROL: u64 = 0x44;
    pub(super) const CACHE_ADDRESS: u64 = 0x48;
    pub(super) const INVALIDATIONS: u64 = 0x50;
    pub(super) const INVALIDATION_FIRST: u64 = 0x58;
    pub(super) const INVALIDATION_LAST: u64 = 0x60;
    pub(super) const INVALIDATION_SUBSTREAM: u64 = 0x68;
    pub(super) const RESPONSES: u64 = 0x6c;
    pub(super) const RESPONSE: u64 = 0x70;
    pub(super) const RESPONSE_SUBSTREAM: u64 = 0x74;
    pub(super) const ATOMIC: u64 = 0x78;
    pub(super) const BUFFER: u64 = 0x1000;
}

/// TM_ATTRIBUTES.
pub mod attributes {
    /// To memory.
    pub const WRITE: u32 = 1;
    /// Privileged.
    pub const PRIVILEGED: u32 = 2;
    /// An instruction fetch.
    pub const INSTRUCTION: u32 = 4;
    /// Of an address that was translated.
    pub const TRANSLATED: u32 = 16;
}

/// TM_ATOMIC.
#[derive(Clone, Copy, Debug)]
pub enum Atomic {
    /// What is in the buffer is added.
    FetchAdd = 1,
    /// It replaces what is there.
    Swap = 2,
    /// What follows it does, if it is what is there.
    CompareAndSwap = 3,
}

/// TM_COMMAND: a transfer begins; the one under way is given up.
const START: u32 = 1;
const STOP: u32 = 2;
const BUSY: u64 = 1;
/// TM_COMMAND: a translation, or a page, is asked for; invalidations that are held are complete, or never will be.
const TRANSLATE: u32 = 1 << 2;
const REQUEST_PAGE: u32 = 1 << 3;
const COMPLETE: u32 = 1 << 4;
const LOSE: u32 = 1 << 5;

/// TM_REQUEST.
pub mod request {
    /// A page is wanted to be read.
    pub const READ: u32 = 1 << 16;
    /// It is wanted to be written; without it, a translation is asked for with NW.
    pub const WRITE: u32 = 1 << 17;
    /// The last page of a group.
    pub const LAST: u32 = 1 << 18;
}

/// TM_CACHE: what a translation request came to.
pub mod granted {
    /// The entry holds.
    pub const VALID: u64 = 1;
    /// R.
    pub const READ: u64 = 1 << 1;
    /// W.
    pub const WRITE: u64 = 1 << 2;
    /// Execute Permitted.
    pub const EXECUTE: u64 = 1 << 3;
    /// Privileged Mode Access.
    pub const PRIVILEGED: u64 = 1 << 4;
    /// Unsupported Request.
    pub const UNSUPPORTED: u64 = 2 << 8;
    /// Completer Abort.
    pub const ABORT: u64 = 3 << 8;

    /// Success: one entry for a region of 2^`bits` bytes.
    #[must_use]
    pub const fn region(bits: u64, what: u64) -> u64 {
        let valid = if what & (READ | WRITE) != 0 { VALID } else { 0 };
        valid | what | 1 << 8 | bits << 16 | 1 << 24
    }
    /// Success: one page.
    #[must_use]
    pub const fn page(what: u64) -> u64 {
        region(12, what)
    }
}

/// What the master has been answered to a page request (TM_RESPONSE): the status of a group.
#[must_use]
pub const fn answered(status: u64, group: u64) -> u64 {
    status << 12 | group
}

/// The stream of the master that cannot wait.
pub const UNSTALLABLE: u32 = layout::TEST_MASTERS[1].0[0];

/// What masters write.
const WRITTEN: u64 = 0x5a5a_0f0f_1234_4321;

/// A transfer.
#[derive(Clone, Copy, Debug)]
pub struct Dma {
    /// StreamID.
    pub stream: u32,
    /// SubstreamID.
    pub substream: Option<u32>,
    /// See [`attributes`].
    pub attributes: u32,
    /// Of the bytes, or of the scatter list.
    pub address: u64,
    /// Bytes, if there is no list.
    pub length: u32,
    /// Entries of the list.
    pub list: u32,
    /// Bits of an address.
    pub width: u32,
    /// An atomic access instead.
    pub atomic: Option<Atomic>,
    /// Which of the masters, if it is not the first one that has the stream.
    pub master: Option<usize>,
}

impl Dma {
    /// A read of a doubleword.
    #[must_use]
    pub const fn read(stream: u32, address: u64) -> Self {
        Self {
            stream,
            substream: None,
            attributes: 0,
            address,
            length: 8,
            list: 0,
            width: 64,
            atomic: None,
            master: None,
        }
    }
    /// A write of one.
    #[must_use]
    pub const fn write(stream: u32, address: u64) -> Self {
        Self { attributes: attributes::WRITE, ..Self::read(stream, address) }
    }
    /// An atomic access to one. Faults say that it writes.
    #[must_use]
    pub const fn atomic(stream: u32, address: u64, atomic: Atomic) -> Self {
        Self { atomic: Some(atomic), ..Self::write(stream, address) }
    }
    /// With other attributes beside its own.
    #[must_use]
    pub const fn with(mut self, attributes: u32) -> Self {
        self.attributes |= attributes;
        self
    }
    /// Of a substream.
    #[must_use]
    pub const fn of(mut self, substream: u32) -> Self {
        self.substream = Some(substream);
        self
    }
    /// Of so many bytes.
    #[must_use]
    pub const fn bytes(mut self, length: u32) -> Self {
        self.length = length;
        self
    }

    /// Of this master.
    #[must_use]
    pub const fn by(mut self, master: usize) -> Self {
        self.master = Some(master);
        self
    }

    fn number(&self) -> usize {
        let of_stream =
            || layout::TEST_MASTERS.iter().position(|(streams, _)| streams.contains(&self.stream));
        self.master.or_else(of_stream).expect("a master has this stream")
    }

    /// Where the registers of its master are.
    fn master(&self) -> u64 {
        layout::TEST_MASTER + self.number() as u64 * layout::TEST_MASTER_SIZE
    }

    /// The INTID of its master.
    #[must_use]
    pub fn intid(&self) -> u64 {
        32 + u64::from(layout::TEST_MASTER_SPI) + self.number() as u64
    }
}

/// What becomes of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It is complete.
    Done,
    /// It is aborted after so many bytes.
    Aborted(u64),
    /// It is stalled, and nobody has answered.
    Waiting,
}

impl End {
    fn status(self) -> u64 {
        match self {
            Self::Done => 4,
            Self::Aborted(_) => 8,
            Self::Waiting => 3,
        }
    }
}

impl Program {
    /// Begins a transfer.
    pub fn begin_dma(&mut self, dma: &Dma) {
        self.describe_dma(dma);
        self.poke32(dma.master() + tm::COMMAND, START);
    }

    fn describe_dma(&mut self, dma: &Dma) {
        let at = dma.master();
        self.poke32(at + tm::STREAM, dma.stream);
        self.poke32(at + tm::SUBSTREAM, dma.substream.map_or(0, |id| id | 1 << 31));
        self.poke32(at + tm::ATTRIBUTES, dma.attributes);
        self.poke(at + tm::ADDRESS, dma.address);
        self.poke32(at + tm::LENGTH, dma.length);
        self.poke32(at + tm::LIST, dma.list);
        self.poke32(at + tm::WIDTH, dma.width);
        self.poke32(at + tm::ATOMIC, dma.atomic.map_or(0, |atomic| atomic as u32));
    }

    /// TM_STATUS in `X[status]`, and the first doubleword of the buffer in `X[word]`.
    pub fn dma_result(&mut self, status: u8, word: u8, dma: &Dma) {
        self.peek32(status, dma.master() + tm::STATUS);
        self.peek(word, dma.master() + tm::BUFFER);
    }

    /// Gives it up.
    pub fn stop_dma(&mut self, dma: &Dma) {
        self.poke32(dma.master() + tm::COMMAND, STOP);
    }

    /// Waits until a transfer is at its end, or stalled, and expects it to be so.
    pub fn end_dma(&mut self, name: &str, dma: &Dma, end: End) {
        let at = dma.master();
        self.until(15, |p| {
            p.peek32(15, at + tm::STATUS);
            match end {
                End::Waiting => a64!(p ; and x15, x15, 2),
                _ => a64!(p ; tst x15, BUSY ; cset x15, eq),
            }
        });
        self.peek32(0, at + tm::STATUS);
        self.expect(&format!("{name}: TM_STATUS"), 0, end.status());
        let done = match end {
            End::Done if dma.list == 0 => Some(dma.length.into()),
            End::Aborted(done) => Some(done),
            _ => None,
        };
        if let Some(done) = done {
            self.peek32(0, at + tm::DONE);
            self.expect(&format!("{name}: TM_DONE"), 0, done);
        }
    }

    /// A transfer, and its end.
    pub fn dma(&mut self, name: &str, dma: &Dma, end: End) {
        self.begin_dma(dma);
        self.end_dma(name, dma, end);
    }

    /// A read of a doubleword that has this value.
    pub fn dma_reads(&mut self, name: &str, dma: &Dma, value: u64) {
        self.fill_buffer(dma, 0, WRITTEN);
        self.dma(name, dma, End::Done);
        self.expect_buffer(&format!("{name}: what was read"), dma, value);
    }

    /// A write of a doubleword that is seen at this address; what was there is there again afterwards.
    pub fn dma_writes(&mut self, name: &str, dma: &Dma, at: u64, before: u64) {
        self.fill_buffer(dma, 0, WRITTEN);
        self.poke(at, before);
        self.dma(name, dma, End::Done);
        self.mov(18, at);
        a64!(self ; ldr x0, [x18]);
        self.expect(&format!("{name}: what was written"), 0, WRITTEN);
        self.poke(at, before);
    }

    /// An addition to the doubleword at `at`, which is `before`: the master is given that.
    pub fn dma_adds(&mut self, name: &str, dma: &Dma, at: u64, before: u64) {
        self.fill_buffer(dma, 0, WRITTEN);
        self.poke(at, before);
        self.dma(name, dma, End::Done);
        self.expect_buffer(&format!("{name}: what was there"), dma, before);
        self.expect_double(&format!("{name}: what is there"), at, before.wrapping_add(WRITTEN));
    }

    /// Its master interrupts at the end of a transfer.
    pub fn enable_dma_interrupt(&mut self, dma: &Dma) {
        self.poke32(dma.master() + tm::INTERRUPT_ENABLE, 1);
    }

    /// Its master does not interrupt any more because of the last one.
    pub fn acknowledge_dma_interrupt(&mut self, dma: &Dma) {
        self.poke32(dma.master() + tm::INTERRUPT, 1);
    }

    /// Expects the first doubleword of the master's buffer.
    pub fn expect_buffer(&mut self, name: &str, dma: &Dma, value: u64) {
        self.mov(18, dma.master() + tm::BUFFER);
        a64!(self ; ldr x0, [x18]);
        self.expect(name, 0, value);
    }

    /// Writes a doubleword of the master's buffer.
    pub fn fill_buffer(&mut self, dma: &Dma, index: u64, value: u64) {
        self.poke(dma.master() + tm::BUFFER + 8 * index, value);
    }
}

/// The cache of translations of a master.
impl Program {
    fn expect_tm(&mut self, name: &str, dma: &Dma, register: u64, value: u64) {
        self.peek32(0, dma.master() + register);
        self.expect(name, 0, value);
    }

    fn expect_tm_double(&mut self, name: &str, dma: &Dma, register: u64, value: u64) {
        self.mov(18, dma.master() + register);
        a64!(self ; ldr x0, [x18]);
        self.expect(name, 0, value);
    }

    /// Asks for a translation of the address of a transfer, under its attributes; see [`request`].
    pub fn translate(&mut self, dma: &Dma, request: u32) {
        self.describe_dma(dma);
        self.poke32(dma.master() + tm::REQUEST, request);
        self.poke32(dma.master() + tm::COMMAND, TRANSLATE);
    }

    /// Asks for a translation, and expects this of it: see [`granted`].
    pub fn expect_translation(&mut self, name: &str, dma: &Dma, request: u32, granted: u64) {
        self.translate(dma, request);
        self.expect_cache(name, dma, granted);
    }

    /// Expects what is known of the last translation.
    pub fn expect_cache(&mut self, name: &str, dma: &Dma, granted: u64) {
        self.expect_tm(&format!("{name}: TM_CACHE"), dma, tm::CACHE, granted);
    }

    /// Expects where the address leads.
    pub fn expect_translated(&mut self, name: &str, dma: &Dma, address: u64) {
        self.expect_tm_double(&format!("{name}: TM_CACHE_ADDRESS"), dma, tm::CACHE_ADDRESS, address);
    }

    /// Has invalidations held, or not.
    pub fn hold_invalidations(&mut self, dma: &Dma, hold: bool) {
        self.poke32(dma.master() + tm::CACHE_CONTROL, hold.into());
    }

    /// Those that are held are complete.
    pub fn complete_invalidations(&mut self, dma: &Dma) {
        self.poke32(dma.master() + tm::COMMAND, COMPLETE);
    }

    /// Those that are held never will be.
    pub fn lose_invalidations(&mut self, dma: &Dma) {
        self.poke32(dma.master() + tm::COMMAND, LOSE);
    }

    /// Expects so many invalidations, and what the last one named.
    pub fn expect_invalidation(
        &mut self,
        name: &str,
        dma: &Dma,
        count: u64,
        (first, last): (u64, u64),
        substream: u64,
    ) {
        self.expect_tm(&format!("{name}: TM_INVALIDATIONS"), dma, tm::INVALIDATIONS, count);
        self.expect_tm_double(&format!("{name}: first address"), dma, tm::INVALIDATION_FIRST, first);
        self.expect_tm_double(&format!("{name}: last address"), dma, tm::INVALIDATION_LAST, last);
        self.expect_tm(&format!("{name}: substream"), dma, tm::INVALIDATION_SUBSTREAM, substream);
    }

    /// Asks for the page of the address of a transfer, of a group.
    pub fn request_page(&mut self, dma: &Dma, request: u32, group: u32) {
        self.describe_dma(dma);
        self.poke32(dma.master() + tm::REQUEST, request | group);
        self.poke32(dma.master() + tm::COMMAND, REQUEST_PAGE);
    }

    /// Expects so many answers to page requests, and what the last one says.
    pub fn expect_responses(&mut self, name: &str, dma: &Dma, count: u64, response: u64, substream: u64) {
        self.expect_tm(&format!("{name}: TM_RESPONSES"), dma, tm::RESPONSES, count);
        if count != 0 {
            self.expect_tm(&format!("{name}: TM_RESPONSE"), dma, tm::RESPONSE, response);
            self.expect_tm(&format!("{name}: its substream"), dma, tm::RESPONSE_SUBSTREAM, substream);
        }
    }
}
