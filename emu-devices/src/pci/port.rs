//! A function's way to memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use emu_core::atomic::Atomic;
use emu_core::dma::ats::{Completion, PageRequest, PageResponse, Refused, TranslationRequest};
use emu_core::dma::{CountedPort, DmaAttrs, DmaFault, DmaPort};
use emu_core::metrics::Counters;

/// The DMA port of a PCI function: closed until the function has a place on a bus, and while bus mastering is
/// disabled (PCIe 6.0, 7.5.1.1.3). A request through a closed port is aborted.
pub struct MasterPort {
    enabled: AtomicBool,
    port: OnceLock<CountedPort>,
    counters: Arc<Counters>,
}

impl MasterPort {
    /// A closed port that counts in `counters`.
    #[must_use]
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { enabled: AtomicBool::new(false), port: OnceLock::new(), counters }
    }

    /// Connects the port to memory. Later calls change nothing.
    pub(super) fn connect(&self, port: Arc<dyn DmaPort>) {
        let _ = self.port.set(CountedPort::new(port, self.counters.clone()));
    }

    /// Follows the bus master enable bit.
    pub(super) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Release);
    }

    /// True if requests can pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.enabled.load(Ordering::Acquire) && self.port.get().is_some()
    }

    fn open(&self) -> Result<&CountedPort, DmaFault> {
        self.port.get().filter(|_| self.enabled.load(Ordering::Acquire)).ok_or(DmaFault::Abort)
    }
}

impl DmaPort for MasterPort {
    fn stream_id(&self) -> u32 {
        self.port.get().map_or(0, DmaPort::stream_id)
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
