//! ich9-ahci, and the disks that are plugged into it.

use std::sync::Arc;

use emu_devices::ahci::{AhciFunction, Disks, PORTS};
use emu_devices::ata;
use emu_devices::pci::PciFunction;

use super::block::{Contents, queue};
use super::kind::{Given, Model, Reference, Row, To};
use super::plug::{self, Plug};
use super::site::Site;
use crate::config::{MachineConfig, Settings};
use crate::error::{UserError, user_error};
use crate::property::Value::{Only, Text};
use crate::property::{Property, property};

/// A controller: its disks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Controller {
    ports: [Option<Disk>; PORTS],
}

impl Settings for Controller {}

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Disk {
    contents: Contents,
    serial: Option<String>,
    model: Option<String>,
}

impl Settings for Disk {}

/// The row of the controller.
pub static CONTROLLER: Row<Controller> = Row {
    name: "ich9-ahci",
    about: "AHCI controller with six ports",
    given: Given::Anywhere,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Pci(build),
};

fn build(wanted: &Controller, site: &mut dyn Site) -> Result<Arc<dyn PciFunction>, UserError> {
    let mut disks = Disks::default();
    for (n, (port, disk)) in disks.iter_mut().zip(&wanted.ports).enumerate() {
        let Some(disk) = disk else { continue };
        let options = ata::DiskOptions {
            serial: disk.serial.clone().unwrap_or_else(|| format!("US{:05}", n + 1)),
            model: disk.model.clone().unwrap_or_else(|| "UNDERSTAGE HARDDISK".to_owned()),
        };
        *port = Some(ata::Disk::new(queue(&disk.contents, site, "ich9-ahci")?, options, site.counters()));
    }
    Ok(AhciFunction::new(&site.name("ich9-ahci"), disks, site.clock(), site.counters()))
}

/// The row of the disk.
pub static DISK: Row<Disk> = Row {
    name: "ide-hd",
    about: "disk of an AHCI controller",
    given: Given::Anywhere,
    option: None,
    properties: PROPERTIES,
    references: &[Reference {
        name: "drive",
        to: To::Drive(|d, disk| d.contents = Contents::Image(disk)),
        required: true,
    }],
    check: |_, _| Ok(()),
    model: Model::Part(plug::DRIVE, add),
};

const PROPERTIES: &[Property<Disk>] = &[
    property(
        "serial",
        Text(|d, v| text(&mut d.serial, "serial", v, 20)),
        "serial number, at most 20 printable ASCII characters",
    ),
    property(
        "model",
        Text(|d, v| text(&mut d.model, "model", v, 40)),
        "model, at most 40 printable ASCII characters",
    ),
    property("logical_block_size", Only(&["512"]), "sectors have 512 bytes"),
    property("physical_block_size", Only(&["512"]), "sectors have 512 bytes"),
    property("write-cache", Only(&["on", "auto"]), "the disk has a write cache, and the guest flushes it"),
    property("share-rw", Only(&["off"]), "an image has one writer"),
];

/// What fits into a field of IDENTIFY DEVICE.
fn text(slot: &mut Option<String>, name: &str, value: &str, most: usize) -> Result<(), UserError> {
    if value.len() > most || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(user_error!("'{name}={value}' is not at most {most} printable ASCII characters"));
    }
    *slot = Some(value.to_owned());
    Ok(())
}

fn add(disk: Disk, plug: &Plug, name: &str, machine: &mut MachineConfig) -> Result<(), UserError> {
    let (id, port) = match plug.bus.as_deref() {
        None => (None, None),
        Some(bus) => {
            let parts = bus.rsplit_once('.').and_then(|(id, n)| Some((id, n.parse::<usize>().ok()?)));
            let (id, port) = parts.filter(|(_, n)| *n < PORTS).ok_or_else(|| no_bus(bus, name))?;
            (Some(id), Some(port))
        }
    };
    let device = machine.devices.iter_mut().find(|device| {
        device.told::<Controller>().is_some() && id.is_none_or(|id| device.id.as_deref() == Some(id))
    });
    let controller = device.and_then(|device| device.told_mut::<Controller>());
    let controller = controller.ok_or_else(|| match &plug.bus {
        Some(bus) => no_bus(bus, name),
        None => user_error!("{name} needs an ich9-ahci before it"),
    })?;
    let free = || controller.ports.iter().position(Option::is_none);
    let port = port.or_else(free).ok_or_else(|| user_error!("there is no free port for {name}"))?;
    match controller.ports[port].replace(disk) {
        None => Ok(()),
        Some(_) => Err(user_error!("two drives are to be on port {port} of an ich9-ahci")),
    }
}

fn no_bus(bus: &str, name: &str) -> UserError {
    user_error!("there is no bus '{bus}' for {name} before it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bus, Device};

    fn machine() -> MachineConfig {
        let mut machine = MachineConfig::default();
        machine.devices.push(Device { id: Some("a".into()), ..Device::new(Controller::default(), Bus::PCI) });
        machine
    }

    fn plug(bus: Option<&str>) -> Plug {
        let mut plug = Plug::new("--device", false);
        plug.bus = bus.map(str::to_owned);
        plug
    }

    #[test]
    fn disks_have_the_port_that_they_name_or_the_first_free_one() {
        let mut machine = machine();
        let mut put =
            |bus| add(Disk::default(), &plug(bus), "ide-hd", &mut machine).map_err(|e| e.to_string());
        assert_eq!(put(Some("a.1")), Ok(()));
        assert_eq!((put(None), put(None)), (Ok(()), Ok(())));
        assert_eq!(put(Some("a.2")), Err("two drives are to be on port 2 of an ich9-ahci".into()));
        for bus in ["b.0", "a.6", "a", "a.x"] {
            assert_eq!(put(Some(bus)), Err(format!("there is no bus '{bus}' for ide-hd before it")));
        }
        let none = add(Disk::default(), &plug(None), "ide-hd", &mut MachineConfig::default());
        assert_eq!(none.unwrap_err().to_string(), "ide-hd needs an ich9-ahci before it");
    }

    #[test]
    fn names_fit_into_their_fields() {
        let mut slot = None;
        assert_eq!((text(&mut slot, "serial", "AB 1", 20), slot.as_deref()), (Ok(()), Some("AB 1")));
        for wrong in ["123456789012345678901", "\u{e4}"] {
            assert!(text(&mut None, "serial", wrong, 20).is_err());
        }
    }
}
