//! Tables in memory, as hardware reads and writes them: translation tables of CPUs and SMMUs, and those of the GIC.
//!
//! They are found by physical address and pass no SMMU (for the GIC: Arm IHI 0069, 6.1).
//!
//! # Invariant
//! Only memory. A table that software placed over registers is not there: so no table access can come back into the
//! device that makes it, and locks may be held across it.

use std::ops::Deref;

use thiserror::Error;

use crate::addr::Pa;
use crate::bus::{BusView, Target};
use crate::ram::GuestRam;

/// Why an entry of a table was not updated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UpdateRefused {
    /// Nothing is there.
    #[error("nothing answers at this address")]
    Unmapped,
    /// What is there has no atomic read-modify-write.
    #[error("this memory has no atomic updates")]
    Unsupported,
}

/// The bus as hardware sees it that reads and updates tables in memory, under one map.
pub struct TableBus<V>(V);

impl<V: Deref<Target = BusView>> TableBus<V> {
    /// In the memory of `view`.
    #[must_use]
    pub fn new(view: V) -> Self {
        Self(view)
    }

    /// Memory that can be read at `pa`.
    fn readable(&self, pa: Pa) -> Option<(&'static GuestRam, u64)> {
        match self.0.target(pa)? {
            Target::Ram(place) | Target::Rom(place) => Some(place.in_block()),
            Target::Mmio => None,
        }
    }

    /// Memory that can be written at `pa`.
    fn writable(&self, pa: Pa) -> Option<(&'static GuestRam, u64)> {
        match self.0.target(pa)? {
            Target::Ram(place) => Some(place.in_block()),
            Target::Rom(_) | Target::Mmio => None,
        }
    }

    /// One byte.
    #[must_use]
    pub fn read_u8(&self, pa: Pa) -> Option<u8> {
        let (ram, at) = self.readable(pa)?;
        ram.load_u8(at)
    }

    /// One aligned doubleword.
    #[must_use]
    pub fn read_u64(&self, pa: Pa) -> Option<u64> {
        let (ram, at) = self.readable(pa)?;
        ram.load_u64(at)
    }

    /// Many bytes.
    pub fn read(&self, pa: Pa, out: &mut [u8]) -> Option<()> {
        let (ram, at) = self.readable(pa)?;
        ram.read(at, out)
    }

    /// Writes one aligned doubleword.
    pub fn write_u64(&self, pa: Pa, value: u64) -> Option<()> {
        let (ram, at) = self.writable(pa)?;
        ram.store_u64(at, value)
    }

    /// Writes many bytes.
    pub fn write(&self, pa: Pa, bytes: &[u8]) -> Option<()> {
        let (ram, at) = self.writable(pa)?;
        ram.write(at, bytes)
    }

    /// Atomically replaces the aligned doubleword `old` by `new`; false if it is another one by now.
    pub fn update_u64(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateRefused> {
        let Target::Ram(place) = self.0.target(pa).ok_or(UpdateRefused::Unmapped)? else {
            return Err(UpdateRefused::Unsupported);
        };
        let (ram, at) = place.in_block();
        let seen = ram.compare_exchange_u64(at, old, new).ok_or(UpdateRefused::Unsupported)?;
        Ok(seen == old)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::addr::Size;
    use crate::bus::{Backing, Bus, BusFault, MmioDevice, Requester};

    struct Registers;

    impl MmioDevice for Registers {
        fn name(&self) -> &str {
            "registers"
        }
        fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
            Ok(0)
        }
        fn write(&self, _: u64, _: Size, _: u64, _: Requester) -> Result<(), BusFault> {
            Ok(())
        }
    }

    #[test]
    fn tables_are_in_memory_only() {
        let bus = Bus::new();
        let [ram, rom] = [0; 2].map(|_| GuestRam::new(0x1000).unwrap());
        let registers: Arc<dyn MmioDevice> = Arc::new(Registers);
        bus.map(Pa(0x1000), 0x1000, Backing::Ram(ram, 0)).unwrap();
        bus.map(Pa(0x2000), 0x1000, Backing::Rom(rom, 0, registers.clone())).unwrap();
        bus.map(Pa(0x3000), 0x1000, Backing::Mmio(registers)).unwrap();
        let t = TableBus::new(bus.view());
        assert_eq!(t.write_u64(Pa(0x1008), 5), Some(()));
        assert_eq!(t.update_u64(Pa(0x1008), 5, 6), Ok(true));
        assert_eq!(t.update_u64(Pa(0x1008), 5, 7), Ok(false));
        assert_eq!((t.read_u64(Pa(0x1008)), t.read_u8(Pa(0x1008))), (Some(6), Some(6)));
        assert_eq!(t.read_u64(Pa(0x2000)), Some(0));
        for at in [0x2000, 0x3000, 0x9000].map(Pa) {
            assert_eq!((t.write_u64(at, 1), t.write(at, &[1])), (None, None));
        }
        assert_eq!((t.read_u64(Pa(0x3000)), t.read(Pa(0x9000), &mut [0])), (None, None));
        assert_eq!(t.update_u64(Pa(0x2000), 0, 1), Err(UpdateRefused::Unsupported));
        assert_eq!(t.update_u64(Pa(0x3000), 0, 1), Err(UpdateRefused::Unsupported));
        assert_eq!(t.update_u64(Pa(0x9000), 0, 1), Err(UpdateRefused::Unmapped));
        assert_eq!(t.write(Pa(0x1ffc), &[0; 8]), None, "not all of it is there");
        // A watch on a table sees the update.
        let (_, watched) = ram.place(8).unwrap().page().watch(Requester::Machine);
        t.update_u64(Pa(0x1008), 0, 1).unwrap();
        assert!(watched.holds(), "it was another one");
        t.update_u64(Pa(0x1008), 6, 1).unwrap();
        assert!(!watched.holds());
    }
}
