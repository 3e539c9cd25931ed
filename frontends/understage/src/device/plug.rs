//! Where a device is plugged in, as its name and its properties say: the forms of names, and the properties that devices
//! have because of the bus that they are on.

use super::is_bridge;
use crate::config::{Bus, Interfaces, MachineConfig, PciPlug};
use crate::error::{UserError, user_error};
use crate::keyval::{Parts, on_off};
use crate::map::VIRTIO_MMIO_COUNT;
use crate::property::Value::{Only, Switch, Text};
use crate::property::{Property, property};

/// A bus that devices are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plugs {
    /// The PCIe root bus.
    Pci,
    /// One of the board's virtio-mmio transports.
    Virtio,
    /// A virtio-serial device.
    VirtioSerial,
    /// An NVMe controller.
    Nvme,
    /// A port of an AHCI controller.
    Ide,
    /// The system bus.
    System,
    /// Nothing.
    None,
}

impl Plugs {
    /// What lists of devices call it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Pci => Some("PCI"),
            Self::Virtio => Some("virtio-bus"),
            Self::VirtioSerial => Some("virtio-serial-bus"),
            Self::Nvme => Some("nvme-bus"),
            Self::Ide => Some("IDE"),
            Self::System => Some("System"),
            Self::None => None,
        }
    }
}

/// A form of a kind's name, and what is meant by it.
pub struct Form {
    /// What stands behind the name of the kind.
    pub suffix: &'static str,
    /// The bus.
    pub bus: Plugs,
    /// What drivers the device is for, if its name says so.
    pub interfaces: Option<Interfaces>,
    /// The properties that come with the bus.
    pub properties: &'static [&'static [Property<Plug>]],
}

