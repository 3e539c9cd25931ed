//! An accelerator on the system bus: eight queues, each with a SubstreamID (a PASID) of its own and a page of doorbells that can be
//! given to a process, which then hands over memory by its own addresses. Commands copy, fill, compare and compute checksums.
//! `docs/accelerator.md` is its specification.
//!
//! Queues take turns, a piece of 4 KiB each, on a thread of the device's. One whose transaction is stalled keeps its place, and the
//! others go on. A command that was under way at a save begins again after the restore.

mod command;
mod registers;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::task::Poll;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::clock::Clock;
use emu_core::dma::{Dma, DmaAttrs, DmaClient, DmaPort, Master, Ports, StallTable, StallTag, Stalls, Task};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::command::{COMMAND, COMPLETION, execute};
pub use self::registers::{MAP, Reg};
use self::registers::{PASID, PASID_VALID, QUEUES, status};
use crate::turns::Turns;

/// Bytes of its registers and its doorbell pages.
pub const WINDOW: u64 = 0x10_0000;
/// Queues, and interrupts.
pub const LINES: usize = QUEUES;
/// Largest value of ACC_SIZE.
const MOST_SIZE: u32 = 12;
/// Pieces of each queue in one turn.
const TURN: usize = 8;

/// What an accelerator is made of.
pub struct Config<'a> {
    /// A name for logs, maps and saved states.
    pub name: &'a str,
    /// The StreamID of all its transactions.
    pub stream: u32,
    /// They may be stalled.
    pub may_stall: bool,
    /// What stands between it and memory.
    pub ports: &'a dyn Ports,
    /// The interrupt of each queue, a level.
    pub irqs: [IrqLine; LINES],
    /// The machine's time.
    pub clock: &'a Arc<Clock>,
    /// Where accesses are counted that no sane program makes.
    pub counters: &'a Arc<Counters>,
}

/// A queue.
#[derive(Default, Serialize, Deserialize)]
struct Queue {
    enabled: bool,
    error: bool,
    pasid: u32,
    size: u32,
    commands: u64,
    completions: u64,
    interrupt: bool,
    interrupt_enable: bool,
    head: u32,
    tail: u32,
    released: u32,
    error_address: u64,
    #[serde(skip)]
    task: Option<Task<Result<bool, u64>>>,
}

impl Queue {
    fn entries(&self) -> u32 {
        1 << self.size.min(MOST_SIZE)
    }

    /// There is a command, and room for its completion.
    fn is_due(&self) -> bool {
        let room = self.head.wrapping_sub(self.released) < self.entries();
        self.enabled && !self.error && self.head != self.tail && room
    }

    fn fail(&mut self, address: u64) {
        self.error = true;
        self.error_address = address;
        self.interrupt = true;
        self.task = None;
    }

    fn control(&mut self, enable: bool) {
        if enable && !self.enabled {
            (self.head, self.tail, self.released) = (0, 0, 0);
            (self.error, self.error_address) = (false, 0);
        }
        if !enable {
            self.task = None;
        }
        self.enabled = enable;
    }

    fn is_possible(&self) -> bool {
        let waiting = self.tail.wrapping_sub(self.head);
        let unread = self.head.wrapping_sub(self.released);
        self.size <= 0xf && waiting <= self.entries() && unread <= self.entries()
    }
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    queues: [Queue; QUEUES],
}

impl SavedState for State {
    const KIND: &'static str = "accelerator";
    const VERSION: u32 = 1;
}

/// The accelerator: see the module's head.
pub struct Accelerator {
    name: String,
    port: Arc<dyn DmaPort>,
    stalls: Arc<StallTable>,
    irqs: [IrqLine; LINES],
    state: Mutex<State>,
    turns: Turns,
    counters: Arc<Counters>,
}

