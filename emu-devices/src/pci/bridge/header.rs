//! The registers of the type 1 header.

use emu_core::registers::{Map, byte, half, word};

use super::super::config::reg as common;
use super::super::{ConfigSpace, Identity};

/// Offsets and bits of the type 1 header (PCIe 6.0, 7.5.1.3).
pub(crate) mod reg {
    /// The number of the bus above; nothing in PCI Express asks for it.
    pub(crate) const PRIMARY_BUS: u16 = 0x18;
    /// The number of the bus below.
    pub(crate) const SECONDARY_BUS: u16 = 0x19;
    /// The greatest number of a bus below.
    pub(crate) const SUBORDINATE_BUS: u16 = 0x1a;
    /// First ports of the I/O window.
    pub(crate) const IO_BASE: u16 = 0x1c;
    /// Its last ports.
    pub(crate) const IO_LIMIT: u16 = 0x1d;
    /// First addresses of the window for memory that cannot be prefetched.
    pub(crate) const MEMORY_BASE: u16 = 0x20;
    /// Its last addresses.
    pub(crate) const MEMORY_LIMIT: u16 = 0x22;
    /// First addresses of the window for memory that can be prefetched.
    pub(crate) const PREFETCHABLE_BASE: u16 = 0x24;
    /// Its last addresses.
    pub(crate) const PREFETCHABLE_LIMIT: u16 = 0x26;
    /// Bits 63:32 of its first address.
    pub(crate) const PREFETCHABLE_BASE_UPPER: u16 = 0x28;
    /// Bits 63:32 of its last address.
    pub(crate) const PREFETCHABLE_LIMIT_UPPER: u16 = 0x2c;
    /// Bridge control.
    pub(crate) const BRIDGE_CONTROL: u16 = 0x3e;
    /// Bridge control: of the I/O window only what ISA cards do not decode is forwarded.
    pub(crate) const CONTROL_ISA: u16 = 1 << 2;
    /// Bridge control: what is below is held in reset.
    pub(crate) const CONTROL_RESET: u16 = 1 << 6;
}

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Header {
    VendorId,
    DeviceId,
    Command,
    Status,
    RevisionId,
    ProgrammingInterface,
    SubClass,
    BaseClass,
    CacheLineSize,
    Type,
    BaseAddress,
    PrimaryBus,
    SecondaryBus,
    SubordinateBus,
    IoBase,
    IoLimit,
    SecondaryStatus,
    MemoryBase,
    MemoryLimit,
    PrefetchableBase,
    PrefetchableLimit,
    PrefetchableBaseUpper,
    PrefetchableLimitUpper,
    CapabilitiesPointer,
    InterruptLine,
    InterruptPin,
    BridgeControl,
}

/// The type 1 header of a PCI Express port: latency timers, discard timers, fast back-to-back and master abort mode are
/// hardwired to zero (7.5.1.3.13), there are no VGA addresses, I/O addresses have 16 bits.
pub(in super::super) static HEADER: Map<Header> = Map {
    specification: "PCIe 6.0, 7.5.1.3 (type 1 configuration space header)",
    window: common::HEADER_END as u64,
    rows: &[
        half("Vendor ID", 0x00, Header::VendorId).read_only(0xffff).varies(),
        half("Device ID", 0x02, Header::DeviceId).read_only(0xffff).varies(),
        // I/O, memory, bus master, parity error response, SERR#, interrupt disable.
        half("Command", common::COMMAND as u32, Header::Command).bits(0x0547),
        // Parity and abort bits.
        half("Status", common::STATUS as u32, Header::Status).read_only(0xffff).cleared_by_one(0xf900),
        byte("Revision ID", 0x08, Header::RevisionId).read_only(0xff).varies(),
        byte("Programming Interface", 0x09, Header::ProgrammingInterface).read_only(0xff).varies(),
        byte("Sub-Class", 0x0a, Header::SubClass).read_only(0xff).varies(),
        byte("Base Class", 0x0b, Header::BaseClass).read_only(0xff).varies(),
        byte("Cache Line Size", 0x0c, Header::CacheLineSize),
        byte("Header Type", common::HEADER_TYPE as u32, Header::Type).read_only(0xff).reset(1),
        word("Base Address", common::BAR0 as u32, Header::BaseAddress).array(2).read_only(0xffff_ffff),
        byte("Primary Bus Number", reg::PRIMARY_BUS as u32, Header::PrimaryBus),
        byte("Secondary Bus Number", reg::SECONDARY_BUS as u32, Header::SecondaryBus),
        byte("Subordinate Bus Number", reg::SUBORDINATE_BUS as u32, Header::SubordinateBus),
        byte("I/O Base", reg::IO_BASE as u32, Header::IoBase).bits(0xf0),
        byte("I/O Limit", reg::IO_LIMIT as u32, Header::IoLimit).bits(0xf0),
        half("Secondary Status", 0x1e, Header::SecondaryStatus).read_only(0xffff).cleared_by_one(0xf900),
        half("Memory Base", reg::MEMORY_BASE as u32, Header::MemoryBase).bits(0xfff0),
        half("Memory Limit", reg::MEMORY_LIMIT as u32, Header::MemoryLimit).bits(0xfff0),
        // Bit 0: addresses have 64 bits.
        half("Prefetchable Memory Base", reg::PREFETCHABLE_BASE as u32, Header::PrefetchableBase)
            .writes(0xfff0)
            .reset(1),
        half("Prefetchable Memory Limit", reg::PREFETCHABLE_LIMIT as u32, Header::PrefetchableLimit)
            .writes(0xfff0)
            .reset(1),
        word(
            "Prefetchable Base Upper 32 Bits",
            reg::PREFETCHABLE_BASE_UPPER as u32,
            Header::PrefetchableBaseUpper,
        ),
        word(
            "Prefetchable Limit Upper 32 Bits",
            reg::PREFETCHABLE_LIMIT_UPPER as u32,
            Header::PrefetchableLimitUpper,
        ),
        byte("Capabilities Pointer", common::CAPABILITIES as u32, Header::CapabilitiesPointer)
            .read_only(0xff),
        byte("Interrupt Line", 0x3c, Header::InterruptLine),
        byte("Interrupt Pin", common::INTERRUPT_PIN as u32, Header::InterruptPin).read_only(0xff),
        // Parity error response, SERR# enable, ISA enable, secondary bus reset.
        half("Bridge Control", reg::BRIDGE_CONTROL as u32, Header::BridgeControl).bits(0x0047),
    ],
};

/// Configuration space with a type 1 header.
pub(in super::super) fn header(id: Identity) -> ConfigSpace {
    let [programming_interface, sub_class, base_class, _] = id.class.to_le_bytes();
    ConfigSpace::with(&HEADER, |register| match register {
        Header::VendorId => id.vendor.into(),
        Header::DeviceId => id.device.into(),
        Header::RevisionId => id.revision.into(),
        Header::ProgrammingInterface => programming_interface.into(),
        Header::SubClass => sub_class.into(),
        Header::BaseClass => base_class.into(),
        // The map says what all others are after reset.
        _ => 0,
    })
}

/// A write of `bytes` at `offset` may change what the bridge forwards.
#[must_use]
pub(crate) fn touches_forwarding(offset: u16, bytes: u16) -> bool {
    let end = offset.saturating_add(bytes);
    offset < common::HEADER_END && end > reg::PRIMARY_BUS || offset < common::STATUS && end > common::COMMAND
}
