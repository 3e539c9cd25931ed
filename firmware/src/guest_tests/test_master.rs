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
}

/// TM_COMMAND: a transfer begins; the one under way is given up.
const START: u32 = 1;
const STOP: u32 = 2;
const BUSY: u64 = 1;

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
    /// Which of the masters, if it is not the first one that has the stream.
    pub master: Option<usize>,
}

impl Dma {
    /// A read of a doubleword.
    #[must_use]
    pub const fn read(stream: u32, address: u64) -> Self {
        Self { stream, substream: None, attributes: 0, address, length: 8, list: 0, width: 64, master: None }
    }
    /// A write of one.
    #[must_use]
    pub const fn write(stream: u32, address: u64) -> Self {
        Self { attributes: attributes::WRITE, ..Self::read(stream, address) }
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
        let at = dma.master();
        self.poke32(at + tm::STREAM, dma.stream);
        self.poke32(at + tm::SUBSTREAM, dma.substream.map_or(0, |id| id | 1 << 31));
        self.poke32(at + tm::ATTRIBUTES, dma.attributes);
        self.poke(at + tm::ADDRESS, dma.address);
        self.poke32(at + tm::LENGTH, dma.length);
        self.poke32(at + tm::LIST, dma.list);
        self.poke32(at + tm::WIDTH, dma.width);
        self.poke32(at + tm::COMMAND, START);
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
