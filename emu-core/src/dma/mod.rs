//! DMA: how a device reaches memory.
//!
//! A device that is a [`Master`] gets its port from what stands between it and memory ([`Ports`]): the bus itself, or an SMMU.
//! A port may translate, abort or *stall*. A stalled transaction has transferred nothing, and may be tried again when the port
//! calls [`DmaClient::resume`]; no thread waits.
//!
//! A device does not handle stalls itself. It moves bytes with a [`Dma`], in a [`Task`]: a computation that stands still while
//! its transaction is stalled, goes on from there, sees an abort as an error, and is cancelled by dropping it.
//!
//! A device may also have its addresses translated beforehand, and keep the translations: see [`ats`].

pub mod ats;
mod task;
mod transfer;

use std::sync::{Arc, Weak};

use thiserror::Error;

use crate::addr::Pa;
use crate::atomic::Atomic;
use crate::bus::{Bus, BusFault, Requester};
use crate::metrics::{Counters, Metric};
use crate::security::Security;

use self::ats::{Completion, PageRequest, PageResponse, Refused, TranslationCache, TranslationRequest};

pub use task::{Aborted, Dma, StallTable, Task};
pub use transfer::{Direction, Segment, Transfer};

/// The type of memory that a master says it accesses (Arm ARM, B2.10). All memory of the machine is coherent: it matters for
/// what an SMMU makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryType {
    /// Normal memory, write-back cacheable: what snoops.
    #[default]
    WriteBack,
    /// Normal memory, not cacheable: PCIe with No Snoop.
    NonCacheable,
    /// Device memory.
    Device,
}

/// Attributes of one DMA transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DmaAttrs {
    /// SubstreamID (a PASID), if the transaction has one.
    pub substream: Option<u32>,
    /// Privileged rather than user.
    pub privileged: bool,
    /// An instruction fetch rather than data.
    pub instruction: bool,
    /// The physical address space that it asks for.
    pub security: Security,
    /// The type of memory.
    pub memory: MemoryType,
    /// The address is one that the master has had translated (PCIe ATS).
    pub translated: bool,
}

/// Names a stalled transaction (the STAG of the SMMU specification, section 3.12.2). A port uses each once.
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

/// Who is told of stalled transactions. Called by the thread on which software answers, with no lock of the port's held.
pub trait DmaClient: Send + Sync {
    /// The transaction `tag` may be tried again (`retry`), or is to be treated as aborted.
    fn resume(&self, tag: StallTag, retry: bool);
}

/// What becomes of a master's transactions that cannot go on without software.
#[derive(Clone)]
pub enum Stalls {
    /// The master cannot wait: they are aborted.
    Never,
    /// They wait, and this is told when they may go on. A client that is gone has no transactions.
    Notify(Weak<dyn DmaClient>),
}

/// A device as the interconnect knows it.
#[derive(Clone)]
pub struct Master {
    stream_id: u32,
    stalls: Stalls,
    cache: Option<Weak<dyn TranslationCache>>,
}

impl Master {
    /// A master whose transactions carry this StreamID (of a PCI function: the requester ID).
    #[must_use]
    pub fn new(stream_id: u32, stalls: Stalls) -> Self {
        Self { stream_id, stalls, cache: None }
    }

