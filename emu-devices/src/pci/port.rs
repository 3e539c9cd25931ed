//! A function's way to memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emu_core::atomic::Atomic;
use emu_core::dma::ats::{Completion, PageRequest, PageResponse, Refused, TranslationRequest};
use emu_core::dma::{CountedPort, DmaAttrs, DmaFault, DmaPort};
use emu_core::metrics::Counters;
use parking_lot::RwLock;

/// The DMA port of a PCI function: closed until the function has a place on a bus, and while bus mastering is
/// disabled (PCIe 6.0, 7.5.1.1.3). A request through a closed port is aborted, and so is one that a bridge on its way does
/// not forward.
pub struct MasterPort {
    enabled: AtomicBool,
    /// All bridges on the way forward requests.
    forwarded: AtomicBool,
    port: RwLock<Option<Arc<CountedPort>>>,
    counters: Arc<Counters>,
}

impl MasterPort {
    /// A closed port that counts in `counters`.
    #[must_use]
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        let (enabled, forwarded) = (AtomicBool::new(false), AtomicBool::new(true));
        Self { enabled, forwarded, port: RwLock::new(None), counters }
    }

    /// Connects the port to memory, by a way that carries a requester ID. Requests under way end as they began.
    pub(super) fn connect(&self, port: Arc<dyn DmaPort>) {
        *self.port.write() = Some(Arc::new(CountedPort::new(port, self.counters.clone())));
    }

    /// Whether all bridges on the way forward requests. The function cannot see it: its requests end as unsupported ones
    /// (PCIe 6.0, 7.5.1.1.3).
    pub(super) fn set_forwarded(&self, forwarded: bool) {
        self.forwarded.store(forwarded, Ordering::Release);
    }

    /// Follows the bus master enable bit.
    pub(super) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Release);
    }

    /// True if the function can make requests.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.enabled.load(Ordering::Acquire) && self.port.read().is_some()
    }

    fn open(&self) -> Result<Arc<CountedPort>, DmaFault> {
        let open = self.enabled.load(Ordering::Acquire) && self.forwarded.load(Ordering::Acquire);
        self.port.read().clone().filter(|_| open).ok_or(DmaFault::Abort)
    }
}

impl DmaPort for MasterPort {
    fn stream_id(&self) -> u32 {
        self.port.read().as_ref().map_or(0, |port| port.stream_id())
    }
    fn read(&self, attrs: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.open()?.read(attrs, addr, buf)
    }
    fn write(&self, attrs: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.open()?.write(attrs, addr, bytes)
    }
    fn atomic(&self, attrs: DmaAttrs, addr: u64, atomic: Atomic) -> Result<u64, DmaFault> {
        self.open()?.atomic(attrs, addr, atomic)
    }
    fn translate(&self, request: &TranslationRequest) -> Completion {
        self.open().map_err(|_| Refused::Unsupported)?.translate(request)
    }
    fn request_page(&self, request: &PageRequest) -> Option<PageResponse> {
        self.open().map_or_else(|_| request.unserved(), |port| port.request_page(request))
    }
}
