//! A small machine: RAM, a sector of flash, a GIC and CPUs, each with a thread; with a GICv3, an SMMU and masters behind it. Programs
//! report through memory.

mod memory;
mod smmu;

use std::sync::Arc;
use std::time::{Duration, Instant};

use emu_a64::level::{El, Levels};
use emu_core::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::{Clock, Mode};
use emu_core::irq::{GicConnection, IrqSink};
use emu_core::metrics::{Counters, Metric};
use emu_devices::flash::Programming;
use emu_devices::flash::cfi::{CfiFlash, SECTOR};
use emu_devices::gic::{GicConfig, Gicv3, ITS_SIZE, REDISTRIBUTOR_STRIDE};
use emu_devices::gicv2::{self, Gicv2};
use emu_engine::interp::vcpu::Vcpu;
use emu_pe::cpu::{Cpu, CpuConfig, Entry};
use emu_pe::doorbell::{Doorbell, reason};
use emu_pe::mem::shared::Shared;
use emu_pe::model::Model;
use emu_pe::psci::{AffinityState, Machine, PsciError};
use firmware::guest_tests::{Gic, Smmu, layout};
use parking_lot::{Condvar, Mutex};

pub use memory::Ram;

/// Most CPUs of a machine.
pub const CPUS: usize = layout::PES;
/// SPIs of the GIC.
const SPIS: u32 = 256;
/// Host code that a CPU keeps.
const CODE_BYTES: usize = 2 << 20;
/// How often the limits are looked at.
const ROUND: Duration = Duration::from_millis(20);

/// How long a program may run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// CPUs of the machine.
    pub cpus: usize,
    /// Instructions of each CPU.
    pub instructions: u64,
    /// Time of the host.
    pub time: Duration,
    /// How instructions are executed.
    pub execution: Execution,
    /// The interrupt controller.
    pub gic: Gic,
    /// The System MMU, beside a GICv3.
    pub smmu: Smmu,
}

/// How instructions are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Execution {
    /// By the interpreter.
    #[default]
    Interpreted,
    /// Every block runs as host code, from its first time on, where there is a code generator for this host.
    HostCode,
    /// The same, compared with the interpreter.
    Lockstep,
}

impl Execution {
    /// Prepares a CPU.
    pub fn apply(self, vcpu: &mut Vcpu, code_bytes: usize) {
        if self != Self::Interpreted {
            vcpu.use_jit(code_bytes, 1);
        }
        if self == Self::Lockstep {
            vcpu.check_lockstep(vcpu.cpu.identity.index() as u64);
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpus: 2,
            instructions: 200_000_000_000,
            time: Duration::from_secs(60),
            execution: Execution::default(),
            gic: Gic::default(),
            smmu: Smmu::default(),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// PSCI SYSTEM_OFF.
    Off,
    /// PSCI SYSTEM_RESET.
    Reset,
    /// Host code and interpreter differ.
    Different,
    /// A limit was reached; the program counters of the CPUs.
    Limit([u64; CPUS]),
}

#[derive(Clone, Copy)]
enum Core {
    Off,
    Starting(Entry),
    On,
}

struct State {
    /// One for each CPU that is there.
    cores: Vec<Core>,
    /// The machine stops, for this reason.
    ending: Option<Ending>,
}

/// Power states of the CPUs and of the machine.
struct Power {
    state: Mutex<State>,
    changed: Condvar,
    bells: Vec<Arc<Doorbell>>,
}

impl Power {
    fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
        self.changed.notify_all();
        self.bells.iter().for_each(|b| b.ring(reason::CONTROL));
    }

    /// Runs a CPU whenever it is on, until the machine stops.
    fn run(&self, vcpu: &mut Vcpu) {
        let index = vcpu.cpu.identity.index();
        let mut s = self.state.lock();
        while s.ending.is_none() {
            match s.cores[index] {
                Core::Off => self.changed.wait(&mut s),
                Core::Starting(entry) => {
                    s.cores[index] = Core::On;
                    vcpu.cpu.reset(entry);
                    vcpu.reset_caches();
                }
                Core::On => {
                    drop(s);
                    vcpu.run();
                    if vcpu.has_difference() {
                        self.end(Ending::Different);
                    }
                    s = self.state.lock();
                }
            }
        }
    }
}

impl Machine for Power {
    fn cpu_on(&self, mpidr: u64, entry: u64, context_id: u64) -> Result<(), PsciError> {
        let mut s = self.state.lock();
        let core = usize::try_from(mpidr)
            .ok()
            .and_then(|i| s.cores.get_mut(i))
            .ok_or(PsciError::InvalidParameters)?;
        match core {
            Core::On => return Err(PsciError::AlreadyOn),
            Core::Starting(_) => return Err(PsciError::OnPending),
            Core::Off => *core = Core::Starting(Entry { pc: entry, x0: context_id }),
        }
        self.changed.notify_all();
        Ok(())
    }
    fn cpu_off(&self, index: usize) {
        self.state.lock().cores[index] = Core::Off;
        self.bells[index].ring(reason::CONTROL);
    }
    fn affinity_info(&self, mpidr: u64, _level: u32) -> Result<AffinityState, PsciError> {
        let s = self.state.lock();
        match usize::try_from(mpidr).ok().and_then(|i| s.cores.get(i)) {
            Some(Core::Off) => Ok(AffinityState::Off),
            Some(Core::Starting(_)) => Ok(AffinityState::OnPending),
            Some(Core::On) => Ok(AffinityState::On),
            None => Err(PsciError::InvalidParameters),
        }
    }
    fn system_off(&self) {
        self.end(Ending::Off);
    }
    fn system_reset(&self) {
        self.end(Ending::Reset);
    }
    fn send_event(&self) {
        self.bells.iter().for_each(|b| b.send_event());
    }
}

/// What a run leaves behind.
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// RAM, from [`layout::RAM`] on.
    pub ram: Ram,
    /// What lockstep reports.
    pub difference: Option<String>,
}

