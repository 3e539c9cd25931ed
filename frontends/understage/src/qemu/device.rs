//! `-device`: the devices by the names that QEMU gives them, and their properties.

use super::loader::{GUEST, GuestLoader, LOADER, Loader};
use super::option::Action::Value;
use super::option::Row;
use super::property::Value::{Number, Only, Switch, Text};
use super::property::{self, Property, property};
use super::{Reader, chardev, drive, json, object};
use crate::board::map::VIRTIO_MMIO_COUNT;
use crate::config::{BlockTuning, CharBackend, Device, DeviceKind, VirtioBus};
use crate::error::UserError;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[(
    "-device",
    Value(given),
    "NAME[,PROPERTY=VALUE...]: add a device; 'help' lists them, 'NAME,help' its properties",
)];

fn given(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    r.devices.push(json::parts(option, text)?);
    Ok(())
}

/// What the properties of a device say.
#[derive(Default)]
struct Wish {
    id: Option<String>,
    drive: Option<String>,
    serial: Option<String>,
    chardev: Option<String>,
    rng: Option<String>,
    bus: Option<String>,
    iothread: Option<String>,
    slot: Option<u8>,
    access_platform: bool,
    block: BlockTuning,
}

/// Makes a device; the name is the driver's.
type Make = fn(&mut Reader, &'static Driver, Wish) -> Result<(), UserError>;

/// A device that can be asked for.
struct Driver {
    name: &'static str,
    /// Other names for it.
    aliases: &'static [&'static str],
    bus: Bus,
    about: &'static str,
    make: Build,
}

/// How a device is made from its properties.
enum Build {
    /// By what most devices have.
    Device(Make, &'static [&'static [Property<Wish>]]),
    Loader,
    GuestLoader,
}

/// What a device is plugged into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bus {
    Pci,
    Virtio,
    VirtioSerial,
    /// Nothing.
    None,
}

impl Bus {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Pci => Some("PCI"),
            Self::Virtio => Some("virtio-bus"),
            Self::VirtioSerial => Some("virtio-serial-bus"),
            Self::None => None,
        }
    }
}

const fn pci(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    make: Make,
    own: &'static [&'static [Property<Wish>]],
) -> Driver {
    Driver { name, aliases, bus: Bus::Pci, about, make: Build::Device(make, own) }
}

const fn mmio(
    name: &'static str,
    about: &'static str,
    make: Make,
    own: &'static [&'static [Property<Wish>]],
) -> Driver {
    Driver { name, aliases: &[], bus: Bus::Virtio, about, make: Build::Device(make, own) }
}

/// The devices.
const DRIVERS: &[Driver] = &[
    pci(
        "virtio-blk-pci",
        &["virtio-blk", "virtio-blk-pci-non-transitional"],
        "disk",
        block,
        &[COMMON, PCI, BLOCK],
    ),
    mmio("virtio-blk-device", "disk", block, &[COMMON, MMIO, BLOCK]),
    pci(
        "virtio-rng-pci",
        &["virtio-rng", "virtio-rng-pci-non-transitional"],
        "entropy",
        entropy,
        &[COMMON, PCI, RNG],
    ),
    mmio("virtio-rng-device", "entropy", entropy, &[COMMON, MMIO, RNG]),
    pci(
        "virtio-serial-pci",
        &["virtio-serial", "virtio-serial-pci-non-transitional"],
        "console ports",
        serial_bus,
        &[COMMON, PCI],
    ),
    mmio("virtio-serial-device", "console ports", serial_bus, &[COMMON, MMIO]),
    Driver {
        name: "virtconsole",
        aliases: &[],
        bus: Bus::VirtioSerial,
        about: "port of a virtio-serial device",
        make: Build::Device(console_port, &[PORT]),
    },
    Driver {
        name: "loader",
        aliases: &[],
        bus: Bus::None,
        about: "a file or a value in memory, and where CPU 0 starts",
        make: Build::Loader,
    },
    Driver {
        name: "guest-loader",
        aliases: &[],
        bus: Bus::None,
        about: "a hypervisor's guest in memory, with its node in the devicetree",
        make: Build::GuestLoader,
    },
];

/// What every virtio device has.
const COMMON: &[Property<Wish>] = &[
    property("id", Text(|w, v| put(&mut w.id, v)), "its name"),
    property("iommu_platform", Switch(|w, on| w.access_platform = on), "offer VIRTIO_F_ACCESS_PLATFORM"),
    property("event_idx", Only(&["on"]), "VIRTIO_F_EVENT_IDX is offered"),
    property("indirect_desc", Only(&["on"]), "VIRTIO_F_INDIRECT_DESC is offered"),
    property("packed", Only(&["off"]), "there are split queues only"),
];

