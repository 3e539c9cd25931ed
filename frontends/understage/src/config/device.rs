//! The devices that a machine has, as plain data: what each is told, and where it is plugged in. Which kinds there are is no
//! matter of this module: each kind has settings of a type of its own (see [`crate::device`]).

use std::any::Any;
use std::fmt::Debug;

pub use emu_devices::virtio::Interfaces;

use super::CharBackend;

/// What a device is told: plain data, of a type that its kind has for itself.
pub trait Settings: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The character devices that it uses.
    fn characters(&self) -> Vec<&CharBackend> {
        Vec::new()
    }
    /// The network back end that it has.
    fn netdev(&self) -> Option<&str> {
        None
    }
}

/// [`Settings`] of whatever kind.
pub trait AnySettings: Any + Debug + Send + Sync {
    /// See [`Settings::characters`].
    fn characters(&self) -> Vec<&CharBackend>;
    /// See [`Settings::netdev`].
    fn netdev(&self) -> Option<&str>;
    /// They are of the same kind, and say the same.
    fn equals(&self, other: &dyn AnySettings) -> bool;
    /// The same again.
    fn copy(&self) -> Box<dyn AnySettings>;
}

impl<T: Settings> AnySettings for T {
    fn characters(&self) -> Vec<&CharBackend> {
        Settings::characters(self)
    }
    fn netdev(&self) -> Option<&str> {
        Settings::netdev(self)
    }
    fn equals(&self, other: &dyn AnySettings) -> bool {
        (other as &dyn Any).downcast_ref::<T>().is_some_and(|other| self == other)
    }
    fn copy(&self) -> Box<dyn AnySettings> {
        Box::new(self.clone())
    }
}

/// Where a device is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bus {
    /// It is a function on PCI, in this slot or in the first free one ([`PciPlug`] says more).
    Pci {
        /// Device number.
        slot: Option<u8>,
        /// What drivers it is for, if it is a virtio device.
        interfaces: Interfaces,
    },
    /// It has one of the board's virtio-mmio transports.
    Mmio {
        /// Its number, or else the last free one.
        transport: Option<u8>,
    },
    /// It is on the system bus, where the board's map has a place for its kind.
    Platform,
}

impl Bus {
    /// The first free slot, for drivers of today.
    pub const PCI: Self = Self::Pci { slot: None, interfaces: Interfaces::Modern };
    /// The last free transport.
    pub const MMIO: Self = Self::Mmio { transport: None };
}

/// What is said of a PCI function's place beside the slot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PciPlug {
    /// The bridge below which it is, by its id; else it is on the root bus.
    pub bus: Option<String>,
    /// Function number, 0 to 7.
    pub function: u8,
    /// There may be more functions in the slot.
    pub multifunction: bool,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// What it is called where others refer to it.
    pub id: Option<String>,
    /// Where it is.
    pub bus: Bus,
    /// The same, if it is on PCI.
    pub pci: PciPlug,
    /// If it is a virtio device, it offers VIRTIO_F_ACCESS_PLATFORM: its addresses are what the platform's IOMMU translates.
    pub access_platform: bool,
    /// What it is, and what it is told.
    pub settings: Box<dyn AnySettings>,
}

impl Device {
    /// A device without a name, for drivers that know of no IOMMU.
    pub fn new(settings: impl Settings, bus: Bus) -> Self {
        Self { id: None, bus, pci: PciPlug::default(), access_platform: false, settings: Box::new(settings) }
    }

    /// Its settings, if they are `T`.
    #[must_use]
    pub fn told<T: Settings>(&self) -> Option<&T> {
        (&*self.settings as &dyn Any).downcast_ref()
    }

    /// Its settings, if they are `T`, to be changed.
    pub fn told_mut<T: Settings>(&mut self) -> Option<&mut T> {
        (&mut *self.settings as &mut dyn Any).downcast_mut()
    }
}

impl Clone for Device {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), pci: self.pci.clone(), settings: self.settings.copy(), ..*self }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        let place = |d: &Self| (d.bus, d.access_platform);
        self.id == other.id
            && self.pci == other.pci
            && place(self) == place(other)
            && self.settings.equals(&*other.settings)
    }
}

impl Eq for Device {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Debug)]
    struct A(u8);
    #[derive(Clone, PartialEq, Debug)]
    struct B(u8);
    impl Settings for A {}
    impl Settings for B {}

    #[test]
    fn devices_are_compared_by_what_they_are_and_what_they_are_told() {
        let a = Device::new(A(1), Bus::PCI);
        assert_eq!(a.clone(), a);
        assert_ne!(Device::new(A(2), Bus::PCI), a);
        assert_ne!(Device::new(B(1), Bus::PCI), a);
        assert_ne!(Device::new(A(1), Bus::MMIO), a);
        assert_ne!(Device { id: Some("x".into()), ..a.clone() }, a);
        assert_eq!((a.told::<A>(), a.told::<B>()), (Some(&A(1)), None));
        assert!(format!("{a:?}").contains("A(1)"));
    }
}
