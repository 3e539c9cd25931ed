//! One 16-bit flash device with the Intel basic command set (CFI command set 0x0001; JEDEC JEP137, JESD68.01).
//!
//! Operations complete at once, so the device is always ready. Addresses are word addresses in the device.

use emu_core::registers::{Map, byte, byte_constants};
use serde::{Deserialize, Serialize};

/// Bytes in a block of one device.
pub(super) const BLOCK: u64 = 128 << 10;
/// Words in the write buffer.
pub(super) const BUFFER_WORDS: usize = 512;

/// Status register bits.
pub(super) mod status {
    /// Ready.
    pub(in crate::flash) const READY: u16 = 1 << 7;
    /// Erase (and clear-lock) error.
    pub(in crate::flash) const ERASE: u16 = 1 << 5;
    /// Program (and set-lock) error.
    pub(in crate::flash) const PROGRAM: u16 = 1 << 4;
    /// The block is locked.
    pub(in crate::flash) const LOCKED: u16 = 1 << 1;
}

/// Fields of the query structure that depend on the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Query {
    DeviceSize,
    EraseRegion,
}

/// log2 of the bytes of the write buffer.
const BUFFER_LOG2: u32 = (2 * BUFFER_WORDS).ilog2();

/// The CFI query structure (JESD68.01, JEP137), by word address.
pub(super) static QUERY: Map<Query> = Map {
    specification: "JESD68.01 (CFI query structure)",
    window: BLOCK / 2,
    rows: &[
        byte_constants("Query-unique ASCII string", 0x10, &[b'Q' as u32, b'R' as u32, b'Y' as u32]),
        byte_constants("Primary command set", 0x13, &[0x01, 0x00]),
        byte_constants("Address of the primary table", 0x15, &[0x31, 0x00]),
        // 4.5 V to 5.5 V; there is no programming supply.
        byte_constants("Supply, minimum and maximum", 0x1b, &[0x45, 0x55]),
        // 2^n: word and buffer in µs, block erase in ms; maxima as multiples.
        byte_constants("Typical time of a word and a buffer", 0x1f, &[0x07, 0x07]),
        byte_constants("Typical time of a block erase", 0x21, &[0x0a]),
        byte_constants("Maximum times", 0x23, &[0x04, 0x04, 0x04]),
        byte("Device size", 0x27, Query::DeviceSize).read_only(0xff).varies(),
        // x16.
        byte_constants("Interface", 0x28, &[0x01, 0x00]),
        byte_constants("Bytes of the write buffer", 0x2a, &[BUFFER_LOG2, 0x00]),
        byte_constants("Number of erase regions", 0x2c, &[1]),
        byte("Erase region", 0x2d, Query::EraseRegion).array(4).read_only(0xff).varies(),
        // Version 1.0; no optional features; block status is the lock bit.
        byte_constants(
            "Primary table",
            0x31,
            &[b'P' as u32, b'R' as u32, b'I' as u32, b'1' as u32, b'0' as u32],
        ),
        byte_constants("Block status mask", 0x3b, &[0x01, 0x00]),
        byte_constants("Supply, optimum", 0x3d, &[0x50]),
    ],
};

/// What reads give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum ReadMode {
    Array,
    Status,
    Id,
    Query,
}

/// What the next write means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Pending {
    Command,
    Program,
    EraseConfirm,
    Lock,
    BufferCount { start: u64 },
    BufferData { start: u64, left: usize, words: Vec<(u64, u16)> },
    BufferConfirm { words: Vec<(u64, u16)> },
}

/// What the device wants done to its array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    None,
    /// Clear bits: program these words.
    Program(Vec<(u64, u16)>),
    /// Set all bits of the block with this number.
    Erase(u64),
    /// A write that is no command.
    Unknown,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chip {
    pub(super) read_mode: ReadMode,
    pending: Pending,
    status: u16,
    locked: Vec<bool>,
    /// The write-protect pin is low: every block is locked, and no command unlocks it.
    write_protected: bool,
    /// log2 of the device's size in bytes.
    size_log2: u8,
}

const MANUFACTURER: u16 = 0x89;
const DEVICE: u16 = 0x18;

