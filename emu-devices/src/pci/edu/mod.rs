//! A function for teaching, and for tests of an IOMMU: what QEMU calls `edu` (QEMU, docs/specs/edu). It computes factorials,
//! raises interrupts on demand, and moves bytes between memory and a buffer of its own.
//!
//! Its DMA takes no time where nothing stalls it: it is done when the write to the command register is.

mod registers;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::task::Poll;

use emu_core::addr::Size;
use emu_core::dma::{
    Aborted, Direction, Dma, DmaAttrs, DmaClient, Segment, StallTable, StallTag, Stalls, Task, Transfer,
};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::registers::MAP;
use self::registers::{FINISHED_FACTORIAL, FINISHED_TRANSFER, Reg, Registers, command, status};
use super::{BarKind, FunctionBuilder, FunctionCore, FunctionState, Identity, OTHER_FUNCTION, PciFunction};

const IDENTITY: Identity = Identity {
    vendor: 0x1234,
    device: 0x11e8,
    // No class: it was built before there were any (PCI 3.0, D.1).
    class: 0x00_ff00,
    revision: 0x10,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

/// Bytes of its BAR.
const BAR_SIZE: u64 = 1 << 20;
/// Where its buffer is, as its DMA controller sees it. The BAR does not show it.
const BUFFER: u64 = 0x4_0000;
/// Bytes of the buffer.
const BUFFER_SIZE: usize = 4096;
/// Its address lines, unless it is told: 28.
pub const DEFAULT_DMA_MASK: u64 = (1 << 28) - 1;
/// It has one transfer at a time.
const SLOT: u16 = 0;

/// What became of a transfer: the bytes of it that were transferred.
struct Moved {
    bytes: Vec<u8>,
    outcome: Result<(), Aborted>,
}

/// A transfer under way.
struct Running {
    task: Task<Moved>,
    /// Where in the buffer the bytes of a transfer from memory go.
    to: Option<usize>,
}

struct Inner {
    registers: Registers,
    buffer: Vec<u8>,
    running: Option<Running>,
}

impl Inner {
    fn new() -> Self {
        Self { registers: Registers::default(), buffer: vec![0; BUFFER_SIZE], running: None }
    }
}

/// See the module's head.
pub struct Edu {
    name: String,
    core: FunctionCore,
    dma_mask: u64,
    inner: Mutex<Inner>,
    stalls: Arc<StallTable>,
    counters: Arc<Counters>,
    this: Weak<Self>,
}

impl Edu {
    /// The function; of the addresses of its DMA only the bits of `dma_mask` come out.
    #[must_use]
    pub fn new(name: &str, dma_mask: u64, counters: &Arc<Counters>) -> Arc<Self> {
        let builder = FunctionBuilder::new(IDENTITY).bar(0, BarKind::Memory32, BAR_SIZE);
        Arc::new_cyclic(|this| Self {
            name: name.to_owned(),
            core: builder.msi().intx_pin(1).build(counters),
            dma_mask,
            inner: Mutex::new(Inner::new()),
            stalls: Arc::default(),
            counters: counters.clone(),
            this: this.clone(),
        })
    }

    fn anomaly(&self, what: &str, at: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} {at:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    /// Adds to the interrupt status, and tells of it.
    fn raise(&self, inner: &mut Inner, bits: u32) {
        inner.registers.interrupts |= bits;
        if inner.registers.interrupts == 0 {
            return;
        }
        if self.core.msi_enabled() {
            self.core.raise_msi();
        } else {
            self.core.set_intx(true);
        }
    }

    fn acknowledge(&self, inner: &mut Inner, bits: u32) {
        inner.registers.interrupts &= !bits;
        if inner.registers.interrupts == 0 {
            self.core.set_intx(false);
        }
    }

    fn write(&self, inner: &mut Inner, reg: Reg, value: u64) {
        let busy = inner.registers.command & command::RUN != 0;
        match reg {
            Reg::Liveness => inner.registers.liveness = !(value as u32),
            Reg::Factorial => {
                inner.registers.factorial = factorial(value as u32);
                if inner.registers.status & status::INTERRUPT != 0 {
                    self.raise(inner, FINISHED_FACTORIAL);
                }
            }
            Reg::Status => inner.registers.status = value as u32,
            Reg::Raise => self.raise(inner, value as u32),
            Reg::Acknowledge => self.acknowledge(inner, value as u32),
            Reg::Source | Reg::Destination | Reg::Count | Reg::Command if busy => {
                self.anomaly("a write to the DMA registers while a transfer is under way:", value);
            }
            Reg::Source => inner.registers.source = value,
            Reg::Destination => inner.registers.destination = value,
            Reg::Count => inner.registers.count = value,
            Reg::Command => {
                inner.registers.command = value;
                self.begin(inner);
                self.go_on(inner);
            }
            // Read-only: the map lets no write through.
            Reg::InterruptStatus => {}
        }
    }

    /// Begins the transfer that the registers describe, if they say so. One that is not inside the buffer moves nothing.
    fn begin(&self, inner: &mut Inner) {
        let r = &inner.registers;
        if r.command & command::RUN == 0 {
            return;
        }
        let to_memory = r.command & command::TO_MEMORY != 0;
        let (memory, own) = if to_memory { (r.destination, r.source) } else { (r.source, r.destination) };
        let Some(at) = place(own, r.count) else {
            self.anomaly("a transfer outside of its buffer, at", own);
            return self.finish(inner);
        };
        if memory & !self.dma_mask != 0 {
            self.anomaly("the address has bits that its DMA does not have:", memory);
        }
        let len = r.count as usize;
        let (direction, bytes, to) = match to_memory {
            true => (Direction::ToMemory, inner.buffer[at..at + len].to_vec(), None),
            false => (Direction::FromMemory, vec![0; len], Some(at)),
        };
        let segment = Segment { addr: memory & self.dma_mask, len: len as u32 };
        let attrs = DmaAttrs::default();
        let dma = Dma::new(self.core.port().clone(), self.stalls.clone(), SLOT, attrs);
        let mut transfer = Transfer::new(direction, attrs, vec![segment], bytes);
        let task = Task::new(async move {
            let outcome = dma.run(&mut transfer).await;
            let done = transfer.done();
            let mut bytes = transfer.into_bytes();
            bytes.truncate(done);
            Moved { bytes, outcome }
        });
        inner.running = Some(Running { task, to });
    }

    /// Goes on with the transfer until it is done, or stands still.
    fn go_on(&self, inner: &mut Inner) {
        let Some(running) = &mut inner.running else { return };
        let Poll::Ready(Moved { bytes, outcome }) = running.task.poll() else { return };
        if let Some(to) = running.to {
            inner.buffer[to..to + bytes.len()].copy_from_slice(&bytes);
        }
        inner.running = None;
        if outcome == Err(Aborted) {
            // The function has no register that would say so.
            self.anomaly("a transfer was aborted after this many bytes:", bytes.len() as u64);
        }
        self.finish(inner);
    }

    fn finish(&self, inner: &mut Inner) {
        inner.registers.command &= !command::RUN;
        if inner.registers.command & command::INTERRUPT != 0 {
            self.raise(inner, FINISHED_TRANSFER);
        }
    }
}

/// n!, as far as 32 bits hold it. From 34 on all of them are zero.
fn factorial(n: u32) -> u32 {
    (1..=n.min(34)).fold(1, u32::wrapping_mul)
}

/// Where in the buffer `count` bytes from `addr` on are, if they are all there.
fn place(addr: u64, count: u64) -> Option<usize> {
    let at = usize::try_from(addr.checked_sub(BUFFER)?).ok()?;
    let end = at.checked_add(usize::try_from(count).ok()?)?;
    (end <= BUFFER_SIZE).then_some(at)
}

impl PciFunction for Edu {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(self.this.clone())
    }
    /// What is no register reads as ones, and so do accesses of other sizes.
    fn bar_read(&self, _: u8, offset: u64, size: Size) -> u64 {
        match MAP.find(offset, size).filter(|hit| hit.byte == 0) {
            Some(hit) => hit.read(size, |reg| self.inner.lock().registers.peek(reg)),
            None => size.mask(),
        }
    }
    fn bar_write(&self, _: u8, offset: u64, size: Size, value: u64) {
        let hit = MAP.find(offset, size).filter(|hit| hit.byte == 0);
        match hit.map(|hit| (hit.target(), hit)) {
            // A word that is written to a register of 64 bits is all of it.
            Some((Target::Register(reg), hit)) => {
                self.write(&mut self.inner.lock(), reg, hit.written(size, value));
            }
            _ => self.anomaly("a write to no register at", offset),
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        let inner = self.inner.lock();
        if bar == 0 { MAP.list(0, |reg, _| Some(inner.registers.peek(reg))) } else { Vec::new() }
    }
}

impl DmaClient for Edu {
    fn resume(&self, tag: StallTag, retry: bool) {
        if !self.core.resume_message(tag, retry) && self.stalls.resume(tag, retry).is_some() {
            self.go_on(&mut self.inner.lock());
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
    registers: Registers,
}

impl SavedState for State {
    const KIND: &'static str = "edu";
    const VERSION: u32 = 1;
}

/// What the bytes of the buffer are called in a saved state.
const BYTES: &str = "buffer";

impl Component for Edu {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        *self.inner.lock() = Inner::new();
        self.core.set_intx(false);
        self.core.reset();
    }
    /// A transfer that was under way when the state was saved begins again.
    fn resume(&self) {
        self.core.send_pending();
        let mut inner = self.inner.lock();
        if inner.running.is_none() {
            self.begin(&mut inner);
        }
        self.go_on(&mut inner);
    }
    fn save(&self) -> Payload {
        let inner = self.inner.lock();
        let state = State { function: self.core.save(), registers: inner.registers.clone() };
        Payload::new(&self.name, &state).blob(BYTES, inner.buffer.clone())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function, registers } = saved.state()?;
        let buffer = saved.blob(BYTES)?;
        if !self.core.fits(&function) || !registers.is_possible() || buffer.len() != BUFFER_SIZE {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || {
            *self.inner.lock() = Inner { registers, buffer, running: None };
            self.core.restore(&function);
        }))
    }
}
