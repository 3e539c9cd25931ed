//! An NVMe controller (NVM Express Base Specification 1.4) with the NVM command set.
//!
//! | module | what lives there |
//! |---|---|
//! | `registers` | the registers behind BAR 0 |
//! | `queues` | rings, and what is on its way through them |
//! | `command` | the entries of the rings |
//! | `status` | how commands end |
//! | `service` | doorbells, commands that begin, go on and end, interrupts |
//! | `pointer` | PRPs and SGLs |
//! | `admin`, `identify`, `features`, `logs` | the admin command set |
//! | `io`, `namespace` | the NVM command set, and the disks |
//! | `state` | what is saved |
//!
//! # Invariants
//! - A command is a task in a slot. What it waits for, a stalled transaction or the disk, holds up that command alone.
//! - Doorbells only note what was written: no CPU waits for the controller's work to ring one.
//! - Nothing of a controller that was disabled or reset reaches memory: its tasks are dropped. What its commands told the disk has
//!   ended before CSTS.RDY says so.
//! - What a guest can make the controller hold is bounded: commands in flight, completions that wait, bytes of a transfer.

mod admin;
mod command;
mod features;
mod identify;
mod io;
mod logs;
mod namespace;
mod pointer;
mod queues;
mod registers;
mod service;
mod state;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::task::Waker;

use emu_core::addr::Size;
use emu_core::dma::{DmaClient, StallTable, StallTag, Stalls};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Hit, Listed, Target};
use parking_lot::Mutex;

use self::command::Command;
use self::features::Features;
use self::logs::{Events, Health};
pub use self::namespace::{Namespace, NamespaceOptions};
use self::queues::{Completions, Ring, Submission};
pub(crate) use self::registers::MAP;
use self::registers::{DOORBELLS, Reg, Registers, cc, csts};
use self::service::{IN_FLIGHT, Running};
use crate::pci::{BarKind, FunctionBuilder, FunctionCore, Identity, MsixLayout, PciFunction};
use crate::worker::Worker;

/// What QEMU's NVMe controller is: drivers and scripts know it.
const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x0010,
    class: 0x01_0802,
    revision: 2,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

/// The most queue pairs, that for administration included.
const MAX_QUEUES: u32 = 257;
/// Bytes of the BAR: registers and doorbells, then the MSI-X structures.
const BAR_SIZE: u64 = 16 << 10;
const MSIX_TABLE: u32 = 0x2000;
const MSIX_PENDING: u32 = 0x3800;
/// Abort Command Limit, 0's based. Those that are executed at once need none.
const ABORTS: u8 = 3;

/// What a board may choose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvmeOptions {
    /// Serial Number: at most 20 characters of ASCII.
    pub serial: String,
    /// I/O queue pairs, from 1 to 256.
    pub queues: u16,
    /// MSI-X vectors, from 1 to 257.
    pub vectors: u16,
    /// Maximum Data Transfer Size: log2 of pages of 4 KiB, from 1 to 9.
    pub mdts: u8,
    /// Asynchronous Event Request Limit, 0's based, up to 7.
    pub events: u8,
    /// All work is done on the thread that asks for it, so that a run in instruction-counted time is repeatable. The queues of the
    /// disks have no threads then.
    pub inline: bool,
}

impl NvmeOptions {
    /// Bytes of the largest data transfer.
    fn transfer(&self) -> u64 {
        4096 << self.mdts
    }
}

/// What changes.
struct Live {
    paused: bool,
    regs: Registers,
    /// By identifier.
    sqs: BTreeMap<u16, Submission>,
    cqs: BTreeMap<u16, Completions>,
    /// By slot.
    commands: Vec<Option<Running>>,
    /// Of a restored state: commands that begin again, with their queues.
    replay: Vec<(u16, Command)>,
    features: Features,
    events: Events,
    health: Health,
    /// The level of the pin.
    pin: bool,
}

impl Live {
    fn new(queues: u16) -> Self {
        Self {
            paused: false,
            regs: Registers::default(),
            sqs: BTreeMap::new(),
            cqs: BTreeMap::new(),
            commands: (0..IN_FLIGHT).map(|_| None).collect(),
            replay: Vec::new(),
            features: Features::new(queues),
            events: Events::default(),
            health: Health::default(),
            pin: false,
        }
    }

