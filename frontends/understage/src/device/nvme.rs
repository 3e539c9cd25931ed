//! An NVMe controller, and its namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use emu_core::clock::Mode;
use emu_devices::nvme::{self, NamespaceOptions, Nvme, NvmeOptions};
use emu_devices::pci::PciFunction;

use super::block::{image, threads};
use super::kind::{Given, Model, Reference, Row, To};
use super::plug::{self, Plug};
use super::site::Site;
use crate::config::{Disk, MachineConfig, Settings};
use crate::error::{UserError, user_error};
use crate::property::Value::{Number, Only, Text};
use crate::property::{Property, property, shown};

/// A controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Controller {
    serial: String,
    queues: u16,
    vectors: Option<u16>,
    mdts: u8,
    events: u8,
    /// The one that its own `drive=` gives: the first.
    own: Namespace,
    others: BTreeMap<u32, Namespace>,
}

impl Default for Controller {
    fn default() -> Self {
        let (own, others) = (Namespace::default(), BTreeMap::new());
        Self { serial: String::new(), queues: 64, vectors: None, mdts: 7, events: 3, own, others }
    }
}

impl Settings for Controller {}

/// A namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    id: Option<u32>,
    disk: Option<Disk>,
    block_size: u32,
    eui64: Option<u64>,
    uuid: [u8; 16],
}

impl Default for Namespace {
    fn default() -> Self {
        Self { id: None, disk: None, block_size: 512, eui64: None, uuid: [0; 16] }
    }
}

impl Settings for Namespace {}

/// The identifiers that namespaces have which are told none: locally administered, and one for each number.
const EUI64: u64 = 0x5254_0000_0000_0000;

/// The controller's row.
pub static CONTROLLER: Row<Controller> = Row {
    name: "nvme",
    about: "NVMe controller, with a disk as its first namespace if it has a drive",
    given: Given::Anywhere,
    option: None,
    properties: &[
        shown(property("serial", Text(set_serial), "serial number, at most 20 characters of ASCII"), |c| {
            (!c.serial.is_empty()).then(|| c.serial.clone())
        }),
        shown(
            property(
                "max_ioqpairs",
                Number(|c, n| between(&mut c.queues, n, 1, 256, "max_ioqpairs")),
                "I/O queues, 1 to 256",
            ),
            |c| Some(c.queues.to_string()),
        ),
        shown(
            property(
                "msix_qsize",
                Number(|c, n| {
                    let mut vectors = 0;
                    between(&mut vectors, n, 1, 257, "msix_qsize")?;
                    c.vectors = Some(vectors);
                    Ok(())
                }),
                "MSI-X vectors, 1 to 257; else one more than I/O queues",
            ),
            |c| c.vectors.map(|n| n.to_string()),
        ),
        shown(
            property(
                "mdts",
                Number(|c, n| between(&mut c.mdts, n, 1, 9, "mdts")),
                "largest data transfer: log2 of pages of 4 KiB, 1 to 9",
            ),
            |c| Some(c.mdts.to_string()),
        ),
        shown(
            property(
                "aerl",
                Number(|c, n| between(&mut c.events, n, 0, 7, "aerl")),
                "requests for asynchronous events that can wait, less one: 0 to 7",
            ),
            |c| Some(c.events.to_string()),
        ),
        shown(
            property(
                "logical_block_size",
                Number(|c, n| c.own.set_block_size(n)),
                "that of its own drive: 512 or 4096",
            ),
            |c| Some(c.own.block_size.to_string()),
        ),
        property(
            "write-cache",
            Only(&["on", "auto"]),
            "there is a volatile write cache, and the guest flushes it",
        ),
        property("share-rw", Only(&["off"]), "an image has one writer"),
        property("cmb_size_mb", Only(&["0"]), "there is no controller memory buffer"),
        property("legacy-cmb", Only(&["off"]), "there is no controller memory buffer"),
        property("num_queues", Only(&["0"]), "the number of I/O queues is max_ioqpairs"),
        property("zoned.zasl", Only(&["0"]), "there are no zoned namespaces"),
        property("use-intel-id", Only(&["off"]), "it is not one of Intel's"),
        property("sriov_max_vfs", Only(&["0"]), "there are no virtual functions"),
    ],
    references: &[Reference {
        name: "drive",
        to: To::Drive(|c, disk| c.own.disk = Some(disk)),
        required: false,
    }],
    check: |controller, name| match controller.serial.is_empty() {
        false => Ok(()),
        true => Err(user_error!("{name} needs 'serial='")),
    },
    model: Model::Pci(build),
};