/// A machine of its own for each run.
struct Parts {
    ram: Ram,
    bus: Arc<Bus>,
    power: Arc<Power>,
    vcpus: Vec<Vcpu>,
    counters: Vec<Arc<Counters>>,
}

/// Puts a GICv3 on the bus; how the CPUs are connected to it, and SPIs.
fn gicv3(bus: &Arc<Bus>, bells: &[Arc<Doorbell>]) -> (Vec<GicConnection>, Arc<dyn IrqSink>) {
    let cpus = bells.len();
    let gic = Gicv3::new(GicConfig {
        cpus: &[0, 1, 2, 3][..cpus],
        spis: SPIS,
        its: true,
        bus: bus.clone(),
        counters: Arc::default(),
    })
    .expect("a GIC for a few CPUs");
    map(bus, layout::GICD, 0x1_0000, Backing::Mmio(gic.distributor()));
    if let Some(its) = gic.its() {
        map(bus, layout::ITS, ITS_SIZE, Backing::Mmio(its));
    }
    let frames = gic.redistributors(0, cpus).expect("one for each CPU");
    map(bus, layout::GICR, REDISTRIBUTOR_STRIDE * cpus as u64, Backing::Mmio(frames));
    let connect = |(index, bell): (usize, &Arc<Doorbell>)| {
        gic.set_kick(index, bell.clone());
        GicConnection::SystemRegisters(gic.port(index).expect("one for each CPU"))
    };
    (bells.iter().enumerate().map(connect).collect(), gic.spi_sink())
}

/// The same with a GICv2.
fn gicv2(bus: &Arc<Bus>, bells: &[Arc<Doorbell>]) -> Vec<GicConnection> {
    let config = gicv2::Config { cpus: bells.len(), spis: SPIS, counters: Arc::default() };
    let gic = Gicv2::new(config).expect("a GIC for a few CPUs");
    for (base, frame) in [
        (layout::GICD, gic.distributor()),
        (layout::GICC, gic.cpu_interfaces()),
        (layout::GICH, gic.virtual_control()),
        (layout::GICV, gic.virtual_interfaces()),
    ] {
        map(bus, base, gicv2::REGION_SIZE, Backing::Mmio(frame));
    }
    let connect = |(index, bell): (usize, &Arc<Doorbell>)| {
        gic.set_kick(index, bell.clone());
        GicConnection::Wires(gic.wires(index).expect("one for each CPU"))
    };
    bells.iter().enumerate().map(connect).collect()
}

