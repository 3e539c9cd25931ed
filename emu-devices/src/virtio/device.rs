//! What a device type has to provide.

use std::io;
use std::sync::Arc;

use emu_core::dma::{Aborted, DmaFault, Task};
use emu_core::lifecycle::{Payload, Restore, RestoreError, Source};
use thiserror::Error;

use super::{Chain, DeviceHandle, GuestMemory};

/// Which device it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceKind {
    /// Virtio device ID (virtio 1.2, 5).
    pub id: u16,
    /// PCI class code.
    pub pci_class: u32,
}

/// Where a device's requests are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// On the thread that notifies: for requests that never wait for the host.
    Inline,
    /// On a thread of the device's own.
    Worker,
}

/// Why a request could not be completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueueFault {
    /// Memory did not answer.
    #[error(transparent)]
    Dma(#[from] DmaFault),
    /// The driver broke the rules; the text says which.
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<Aborted> for QueueFault {
    fn from(_: Aborted) -> Self {
        Self::Dma(DmaFault::Abort)
    }
}

/// A request under way; it gives the number of bytes that it has written.
pub type Request = Task<Result<u32, QueueFault>>;

/// A device type. The methods that execute requests are called by one thread at a time, all others by any.
pub trait VirtioDevice: Send + Sync {
    /// Which device it is.
    fn kind(&self) -> DeviceKind;
    /// The feature bits of the device type that it offers.
    fn features(&self) -> u64;
    /// The largest size of each queue: powers of two up to 1024.
    fn queue_sizes(&self) -> &[u16];
    /// Reads the device's configuration space; what does not exist reads as zero.
    fn config_read(&self, offset: u64, out: &mut [u8]);
    /// Writes the device's configuration space.
    fn config_write(&self, _offset: u64, _bytes: &[u8]) {}
    /// Where its requests are executed.
    fn placement(&self) -> Placement {
        Placement::Inline
    }
    /// Gives the device the means to ask for attention; called once, before anything else.
    fn attach(&self, _handle: DeviceHandle) {}
    /// The driver is ready and has accepted these features.
    fn activate(&self, _features: u64) {}
    /// False if `queue` cannot be served now; the device asks for attention through its handle when it can.
    fn ready(&self, _queue: u16) -> bool {
        true
    }
    /// How many requests of one queue it executes at a time, up to 64; they end in any order.
    fn depth(&self) -> u16 {
        1
    }
    /// Waits until the host does nothing any more for a request: what it did then is found by the request, if that is still there.
    fn drain(&self) {}
    /// Executes one request. It stands still while its memory is stalled, and is dropped if the driver resets the device
    /// meanwhile: what is done to the device before its last transfer is done for good.
    fn process(self: Arc<Self>, queue: u16, chain: Chain, memory: GuestMemory) -> Request;
    /// The machine begins, or goes on after a pause: who is outside may bring something from now on.
    fn start(&self) -> io::Result<()> {
        Ok(())
    }
    /// Nobody outside brings anything until [`VirtioDevice::start`].
    fn pause(&self) {}
    /// To the state after power-on.
    fn reset(&self);
    /// The end: host resources are flushed.
    fn halt(&self) {}
    /// The device's own guest-visible state, as a part called `name`.
    fn save(&self, name: &str) -> Payload;
    /// Takes what [`VirtioDevice::save`] gave out of `saved`, as [`emu_core::lifecycle::Component::check`] does. Where the device
    /// was active then, it is activated again afterwards.
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError>;
}

/// Copies a part of a configuration space that is kept as bytes; zeros behind its end.
pub(super) fn copy_config(bytes: &[u8], offset: u64, out: &mut [u8]) {
    out.fill(0);
    if let Some(rest) = usize::try_from(offset).ok().and_then(|o| bytes.get(o..)) {
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
    }
}
