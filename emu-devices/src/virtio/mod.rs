//! Virtio 1.2: split virtqueues, the MMIO and PCI transports, and the devices behind them.
//!
//! A [`VirtioDevice`] executes requests, one or several of a queue at a time; [`VirtioCore`] does everything that all devices share: feature
//! negotiation, queues, the worker thread, reset, stalls, save and restore. [`VirtioMmio`] and [`VirtioPci`] are two
//! register layouts over it, [`Interfaces`] which of them speak the legacy interface of the drafts before virtio 1.0.
//! That one is in the byte order of the guest, which is little-endian here.
//!
//! # Invariants
//! - Rings and buffers are reached only through the device's DMA port.
//! - A queue's state is two indices and the names of the requests between them, which are in flight: a snapshot needs nothing
//!   else. A request stays where it is while its DMA stalls, or the host works for it, and goes on from there
//!   ([`emu_core::dma::Task`]), whatever becomes of others in the queue. When the machine pauses, the host has ended what it was
//!   asked for; what is in flight when it is saved begins again after the restore.
//! - After a reset nothing happens for a request that was in flight: not in memory, and not on a disk.
//! - Whatever the driver puts into a ring, the work for it is bounded, and who waits for the device does not wait for all
//!   of a long request: that one stands still meanwhile. Nonsense stops the device with
//!   DEVICE_NEEDS_RESET and is counted as an anomaly.
//! - Locks are taken in the order `live`, `regs`, `stalls`; register accesses that only look at `regs` never wait for
//!   disk I/O.

mod blk;
mod chain;
mod console;
mod core;
mod device;
mod memory;
mod mmio;
mod net;
mod pci;
mod queue;
mod rng;
#[cfg(test)]
mod tests;

pub use blk::{Blk, BlkOptions};
pub use chain::Chain;
pub use console::{Console, ConsoleBackend, MAX_PORTS, PortOptions, RoomCallback as ConsoleRoom};
pub use core::{DeviceHandle, Interfaces, VirtioCore, VirtioOptions};
pub use device::{DeviceKind, Placement, QueueFault, Request, VirtioDevice};
pub use memory::{GuestMemory, Rings};
pub use mmio::{MMIO_SIZE, VirtioMmio};
pub use net::Net;
pub use pci::VirtioPci;
pub use queue::{Queue, QueueConfig};
pub use rng::{EntropySource, Rng, SeededEntropy};

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] = &[
    &mmio::MAP,
    &pci::STRUCTURE_MAP,
    &pci::LEGACY_MAP,
    &pci::CAPABILITY,
    &pci::NOTIFY_CAPABILITY,
    &pci::ACCESS_CAPABILITY,
];

/// Bits of the device status field (virtio 1.2, 2.1).
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The guest has a driver for it.
    pub const DRIVER: u8 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u8 = 4;
    /// Feature negotiation is complete.
    pub const FEATURES_OK: u8 = 8;
    /// The device has met an error from which only a reset recovers.
    pub const NEEDS_RESET: u8 = 64;
    /// The driver has given up.
    pub const FAILED: u8 = 128;
}

/// Feature bits that do not belong to a device type (virtio 1.2, 6).
pub mod feature {
    /// The bits of the legacy interface.
    pub const LEGACY: u64 = 0xffff_ffff;
    /// Requests may be cut into buffers in any way; only the legacy interface says so, all others may.
    pub const ANY_LAYOUT: u64 = 1 << 27;
    /// Descriptors may refer to tables of descriptors.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// `used_event` and `avail_event` tell when to notify.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// Not a legacy device.
    pub const VERSION_1: u64 = 1 << 32;
    /// Addresses are what the platform's IOMMU translates.
    pub const ACCESS_PLATFORM: u64 = 1 << 33;
    /// A single queue can be reset.
    pub const RING_RESET: u64 = 1 << 40;
}