    /// Drops queues and commands, whatever they are at.
    fn forget(&mut self) {
        self.commands.fill_with(|| None);
        self.sqs.clear();
        self.cqs.clear();
        self.replay.clear();
        self.events = Events::default();
    }
}

/// See the module's head.
pub struct Nvme {
    name: String,
    core: FunctionCore,
    options: NvmeOptions,
    /// By identifier.
    namespaces: BTreeMap<u32, Arc<Namespace>>,
    live: Mutex<Live>,
    /// The doorbells that were written since they were looked at, with what was written last. By place: that of a submission
    /// queue, then that of the completion queue with the same identifier.
    doorbells: Mutex<BTreeMap<u16, u32>>,
    /// Those of the slots of commands.
    wakers: Vec<Waker>,
    /// Slots of commands that may go on.
    ready: Mutex<Vec<u16>>,
    /// There is something to do, or there was before somebody began to do it.
    pending: AtomicBool,
    stalls: Arc<StallTable>,
    worker: Worker,
    counters: Arc<Counters>,
    this: Weak<Self>,
}

impl Nvme {
    /// The controller. Of two namespaces with the same identifier, there is the last one.
    #[must_use]
    pub fn new(
        name: &str,
        options: NvmeOptions,
        namespaces: Vec<NamespaceOptions>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let layout = MsixLayout {
            vectors: options.vectors,
            bar: 0,
            table_offset: MSIX_TABLE,
            pba_offset: MSIX_PENDING,
        };
        let builder = FunctionBuilder::new(IDENTITY)
            .bar(0, BarKind::Memory64 { prefetchable: false }, BAR_SIZE)
            .express()
            .msix(layout)
            .intx_pin(1);
        Arc::new_cyclic(|this| Self {
            name: name.to_owned(),
            core: builder.build(counters),
            live: Mutex::new(Live::new(options.queues)),
            options,
            namespaces: namespaces.into_iter().map(|n| (n.id, Namespace::new(n))).collect(),
            doorbells: Mutex::default(),
            wakers: service::wakers(this),
            ready: Mutex::default(),
            pending: AtomicBool::new(false),
            stalls: Arc::default(),
            worker: Worker::default(),
            counters: counters.clone(),
            this: this.clone(),
        })
    }

