//! The HBA: register accesses, and the turns in which its commands go on.
//!
//! Register accesses change registers and nothing else; all that touches memory happens in turns, on the device's own thread,
//! with no lock held that a register access takes. So an address of the HBA's own registers in a command does no harm.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use emu_core::addr::Size;
use emu_core::clock::{Clock, Mode};
use emu_core::dma::{Dma, DmaAttrs, DmaPort, StallTable, StallTag, Task};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Listed, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::link::Link;
use super::registers::{BSY, DRQ, MAP, PORTS, Port, Reg, ghc};
use crate::ata::{Disk, DiskState};
use crate::turns::Turns;

/// Tasks of a port: one for each command slot, and one for the device's signature.
const TASKS: usize = 33;
const SIGNATURE: usize = 32;

/// Tells of the level of the HBA's interrupt, and whether there is something new.
pub(super) type Interrupt = Box<dyn Fn(bool, bool) + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Registers {
    control: u32,
    interrupts: u32,
    /// Something happened that software is to be told of.
    news: bool,
    pub(super) ports: [Port; PORTS],
}

/// What commands under way have of the HBA.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) registers: Mutex<Registers>,
    pub(super) disks: [Option<Arc<Disk>>; PORTS],
    pub(super) memory: Arc<dyn DmaPort>,
    pub(super) stalls: Arc<StallTable>,
    counters: Arc<Counters>,
}

impl Shared {
    pub(super) fn anomaly(&self, what: &str, at: u64) {
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} {at:#x}", self.name);
        self.counters.add(Metric::Anomalies, 1);
    }

    /// Changes a port's registers, and sets bits of its PxIS; unless the port forgets what is under way.
    pub(super) fn event(&self, port: usize, change: impl FnOnce(&mut Port) -> u32) {
        let mut registers = self.registers.lock();
        let Some(p) = registers.ports.get_mut(port).filter(|p| !p.cancel) else { return };
        let bits = change(p);
        p.status |= bits;
        registers.news |= bits != 0;
    }
}

/// A port's tasks.
struct Tasks(Vec<Option<Task<()>>>);

impl Tasks {
    fn new() -> Self {
        Self((0..TASKS).map(|_| None).collect())
    }
}

/// Which tasks of a port can go on.
#[derive(Default)]
struct Ready([AtomicU64; PORTS]);

/// Tells that one task can go on.
struct TaskWaker {
    hba: Weak<Hba>,
    port: usize,
    slot: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(hba) = self.hba.upgrade() {
            hba.ready.0[self.port].fetch_or(1 << self.slot, Ordering::AcqRel);
            hba.turns.wake();
        }
    }
}

/// See the module's head.
pub(super) struct Hba {
    pub(super) shared: Arc<Shared>,
    tasks: Mutex<[Tasks; PORTS]>,
    ready: Ready,
    wakers: Vec<Waker>,
    turns: Turns,
    interrupt: Interrupt,
    /// The level is told in the order in which it changes.
    telling: Mutex<()>,
    reset: AtomicBool,
}

/// What an HBA is made of.
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) disks: [Option<Arc<Disk>>; PORTS],
    pub(super) memory: Arc<dyn DmaPort>,
    pub(super) interrupt: Interrupt,
    pub(super) clock: &'a Arc<Clock>,
    pub(super) counters: &'a Arc<Counters>,
}

