//! The HBA as a PCI function.

use std::io;
use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::clock::Clock;
use emu_core::dma::{DmaClient, StallTag, Stalls};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::Counters;
use emu_core::registers::Listed;
use serde::{Deserialize, Serialize};

use super::Disks;
use super::hba::{Hba, HbaState, Parts};
use super::registers::WINDOW;
use crate::pci::{
    BarKind, FunctionBuilder, FunctionCore, FunctionState, Identity, OTHER_FUNCTION, PciFunction,
};

/// An ICH9's SATA controller in AHCI mode.
const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x2922,
    class: 0x01_0601,
    revision: 2,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
};

/// The BAR of the registers (AHCI 1.3.1, 2.1.11).
const ABAR: u8 = 5;

/// See the module's head.
pub struct AhciFunction {
    name: String,
    core: Arc<FunctionCore>,
    hba: Arc<Hba>,
    this: Weak<Self>,
}

impl AhciFunction {
    /// An HBA with these disks.
    #[must_use]
    pub fn new(name: &str, disks: Disks, clock: &Arc<Clock>, counters: &Arc<Counters>) -> Arc<Self> {
        let builder = FunctionBuilder::new(IDENTITY).bar(ABAR, BarKind::Memory32, WINDOW);
        let core = Arc::new(builder.msi().intx_pin(1).build(counters));
        let wire = core.clone();
        let interrupt = move |level: bool, news: bool| {
            let message = wire.msi_enabled();
            wire.set_intx(level && !message);
            if news && message {
                wire.raise_msi();
            }
        };
        let memory = core.port().clone();
        let interrupt = Box::new(interrupt);
        let hba = Hba::new(Parts { name, disks, memory, interrupt, clock, counters });
        Arc::new_cyclic(|this| Self { name: name.to_owned(), core, hba, this: this.clone() })
    }
}

impl PciFunction for AhciFunction {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Notify(self.this.clone())
    }
    fn bar_read(&self, _: u8, offset: u64, size: Size) -> u64 {
        self.hba.read(offset, size)
    }
    fn bar_write(&self, _: u8, offset: u64, size: Size, value: u64) {
        self.hba.write(offset, size, value);
    }
    fn bar_registers(&self, bar: u8) -> Vec<Listed> {
        if bar == ABAR { self.hba.list() } else { Vec::new() }
    }
}

impl DmaClient for AhciFunction {
    fn resume(&self, tag: StallTag, retry: bool) {
        if !self.core.resume_message(tag, retry) {
            self.hba.resume_transaction(tag, retry);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    function: FunctionState,
    hba: HbaState,
}

impl SavedState for State {
    const KIND: &'static str = "ich9-ahci";
    const VERSION: u32 = 1;
}

impl Component for AhciFunction {
    fn name(&self) -> &str {
        &self.name
    }
    fn reset(&self) {
        self.hba.power_on();
        self.core.set_intx(false);
        self.core.reset();
    }
    fn start(&self) -> io::Result<()> {
        self.hba.turns().start(&self.name)
    }
    fn pause(&self) {
        self.hba.turns().pause();
        self.hba.drain();
    }
    fn resume(&self) {
        self.core.send_pending();
        self.hba.turns().resume();
    }
    fn halt(&self) {
        self.hba.halt();
    }
    fn save(&self) -> Payload {
        Payload::new(&self.name, &State { function: self.core.save(), hba: self.hba.save() })
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { function, hba } = saved.state()?;
        if !self.core.fits(&function) || !self.hba.fits(&hba) {
            return Err(saved.unfit(OTHER_FUNCTION));
        }
        Ok(Restore::new(move || {
            self.core.restore(&function);
            self.hba.restore(hba);
        }))
    }
}
