//! DMA: how a device reaches memory.
//!
//! Every access of a device goes through a [`DmaPort`] that carries who it is. The port may translate, abort or
//! stall. A stalled request is parked by the device under the [`StallTag`] and tried again when the port calls
//! [`DmaClient::resume`]; no thread waits.

use std::sync::Arc;

use thiserror::Error;

use crate::addr::Pa;
use crate::bus::{Bus, BusFault, Requester};
use crate::metrics::{Counters, Metric};

/// Attributes of one DMA transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DmaAttrs {
    /// SubstreamID (a PASID), if the transaction has one.
    pub substream: Option<u32>,
    /// Privileged rather than user.
    pub privileged: bool,
    /// An instruction fetch rather than data.
    pub instruction: bool,
}

/// Names a stalled transaction (the STAG of the SMMU specification, section 3.12.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct StallTag(pub u64);

/// A transaction that did not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DmaFault {
    /// Terminated with an abort.
    #[error("the transaction was aborted")]
    Abort,
    /// Waiting for software: nothing was transferred, try again when resumed.
    #[error("the transaction is stalled")]
    Stalled(StallTag),
}

impl From<BusFault> for DmaFault {
    fn from(_: BusFault) -> Self {
        Self::Abort
    }
}

/// What a device that can be stalled gives to its port.
pub trait DmaClient: Send + Sync {
    /// The transaction `tag` may be tried again (`retry`), or is to be treated as aborted.
    fn resume(&self, tag: StallTag, retry: bool);
}

/// A device's way to memory. Addresses are what the device was programmed with: physical addresses, or, behind an
/// SMMU, addresses that the SMMU translates.
pub trait DmaPort: Send + Sync {
    /// The StreamID (for PCI: the requester ID) that this port puts on its transactions.
    fn stream_id(&self) -> u32;
    /// Reads memory into `buf`.
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault>;
    /// Writes `bytes` to memory; also how a device sends an MSI.
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault>;
    /// Atomically adds nothing but orders: all earlier writes are visible before all later ones.
    fn fence(&self) {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
    /// Registers whom to tell when a stalled transaction may go on.
    fn set_client(&self, _client: Arc<dyn DmaClient>) {}
}

/// A port with no SMMU in front: addresses are physical.
pub struct DirectPort {
    bus: Arc<Bus>,
    stream_id: u32,
}

impl DirectPort {
    /// A port onto `bus` for the master with this StreamID.
    #[must_use]
    pub fn new(bus: Arc<Bus>, stream_id: u32) -> Self {
        Self { bus, stream_id }
    }
}

impl DmaPort for DirectPort {
    fn stream_id(&self) -> u32 {
        self.stream_id
    }
    fn read(&self, _: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        Ok(self.bus.read_bytes(Pa(addr), buf, Requester::Device(self.stream_id))?)
    }
    fn write(&self, _: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        Ok(self.bus.write_bytes(Pa(addr), bytes, Requester::Device(self.stream_id))?)
    }
}

/// A port that counts what passes through another one.
pub struct CountedPort {
    port: Arc<dyn DmaPort>,
    counters: Arc<Counters>,
}

impl CountedPort {
    /// Counts the completed transactions of `port` in `counters`.
    #[must_use]
    pub fn new(port: Arc<dyn DmaPort>, counters: Arc<Counters>) -> Self {
        Self { port, counters }
    }
}

impl DmaPort for CountedPort {
    fn stream_id(&self) -> u32 {
        self.port.stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.port.read(attrs, addr, buf)?;
        self.counters.add(Metric::DmaReads, 1);
        self.counters.add(Metric::DmaBytesRead, buf.len() as u64);
        Ok(())
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.port.write(attrs, addr, bytes)?;
        self.counters.add(Metric::DmaWrites, 1);
        self.counters.add(Metric::DmaBytesWritten, bytes.len() as u64);
        Ok(())
    }
    fn fence(&self) {
        self.port.fence();
    }
    fn set_client(&self, client: Arc<dyn DmaClient>) {
        self.port.set_client(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Size;
    use crate::bus::{Backing, MmioDevice};
    use crate::ram::GuestRam;

    /// Registers that take no writes.
    struct Deaf;

    impl MmioDevice for Deaf {
        fn name(&self) -> &str {
            "deaf"
        }
        fn read(&self, _: u64, _: Size, _: Requester) -> Result<u64, BusFault> {
            Ok(0)
        }
        fn write(&self, _: u64, _: Size, _: u64, _: Requester) -> Result<(), BusFault> {
            Err(BusFault::Unmapped)
        }
    }

    /// Memory that was written is known to be, whatever became of the rest: to the end of RAM, and on into registers.
    #[test]
    fn a_write_that_fails_half_way_is_known_of() {
        for with_registers in [false, true] {
            let ram = GuestRam::new(4096).unwrap();
            let bus = Arc::new(Bus::new());
            bus.map(Pa(0x1000), 4096, Backing::Ram(ram, 0)).unwrap();
            if with_registers {
                bus.map(Pa(0x2000), 4096, Backing::Mmio(Arc::new(Deaf))).unwrap();
            }
            let watch = || ram.place(0).unwrap().page().watch(Requester::Cpu(0)).1;
            let port = DirectPort::new(bus, 0);
            let attrs = DmaAttrs::default();
            let watched = watch();
            assert_eq!(port.write(attrs, 0x1ffc, b"abcdefgh"), Err(DmaFault::Abort));
            assert_eq!(ram.load_u32(0xffc), Some(u32::from_le_bytes(*b"abcd")), "the first half is there");
            assert!(!watched.holds());
            let watched = watch();
            assert_eq!(port.write(attrs, u64::MAX - 3, b"abcdefgh"), Err(DmaFault::Abort));
            assert!(watched.holds(), "nothing was written");
            assert_eq!(port.write(attrs, 0x1000, b"x"), Ok(()));
            assert!(!watched.holds());
        }
    }
}
