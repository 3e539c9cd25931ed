//! Global bypass (Arm IHI 0070, 3.11 and 6.3.15).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use emu_core::bus::Bus;
use emu_core::dma::{DirectPort, DmaAttrs, DmaFault, DmaPort};
use parking_lot::Mutex;

/// SMMU_GBPA, the fields that have an effect while memory is coherent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gbpa {
    /// ABORT: all transactions are aborted.
    pub abort: bool,
}

/// What one stream did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StreamCount {
    /// Transactions that went through.
    pub passed: u64,
    /// Transactions that were aborted: by GBPA, or because nothing answered.
    pub aborted: u64,
    /// Bytes read and written by those that went through.
    pub bytes: u64,
}

#[derive(Default)]
struct Stream {
    passed: AtomicU64,
    aborted: AtomicU64,
    bytes: AtomicU64,
}

/// An SMMU that is not enabled.
pub struct GlobalBypass {
    bus: Arc<Bus>,
    abort: Arc<AtomicBool>,
    streams: Mutex<BTreeMap<u32, Arc<Stream>>>,
}

impl GlobalBypass {
    /// In front of `bus`.
    #[must_use]
    pub fn new(bus: Arc<Bus>) -> Arc<Self> {
        Arc::new(Self { bus, abort: Arc::default(), streams: Mutex::default() })
    }

    /// Writes SMMU_GBPA; holds for every transaction that begins afterwards.
    pub fn set_gbpa(&self, gbpa: Gbpa) {
        self.abort.store(gbpa.abort, Relaxed);
    }

    /// The way to memory of the master with this StreamID.
    #[must_use]
    pub fn port(&self, stream_id: u32) -> Arc<dyn DmaPort> {
        let stream = self.streams.lock().entry(stream_id).or_default().clone();
        let inner = DirectPort::new(self.bus.clone(), stream_id);
        Arc::new(Port { inner, abort: self.abort.clone(), stream })
    }

    /// What each stream did so far, by StreamID.
    #[must_use]
    pub fn counts(&self) -> Vec<(u32, StreamCount)> {
        let read = |s: &Stream| StreamCount {
            passed: s.passed.load(Relaxed),
            aborted: s.aborted.load(Relaxed),
            bytes: s.bytes.load(Relaxed),
        };
        self.streams.lock().iter().map(|(id, s)| (*id, read(s))).collect()
    }
}

struct Port {
    inner: DirectPort,
    abort: Arc<AtomicBool>,
    stream: Arc<Stream>,
}

impl Port {
    fn counted(&self, len: usize, done: impl FnOnce() -> Result<(), DmaFault>) -> Result<(), DmaFault> {
        let result = if self.abort.load(Relaxed) { Err(DmaFault::Abort) } else { done() };
        match result {
            Ok(()) => {
                self.stream.passed.fetch_add(1, Relaxed);
                self.stream.bytes.fetch_add(len as u64, Relaxed);
            }
            Err(_) => {
                self.stream.aborted.fetch_add(1, Relaxed);
            }
        }
        result
    }
}

impl DmaPort for Port {
    fn stream_id(&self) -> u32 {
        self.inner.stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.counted(buf.len(), || self.inner.read(attrs, addr, buf))
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.counted(bytes.len(), || self.inner.write(attrs, addr, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_core::Pa;
    use emu_core::bus::Backing;
    use emu_core::ram::GuestRam;

    #[test]
    fn bypass_passes_and_abort_aborts() {
        let ram = GuestRam::new(4096).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(0x1000), 4096, Backing::Ram(ram, 0)).unwrap();
        let smmu = GlobalBypass::new(bus);
        let port = smmu.port(0x18);
        let attrs = DmaAttrs::default();
        assert_eq!(port.write(attrs, 0x1000, b"abcd"), Ok(()));
        assert_eq!(port.write(attrs, 0x9000, b"abcd"), Err(DmaFault::Abort), "nothing is there");
        smmu.set_gbpa(Gbpa { abort: true });
        let mut buf = [0; 4];
        assert_eq!(port.read(attrs, 0x1000, &mut buf), Err(DmaFault::Abort));
        smmu.set_gbpa(Gbpa::default());
        assert_eq!(port.read(attrs, 0x1000, &mut buf), Ok(()));
        assert_eq!(&buf, b"abcd");
        assert_eq!(smmu.counts(), [(0x18, StreamCount { passed: 2, aborted: 2, bytes: 8 })]);
    }
}
