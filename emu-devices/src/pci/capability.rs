//! Capabilities (PCI 3.0, 6.7): the registers that each contributes to configuration space. A map's window is the size of the
//! capability.

use emu_core::registers::{Map, Row, byte, half, word};

/// Offset of Device Control in the PCI Express capability.
pub(super) const EXPRESS_DEVICE_CONTROL: u16 = 8;
/// Device Control: initiate a function level reset.
pub(super) const INITIATE_FLR: u16 = 1 << 15;
/// Offset of Message Control in the MSI-X capability.
pub(super) const MSIX_CONTROL: u16 = 2;

/// Offset of Message Control in the MSI capability.
pub(super) const MSI_CONTROL: u16 = 2;
/// Message Control: MSI is enabled.
pub(super) const MSI_ENABLE: u16 = 1;
/// Offset of Message Address in the MSI capability.
pub(super) const MSI_ADDRESS: u16 = 4;
/// Offset of its upper half.
pub(super) const MSI_UPPER_ADDRESS: u16 = 8;
/// Offset of Message Data.
pub(super) const MSI_DATA: u16 = 12;

/// Capability ID, the first byte of each capability.
const fn id<R: Copy>(value: u64, reg: R) -> Row<R> {
    byte("Capability ID", 0, reg).read_only(0xff).reset(value)
}

/// Where the next capability is.
const fn next<R: Copy>(reg: R) -> Row<R> {
    byte("Next Capability", 1, reg).read_only(0xff)
}

/// Registers of the MSI-X capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MsixCapability {
    Id,
    Next,
    Control,
    Table,
    PendingBits,
}

/// The MSI-X capability (PCIe 6.0, 7.7.2).
pub(super) static MSIX: Map<MsixCapability> = Map {
    specification: "PCIe 6.0, 7.7.2 (MSI-X capability)",
    window: 12,
    rows: &[
        id(0x11, MsixCapability::Id),
        next(MsixCapability::Next),
        // Table size minus one; function mask and enable are writable.
        half("Message Control", MSIX_CONTROL as u32, MsixCapability::Control).writes(0xc000).varies(),
        word("Table Offset/BIR", 4, MsixCapability::Table).read_only(0xffff_ffff).varies(),
        word("PBA Offset/BIR", 8, MsixCapability::PendingBits).read_only(0xffff_ffff).varies(),
    ],
};

/// Registers of the MSI capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MsiCapability {
    Id,
    Next,
    Control,
    Address,
    UpperAddress,
    Data,
}

/// The MSI capability with a 64-bit address, one vector and no mask (PCI 3.0, 6.8.1).
pub(super) static MSI: Map<MsiCapability> = Map {
    specification: "PCI 3.0, 6.8.1 (MSI capability)",
    window: 14,
    rows: &[
        id(0x05, MsiCapability::Id),
        next(MsiCapability::Next),
        // 64-bit addresses; enable is writable. With one vector there is nothing to choose in Multiple Message Enable.
        half("MSI Message Control", MSI_CONTROL as u32, MsiCapability::Control).writes(0x01).reset(0x80),
        word("MSI Message Address", MSI_ADDRESS as u32, MsiCapability::Address).bits(0xffff_fffc),
        word("MSI Message Upper Address", MSI_UPPER_ADDRESS as u32, MsiCapability::UpperAddress),
        half("MSI Message Data", MSI_DATA as u32, MsiCapability::Data),
    ],
};

/// Registers of the PCI Express capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ExpressCapability {
    Id,
    Next,
    Capabilities,
    DeviceCapabilities,
    DeviceControl,
    DeviceStatus,
    LinkCapabilities,
    LinkControl,
    LinkStatus,
}

/// What differs in an endpoint that is at the end of a link: device/port type 0; 2.5 GT/s, one lane, without power management,
/// and said so (Link Capabilities 22); and the same in Link Status.
pub(super) const END_OF_LINK: [(u16, &[u8]); 3] =
    [(2, &[0x02, 0x00]), (12, &[0x11, 0x00, 0x40, 0x00]), (18, &[0x11, 0x00])];

/// The PCI Express capability, version 2, of a root complex integrated endpoint with function level reset (PCIe 6.0, 7.5.3).
pub(super) static EXPRESS: Map<ExpressCapability> = Map {
    specification: "PCIe 6.0, 7.5.3 (PCI Express capability)",
    window: 0x3c,
    rows: &[
        id(0x10, ExpressCapability::Id),
        next(ExpressCapability::Next),
        // Version 2, device/port type 9: root complex integrated endpoint.
        half("PCI Express Capabilities", 2, ExpressCapability::Capabilities).read_only(0xffff).reset(0x0092),
        // 128-byte payload, role-based error reporting, function level reset.
        word("Device Capabilities", 4, ExpressCapability::DeviceCapabilities)
            .read_only(0xffff_ffff)
            .reset(1 << 15 | 1 << 28),
        // Relaxed ordering, no snoop, 512-byte read requests after reset. Initiating a reset reads as zero.
        half("Device Control", EXPRESS_DEVICE_CONTROL as u32, ExpressCapability::DeviceControl)
            .writes(0x78ff)
            .reset(0x2810),
        // Errors.
        half("Device Status", 10, ExpressCapability::DeviceStatus).read_only(0xffff).cleared_by_one(0x0f),
        // There is no link, but for those that END_OF_LINK is about.
        word("Link Capabilities", 12, ExpressCapability::LinkCapabilities).read_only(0xffff_ffff),
        half("Link Control", 16, ExpressCapability::LinkControl).read_only(0xffff),
        half("Link Status", 18, ExpressCapability::LinkStatus).read_only(0xffff),
    ],
};
