//! `-device`: the devices by the names that QEMU gives them, and their properties.

use super::loader::{GUEST, GuestLoader, LOADER, Loader};
use super::option::Action::Value;
use super::option::Row;
use super::property::Value::{Number, Only, Switch, Text};
use super::property::{self, Property, property};
use super::{Reader, drive, json, object, serial_bus};
use crate::config::Interfaces::{Modern, Transitional};
use crate::config::{BlockTuning, Device, DeviceKind, Interfaces, VirtioBus};
use crate::error::{UserError, user_error};
use crate::keyval::on_off;
use crate::map::VIRTIO_MMIO_COUNT;

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
pub(super) struct Wish {
    pub(super) id: Option<String>,
    drive: Option<String>,
    serial: Option<String>,
    pub(super) chardev: Option<String>,
    rng: Option<String>,
    pub(super) bus: Option<String>,
    iothread: Option<String>,
    slot: Option<u8>,
    access_platform: bool,
    disable_legacy: Option<String>,
    disable_modern: bool,
    pub(super) max_ports: Option<u64>,
    pub(super) nr: Option<u64>,
    pub(super) name: Option<String>,
    block: BlockTuning,
}

/// Makes a device; the name is the driver's.
type Make = fn(&mut Reader, &'static Driver, Wish) -> Result<(), UserError>;

/// A device that can be asked for.
pub(super) struct Driver {
    pub(super) name: &'static str,
    /// Other names for it.
    aliases: &'static [&'static str],
    bus: Bus,
    /// What drivers it is for, if its name says so.
    interfaces: Option<Interfaces>,
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

const fn virtio(
    bus: Bus,
    name: &'static str,
    about: &'static str,
    make: Make,
    own: &'static [&'static [Property<Wish>]],
) -> Driver {
    Driver { name, aliases: &[], bus, interfaces: None, about, make: Build::Device(make, own) }
}

/// A function whose properties say what drivers it is for.
const fn pci(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    make: Make,
    own: &'static [&'static [Property<Wish>]],
) -> Driver {
    Driver { aliases, ..virtio(Bus::Pci, name, about, make, own) }
}

/// A function whose name says it.
const fn pci_for(
    interfaces: Interfaces,
    name: &'static str,
    about: &'static str,
    make: Make,
    own: &'static [&'static [Property<Wish>]],
) -> Driver {
    Driver { interfaces: Some(interfaces), ..virtio(Bus::Pci, name, about, make, own) }
}

/// The devices.
const DRIVERS: &[Driver] = &[
    pci("virtio-blk-pci", &["virtio-blk"], "disk", block, &[COMMON, PCI, INTERFACES, BLOCK]),
    pci_for(Transitional, "virtio-blk-pci-transitional", "disk", block, &[COMMON, PCI, BLOCK]),
    pci_for(Modern, "virtio-blk-pci-non-transitional", "disk", block, &[COMMON, PCI, BLOCK]),
    virtio(Bus::Virtio, "virtio-blk-device", "disk", block, &[COMMON, MMIO, BLOCK]),
    pci("virtio-rng-pci", &["virtio-rng"], "entropy", entropy, &[COMMON, PCI, INTERFACES, RNG]),
    pci_for(Transitional, "virtio-rng-pci-transitional", "entropy", entropy, &[COMMON, PCI, RNG]),
    pci_for(Modern, "virtio-rng-pci-non-transitional", "entropy", entropy, &[COMMON, PCI, RNG]),
    virtio(Bus::Virtio, "virtio-rng-device", "entropy", entropy, &[COMMON, MMIO, RNG]),
    pci("virtio-serial-pci", &["virtio-serial"], PORTS, serial_bus::bus, &[COMMON, PCI, INTERFACES, SERIAL]),
    pci_for(Transitional, "virtio-serial-pci-transitional", PORTS, serial_bus::bus, &[COMMON, PCI, SERIAL]),
    pci_for(Modern, "virtio-serial-pci-non-transitional", PORTS, serial_bus::bus, &[COMMON, PCI, SERIAL]),
    virtio(Bus::Virtio, "virtio-serial-device", PORTS, serial_bus::bus, &[COMMON, MMIO, SERIAL]),
    pci("pci-testdev", &[], "a function that asks a guest for accesses", test_device, &[NAME, PCI]),
    virtio(Bus::VirtioSerial, "virtconsole", "port that is a terminal", serial_bus::console, &[PORT]),
    virtio(Bus::VirtioSerial, "virtserialport", "port for programs", serial_bus::serial, &[PORT]),
    Driver {
        name: "loader",
        aliases: &[],
        bus: Bus::None,
        interfaces: None,
        about: "a file or a value in memory, and where CPU 0 starts",
        make: Build::Loader,
    },
    Driver {
        name: "guest-loader",
        aliases: &[],
        bus: Bus::None,
        interfaces: None,
        about: "a hypervisor's guest in memory, with its node in the devicetree",
        make: Build::GuestLoader,
    },
];

