//! What a device does by DMA, standing still while a transaction is stalled.
//!
//! A device's work is an `async` function that moves bytes with a [`Dma`]; a [`Task`] is one such piece of work under way. There
//! is no executor: the device polls its task when there is something to do, and again when [`StallTable::resume`] says that
//! it is the one that may go on. What the work has done until then is done once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use thiserror::Error;

use super::{Direction, DmaAttrs, DmaFault, DmaPort, Segment, StallTag, Transfer};
use crate::atomic::Atomic;

/// A transaction was terminated: by nobody at its address, by an SMMU, or by software that had it stalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the transaction was aborted")]
pub struct Aborted;

struct Stall {
    tag: StallTag,
    /// Whose it is.
    slot: u16,
    /// What software said: to be tried again, or to be aborted.
    answer: Option<bool>,
}

#[derive(Default)]
struct Stalled {
    waiting: Vec<Stall>,
    /// Answers to what is not parked: it may be at any moment, or nobody wants it any more.
    early: VecDeque<(StallTag, bool)>,
    /// How many of those were dropped for newer ones.
    dropped: u64,
}

/// How many early answers are kept.
const EARLY: usize = 64;

/// What one master has stalled: at most one transaction for each of its slots (its queues, its vectors).
#[derive(Default)]
pub struct StallTable(Mutex<Stalled>);

/// The state of things before a transaction is tried.
#[derive(Clone, Copy)]
pub struct Ticket(u64);

impl StallTable {
    /// To be taken before a transaction is tried.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.0.lock().dropped)
    }

    /// The transaction of `slot` that was tried since `ticket` has stalled. False if software has answered already, which
    /// [`StallTable::answer`] then tells; or if it may have, and the transaction must be tried again.
    #[must_use]
    pub fn park(&self, slot: u16, tag: StallTag, ticket: Ticket) -> bool {
        let stalled = &mut *self.0.lock();
        let early = stalled.early.iter().position(|(answered, _)| *answered == tag);
        let answer = early.and_then(|at| stalled.early.remove(at)).map(|(_, retry)| retry);
        if answer.is_some() || stalled.dropped == ticket.0 {
            stalled.waiting.push(Stall { tag, slot, answer });
        }
        answer.is_none() && stalled.dropped == ticket.0
    }

    /// Software has answered: gives the slot that may go on, if the transaction is known.
    pub fn resume(&self, tag: StallTag, retry: bool) -> Option<u16> {
        let stalled = &mut *self.0.lock();
        let Some(stall) = stalled.waiting.iter_mut().find(|s| s.tag == tag) else {
            if stalled.early.len() == EARLY {
                stalled.early.pop_front();
                stalled.dropped += 1;
            }
            stalled.early.push_back((tag, retry));
            return None;
        };
        stall.answer = Some(retry);
        Some(stall.slot)
    }

    /// A transaction of `slot` waits for an answer.
    #[must_use]
    pub fn is_waiting(&self, slot: u16) -> bool {
        self.0.lock().waiting.iter().any(|s| s.slot == slot && s.answer.is_none())
    }

    /// Takes the answer for `slot`: `Ready(true)` if its transaction, or a new one, may be tried, `Ready(false)` if it is aborted.
    pub fn answer(&self, slot: u16) -> Poll<bool> {
        let mut stalled = self.0.lock();
        let Some(at) = stalled.waiting.iter().position(|s| s.slot == slot) else { return Poll::Ready(true) };
        match stalled.waiting[at].answer {
            None => Poll::Pending,
            Some(retry) => {
                stalled.waiting.swap_remove(at);
                Poll::Ready(retry)
            }
        }
    }

    /// Slots whose transactions are stalled.
    #[must_use]
    pub fn slots(&self) -> Vec<u16> {
        self.0.lock().waiting.iter().map(|s| s.slot).collect()
    }

    /// Forgets the transaction of `slot`: whoever made it does no longer want it.
    pub fn cancel(&self, slot: u16) {
        self.0.lock().waiting.retain(|s| s.slot != slot);
    }

    /// Forgets all.
    pub fn cancel_all(&self) {
        self.0.lock().waiting.clear();
    }
}

/// Memory, for the work of one slot of a master.
#[derive(Clone)]
pub struct Dma {
    port: Arc<dyn DmaPort>,
    stalls: Arc<StallTable>,
    slot: u16,
    attrs: DmaAttrs,
}

