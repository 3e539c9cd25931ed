//! PCI Express: a root complex that describes itself as `pci-host-ecam-generic`, and what a function is made of.
//!
//! A function owns a [`FunctionCore`] (configuration space, BARs, MSI-X, its way to memory) and implements
//! [`PciFunction`] for what stands behind its BARs. [`PciHost`] gives it a place on a bus, its requester ID, a DMA port
//! for that ID and an INTx line, and decodes the configuration and memory windows.
//!
//! Functions stand in a tree (`tree`): the root bus, and a bus below each bridge. Where a function is plugged in never
//! changes ([`Position`]); its bus number, and with it its requester ID, is what software makes it ([`Bdf`]). What gets
//! through to it, and from it, is asked of all bridges above it ([`Forwarding`]).
//!
//! # Invariants
//! - A function reaches memory only through a [`MasterPort`], which is closed while bus mastering is disabled: the one behind
//!   the IOMMU, or, as virtio devices do whose drivers know of none, the one around it.
//! - The StreamID of that port is the requester ID, which is also the DeviceID of the MSIs it sends. It is made of the bus number
//!   that the last configuration write came with.
//! - Accesses of devices to the windows are refused: there is no peer-to-peer routing. A device can therefore never
//!   re-enter itself or another one through its own registers.

mod bridge;
mod capability;
mod config;
mod decode;
mod edu;
mod function;
mod host;
mod host_bridge;
mod intx;
mod iommu_test;
mod msi;
mod msix;
mod port;
mod root_port;
mod test_device;
#[cfg(test)]
mod tests;
mod tree;
mod window;

use std::fmt;

pub use bridge::{Bridge, Forwarding, Span};
pub use config::{CONFIG_SIZE, ConfigSpace, ConfigState, Identity, reg};
pub use edu::{DEFAULT_DMA_MASK, Edu};
pub(crate) use function::OTHER_FUNCTION;
pub use function::{
    BarKind, ConfigEffect, Decoded, FunctionBuilder, FunctionCore, FunctionState, PciFunction, Space,
};
pub use host::{PciError, PciHost, Placed, Taker};
pub use host_bridge::HostBridge;
pub use intx::IntxRouter;
pub use iommu_test::IommuTestDevice;
pub use msix::{Msix, MsixLayout, MsixState};
pub use port::MasterPort;
pub use root_port::{RootPort, RootPortOptions};
pub use test_device::TestDevice;
pub use tree::{BusId, Position};
pub use window::IO_WINDOW_SIZE;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] = &[
    &config::HEADER,
    &bridge::HEADER,
    &root_port::EXPRESS,
    &capability::MSI,
    &capability::MSIX,
    &capability::EXPRESS,
    &msix::TABLE,
    &msix::PENDING,
    &edu::MAP,
    &iommu_test::MAP,
    &test_device::MAP,
];

/// Bytes of the ECAM window: 256 buses of 1 MiB.
pub const ECAM_SIZE: u64 = 256 << 20;

/// Where a function is: bus, device, function (PCIe 6.0, 2.2.4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bdf(pub u16);

impl Bdf {
    /// The function `function` (0..=7) of `device` (0..=31) on `bus`; higher bits are dropped.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        Self((bus as u16) << 8 | ((device & 31) as u16) << 3 | (function & 7) as u16)
    }
    /// The bus.
    #[must_use]
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }
    /// The device, often called slot.
    #[must_use]
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 31
    }
    /// The function.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
    /// The requester ID.
    #[must_use]
    pub const fn requester_id(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}
