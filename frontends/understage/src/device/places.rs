//! Which device gets which place: PCI device numbers, virtio-mmio transports, places on the system bus.

use super::kind_of;
use crate::config::{Bus, Device};
use crate::error::{UserError, user_error};
use crate::map::{Resources, VIRTIO_MMIO_COUNT};

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Device number on the root bus; function 0.
    Pci(u8),
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
    /// A bit for each device number. Device 0 of the root bus is the host bridge.
    slots: u32,
    /// A bit for each transport.
    transports: u64,
    /// First addresses on the system bus.
    platform: Vec<u64>,
}

/// The places of `devices`, in their order. Those that name theirs have it; transports are given out from the last one down,
/// as QEMU does, so that a guest finds the same device at the same address.
pub fn assign(devices: &[&Device]) -> Result<Vec<Place>, UserError> {
    let mut taken = Taken { slots: 1, ..Taken::default() };
    devices.iter().try_for_each(|device| taken.reserve(device.bus))?;
    devices.iter().map(|device| taken.place(device)).collect()
}

impl Taken {
    /// The place that a device names.
    fn reserve(&mut self, bus: Bus) -> Result<(), UserError> {
        match bus {
            Bus::Pci { slot: Some(slot), .. } => {
                let bit = 1u32.checked_shl(slot.into()).unwrap_or(0);
                if bit == 0 || self.slots & bit != 0 {
                    return Err(user_error!("two devices are to be in PCI slot {slot:#x}"));
                }
                self.slots |= bit;
            }
            Bus::Mmio { transport: Some(n) } => {
                if self.transports >> n & 1 != 0 {
                    return Err(user_error!("two devices are to be on virtio-mmio transport {n}"));
                }
                self.transports |= 1 << n;
            }
            Bus::Pci { .. } | Bus::Mmio { .. } | Bus::Platform => {}
        }
        Ok(())
    }

    fn place(&mut self, device: &Device) -> Result<Place, UserError> {
        match device.bus {
            Bus::Pci { slot: Some(slot), .. } => Ok(Place::Pci(slot)),
            Bus::Pci { slot: None, .. } => self.free_slot().map(Place::Pci),
            Bus::Mmio { transport: Some(n) } => Ok(Place::Mmio(n.into())),
            Bus::Mmio { transport: None } => self.free_transport().map(Place::Mmio),
            Bus::Platform => self.spot(device).map(Place::Platform),
        }
    }

    fn free_slot(&mut self) -> Result<u8, UserError> {
        let slot = self.slots.trailing_ones();
        if slot == 32 {
            return Err(user_error!("there are more PCI devices than the 31 that the root bus takes"));
        }
        self.slots |= 1 << slot;
        Ok(slot as u8)
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
    use crate::config::Interfaces;
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
        let places = [
            Place::Pci(1),
            Place::Pci(2),
            Place::Mmio(31),
            Place::Pci(3),
            Place::Mmio(30),
            Place::Mmio(29),
            Place::Mmio(0),
        ];
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
