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

/// Told of every DMA write to RAM, so that translated code can be dropped.
pub trait WriteObserver: Send + Sync {
    /// `len` bytes at `pa` were written by a device.
    fn wrote(&self, pa: Pa, len: u64);
}

/// A port with no SMMU in front: addresses are physical.
pub struct DirectPort {
    bus: Arc<Bus>,
    stream_id: u32,
    observer: Option<Arc<dyn WriteObserver>>,
}

impl DirectPort {
    /// A port onto `bus` for the master with this StreamID.
    #[must_use]
    pub fn new(bus: Arc<Bus>, stream_id: u32, observer: Option<Arc<dyn WriteObserver>>) -> Self {
        Self { bus, stream_id, observer }
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
        self.bus.write_bytes(Pa(addr), bytes, Requester::Device(self.stream_id))?;
        if let Some(o) = &self.observer {
            o.wrote(Pa(addr), bytes.len() as u64);
        }
        Ok(())
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
