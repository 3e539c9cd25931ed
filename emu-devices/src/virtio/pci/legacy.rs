//! The registers of the legacy interface (virtio 1.2, 4.1.4.10), in the first BAR.

use emu_core::addr::Size;

use super::VirtioPci;
use crate::pci::Msix;
use crate::virtio::core::Interface;

/// Queue addresses are in units of this.
const PAGE: u32 = 4096;
/// Where the registers of MSI-X are while it is enabled, and the device's configuration space otherwise.
const MSIX: u64 = 20;
/// Where the device's configuration space is while MSI-X is enabled.
const BEHIND_MSIX: u64 = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reg {
    DeviceFeatures,
    DriverFeatures,
    QueuePage,
    QueueSize,
    QueueSelect,
    QueueNotify,
    Status,
    Isr,
    ConfigVector,
    QueueVector,
}

/// Offset, bytes, register.
const REGISTERS: &[(u64, u64, Reg)] = &[
    (0, 4, Reg::DeviceFeatures),
    (4, 4, Reg::DriverFeatures),
    (8, 4, Reg::QueuePage),
    (12, 2, Reg::QueueSize),
    (14, 2, Reg::QueueSelect),
    (16, 2, Reg::QueueNotify),
    (18, 1, Reg::Status),
    (19, 1, Reg::Isr),
    (MSIX, 2, Reg::ConfigVector),
    (MSIX + 2, 2, Reg::QueueVector),
];

/// What an access reaches.
enum Target {
    Register(Reg),
    /// The device's configuration space, from this offset on.
    Config(u64),
    Nothing,
}

impl VirtioPci {
    fn legacy_target(&self, offset: u64, size: Size) -> Target {
        let config = if self.side.function.msix().is_some_and(Msix::enabled) { BEHIND_MSIX } else { MSIX };
        match offset.checked_sub(config) {
            Some(at) => Target::Config(at),
            None => REGISTERS
                .iter()
                .find(|(at, bytes, _)| *at == offset && *bytes == size.bytes())
                .map_or(Target::Nothing, |(.., reg)| Target::Register(*reg)),
        }
    }

    pub(super) fn legacy_read(&self, offset: u64, size: Size) -> u64 {
        let core = &*self.core;
        match self.legacy_target(offset, size) {
            Target::Config(at) => {
                let mut bytes = [0; 8];
                core.device().config_read(at, &mut bytes[..size.bytes() as usize]);
                u64::from_le_bytes(bytes)
            }
            Target::Register(reg) => match reg {
                Reg::DeviceFeatures => core.legacy_features().into(),
                Reg::DriverFeatures => core.legacy_driver_features().into(),
                Reg::QueuePage => core.queue_page(PAGE).into(),
                // A legacy driver cannot choose it.
                Reg::QueueSize => core.queue().size.into(),
                Reg::QueueSelect => core.regs().queue_select.into(),
                Reg::QueueNotify => 0,
                Reg::Status => core.regs().status.into(),
                Reg::Isr => self.side.take_isr().into(),
                Reg::ConfigVector => self.side.vectors.lock().config.into(),
                Reg::QueueVector => self.queue_vector().into(),
            },
            Target::Nothing => {
                core.anomaly("a read of a part of a legacy register, or of several");
                0
            }
        }
    }

    pub(super) fn legacy_write(&self, offset: u64, size: Size, value: u64) {
        let core = &*self.core;
        match self.legacy_target(offset, size) {
            Target::Config(at) => {
                core.device().config_write(at, &value.to_le_bytes()[..size.bytes() as usize]);
            }
            Target::Register(reg) => match reg {
                Reg::DriverFeatures => core.set_legacy_features(value as u32),
                Reg::QueuePage => core.set_queue_page(value as u32, PAGE),
                Reg::QueueSelect => core.regs().queue_select = value as u16,
                Reg::QueueNotify => core.notify(value as u32),
                Reg::Status => self.set_status(value as u8, Interface::Legacy),
                Reg::ConfigVector => self.side.vectors.lock().config = self.side.checked(value as u16),
                Reg::QueueVector => self.set_queue_vector(value as u16),
                Reg::DeviceFeatures | Reg::QueueSize | Reg::Isr => {
                    core.anomaly("a write to a legacy register that is read-only");
                }
            },
            Target::Nothing => core.anomaly("a write to a part of a legacy register, or to several"),
        }
    }
}
