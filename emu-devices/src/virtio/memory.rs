//! Guest memory as a device sees it while it executes one request.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, StallTag};

use super::QueueFault;

/// A DMA port, with what is known about a transaction that stalled.
pub struct GuestMemory<'a> {
    port: &'a dyn DmaPort,
    /// The transaction at this address is aborted: it stalled before, and software chose to terminate it.
    abort_at: Cell<Option<u64>>,
    stalled: Cell<Option<(StallTag, u64)>>,
    /// How many wait for the request to end.
    awaited: Option<&'a AtomicU32>,
}

impl<'a> GuestMemory<'a> {
    /// Memory behind `port`; the first transaction at `abort_at` is aborted.
    #[must_use]
    pub fn new(port: &'a dyn DmaPort, abort_at: Option<u64>) -> Self {
        Self { port, abort_at: Cell::new(abort_at), stalled: Cell::new(None), awaited: None }
    }

    /// For a request that is put off while `awaited` is not zero.
    pub(super) fn giving_way(self, awaited: &'a AtomicU32) -> Self {
        Self { awaited: Some(awaited), ..self }
    }

    /// Puts the request off if a CPU waits for it to end, as one that resets the device does. To be asked again and again
    /// in a request that may take long; what it has done until then is done a second time.
    pub fn give_way(&self) -> Result<(), QueueFault> {
        match self.awaited {
            Some(awaited) if awaited.load(Ordering::Acquire) != 0 => Err(QueueFault::PutOff),
            _ => Ok(()),
        }
    }

    /// The transaction that stalled, and its address.
    #[must_use]
    pub fn stalled(&self) -> Option<(StallTag, u64)> {
        self.stalled.get()
    }

    fn run(&self, addr: u64, f: impl FnOnce() -> Result<(), DmaFault>) -> Result<(), DmaFault> {
        if self.abort_at.get() == Some(addr) {
            self.abort_at.set(None);
            return Err(DmaFault::Abort);
        }
        f().inspect_err(|fault| {
            if let DmaFault::Stalled(tag) = fault {
                self.stalled.set(Some((*tag, addr)));
            }
        })
    }

    /// Reads bytes.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.run(addr, || self.port.read(DmaAttrs::default(), addr, buf))
    }

    /// Writes bytes.
    pub fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.run(addr, || self.port.write(DmaAttrs::default(), addr, bytes))
    }

    /// Reads a halfword.
    pub fn read_u16(&self, addr: u64) -> Result<u16, DmaFault> {
        let mut b = [0; 2];
        self.read(addr, &mut b)?;
        Ok(u16::from_le_bytes(b))
    }

    /// Writes a halfword.
    pub fn write_u16(&self, addr: u64, value: u16) -> Result<(), DmaFault> {
        self.write(addr, &value.to_le_bytes())
    }

    /// Orders everything before against everything after.
    pub fn fence(&self) {
        self.port.fence();
    }
}