    fn anomaly(&self, what: &str, at: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} {at:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    /// Software uses MSI-X rather than INTx.
    fn has_msix(&self) -> bool {
        self.core.msix().is_some_and(crate::pci::Msix::enabled)
    }

    /// Waits until the disks have done what they were told.
    fn drain(&self) {
        self.namespaces.values().for_each(|n| n.disk.drain());
    }

    /// To the state after power-on.
    fn power_on(&self, live: &mut Live) {
        live.forget();
        self.drain();
        self.doorbells.lock().clear();
        self.ready.lock().clear();
        self.stalls.cancel_all();
        let paused = live.paused;
        *live = Live::new(self.options.queues);
        live.paused = paused;
    }

    /// CC.EN has become 1.
    fn enable(&self, live: &mut Live) {
        let (sq, cq) = (live.regs.aqa & 0xfff, live.regs.aqa >> 16 & 0xfff);
        let page = cc::page(live.regs.cc) - 1;
        if sq == 0 || cq == 0 || !cc::is_possible(live.regs.cc) || (live.regs.asq | live.regs.acq) & page != 0
        {
            self.anomaly(
                "the controller is enabled with a configuration that there is not:",
                live.regs.cc.into(),
            );
            live.regs.csts |= csts::FATAL;
            return;
        }
        let ring = Ring::new(live.regs.asq, sq as u16 + 1);
        live.sqs.insert(0, Submission { ring, ..Submission::default() });
        let ring = Ring::new(live.regs.acq, cq as u16 + 1);
        live.cqs.insert(0, Completions { ring, phase: true, vector: Some(0), ..Completions::default() });
        live.regs.csts |= csts::READY;
    }

    /// CC.EN has become 0: a controller reset (NVMe 1.4, 7.3.2). AQA, ASQ and ACQ stay.
    fn disable(&self, live: &mut Live) {
        let Registers { cc, aqa, asq, acq, .. } = live.regs;
        let (health, pin) = (std::mem::take(&mut live.health), live.pin);
        self.power_on(live);
        live.regs = Registers { cc, aqa, asq, acq, ..Registers::default() };
        (live.health, live.pin) = (health, pin);
    }

    fn configure(&self, live: &mut Live, value: u32) {
        let old = live.regs.cc;
        let was_enabled = old & cc::ENABLE != 0;
        // While it is enabled, only these may change.
        let may = if was_enabled { cc::ENABLE | 3 << 14 | 0xff << 16 } else { cc::ALL };
        if (old ^ value) & !may != 0 && value & cc::ENABLE != 0 {
            self.anomaly("CC changes while the controller is enabled:", value.into());
        }
        live.regs.cc = old & !may | value & may;
        match (was_enabled, value & cc::ENABLE != 0) {
            (false, true) => self.enable(live),
            (true, false) => {
                live.regs.cc = value;
                self.disable(live);
            }
            _ => {}
        }
        if cc::shutdown(value) != 0 && cc::shutdown(old) == 0 && live.regs.csts & csts::SHUTDOWN == 0 {
            self.shut_down(live);
        }
    }

    fn write(&self, live: &mut Live, reg: Reg, hit: &Hit<Reg>, size: Size, value: u64) {
        let merged = hit.merged(live.regs.peek(reg), size, value);
        let enabled = live.regs.cc & cc::ENABLE != 0;
        match reg {
            Reg::MaskSet => live.regs.mask |= value as u32,
            Reg::MaskClear => live.regs.mask &= !(value as u32),
            Reg::Configuration => self.configure(live, merged as u32),
            Reg::AdminQueues | Reg::AdminSubmission | Reg::AdminCompletion if enabled => {
                self.anomaly("an admin queue moves while the controller is enabled:", value);
            }
            Reg::AdminQueues => live.regs.aqa = merged as u32,
            Reg::AdminSubmission => live.regs.asq = merged,
            Reg::AdminCompletion => live.regs.acq = merged,
            // Doorbells do not come here; the map lets no write through to the others.
            Reg::Doorbell | Reg::Capabilities | Reg::Status => {}
        }
        self.interrupt(live);
    }

    /// Doorbells of queues that there cannot be are none.
    fn has_doorbell(&self, index: u32) -> bool {
        index <= 2 * u32::from(self.options.queues) + 1
    }
}

impl PciFunction for Nvme {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(self.this.clone())
    }
    fn bar_read(&self, _: u8, offset: u64, size: Size) -> u64 {
        match MAP.find(offset, size) {
            Some(hit) => {
                let value = hit.read(size, |reg| self.live.lock().regs.peek(reg));
                self.serve();
                value
            }
            None => {
                self.anomaly("a read of no register at", offset);
                0
            }
        }
    }
    fn bar_write(&self, _: u8, offset: u64, size: Size, value: u64) {
        let Some(hit) = MAP.find(offset, size) else {
            return self.anomaly("a write to no register at", offset);
        };
        match hit.target() {
            Target::Register(Reg::Doorbell) if self.has_doorbell(hit.index) => {
                self.doorbells.lock().insert(hit.index as u16, value as u32);
                self.run();
            }
            Target::Register(Reg::Doorbell) => self.anomaly("a write to no register at", offset),
            Target::Register(reg) => {
                self.write(&mut self.live.lock(), reg, &hit, size, value);
                self.run();
            }
            Target::ReadOnly | Target::Ignored => self.anomaly("a write to a read-only register at", offset),
        }
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        if bar != 0 {
            return Vec::new();
        }
        let regs = self.live.lock().regs.clone();
        self.serve();
        let peek = |reg, index| (reg != Reg::Doorbell || self.has_doorbell(index)).then(|| regs.peek(reg));
        MAP.list(0, peek)
    }
}

impl DmaClient for Nvme {
    fn resume(&self, tag: StallTag, retry: bool) {
        if self.core.resume_message(tag, retry) {
            return;
        }
        if let Some(slot) = self.stalls.resume(tag, retry) {
            // The slots of queues are no commands, and looked at anyway.
            self.ready.lock().push(slot);
            self.run();
        }
    }
}

const _: () = assert!(DOORBELLS + 8 * MAX_QUEUES as u64 <= MSIX_TABLE as u64);