impl Hba {
    pub(super) fn new(parts: Parts<'_>) -> Arc<Self> {
        let mut disks = parts.disks;
        // In counted time a run is to be the same every time, so requests end when they are made.
        let at_once = parts.clock.mode() == Mode::Counted;
        disks.iter_mut().flatten().for_each(|disk| {
            if let Some(disk) = Arc::get_mut(disk) {
                disk.set_at_once(at_once);
            }
        });
        let ports = std::array::from_fn(|n| {
            let mut port = Port::default();
            port.reset(disks[n].is_some());
            port
        });
        Arc::new_cyclic(|this: &Weak<Self>| {
            let hba = this.clone();
            let waker = |n: usize| {
                Waker::from(Arc::new(TaskWaker { hba: this.clone(), port: n / TASKS, slot: n % TASKS }))
            };
            Self {
                shared: Arc::new(Shared {
                    name: parts.name.to_owned(),
                    registers: Mutex::new(Registers { control: ghc::AE, interrupts: 0, news: false, ports }),
                    disks,
                    memory: parts.memory,
                    stalls: Arc::default(),
                    counters: parts.counters.clone(),
                }),
                tasks: Mutex::new(std::array::from_fn(|_| Tasks::new())),
                ready: Ready::default(),
                wakers: (0..PORTS * TASKS).map(waker).collect(),
                turns: Turns::new(parts.clock, move || hba.upgrade().is_some_and(|hba| hba.turn())),
                interrupt: parts.interrupt,
                telling: Mutex::new(()),
                reset: AtomicBool::new(false),
            }
        })
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// A stalled transaction can go on, or is aborted. False if it is not the HBA's.
    pub(super) fn resume_transaction(&self, tag: StallTag, retry: bool) -> bool {
        let Some(slot) = self.shared.stalls.resume(tag, retry) else { return false };
        if let Some(waker) = self.wakers.get(usize::from(slot)) {
            waker.wake_by_ref();
        }
        true
    }

    /// Tells of the interrupt (10.7.2): its level, and if there is news a message.
    fn tell(&self) {
        let _order = self.telling.lock();
        let (level, news) = {
            let mut r = self.shared.registers.lock();
            for n in 0..PORTS {
                r.interrupts |= u32::from(r.ports[n].wants_interrupt()) << n;
            }
            let level = r.control & ghc::IE != 0 && r.interrupts != 0;
            (level, std::mem::take(&mut r.news))
        };
        (self.interrupt)(level, level && news);
    }

    /// One turn: true if there is more to do.
    fn turn(&self) -> bool {
        let mut tasks = self.tasks.lock();
        self.forget(&mut tasks);
        let mut more = false;
        for (port, tasks) in tasks.iter_mut().enumerate() {
            while self.begin(port, tasks) {}
            let ready = self.ready.0[port].swap(0, Ordering::AcqRel);
            for slot in (0..TASKS).filter(|slot| ready >> slot & 1 != 0) {
                self.poll(port, slot, tasks);
                more = true;
            }
        }
        drop(tasks);
        self.tell();
        more
    }

    /// Does the resets that were asked for: nothing of what was under way reaches memory after it.
    fn forget(&self, tasks: &mut [Tasks; PORTS]) {
        let all = self.reset.swap(false, Ordering::AcqRel);
        for (n, tasks) in tasks.iter_mut().enumerate() {
            let cancel = self.shared.registers.lock().ports[n].cancel;
            let halted = self.shared.registers.lock().ports[n].halted;
            if cancel || all || halted {
                // What the device has to say of itself is said again.
                if tasks.0[SIGNATURE].is_some() {
                    self.shared.registers.lock().ports[n].signature_due = true;
                }
                tasks.0.iter_mut().for_each(|task| *task = None);
                if let Some(disk) = &self.shared.disks[n] {
                    disk.drain();
                }
            }
            if cancel {
                self.shared.registers.lock().ports[n].cancelled();
            }
        }
        if all {
            let mut r = self.shared.registers.lock();
            (r.control, r.interrupts, r.news) = (ghc::AE, 0, false);
            for n in 0..PORTS {
                r.ports[n].reset(self.shared.disks[n].is_some());
                if let Some(disk) = &self.shared.disks[n] {
                    disk.reset();
                }
            }
        }
    }

    /// Begins the next command of a port, or the device's signature; true if it did.
    fn begin(&self, port: usize, tasks: &mut Tasks) -> bool {
        let Some(disk) = &self.shared.disks[port] else { return false };
        let mut registers = self.shared.registers.lock();
        let p = &mut registers.ports[port];
        let slot = if p.signature_due && !p.cancel && tasks.0[SIGNATURE].is_none() {
            p.signature_due = false;
            SIGNATURE
        } else {
            let running = (0..32).filter(|n| tasks.0[*n].is_some()).fold(0, |mask, n| mask | 1_u32 << n);
            let waiting = (p.issued | p.begun) & !running;
            if waiting == 0 || !p.runs() || p.device_status() & (BSY | DRQ) != 0 {
                return false;
            }
            // The next one behind the last (5.3.2.4); what is not queued waits until it is alone.
            let after = (p.current + 1) % 32;
            let slot = (waiting.rotate_right(after.into()).trailing_zeros() + u32::from(after)) % 32;
            if running != 0 && p.active >> slot & 1 == 0 {
                return false;
            }
            (p.current, p.begun) = (slot as u8, p.begun | 1 << slot);
            p.task_file = p.task_file & 0xff00 | u16::from(BSY);
            slot as usize
        };
        drop(registers);
        let stall_slot = (port * TASKS + slot) as u16;
        let dma =
            Dma::new(self.shared.memory.clone(), self.shared.stalls.clone(), stall_slot, DmaAttrs::default());
        let link = Link::new(self.shared.clone(), dma, disk.clone(), port, slot as u32);
        tasks.0[slot] = Some(match slot {
            SIGNATURE => Task::new(link.signature()),
            _ => Task::new(link.command()),
        });
        self.poll(port, slot, tasks);
        true
    }

    fn poll(&self, port: usize, slot: usize, tasks: &mut Tasks) {
        let Some(task) = &mut tasks.0[slot] else { return };
        if let Poll::Ready(()) = task.poll_with(&self.wakers[port * TASKS + slot]) {
            tasks.0[slot] = None;
            if slot != SIGNATURE {
                self.shared.event(port, |p| {
                    p.begun &= !(1 << slot);
                    0
                });
            }
        }
        // An error ends what else is under way.
        if self.shared.registers.lock().ports[port].halted {
            tasks.0[..SIGNATURE].iter_mut().for_each(|task| *task = None);
        }
    }

    fn peek(r: &Registers, reg: Reg, n: u32) -> u32 {
        match reg {
            Reg::GlobalControl => return r.control,
            Reg::InterruptStatus => return r.interrupts,
            _ => {}
        }
        let Some(p) = r.ports.get(n as usize) else { return 0 };
        match reg {
            Reg::List => p.list as u32,
            Reg::ListHigh => (p.list >> 32) as u32,
            Reg::Fis => p.fis as u32,
            Reg::FisHigh => (p.fis >> 32) as u32,
            Reg::Status => p.status(),
            Reg::Enable => p.enable,
            Reg::Command => p.command | u32::from(p.current) << 8,
            Reg::TaskFile => p.task_file.into(),
            Reg::Signature => p.signature,
            Reg::LinkStatus => p.link_status,
            Reg::LinkControl => p.link_control,
            Reg::LinkError => p.link_error,
            Reg::Active => p.active,
            Reg::Issue => p.issued,
            Reg::GlobalControl | Reg::InterruptStatus => 0,
        }
    }

    pub(super) fn read(&self, offset: u64, size: Size) -> u64 {
        let word = |at| match MAP.at(at) {
            Some(hit) => hit.value(|reg| Self::peek(&self.shared.registers.lock(), reg, hit.index).into()),
            None => 0,
        };
        match size {
            Size::B8 => word(offset) | word(offset.wrapping_add(4)) << 32,
            _ => word(offset & !3) >> (8 * (offset & 3)) & size.mask(),
        }
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let r = self.shared.registers.lock();
        MAP.list(0, |reg, n| Some(Self::peek(&r, reg, n).into()))
    }

    pub(super) fn write(&self, offset: u64, size: Size, value: u64) {
        match size {
            Size::B4 => self.write_word(offset, value as u32),
            Size::B8 => {
                self.write_word(offset, value as u32);
                self.write_word(offset.wrapping_add(4), (value >> 32) as u32);
            }
            _ => self.shared.anomaly("a write of less than a register at", offset),
        }
        self.tell();
    }

    fn write_word(&self, offset: u64, value: u32) {
        let hit = MAP.at(offset).filter(|hit| hit.byte == 0);
        let Some((Target::Register(reg), hit)) = hit.map(|hit| (hit.target(), hit)) else {
            return self.shared.anomaly("a write to no register at", offset);
        };
        let value = value & hit.row.writable as u32;
        let mut r = self.shared.registers.lock();
        match reg {
            Reg::GlobalControl if value & ghc::HR != 0 => {
                r.control |= ghc::HR;
                r.ports.iter_mut().for_each(|p| p.cancel = true);
                self.reset.store(true, Ordering::Release);
            }
            Reg::GlobalControl => {
                r.news |= value & ghc::IE != 0 && r.control & ghc::IE == 0;
                r.control = r.control & ghc::HR | ghc::AE | value & ghc::IE;
            }
            Reg::InterruptStatus => {
                r.interrupts &= !value;
                // What is still there, or there again, is told of anew.
                r.news = true;
            }
            _ => {
                let n = hit.index as usize;
                let there = self.shared.disks.get(n).is_some_and(Option::is_some);
                if let Some(p) = r.ports.get_mut(n) {
                    write_port(p, reg, value, there);
                }
                r.news |= reg == Reg::Enable;
            }
        }
        drop(r);
        if matches!(reg, Reg::GlobalControl | Reg::Command | Reg::LinkControl | Reg::Issue) {
            self.turns.wake();
        }
    }

    /// After power-on. Called while no turn is under way, or to be.
    pub(super) fn power_on(&self) {
        self.turns.pause();
        self.shared.registers.lock().ports.iter_mut().for_each(|p| p.cancel = true);
        self.reset.store(true, Ordering::Release);
        self.forget(&mut self.tasks.lock());
        for port in &mut self.shared.registers.lock().ports {
            (port.list, port.fis) = (0, 0);
        }
        self.shared.stalls.cancel_all();
        self.tell();
        self.turns.resume();
    }

    pub(super) fn drain(&self) {
        self.shared.disks.iter().flatten().for_each(|disk| disk.drain());
    }

    pub(super) fn halt(&self) {
        self.turns.stop();
        self.shared.disks.iter().flatten().for_each(|disk| disk.halt());
    }

    pub(super) fn save(&self) -> HbaState {
        let disks = self.shared.disks.each_ref().map(|disk| disk.as_ref().map(|disk| disk.save()));
        let mut registers = self.shared.registers.lock().clone();
        for (port, tasks) in registers.ports.iter_mut().zip(&*self.tasks.lock()) {
            // What is under way begins again.
            port.signature_due |= tasks.0[SIGNATURE].is_some();
            if tasks.0[..SIGNATURE].iter().any(Option::is_some) {
                port.task_file &= !u16::from(BSY | DRQ);
            }
        }
        HbaState { registers, reset: self.reset.load(Ordering::Acquire), disks }
    }

    pub(super) fn fits(&self, state: &HbaState) -> bool {
        let disks = self.shared.disks.iter().zip(&state.disks);
        let mut disks = disks.map(|(disk, state)| match (disk, state) {
            (Some(disk), Some(state)) => disk.fits(state),
            (disk, state) => disk.is_none() && state.is_none(),
        });
        disks.all(|fits| fits)
            && state.registers.ports.iter().all(Port::is_possible)
            && MAP.holds(|reg, n| Some(Self::peek(&state.registers, reg, n).into()))
    }

    pub(super) fn restore(&self, state: HbaState) {
        self.tasks.lock().iter_mut().for_each(|tasks| *tasks = Tasks::new());
        self.shared.stalls.cancel_all();
        for (disk, state) in self.shared.disks.iter().zip(state.disks) {
            if let (Some(disk), Some(state)) = (disk, state) {
                disk.restore(state);
            }
        }
        self.reset.store(state.reset, Ordering::Release);
        *self.shared.registers.lock() = state.registers;
        self.tell();
    }
}

fn write_port(p: &mut Port, reg: Reg, value: u32, there: bool) {
    let low = |old: u64| old >> 32 << 32 | u64::from(value);
    let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
    match reg {
        Reg::List => p.list = low(p.list),
        Reg::ListHigh => p.list = high(p.list),
        Reg::Fis => p.fis = low(p.fis),
        Reg::FisHigh => p.fis = high(p.fis),
        Reg::Status => p.status &= !value,
        Reg::Enable => p.enable = value,
        Reg::Command => p.write_command(value),
        Reg::LinkControl => p.write_link_control(value, there),
        Reg::LinkError => p.link_error &= !value,
        Reg::Active if p.runs() => p.active |= value,
        Reg::Issue if p.runs() || p.halted => p.issued |= value,
        // Commands are for a port that runs (3.3.13, 3.3.14).
        Reg::Active | Reg::Issue => {}
        Reg::TaskFile | Reg::Signature | Reg::LinkStatus => {}
        Reg::GlobalControl | Reg::InterruptStatus => {}
    }
}

/// The saved form of an HBA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HbaState {
    registers: Registers,
    reset: bool,
    disks: [Option<DiskState>; PORTS],
}
