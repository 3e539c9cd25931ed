//! Global bypass (Arm IHI 0070, 3.11 and 6.3.15).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, Master, Ports};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

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
    /// Times that a transaction was stalled behind the SMMU; it is counted again when it is tried again.
    pub stalled: u64,
    /// Bytes read and written by those that went through.
    pub bytes: u64,
}

#[derive(Default)]
struct Stream {
    passed: AtomicU64,
    aborted: AtomicU64,
    stalled: AtomicU64,
    bytes: AtomicU64,
}

/// An SMMU that is not enabled.
pub struct GlobalBypass {
    behind: Arc<dyn Ports>,
    abort: Arc<AtomicBool>,
    streams: Mutex<BTreeMap<u32, Arc<Stream>>>,
}

impl GlobalBypass {
    /// In front of `behind`.
    #[must_use]
    pub fn new(behind: Arc<dyn Ports>) -> Arc<Self> {
        Arc::new(Self { behind, abort: Arc::default(), streams: Mutex::default() })
    }

    /// Writes SMMU_GBPA; holds for every transaction that begins afterwards.
    pub fn set_gbpa(&self, gbpa: Gbpa) {
        self.abort.store(gbpa.abort, Relaxed);
    }

    /// What each stream did so far, by StreamID.
    #[must_use]
    pub fn counts(&self) -> Vec<(u32, StreamCount)> {
        let read = |s: &Stream| StreamCount {
            passed: s.passed.load(Relaxed),
            aborted: s.aborted.load(Relaxed),
            stalled: s.stalled.load(Relaxed),
            bytes: s.bytes.load(Relaxed),
        };
        self.streams.lock().iter().map(|(id, s)| (*id, read(s))).collect()
    }
}

impl Ports for GlobalBypass {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        let stream = self.streams.lock().entry(master.stream_id()).or_default().clone();
        Arc::new(Port { inner: self.behind.port(master), abort: self.abort.clone(), stream })
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    abort: bool,
}

impl SavedState for State {
    const KIND: &'static str = "smmu-bypass";
    const VERSION: u32 = 1;
}

impl Component for GlobalBypass {
    fn name(&self) -> &str {
        "smmu"
    }

    fn reset(&self) {
        self.set_gbpa(Gbpa::default());
    }

    fn save(&self) -> Payload {
        Payload::new(self.name(), &State { abort: self.abort.load(Relaxed) })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { abort } = saved.state()?;
        Ok(Restore::new(move || self.set_gbpa(Gbpa { abort })))
    }
}

struct Port {
    inner: Arc<dyn DmaPort>,
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
            Err(DmaFault::Abort) => {
                self.stream.aborted.fetch_add(1, Relaxed);
            }
            Err(DmaFault::Stalled(_)) => {
                self.stream.stalled.fetch_add(1, Relaxed);
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
    fn fence(&self) {
        self.inner.fence();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use emu_core::Pa;
    use emu_core::bus::{Backing, Bus};
    use emu_core::dma::{DirectPorts, DmaClient, StallTag, Stalls};
    use emu_core::ram::GuestRam;

    #[test]
    fn bypass_passes_and_abort_aborts() {
        let ram = GuestRam::new(4096).unwrap();
        let bus = Arc::new(Bus::new());
        bus.map(Pa(0x1000), 4096, Backing::Ram(ram, 0)).unwrap();
        let smmu = GlobalBypass::new(Arc::new(DirectPorts(bus)));
        let port = smmu.port(Master::new(0x18, Stalls::Never));
        let attrs = DmaAttrs::default();
        assert_eq!(port.write(attrs, 0x1000, b"abcd"), Ok(()));
        assert_eq!(port.write(attrs, 0x9000, b"abcd"), Err(DmaFault::Abort), "nothing is there");
        smmu.set_gbpa(Gbpa { abort: true });
        let saved = smmu.save();
        smmu.reset();
        smmu.restore(saved).unwrap();
        let mut buf = [0; 4];
        assert_eq!(port.read(attrs, 0x1000, &mut buf), Err(DmaFault::Abort));
        smmu.set_gbpa(Gbpa::default());
        assert_eq!(port.read(attrs, 0x1000, &mut buf), Ok(()));
        assert_eq!(&buf, b"abcd");
        assert_eq!(smmu.counts(), [(0x18, StreamCount { passed: 2, aborted: 2, stalled: 0, bytes: 8 })]);
    }

    /// Behind it everything is stalled once, and may then be tried again.
    struct Stalling(Mutex<Vec<Master>>);

    struct StallingPort(Mutex<bool>);

    impl Ports for Stalling {
        fn port(&self, master: Master) -> Arc<dyn DmaPort> {
            self.0.lock().push(master);
            Arc::new(StallingPort(Mutex::new(false)))
        }
    }

    impl DmaPort for StallingPort {
        fn stream_id(&self) -> u32 {
            5
        }
        fn read(&self, _: DmaAttrs, _: u64, _: &mut [u8]) -> Result<(), DmaFault> {
            let tried = std::mem::replace(&mut *self.0.lock(), true);
            if tried { Ok(()) } else { Err(DmaFault::Stalled(StallTag(9))) }
        }
        fn write(&self, _: DmaAttrs, _: u64, _: &[u8]) -> Result<(), DmaFault> {
            Err(DmaFault::Abort)
        }
    }

    #[derive(Default)]
    struct Told(Mutex<Vec<(StallTag, bool)>>);

    impl DmaClient for Told {
        fn resume(&self, tag: StallTag, retry: bool) {
            self.0.lock().push((tag, retry));
        }
    }

    #[test]
    fn a_stall_is_not_an_abort() {
        let behind = Arc::new(Stalling(Mutex::default()));
        let smmu = GlobalBypass::new(behind.clone());
        let told = Arc::new(Told::default());
        let client: Weak<dyn DmaClient> = Arc::<Told>::downgrade(&told);
        let port = smmu.port(Master::new(5, Stalls::Notify(client)));
        let read = || port.read(DmaAttrs::default(), 0, &mut [0; 4]);
        assert_eq!((read(), read()), (Err(DmaFault::Stalled(StallTag(9))), Ok(())));
        assert_eq!(smmu.counts(), [(5, StreamCount { passed: 1, aborted: 0, stalled: 1, bytes: 4 })]);
        // What is behind knows the master, and so whom to tell.
        assert!(behind.0.lock()[0].may_stall());
        behind.0.lock()[0].resume(StallTag(9), false);
        assert_eq!(*told.0.lock(), [(StallTag(9), false)]);
    }
}
