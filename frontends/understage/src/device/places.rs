//! Which device gets which place: PCI device numbers, virtio-mmio transports, places on the system bus.

use std::collections::{BTreeMap, HashMap};

use emu_devices::pci::{BusId, Position};

use super::{is_bridge, kind_of, root_port};
use crate::config::{Bus, Device};
use crate::error::{UserError, user_error};
use crate::map::{Resources, VIRTIO_MMIO_COUNT};

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A function of the PCI tree.
    Pci(Position),
    /// Index of the virtio-mmio transport.
    Mmio(u32),
    /// On the system bus.
    Platform(Spot),
}

/// A place on the system bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    /// Registers and interrupts.
    pub resources: &'static Resources,
    /// It is the how manieth place of its kind, from 0.
    pub number: usize,
}

/// What is taken.
#[derive(Default)]
struct Taken {
    /// The devices of each PCI bus and their functions.
    slots: BTreeMap<(BusId, u8), Slot>,
    /// The buses below bridges, by the ids of these.
    buses: HashMap<String, BusId>,
    /// A bit for each transport.
    transports: u64,
    /// First addresses on the system bus.
    platform: Vec<u64>,
}

/// A slot of a PCI bus.
#[derive(Default)]
struct Slot {
    /// A bit for each function.
    functions: u8,
    /// Function 0 says that there may be others.
    multifunction: bool,
}

/// What a slot is called.
fn slot_name(device: &Device, slot: u8) -> String {
    let bus = device.pci.bus.as_ref().map_or_else(String::new, |bus| format!(" of bus '{bus}'"));
    format!("PCI slot {slot:#x}{bus}")
}

/// What the PCI buses are called, by their numbers.
#[must_use]
pub fn bus_names(devices: &[&Device]) -> Vec<String> {
    let bridges = devices.iter().filter(|d| is_bridge(d)).map(|d| d.id.clone().unwrap_or_default());
    ["pcie.0".to_owned()].into_iter().chain(bridges).collect()
}

/// The places of `devices`, in their order. Those that name theirs have it; transports are given out from the last one down,
/// as QEMU does, so that a guest finds the same device at the same address.
pub fn assign(devices: &[&Device]) -> Result<Vec<Place>, UserError> {
    root_port::check(devices)?;
    let mut taken = Taken::default();
    let host_bridge = Slot { functions: 1, multifunction: false };
    taken.slots.insert((BusId::ROOT, 0), host_bridge);
    for (n, name) in bus_names(devices).into_iter().enumerate().skip(1) {
        let id = u16::try_from(n).map_err(|_| user_error!("there are too many root ports"))?;
        taken.buses.entry(name).or_insert(BusId(id));
    }
    devices.iter().try_for_each(|device| taken.reserve(device))?;
    let places = devices.iter().map(|device| taken.place(device)).collect::<Result<Vec<_>, _>>()?;
    devices.iter().zip(&places).try_for_each(|(device, place)| taken.check(device, *place))?;
    Ok(places)
}

impl Taken {
    /// The place that a device names.
    fn reserve(&mut self, device: &Device) -> Result<(), UserError> {
        match device.bus {
            Bus::Pci { slot, .. } => {
                if let Some(at) = self.named(device, slot)? {
                    self.take(device, at)?;
                }
            }
            Bus::Mmio { transport: Some(n) } => {
                if self.transports >> n & 1 != 0 {
                    return Err(user_error!("two devices are to be on virtio-mmio transport {n}"));
                }
                self.transports |= 1 << n;
            }
            Bus::Mmio { .. } | Bus::Platform => {}
        }
        Ok(())
    }

    fn place(&mut self, device: &Device) -> Result<Place, UserError> {
        match device.bus {
            Bus::Pci { slot, .. } => match self.named(device, slot)? {
                Some(at) => Ok(Place::Pci(at)),
                None => {
                    let at = Position::new(BusId::ROOT, self.free_slot()?, 0);
                    self.take(device, at)?;
                    Ok(Place::Pci(at))
                }
            },
            Bus::Mmio { transport: Some(n) } => Ok(Place::Mmio(n.into())),
            Bus::Mmio { transport: None } => self.free_transport().map(Place::Mmio),
            Bus::Platform => self.spot(device).map(Place::Platform),
        }
    }

