//! MSI with one vector, and no mask for it (PCI 3.0, 6.8).

use std::sync::Arc;

use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, StallTable, StallTag};
use emu_core::metrics::{Counters, Metric};
use parking_lot::Mutex;

use super::ConfigSpace;
use super::capability::{MSI_ADDRESS, MSI_CONTROL, MSI_DATA, MSI_ENABLE, MSI_UPPER_ADDRESS};
use super::port::MasterPort;

/// One message to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// Where it goes.
    pub(super) addr: u64,
    /// What is written there.
    pub(super) data: u32,
}

impl Message {
    /// The message that software has written to the capability at `at`, if it has enabled MSI.
    pub(super) fn of(space: &ConfigSpace, at: u16) -> Option<Self> {
        let enabled = space.get16(at + MSI_CONTROL) & MSI_ENABLE != 0;
        let (low, high) = (space.get32(at + MSI_ADDRESS), space.get32(at + MSI_UPPER_ADDRESS));
        let addr = u64::from(high) << 32 | u64::from(low);
        enabled.then(|| Self { addr, data: space.get16(at + MSI_DATA).into() })
    }
}

/// The only vector, as it is known to [`StallTable`].
const VECTOR: u16 = 0;

/// The sending of a function's messages. Where they go and what they say is in configuration space.
pub(super) struct Msi {
    /// A message is to be sent: one that is stalled is one with those that follow.
    pending: Mutex<bool>,
    stalls: StallTable,
    counters: Arc<Counters>,
}

impl Msi {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { pending: Mutex::new(false), stalls: StallTable::default(), counters }
    }

    pub(super) fn reset(&self) {
        *self.pending.lock() = false;
        self.stalls.cancel_all();
    }

    /// A message is to be sent.
    pub(super) fn raise(&self) {
        *self.pending.lock() = true;
    }

    /// Something is to be sent, or waits for software: a state that is saved has this.
    pub(super) fn is_pending(&self) -> bool {
        *self.pending.lock() || self.stalls.is_waiting(VECTOR)
    }

    /// Sends what is pending as `message` says, which is asked each time.
    pub(super) fn send(&self, message: impl Fn() -> Option<Message>, port: &MasterPort) {
        loop {
            let ticket = self.stalls.ticket();
            let Some(Message { addr, data }) = self.take(&message, port) else { return };
            match port.write(DmaAttrs::default(), addr, &data.to_le_bytes()) {
                Ok(()) => return,
                Err(DmaFault::Stalled(tag)) => {
                    if self.stalls.park(VECTOR, tag, ticket) {
                        return;
                    }
                    self.raise();
                }
                Err(DmaFault::Abort) => {
                    tracing::debug!(addr, "MSI message aborted");
                    self.counters.add(Metric::Anomalies, 1);
                    return;
                }
            }
        }
    }

    fn take(&self, message: impl Fn() -> Option<Message>, port: &MasterPort) -> Option<Message> {
        let message = message()?;
        let mut pending = self.pending.lock();
        let open = !self.stalls.is_waiting(VECTOR) && port.is_open();
        (open && std::mem::take(&mut *pending)).then_some(message)
    }

    /// A stalled message may be sent again, or is lost. False if `tag` is not one of this function's messages.
    pub(super) fn resume(&self, tag: StallTag, retry: bool) -> bool {
        if self.stalls.resume(tag, retry).is_none() {
            return false;
        }
        self.stalls.cancel(VECTOR);
        *self.pending.lock() |= retry;
        true
    }
}
