//! A port for tests that stalls one transaction and waits to be answered for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use emu_core::atomic::Atomic;
use emu_core::bus::Bus;
use emu_core::dma::{DirectPort, DmaAttrs, DmaFault, DmaPort, Master, Ports, StallTag};
use parking_lot::Mutex;

/// A port that stalls the first transaction that touches an armed address.
pub(crate) struct StallingPort {
    bus: Arc<Bus>,
    master: OnceLock<Master>,
    armed: Mutex<Option<u64>>,
    next_tag: AtomicU64,
    pub(crate) stalled: Mutex<Vec<StallTag>>,
    /// The transactions that completed: address and bytes.
    pub(crate) done: Mutex<Vec<(u64, usize)>>,
}

impl StallingPort {
    pub(crate) fn new(bus: Arc<Bus>) -> Arc<Self> {
        Arc::new(Self {
            bus,
            master: OnceLock::new(),
            armed: Mutex::new(None),
            next_tag: AtomicU64::new(1),
            stalled: Mutex::default(),
            done: Mutex::default(),
        })
    }

    pub(crate) fn arm(&self, addr: u64) {
        *self.armed.lock() = Some(addr);
    }

    fn check(&self, addr: u64, len: usize) -> Result<(), DmaFault> {
        let mut armed = self.armed.lock();
        match *armed {
            Some(a) if (addr..addr + len as u64).contains(&a) => {
                *armed = None;
                let tag = StallTag(self.next_tag.fetch_add(1, Ordering::Relaxed));
                self.stalled.lock().push(tag);
                Err(DmaFault::Stalled(tag))
            }
            _ => Ok(()),
        }
    }

    /// Answers a stalled transaction.
    pub(crate) fn answer_to(&self, tag: StallTag, retry: bool) {
        self.master.get().unwrap().resume(tag, retry);
    }

    fn inner(&self) -> DirectPort {
        DirectPort::new(self.bus.clone(), self.master.get().unwrap().clone())
    }
}

impl DmaPort for StallingPort {
    fn stream_id(&self) -> u32 {
        self.inner().stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.check(addr, buf.len())?;
        self.inner().read(attrs, addr, buf)?;
        self.done.lock().push((addr, buf.len()));
        Ok(())
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.check(addr, bytes.len())?;
        self.inner().write(attrs, addr, bytes)?;
        self.done.lock().push((addr, bytes.len()));
        Ok(())
    }
    fn atomic(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        self.check(addr, atomic.bytes())?;
        let old = self.inner().atomic(attrs, addr, atomic)?;
        self.done.lock().push((addr, atomic.bytes()));
        Ok(old)
    }
}

/// Gives the port to the one master of the machine that may be stalled.
pub(crate) struct OnlyPort(pub(crate) Arc<StallingPort>);

impl Ports for OnlyPort {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        if !master.may_stall() {
            return Arc::new(DirectPort::new(self.0.bus.clone(), master));
        }
        assert!(self.0.master.set(master).is_ok(), "there is one");
        self.0.clone()
    }
}