    /// The place on PCI that a device names: below a bridge there is one slot only.
    fn named(&self, device: &Device, slot: Option<u8>) -> Result<Option<Position>, UserError> {
        let function = device.pci.function;
        let Some(bus) = &device.pci.bus else {
            return Ok(slot.map(|slot| Position::new(BusId::ROOT, slot, function)));
        };
        let id = self.buses.get(bus).ok_or_else(|| user_error!("there is no bus '{bus}'"))?;
        Ok(Some(Position::new(*id, slot.unwrap_or(0), function)))
    }

    /// The device has this place.
    fn take(&mut self, device: &Device, at: Position) -> Result<(), UserError> {
        let slot = self.slots.entry((at.bus, at.device())).or_default();
        let bit = 1 << at.function();
        if slot.functions & bit != 0 {
            let (name, function) = (slot_name(device, at.device()), at.function());
            let which = if function == 0 { String::new() } else { format!("function {function} of ") };
            return Err(user_error!("two devices are to be in {which}{name}"));
        }
        slot.functions |= bit;
        if at.function() == 0 {
            slot.multifunction = device.pci.multifunction;
        }
        Ok(())
    }

    /// Where a slot has a function beside number 0, this says so. (Without a number 0 drivers find nothing unless they look for
    /// each number, as some do.)
    fn check(&self, device: &Device, place: Place) -> Result<(), UserError> {
        let Place::Pci(at) = place else { return Ok(()) };
        match self.slots.get(&(at.bus, at.device())) {
            Some(slot) if slot.functions & 1 != 0 && slot.functions != 1 && !slot.multifunction => {
                Err(user_error!(
                    "{} is to have several functions: its function 0 needs multifunction=on",
                    slot_name(device, at.device())
                ))
            }
            _ => Ok(()),
        }
    }

    fn free_slot(&self) -> Result<u8, UserError> {
        let free = (1..32).find(|slot| !self.slots.contains_key(&(BusId::ROOT, *slot)));
        free.ok_or_else(|| user_error!("there are more PCI devices than the 31 that the root bus takes"))
    }

    fn free_transport(&mut self) -> Result<u32, UserError> {
        let free = (0..VIRTIO_MMIO_COUNT).rev().find(|n| self.transports >> n & 1 == 0);
        let n = free.ok_or_else(|| {
            user_error!("there are more virtio-mmio devices than the board's {VIRTIO_MMIO_COUNT} transports")
        })?;
        self.transports |= 1 << n;
        Ok(n)
    }

