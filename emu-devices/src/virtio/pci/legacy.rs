//! The registers of the legacy interface (virtio 1.2, 4.1.4.10), in the first BAR.

use emu_core::addr::Size;
use emu_core::registers::{Hit, Listed, Map, Target, byte, half, word};

use super::layout::LEGACY_SIZE;
use super::{NO_VECTOR, VirtioPci};
use crate::pci::Msix;
use crate::virtio::core::Interface;

/// Queue addresses are in units of this.
const PAGE: u32 = 4096;
/// Where the registers of MSI-X are while it is enabled, and the device's configuration space otherwise.
const MSIX: u64 = 20;
/// Where the device's configuration space is while MSI-X is enabled.
const BEHIND_MSIX: u64 = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
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

/// The registers; the device's configuration space takes the place of the last two, or is behind them.
pub(crate) static MAP: Map<Reg> = Map {
    specification: "virtio 1.2, 4.1.4.10",
    window: LEGACY_SIZE,
    rows: &[
        word("Device Features", 0, Reg::DeviceFeatures).read_only(0xffff_ffff).varies(),
        word("Driver Features", 4, Reg::DriverFeatures),
        word("Queue Address", 8, Reg::QueuePage),
        // A legacy driver cannot choose it.
        half("queue_size", 12, Reg::QueueSize).read_only(0xffff).varies(),
        half("queue_select", 14, Reg::QueueSelect),
        half("Queue Notify", 16, Reg::QueueNotify).write_only(0xffff),
        byte("Device Status", 18, Reg::Status),
        byte("ISR Status", 19, Reg::Isr).read_only(3).read_has_effect(),
        half("config_msix_vector", MSIX as u32, Reg::ConfigVector).reset(NO_VECTOR as u64),
        half("queue_msix_vector", MSIX as u32 + 2, Reg::QueueVector).reset(NO_VECTOR as u64),
    ],
};

/// What an access reaches.
enum Place {
    Register(Hit<Reg>),
    /// The device's configuration space, from this offset on.
    Config(u64),
    Nothing,
}

impl VirtioPci {
    fn legacy_target(&self, offset: u64, size: Size) -> Place {
        let config = if self.has_vectors() { BEHIND_MSIX } else { MSIX };
        match offset.checked_sub(config) {
            Some(at) => Place::Config(at),
            None => MAP.find(offset, size).map_or(Place::Nothing, Place::Register),
        }
    }

    fn has_vectors(&self) -> bool {
        self.side.function.msix().is_some_and(Msix::enabled)
    }

    /// The value of a register whose reading changes nothing.
    fn legacy_peek(&self, reg: Reg) -> u32 {
        let core = &*self.core;
        match reg {
            Reg::DeviceFeatures => core.legacy_features(),
            Reg::DriverFeatures => core.legacy_driver_features(),
            Reg::QueuePage => core.queue_page(PAGE),
            Reg::QueueSize => core.queue().size.into(),
            Reg::QueueSelect => core.regs().queue_select.into(),
            Reg::Status => core.regs().status.into(),
            Reg::ConfigVector => self.side.vectors.lock().config.into(),
            Reg::QueueVector => self.queue_vector().into(),
            // One is write-only, the other is taken.
            Reg::QueueNotify | Reg::Isr => 0,
        }
    }

    pub(super) fn legacy_read(&self, offset: u64, size: Size) -> u64 {
        match self.legacy_target(offset, size) {
            Place::Config(at) => {
                let mut bytes = [0; 8];
                self.core.device().config_read(at, &mut bytes[..size.bytes() as usize]);
                u64::from_le_bytes(bytes)
            }
            Place::Register(hit) => hit.read(size, |reg| match reg {
                Reg::Isr => self.side.take_isr().into(),
                _ => self.legacy_peek(reg).into(),
            }),
            Place::Nothing => {
                self.core.anomaly("a read of a part of a legacy register, or of several");
                0
            }
        }
    }

    pub(super) fn legacy_write(&self, offset: u64, size: Size, value: u64) {
        let core = &*self.core;
        match self.legacy_target(offset, size) {
            Place::Config(at) => {
                core.device().config_write(at, &value.to_le_bytes()[..size.bytes() as usize]);
            }
            Place::Register(hit) => match hit.target() {
                Target::Register(reg) => self.legacy_write_register(reg, hit.written(size, value) as u32),
                _ => core.anomaly("a write to a legacy register that is read-only"),
            },
            Place::Nothing => core.anomaly("a write to a part of a legacy register, or to several"),
        }
    }

    fn legacy_write_register(&self, reg: Reg, value: u32) {
        let core = &*self.core;
        match reg {
            Reg::DriverFeatures => core.set_legacy_features(value),
            Reg::QueuePage => core.set_queue_page(value, PAGE),
            Reg::QueueSelect => core.regs().queue_select = value as u16,
            Reg::QueueNotify => core.notify(value),
            Reg::Status => self.set_status(value as u8, Interface::Legacy),
            Reg::ConfigVector => self.side.vectors.lock().config = self.side.checked(value as u16),
            Reg::QueueVector => self.set_queue_vector(value as u16),
            // Read-only: the map lets no write through.
            Reg::DeviceFeatures | Reg::QueueSize | Reg::Isr => {}
        }
    }

    /// For a monitor.
    pub(super) fn legacy_list(&self) -> Vec<Listed> {
        let there = |reg| self.has_vectors() || !matches!(reg, Reg::ConfigVector | Reg::QueueVector);
        MAP.list(0, |reg, _| there(reg).then(|| self.legacy_peek(reg).into()))
    }
}