impl Accelerator {
    /// The accelerator; no queue is enabled.
    #[must_use]
    pub fn new(config: Config<'_>) -> Arc<Self> {
        let Config { name, stream, may_stall, ports, irqs, clock, counters } = config;
        Arc::new_cyclic(|this: &Weak<Self>| {
            let device = this.clone();
            let stalls = if may_stall { Stalls::Notify(this.clone()) } else { Stalls::Never };
            Self {
                name: name.to_owned(),
                port: ports.port(Master::new(stream, stalls)),
                stalls: Arc::default(),
                irqs,
                state: Mutex::default(),
                turns: Turns::new(clock, move || device.upgrade().is_some_and(|this| this.turn())),
                counters: counters.clone(),
            }
        })
    }

    fn anomaly(&self, what: &str, at: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} {at:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    /// Sets the wires.
    fn show(&self, state: &State) {
        for (queue, irq) in state.queues.iter().zip(&self.irqs) {
            irq.set(queue.interrupt && queue.interrupt_enable);
        }
    }

    /// Some pieces of each queue; true if there are more to do.
    fn turn(&self) -> bool {
        let mut state = self.state.lock();
        let mut more = false;
        for _ in 0..TURN {
            more = false;
            for n in 0..QUEUES {
                more |= self.piece(&mut state.queues[n], n as u16);
            }
            if !more {
                break;
            }
        }
        self.show(&state);
        more
    }

    /// A piece of queue `n`; true if there is another one.
    fn piece(&self, queue: &mut Queue, n: u16) -> bool {
        if queue.task.is_none() {
            if !queue.is_due() {
                return false;
            }
            queue.task = Some(self.begin(queue, n));
        }
        let Some(task) = &mut queue.task else { return false };
        match task.poll() {
            Poll::Pending => return !self.stalls.is_waiting(n),
            Poll::Ready(Ok(interrupt)) => {
                queue.task = None;
                queue.head = queue.head.wrapping_add(1);
                queue.interrupt |= interrupt;
            }
            Poll::Ready(Err(address)) => {
                self.anomaly("a ring cannot be reached at", address);
                queue.fail(address);
            }
        }
        queue.is_due()
    }

    fn begin(&self, queue: &Queue, n: u16) -> Task<Result<bool, u64>> {
        let substream = (queue.pasid & PASID_VALID != 0).then_some(queue.pasid & PASID);
        let dma = Dma::new(
            self.port.clone(),
            self.stalls.clone(),
            n,
            DmaAttrs { substream, ..DmaAttrs::default() },
        );
        let slot = u64::from(queue.head & (queue.entries() - 1));
        let phase = queue.head & queue.entries() == 0;
        let from = queue.commands.wrapping_add(slot * COMMAND);
        Task::new(execute(dma, from, queue.completions.wrapping_add(slot * COMPLETION), phase))
    }

    fn peek(&self, state: &State, reg: Reg, n: u32) -> u64 {
        let Some(queue) = state.queues.get(n as usize) else { return 0 };
        let bit = |is: bool, bit: u32| if is { bit } else { 0 };
        match reg {
            Reg::Control => queue.enabled.into(),
            Reg::Status => u64::from(
                bit(queue.enabled, status::ENABLED)
                    | bit(queue.task.is_some(), status::BUSY)
                    | bit(self.stalls.is_waiting(n as u16), status::WAITING)
                    | bit(queue.error, status::ERROR),
            ),
            Reg::Pasid => queue.pasid.into(),
            Reg::Size => queue.size.into(),
            Reg::Commands => queue.commands,
            Reg::Completions => queue.completions,
            Reg::Interrupt => queue.interrupt.into(),
            Reg::InterruptEnable => queue.interrupt_enable.into(),
            Reg::Head | Reg::DoorbellHead => queue.head.into(),
            Reg::Tail => queue.tail.into(),
            Reg::Released => queue.released.into(),
            Reg::ErrorAddress => queue.error_address,
            // Write-only.
            Reg::DoorbellTail | Reg::DoorbellReleased => 0,
        }
    }

    fn write(&self, queue: &mut Queue, reg: Reg, value: u64) {
        let word = value as u32;
        match reg {
            Reg::Control if word & 1 != 0 && queue.size > MOST_SIZE => {
                self.anomaly("a queue is enabled with ACC_SIZE", queue.size.into());
            }
            Reg::Control => queue.control(word & 1 != 0),
            Reg::Interrupt => queue.interrupt &= word & 1 == 0,
            Reg::InterruptEnable => queue.interrupt_enable = word & 1 != 0,
            Reg::Pasid | Reg::Size | Reg::Commands | Reg::Completions if queue.enabled => {
                self.anomaly("a write to a queue that is enabled:", value);
            }
            Reg::Pasid => queue.pasid = word,
            Reg::Size => queue.size = word,
            Reg::Commands => queue.commands = value,
            Reg::Completions => queue.completions = value,
            Reg::DoorbellTail | Reg::DoorbellReleased if !queue.enabled => {
                self.anomaly("a doorbell of a queue that is not enabled:", value);
            }
            Reg::DoorbellTail => {
                // More commands than the ring has, or fewer than there were.
                let (new, old) = (word.wrapping_sub(queue.head), queue.tail.wrapping_sub(queue.head));
                if new > queue.entries() || new < old {
                    self.anomaly("a doorbell that makes no sense:", value);
                    queue.fail(value);
                } else {
                    queue.tail = word;
                }
            }
            Reg::DoorbellReleased => {
                if queue.head.wrapping_sub(word) > queue.head.wrapping_sub(queue.released) {
                    self.anomaly("completions are released that are not there:", value);
                    queue.fail(value);
                } else {
                    queue.released = word;
                }
            }
            // Read-only: the map lets no write through.
            Reg::Status | Reg::Head | Reg::Tail | Reg::Released | Reg::ErrorAddress | Reg::DoorbellHead => {}
        }
    }
}

impl MmioDevice for Accelerator {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = MAP.find(offset, size) else {
            self.anomaly("a read of no register at", offset);
            return Ok(0);
        };
        Ok(hit.read(size, |reg| self.peek(&self.state.lock(), reg, hit.index)))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let hit = MAP.find(offset, size).map(|hit| (hit.target(), hit));
        let Some((Target::Register(reg), hit)) = hit else {
            self.anomaly("a write of no register at", offset);
            return Ok(());
        };
        let mut state = self.state.lock();
        let merged = hit.merged(self.peek(&state, reg, hit.index), size, value);
        if let Some(queue) = state.queues.get_mut(hit.index as usize) {
            self.write(queue, reg, merged);
        }
        self.show(&state);
        drop(state);
        self.turns.wake();
        Ok(())
    }