    fn spot(&mut self, device: &Device) -> Result<Spot, UserError> {
        let kind = kind_of(device)?;
        let places = kind.places(&*device.settings);
        let free = places.iter().enumerate().find(|(_, place)| !self.platform.contains(&place.range.base));
        let (number, resources) = free.ok_or_else(|| {
            let (name, most) = (kind.name(), places.len());
            user_error!("there are more devices {name} than the {most} that the board takes")
        })?;
        self.platform.push(resources.range.base);
        Ok(Spot { resources, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Interfaces, PciPlug};
    use crate::device::entropy::Entropy;
    use crate::device::uart::Uart;

    fn at(bus: Bus) -> Device {
        Device::new(Entropy::default(), bus)
    }

    fn pci(slot: Option<u8>) -> Device {
        at(Bus::Pci { slot, interfaces: Interfaces::Modern })
    }

    fn mmio(transport: Option<u8>) -> Device {
        at(Bus::Mmio { transport })
    }

    #[test]
    fn named_slots_are_kept_free() {
        let devices =
            [pci(None), pci(Some(2)), mmio(None), pci(None), mmio(Some(30)), mmio(None), mmio(Some(0))];
        let slot = |n| Place::Pci(Position::new(BusId::ROOT, n, 0));
        let places =
            [slot(1), slot(2), Place::Mmio(31), slot(3), Place::Mmio(30), Place::Mmio(29), Place::Mmio(0)];
        assert_eq!(assign(&devices.iter().collect::<Vec<_>>()).unwrap(), places);
    }

    #[test]
    fn too_many_or_the_same() {
        let assign = |devices: &[Device]| super::assign(&devices.iter().collect::<Vec<_>>());
        let e = |devices: Vec<Device>| assign(&devices).unwrap_err().to_string();
        assert_eq!(e(vec![pci(Some(4)), pci(Some(4))]), "two devices are to be in PCI slot 0x4");
        assert!(e(vec![pci(None); 32]).contains("31"));
        assert!(assign(&vec![pci(None); 31]).is_ok());
        assert_eq!(e(vec![mmio(Some(4)); 2]), "two devices are to be on virtio-mmio transport 4");
        assert!(e(vec![mmio(None); 33]).contains("32 transports"));
        let uart = Device::new(Uart::default(), Bus::Platform);
        assert_eq!(e(vec![uart; 3]), "there are more devices pl011 than the 2 that the board takes");
    }

    fn port(id: &str, slot: &str) -> Device {
        let line =
            format!("-M virt -cpu max -display none -kernel k -device pcie-root-port,id={id},slot={slot}");
        let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
        match crate::qemu::parse(&words) {
            Ok(crate::qemu::Request::Run(mut config)) => config.devices.remove(0),
            _ => panic!("{line}"),
        }
    }

    fn below(bus: &str, function: u8, multifunction: bool) -> Device {
        let pci_plug = PciPlug { bus: Some(bus.to_owned()), function, multifunction };
        Device { pci: pci_plug, ..pci(None) }
    }

    #[test]
    fn below_a_root_port_there_is_one_slot_with_functions() {
        let devices =
            [port("a", "1"), below("a", 0, true), port("b", "2"), below("a", 3, false), below("b", 0, false)];
        let at = |bus, slot, function| Place::Pci(Position::new(BusId(bus), slot, function));
        let places = [at(0, 1, 0), at(1, 0, 0), at(0, 2, 0), at(1, 0, 3), at(2, 0, 0)];
        assert_eq!(assign(&devices.iter().collect::<Vec<_>>()).unwrap(), places);
        assert_eq!(bus_names(&devices.iter().collect::<Vec<_>>()), ["pcie.0", "a", "b"]);
        let wrong =
            |devices: &[Device]| super::assign(&devices.iter().collect::<Vec<_>>()).unwrap_err().to_string();
        let a = || port("a", "1");
        assert_eq!(
            wrong(&[a(), below("a", 0, false), below("a", 0, false)]),
            "two devices are to be in PCI slot 0x0 of bus 'a'"
        );
        assert_eq!(
            wrong(&[a(), below("a", 0, false), below("a", 1, false)]),
            "PCI slot 0x0 of bus 'a' is to have several functions: its function 0 needs multifunction=on"
        );
        let alone = [a(), below("a", 1, false)];
        assert!(
            super::assign(&alone.iter().collect::<Vec<_>>()).is_ok(),
            "some guests look for each function"
        );
        assert_eq!(
            wrong(&[a(), port("b", "1")]),
            "two pcie-root-ports are to have chassis=0,slot=1: give them different numbers"
        );
        assert_eq!(
            wrong(&[a(), Device { pci: below("a", 0, false).pci, ..port("b", "2") }]),
            "a pcie-root-port can be on the bus pcie.0 only, and not on 'a'"
        );
    }

    #[test]
    fn devices_on_the_system_bus_have_the_places_of_their_kind_in_order() {
        let uart = Device::new(Uart::default(), Bus::Platform);
        let bases = |places: Vec<Place>| -> Vec<u64> {
            let base = |place| match place {
                Place::Platform(spot) => spot.resources.range.base,
                other => panic!("{other:?}"),
            };
            places.into_iter().map(base).collect()
        };
        assert_eq!(bases(assign(&[&uart, &uart]).unwrap()), [0x900_0000, 0x904_0000]);
    }
}
