//! Which registers the function has, and where.

use std::sync::Arc;

use emu_core::metrics::Counters;
use emu_core::registers::{Map, Sizes, byte, double, half, word};

use crate::pci::{BarKind, FunctionBuilder, FunctionCore, Identity, MsixLayout};
use crate::virtio::{Interfaces, VirtioDevice};

/// Vendor and subsystem vendor ID of virtio.
pub(super) const VENDOR: u16 = 0x1af4;
/// Device ID of device type 0.
pub(super) const DEVICE_BASE: u16 = 0x1040;
/// The BAR of the virtio structures, and the one of MSI-X.
pub(super) const BAR: u8 = 4;
pub(super) const MSIX_BAR: u8 = 1;
/// The BAR of the legacy registers, which drivers look for in the first one (virtio 1.2, 4.1.4.10), and its size: they and
/// the largest configuration space.
pub(super) const LEGACY_BAR: u8 = 0;
pub(super) const LEGACY_SIZE: u64 = 0x80;
/// Bytes of each structure's page in the BAR.
pub(super) const PAGE: u32 = 0x1000;
/// Queue *n* is notified at *n* times this.
pub(super) const NOTIFY_MULTIPLIER: u32 = 4;

/// The virtio structures in BAR 4: type of their capability, page, bytes.
pub(super) const STRUCTURES: [(u8, u32, u32); 4] =
    [(COMMON, 0, PAGE), (ISR, PAGE, PAGE), (DEVICE, 2 * PAGE, PAGE), (NOTIFY, 3 * PAGE, PAGE)];
pub(super) const COMMON: u8 = 1;
pub(super) const NOTIFY: u8 = 2;
pub(super) const ISR: u8 = 3;
pub(super) const DEVICE: u8 = 4;
pub(super) const PCI_CFG: u8 = 5;

/// Offsets in the PCI configuration access capability.
pub(super) const CFG_BAR: u16 = 4;
pub(super) const CFG_OFFSET: u16 = 8;
pub(super) const CFG_LENGTH: u16 = 12;
pub(super) const CFG_DATA: u16 = 16;

/// Fields of a `virtio_pci_cap`, and what some have behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CapabilityField {
    Vendor,
    Next,
    Len,
    Type,
    Bar,
    Id,
    Offset,
    Length,
    NotifyMultiplier,
    Data,
}

/// A capability of `bytes` bytes in which the driver may write the bits of `writes` to where it points.
macro_rules! capability {
    ($bytes:literal, $writes:expr, $($behind:expr)?) => {
        Map {
            specification: "virtio 1.2, 4.1.4",
            window: $bytes,
            rows: &[
                byte("cap_vndr", 0, CapabilityField::Vendor).read_only(0xff).reset(9),
                byte("cap_next", 1, CapabilityField::Next).read_only(0xff),
                byte("cap_len", 2, CapabilityField::Len).read_only(0xff).varies(),
                byte("cfg_type", 3, CapabilityField::Type).read_only(0xff).varies(),
                byte("bar", CFG_BAR as u32, CapabilityField::Bar).writes($writes & 0xff).varies(),
                byte("id", 5, CapabilityField::Id).read_only(0xff),
                word("offset", CFG_OFFSET as u32, CapabilityField::Offset).writes($writes).varies(),
                word("length", CFG_LENGTH as u32, CapabilityField::Length).writes($writes).varies(),
                $($behind)?
            ],
        }
    };
}

/// Of a structure.
pub(crate) static CAPABILITY: Map<CapabilityField> = capability!(16, 0,);
/// Of the one by which queues are notified.
pub(crate) static NOTIFY_CAPABILITY: Map<CapabilityField> = capability!(
    20,
    0,
    word("notify_off_multiplier", 16, CapabilityField::NotifyMultiplier)
        .read_only(0xffff_ffff)
        .reset(NOTIFY_MULTIPLIER as u64)
);
/// PCI configuration access: BAR, offset, length and data are the driver's to write.
pub(crate) static ACCESS_CAPABILITY: Map<CapabilityField> =
    capability!(20, 0xffff_ffff, word("pci_cfg_data", CFG_DATA as u32, CapabilityField::Data));

/// What is in the structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    Common(Field),
    Isr,
    /// The device type's configuration.
    Config,
    Notify,
}

/// Fields of the common configuration structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    DeviceFeatureSelect,
    DeviceFeature,
    DriverFeatureSelect,
    DriverFeature,
    ConfigVector,
    NumQueues,
    Status,
    Generation,
    QueueSelect,
    QueueSize,
    QueueVector,
    QueueEnable,
    QueueNotifyOff,
    QueueDesc,
    QueueDriver,
    QueueDevice,
    QueueNotifyData,
    QueueReset,
}

