//! What leads from a PE to the rest of the machine, and from there to it, beside memory and interrupts.

use std::sync::Arc;

use crate::cpu::CpuConfig;
use crate::doorbell::{Doorbell, reason};
use crate::psci::Machine;
use crate::semihosting::Semihosting;

/// See the module's head.
pub struct Wires {
    doorbell: Arc<Doorbell>,
    machine: Arc<dyn Machine>,
    semihosting: Option<Arc<dyn Semihosting>>,
}

impl Wires {
    pub(crate) fn new(config: &CpuConfig) -> Self {
        Self { doorbell: config.doorbell.clone(), machine: config.machine.clone(), semihosting: None }
    }

    /// What others ring to get the attention of the PE.
    #[inline]
    #[must_use]
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Somebody wants the PE to stop.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.doorbell.is_rung_for(reason::CONTROL)
    }

    /// Who answers PSCI's calls.
    pub(crate) fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// Who serves semihosting calls. Without anybody, HLT is UNDEFINED.
    pub(crate) fn semihosting(&self) -> Option<&Arc<dyn Semihosting>> {
        self.semihosting.as_ref()
    }

    /// Semihosting calls are served by `server` from now on.
    pub fn serve_semihosting(&mut self, server: Arc<dyn Semihosting>) {
        self.semihosting = Some(server);
    }
}
