//! The GICv2 (Arm IHI 0048B): distributor, CPU interfaces, and virtual CPU interfaces with their control.
//!
//! There are no Security Extensions: one Security state, in which both interrupt groups can be used, and registers are
//! as a Secure access of an implementation with the extensions sees them. Priorities have 5 bits, as many as a list
//! register holds. SGIs cannot be disabled.
//!
//! Unlike with a GICv3, the CPU interfaces are registers in memory, so they are here; a PE has four wires of it
//! ([`GicWires`]). Who makes an access of a banked register comes with the access.
//!
//! # Invariants
//! - All state is behind one lock: at most eight PEs ask for it, for some hundred instructions each.
//! - Every change goes through [`Gicv2::change`], which finds again what is signalled to each PE, publishes that in an
//!   atomic, and kicks those PEs for which it differs. The kick comes after the lock is released.

mod distributor;
mod frame;
mod hypervisor;
mod interface;
mod physical;
mod port;
mod regs;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::irq::{GicWires, IrqSink, Kick, Signals, ppi};
use emu_core::metrics::{Counters, Metric};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::gic::MAX_SPIS;
use distributor::Distributor;
use frame::Frame;
use hypervisor::Hypervisor;
use interface::Interface;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] =
    &[&regs::DISTRIBUTOR, &regs::CPU_INTERFACE, &regs::VIRTUAL_INTERFACE, &regs::VIRTUAL_CONTROL];

/// Most PEs that one GICv2 serves (1.2.1).
pub const MAX_CPUS: usize = 8;
/// Bytes of each of the four regions; registers take the first 4 KiB of it, and the first 8 KiB of the CPU interfaces.
pub const REGION_SIZE: u64 = 0x1_0000;

/// What a GIC is made from.
pub struct Config {
    /// Number of PEs.
    pub cpus: usize,
    /// Number of SPIs: a multiple of 32, at most [`MAX_SPIS`].
    pub spis: u32,
    /// What it counts on.
    pub counters: Arc<Counters>,
}

/// A GIC that cannot be built.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Too few or too many PEs.
    #[error("a GICv2 serves 1 to {MAX_CPUS} CPUs, not {0}")]
    Cpus(usize),
    /// A number of SPIs that is not possible.
    #[error("a GICv2 has SPIs in multiples of 32, at most {MAX_SPIS}, not {0}")]
    Spis(u32),
}

/// What belongs to one PE beside its SGIs and PPIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cpu {
    interface: Interface,
    hypervisor: Hypervisor,
}

/// All that a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    distributor: Distributor,
    cpus: Vec<Cpu>,
}

/// What one PE sees of the GIC without its registers.
struct Outlet {
    /// The wires, packed by [`pack`].
    signals: AtomicU8,
    kick: RwLock<Option<Arc<dyn Kick>>>,
}

/// The interrupt controller. Its parts are handed out as bus devices and wires.
pub struct Gicv2 {
    state: Mutex<State>,
    outlets: Vec<Outlet>,
    counters: Arc<Counters>,
}

fn pack(s: Signals) -> u8 {
    u8::from(s.irq) | u8::from(s.fiq) << 1 | u8::from(s.virq) << 2 | u8::from(s.vfiq) << 3
}

fn unpack(bits: u8) -> Signals {
    Signals { irq: bits & 1 != 0, fiq: bits & 2 != 0, virq: bits & 4 != 0, vfiq: bits & 8 != 0 }
}

impl Gicv2 {
    /// A GIC in its state after power-on.
    pub fn new(config: Config) -> Result<Arc<Self>, ConfigError> {
        let Config { cpus, spis, counters } = config;
        if !(1..=MAX_CPUS).contains(&cpus) {
            return Err(ConfigError::Cpus(cpus));
        }
        if !spis.is_multiple_of(32) || spis > MAX_SPIS {
            return Err(ConfigError::Spis(spis));
        }
        let outlet = || Outlet { signals: AtomicU8::new(0), kick: RwLock::new(None) };
        let state = State { distributor: Distributor::new(cpus, spis), cpus: vec![Cpu::default(); cpus] };
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            outlets: (0..cpus).map(|_| outlet()).collect(),
            counters,
        }))
    }

    /// Number of PEs.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.outlets.len()
    }

    /// Gives the GIC the vCPU to kick when what is signalled to `cpu` changes.
    pub fn set_kick(&self, cpu: usize, kick: Arc<dyn Kick>) {
        if let Some(outlet) = self.outlets.get(cpu) {
            *outlet.kick.write() = Some(kick);
        }
    }

    /// The wires of one PE. None if there is no such PE.
    #[must_use]
    pub fn wires(self: &Arc<Self>, cpu: usize) -> Option<Arc<dyn GicWires>> {
        (cpu < self.cpus()).then(|| Arc::new(port::Wires::new(self.clone(), cpu)) as Arc<dyn GicWires>)
    }

    /// The SPI wires: line n is INTID 32 + n.
    #[must_use]
    pub fn spi_sink(self: &Arc<Self>) -> Arc<dyn IrqSink> {
        Arc::new(port::SpiWires::new(self.clone()))
    }

    /// The distributor (GICD).
    #[must_use]
    pub fn distributor(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Frame::<distributor::Registers>::new(self.clone()))
    }

    /// The CPU interfaces (GICC), banked.
    #[must_use]
    pub fn cpu_interfaces(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Frame::<physical::Registers>::new(self.clone()))
    }

    /// The control of the virtual CPU interfaces (GICH), banked.
    #[must_use]
    pub fn virtual_control(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Frame::<hypervisor::ControlRegisters>::new(self.clone()))
    }

    /// The virtual CPU interfaces (GICV), banked.
    #[must_use]
    pub fn virtual_interfaces(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Frame::<hypervisor::InterfaceRegisters>::new(self.clone()))
    }

    /// Changes anything.
    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut changed = [false; MAX_CPUS];
        let result = {
            let mut state = self.state.lock();
            let result = f(&mut state);
            state.drive_maintenance();
            for (n, outlet) in self.outlets.iter().enumerate() {
                let new = pack(state.signals(n));
                changed[n] = outlet.signals.swap(new, SeqCst) != new;
            }
            result
        };
        for (outlet, _) in self.outlets.iter().zip(changed).filter(|(_, changed)| *changed) {
            let kick = outlet.kick.read().clone();
            if let Some(k) = kick {
                k.kick();
            }
        }
        result
    }

    /// The PE that makes an access: the registers are banked by it, and only PEs have any business here.
    fn accessor(&self, from: Requester) -> Result<usize, BusFault> {
        match from {
            Requester::Cpu(n) if (n as usize) < self.cpus() => Ok(n as usize),
            _ => Err(BusFault::Refused),
        }
    }

    /// Counts what no sane guest does.
    fn anomaly(&self, what: &str, detail: u64) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: "gic", detail = format_args!("{detail:#x}"), "{what}");
    }
}

impl State {
    /// The maintenance interrupts follow from the list registers.
    fn drive_maintenance(&mut self) {
        for (n, cpu) in self.cpus.iter().enumerate() {
            self.distributor.set_ppi(n, ppi::MAINTENANCE, cpu.hypervisor.maintenance());
        }
    }

    /// What is signalled to a PE now.
    fn signals(&self, cpu: usize) -> Signals {
        let (irq, fiq) = self.cpus[cpu].interface.wires(self.taken(cpu).map(|p| p.group));
        let hypervisor = &self.cpus[cpu].hypervisor;
        let (virq, vfiq) = hypervisor.interface.wires(hypervisor.signalled());
        Signals { irq, fiq, virq, vfiq }
    }
}
