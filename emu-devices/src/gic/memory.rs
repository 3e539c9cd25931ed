//! How the redistributors and the ITS reach their tables in guest memory.
//!
//! Invariant: only RAM. A table that software placed over registers (the GIC's own, say) is not there: reads and
//! writes of it fail. So no table access can come back into the GIC, and locks may be held across it. The GIC's
//! table accesses do not pass an SMMU (IHI 0069, 6.1): they are physical.

use std::sync::Arc;

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::dma::WriteObserver;
use emu_core::ram::GuestRam;

/// Physical memory that holds tables.
pub(super) struct TableMemory {
    bus: Arc<Bus>,
    observer: Option<Arc<dyn WriteObserver>>,
}

impl TableMemory {
    pub(super) fn new(bus: Arc<Bus>, observer: Option<Arc<dyn WriteObserver>>) -> Self {
        Self { bus, observer }
    }

    /// The RAM that holds all of `pa .. pa + len`, and the offset there.
    fn ram(&self, pa: u64, len: u64) -> Option<(&'static GuestRam, u64)> {
        let view = self.bus.view();
        let region = view.find(Pa(pa))?;
        let offset = pa - region.base.0;
        match region.backing {
            Backing::Ram(ram, o) if len <= region.size - offset => Some((ram, o + offset)),
            _ => None,
        }
    }

    /// One byte.
    pub(super) fn read_u8(&self, pa: u64) -> Option<u8> {
        let (ram, o) = self.ram(pa, 1)?;
        ram.load_u8(o)
    }

    /// One aligned doubleword.
    pub(super) fn read_u64(&self, pa: u64) -> Option<u64> {
        let (ram, o) = self.ram(pa, 8)?;
        ram.load_u64(o)
    }

    /// Writes one aligned doubleword.
    pub(super) fn write_u64(&self, pa: u64, value: u64) -> Option<()> {
        let (ram, o) = self.ram(pa, 8)?;
        ram.store_u64(o, value)?;
        self.tell(pa, 8);
        Some(())
    }

    /// Many bytes.
    pub(super) fn read(&self, pa: u64, out: &mut [u8]) -> Option<()> {
        let (ram, o) = self.ram(pa, out.len() as u64)?;
        ram.read(o, out)
    }

    /// Writes many bytes.
    pub(super) fn write(&self, pa: u64, bytes: &[u8]) -> Option<()> {
        let (ram, o) = self.ram(pa, bytes.len() as u64)?;
        ram.write(o, bytes)?;
        self.tell(pa, bytes.len() as u64);
        Some(())
    }

    fn tell(&self, pa: u64, len: u64) {
        if let Some(o) = &self.observer {
            o.wrote(Pa(pa), len);
        }
    }
}
