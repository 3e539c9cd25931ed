//! Guest memory as a device sees it: its rings, and the buffers of the request that it executes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;

use emu_core::dma::{Aborted, Direction, Dma, DmaAttrs, DmaFault, DmaPort, Segment};

/// The rings of a queue: small accesses, which can all be made again if one of them is stalled.
pub struct Rings<'a>(&'a dyn DmaPort);

impl<'a> Rings<'a> {
    /// Behind `port`.
    #[must_use]
    pub fn new(port: &'a dyn DmaPort) -> Self {
        Self(port)
    }

    /// Reads bytes.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
        self.0.read(DmaAttrs::default(), addr, buf)
    }

    /// Writes bytes.
    pub fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.0.write(DmaAttrs::default(), addr, bytes)
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
        self.0.fence();
    }
}

/// What a request reaches memory with.
pub struct GuestMemory {
    dma: Dma,
    /// Who else is concerned, if the request takes that into account.
    around: Option<Arc<Surroundings>>,
}

/// What is going on around the requests of a device that has a thread.
#[derive(Default)]
pub(super) struct Surroundings {
    /// How many wait for the queues, and for the request that is being executed.
    pub(super) awaited: AtomicU32,
    /// Requests are being executed on the thread that has told of them: a CPU's.
    pub(super) on_cpu: AtomicBool,
    /// One of them would keep the CPU for too long.
    pub(super) left: AtomicBool,
}

impl GuestMemory {
    pub(super) fn new(dma: Dma, around: Option<Arc<Surroundings>>) -> Self {
        Self { dma, around }
    }

    /// Stands still while a CPU waits for the queue, as one does that resets the device. To be awaited often by a request that
    /// may take long; it goes on from there, or is cancelled.
    pub async fn yield_to_waiting_cpu(&self) {
        let is_awaited = || self.around.as_ref().is_some_and(|a| a.awaited.load(Ordering::Acquire) != 0);
        poll_fn(|context| {
            if is_awaited() {
                // It can go on as soon as that one has had the queue.
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Stands still until the request is executed by the device's thread: to be awaited by one that takes long in any case.
    pub async fn leave_cpu(&self) {
        let Some(around) = &self.around else { return };
        poll_fn(|context| {
            if around.on_cpu.load(Ordering::Acquire) {
                around.left.store(true, Ordering::Release);
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// True if the request is to be done when it is first polled, as far as its memory lets it: nobody will ask again.
    #[must_use]
    pub fn at_once(&self) -> bool {
        self.around.is_none()
    }

    /// Moves bytes between a buffer of the device and buffers in memory; gives the device's buffer back.
    pub(super) async fn transfer(
        &self,
        direction: Direction,
        segments: Vec<Segment>,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, Aborted> {
        self.dma.transfer(direction, segments, bytes).await
    }
}
