//! The PCI Express capability of a root port with a slot.

use emu_core::registers::{Map, byte, half, word};

/// Offsets in the capability, and bits.
pub(super) mod reg {
    /// Link Control.
    pub(crate) const LINK_CONTROL: u16 = 0x10;
    /// Link Control: the link is disabled.
    pub(crate) const LINK_DISABLE: u16 = 1 << 4;
    /// Link Status.
    pub(crate) const LINK_STATUS: u16 = 0x12;
    /// Link Status: the data link layer is active.
    pub(crate) const LINK_ACTIVE: u16 = 1 << 13;
    /// Slot Control.
    pub(crate) const SLOT_CONTROL: u16 = 0x18;
    /// Slot Control: interrupts of hot-plug.
    pub(crate) const INTERRUPT_ENABLE: u16 = 1 << 5;
    /// Slot Control: the power indicator, 1 on, 2 blinking, 3 off.
    pub(crate) const POWER_INDICATOR: u16 = 3 << 8;
    /// Power indicator: on.
    pub(crate) const INDICATOR_ON: u16 = 1 << 8;
    /// Slot Control: the slot has no power.
    pub(crate) const POWER_OFF: u16 = 1 << 10;
    /// Slot Control: interrupts of the link's state.
    pub(crate) const LINK_CHANGED_ENABLE: u16 = 1 << 12;
    /// Slot Status.
    pub(crate) const SLOT_STATUS: u16 = 0x1a;
    /// Slot Status: the attention button was pressed.
    pub(crate) const BUTTON_PRESSED: u16 = 1 << 0;
    /// Slot Status: presence has changed.
    pub(crate) const PRESENCE_CHANGED: u16 = 1 << 3;
    /// Slot Status: a command was completed.
    pub(crate) const COMMAND_COMPLETED: u16 = 1 << 4;
    /// Slot Status: the slot is occupied.
    pub(crate) const PRESENT: u16 = 1 << 6;
    /// Slot Status: the data link layer became active, or ceased to be.
    pub(crate) const LINK_CHANGED: u16 = 1 << 8;
    /// Device Control 2.
    pub(crate) const DEVICE_CONTROL_2: u16 = 0x28;
    /// Device Control 2: ARI forwarding.
    pub(crate) const ARI_FORWARDING: u16 = 1 << 5;

    /// Events of Slot Status that have enables of the same place in Slot Control: button, presence, command.
    pub(crate) const EVENTS: u16 = BUTTON_PRESSED | PRESENCE_CHANGED | COMMAND_COMPLETED;
}

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Port {
    Id,
    Next,
    Capabilities,
    DeviceCapabilities,
    DeviceControl,
    DeviceStatus,
    LinkCapabilities,
    LinkControl,
    LinkStatus,
    SlotCapabilities,
    SlotControl,
    SlotStatus,
    RootControl,
    RootCapabilities,
    RootStatus,
    DeviceCapabilities2,
    DeviceControl2,
    LinkCapabilities2,
}

/// The capability, version 2. The link has 2.5 GT/s and one lane: such a port needs no notification of its bandwidth, and no
/// target speed.
pub(in super::super) static EXPRESS: Map<Port> = Map {
    specification: "PCIe 6.0, 7.5.3 (PCI Express capability of a root port)",
    window: 0x3c,
    rows: &[
        byte("Capability ID", 0, Port::Id).read_only(0xff).reset(0x10),
        byte("Next Capability", 1, Port::Next).read_only(0xff),
        // Version 2, device/port type 4: root port; slot implemented; interrupt message 0.
        half("PCI Express Capabilities", 2, Port::Capabilities).read_only(0xffff).reset(0x0142),
        // 128-byte payload, role-based error reporting.
        word("Device Capabilities", 4, Port::DeviceCapabilities).read_only(0xffff_ffff).reset(1 << 15),
        // Errors, relaxed ordering, payload, no snoop, size of read requests.
        half("Device Control", 8, Port::DeviceControl).writes(0x78ff).reset(0x2810),
        half("Device Status", 0x0a, Port::DeviceStatus).read_only(0xffff).cleared_by_one(0x0f),
        // 2.5 GT/s, x1, reporting of link activity, ASPM optionality compliance; the port's number.
        word("Link Capabilities", 0x0c, Port::LinkCapabilities).read_only(0xffff_ffff).varies(),
        // Link disable, common clock, extended synch. Retraining is done at once, and reads as zero.
        half("Link Control", reg::LINK_CONTROL as u32, Port::LinkControl).bits(0x00d0),
        half("Link Status", reg::LINK_STATUS as u32, Port::LinkStatus).read_only(0xffff).varies(),
        // Attention button, power controller, both indicators, hot-plug; the slot's number.
        word("Slot Capabilities", 0x14, Port::SlotCapabilities).read_only(0xffff_ffff).varies(),
        // Enables of button, power fault, presence, command and link; interrupts; indicators; power.
        half("Slot Control", reg::SLOT_CONTROL as u32, Port::SlotControl).writes(0x17fb).varies(),
        half("Slot Status", reg::SLOT_STATUS as u32, Port::SlotStatus)
            .read_only(0xffff)
            .cleared_by_one((reg::EVENTS | reg::LINK_CHANGED | 1 << 1) as u64)
            .varies(),
        // System errors, PME interrupts.
        half("Root Control", 0x1c, Port::RootControl).bits(0x0f),
        half("Root Capabilities", 0x1e, Port::RootCapabilities).read_only(0xffff),
        word("Root Status", 0x20, Port::RootStatus).read_only(0x3_ffff).cleared_by_one(1 << 16),
        // ARI forwarding.
        word("Device Capabilities 2", 0x24, Port::DeviceCapabilities2).read_only(0xffff_ffff).reset(1 << 5),
        half("Device Control 2", reg::DEVICE_CONTROL_2 as u32, Port::DeviceControl2)
            .bits(reg::ARI_FORWARDING as u64),
        // 2.5 GT/s.
        word("Link Capabilities 2", 0x2c, Port::LinkCapabilities2).read_only(0xffff_ffff).reset(1 << 1),
    ],
};
