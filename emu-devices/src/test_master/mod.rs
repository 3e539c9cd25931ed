//! A master on the system bus for tests of what stands before it: programs say what it transfers, under which StreamID and
//! SubstreamID, with which attributes, and see how far it came.
//!
//! Bytes are moved between a buffer of 4 KiB, which is the second page of its window, and memory: TM_LENGTH bytes at
//! TM_ADDRESS; or, if TM_LIST is not 0, the segments of a scatter list of so many entries at TM_ADDRESS, of 16 bytes each: the
//! address, the length (32 bits), and nothing. The list is read under the same StreamID, SubstreamID and privilege. The part of the
//! buffer begins at TM_PLACE, and ends with the buffer. Addresses wrap at TM_WIDTH bits.
//!
//! With TM_ATOMIC there is one atomic access instead, of 4 or 8 bytes (TM_LENGTH) at TM_ADDRESS: 1 adds, 2 swaps, 3 compares and swaps.
//! Its operands are in the buffer from TM_PLACE on: what is added; what replaces the word; what must be there, and after it what
//! replaces that. What was there takes the place of the first operand.
//!
//! It also keeps translations (`cache`): TM_REQUEST and what describes a transfer describe a translation request or a page request, and
//! registers show what was granted, and what the master was told to forget and was answered. With TM_ATTRIBUTES.TRANSLATED it uses an
//! address as one that was translated.
//!
//! A transfer takes no time where nothing stalls it: it is done when the write of TM_COMMAND is. While one is under way the registers
//! that describe it do not change. A list is read again where a stalled transfer was saved and restored, as all of it is.

mod atomic;
mod cache;
mod registers;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::task::Poll;

use emu_core::addr::Size;
use emu_core::atomic::Atomic;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::ats::{Invalidation, InvalidationDone, PageResponse, TranslationCache};
use emu_core::dma::{
    Aborted, Direction, Dma, DmaAttrs, DmaClient, DmaPort, Master, Ports, Segment, StallTable, StallTag,
    Stalls, Task, Transfer,
};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Hit, Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::registers::MAP;
use self::registers::{BUFFER_SIZE, Reg, Registers, command, status};

/// Bytes of its registers and its buffer.
pub const WINDOW: u64 = 0x2000;
/// It has one transfer at a time.
const SLOT: u16 = 0;
/// Most entries of a scatter list: more than the buffer has bytes are of no use.
const MOST_SEGMENTS: u32 = BUFFER_SIZE as u32;
/// Bytes of an entry.
const ENTRY: usize = 16;

/// What a master is made of.
pub struct Config<'a> {
    /// A name for logs, maps and saved states.
    pub name: &'a str,
    /// The StreamIDs that it can use; the first one is that of TM_STREAM after reset.
    pub streams: &'a [u32],
    /// Its transactions may be stalled.
    pub may_stall: bool,
    /// What stands between it and memory.
    pub ports: &'a dyn Ports,
    /// Its interrupt, a level.
    pub irq: IrqLine,
    /// Where accesses are counted that no sane program makes.
    pub counters: Arc<Counters>,
}

/// What became of a transfer.
struct Moved {
    bytes: Vec<u8>,
    done: usize,
    outcome: Result<(), Aborted>,
}

/// A transfer under way.
struct Running {
    task: Task<Moved>,
    direction: Direction,
}

struct Inner {
    registers: Registers,
    buffer: Vec<u8>,
    running: Option<Running>,
    /// Invalidations that are not complete.
    held: Vec<InvalidationDone>,
}

/// What is to be said of invalidations when no lock is held: what is dropped is lost.
#[must_use]
#[derive(Default)]
struct Settled {
    held: Vec<InvalidationDone>,
    complete: bool,
}

impl Settled {
    fn say(self) {
        if self.complete {
            self.held.into_iter().for_each(InvalidationDone::complete);
        }
    }
}

/// The master, as one of its streams has it.
struct Function {
    stream: u32,
    master: Weak<TestMaster>,
}

