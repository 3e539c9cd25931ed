//! The devices that a machine has beside its board's own, and where they are plugged in.

pub use emu_devices::virtio::Interfaces;

use super::{ConsolePorts, Disk, HostFile};

/// The transport of a virtio device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VirtioBus {
    /// A function of the PCIe root bus, in this slot or in the first free one.
    Pci {
        /// Device number, 1 to 31.
        slot: Option<u8>,
        /// What drivers it is for.
        interfaces: Interfaces,
    },
    /// One of the board's virtio-mmio transports.
    Mmio {
        /// Its number, or else the last free one.
        transport: Option<u8>,
    },
}

impl VirtioBus {
    /// The first free slot, for drivers of today.
    pub const PCI: Self = Self::Pci { slot: None, interfaces: Interfaces::Modern };
}

/// What a device does: virtio, unless it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceKind {
    /// virtio-blk.
    Block(Disk),
    /// virtio-blk with these contents in memory, which are gone at the end.
    MemoryBlock(Vec<u8>),
    /// virtio-rng, with the bytes of this file of the host, or else of the host's own generator.
    Entropy(Option<HostFile>),
    /// virtio-console.
    Console(ConsolePorts),
    /// A PCI function, not virtio, that asks a guest for accesses and counts them.
    PciTest,
}

/// One virtio device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What it does.
    pub kind: DeviceKind,
    /// Where it is.
    pub bus: VirtioBus,
    /// It offers VIRTIO_F_ACCESS_PLATFORM: its addresses are what the platform's IOMMU translates.
    pub access_platform: bool,
}