impl Dma {
    /// Through `port`; what stalls is in `stalls`, under `slot`.
    #[must_use]
    pub fn new(port: Arc<dyn DmaPort>, stalls: Arc<StallTable>, slot: u16, attrs: DmaAttrs) -> Self {
        Self { port, stalls, slot, attrs }
    }

    /// Tries until it is done, aborted, or stalled.
    fn poll<T>(
        &self,
        mut attempt: impl FnMut(&dyn DmaPort) -> Result<T, DmaFault>,
    ) -> Poll<Result<T, Aborted>> {
        loop {
            match self.stalls.answer(self.slot) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(false) => return Poll::Ready(Err(Aborted)),
                Poll::Ready(true) => {}
            }
            let ticket = self.stalls.ticket();
            match attempt(&*self.port) {
                Ok(done) => return Poll::Ready(Ok(done)),
                Err(DmaFault::Abort) => return Poll::Ready(Err(Aborted)),
                Err(DmaFault::Stalled(tag)) => {
                    if self.stalls.park(self.slot, tag, ticket) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Does a transfer, or the rest of it; how far it has come is there to be looked at after an abort.
    pub async fn run(&self, transfer: &mut Transfer) -> Result<(), Aborted> {
        let _cancelled = OnDrop(self);
        poll_fn(|_| self.poll(|port| transfer.run(port))).await
    }

    /// Makes an atomic access, once; gives what was there.
    pub async fn atomic(&self, addr: u64, atomic: Atomic) -> Result<u64, Aborted> {
        let _cancelled = OnDrop(self);
        poll_fn(|_| self.poll(|port| port.atomic(self.attrs, addr, atomic))).await
    }

    /// Moves bytes between a buffer of the device and `segments`; gives the buffer back.
    pub async fn transfer(
        &self,
        direction: Direction,
        segments: Vec<Segment>,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, Aborted> {
        let mut transfer = Transfer::new(direction, self.attrs, segments, bytes);
        self.run(&mut transfer).await?;
        Ok(transfer.into_bytes())
    }
}

/// Forgets what is stalled of a transfer that nobody waits for any more.
struct OnDrop<'a>(&'a Dma);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.stalls.cancel(self.0.slot);
    }
}

/// Work of a device, begun and not ended. Dropping it cancels it.
pub struct Task<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Task<T> {
    /// Work that is yet to begin: see [`Task::poll`].
    #[must_use]
    pub fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }

    /// Goes on until the work is done, or stands still. It is not to be called again after it gave a result.
    pub fn poll(&mut self) -> Poll<T> {
        self.poll_with(Waker::noop())
    }