const fn form(suffix: &'static str, bus: Plugs, properties: &'static [&'static [Property<Plug>]]) -> Form {
    Form { suffix, bus, interfaces: None, properties }
}

/// A virtio device can be on PCI, for drivers that its properties or its name say, or on a transport of the board's. The
/// name of the kind alone stands for the first.
pub static VIRTIO: &[Form] = &[
    form("-pci", Plugs::Pci, &[NAME, OFFERS, PCI, INTERFACES]),
    Form {
        interfaces: Some(Interfaces::Transitional),
        ..form("-pci-transitional", Plugs::Pci, &[NAME, OFFERS, PCI])
    },
    Form {
        interfaces: Some(Interfaces::Modern),
        ..form("-pci-non-transitional", Plugs::Pci, &[NAME, OFFERS, PCI])
    },
    form("-device", Plugs::Virtio, &[NAME, OFFERS, MMIO]),
];

/// Another PCI function.
pub static FUNCTION: &[Form] = &[form("", Plugs::Pci, &[NAME, PCI])];
/// A device at an address of its own.
pub static PLATFORM: &[Form] = &[form("", Plugs::System, &[NAME])];
/// A port of a virtio-serial device.
pub static PORT: &[Form] = &[form("", Plugs::VirtioSerial, &[NAME, SERIAL_BUS])];
/// A namespace of an NVMe controller.
pub static NAMESPACE: &[Form] = &[form("", Plugs::Nvme, &[NAME, NVME_BUS])];
/// A drive of an AHCI controller.
pub static DRIVE: &[Form] = &[form("", Plugs::Ide, &[NAME, IDE_BUS])];
/// What is called a device on the command line, and is none.
pub static NO_DEVICE: &[Form] = &[form("", Plugs::None, &[NAME])];

/// Takes the form away that `bus=pci` or `bus=mmio` says; the first one if nothing does.
pub fn take_form(parts: &mut Parts, forms: &'static [Form]) -> Result<&'static Form, UserError> {
    let wanted = match parts.take("bus")?.as_deref() {
        None | Some("pci") => Plugs::Pci,
        Some("mmio") => Plugs::Virtio,
        // The bus below a bridge.
        Some(other) => {
            parts.push("bus", other);
            Plugs::Pci
        }
    };
    Ok(forms.iter().find(|form| form.bus == wanted).unwrap_or(&forms[0]))
}

/// What the properties say that come with a bus.
#[derive(Clone, Debug, Default)]
pub struct Plug {
    /// The option that gives them, for messages.
    option: &'static str,
    /// The device's name.
    pub id: Option<String>,
    /// The bus, where there are several.
    pub bus: Option<String>,
    slot: Option<u8>,
    function: u8,
    multifunction: bool,
    access_platform: Option<bool>,
    /// What the command line means by no word about it.
    offers_access_platform: bool,
    disable_legacy: Option<String>,
    disable_modern: bool,
}

/// What every device has.
const NAME: &[Property<Plug>] = &[property("id", Text(|p, v| put(&mut p.id, v)), "its name")];

/// What every virtio device has.
const OFFERS: &[Property<Plug>] = &[
    property(
        "iommu_platform",
        Switch(|p, on| p.access_platform = Some(on)),
        "offer VIRTIO_F_ACCESS_PLATFORM",
    ),
    property("event_idx", Only(&["on"]), "VIRTIO_F_EVENT_IDX is offered"),
    property("indirect_desc", Only(&["on"]), "VIRTIO_F_INDIRECT_DESC is offered"),
    property("packed", Only(&["off"]), "there are split queues only"),
];

/// What a PCI function has.
const PCI: &[Property<Plug>] = &[
    property("bus", Text(|p, v| put(&mut p.bus, v)), "pcie.0, or the id of a root port"),
    property(
        "addr",
        Text(pci_address),
        "SLOT[.FUNCTION], hexadecimal: 1 to 1f on pcie.0, 0 below a root port",
    ),
    property(
        "multifunction",
        Switch(|p, on| p.multifunction = on),
        "there may be more functions in the slot, of which this is number 0",
    ),
    property("ats", Only(&["off"]), "there are no address translation services"),
    property("aer", Only(&["off"]), "there is no advanced error reporting"),
    property("romfile", Only(&[""]), "there are no option ROMs"),
    property("rombar", Only(&["0"]), "there are no option ROMs"),
];

/// What a virtio function has whose name does not say what drivers it is for.
const INTERFACES: &[Property<Plug>] = &[
    property(
        "disable-legacy",
        Text(|p, v| put(&mut p.disable_legacy, v)),
        "on, off or auto (off, unless there is an IOMMU): whether drivers of before virtio 1.0 can use it",
    ),
    property("disable-modern", Switch(|p, on| p.disable_modern = on), "drivers of virtio 1.0 cannot use it"),
];

/// What a device of the board's virtio-mmio transports has.
const MMIO: &[Property<Plug>] = &[property(
    "bus",
    Text(|p, v| put(&mut p.bus, v)),
    "virtio-mmio-bus.N: the transport at 0xa000000 + N * 0x200",
)];

/// What a port has.
const SERIAL_BUS: &[Property<Plug>] = &[property(
    "bus",
    Text(|p, v| put(&mut p.bus, v)),
    "ID.0, where ID is that of a virtio-serial device; else the first one",
)];

/// What a namespace has.
const NVME_BUS: &[Property<Plug>] = &[property(
    "bus",
    Text(|p, v| put(&mut p.bus, v)),
    "the id of an NVMe controller; else the last one before it",
)];
/// What a drive has.
const IDE_BUS: &[Property<Plug>] = &[
    property(
        "bus",
        Text(|p, v| put(&mut p.bus, v)),
        "ID.N, where ID is that of an AHCI controller and N its port, 0 to 5; else the first free port",
    ),
    property("unit", Only(&["0"]), "a port has one drive"),
];

fn put(slot: &mut Option<String>, value: &str) -> Result<(), UserError> {
    *slot = Some(value.to_owned());
    Ok(())
}

/// `addr=SLOT[.FUNCTION]`, hexadecimal.
fn pci_address(p: &mut Plug, text: &str) -> Result<(), UserError> {
    let (slot, function) = text.split_once('.').unwrap_or((text, "0"));
    let option = p.option;
    let number = |text: &str, most: u8| {
        u8::from_str_radix(text.trim_start_matches("0x"), 16).ok().filter(|n| *n <= most)
    };
    let slot = number(slot, 31)
        .ok_or_else(|| user_error!("'addr={text}' in {option} is not a free slot (1 to 1f, hexadecimal)"))?;
    let function = number(function, 7)
        .ok_or_else(|| user_error!("'addr={text}' in {option} is no function: a device has 0 to 7"))?;
    (p.slot, p.function) = (Some(slot), function);
    Ok(())
}

impl Plug {
    /// Of a command line whose devices are given with `option`, and offer VIRTIO_F_ACCESS_PLATFORM unless they say otherwise
    /// if `offers_access_platform`.
    #[must_use]
    pub fn new(option: &'static str, offers_access_platform: bool) -> Self {
        Self { option, offers_access_platform, ..Self::default() }
    }

    /// Where the device called `name` is, in the form that it is named, and whether it offers VIRTIO_F_ACCESS_PLATFORM.
    pub fn place(&self, name: &str, form: &Form, machine: &MachineConfig) -> Result<(Bus, bool), UserError> {
        let offers = self.access_platform.unwrap_or(self.offers_access_platform);
        match form.bus {
            Plugs::Pci => {
                self.bridge(machine)?;
                let interfaces = self.interfaces(name, form)?;
                Ok((Bus::Pci { slot: self.slot, interfaces }, offers && interfaces == Interfaces::Modern))
            }
            Plugs::Virtio if offers && machine.virt.legacy_mmio => {
                Err(user_error!("'iommu_platform=on' for {name} needs -global virtio-mmio.force-legacy=off"))
            }
            Plugs::Virtio => Ok((
                Bus::Mmio { transport: self.bus.as_deref().map(|b| self.transport(b)).transpose()? },
                offers,
            )),
            Plugs::System | Plugs::VirtioSerial | Plugs::Nvme | Plugs::Ide | Plugs::None => {
                Ok((Bus::Platform, false))
            }
        }
    }

    /// What it says of a function's place beside the slot.
    #[must_use]
    pub fn pci(&self, form: &Form) -> PciPlug {
        let bus = self.bridge_id().filter(|_| form.bus == Plugs::Pci).map(str::to_owned);
        PciPlug { bus, function: self.function, multifunction: self.multifunction }
    }

    /// The id of a bridge; none for the root bus.
    fn bridge_id(&self) -> Option<&str> {
        self.bus.as_deref().filter(|bus| !matches!(*bus, "pcie.0" | "pcie"))
    }

    /// There is the bridge that a function is to be below, and it has such a slot.
    fn bridge(&self, machine: &MachineConfig) -> Result<(), UserError> {
        let option = self.option;
        let Some(bus) = self.bridge_id() else {
            return match self.slot {
                Some(0) => Err(user_error!(
                    "'addr=0' in {option} is not a free slot (1 to 1f, hexadecimal): the host bridge is there"
                )),
                _ => Ok(()),
            };
        };
        if !machine.devices.iter().any(|d| d.id.as_deref() == Some(bus) && is_bridge(d)) {
            return Err(user_error!(
                "there is no bus '{bus}' in {option}: there is pcie.0, and one below each root port before it"
            ));
        }
        match self.slot {
            None | Some(0) => Ok(()),
            Some(slot) => Err(user_error!(
                "'addr={slot:x}' in {option}: below a root port, as '{bus}', there is slot 0 only"
            )),
        }
    }

    /// The number in `virtio-mmio-bus.N`.
    fn transport(&self, bus: &str) -> Result<u8, UserError> {
        let n = bus.strip_prefix("virtio-mmio-bus.").and_then(|n| n.parse::<u8>().ok());
        n.filter(|n| u32::from(*n) < VIRTIO_MMIO_COUNT).ok_or_else(|| {
            let (option, last) = (self.option, VIRTIO_MMIO_COUNT - 1);
            user_error!(
                "there is no bus '{bus}' in {option}: there are virtio-mmio-bus.0 to virtio-mmio-bus.{last}"
            )
        })
    }

    /// What drivers a PCI function is for. (virtio 1.2, 1.3.1: addresses behind an IOMMU are for modern drivers only.)
    fn interfaces(&self, name: &str, form: &Form) -> Result<Interfaces, UserError> {
        let no_legacy = match self.disable_legacy.as_deref() {
            None | Some("auto") => {
                self.access_platform.unwrap_or(self.offers_access_platform && !self.disable_modern)
            }
            Some(text) => {
                on_off(text).map_err(|e| user_error!("{e}, given as 'disable-legacy' in {}", self.option))?
            }
        };
        let interfaces = match (form.interfaces, no_legacy, self.disable_modern) {
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
        if self.access_platform == Some(true) && interfaces != Interfaces::Modern {
            return Err(user_error!("'iommu_platform=on' for {name} needs disable-legacy=on"));
        }
        Ok(interfaces)
    }
}
