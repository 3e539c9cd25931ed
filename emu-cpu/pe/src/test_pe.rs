//! A PE in a machine of its own, for unit tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use emu_a64::level::{El, Levels};
use emu_core::bus::Bus;
use emu_core::clock::{Clock, Mode};
use emu_core::irq::{GicConnection, GicPort, Group, Pending, Sgi};
use parking_lot::Mutex;

use crate::cpu::{Cpu, CpuConfig};
use crate::exception::EndlessException;
use crate::mem::shared::Shared;
use crate::model::Model;
use crate::psci::{AffinityState, Machine, PsciError};

/// A redistributor that offers what a test puts there.
#[derive(Default)]
pub(crate) struct TestPort {
    pub(crate) pending: Mutex<Option<Pending>>,
    pub(crate) ppis: AtomicU32,
}

impl TestPort {
    /// Offers an interrupt of a group, of priority 0x80.
    pub(crate) fn offer(&self, group: Option<Group>) {
        *self.pending.lock() = group.map(|group| Pending { intid: 40, priority: 0x80, group });
    }
    pub(crate) fn ppi(&self, n: u32) -> bool {
        self.ppis.load(Ordering::Relaxed) >> n & 1 != 0
    }
}

impl GicPort for TestPort {
    fn highest_pending(&self) -> Option<Pending> {
        *self.pending.lock()
    }
    fn acknowledge(&self, _: u32) -> bool {
        true
    }
    fn deactivate(&self, _: u32) {}
    fn send_sgi(&self, _: Sgi) {}
    fn set_ppi(&self, intid: u32, level: bool) {
        if level {
            self.ppis.fetch_or(1 << intid, Ordering::Relaxed);
        } else {
            self.ppis.fetch_and(!(1 << intid), Ordering::Relaxed);
        }
    }
    fn set_group_enables(&self, _: bool, _: bool) {}
}

/// A machine that writes down what it is asked.
#[derive(Default)]
pub(crate) struct TestMachine {
    pub(crate) log: Mutex<Vec<String>>,
}

impl Machine for TestMachine {
    fn cpu_on(&self, mpidr: u64, entry: u64, context_id: u64) -> Result<(), PsciError> {
        self.log.lock().push(format!("on {mpidr:#x} {entry:#x} {context_id:#x}"));
        if mpidr == 1 { Ok(()) } else { Err(PsciError::InvalidParameters) }
    }
    fn cpu_off(&self, index: usize) {
        self.log.lock().push(format!("off {index}"));
    }
    fn affinity_info(&self, mpidr: u64, level: u32) -> Result<AffinityState, PsciError> {
        self.log.lock().push(format!("info {mpidr:#x} {level}"));
        Ok(AffinityState::Off)
    }
    fn system_off(&self) {
        self.log.lock().push("system off".into());
    }
    fn system_reset(&self) {
        self.log.lock().push("system reset".into());
    }
    fn send_event(&self) {}
    fn endless_exception(&self, _: usize, what: EndlessException) {
        let EndlessException { el, pc, esr, far, vbar } = what;
        self.log.lock().push(format!("endless at {el}, {pc:#x}: ESR {esr:#x}, FAR {far:#x}, VBAR {vbar:#x}"));
    }
}

/// A PE and the other ends of its wires.
pub(crate) struct Bench {
    pub(crate) cpu: Cpu,
    pub(crate) port: Arc<TestPort>,
    pub(crate) machine: Arc<TestMachine>,
    pub(crate) clock: Arc<Clock>,
}

const EL2: Levels = Levels::BASE.with(El::El2);

/// A PE of a model with EL2, after reset, with counted time.
pub(crate) fn bench(model: Model) -> Bench {
    bench_with(model, EL2)
}

/// The same with other levels.
pub(crate) fn bench_with(model: Model, levels: Levels) -> Bench {
    wired(model, levels, Arc::new(Bus::new()), Arc::new(Shared::new(1)))
}

/// `max` with EL2, the first PE of those of `shared`. The others are off.
pub(crate) fn on(bus: Arc<Bus>, shared: Arc<Shared>) -> Bench {
    wired(Model::max(), EL2, bus, shared)
}

fn wired(model: Model, levels: Levels, bus: Arc<Bus>, shared: Arc<Shared>) -> Bench {
    let port = Arc::new(TestPort::default());
    let machine = Arc::new(TestMachine::default());
    let clock = Clock::new(Mode::Counted);
    let cpu = Cpu::new(CpuConfig {
        model: Arc::new(model),
        levels,
        index: 0,
        counters: Arc::default(),
        doorbell: Arc::default(),
        clock: clock.clone(),
        port: GicConnection::SystemRegisters(port.clone()),
        machine: machine.clone(),
        bus,
        shared,
    });
    Bench { cpu, port, machine, clock }
}

/// `max`.
pub(crate) fn max() -> Bench {
    bench(Model::max())
}
