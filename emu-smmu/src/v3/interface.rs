//! The programmer's interface: registers and queues, which CPUs and transactions use at the same time.
//!
//! # Invariants
//! - One lock is around all of it, and nothing that can wait or come back is done under it: queues are memory only
//!   ([`TableBus`]), and interrupts are raised after it is released.
//! - An interrupt is raised after what it tells of can be seen (3.18).

mod priq;

use std::collections::VecDeque;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{Bus, BusView};
use emu_core::clock::Clock;
use emu_core::dma::ats::PageRequest;
use emu_core::registers::{Hit, Target};
use emu_core::table::TableBus;
use parking_lot::{Mutex, RwLock};

use super::commands::{COMMAND, CommandError, Words};
use super::event::{Event, Queued, Recorder};
use super::gerror::Error;
use super::interrupts::{Interrupts, Msi, Source};
use super::profile::Profile;
use super::queue::Shape;
use super::registers::{
    CMDQEN, EVENTQ_IRQEN, EVENTQEN, GERROR_IRQEN, Reg, Registers, command_shape, event_shape,
    page_request_shape,
};
use super::settings::Settings;
use super::streams::Question;

/// EVENTQ_PROD.OVFLG and EVENTQ_CONS.OVACKFLG, and those of the PRI queue.
const OVERFLOW: u32 = 1 << 31;

/// An interrupt that is to be raised when the lock is released.
type Notice = Option<(Source, Msi)>;

struct State {
    registers: Registers,
    /// Stalled transactions that software does not know of yet, as the queue had no room: StreamID and STAG.
    waiting: VecDeque<(u32, u16)>,
    /// What the newest record is of.
    newest: Option<Event>,
    /// What happened last, for monitors.
    history: VecDeque<Reported>,
}

impl State {
    fn new(registers: Registers) -> Self {
        Self { registers, waiting: VecDeque::new(), newest: None, history: VecDeque::new() }
    }
}

/// An event, and whether software can know of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reported {
    /// The event.
    pub event: Event,
    /// When it happened, in nanoseconds of the machine's time.
    pub at: u64,
    /// There is a record of it, perhaps one with others; otherwise there was no room, or no queue.
    pub recorded: bool,
}

/// How many events are kept for monitors.
const HISTORY: usize = 64;

/// What a write of a register has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// It was allowed.
    pub(super) accepted: bool,
    /// What registers said of transactions before.
    pub(super) before: Settings,
    /// And afterwards.
    pub(super) after: Settings,
}

/// See the module's head.
pub(super) struct Interface {
    profile: Profile,
    commands: Shape,
    events: Shape,
    pages: Shape,
    state: Mutex<State>,
    bus: Arc<Bus>,
    clock: Arc<Clock>,
    interrupts: Interrupts,
    /// Held, shared, while an interrupt is raised.
    raising: RwLock<()>,
}

