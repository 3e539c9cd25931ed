//! A PE by itself, and what stands for the machine around it.

use std::sync::Arc;

use emu_a64::level::{El, Levels};
use emu_core::bus::Bus;
use emu_core::clock::{Clock, Mode};
use emu_core::irq::{GicConnection, GicPort, Pending, Sgi};
use emu_pe::cpu::CpuConfig;
use emu_pe::doorbell::{Doorbell, reason};
use emu_pe::mem::shared::Shared;
use emu_pe::model::Model;
use emu_pe::psci::{AffinityState, Machine, PsciError};

/// A machine with one PE, which stops when the machine is to be switched off.
pub struct Alone(pub Arc<Doorbell>);

impl Machine for Alone {
    fn cpu_on(&self, mpidr: u64, _: u64, _: u64) -> Result<(), PsciError> {
        Err(if mpidr == 0 { PsciError::AlreadyOn } else { PsciError::InvalidParameters })
    }
    fn cpu_off(&self, _: usize) {
        self.0.ring(reason::CONTROL);
    }
    fn affinity_info(&self, _: u64, _: u32) -> Result<AffinityState, PsciError> {
        Ok(AffinityState::On)
    }
    fn system_off(&self) {
        self.0.ring(reason::CONTROL);
    }
    fn system_reset(&self) {
        self.0.ring(reason::CONTROL);
    }
    fn send_event(&self) {
        self.0.send_event();
    }
}

/// A redistributor in which nothing is ever pending.
pub struct NoInterrupts;

impl GicPort for NoInterrupts {
    fn highest_pending(&self) -> Option<Pending> {
        None
    }
    fn acknowledge(&self, _: u32) -> bool {
        false
    }
    fn deactivate(&self, _: u32) {}
    fn send_sgi(&self, _: Sgi) {}
    fn set_ppi(&self, _: u32, _: bool) {}
    fn set_group_enables(&self, _: bool, _: bool) {}
}

/// A PE with EL2 that is wired to memory, and to nothing else; time is counted.
#[must_use]
pub fn alone(model: Model, bus: Arc<Bus>) -> CpuConfig {
    let doorbell = Arc::<Doorbell>::default();
    CpuConfig {
        model: Arc::new(model),
        levels: Levels::BASE.with(El::El2),
        index: 0,
        counters: Arc::default(),
        clock: Clock::new(Mode::Counted),
        port: GicConnection::SystemRegisters(Arc::new(NoInterrupts)),
        machine: Arc::new(Alone(doorbell.clone())),
        doorbell,
        bus,
        shared: Arc::new(Shared::new(1)),
    }
}