const PORTS: &str = "device with console ports";

/// What every device has.
const NAME: &[Property<Wish>] = &[property("id", Text(|w, v| put(&mut w.id, v)), "its name")];

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
    property("multifunction", Only(&["off"]), "devices have one function"),
    property("ats", Only(&["off"]), "there are no address translation services"),
    property("aer", Only(&["off"]), "there is no advanced error reporting"),
    property("romfile", Only(&[""]), "there are no option ROMs"),
    property("rombar", Only(&["0"]), "there are no option ROMs"),
];

/// What a PCI function has whose name does not say what drivers it is for.
const INTERFACES: &[Property<Wish>] = &[
    property(
        "disable-legacy",
        Text(|w, v| put(&mut w.disable_legacy, v)),
        "on, off or auto (off, unless there is an IOMMU): whether drivers of before virtio 1.0 can use it",
    ),
    property("disable-modern", Switch(|w, on| w.disable_modern = on), "drivers of virtio 1.0 cannot use it"),
];

/// What a device with console ports has.
const SERIAL: &[Property<Wish>] = &[property(
    "max_ports",
    Number(|w, n| {
        w.max_ports = Some(n);
        Ok(())
    }),
    "how many ports it can have; with 1 it has no control queues",
)];

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
    property(
        "bus",
        Text(|w, v| put(&mut w.bus, v)),
        "ID.0, where ID is that of a virtio-serial device; else the first one",
    ),
    property(
        "nr",
        Number(|w, n| {
            w.nr = Some(n);
            Ok(())
        }),
        "its number in the device; else the first one that is free",
    ),
    property("name", Text(|w, v| put(&mut w.name, v)), "what the guest knows it by"),
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

/// Makes all devices, in order.
pub(super) fn build(r: &mut Reader) -> Result<(), UserError> {
    for mut parts in std::mem::take(&mut r.devices) {
        let name = parts.take_first("driver")?.ok_or_else(|| user_error!("-device needs a device"))?;
        let driver = find(&name)?;
        for global in r.globals.iter().filter(|g| driver.is(&g.driver)) {
            parts.add_default(&global.property, &global.value);
        }
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
    Ok(())
}

impl Driver {
    /// Whether it goes by this name, or is of the kind.
    fn is(&self, name: &str) -> bool {
        self.name == name
            || self.aliases.contains(&name)
            || name == "virtio-pci" && self.bus == Bus::Pci && self.name.starts_with("virtio-")
    }

    /// What drivers a PCI function is for. (virtio 1.2, 1.3.1: addresses behind an IOMMU are for modern drivers only.)
    fn interfaces(&self, wish: &Wish) -> Result<Interfaces, UserError> {
        let name = self.name;
        let no_legacy = match wish.disable_legacy.as_deref() {
            None | Some("auto") => wish.access_platform,
            Some(text) => {
                on_off(text).map_err(|e| user_error!("{e}, given as 'disable-legacy' in -device"))?
            }
        };
        let interfaces = match (self.interfaces, no_legacy, wish.disable_modern) {
            (Some(interfaces), ..) => interfaces,
            (None, true, false) => Interfaces::Modern,
            (None, false, false) => Interfaces::Transitional,
            (None, false, true) => Interfaces::Legacy,
            (None, true, true) => {
                return Err(user_error!(
                    "{name} with disable-legacy=on and disable-modern=on is for no driver at all"
                ));
            }
        };
        if wish.access_platform && interfaces != Interfaces::Modern {
            return Err(user_error!("'iommu_platform=on' for {name} needs disable-legacy=on"));
        }
        Ok(interfaces)
    }
}

/// Whether devices of the kind `driver` have the property.
pub(super) fn has(driver: &str, property: &str) -> bool {
    DRIVERS.iter().filter(|d| d.is(driver)).any(|d| match &d.make {
        Build::Device(_, tables) => tables.iter().copied().flatten().any(|p| p.name == property),
        Build::Loader | Build::GuestLoader => false,
    })
}

/// Adds a virtio device where its properties say.
pub(super) fn add(r: &mut Reader, driver: &Driver, wish: &Wish, kind: DeviceKind) -> Result<(), UserError> {
    let bus = match driver.bus {
        Bus::Pci => VirtioBus::Pci { slot: wish.slot, interfaces: driver.interfaces(wish)? },
        _ => VirtioBus::Mmio { transport: wish.bus.as_deref().map(transport).transpose()? },
    };
    if matches!(bus, VirtioBus::Mmio { .. }) && wish.access_platform && r.config.virt.legacy_mmio {
        return Err(user_error!(
            "'iommu_platform=on' for {} needs -global virtio-mmio.force-legacy=off",
            driver.name
        ));
    }
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

fn test_device(r: &mut Reader, driver: &'static Driver, wish: Wish) -> Result<(), UserError> {
    add(r, driver, &wish, DeviceKind::PciTest)
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
