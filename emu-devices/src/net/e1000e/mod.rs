//! e1000e: Intel's 82574L gigabit Ethernet controller (82574 datasheet).
//!
//! | module | what lives there |
//! |---|---|
//! | [`registers`] | the register map |
//! | [`access`] | what reading and writing them does |
//! | [`state`] | what the registers have, and the packet buffer |
//! | [`interrupts`] | causes, masks, moderation, messages |
//! | [`transmit`], [`receive`] | the queues |
//!
//! Each queue is a [`Task`] for ever, which is polled when something may have changed. A frame's descriptors are done with in
//! one step, at its end: a queue that is begun again after a restore does that frame anew.
//!
//! # Invariant
//! Locks are taken in the order tasks, state, outgoing frames; none is held while a frame is given to the backend.

mod access;
mod interrupts;
mod receive;
mod registers;
mod state;
#[cfg(test)]
mod tests;
mod transmit;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::clock::{Clock, Timer};
use emu_core::dma::{Dma, DmaAttrs, DmaClient, StallTable, StallTag, Stalls, Task};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::interrupts::cause;
pub(crate) use self::registers::MAP;
use self::registers::{Reg, at, statistic};
use self::state::{QUEUES, State, VECTORS};
use super::intel::nvm::Nvm;
use super::intel::phy::Phy;
use super::{HEADER, MacAddress, NetBackend, NetClient, Receipt};
use crate::pci::{
    BarKind, FunctionBuilder, FunctionCore, FunctionState, Identity, MsixLayout, OTHER_FUNCTION, PciFunction,
};

const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x10d3,
    // Ethernet controller.
    class: 0x02_0000,
    revision: 0,
    subsystem_vendor: 0x8086,
    subsystem: 0,
};
/// The PHY's identifier: the one in the 82574, revision 1.
const PHY: u32 = 0x0141_0cb1;

/// Bytes of the BARs: registers, flash (which is not there), I/O, MSI-X.
const MEMORY_SIZE: u64 = 128 << 10;
const FLASH_SIZE: u64 = 128 << 10;
const IO_SIZE: u64 = 32;
const MSIX_SIZE: u64 = 16 << 10;
const MSIX: MsixLayout = MsixLayout { vectors: VECTORS as u16, bar: 3, table_offset: 0, pba_offset: 0x2000 };

/// Bits of CTRL.
mod control {
    pub(super) const MASTER_DISABLE: u32 = 1 << 2;
    pub(super) const SET_LINK_UP: u32 = 1 << 6;
    pub(super) const RESET: u32 = 1 << 26;
    pub(super) const VLAN: u32 = 1 << 30;
    pub(super) const PHY_RESET: u32 = 1 << 31;
}
/// Bits of CTRL_EXT.
mod control_ext {
    pub(super) const EEPROM_RESET: u32 = 1 << 13;
    /// ICR masks by itself when it is read.
    pub(super) const IAME: u32 = 1 << 27;
    /// Causes mask themselves when their message goes.
    pub(super) const EIAME: u32 = 1 << 24;
}
/// Bits of RCTL.
mod receive_control {
    pub(super) const ENABLE: u32 = 1 << 1;
    pub(super) const UNICAST: u32 = 1 << 3;
    pub(super) const MULTICAST: u32 = 1 << 4;
    pub(super) const LONG: u32 = 1 << 5;
    pub(super) const LOOPBACK: u32 = 1 << 6;
    pub(super) const BROADCAST: u32 = 1 << 15;
    pub(super) const VLAN_FILTER: u32 = 1 << 18;
    pub(super) const BUFFERS_EXTENDED: u32 = 1 << 25;
    pub(super) const STRIP_CHECK_SEQUENCE: u32 = 1 << 26;
}
/// A frame on its way out.
struct Outgoing {
    bytes: Vec<u8>,
    /// It comes back.
    back: bool,
}