/// See the module's head.
pub struct TestMaster {
    name: String,
    ports: Vec<Arc<dyn DmaPort>>,
    /// Who is told of invalidations: one for each port.
    _functions: Vec<Arc<Function>>,
    irq: IrqLine,
    inner: Mutex<Inner>,
    stalls: Arc<StallTable>,
    counters: Arc<Counters>,
}

impl TestMaster {
    /// The master, idle.
    #[must_use]
    pub fn new(config: Config<'_>) -> Arc<Self> {
        let Config { name, streams, may_stall, ports, irq, counters } = config;
        Arc::new_cyclic(|this: &Weak<Self>| {
            let stalls = || if may_stall { Stalls::Notify(this.clone()) } else { Stalls::Never };
            let function = |&stream: &u32| Arc::new(Function { stream, master: this.clone() });
            let functions: Vec<_> = streams.iter().map(function).collect();
            let port = |function: &Arc<Function>| {
                let cache = Arc::<Function>::downgrade(function);
                ports.port(Master::new(function.stream, stalls()).with_cache(cache))
            };
            let ports: Vec<_> = functions.iter().map(port).collect();
            Self {
                name: name.to_owned(),
                inner: Mutex::new(Inner::new(&ports)),
                ports,
                _functions: functions,
                irq,
                stalls: Arc::default(),
                counters,
            }
        })
    }

