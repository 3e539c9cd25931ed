//! What of a board is no device, as components: RAM, and the CPUs.

use std::sync::Arc;

use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, Runs, SavedState, Source};
use emu_core::ram::GuestRam;
use emu_pe::cpu::Entry;
use serde::{Deserialize, Serialize};

use crate::power::SharedVcpu;

/// The machine's RAM.
pub(super) struct Ram(pub(super) &'static GuestRam);

/// What is saved beside the bytes.
#[derive(Serialize, Deserialize)]
struct Written {
    size: u64,
    /// Which pages are not all zeros.
    pages: Runs,
}

impl SavedState for Written {
    const KIND: &'static str = "ram";
    const VERSION: u32 = 1;
}

/// What the bytes are called in a saved state.
const BYTES: &str = "bytes";

impl Component for Ram {
    fn name(&self) -> &str {
        "ram"
    }

    /// It keeps its contents; what was loaded is loaded again by who loaded it.
    fn reset(&self) {}

    fn save(&self) -> Payload {
        let (pages, bytes) = Runs::save(self.0, 0);
        Payload::new(self.name(), &Written { size: self.0.size(), pages }).blob(BYTES, bytes)
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Written { size, pages } = saved.state()?;
        let bytes = saved.blob(BYTES)?;
        if size != self.0.size() {
            return Err(saved.unfit(format!("it has {size} bytes, this machine {}", self.0.size())));
        }
        if !pages.fits(self.0, &bytes) {
            return Err(saved.unfit("its pages are not those of a RAM of this size"));
        }
        Ok(Restore::new(move || pages.apply(self.0, 0, &bytes)))
    }
}

/// A CPU. When it runs is a matter of [`crate::power::Power`]; here it is still.
pub(super) struct CpuPart {
    name: String,
    vcpu: SharedVcpu,
}

impl CpuPart {
    pub(super) fn new(vcpu: &SharedVcpu) -> Arc<Self> {
        Arc::new(Self { name: vcpu.lock().cpu.component(), vcpu: vcpu.clone() })
    }
}

impl Component for CpuPart {
    fn name(&self) -> &str {
        &self.name
    }

    /// Where it starts is said when it is turned on.
    fn reset(&self) {
        let mut vcpu = self.vcpu.lock();
        vcpu.cpu.reset(Entry::default());
        vcpu.reset_caches();
    }

    fn save(&self) -> Payload {
        self.vcpu.lock().cpu.save()
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state = self.vcpu.lock().cpu.check_saved(saved)?;
        Ok(Restore::new(move || {
            let mut vcpu = self.vcpu.lock();
            vcpu.cpu.apply_saved(state);
            vcpu.reset_caches();
        }))
    }
}
