//! A channel thread: its registers, what it has of the MFIFO, its instruction cache, and the access that it waits for.

use emu_core::dma::{Aborted, Direction, DmaAttrs, MemoryType, Segment, Task};
use serde::{Deserialize, Serialize};

use super::instruction::{self, LONGEST, When};
use super::registers::{BUS_BYTES, CACHE_LINE, CACHE_LINES, CCR_BITS, CCR_RESET, FIFO_BYTES};

/// CSRn.Channel_status, but for what an access under way makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Status {
    Stopped = 0,
    Executing = 1,
    WaitingForEvent = 4,
    Faulting = 15,
}

/// What an access is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The line of the instruction cache at this address.
    Fetch(u32),
    /// DMALD.
    Load,
    /// DMAST, DMASTZ: so many bytes of the MFIFO are stored.
    Store(usize),
}

/// An access to memory that is under way.
pub(super) struct Access {
    pub(super) purpose: Purpose,
    pub(super) task: Task<Result<Vec<u8>, Aborted>>,
}

/// An access that is to be made.
pub(super) struct Wanted {
    pub(super) purpose: Purpose,
    pub(super) direction: Direction,
    pub(super) attrs: DmaAttrs,
    pub(super) segments: Vec<Segment>,
    pub(super) bytes: Vec<u8>,
}

type Line = Option<(u32, [u8; CACHE_LINE])>;

/// See the module's head.
#[derive(Serialize, Deserialize)]
pub(super) struct Channel {
    pub(super) status: Status,
    pub(super) pc: u32,
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) control: u32,
    pub(super) counters: [u8; 2],
    /// The event that it waits for.
    pub(super) event: u32,
    /// FTRn.
    pub(super) fault: u32,
    pub(super) fifo: Vec<u8>,
    /// It waits for room in the MFIFO.
    #[serde(skip)]
    pub(super) wants_room: bool,
    /// An access that was under way at a save is made again.
    #[serde(skip)]
    pub(super) access: Option<Access>,
    #[serde(skip)]
    lines: [Line; CACHE_LINES],
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            status: Status::Stopped,
            pc: 0,
            source: 0,
            destination: 0,
            control: CCR_RESET,
            counters: [0; 2],
            event: 0,
            fault: 0,
            fifo: Vec::new(),
            wants_room: false,
            access: None,
            lines: [None; CACHE_LINES],
        }
    }
}

/// One side of CCRn.
struct Side {
    increments: bool,
    /// Bytes of a beat.
    size: u32,
    beats: u32,
    attrs: DmaAttrs,
}

/// The side of CCRn that `bits` are.
fn side(bits: u32, when: When) -> Side {
    let cache = bits >> 11 & 7;
    let memory = match (cache >> 1 & 1, cache >> 2) {
        (0, _) => MemoryType::Device,
        (_, 0) => MemoryType::NonCacheable,
        _ => MemoryType::WriteBack,
    };
    Side {
        increments: bits & 1 != 0,
        size: 1 << (bits >> 1 & 7),
        beats: if when == When::Single { 1 } else { (bits >> 4 & 15) + 1 },
        attrs: DmaAttrs {
            privileged: bits & 1 << 8 != 0,
            instruction: bits & 1 << 10 != 0,
            memory,
            ..DmaAttrs::default()
        },
    }
}

impl Side {
    /// The bytes that a burst from `addr` on has: the first beat ends where one of its size does.
    fn bytes(&self, addr: u32) -> u32 {
        let lost = addr & (self.size - 1);
        let beats = if self.increments { 1 } else { self.beats };
        self.size * self.beats - lost * beats
    }

    fn segments(&self, addr: u32) -> Vec<Segment> {
        let bytes = self.bytes(addr);
        let segment = |addr: u32, len| Segment { addr: addr.into(), len };
        if !self.increments {
            return vec![segment(addr, bytes / self.beats); self.beats as usize];
        }
        // Addresses have 32 bits.
        match addr.checked_add(bytes - 1) {
            Some(_) => vec![segment(addr, bytes)],
            None => vec![segment(addr, addr.wrapping_neg()), segment(0, bytes - addr.wrapping_neg())],
        }
    }

    fn next(&self, addr: u32) -> u32 {
        if self.increments { addr.wrapping_add(self.bytes(addr)) } else { addr }
    }
}

/// Whether CCRn can have this value here: `Err` says which fault it is.
pub(super) fn check_control(value: u32) -> Result<(), u32> {
    use super::registers::fault;
    let sizes = [value >> 1 & 7, value >> 15 & 7];
    if sizes.iter().any(|size| 1 << size > BUS_BYTES) || value >> 28 & 7 > 4 {
        return Err(fault::OPERAND);
    }
    match value & 1 << 9 == 0 || value & 1 << 23 == 0 {
        true => Err(fault::SECURE_ACCESS),
        false => Ok(()),
    }
}

/// Reverses the bytes of each aligned unit of `1 << swap` bytes (CCRn.endian_swap_size); what is no whole unit stays.
fn swap_bytes(bytes: &mut [u8], addr: u32, swap: u32) {
    let unit = 1 << swap;
    let skip = (addr.wrapping_neg() & (unit - 1)) as usize;
    if let (true, Some(aligned)) = (swap > 0, bytes.get_mut(skip..)) {
        aligned.chunks_exact_mut(unit as usize).for_each(<[u8]>::reverse);
    }
}

impl Channel {
    /// DMAGO.
    pub(super) fn go(&mut self, pc: u32) {
        *self = Self { status: Status::Executing, pc, ..Self::default() };
    }