    fn anomaly(&self, what: &str, offset: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    fn peek(&self, inner: &Inner, reg: Reg, index: u32) -> u64 {
        match reg {
            Reg::Status if self.stalls.is_waiting(SLOT) => {
                u64::from(inner.registers.status | status::WAITING)
            }
            Reg::Buffer => inner.word(index),
            Reg::Held => inner.held.len() as u64,
            _ => inner.registers.peek(reg),
        }
    }

    fn write(&self, inner: &mut Inner, reg: Reg, hit: &Hit<Reg>, size: Size, value: u64) -> Settled {
        let registers = &mut inner.registers;
        let mut settled = Settled::default();
        match reg {
            Reg::Command => settled = self.command(inner, hit.written(size, value) as u32),
            Reg::CacheControl => registers.cache.set_control(hit.written(size, value) as u32),
            Reg::InterruptEnable => registers.interrupt_enable = hit.written(size, value) as u32,
            // Ones clear.
            Reg::Interrupt => registers.interrupt &= !(hit.written(size, value) as u32),
            Reg::Buffer => {
                let merged = hit.merged(inner.word(hit.index), size, value);
                inner.set_word(hit.index, merged);
            }
            _ if registers.is_busy() => {
                self.anomaly("a write while a transfer is under way", hit.at().into())
            }
            _ => {
                let value = hit.merged(registers.peek(reg), size, value);
                registers.describe(reg, value);
            }
        }
        self.show(&inner.registers);
        settled
    }

    /// Sets the wire.
    fn show(&self, registers: &Registers) {
        self.irq.set(registers.interrupt & registers.interrupt_enable != 0);
    }

    fn command(&self, inner: &mut Inner, bits: u32) -> Settled {
        if bits & command::STOP != 0 {
            inner.running = None;
            inner.registers.status = 0;
        }
        if bits & command::START != 0 && !inner.registers.is_busy() {
            inner.registers.status = status::BUSY;
            self.begin(inner);
            self.go_on(inner);
        }
        if bits & command::TRANSLATE != 0 {
            self.translate(&mut inner.registers);
        }
        if bits & command::REQUEST_PAGE != 0 {
            self.request_page(&mut inner.registers);
        }
        let held = match bits & (command::COMPLETE | command::LOSE) {
            0 => Vec::new(),
            _ => std::mem::take(&mut inner.held),
        };
        Settled { held, complete: bits & command::COMPLETE != 0 }
    }

    fn port_of(&self, stream: u32) -> Option<&Arc<dyn DmaPort>> {
        self.ports.iter().find(|port| port.stream_id() == stream)
    }

    /// Asks for a translation, and notes it under the lock that an invalidation takes.
    fn translate(&self, r: &mut Registers) {
        if let Some(port) = self.port_of(r.stream) {
            let request = r.translation_request();
            r.cache.fill(r.stream, r.address, &request, &port.translate(&request));
        }
    }

    fn request_page(&self, r: &mut Registers) {
        let answer = self.port_of(r.stream).and_then(|port| port.request_page(&r.page_request()));
        if let Some(response) = answer {
            r.cache.answered(&response);
        }
    }

    /// Begins the transfer that the registers describe.
    fn begin(&self, inner: &mut Inner) {
        inner.registers.done = 0;
        let r = &inner.registers;
        let port = self.port_of(r.stream);
        let (Some(port), Some(lines), true) = (port, r.lines(), r.list <= MOST_SEGMENTS) else {
            return self.finish(inner, status::REFUSED);
        };
        let (attrs, direction, at) = (r.attrs(), r.direction(), r.place as usize);
        let dma = Dma::new(port.clone(), self.stalls.clone(), SLOT, attrs);
        let what = Segment { addr: r.address & lines, len: r.length };
        let bytes = inner.buffer[at..].to_vec();
        if r.atomic != 0 {
            let Some(access) = atomic::access(r, &bytes) else {
                return self.finish(inner, status::REFUSED);
            };
            let task = Task::new(access_atomically(dma, what.addr, access));
            inner.running = Some(Running { task, direction: Direction::FromMemory });
            return;
        }
        let list = r.list as usize;
        let work = async move {
            let segments = match list {
                0 => Ok(vec![what]),
                n => read_list(&dma, attrs, what.addr, n).await,
            };
            let Ok(segments) = segments else {
                return Moved { bytes, done: 0, outcome: Err(Aborted) };
            };
            let segments = segments.into_iter().map(|s| Segment { addr: s.addr & lines, ..s }).collect();
            let mut transfer = Transfer::new(direction, attrs, segments, bytes);
            let outcome = dma.run(&mut transfer).await;
            let done = transfer.done();
            Moved { bytes: transfer.into_bytes(), done, outcome }
        };
        inner.running = Some(Running { task: Task::new(work), direction });
    }

    /// Goes on with the transfer until it is done, or stands still.
    fn go_on(&self, inner: &mut Inner) {
        let Some(running) = &mut inner.running else { return };
        let Poll::Ready(Moved { bytes, done, outcome }) = running.task.poll() else { return };
        if running.direction == Direction::FromMemory {
            let at = inner.registers.place as usize;
            inner.buffer[at..at + done].copy_from_slice(&bytes[..done]);
        }
        inner.running = None;
        inner.registers.done = done as u32;
        self.finish(inner, if outcome.is_ok() { status::DONE } else { status::ABORTED });
    }

    /// Goes into a state. Invalidations that were held are lost, which is said when no lock is held.
    fn enter(&self, new: Inner) {
        let old = std::mem::replace(&mut *self.inner.lock(), new);
        drop(old);
    }

    fn finish(&self, inner: &mut Inner, how: u32) {
        inner.registers.status = how;
        inner.registers.interrupt = 1;
        self.show(&inner.registers);
    }
}

/// Makes an atomic access: what moves is what was there.
async fn access_atomically(dma: Dma, addr: u64, access: Atomic) -> Moved {
    let outcome = dma.atomic(addr, access).await;
    let old = outcome.unwrap_or_default().to_le_bytes();
    let done = if outcome.is_ok() { access.bytes() } else { 0 };
    Moved { bytes: old[..done].to_vec(), done, outcome: outcome.map(|_| ()) }
}

/// Reads a scatter list of `n` entries.
async fn read_list(dma: &Dma, attrs: DmaAttrs, addr: u64, n: usize) -> Result<Vec<Segment>, Aborted> {
    let whole = Segment { addr, len: (n * ENTRY) as u32 };
    let attrs = DmaAttrs { instruction: false, ..attrs };
    let mut transfer = Transfer::new(Direction::FromMemory, attrs, vec![whole], vec![0; n * ENTRY]);
    dma.run(&mut transfer).await?;
    let segment = |e: &[u8]| {
        let field = |at: usize, n: usize| e[at..at + n].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b));
        Segment { addr: field(0, 8), len: field(8, 4) as u32 }
    };
    Ok(transfer.into_bytes().chunks_exact(ENTRY).map(segment).collect())
}

