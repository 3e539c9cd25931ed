//! The windows through which CPUs see configuration space, memory space and I/O space.

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};

use super::{Bdf, FunctionCore, PciHost, Space};

/// Bytes of the window onto PCI's I/O space.
pub const IO_WINDOW_SIZE: u64 = 64 << 10;

pub(super) struct Ecam(pub(super) Arc<PciHost>);

impl Ecam {
    fn decode(offset: u64) -> (Bdf, u16) {
        (Bdf((offset >> 12) as u16), (offset & 0xfff) as u16)
    }
}

impl MmioDevice for Ecam {
    fn name(&self) -> &str {
        "pcie-ecam"
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let (bdf, at) = Self::decode(offset);
        let read = |at, size| u64::from(self.0.config_read(bdf, at, size));
        Ok(match size {
            Size::B8 => read(at, Size::B4) | read(at.wrapping_add(4), Size::B4) << 32,
            _ => read(at, size),
        })
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let (bdf, at) = Self::decode(offset);
        match size {
            Size::B8 => {
                self.0.config_write(bdf, at, Size::B4, value as u32);
                self.0.config_write(bdf, at.wrapping_add(4), Size::B4, (value >> 32) as u32);
            }
            _ => self.0.config_write(bdf, at, size, value as u32),
        }
        Ok(())
    }

    /// Behind it are functions that would wait for themselves.
    fn cpu_only(&self) -> bool {
        true
    }
}

pub(super) struct Window {
    pub(super) host: Arc<PciHost>,
    pub(super) name: String,
    pub(super) space: Space,
    pub(super) pci_base: u64,
}

impl MmioDevice for Window {
    fn name(&self) -> &str {
        &self.name
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let found = self.host.find(self.space, self.pci_base.wrapping_add(offset));
        // Nobody answers: the root complex returns all ones (PCIe 6.0, 2.3.2).
        let Some((f, bar, at)) = found else { return Ok(size.mask()) };
        let core: &FunctionCore = f.core();
        Ok(core.msix_read(bar, at, size).unwrap_or_else(|| f.bar_read(bar, at, size)) & size.mask())
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        if let Some((f, bar, at)) = self.host.find(self.space, self.pci_base.wrapping_add(offset))
            && !f.core().msix_write(bar, at, size, value)
        {
            f.bar_write(bar, at, size, value);
        }
        Ok(())
    }

    /// Behind it are functions that would wait for themselves.
    fn cpu_only(&self) -> bool {
        true
    }
}