    /// The same, for work that waits for something else than memory: `waker` is told when it can go on.
    pub fn poll_with(&mut self, waker: &Waker) -> Poll<T> {
        self.0.as_mut().poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port whose transactions come out as they are told to, the last way for ever; it notes what it is asked for.
    struct Scripted {
        outcomes: Mutex<Vec<Result<(), DmaFault>>>,
        asked: Mutex<Vec<(u64, Vec<u8>)>>,
    }

    impl Scripted {
        fn next(&self, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
            self.asked.lock().push((addr, bytes.to_vec()));
            let mut outcomes = self.outcomes.lock();
            if outcomes.len() > 1 { outcomes.remove(0) } else { outcomes[0] }
        }
    }

    impl DmaPort for Scripted {
        fn stream_id(&self) -> u32 {
            0
        }
        fn read(&self, _: DmaAttrs, addr: u64, buf: &mut [u8]) -> Result<(), DmaFault> {
            self.next(addr, buf)?;
            buf.fill(addr as u8);
            Ok(())
        }
        fn write(&self, _: DmaAttrs, addr: u64, bytes: &[u8]) -> Result<(), DmaFault> {
            self.next(addr, bytes)
        }
    }

    const STALLED: Result<(), DmaFault> = Err(DmaFault::Stalled(StallTag(7)));

    fn rig(outcomes: &[Result<(), DmaFault>]) -> (Arc<Scripted>, Arc<StallTable>, Dma) {
        let port = Arc::new(Scripted { outcomes: Mutex::new(outcomes.to_vec()), asked: Mutex::default() });
        let stalls = Arc::<StallTable>::default();
        let dma = Dma::new(port.clone(), stalls.clone(), 3, DmaAttrs::default());
        (port, stalls, dma)
    }

    fn segments() -> Vec<Segment> {
        vec![Segment { addr: 0x10, len: 2 }, Segment { addr: 0x20, len: 3 }, Segment { addr: 0x30, len: 9 }]
    }

    fn task(dma: Dma, direction: Direction) -> Task<Result<Vec<u8>, Aborted>> {
        Task::new(async move { dma.transfer(direction, segments(), vec![1, 2, 3, 4, 5, 6]).await })
    }

    #[test]
    fn a_transfer_goes_on_where_it_stalled() {
        let (port, stalls, dma) = rig(&[Ok(()), STALLED, STALLED, Ok(())]);
        let mut task = task(dma, Direction::ToMemory);
        assert!(task.poll().is_pending() && stalls.is_waiting(3));
        assert!(task.poll().is_pending(), "nobody has answered");
        assert_eq!(stalls.resume(StallTag(8), true), None);
        for _ in 0..2 {
            assert_eq!(stalls.resume(StallTag(7), true), Some(3));
            assert!(!stalls.is_waiting(3));
            if let Poll::Ready(done) = task.poll() {
                assert_eq!(done, Ok(vec![1, 2, 3, 4, 5, 6]));
            }
        }
        let again = (0x20, vec![3, 4, 5]);
        let asked = [(0x10, vec![1, 2]), again.clone(), again.clone(), again, (0x30, vec![6])];
        assert_eq!(*port.asked.lock(), asked);
    }

    #[test]
    fn bytes_come_from_where_they_are() {
        let (_, _, dma) = rig(&[STALLED, Ok(())]);
        let stalls = dma.stalls.clone();
        let mut task = task(dma, Direction::FromMemory);
        assert!(task.poll().is_pending());
        stalls.resume(StallTag(7), true);
        assert_eq!(task.poll(), Poll::Ready(Ok(vec![0x10, 0x10, 0x20, 0x20, 0x20, 0x30])));
    }

    #[test]
    fn an_abort_says_how_far_it_came() {
        for outcomes in [&[Ok(()), Err(DmaFault::Abort)][..], &[Ok(()), STALLED]] {
            let (port, stalls, dma) = rig(outcomes);
            let mut task = Task::new(async move {
                let mut transfer =
                    Transfer::new(Direction::ToMemory, DmaAttrs::default(), segments(), vec![0; 6]);
                (dma.run(&mut transfer).await, transfer.done())
            });
            let first = task.poll();
            let outcome = if first.is_pending() {
                stalls.resume(StallTag(7), false);
                task.poll()
            } else {
                first
            };
            assert_eq!(outcome, Poll::Ready((Err(Aborted), 2)));
            assert_eq!(port.asked.lock().len(), 2, "what is terminated is not tried again");
        }
    }

    #[test]
    fn a_task_that_is_dropped_is_forgotten() {
        let (_, stalls, dma) = rig(&[STALLED, Err(DmaFault::Stalled(StallTag(8)))]);
        let mut dropped = task(dma.clone(), Direction::ToMemory);
        assert!(dropped.poll().is_pending());
        drop(dropped);
        assert_eq!((stalls.slots(), stalls.resume(StallTag(7), false)), (vec![], None));
        assert!(task(dma, Direction::ToMemory).poll().is_pending(), "the answer was for another one");
    }

    /// The answer can be there before the stall is noted.
    #[test]
    fn an_early_answer_is_not_lost() {
        for retry in [true, false] {
            let stalls = StallTable::default();
            let ticket = stalls.ticket();
            assert_eq!(stalls.resume(StallTag(1), retry), None);
            assert!(!stalls.park(0, StallTag(1), ticket), "it is answered");
            assert_eq!((stalls.is_waiting(0), stalls.answer(0)), (false, Poll::Ready(retry)));
            assert!(stalls.park(0, StallTag(2), ticket) && stalls.slots() == [0]);
            assert_eq!((stalls.answer(0), stalls.answer(1)), (Poll::Pending, Poll::Ready(true)));
        }
    }

    #[test]
    fn what_may_have_been_answered_is_tried_again() {
        let stalls = StallTable::default();
        let ticket = stalls.ticket();
        for tag in 0..=EARLY as u64 {
            assert_eq!(stalls.resume(StallTag(tag), false), None);
        }
        assert!(!stalls.park(0, StallTag(0), ticket));
        assert_eq!((stalls.slots(), stalls.answer(0)), (vec![], Poll::Ready(true)));
        assert!(!stalls.park(0, StallTag(1), ticket), "this one is still known");
        assert_eq!(stalls.answer(0), Poll::Ready(false));
        assert!(stalls.park(0, StallTag(999), stalls.ticket()));
    }
}