impl Chip {
    pub(super) fn new(bytes: u64, write_protected: bool) -> Self {
        Self {
            read_mode: ReadMode::Array,
            pending: Pending::Command,
            status: status::READY,
            locked: vec![write_protected; (bytes / BLOCK) as usize],
            write_protected,
            size_log2: bytes.ilog2() as u8,
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(1 << self.size_log2, self.write_protected);
    }

    /// True if the state belongs to a device like this one.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let possible = match &self.pending {
            Pending::BufferData { left, words, .. } => *left <= BUFFER_WORDS && words.len() < *left,
            Pending::BufferConfirm { words } => words.len() <= BUFFER_WORDS,
            _ => true,
        };
        possible
            && self.size_log2 == other.size_log2
            && self.locked.len() == other.locked.len()
            && self.write_protected == other.write_protected
    }

    fn block(word: u64) -> u64 {
        word * 2 / BLOCK
    }

    fn is_locked(&self, block: u64) -> bool {
        self.locked.get(block as usize).copied().unwrap_or(true)
    }

    /// A read outside of array mode.
    pub(super) fn read(&self, word: u64) -> u16 {
        match self.read_mode {
            ReadMode::Array | ReadMode::Status => self.status,
            ReadMode::Id => match word % (BLOCK / 2) {
                0 => MANUFACTURER,
                1 => DEVICE,
                2 => self.is_locked(Self::block(word)).into(),
                _ => 0,
            },
            ReadMode::Query => self.query(word % (BLOCK / 2)),
        }
    }

    /// A field of the query structure.
    pub(super) fn peek(&self, field: Query, index: u32) -> u64 {
        let geometry = || {
            let [blocks_low, blocks_high] = (self.locked.len() as u16).wrapping_sub(1).to_le_bytes();
            let [size_low, size_high] = ((BLOCK / 256) as u16).to_le_bytes();
            [blocks_low, blocks_high, size_low, size_high]
        };
        match field {
            Query::DeviceSize => self.size_log2.into(),
            Query::EraseRegion => geometry().get(index as usize).copied().unwrap_or(0).into(),
        }
    }

    /// The CFI query structure, one byte per word.
    fn query(&self, at: u64) -> u16 {
        QUERY.at(at).map_or(0, |hit| hit.value(|field| self.peek(field, hit.index))) as u16
    }

    /// The status register.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// A write of `value` at `word`.
    pub(super) fn write(&mut self, word: u64, value: u16) -> Work {
        let low = value as u8;
        match std::mem::replace(&mut self.pending, Pending::Command) {
            Pending::Command => self.command(word, low),
            Pending::Program => self.program(vec![(word, value)]),
            Pending::EraseConfirm => self.erase(word, low),
            Pending::Lock => self.lock(word, low),
            Pending::BufferCount { start } => {
                let left = usize::from(value) + 1;
                if left > BUFFER_WORDS {
                    return self.sequence_error();
                }
                self.pending = Pending::BufferData { start, left, words: Vec::with_capacity(left) };
                Work::None
            }
            Pending::BufferData { start, left, mut words } => {
                if Self::block(word) != Self::block(start) {
                    return self.sequence_error();
                }
                words.push((word, value));
                self.pending = if words.len() >= left {
                    Pending::BufferConfirm { words }
                } else {
                    Pending::BufferData { start, left, words }
                };
                Work::None
            }
            Pending::BufferConfirm { words } if low == 0xd0 => self.program(words),
            Pending::BufferConfirm { .. } => self.sequence_error(),
        }
    }

    fn command(&mut self, word: u64, command: u8) -> Work {
        match command {
            0xff => self.read_mode = ReadMode::Array,
            0x70 => self.read_mode = ReadMode::Status,
            0x90 => self.read_mode = ReadMode::Id,
            0x98 => self.read_mode = ReadMode::Query,
            0x50 => self.status = status::READY,
            0x10 | 0x40 => self.expect(Pending::Program),
            0x20 => self.expect(Pending::EraseConfirm),
            0x60 => self.expect(Pending::Lock),
            0xe8 => self.expect(Pending::BufferCount { start: word }),
            // Suspend and resume: nothing is ever under way.
            0xb0 => self.read_mode = ReadMode::Status,
            0xd0 => {}
            _ => return Work::Unknown,
        }
        Work::None
    }

    fn expect(&mut self, pending: Pending) {
        self.pending = pending;
        self.read_mode = ReadMode::Status;
    }

    fn sequence_error(&mut self) -> Work {
        self.status |= status::ERASE | status::PROGRAM;
        Work::None
    }

    fn program(&mut self, words: Vec<(u64, u16)>) -> Work {
        if words.iter().any(|&(w, _)| self.is_locked(Self::block(w))) {
            self.status |= status::PROGRAM | status::LOCKED;
            return Work::None;
        }
        Work::Program(words)
    }

    fn erase(&mut self, word: u64, confirm: u8) -> Work {
        let block = Self::block(word);
        if confirm != 0xd0 {
            return self.sequence_error();
        }
        if self.is_locked(block) {
            self.status |= status::ERASE | status::LOCKED;
            return Work::None;
        }
        Work::Erase(block)
    }

    fn lock(&mut self, word: u64, what: u8) -> Work {
        let block = Self::block(word) as usize;
        match (what, self.locked.get_mut(block)) {
            // Lock and lock-down; a lock-down without a write-protect pin is a lock.
            (0x01 | 0x2f, Some(bit)) => *bit = true,
            (0xd0, Some(bit)) => *bit = self.write_protected,
            _ => return self.sequence_error(),
        }
        Work::None
    }

    /// The array could not be changed.
    pub(super) fn failed(&mut self, bits: u16) {
        self.status |= bits;
    }
}
