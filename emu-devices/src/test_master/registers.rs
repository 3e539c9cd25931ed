//! The registers, and what they describe.

use emu_core::dma::{Direction, DmaAttrs, MemoryType};
use emu_core::registers::{Map, constants, double, word};
use serde::{Deserialize, Serialize};

use super::atomic;
use super::cache::{Cache, GLOBAL, HOLD, entry};

/// Bytes of the buffer.
pub(super) const BUFFER_SIZE: usize = 0x1000;
/// Where it is in the window.
const BUFFER: u32 = 0x1000;

/// Bits of TM_COMMAND.
pub(super) mod command {
    /// The transfer that the registers describe begins.
    pub(crate) const START: u32 = 1 << 0;
    /// The transfer under way is given up.
    pub(crate) const STOP: u32 = 1 << 1;
    /// A translation of TM_ADDRESS is asked for, and kept.
    pub(crate) const TRANSLATE: u32 = 1 << 2;
    /// The page of TM_ADDRESS is asked for.
    pub(crate) const REQUEST_PAGE: u32 = 1 << 3;
    /// Invalidations that are held are complete.
    pub(crate) const COMPLETE: u32 = 1 << 4;
    /// They never will be.
    pub(crate) const LOSE: u32 = 1 << 5;
    pub(crate) const ALL: u32 = 0x3f;
}

/// Bits of TM_STATUS.
pub(super) mod status {
    /// A transfer is under way.
    pub(crate) const BUSY: u32 = 1 << 0;
    /// One of its transactions is stalled.
    pub(crate) const WAITING: u32 = 1 << 1;
    /// The last one is complete.
    pub(crate) const DONE: u32 = 1 << 2;
    /// The last one was aborted; TM_DONE says where.
    pub(crate) const ABORTED: u32 = 1 << 3;
    /// The last one was not begun, for what the registers describe makes no sense.
    pub(crate) const REFUSED: u32 = 1 << 4;
    pub(crate) const ALL: u32 = 0x1f;
}

/// Bits of TM_ATTRIBUTES.
mod attributes {
    pub(super) const TO_MEMORY: u32 = 1 << 0;
    pub(super) const PRIVILEGED: u32 = 1 << 1;
    pub(super) const INSTRUCTION: u32 = 1 << 2;
    pub(super) const DEVICE: u32 = 1 << 3;
    /// Addresses have been translated.
    pub(super) const TRANSLATED: u32 = 1 << 4;
    pub(super) const ALL: u32 = 0x1f;
}

/// Bits of TM_REQUEST.
pub(super) mod request {
    /// Page Request Group Index.
    pub(crate) const GROUP: u32 = 0x1ff;
    pub(crate) const READ: u32 = 1 << 16;
    /// Without it, a translation is asked for with NW.
    pub(crate) const WRITE: u32 = 1 << 17;
    pub(crate) const LAST: u32 = 1 << 18;
    /// Units of 4 KiB that a translation is asked for; 0 is 1.
    pub(crate) const UNITS: u32 = 24;
    pub(crate) const ALL: u32 = 0x1f07_01ff;
}

/// TM_SUBSTREAM: there is one.
pub(super) const SUBSTREAM_VALID: u32 = 1 << 31;
const SUBSTREAM: u32 = 0xf_ffff;

/// The registers, by their meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    Command,
    Status,
    InterruptEnable,
    Interrupt,
    Stream,
    Substream,
    Attributes,
    Address,
    Length,
    List,
    Width,
    Place,
    Done,
    Request,
    Cache,
    CacheControl,
    CacheAddress,
    Invalidations,
    Held,
    InvalidationFirst,
    InvalidationLast,
    InvalidationSubstream,
    Responses,
    Response,
    ResponseSubstream,
    Atomic,
    Buffer,
}

/// See the module's head.
pub(crate) static MAP: Map<Reg> = Map {
    specification: "the head of emu-devices/src/test_master",
    window: super::WINDOW,
    rows: &[
        // "TM", version 3.
        constants("TM_ID", 0x00, &[0x544d_0003]),
        word("TM_COMMAND", 0x04, Reg::Command).write_only(command::ALL as u64),
        word("TM_STATUS", 0x08, Reg::Status).read_only(status::ALL as u64),
        word("TM_INTERRUPT_ENABLE", 0x0c, Reg::InterruptEnable).bits(1),
        word("TM_INTERRUPT", 0x10, Reg::Interrupt).bits(1),
        word("TM_STREAM", 0x14, Reg::Stream).varies(),
        word("TM_SUBSTREAM", 0x18, Reg::Substream).bits((SUBSTREAM_VALID | SUBSTREAM) as u64),
        word("TM_ATTRIBUTES", 0x1c, Reg::Attributes).bits(attributes::ALL as u64),
        double("TM_ADDRESS", 0x20, Reg::Address),
        word("TM_LENGTH", 0x28, Reg::Length),
        word("TM_LIST", 0x2c, Reg::List),
        word("TM_WIDTH", 0x30, Reg::Width).bits(0x7f).reset(64),
        word("TM_PLACE", 0x34, Reg::Place).bits(BUFFER_SIZE as u64 - 1),
        word("TM_DONE", 0x38, Reg::Done).read_only(0xffff_ffff),
        word("TM_REQUEST", 0x3c, Reg::Request).bits(request::ALL as u64),
        word("TM_CACHE", 0x40, Reg::Cache).read_only(entry::ALL as u64),
        word("TM_CACHE_CONTROL", 0x44, Reg::CacheControl).bits(HOLD as u64),
        double("TM_CACHE_ADDRESS", 0x48, Reg::CacheAddress).read_only(u64::MAX),
        word("TM_INVALIDATIONS", 0x50, Reg::Invalidations).read_only(0xffff_ffff),
        word("TM_HELD", 0x54, Reg::Held).read_only(0xffff_ffff),
        double("TM_INVALIDATION_FIRST", 0x58, Reg::InvalidationFirst).read_only(u64::MAX),
        double("TM_INVALIDATION_LAST", 0x60, Reg::InvalidationLast).read_only(u64::MAX),
        word("TM_INVALIDATION_SUBSTREAM", 0x68, Reg::InvalidationSubstream)
            .read_only((SUBSTREAM_VALID | GLOBAL | SUBSTREAM) as u64),
        word("TM_RESPONSES", 0x6c, Reg::Responses).read_only(0xffff_ffff),
        word("TM_RESPONSE", 0x70, Reg::Response).read_only(0xf1ff),
        word("TM_RESPONSE_SUBSTREAM", 0x74, Reg::ResponseSubstream)
            .read_only((SUBSTREAM_VALID | SUBSTREAM) as u64),
        word("TM_ATOMIC", 0x78, Reg::Atomic).bits(atomic::ALL as u64),
        double("TM_BUFFER", BUFFER, Reg::Buffer).array(BUFFER_SIZE as u32 / 8),
    ],
};