impl Interface {
    pub(super) fn new(profile: Profile, bus: Arc<Bus>, clock: Arc<Clock>, interrupts: Interrupts) -> Self {
        let state = State::new(Registers::new(&profile));
        Self {
            commands: command_shape(&profile),
            events: event_shape(&profile),
            pages: page_request_shape(&profile),
            profile,
            state: Mutex::new(state),
            bus,
            clock,
            interrupts,
            raising: RwLock::new(()),
        }
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The contents of all registers.
    pub(super) fn registers(&self) -> Registers {
        self.state.lock().registers.clone()
    }

    /// Replaces the contents of all registers; nothing waits any more.
    pub(super) fn set_registers(&self, registers: Registers) {
        *self.state.lock() = State::new(registers);
    }

    pub(super) fn read(&self, hit: &Hit<Reg>, size: Size) -> u64 {
        hit.read(size, |reg| self.state.lock().registers.read(reg, hit.index, &self.profile))
    }

    /// Writes what the access reaches. Interrupts that it disables have all been raised when it returns (6.3.16).
    pub(super) fn write(&self, hit: &Hit<Reg>, size: Size, value: u64) -> Written {
        let (written, silenced) = {
            let registers = &mut self.state.lock().registers;
            let (before, enables) = (registers.settings(), registers.irq_ctrl);
            let accepted = match hit.target() {
                Target::Register(reg) => {
                    let old = registers.read(reg, hit.index, &self.profile);
                    registers.write(reg, hit.merged(old, size, value), &self.profile)
                }
                Target::Ignored => true,
                Target::ReadOnly => false,
            };
            let written = Written { accepted, before, after: registers.settings() };
            (written, enables & !registers.irq_ctrl != 0)
        };
        if silenced {
            drop(self.raising.write());
        }
        written
    }

    /// What software asks by way of GATOS, if the SMMU is enabled.
    pub(super) fn question(&self) -> Option<Question> {
        let registers = &self.state.lock().registers;
        let there = self.profile.atos && registers.settings().enabled;
        there.then_some(registers.gatos)
    }

    /// The answer.
    pub(super) fn answer(&self, par: u64) {
        self.state.lock().registers.gatos_par = par;
    }

    /// The machine's time.
    pub(super) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The next command, with what it is executed under, or nothing: the queue is empty, off, or stands at an error.
    pub(super) fn next_command(&self) -> Option<Result<(Words, Settings), CommandError>> {
        let state = self.state.lock();
        let r = &state.registers;
        let stands = r.cr0 & CMDQEN == 0 || r.gerror.is_active(Error::Cmdq);
        if stands || r.cmdq.is_empty(&self.commands) {
            return None;
        }
        let mut bytes = [0; COMMAND];
        let read = self.memory().read(r.cmdq.slot(r.cmdq.cons, &self.commands), &mut bytes);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Some(read.map(|()| ([word(0), word(8)], r.settings())).ok_or(CommandError::Abort))
    }

    /// How many commands there are to be executed.
    pub(super) fn pending_commands(&self) -> u32 {
        self.state.lock().registers.cmdq.distance(&self.commands)
    }

    /// A command is consumed. True if the queue was full.
    pub(super) fn consume(&self) -> bool {
        let queue = &mut self.state.lock().registers.cmdq;
        let was_full = queue.is_full(&self.commands);
        queue.cons = queue.next(queue.cons, &self.commands);
        was_full
    }

    /// A command cannot be executed: the queue stands, until software acknowledges.
    pub(super) fn refuse(&self, why: CommandError) {
        let notice = {
            let registers = &mut self.state.lock().registers;
            registers.set_command_error(why as u8);
            activate(registers, Error::Cmdq)
        };
        self.raise(notice);
    }

    /// A CMD_SYNC is complete and consumed.
    pub(super) fn complete(&self, message: Msi) {
        self.raise(Some((Source::CmdSync, message)));
    }

    /// Stalled transactions that could be told of now: as many as there is room for. They are to be tried again, which tells of
    /// them, or of what happens by then (7.2.1).
    pub(super) fn now_tellable(&self) -> Vec<(u32, u16)> {
        let state = &mut *self.state.lock();
        if state.waiting.is_empty() || !state.registers.can_record() {
            return Vec::new();
        }
        let room = state.registers.eventq.room(&self.events) as usize;
        state.waiting.drain(..room.min(state.waiting.len())).collect()
    }

    /// Stalled transactions have been dealt with, of one stream or all, with one STAG or all: nothing is to be told of them.
    pub(super) fn never_mind(&self, stream: Option<u32>, stag: Option<u16>) {
        let dealt_with = |(id, tag): &(u32, u16)| {
            stream.is_none_or(|stream| stream == *id) && stag.is_none_or(|stag| stag == *tag)
        };
        self.state.lock().waiting.retain(|stall| !dealt_with(stall));
    }

    /// What happened last, the newest first.
    pub(super) fn history(&self) -> Vec<Reported> {
        self.state.lock().history.iter().copied().collect()
    }

    fn memory(&self) -> TableBus<Arc<BusView>> {
        TableBus::new(self.bus.view())
    }

    /// Raises an interrupt. A message that is aborted is an error, which may be another interrupt, and that is all.
    fn raise(&self, mut notice: Notice) {
        while let Some((source, message)) = notice.take() {
            let raised = {
                // What a message reaches may raise another one of ours.
                let _raising = self.raising.read_recursive();
                self.interrupts.raise(source, &message)
            };
            if raised.is_err() {
                notice = activate(&mut self.state.lock().registers, source.msi_error());
            }
        }
    }

    /// Appends a record, and says whether that interrupts.
    fn append(&self, r: &mut Registers, event: &Event) -> Result<Notice, AppendError> {
        if !r.can_record() {
            return Err(AppendError::Off);
        }
        if r.eventq.is_full(&self.events) {
            return Err(AppendError::Full);
        }
        let was_empty = r.eventq.is_empty(&self.events);
        let slot = r.eventq.slot(r.eventq.prod, &self.events);
        if self.memory().write(slot, &event.encode()).is_none() {
            return Err(AppendError::Abort(activate(r, Error::EventqAbort)));
        }
        r.eventq.prod = r.eventq.next(r.eventq.prod, &self.events);
        let tell = was_empty && r.irq_ctrl & EVENTQ_IRQEN != 0;
        Ok(tell.then_some((Source::Eventq, r.eventq_irq)))
    }
}

/// Why a record is not in the queue.
enum AppendError {
    /// The queue is not enabled, or stands at an error.
    Off,
    /// There is no room.
    Full,
    /// It cannot be written.
    Abort(Notice),
}

impl AppendError {
    fn notice(self) -> Notice {
        match self {
            Self::Abort(notice) => notice,
            Self::Off | Self::Full => None,
        }
    }
}

impl Registers {
    /// A record was discarded as there was no room: that is told once, until it is acknowledged (7.4).
    fn overflow(&mut self) {
        if (self.eventq.prod ^ self.eventq.cons) & OVERFLOW == 0 {
            self.eventq.prod ^= OVERFLOW;
        }
    }