#[derive(Default)]
struct OutgoingFrames {
    frames: VecDeque<Outgoing>,
    /// Somebody gives them to the backend, one after the other.
    sending: bool,
}

/// What the tasks of the queues have in common with the function.
struct Shared {
    name: String,
    core: FunctionCore,
    state: Mutex<State>,
    outgoing: Mutex<OutgoingFrames>,
    stalls: Arc<StallTable>,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl Shared {
    fn dma(&self, slot: u16) -> Dma {
        Dma::new(self.core.port().clone(), self.stalls.clone(), slot, DmaAttrs::default())
    }

    fn anomaly(&self, what: &str, at: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} {at:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }
}

/// See the module's head.
pub struct E1000e {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<Task<()>>>,
    backend: Option<Arc<dyn NetBackend>>,
    timer: Timer,
    asleep: AtomicBool,
    this: Weak<Self>,
}

impl E1000e {
    /// The controller with this address. Without a backend, no cable is plugged in.
    #[must_use]
    pub fn new(
        name: &str,
        mac: MacAddress,
        backend: Option<Arc<dyn NetBackend>>,
        clock: &Arc<Clock>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let core = FunctionBuilder::new(IDENTITY)
            .bar(0, BarKind::Memory32, MEMORY_SIZE)
            .bar(1, BarKind::Memory32, FLASH_SIZE)
            .bar(2, BarKind::Io, IO_SIZE)
            .bar(3, BarKind::Memory32, MSIX_SIZE)
            .msi()
            .express()
            .msix(MSIX)
            .intx_pin(1)
            .build(counters);
        let cable = backend.as_ref().is_some_and(|b| b.link());
        let nvm = Nvm::new(mac, IDENTITY.vendor, IDENTITY.device);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            core,
            state: Mutex::new(State::new(Phy::new(PHY), nvm, cable)),
            outgoing: Mutex::default(),
            stalls: Arc::default(),
            clock: clock.clone(),
            counters: counters.clone(),
        });
        let this = Arc::new_cyclic(|this: &Weak<Self>| {
            let weak = this.clone();
            Self {
                shared,
                tasks: Mutex::default(),
                backend,
                timer: Timer::new(clock, move || weak.upgrade().iter().for_each(|nic| nic.expire())),
                asleep: AtomicBool::new(false),
                this: this.clone(),
            }
        });
        *this.tasks.lock() = this.queues();
        if let Some(backend) = &this.backend {
            let client: Weak<dyn NetClient> = this.this.clone();
            backend.connect(client);
        }
        this
    }

    fn queues(&self) -> Vec<Task<()>> {
        let transmit = (0..QUEUES).map(|q| Task::new(self.shared.clone().transmit(q)));
        let receive = (0..QUEUES).map(|q| Task::new(self.shared.clone().receive_queue(q)));
        transmit.chain(receive).collect()
    }

    /// All that was under way is forgotten; the PHY and the EEPROM stay as they are if `all` is false.
    fn restart(&self, all: bool) {
        let mut tasks = self.tasks.lock();
        tasks.clear();
        let state = &mut *self.shared.state.lock();
        let mut phy = state.phy.clone();
        if all {
            phy.reset();
        }
        let mut fresh = State::new(phy, state.nvm.clone(), state.cable);
        (fresh.io_address, fresh.refused) = (state.io_address, state.refused);
        *state = fresh;
        self.shared.outgoing.lock().frames.clear();
        self.shared.core.set_intx(false);
        *tasks = self.queues();
    }

    /// Goes on with everything that can, and gives what comes of it to the backend.
    fn pump(&self) {
        while !self.asleep.load(Ordering::Acquire) {
            for task in &mut *self.tasks.lock() {
                // The work of a queue has no end.
                let _ = task.poll();
            }
            self.tell_room();
            if !self.send() {
                break;
            }
        }
        self.arm();
    }

    /// Gives frames to the backend, or takes them back; false if there were none, or somebody else does it.
    fn send(&self) -> bool {
        let mut any = false;
        let mut outgoing = self.shared.outgoing.lock();
        if outgoing.sending {
            return false;
        }
        while let Some(frame) = outgoing.frames.pop_front() {
            (outgoing.sending, any) = (true, true);
            drop(outgoing);
            match &self.backend {
                _ if frame.back => self.take_back(&frame.bytes),
                Some(backend) => backend.send(&frame.bytes),
                None => {}
            }
            outgoing = self.shared.outgoing.lock();
        }
        outgoing.sending = false;
        any
    }

    /// The backend is told that there is room again, if it was told that there was none.
    fn tell_room(&self) {
        let room = {
            let state = &mut *self.shared.state.lock();
            let room = state.refused && (0..QUEUES).all(|q| state.has_room(q));
            state.refused &= !room;
            room
        };
        if let Some(backend) = self.backend.as_ref().filter(|_| room) {
            backend.room();
        }
    }

    /// A frame has come: it is put into the packet buffer, if it is wanted. False if there is no room.
    fn take(&self, frame: &[u8]) -> bool {
        let state = &mut *self.shared.state.lock();
        if !(0..QUEUES).all(|q| state.has_room(q)) {
            return false;
        }
        if let Some((queue, packet)) = state.accept(frame) {
            state.backlog[queue].push_back(packet);
        }
        true
    }

    /// A frame comes back. There is nobody who would keep it: without room it is missed.
    fn take_back(&self, frame: &[u8]) {
        if !self.take(frame) {
            let state = &mut *self.shared.state.lock();
            state.count(statistic::MPC, 1);
            self.shared.raise(state, cause::RXO);
        }
    }

    /// Arms the timer for what waits for it.
    fn arm(&self) {
        let next = self.shared.expire(&mut self.shared.state.lock());
        if let Some(next) = next {
            self.timer.set(next);
        }
    }

    fn expire(&self) {
        if !self.asleep.load(Ordering::Acquire) {
            self.arm();
        }
    }

    fn write_register(&self, offset: u64, size: Size, value: u64) {
        let hit = MAP.find(offset, size);
        match hit.as_ref().map(|hit| (hit.target(), hit)) {
            Some((Target::Register(reg), hit)) => {
                let value = hit.written(size, value) as u32;
                if reg == Reg::Control && value & control::RESET != 0 {
                    self.restart(false);
                } else {
                    self.shared.write(reg, offset as u32, value);
                }
                self.pump();
            }
            Some((Target::ReadOnly | Target::Ignored, _)) => {}
            None => self.shared.anomaly("a write to no register at", offset),
        }
    }

    fn read_register(&self, offset: u64, size: Size) -> u64 {
        let hit = MAP.find(offset, size);
        hit.map_or(0, |hit| hit.read(size, |reg| self.shared.read(reg, offset as u32).into()))
    }
}