/// Their values, but for the buffer and for what is known of a transfer under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Registers {
    /// Without [`status::WAITING`], which is asked for.
    pub(super) status: u32,
    pub(super) interrupt_enable: u32,
    pub(super) interrupt: u32,
    pub(super) stream: u32,
    substream: u32,
    attributes: u32,
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) list: u32,
    width: u32,
    pub(super) place: u32,
    pub(super) done: u32,
    pub(super) request: u32,
    pub(super) atomic: u32,
    pub(super) cache: Cache,
}

impl Registers {
    /// After reset, of a master whose first StreamID is `stream`.
    pub(super) fn new(stream: u32) -> Self {
        Self {
            status: 0,
            interrupt_enable: 0,
            interrupt: 0,
            stream,
            substream: 0,
            attributes: 0,
            address: 0,
            length: 0,
            list: 0,
            width: 64,
            place: 0,
            done: 0,
            request: 0,
            atomic: 0,
            cache: Cache::default(),
        }
    }

    pub(super) fn peek(&self, reg: Reg) -> u64 {
        match reg {
            // Write-only, and not here.
            Reg::Command | Reg::Buffer | Reg::Held => 0,
            Reg::Status => self.status.into(),
            Reg::InterruptEnable => self.interrupt_enable.into(),
            Reg::Interrupt => self.interrupt.into(),
            Reg::Stream => self.stream.into(),
            Reg::Substream => self.substream.into(),
            Reg::Attributes => self.attributes.into(),
            Reg::Address => self.address,
            Reg::Length => self.length.into(),
            Reg::List => self.list.into(),
            Reg::Width => self.width.into(),
            Reg::Place => self.place.into(),
            Reg::Done => self.done.into(),
            Reg::Request => self.request.into(),
            Reg::Atomic => self.atomic.into(),
            Reg::Cache
            | Reg::CacheControl
            | Reg::CacheAddress
            | Reg::Invalidations
            | Reg::InvalidationFirst
            | Reg::InvalidationLast
            | Reg::InvalidationSubstream
            | Reg::Responses
            | Reg::Response
            | Reg::ResponseSubstream => self.cache.peek(reg),
        }
    }

    /// Writes one of those that describe a transfer.
    pub(super) fn describe(&mut self, reg: Reg, value: u64) {
        let to = match reg {
            Reg::Address => {
                self.address = value;
                return;
            }
            Reg::Stream => &mut self.stream,
            Reg::Substream => &mut self.substream,
            Reg::Attributes => &mut self.attributes,
            Reg::Length => &mut self.length,
            Reg::List => &mut self.list,
            Reg::Width => &mut self.width,
            Reg::Place => &mut self.place,
            Reg::Request => &mut self.request,
            Reg::Atomic => &mut self.atomic,
            _ => return,
        };
        *to = value as u32;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.status & status::BUSY != 0
    }

    /// No register has bits that it does not have.
    pub(super) fn is_possible(&self) -> bool {
        self.status & status::WAITING == 0 && MAP.holds(|reg, _| Some(self.peek(reg)))
    }

    /// The bits of an address that come out; none if TM_WIDTH is nothing that a master has.
    pub(super) fn lines(&self) -> Option<u64> {
        (32..=64).contains(&self.width).then(|| u64::MAX >> (64 - self.width))
    }

    pub(super) fn direction(&self) -> Direction {
        match self.attributes & attributes::TO_MEMORY {
            0 => Direction::FromMemory,
            _ => Direction::ToMemory,
        }
    }

    /// What its transactions carry.
    pub(super) fn attrs(&self) -> DmaAttrs {
        let is_set = |bit: u32| self.attributes & bit != 0;
        DmaAttrs {
            substream: (self.substream & SUBSTREAM_VALID != 0).then_some(self.substream & SUBSTREAM),
            privileged: is_set(attributes::PRIVILEGED),
            instruction: is_set(attributes::INSTRUCTION),
            memory: if is_set(attributes::DEVICE) { MemoryType::Device } else { MemoryType::WriteBack },
            translated: is_set(attributes::TRANSLATED),
            ..DmaAttrs::default()
        }
    }
}