/// The row of namespaces.
pub static NAMESPACE: Row<Namespace> = Row {
    name: "nvme-ns",
    about: "namespace of an NVMe controller: a disk",
    given: Given::Anywhere,
    option: None,
    properties: NAMESPACE_PROPERTIES,
    references: &[Reference { name: "drive", to: To::Drive(|n, disk| n.disk = Some(disk)), required: true }],
    check: |_, _| Ok(()),
    model: Model::Part(plug::NAMESPACE, join),
};

const NAMESPACE_PROPERTIES: &[Property<Namespace>] = &[
    property(
        "nsid",
        Number(|n, id| {
            let mut given = 0;
            between(&mut given, id, 1, nvme::Namespace::MAX.into(), "nsid")?;
            n.id = Some(given);
            Ok(())
        }),
        "Namespace Identifier, 1 to 256; else the first one that is free",
    ),
    property(
        "eui64",
        Number(|n, id| {
            n.eui64 = Some(id);
            Ok(())
        }),
        "IEEE Extended Unique Identifier; 0 is none",
    ),
    property("uuid", Text(set_uuid), "UUID"),
    property("logical_block_size", Number(Namespace::set_block_size), "512 or 4096"),
    property(
        "write-cache",
        Only(&["on", "auto"]),
        "there is a volatile write cache, and the guest flushes it",
    ),
    property("share-rw", Only(&["off"]), "an image has one writer"),
    property("shared", Only(&["off"]), "a namespace belongs to one controller"),
    property("detached", Only(&["off"]), "a namespace is attached to its controller"),
    property("zoned", Only(&["off"]), "there are no zoned namespaces"),
    property("ms", Only(&["0"]), "there is no metadata"),
    property("pi", Only(&["0"]), "there is no protection information"),
];

/// Sets a number that has bounds.
fn between<T: TryFrom<u64>>(to: &mut T, n: u64, least: u64, most: u64, name: &str) -> Result<(), UserError> {
    match T::try_from(n) {
        Ok(value) if (least..=most).contains(&n) => *to = value,
        _ => return Err(user_error!("{name}={n} is not from {least} to {most}")),
    }
    Ok(())
}

fn set_serial(controller: &mut Controller, text: &str) -> Result<(), UserError> {
    if !(1..=20).contains(&text.len()) || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(user_error!("the serial number '{text}' is not 1 to 20 characters of ASCII"));
    }
    text.clone_into(&mut controller.serial);
    Ok(())
}

fn set_uuid(namespace: &mut Namespace, text: &str) -> Result<(), UserError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number =
        u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32 && !digits.starts_with('+'));
    let number =
        number.ok_or_else(|| user_error!("'uuid={text}' is no UUID: it has 32 hexadecimal digits"))?;
    namespace.uuid = number.to_be_bytes();
    Ok(())
}

impl Namespace {
    fn set_block_size(&mut self, bytes: u64) -> Result<(), UserError> {
        match bytes {
            512 | 4096 => self.block_size = bytes as u32,
            _ => return Err(user_error!("logical_block_size={bytes} is neither 512 nor 4096")),
        }
        Ok(())
    }

    fn options(
        &self,
        id: u32,
        disk: &Disk,
        threads: usize,
        site: &dyn Site,
    ) -> Result<NamespaceOptions, UserError> {
        let disk = image(disk, site, "nvme", threads)?;
        let eui64 = self.eui64.unwrap_or(EUI64 + u64::from(id));
        Ok(NamespaceOptions { id, disk, block_size: self.block_size, eui64, uuid: self.uuid })
    }
}

/// Gives a namespace to its controller.
fn join(
    mut namespace: Namespace,
    plug: &Plug,
    name: &str,
    machine: &mut MachineConfig,
) -> Result<(), UserError> {
    let mut controllers = machine.devices.iter_mut().rev().filter_map(|device| {
        let id = device.id.clone();
        Some((id, device.told_mut::<Controller>()?))
    });
    let found = match &plug.bus {
        Some(bus) => controllers.find(|(id, _)| id.as_ref() == Some(bus)),
        None => controllers.next(),
    };
    let (_, controller) = found.ok_or_else(|| match &plug.bus {
        Some(bus) => user_error!("there is no NVMe controller '{bus}' for {name} before it"),
        None => user_error!("{name} needs an NVMe controller before it"),
    })?;
    let taken = |id: u32| id == 1 && controller.own.disk.is_some() || controller.others.contains_key(&id);
    let id = namespace.id.or_else(|| (1..=nvme::Namespace::MAX).find(|id| !taken(*id)));
    let id = id.ok_or_else(|| user_error!("an NVMe controller has no room for {name}"))?;
    if taken(id) {
        return Err(user_error!("two namespaces of an NVMe controller are to have nsid={id}"));
    }
    namespace.id = Some(id);
    controller.others.insert(id, namespace);
    Ok(())
}