impl Inner {
    fn new(ports: &[Arc<dyn DmaPort>]) -> Self {
        let stream = ports.first().map_or(0, |port| port.stream_id());
        Self {
            registers: Registers::new(stream),
            buffer: vec![0; BUFFER_SIZE],
            running: None,
            held: Vec::new(),
        }
    }

    fn word(&self, index: u32) -> u64 {
        let at = 8 * index as usize;
        self.buffer[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    fn set_word(&mut self, index: u32, value: u64) {
        let at = 8 * index as usize;
        self.buffer[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}

impl MmioDevice for TestMaster {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = MAP.find(offset, size) else {
            self.anomaly("a read of no register", offset);
            return Ok(0);
        };
        Ok(hit.read(size, |reg| self.peek(&self.inner.lock(), reg, hit.index)))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let settled = match MAP.find(offset, size).map(|hit| (hit.target(), hit)) {
            Some((Target::Register(reg), hit)) => self.write(&mut self.inner.lock(), reg, &hit, size, value),
            _ => {
                self.anomaly("a write of no register", offset);
                Settled::default()
            }
        };
        settled.say();
        Ok(())
    }

    /// Its own transactions would wait for it.
    fn cpu_only(&self) -> bool {
        true
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let inner = self.inner.lock();
        MAP.list(0, |reg, index| Some(self.peek(&inner, reg, index)))
    }
}

impl DmaClient for TestMaster {
    fn resume(&self, tag: StallTag, retry: bool) {
        if self.stalls.resume(tag, retry).is_some() {
            self.go_on(&mut self.inner.lock());
        }
    }
}

impl TranslationCache for Function {
    fn invalidate(&self, what: &Invalidation, done: InvalidationDone) {
        let Some(master) = self.master.upgrade() else { return done.complete() };
        {
            let inner = &mut *master.inner.lock();
            inner.registers.cache.invalidate(self.stream, what);
            if inner.registers.cache.holds() {
                return inner.held.push(done);
            }
        }
        done.complete();
    }

    fn page_response(&self, response: PageResponse) {
        if let Some(master) = self.master.upgrade() {
            master.inner.lock().registers.cache.answered(&response);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    registers: Registers,
}

impl SavedState for State {
    const KIND: &'static str = "test-master";
    const VERSION: u32 = 1;
}

/// What the bytes of the buffer are called in a saved state.
const BYTES: &str = "buffer";

impl Component for TestMaster {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        let new = Inner::new(&self.ports);
        self.show(&new.registers);
        self.enter(new);
    }
    /// A transfer that was under way when the state was saved begins again.
    fn resume(&self) {
        let mut inner = self.inner.lock();
        if inner.registers.is_busy() && inner.running.is_none() {
            self.begin(&mut inner);
        }
        self.go_on(&mut inner);
    }
    fn save(&self) -> Payload {
        let inner = self.inner.lock();
        Payload::new(&self.name, &State { registers: inner.registers.clone() })
            .blob(BYTES, inner.buffer.clone())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { mut registers } = saved.state()?;
        let buffer = saved.blob(BYTES)?;
        if !registers.is_possible() || buffer.len() != BUFFER_SIZE {
            return Err(saved.unfit("it was saved by another device"));
        }
        // What it was to forget, it has forgotten.
        registers.cache.forget();
        Ok(Restore::new(move || {
            self.show(&registers);
            self.enter(Inner { registers, buffer, running: None, held: Vec::new() });
        }))
    }
}