/// The structures (virtio 1.2, 4.1.4.3 to 4.1.4.6), at their places in the BAR.
pub(crate) static STRUCTURE_MAP: Map<Reg> = {
    use Field as F;
    use Reg::Common;
    const NO_VECTOR: u64 = super::NO_VECTOR as u64;
    Map {
        specification: "virtio 1.2, 4.1.4",
        window: 4 * PAGE as u64,
        rows: &[
            word("device_feature_select", 0, Common(F::DeviceFeatureSelect)),
            word("device_feature", 4, Common(F::DeviceFeature)).read_only(0xffff_ffff).varies(),
            word("driver_feature_select", 8, Common(F::DriverFeatureSelect)),
            word("driver_feature", 12, Common(F::DriverFeature)),
            half("config_msix_vector", 16, Common(F::ConfigVector)).reset(NO_VECTOR),
            half("num_queues", 18, Common(F::NumQueues)).read_only(0xffff).varies(),
            byte("device_status", 20, Common(F::Status)),
            byte("config_generation", 21, Common(F::Generation)).read_only(0xff),
            half("queue_select", 22, Common(F::QueueSelect)),
            half("queue_size", 24, Common(F::QueueSize)).varies(),
            half("queue_msix_vector", 26, Common(F::QueueVector)).reset(NO_VECTOR),
            half("queue_enable", 28, Common(F::QueueEnable)),
            half("queue_notify_off", 30, Common(F::QueueNotifyOff)).read_only(0xffff),
            double("queue_desc", 32, Common(F::QueueDesc)),
            double("queue_driver", 40, Common(F::QueueDriver)),
            double("queue_device", 48, Common(F::QueueDevice)),
            half("queue_notify_data", 56, Common(F::QueueNotifyData)).read_only(0xffff),
            half("queue_reset", 58, Common(F::QueueReset)),
            byte("ISR", PAGE, Reg::Isr).read_only(3).read_has_effect(),
            word("Config", 2 * PAGE, Reg::Config).array(PAGE / 4).takes(Sizes::ANY).varies(),
            word("Notify", 3 * PAGE, Reg::Notify)
                .array(PAGE / NOTIFY_MULTIPLIER)
                .takes(Sizes::ANY)
                .write_only(0xffff_ffff),
        ],
    }
};

/// Device IDs of transitional and legacy functions (virtio 1.2, 4.1.2.1): virtio device ID, PCI device ID.
const TRANSITIONAL_IDS: &[(u16, u16)] =
    &[(1, 0x1000), (2, 0x1001), (5, 0x1002), (3, 0x1003), (8, 0x1004), (4, 0x1005), (9, 0x1009)];

/// The interfaces that a function for `device` can have of those that are wanted: types that are younger than the legacy
/// interface are modern.
pub(super) fn possible(device: &dyn VirtioDevice, wanted: Interfaces) -> Interfaces {
    if transitional_id(device).is_some() { wanted } else { Interfaces::Modern }
}

fn transitional_id(device: &dyn VirtioDevice) -> Option<u16> {
    TRANSITIONAL_IDS.iter().find(|(virtio, _)| *virtio == device.kind().id).map(|(_, pci)| *pci)
}

fn identity(device: &dyn VirtioDevice, interfaces: Interfaces) -> Identity {
    let kind = device.kind();
    let modern = Identity {
        vendor: VENDOR,
        device: DEVICE_BASE + kind.id,
        class: kind.pci_class,
        revision: 1,
        subsystem_vendor: VENDOR,
        subsystem: 0x1100,
    };
    match transitional_id(device).filter(|_| interfaces != Interfaces::Modern) {
        // A legacy driver knows the type from the subsystem.
        Some(device) => Identity { device, revision: 0, subsystem: kind.id, ..modern },
        None => modern,
    }
}

/// The function without behaviour, and the offset of its PCI configuration access capability.
pub(super) fn build(
    device: &dyn VirtioDevice,
    interfaces: Interfaces,
    counters: &Arc<Counters>,
) -> (FunctionCore, Option<u16>) {
    let vectors = device.queue_sizes().len() as u16 + 1;
    let mut builder = FunctionBuilder::new(identity(device, interfaces))
        .bar(MSIX_BAR, BarKind::Memory32, 0x1000)
        .intx_pin(1)
        .express()
        .msix(MsixLayout { vectors, bar: MSIX_BAR, table_offset: 0, pba_offset: 0x800 });
    if interfaces != Interfaces::Modern {
        builder = builder.bar(LEGACY_BAR, BarKind::Io, LEGACY_SIZE);
    }
    if interfaces == Interfaces::Legacy {
        return (builder.build(counters), None);
    }
    let mut at = 0;
    builder = builder.bar(BAR, BarKind::Memory64 { prefetchable: true }, u64::from(4 * PAGE));
    for (structure, offset, length) in STRUCTURES {
        let map = if structure == NOTIFY { &NOTIFY_CAPABILITY } else { &CAPABILITY };
        let value = |reg| capability_value(map, reg, structure, BAR, offset, length);
        builder = builder.capability(map, value, &mut at);
    }
    let value = |reg| capability_value(&ACCESS_CAPABILITY, reg, PCI_CFG, 0, 0, 0);
    builder = builder.capability(&ACCESS_CAPABILITY, value, &mut at);
    (builder.build(counters), Some(at))
}

/// What a field of a capability is after reset, where the map does not say it.
fn capability_value(
    map: &Map<CapabilityField>,
    field: CapabilityField,
    structure: u8,
    bar: u8,
    offset: u32,
    length: u32,
) -> u64 {
    match field {
        CapabilityField::Len => map.window,
        CapabilityField::Type => structure.into(),
        CapabilityField::Bar => bar.into(),
        CapabilityField::Offset => offset.into(),
        CapabilityField::Length => length.into(),
        // The map says what they are.
        CapabilityField::Vendor | CapabilityField::Next | CapabilityField::Id => 0,
        CapabilityField::NotifyMultiplier | CapabilityField::Data => 0,
    }
}