    /// Its own transactions would wait for it.
    fn cpu_only(&self) -> bool {
        true
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        let state = self.state.lock();
        MAP.list(0, |reg, n| Some(self.peek(&state, reg, n)))
    }
}

impl DmaClient for Accelerator {
    fn resume(&self, tag: StallTag, retry: bool) {
        if self.stalls.resume(tag, retry).is_some() {
            self.turns.wake();
        }
    }
}

impl Component for Accelerator {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        let mut state = self.state.lock();
        *state = State::default();
        self.show(&state);
    }
    fn start(&self) -> std::io::Result<()> {
        self.turns.start(&self.name)
    }
    fn pause(&self) {
        self.turns.pause();
    }
    fn resume(&self) {
        self.turns.resume();
    }
    fn halt(&self) {
        self.turns.stop();
    }
    fn save(&self) -> Payload {
        Payload::new(&self.name, &*self.state.lock())
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: State = saved.state()?;
        let fits = state.queues.iter().all(Queue::is_possible)
            && MAP.holds(|reg, n| match reg {
                // That a stall is waited for is not in the state.
                Reg::Status => None,
                _ => Some(self.peek(&state, reg, n)),
            });
        if !fits {
            return Err(saved.unfit("it was saved by another device"));
        }
        Ok(Restore::new(move || {
            self.show(&state);
            *self.state.lock() = state;
        }))
    }
}