/// What a PCI function has.
const PCI: &[Property<Wish>] = &[
    property("bus", Text(pci_bus), "pcie.0"),
    property(
        "addr",
        Text(|w, v| pci_address(v).map(|n| w.slot = Some(n))),
        "device number, hexadecimal: 1 to 1f",
    ),
    property("disable-legacy", Only(&["on", "auto"]), "virtio is modern only"),
    property("disable-modern", Only(&["off"]), "virtio is modern only"),
    property("multifunction", Only(&["off"]), "devices have one function"),
    property("ats", Only(&["off"]), "there are no address translation services"),
    property("aer", Only(&["off"]), "there is no advanced error reporting"),
    property("romfile", Only(&[""]), "there are no option ROMs"),
    property("rombar", Only(&["0"]), "there are no option ROMs"),
];

/// What a device of the board's virtio-mmio transports has.
const MMIO: &[Property<Wish>] = &[property(
    "bus",
    Text(|w, v| put(&mut w.bus, v)),
    "virtio-mmio-bus.N: the transport at 0xa000000 + N * 0x200",
)];

/// What a disk has.
const BLOCK: &[Property<Wish>] = &[
    property("drive", Text(|w, v| put(&mut w.drive, v)), "the id of a -drive, or node-name of a -blockdev"),
    property("serial", Text(|w, v| put(&mut w.serial, v)), "serial number, at most 20 bytes"),
    property("logical_block_size", Number(|w, n| w.block.logical(n)), "512 or 4096"),
    property("physical_block_size", Number(|w, n| w.block.physical(n)), "a multiple of logical_block_size"),
    property(
        "queue-size",
        Number(|w, n| w.block.queue(n)),
        "descriptors of its queue: a power of two, 4 to 1024",
    ),
    property("discard", Switch(|w, on| w.block.discard = on), "offer VIRTIO_BLK_F_DISCARD"),
    property("num-queues", Only(&["1"]), "a disk has one queue"),
    property("write-cache", Only(&["on", "auto"]), "the disk has a write cache, and the guest flushes it"),
    property("config-wce", Only(&["off"]), "the guest cannot turn the write cache off"),
    property("share-rw", Only(&["off"]), "an image has one writer"),
    property("scsi", Only(&["off"]), "there is no pass-through of SCSI commands"),
    property(
        "iothread",
        Text(|w, v| put(&mut w.iothread, v)),
        "the id of an -object iothread: each disk has a thread of its own",
    ),
];

/// What a source of entropy has.
const RNG: &[Property<Wish>] =
    &[property("rng", Text(|w, v| put(&mut w.rng, v)), "the id of an -object rng-random or rng-builtin")];

/// What a port of a virtio-serial device has.
const PORT: &[Property<Wish>] = &[
    property("id", Text(|w, v| put(&mut w.id, v)), "its name"),
    property("chardev", Text(|w, v| put(&mut w.chardev, v)), "the id of a -chardev"),
    property("bus", Text(|w, v| put(&mut w.bus, v)), "ID.0, where ID is that of a virtio-serial device"),
];

fn put(slot: &mut Option<String>, value: &str) -> Result<(), UserError> {
    *slot = Some(value.to_owned());
    Ok(())
}

fn pci_bus(_: &mut Wish, bus: &str) -> Result<(), UserError> {
    match bus {
        "pcie.0" | "pcie" => Ok(()),
        _ => Err(user_error!("there is no bus '{bus}' in -device: the only one for PCI devices is pcie.0")),
    }
}

/// `addr=SLOT[.FUNCTION]`, hexadecimal.
fn pci_address(text: &str) -> Result<u8, UserError> {
    let (slot, function) = text.split_once('.').unwrap_or((text, "0"));
    if function.trim_start_matches("0x") != "0" {
        return Err(user_error!("'addr={text}' in -device is not supported: devices have one function"));
    }
    match u8::from_str_radix(slot.trim_start_matches("0x"), 16) {
        Ok(n @ 1..=31) => Ok(n),
        _ => Err(user_error!("'addr={text}' in -device is not a free slot (1 to 1f, hexadecimal)")),
    }
}

/// The number in `virtio-mmio-bus.N`.
fn transport(bus: &str) -> Result<u8, UserError> {
    let n = bus.strip_prefix("virtio-mmio-bus.").and_then(|n| n.parse::<u8>().ok());
    n.filter(|n| u32::from(*n) < VIRTIO_MMIO_COUNT).ok_or_else(|| {
        let last = VIRTIO_MMIO_COUNT - 1;
        user_error!(
            "there is no bus '{bus}' in -device: there are virtio-mmio-bus.0 to virtio-mmio-bus.{last}"
        )
    })
}