fn map(bus: &Bus, base: u64, size: u64, backing: Backing) {
    bus.map(Pa(base), size, backing).expect("regions do not overlap");
}

fn build(model: Model, limits: &Limits) -> Parts {
    let Limits { cpus, gic, smmu, .. } = *limits;
    assert!((1..=CPUS).contains(&cpus), "a program has 1 to {CPUS} PEs");
    let ram = Ram::new();
    let bus = Arc::new(Bus::new());
    map(&bus, layout::RAM, layout::RAM_SIZE, Backing::Ram(ram.block(), 0));
    let shared = Arc::new(Shared::new(cpus));
    let flash =
        CfiFlash::new("flash", SECTOR, &[], Programming::Lost, &Arc::default()).expect("a blank sector");
    flash.attach(&bus, Pa(layout::FLASH)).expect("regions do not overlap");
    let clock = Clock::new(Mode::RealTime);
    clock.fire_timers().expect("the host can start a thread");
    let bells: Vec<Arc<Doorbell>> = (0..cpus).map(|_| Arc::default()).collect();
    let state = State { cores: vec![Core::Off; cpus], ending: None };
    let power = Arc::new(Power { state: Mutex::new(state), changed: Condvar::new(), bells: bells.clone() });
    let connections = match gic {
        Gic::V2 => gicv2(&bus, &bells),
        Gic::V3 => {
            let (connections, spis) = gicv3(&bus, &bells);
            smmu::build(
                smmu,
                &smmu::Around { bus: &bus, clock: &clock, spis: &spis, bells: &bells, shared: &shared },
            );
            connections
        }
    };
    let (model, mut vcpus, mut counters) = (Arc::new(model), Vec::new(), Vec::new());
    for (index, (bell, port)) in bells.into_iter().zip(connections).enumerate() {
        let own: Arc<Counters> = Arc::default();
        counters.push(own.clone());
        let cpu = Cpu::new(CpuConfig {
            model: model.clone(),
            levels: Levels::BASE.with(El::El2),
            index,
            counters: own,
            doorbell: bell,
            clock: clock.clone(),
            port,
            machine: power.clone(),
            bus: bus.clone(),
            shared: shared.clone(),
        });
        vcpus.push(Vcpu::new(cpu));
    }
    Parts { ram, bus, power, vcpus, counters }
}

/// Waits until the machine ends by itself, or ends it when a limit is reached.
fn watch(power: &Power, counters: &[Arc<Counters>], limits: Limits) {
    let deadline = Instant::now() + limits.time;
    loop {
        let mut s = power.state.lock();
        if s.ending.is_none() {
            power.changed.wait_for(&mut s, ROUND);
        }
        if s.ending.is_some() {
            return;
        }
        drop(s);
        let most = counters.iter().map(|c| c.get(Metric::Instructions)).max().unwrap_or(0);
        if most > limits.instructions || Instant::now() > deadline {
            return power.end(Ending::Limit([0; CPUS]));
        }
    }
}

/// Loads an image at [`layout::IMAGE`] and runs it from there, at EL2 of the first CPU.
#[must_use]
pub fn run(model: Model, image: &[u8], limits: Limits) -> Outcome {
    let Parts { ram, bus, power, mut vcpus, counters } = build(model, &limits);
    vcpus.iter_mut().for_each(|vcpu| limits.execution.apply(vcpu, CODE_BYTES));
    ram.write(layout::IMAGE - layout::RAM, image).expect("the image fits into RAM");
    power.state.lock().cores[0] = Core::Starting(Entry { pc: layout::IMAGE, x0: 0 });
    std::thread::scope(|scope| {
        for vcpu in &mut vcpus {
            let power = &power;
            scope.spawn(move || power.run(vcpu));
        }
        watch(&power, &counters, limits);
    });
    let ending = match power.state.lock().ending {
        Some(Ending::Limit(_)) | None => {
            Ending::Limit(std::array::from_fn(|i| vcpus.get(i).map_or(0, |vcpu| vcpu.cpu.regs.pc)))
        }
        Some(ending) => ending,
    };
    let difference = vcpus.iter_mut().find_map(Vcpu::take_difference);
    bus.clear();
    Outcome { ending, ram, difference }
}