fn build(controller: &Controller, site: &mut dyn Site) -> Result<Arc<dyn PciFunction>, UserError> {
    // In instruction-counted time nothing is done beside the CPUs, so that a run is repeatable.
    let inline = site.clock().mode() == Mode::Counted;
    let threads = threads(site);
    let options = NvmeOptions {
        serial: controller.serial.clone(),
        queues: controller.queues,
        vectors: controller.vectors.unwrap_or(controller.queues + 1),
        mdts: controller.mdts,
        events: controller.events,
        inline,
    };
    let own = controller.own.disk.as_ref().map(|disk| controller.own.options(1, disk, threads, site));
    let others =
        controller.others.iter().filter_map(|(id, n)| Some(n.options(*id, n.disk.as_ref()?, threads, site)));
    let namespaces = own.into_iter().chain(others).collect::<Result<Vec<_>, _>>()?;
    Ok(Nvme::new(&site.name("nvme"), options, namespaces, site.counters()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_namespace_can_be_told() {
        let mut n = Namespace::default();
        assert_eq!((n.set_block_size(4096), n.block_size), (Ok(()), 4096));
        assert!(n.set_block_size(1024).is_err());
        assert_eq!(set_uuid(&mut n, "00112233-4455-6677-8899-aabbccddeeff"), Ok(()));
        assert_eq!((n.uuid[1], n.uuid[15]), (0x11, 0xff));
        for wrong in
            ["", "00112233", "+0112233-4455-6677-8899-aabbccddeeff", "x0112233-4455-6677-8899-aabbccddeeff"]
        {
            assert!(set_uuid(&mut n, wrong).is_err(), "{wrong}");
        }
        let mut c = Controller::default();
        assert!(set_serial(&mut c, "").is_err() && set_serial(&mut c, &"x".repeat(21)).is_err());
        assert!(set_serial(&mut c, "ü").is_err());
        assert_eq!((set_serial(&mut c, "A 1"), c.serial.as_str()), (Ok(()), "A 1"));
        let wrong = between(&mut c.mdts, 10, 1, 9, "mdts").unwrap_err();
        assert_eq!(wrong.to_string(), "mdts=10 is not from 1 to 9");
    }

    #[test]
    fn namespaces_join_the_controller_that_they_name() {
        let mut machine = MachineConfig::default();
        for id in ["a", "b"] {
            let file = crate::config::HostFile::new("-drive", "disk.img");
            let disk = Disk {
                id: crate::config::Label::default(),
                file,
                format: None,
                readonly: false,
                snapshot: false,
            };
            let own = Namespace { disk: (id == "b").then_some(disk), ..Namespace::default() };
            let settings = Box::new(Controller { own, ..Controller::default() });
            let bus = crate::config::Bus::Pci { slot: None, interfaces: crate::config::Interfaces::Modern };
            let id = Some(id.to_owned());
            machine.devices.push(crate::config::Device {
                id,
                bus,
                pci: Default::default(),
                access_platform: false,
                settings,
            });
        }
        let mut add = |bus: Option<&str>, id| {
            let mut plug = Plug::new("-device", false);
            plug.bus = bus.map(str::to_owned);
            join(Namespace { id, ..Namespace::default() }, &plug, "nvme-ns", &mut machine)
        };
        assert_eq!(
            (add(None, None), add(Some("a"), None), add(Some("a"), Some(7))),
            (Ok(()), Ok(()), Ok(()))
        );
        let message = |e: Result<(), UserError>| e.unwrap_err().to_string();
        assert_eq!(
            message(add(Some("a"), Some(7))),
            "two namespaces of an NVMe controller are to have nsid=7"
        );
        assert_eq!(
            message(add(Some("b"), Some(1))),
            "two namespaces of an NVMe controller are to have nsid=1"
        );
        assert_eq!(message(add(Some("c"), None)), "there is no NVMe controller 'c' for nvme-ns before it");
        let ids: Vec<Vec<u32>> = machine
            .devices
            .iter()
            .filter_map(|d| Some(d.told::<Controller>()?.others.keys().copied().collect()))
            .collect();
        assert_eq!(ids, [vec![1, 7], vec![2]]);
    }
}
