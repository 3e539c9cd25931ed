//! Which registers the function has, and where.

use std::sync::Arc;

use emu_core::metrics::Counters;

use crate::pci::{BarKind, Capability, FunctionBuilder, FunctionCore, Identity, MsixLayout};
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

/// Fields of the common configuration structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
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

/// The common configuration structure (virtio 1.2, 4.1.4.3): offset, bytes, field.
pub(super) const COMMON_FIELDS: &[(u64, u64, Field)] = &[
    (0, 4, Field::DeviceFeatureSelect),
    (4, 4, Field::DeviceFeature),
    (8, 4, Field::DriverFeatureSelect),
    (12, 4, Field::DriverFeature),
    (16, 2, Field::ConfigVector),
    (18, 2, Field::NumQueues),
    (20, 1, Field::Status),
    (21, 1, Field::Generation),
    (22, 2, Field::QueueSelect),
    (24, 2, Field::QueueSize),
    (26, 2, Field::QueueVector),
    (28, 2, Field::QueueEnable),
    (30, 2, Field::QueueNotifyOff),
    (32, 8, Field::QueueDesc),
    (40, 8, Field::QueueDriver),
    (48, 8, Field::QueueDevice),
    (56, 2, Field::QueueNotifyData),
    (58, 2, Field::QueueReset),
];

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
        let mut body = vendor_body(structure, BAR, offset, length);
        if structure == NOTIFY {
            body.extend_from_slice(&NOTIFY_MULTIPLIER.to_le_bytes());
        }
        builder = builder.capability(Capability::Vendor { body: &body, rw: &[] }, &mut at);
    }
    let mut body = vendor_body(PCI_CFG, 0, 0, 0);
    body.extend_from_slice(&[0; 4]);
    // BAR, offset, length and data are the driver's to write.
    let rw = [0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    builder = builder.capability(Capability::Vendor { body: &body, rw: &rw }, &mut at);
    (builder.build(counters), Some(at))
}

/// A `virtio_pci_cap` behind its length byte.
fn vendor_body(structure: u8, bar: u8, offset: u32, length: u32) -> Vec<u8> {
    let mut body = vec![structure, bar, 0, 0, 0];
    body.extend_from_slice(&offset.to_le_bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body
}
