//! Which device gets which place: PCI device numbers and virtio-mmio transports.

use crate::config::{Device, VirtioBus};
use crate::error::{UserError, user_error};
use crate::map::VIRTIO_MMIO_COUNT;

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Device number on the root bus; function 0.
    Pci(u8),
    /// Index of the virtio-mmio transport.
    Mmio(u32),
}

/// The places of `devices`, in their order. Device 0 of the root bus is the host bridge. Transports are given out
/// from the last one down, as QEMU does, so that a guest finds the same device at the same address.
pub fn assign(devices: &[Device]) -> Result<Vec<Place>, UserError> {
    let mut taken = 1u32;
    for device in devices {
        if let VirtioBus::Pci { slot: Some(slot), .. } = device.bus {
            let bit = 1u32.checked_shl(slot.into()).unwrap_or(0);
            if bit == 0 || taken & bit != 0 {
                return Err(user_error!("two devices are to be in PCI slot {slot:#x}"));
            }
            taken |= bit;
        }
    }
    let mut transports = 0u64;
    for device in devices {
        if let VirtioBus::Mmio { transport: Some(n) } = device.bus {
            if transports >> n & 1 != 0 {
                return Err(user_error!("two devices are to be on virtio-mmio transport {n}"));
            }
            transports |= 1 << n;
        }
    }
    let mut place = |device: &Device| match device.bus {
        VirtioBus::Pci { slot: Some(slot), .. } => Ok(Place::Pci(slot)),
        VirtioBus::Pci { slot: None, .. } => {
            let slot = taken.trailing_ones();
            if slot == 32 {
                return Err(user_error!("there are more PCI devices than the 31 that the root bus takes"));
            }
            taken |= 1 << slot;
            Ok(Place::Pci(slot as u8))
        }
        VirtioBus::Mmio { transport: Some(n) } => Ok(Place::Mmio(n.into())),
        VirtioBus::Mmio { transport: None } => {
            let free = (0..VIRTIO_MMIO_COUNT).rev().find(|n| transports >> n & 1 == 0);
            let n = free.ok_or_else(|| {
                user_error!(
                    "there are more virtio-mmio devices than the board's {VIRTIO_MMIO_COUNT} transports"
                )
            })?;
            transports |= 1 << n;
            Ok(Place::Mmio(n))
        }
    };
    devices.iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeviceKind, Interfaces};

    fn at(bus: VirtioBus) -> Device {
        Device { kind: DeviceKind::Entropy(None), bus, access_platform: false }
    }

    fn pci(slot: Option<u8>) -> Device {
        at(VirtioBus::Pci { slot, interfaces: Interfaces::Modern })
    }

    fn mmio(transport: Option<u8>) -> Device {
        at(VirtioBus::Mmio { transport })
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
        assert_eq!(assign(&devices).unwrap(), places);
    }

    #[test]
    fn too_many_or_the_same() {
        let e = |devices: Vec<Device>| assign(&devices).unwrap_err().to_string();
        assert_eq!(e(vec![pci(Some(4)), pci(Some(4))]), "two devices are to be in PCI slot 0x4");
        assert!(e(vec![pci(None); 32]).contains("31"));
        assert!(assign(&vec![pci(None); 31]).is_ok());
        assert_eq!(e(vec![mmio(Some(4)); 2]), "two devices are to be on virtio-mmio transport 4");
        assert!(e(vec![mmio(None); 33]).contains("32 transports"));
    }
}