    /// The event queue is enabled, and its last abort has been acknowledged.
    fn can_record(&self) -> bool {
        self.cr0 & EVENTQEN != 0 && !self.gerror.is_active(Error::EventqAbort)
    }
}

/// Activates an error, and says whether that interrupts.
fn activate(registers: &mut Registers, error: Error) -> Notice {
    let tell = registers.gerror.activate(error) && registers.irq_ctrl & GERROR_IRQEN != 0;
    tell.then_some((Source::Gerror, registers.gerror_irq))
}

impl Recorder for Interface {
    fn record(&self, event: &Event) -> bool {
        let at = self.clock.now_ns();
        let (recorded, notice) = {
            let state = &mut *self.state.lock();
            let unread = !state.registers.eventq.is_empty(&self.events);
            if unread && state.newest.is_some_and(|newest| event.merges_into(&newest)) {
                state.note(event, at, true);
                return true;
            }
            let appended = self.append(&mut state.registers, event);
            state.note(event, at, appended.is_ok());
            match appended {
                Ok(notice) => {
                    state.newest = Some(*event);
                    (true, notice)
                }
                Err(why) => {
                    state.lose(event, &why);
                    (false, why.notice())
                }
            }
        };
        self.raise(notice);
        recorded
    }

    fn page_request(&self, stream: u32, request: &PageRequest) -> Queued {
        self.queue(stream, request)
    }
}

impl State {
    fn note(&mut self, event: &Event, at: u64, recorded: bool) {
        tracing::debug!(target: "smmu", recorded, "{event}");
        self.history.truncate(HISTORY - 1);
        self.history.push_front(Reported { event: *event, at, recorded });
    }

    /// An event is not recorded: a stall waits until it can be (7.2.1), others are lost.
    fn lose(&mut self, event: &Event, why: &AppendError) {
        let stag = event.kind.translation().and_then(|t| t.stall);
        match stag.map(|stag| (event.transaction.stream, stag)) {
            Some(stall) if self.waiting.contains(&stall) => {}
            Some(stall) => self.waiting.push_back(stall),
            None if matches!(why, AppendError::Full) => self.registers.overflow(),
            None => {}
        }
    }
}