    /// The same, of a function that keeps translations. One that is gone keeps none.
    #[must_use]
    pub fn with_cache(self, cache: Weak<dyn TranslationCache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Where it keeps translations.
    #[must_use]
    pub fn cache(&self) -> Option<Arc<dyn TranslationCache>> {
        self.cache.as_ref().and_then(Weak::upgrade)
    }

    /// The StreamID.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Its transactions may be stalled.
    #[must_use]
    pub fn may_stall(&self) -> bool {
        matches!(self.stalls, Stalls::Notify(_))
    }

    /// Tells the master of an answer to a stalled transaction.
    pub fn resume(&self, tag: StallTag, retry: bool) {
        if let Stalls::Notify(client) = &self.stalls
            && let Some(client) = client.upgrade()
        {
            client.resume(tag, retry);
        }
    }
}

/// A device's way to memory. Addresses are what the device was programmed with: physical addresses, or, behind an
/// SMMU, addresses that the SMMU translates.
pub trait DmaPort: Send + Sync {
    /// The StreamID that this port puts on its transactions.
    fn stream_id(&self) -> u32;
    /// Reads memory into `buf`.
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault>;
    /// Writes `bytes` to memory; also how a device sends an MSI.
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault>;
    /// An atomic access, which reads and writes in one action; gives what was there. To what is no RAM, or not naturally aligned,
    /// there is none, nor through a port that lets none pass: it is aborted.
    fn atomic(&self, _attrs: DmaAttrs, _addr: u64, _atomic: Atomic) -> Result<u64, DmaFault> {
        Err(DmaFault::Abort)
    }
    /// Full barrier: transfers no data; earlier writes become visible before later ones.
    fn fence(&self) {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
    /// Asks for translations. Where nothing translates there are none.
    fn translate(&self, _request: &TranslationRequest) -> Completion {
        Err(Refused::Unsupported)
    }
    /// Asks for a page to be made present. The answer comes later, through [`TranslationCache::page_response`], or at once, as here,
    /// if software is not told.
    fn request_page(&self, request: &PageRequest) -> Option<PageResponse> {
        request.unserved()
    }
}

/// What stands between masters and memory.
pub trait Ports: Send + Sync {
    /// The way to memory of a master.
    fn port(&self, master: Master) -> Arc<dyn DmaPort>;
}

/// The bus itself, with no SMMU in front.
pub struct DirectPorts(pub Arc<Bus>);

impl Ports for DirectPorts {
    fn port(&self, master: Master) -> Arc<dyn DmaPort> {
        Arc::new(DirectPort::new(self.0.clone(), master))
    }
}

/// A port with no SMMU in front: addresses are physical, and nothing ever stalls.
pub struct DirectPort {
    bus: Arc<Bus>,
    master: Master,
}

impl DirectPort {
    /// A port of `master` onto `bus`.
    #[must_use]
    pub fn new(bus: Arc<Bus>, master: Master) -> Self {
        Self { bus, master }
    }

    fn requester(&self) -> Requester {
        Requester::Device(self.master.stream_id())
    }

