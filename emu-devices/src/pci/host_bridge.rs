//! The host bridge's own function, 00:00.0.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::dma::Stalls;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use serde::{Deserialize, Serialize};

use super::{FunctionBuilder, FunctionCore, FunctionState, Identity, OTHER_FUNCTION, PciFunction};

/// The identity of the generic PCI Express host bridge that guests know from other machines.
const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x0008,
    class: 0x06_0000,
    revision: 0,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
}

impl SavedState for State {
    const KIND: &'static str = "pcie-host-bridge";
    const VERSION: u32 = 1;
}

/// A host bridge that does nothing but be there.
pub struct HostBridge {
    core: FunctionCore,
}

impl HostBridge {
    /// The function.
    #[must_use]
    pub fn new(counters: &Arc<Counters>) -> Self {
        Self { core: FunctionBuilder::new(IDENTITY).build(counters) }
    }
}

impl PciFunction for HostBridge {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Never
    }
    fn bar_read(&self, _: u8, _: u64, size: Size) -> u64 {
        size.mask()
    }
    fn bar_write(&self, _: u8, _: u64, _: Size, _: u64) {}
}

impl Component for HostBridge {
    fn name(&self) -> &str {
        "pcie-host-bridge"
    }
    fn reset(&self) {
        self.core.reset();
    }
    fn save(&self) -> Payload {
        Payload::new(self.name(), &State { function: self.core.save() })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function } = saved.state()?;
        if !self.core.fits(&function) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || self.core.restore(&function)))
    }
}