fn find(name: &str) -> Result<&'static Driver, UserError> {
    let driver = DRIVERS.iter().find(|d| d.name == name || d.aliases.contains(&name));
    driver.ok_or_else(|| user_error!("'-device {name}' is not supported: there is no such device here"))
}

/// A virtio-serial device: its bus takes one console port here.
pub(super) struct SerialBus {
    /// Index in the list of devices.
    index: usize,
    id: Option<String>,
    has_port: bool,
}

/// Makes all devices, in order.
pub(super) fn build(r: &mut Reader) -> Result<(), UserError> {
    for mut parts in std::mem::take(&mut r.devices) {
        let name = parts.take_first("driver")?.ok_or_else(|| user_error!("-device needs a device"))?;
        let driver = find(&name)?;
        match &driver.make {
            Build::Loader => {
                let mut loader = Loader::default();
                property::read(parts, &[LOADER], driver.name, &mut loader)?;
                loader.build(r)?;
            }
            Build::GuestLoader => {
                let mut loader = GuestLoader::default();
                property::read(parts, &[GUEST], driver.name, &mut loader)?;
                loader.build(r)?;
            }
            Build::Device(make, properties) => {
                let mut wish = Wish::default();
                property::read(parts, properties, driver.name, &mut wish)?;
                make(r, driver, wish)?;
            }
        }
    }
    match r.serial_buses.iter().find(|b| !b.has_port) {
        Some(_) => Err(user_error!("a virtio-serial device has no port: add -device virtconsole,chardev=ID")),
        None => Ok(()),
    }
}

/// Adds a virtio device where its properties say.
fn add(r: &mut Reader, driver: &Driver, wish: &Wish, kind: DeviceKind) -> Result<(), UserError> {
    let bus = match driver.bus {
        Bus::Pci => VirtioBus::Pci { slot: wish.slot },
        _ => VirtioBus::Mmio { transport: wish.bus.as_deref().map(transport).transpose()? },
    };
    r.config.devices.push(Device { kind, bus, access_platform: wish.access_platform });
    Ok(())
}

fn block(r: &mut Reader, driver: &'static Driver, mut wish: Wish) -> Result<(), UserError> {
    let drive = wish.drive.take().ok_or_else(|| user_error!("-device {} needs 'drive='", driver.name))?;
    if let Some(id) = wish.iothread.take() {
        object::iothread(r, &id, driver.name)?;
    }
    let mut disk = drive::take(r, &drive, wish.serial.take(), driver.name)?;
    disk.tuning = wish.block;
    disk.tuning.check(&format!("-device {}", driver.name))?;
    add(r, driver, &wish, DeviceKind::Block(disk))
}

fn entropy(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    let source = object::entropy(r, wish.rng.as_deref(), driver.name)?;
    add(r, driver, &wish, DeviceKind::Entropy(source))
}

fn serial_bus(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    let index = r.config.devices.len();
    r.serial_buses.push(SerialBus { index, id: wish.id.clone(), has_port: false });
    add(r, driver, &wish, DeviceKind::Console(CharBackend::Null))
}

fn console_port(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    let name = driver.name;
    let chardev = wish.chardev.ok_or_else(|| user_error!("-device {name} needs 'chardev='"))?;
    let backend = chardev::take(&mut r.chardevs, &chardev, name)?;
    let buses = &mut r.serial_buses;
    let bus = match wish.bus {
        Some(name) => buses.iter_mut().find(|b| b.id.as_ref().is_some_and(|id| name == format!("{id}.0"))),
        None => buses.first_mut(),
    };
    let bus = bus.ok_or_else(|| user_error!("{name} needs a virtio-serial device before it"))?;
    if bus.has_port {
        return Err(user_error!("a second port on a virtio-serial device is not supported"));
    }
    bus.has_port = true;
    r.config.devices[bus.index].kind = DeviceKind::Console(backend);
    Ok(())
}

/// `-device help`, or what `-device NAME,help` says of one.
pub(super) fn help(name: Option<&str>) -> Result<String, UserError> {
    let Some(name) = name else {
        return Ok(DRIVERS.iter().map(summary).collect());
    };
    let driver = find(name)?;
    let properties = match &driver.make {
        Build::Loader => property::help(&[LOADER]),
        Build::GuestLoader => property::help(&[GUEST]),
        Build::Device(_, tables) => property::help(tables),
    };
    Ok(format!("{} options:\n{properties}", driver.name))
}

fn summary(driver: &Driver) -> String {
    let bus = driver.bus.name().map_or_else(String::new, |b| format!(", bus {b}"));
    let aliases: String = driver.aliases.iter().map(|a| format!(", alias \"{a}\"")).collect();
    format!("name \"{}\"{bus}{aliases}, desc \"{}\"\n", driver.name, driver.about)
}
