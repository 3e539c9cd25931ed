//! Serving the queues: requests are begun, go on when they can, and are published as they end.

use std::sync::atomic::Ordering;
use std::task::Poll;

use emu_core::dma::{Dma, DmaAttrs, DmaFault};
use emu_core::metrics::Metric;
use parking_lot::MutexGuard;

use super::running::{self, Running};
use super::{Live, VirtioCore};
use crate::virtio::memory::Rings;
use crate::virtio::{GuestMemory, Placement, QueueFault};

/// Requests that one notification may cause on the notifying thread. A driver that refills its queue faster than the
/// device empties it for so long is not sane, and must not hold the vCPU for ever.
const INLINE_BUDGET: u32 = 1 << 16;

/// Steps that are done on the thread that tells of something to do: each begins, goes on with or publishes one request.
const STEPS_HERE: u32 = 128;

impl VirtioCore {
    /// Has pending queues serviced, here or by the worker.
    pub(super) fn run_pending(&self) {
        if self.pending.load(Ordering::Acquire) == 0 {
            return;
        }
        match self.placement {
            Placement::Worker if self.run_here() => {}
            Placement::Worker => self.worker.wake(),
            Placement::Inline => self.run_inline(),
        }
    }

    /// Takes the set of pending queues.
    fn take_pending(&self) -> impl Iterator<Item = u16> + use<> {
        let mask = self.pending.swap(0, Ordering::AcqRel);
        (0..64).filter(move |q| mask & 1 << q != 0)
    }

    fn run_inline(&self) {
        while self.pending.load(Ordering::Acquire) != 0 {
            // Whoever holds the lock, which may be this thread further up, looks at `pending` after giving it back.
            let Some(mut live) = self.live.try_lock() else { return };
            if live.paused {
                return;
            }
            let mut budget = INLINE_BUDGET;
            for queue in self.take_pending() {
                while self.step(&mut live, queue) {
                    budget -= 1;
                    if budget == 0 {
                        self.needs_reset(&mut live, QueueFault::Malformed("the queue never becomes empty"));
                        break;
                    }
                }
                if budget == 0 {
                    break;
                }
            }
        }
    }

    /// Does a little of what is pending on this thread, which is a CPU's or one of the host's storage: what can be done at once is
    /// done before another thread has woken up. False if there is more, for the worker.
    fn run_here(&self) -> bool {
        // If somebody else is at it, he may have looked before there was this.
        let Some(mut live) = self.live.try_lock() else { return false };
        if live.paused {
            return true;
        }
        self.around.on_cpu.store(true, Ordering::Release);
        let mut steps = STEPS_HERE;
        for queue in self.take_pending() {
            while steps > 0 && !self.around.left.load(Ordering::Acquire) && self.step(&mut live, queue) {
                steps -= 1;
            }
            if steps == 0 || self.around.left.load(Ordering::Acquire) {
                self.pending.fetch_or(1 << queue, Ordering::AcqRel);
                self.signal(&mut live, queue);
            }
        }
        self.around.on_cpu.store(false, Ordering::Release);
        self.around.left.store(false, Ordering::Release);
        drop(live);
        self.pending.load(Ordering::Acquire) == 0
    }

    /// The worker's round: every pending queue until nothing can be done, with the lock given back between two steps.
    pub(super) fn run_worker(&self, interrupted: &dyn Fn() -> bool) {
        for queue in self.take_pending() {
            loop {
                if interrupted() {
                    self.pending.fetch_or(1 << queue, Ordering::AcqRel);
                    self.signal(&mut self.live.lock(), queue);
                    break;
                }
                let mut live = self.live.lock();
                let executed = self.step(&mut live, queue);
                // A reset that waits goes first, rather than after all that the driver has queued.
                MutexGuard::unlock_fair(live);
                if !executed {
                    break;
                }
            }
        }
    }

    /// Goes on with `queue`, by one request at most; false if nothing can be done now.
    fn step(&self, live: &mut Live, queue: u16) -> bool {
        if !live.active || live.paused {
            return false;
        }
        let advanced = self.advance(live, queue).unwrap_or_else(|fault| {
            self.needs_reset(live, fault);
            false
        });
        if !advanced {
            self.signal(live, queue);
        }
        advanced
    }

    /// Tells the driver of what was published, if it wants to know: once for all that could be done at a time.
    fn signal(&self, live: &mut Live, queue: u16) {
        let Some(q) = live.queues.get_mut(usize::from(queue)) else { return };
        if q.enabled() && q.is_unsignalled() && q.needs_signal(&Rings::new(&*self.port)) {
            self.signals.queue(queue);
        }
    }

    fn advance(&self, live: &mut Live, queue: u16) -> Result<bool, QueueFault> {
        let Live { queues, running, .. } = live;
        let at = usize::from(queue);
        let (Some(q), Some(running), Some(wakers)) =
            (queues.get_mut(at), running.get_mut(at), self.wakers.get(at))
        else {
            return Ok(false);
        };
        if !q.enabled() {
            return Ok(false);
        }
        if self.with_rings(queue, |rings| q.publish(rings))? == Some(true) {
            self.counters.add(Metric::VirtioRequests, 1);
            return Ok(true);
        }
        let place = match wakers.take() {
            Some(place) => place,
            None => {
                let Some(free) = running.iter().position(Option::is_none) else { return Ok(false) };
                if !self.device.ready(queue) {
                    return Ok(false);
                }
                let Some(chain) = self.with_rings(queue, |rings| q.take(rings))?.flatten() else {
                    return Ok(false);
                };
                let head = chain.head;
                let memory = self.memory(running::slot(queue, free as u16));
                let request = self.device.clone().process(queue, chain, memory);
                running[free] = Some(Running { head, request });
                free
            }
        };
        let Some(slot) = running.get_mut(place) else { return Ok(true) };
        if let Some(Running { head, request }) = slot
            && let Poll::Ready(written) = request.poll_with(wakers.waker(place))
        {
            q.complete(*head, written?);
            *slot = None;
        }
        Ok(true)
    }

    /// What the request in `slot` reaches memory with.
    fn memory(&self, slot: u16) -> GuestMemory {
        let around = (self.placement == Placement::Worker).then(|| self.around.clone());
        GuestMemory::new(Dma::new(self.port.clone(), self.stalls.clone(), slot, DmaAttrs::default()), around)
    }

    /// Accesses the rings of `queue`. `None` if that stalled: it is made again when software has answered.
    fn with_rings<T>(
        &self,
        queue: u16,
        mut access: impl FnMut(&Rings<'_>) -> Result<T, QueueFault>,
    ) -> Result<Option<T>, QueueFault> {
        loop {
            match self.stalls.answer(queue) {
                Poll::Pending => return Ok(None),
                Poll::Ready(false) => return Err(QueueFault::Dma(DmaFault::Abort)),
                Poll::Ready(true) => {}
            }
            let ticket = self.stalls.ticket();
            match access(&Rings::new(&*self.port)) {
                Err(QueueFault::Dma(DmaFault::Stalled(tag))) => {
                    if self.stalls.park(queue, tag, ticket) {
                        return Ok(None);
                    }
                }
                result => return result.map(Some),
            }
        }
    }
}