    /// DMAKILL, DMAEND: its registers can still be read.
    pub(super) fn stop(&mut self) {
        let old = std::mem::take(self);
        let Self { pc, source, destination, control, counters, .. } = old;
        *self = Self { pc, source, destination, control, counters, ..Self::default() };
    }

    /// An abort.
    pub(super) fn fail(&mut self, fault: u32) {
        self.status = Status::Faulting;
        self.fault |= fault;
        self.access = None;
        self.wants_room = false;
    }

    /// No register has what it cannot have.
    pub(super) fn is_possible(&self) -> bool {
        let control = self.control & !CCR_BITS == 0
            && (self.control == CCR_RESET || check_control(self.control).is_ok());
        control
            && self.event < 32
            && self.fifo.len() <= FIFO_BYTES
            && (self.fault != 0) == (self.status == Status::Faulting)
    }

    /// CSRn: what can be read of it.
    pub(super) fn csr(&self) -> u32 {
        const NON_SECURE: u32 = 1 << 21;
        let fetches = matches!(&self.access, Some(Access { purpose: Purpose::Fetch(_), .. }));
        let status = if fetches { 2 } else { self.status as u32 };
        let event = if self.status == Status::WaitingForEvent { self.event << 4 } else { 0 };
        NON_SECURE | event | status
    }

    fn line(&self, addr: u32) -> Option<&[u8; CACHE_LINE]> {
        let tag = addr & !(CACHE_LINE as u32 - 1);
        let line = &self.lines[addr as usize / CACHE_LINE % CACHE_LINES];
        line.as_ref().filter(|(at, _)| *at == tag).map(|(_, bytes)| bytes)
    }

    /// The instruction at the program counter; `Err` is what has to be fetched first.
    pub(super) fn instruction(&self) -> Result<[u8; LONGEST], Wanted> {
        let mut bytes = [0; LONGEST];
        let mut n = 1;
        let mut at = 0;
        while at < n {
            let addr = self.pc.wrapping_add(at as u32);
            let line = self.line(addr).ok_or_else(|| fetch(addr & !(CACHE_LINE as u32 - 1)))?;
            bytes[at] = line[addr as usize % CACHE_LINE];
            if at == 0 {
                n = instruction::length(bytes[0]);
            }
            at += 1;
        }
        Ok(bytes)
    }

    /// DMAWFE with `invalid`.
    pub(super) fn forget_instructions(&mut self) {
        self.lines = [None; CACHE_LINES];
    }

    fn keep(&mut self, addr: u32, bytes: &[u8]) {
        if let Ok(line) = bytes.try_into() {
            self.lines[addr as usize / CACHE_LINE % CACHE_LINES] = Some((addr, line));
        }
    }

    /// What DMALD reads.
    pub(super) fn load(&self, when: When) -> Wanted {
        let side = side(self.control, when);
        Wanted {
            purpose: Purpose::Load,
            direction: Direction::FromMemory,
            attrs: side.attrs,
            segments: side.segments(self.source),
            bytes: vec![0; side.bytes(self.source) as usize],
        }
    }

    /// What DMAST writes; none if the MFIFO has not as much.
    pub(super) fn store(&self, when: When) -> Option<Wanted> {
        let n = side(self.control >> 14, when).bytes(self.destination) as usize;
        let bytes = self.fifo.get(..n)?.to_vec();
        Some(self.write(when, n, bytes))
    }

    /// What DMASTZ writes.
    pub(super) fn store_zeros(&self) -> Wanted {
        let n = side(self.control >> 14, When::Always).bytes(self.destination) as usize;
        self.write(When::Always, 0, vec![0; n])
    }

    fn write(&self, when: When, taken: usize, bytes: Vec<u8>) -> Wanted {
        let side = side(self.control >> 14, when);
        Wanted {
            purpose: Purpose::Store(taken),
            direction: Direction::ToMemory,
            attrs: side.attrs,
            segments: side.segments(self.destination),
            bytes,
        }
    }

    /// An access has ended well; the instruction that made it, if it is none for itself, has too.
    pub(super) fn complete(&mut self, purpose: Purpose, mut bytes: Vec<u8>) {
        // A single burst has one beat, and tells it by its length.
        let single = |bytes: usize, side: &Side| bytes as u32 <= side.size && side.beats > 1;
        match purpose {
            Purpose::Fetch(addr) => return self.keep(addr, &bytes),
            Purpose::Load => {
                let mut side = side(self.control, When::Always);
                if single(bytes.len(), &side) {
                    side.beats = 1;
                }
                swap_bytes(&mut bytes, self.source, self.control >> 28 & 7);
                self.source = side.next(self.source);
                self.fifo.append(&mut bytes);
            }
            Purpose::Store(taken) => {
                let mut side = side(self.control >> 14, When::Always);
                if single(bytes.len(), &side) {
                    side.beats = 1;
                }
                self.destination = side.next(self.destination);
                self.fifo.drain(..taken.min(self.fifo.len()));
            }
        }
        self.pc = self.pc.wrapping_add(1);
    }
}

/// A line of instructions: privileged, as what loads programs maps them.
fn fetch(addr: u32) -> Wanted {
    Wanted {
        purpose: Purpose::Fetch(addr),
        direction: Direction::FromMemory,
        attrs: DmaAttrs { privileged: true, instruction: true, ..DmaAttrs::default() },
        segments: vec![Segment { addr: addr.into(), len: CACHE_LINE as u32 }],
        bytes: vec![0; CACHE_LINE],
    }
}