    /// Where a transaction goes. What is beyond all memory is aborted.
    fn address(attrs: DmaAttrs, addr: u64) -> Result<Pa, DmaFault> {
        Pa::new(addr, attrs.security).ok_or(DmaFault::Abort)
    }
}

impl DmaPort for DirectPort {
    fn stream_id(&self) -> u32 {
        self.master.stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        Ok(self.bus.read_bytes(Self::address(attrs, addr)?, buf, self.requester())?)
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        Ok(self.bus.write_bytes(Self::address(attrs, addr)?, bytes, self.requester())?)
    }
    fn atomic(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        Ok(self.bus.atomic(Self::address(attrs, addr)?, atomic, self.requester())?)
    }
}

/// Who is told of transactions that were completed.
pub trait Tally: Send + Sync {
    /// So many bytes were read.
    fn read(&self, bytes: u64);
    /// So many bytes were written.
    fn wrote(&self, bytes: u64);
}

impl Tally for Counters {
    fn read(&self, bytes: u64) {
        self.add(Metric::DmaReads, 1);
        self.add(Metric::DmaBytesRead, bytes);
    }
    fn wrote(&self, bytes: u64) {
        self.add(Metric::DmaWrites, 1);
        self.add(Metric::DmaBytesWritten, bytes);
    }
}

/// A port that counts what passes through another one.
pub struct CountedPort<T = Counters> {
    port: Arc<dyn DmaPort>,
    tally: Arc<T>,
}

impl<T: Tally> CountedPort<T> {
    /// Counts the completed transactions of `port` in `tally`.
    #[must_use]
    pub fn new(port: Arc<dyn DmaPort>, tally: Arc<T>) -> Self {
        Self { port, tally }
    }
}

impl<T: Tally> DmaPort for CountedPort<T> {
    fn stream_id(&self) -> u32 {
        self.port.stream_id()
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.port.read(attrs, addr, buf)?;
        self.tally.read(buf.len() as u64);
        Ok(())
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.port.write(attrs, addr, bytes)?;
        self.tally.wrote(bytes.len() as u64);
        Ok(())
    }
    /// It counts as a read and a write.
    fn atomic(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        let old = self.port.atomic(attrs, addr, atomic)?;
        let bytes = atomic.bytes() as u64;
        self.tally.read(bytes);
        self.tally.wrote(bytes);
        Ok(old)
    }
    fn fence(&self) {
        self.port.fence();
    }
    fn translate(&self, request: &TranslationRequest) -> Completion {
        self.port.translate(request)
    }
    fn request_page(&self, request: &PageRequest) -> Option<PageResponse> {
        self.port.request_page(request)
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
            let port = DirectPort::new(bus, Master::new(0, Stalls::Never));
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

    /// PCI Express AtomicOps: FetchAdd, Swap, CAS, of 32 and 64 bits.
    #[test]
    fn an_atomic_access_gives_what_was_there() {
        use crate::atomic::Operation::{CompareAndSwap, FetchAdd, Swap};
        use Atomic::{Doubleword, Word};
        let (ram, rom) = (GuestRam::new(4096).unwrap(), GuestRam::new(4096).unwrap());
        let (bus, counters) = (Arc::new(Bus::new()), Arc::<Counters>::default());
        bus.map(Pa(0x1000), 4096, Backing::Ram(ram, 0)).unwrap();
        bus.map(Pa(0x2000), 4096, Backing::Rom(rom, 0, Arc::new(Deaf))).unwrap();
        bus.map(Pa(0x3000), 4096, Backing::Mmio(Arc::new(Deaf))).unwrap();
        let direct = Arc::new(DirectPort::new(bus, Master::new(0, Stalls::Never)));
        let port = CountedPort::new(direct, counters.clone());
        let go = |addr, atomic| port.atomic(DmaAttrs::default(), addr, atomic);
        ram.store_u64(8, 0x1122_3344_ffff_ffff).unwrap();
        for (addr, atomic, old, new) in [
            (0x1008, Word(FetchAdd(2)), 0xffff_ffff, 0x1122_3344_0000_0001),
            (0x100c, Word(Swap(7)), 0x1122_3344, 0x0000_0007_0000_0001),
            (0x1008, Word(CompareAndSwap { expected: 1, new: 5 }), 1, 0x0000_0007_0000_0005),
            (0x1008, Doubleword(FetchAdd(u64::MAX)), 0x7_0000_0005, 0x7_0000_0004),
            (0x1008, Doubleword(Swap(9)), 0x7_0000_0004, 9),
            (0x1008, Doubleword(CompareAndSwap { expected: 9, new: 3 }), 9, 3),
        ] {
            let (_, watched) = ram.place(8).unwrap().page().watch(Requester::Cpu(0));
            assert_eq!((go(addr, atomic), ram.load_u64(8)), (Ok(old), Some(new)), "{atomic:?}");
            assert!(!watched.holds(), "who watches the page knows");
        }
        let other = Doubleword(CompareAndSwap { expected: 4, new: 8 });
        let (_, watched) = ram.place(8).unwrap().page().watch(Requester::Cpu(0));
        assert_eq!((go(0x1008, other), ram.load_u64(8), watched.holds()), (Ok(3), Some(3), true));
        // 7 accesses: 3 of 4 bytes and 4 of 8.
        assert_eq!([Metric::DmaReads, Metric::DmaWrites].map(|m| counters.get(m)), [7, 7]);
        assert_eq!([Metric::DmaBytesRead, Metric::DmaBytesWritten].map(|m| counters.get(m)), [44, 44]);
        for addr in [0x1004, 0x1009, 0x2000, 0x3000, 0x9000, u64::MAX - 7] {
            assert_eq!(go(addr, Doubleword(Swap(1))), Err(DmaFault::Abort), "{addr:#x}");
        }
        assert_eq!((ram.load_u64(0), ram.load_u64(8), rom.load_u64(0)), (Some(0), Some(3), Some(0)));
        assert_eq!(counters.get(Metric::DmaReads), 7);
    }

    /// Each physical address space has memory of its own.
    #[test]
    fn a_transaction_reaches_the_space_that_it_asks_for() {
        let bus = Arc::new(Bus::new());
        let port = DirectPort::new(bus.clone(), Master::new(0, Stalls::Never));
        let spaces = [Security::NonSecure, Security::Secure, Security::Realm, Security::Root];
        let write = |security, addr| port.write(DmaAttrs { security, ..DmaAttrs::default() }, addr, b"x");
        for (i, space) in spaces.into_iter().enumerate() {
            assert_eq!(write(space, 0x1000), Err(DmaFault::Abort), "nothing is there yet");
            let ram = GuestRam::new(4096).unwrap();
            bus.map(Pa(0x1000).in_space(space), 4096, Backing::Ram(ram, 0)).unwrap();
            assert_eq!(write(space, 0x1000 + i as u64), Ok(()));
            assert_eq!(ram.load_u32(0), Some(u32::from(b'x') << (8 * i)), "only the own one is written");
            // The number of a space is no part of an address.
            assert_eq!(write(Security::NonSecure, 0x1000 | (space as u64) << 62).is_ok(), i == 0);
        }
    }
}