impl NetClient for E1000e {
    fn receive(&self, frame: &[u8]) -> Receipt {
        {
            let state = &mut *self.shared.state.lock();
            let runt = frame.len() < HEADER;
            if runt || !state.link || state.phy.loops() || state.has(at::RCTL, receive_control::LOOPBACK) {
                return Receipt::Taken;
            }
        }
        if !self.take(frame) {
            self.shared.state.lock().refused = true;
            return Receipt::NoRoom;
        }
        self.pump();
        Receipt::Taken
    }

    fn link(&self, up: bool) {
        {
            let state = &mut *self.shared.state.lock();
            state.cable = up;
            self.shared.update_link(state);
        }
        self.pump();
    }
}

/// Offsets of the I/O BAR: the address of a register, and that register (82574 datasheet, 10.1.1.4).
const IO_ADDRESS: u64 = 0;
const IO_DATA: u64 = 4;

impl PciFunction for E1000e {
    fn core(&self) -> &FunctionCore {
        &self.shared.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(self.this.clone())
    }
    fn bar_read(&self, bar: u8, offset: u64, size: Size) -> u64 {
        let io_address = u64::from(self.shared.state.lock().io_address);
        match (bar, offset) {
            (0, _) => self.read_register(offset, size),
            (2, IO_ADDRESS) => io_address & size.mask(),
            (2, IO_DATA) => self.read_register(io_address, size),
            (2 | 3, _) => 0,
            // There is no flash: nobody drives its wires.
            _ => size.mask(),
        }
    }
    fn bar_write(&self, bar: u8, offset: u64, size: Size, value: u64) {
        match (bar, offset) {
            (0, _) => self.write_register(offset, size, value),
            (2, IO_ADDRESS) => self.shared.state.lock().io_address = value as u32,
            (2, IO_DATA) => {
                let at = u64::from(self.shared.state.lock().io_address);
                self.write_register(at, size, value);
            }
            _ => self.shared.anomaly("a write to nothing at", offset),
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        if bar != 0 {
            return Vec::new();
        }
        let state = self.shared.state.lock();
        MAP.rows
            .iter()
            .flat_map(|row| {
                let map = emu_core::registers::Map { rows: std::slice::from_ref(row), ..MAP };
                map.list(0, |reg, i| Some(self.shared.peek(&state, reg, row.offset + i * row.stride).into()))
            })
            .collect()
    }
}

impl DmaClient for E1000e {
    fn resume(&self, tag: StallTag, retry: bool) {
        if !self.shared.core.resume_message(tag, retry) && self.shared.stalls.resume(tag, retry).is_some() {
            self.pump();
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    function: FunctionState,
    state: State,
}

impl SavedState for Saved {
    const KIND: &'static str = "e1000e";
    const VERSION: u32 = 1;
}

/// What the registers are called in a saved state.
const REGISTERS: &str = "registers";

impl Component for E1000e {
    fn name(&self) -> &str {
        &self.shared.name
    }
    fn reset(&self) {
        self.restart(true);
        self.shared.core.reset();
    }
    fn start(&self) -> io::Result<()> {
        self.asleep.store(false, Ordering::Release);
        self.backend.as_ref().map_or(Ok(()), |backend| backend.start())
    }
    fn pause(&self) {
        if let Some(backend) = &self.backend {
            backend.pause();
        }
        self.asleep.store(true, Ordering::Release);
        // Whoever polls has ended when this can be had.
        drop(self.tasks.lock());
    }
    /// What was under way when the state was saved begins again.
    fn resume(&self) {
        self.asleep.store(false, Ordering::Release);
        self.shared.core.send_pending();
        if let Some(backend) = &self.backend
            && let Err(error) = backend.start()
        {
            tracing::warn!("{}: {} does not go on: {error}", self.shared.name, backend.name());
        }
        self.pump();
    }
    fn halt(&self) {
        self.asleep.store(true, Ordering::Release);
        if let Some(backend) = &self.backend {
            backend.halt();
        }
    }
    /// Frames that are on their way out are lost, as on a cable.
    fn save(&self) -> Payload {
        let state = self.shared.state.lock().clone();
        let words = state.words();
        let saved = Saved { function: self.shared.core.save(), state };
        Payload::new(&self.shared.name, &saved).blob(REGISTERS, words)
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Saved { function, mut state } = saved.state()?;
        let words = saved.blob(REGISTERS)?;
        if !self.shared.core.fits(&function) || !state.take_words(&words) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || {
            let mut tasks = self.tasks.lock();
            tasks.clear();
            self.shared.outgoing.lock().frames.clear();
            // The cable is as it is here.
            let cable = self.backend.as_ref().is_some_and(|b| b.link());
            state.cable = cable;
            *self.shared.state.lock() = state;
            *tasks = self.queues();
            drop(tasks);
            self.shared.core.restore(&function);
        }))
    }
}
