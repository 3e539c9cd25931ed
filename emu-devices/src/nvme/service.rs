//! The controller at work: doorbells, commands that begin, go on and end, and what is told of it.

use std::ops::Bound;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use emu_core::dma::{Direction, Dma, DmaAttrs, Segment, Task};
use parking_lot::MutexGuard;

use super::admin::Step;
use super::command::{COMMAND, Command, Completion};
use super::io::Io;
use super::logs::Event;
use super::namespace::Namespace;
use super::registers::{cc, csts};
use super::status::{Outcome, Status};
use super::{Live, Nvme};
use crate::block::DiskRequest;

/// Commands that are executed at a time, of all queues and of one.
pub(super) const IN_FLIGHT: usize = 256;
const IN_FLIGHT_OF_QUEUE: u16 = 64;
/// Of those, for administration only.
const RESERVED: usize = 8;
/// Completions that may wait for room in their queue before no more commands are taken that would end there.
const BACKLOG: usize = 64;
/// Steps that are done on the thread that tells of something to do; the worker goes on.
const STEPS_HERE: u32 = 128;
/// Without a worker, there is an end to what one access may cause.
const STEPS_INLINE: u32 = 1 << 16;
/// Steps of the worker before it gives the lock to others.
const STEPS_OF_WORKER: u32 = 64;

/// Slots of the stall table: those of commands, then those of queues.
const SUBMISSION_SLOTS: u16 = 0x4000;
const COMPLETION_SLOTS: u16 = 0x8000;

/// A command that is executed.
pub(super) struct Running {
    /// Its submission queue; none if it is the shutdown.
    pub(super) queue: Option<u16>,
    pub(super) command: Command,
    task: Task<Outcome>,
}

/// Wakes the command of a slot.
struct Bell {
    slot: u16,
    device: Weak<Nvme>,
}

/// How the command of each slot says that it can go on.
pub(super) fn wakers(device: &Weak<Nvme>) -> Vec<Waker> {
    let waker = |slot| Waker::from(Arc::new(Bell { slot, device: device.clone() }));
    (0..IN_FLIGHT as u16).map(waker).collect()
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(device) = self.device.upgrade() {
            device.wake(self.slot);
        }
    }
}

impl Live {
    /// A completion for a completion queue.
    pub(super) fn complete(&mut self, cq: u16, completion: Completion) {
        if let Some(cq) = self.cqs.get_mut(&cq) {
            cq.waiting.push_back(completion);
        }
    }

    /// A slot for another command of `queue`.
    fn free(&self, queue: u16) -> Option<u16> {
        let end = if queue == 0 { IN_FLIGHT } else { IN_FLIGHT - RESERVED };
        self.commands.iter().take(end).position(Option::is_none).map(|n| n as u16)
    }
}

impl Nvme {
    /// Memory, for what has a slot.
    pub(super) fn dma(&self, slot: u16) -> Dma {
        Dma::new(self.core.port().clone(), self.stalls.clone(), slot, DmaAttrs::default())
    }

    fn wake(&self, slot: u16) {
        self.ready.lock().push(slot);
        self.run();
    }

    /// There is something to do: some of it is done on this thread, unless another one is at it.
    pub(super) fn run(&self) {
        self.pending.store(true, Ordering::Release);
        self.serve();
    }

    /// Does what there is to do. Everybody who has held the lock comes here: others have gone away because of it.
    pub(super) fn serve(&self) {
        let mut budget = if self.options.inline { STEPS_INLINE } else { STEPS_HERE };
        loop {
            fence(Ordering::SeqCst);
            if !self.pending.load(Ordering::Acquire) {
                return;
            }
            let Some(mut live) = self.live.try_lock() else { return };
            if live.paused {
                return;
            }
            self.pending.store(false, Ordering::Release);
            self.step(&mut live, &mut budget);
            if budget > 0 {
                continue;
            }
            self.pending.store(true, Ordering::Release);
            if !self.options.inline {
                drop(live);
                return self.worker.wake();
            }
            budget = STEPS_INLINE;
            self.fatal(&mut live, "the queues never become empty");
        }
    }

    /// The worker's round.
    pub(super) fn work(&self, interrupted: &dyn Fn() -> bool) {
        loop {
            fence(Ordering::SeqCst);
            if !self.pending.load(Ordering::Acquire) || interrupted() {
                return;
            }
            let mut live = self.live.lock();
            if live.paused {
                return;
            }
            self.pending.store(false, Ordering::Release);
            let mut budget = STEPS_OF_WORKER;
            self.step(&mut live, &mut budget);
            if budget == 0 {
                self.pending.store(true, Ordering::Release);
            }
            MutexGuard::unlock_fair(live);
        }
    }

    /// The controller cannot go on: only a reset helps.
    pub(super) fn fatal(&self, live: &mut Live, why: &str) {
        self.anomaly(why, 0);
        live.forget();
        live.regs.csts |= csts::FATAL;
    }

    fn step(&self, live: &mut Live, budget: &mut u32) {
        loop {
            self.take_doorbells(live);
            let mut did = self.go_on(live, budget);
            if live.regs.is_ready() {
                did |= self.fetch(live, budget);
                while let Some((id, result)) = live.events.take() {
                    live.complete(0, Completion::new(0, id, Ok(result)));
                }
                self.post(live);
            }
            if !did || *budget == 0 {
                break;
            }
        }
        self.interrupt(live);
    }

    pub(super) fn take_doorbells(&self, live: &mut Live) {
        let rung = std::mem::take(&mut *self.doorbells.lock());
        for (index, value) in rung {
            if live.regs.is_ready() {
                self.doorbell(live, index, value);
            } else {
                self.anomaly("a doorbell while the controller is not ready:", index.into());
            }
        }
    }

    fn doorbell(&self, live: &mut Live, index: u16, value: u32) {
        let (queue, value) = (index / 2, u16::try_from(value));
        let known = match index.is_multiple_of(2) {
            true => live.sqs.get_mut(&queue).map(|sq| match value {
                Ok(tail) if tail < sq.ring.size => {
                    sq.ring.tail = tail;
                    true
                }
                _ => false,
            }),
            false => live.cqs.get_mut(&queue).map(|cq| value.is_ok_and(|head| cq.ring.release(head))),
        };
        match known {
            Some(true) => {}
            Some(false) => {
                self.anomaly("a doorbell gets a value that it cannot have:", index.into());
                live.events.raise(Event::INVALID_VALUE);
            }
            None => {
                self.anomaly("a doorbell of no queue:", index.into());
                live.events.raise(Event::INVALID_DOORBELL);
            }
        }
    }

    /// Goes on with the commands that can.
    fn go_on(&self, live: &mut Live, budget: &mut u32) -> bool {
        let mut ready = std::mem::take(&mut *self.ready.lock());
        ready.sort_unstable();
        ready.dedup();
        let now = ready.len().min(*budget as usize);
        for slot in &ready[..now] {
            self.poll(live, *slot);
        }
        *budget -= now as u32;
        self.ready.lock().extend_from_slice(&ready[now..]);
        now > 0
    }

    fn poll(&self, live: &mut Live, slot: u16) {
        let Some(place) = live.commands.get_mut(usize::from(slot)) else { return };
        let Some(running) = place else { return };
        let Some(waker) = self.wakers.get(usize::from(slot)) else { return };
        let Poll::Ready(outcome) = running.task.poll_with(waker) else { return };
        let Some(Running { queue, command, .. }) = place.take() else { return };
        match queue {
            Some(queue) => self.end(live, queue, &command, outcome),
            None => live.regs.csts = live.regs.csts & !csts::SHUTDOWN | csts::SHUT_DOWN,
        }
    }

    fn end(&self, live: &mut Live, queue: u16, command: &Command, outcome: Outcome) {
        if let Err(status) = outcome {
            tracing::debug!(target: crate::GUEST_ERRORS, "{}: {command:x?} of queue {queue}: {status:x?}", self.name);
        }
        let shift = self.namespaces.get(&command.nsid()).map_or(0, |n| n.shift);
        let bytes = (u64::from(command.word(12) & 0xffff) + 1) << shift;
        live.health.note(queue, command, bytes, outcome);
        if let Some(sq) = live.sqs.get_mut(&queue) {
            sq.running = sq.running.saturating_sub(1);
            let cq = sq.cq;
            live.complete(cq, Completion::new(queue, command.id(), outcome));
        }
    }

    /// Takes one command from each queue that has some.
    fn fetch(&self, live: &mut Live, budget: &mut u32) -> bool {
        let (mut did, mut after) = (false, Bound::Unbounded);
        // A command may delete queues, and make others.
        while let Some((&queue, _)) = live.sqs.range((after, Bound::Unbounded)).next() {
            after = Bound::Excluded(queue);
            if *budget > 0 && live.regs.is_ready() && self.fetch_one(live, queue) {
                *budget -= 1;
                did = true;
            }
        }
        did
    }

    fn fetch_one(&self, live: &mut Live, queue: u16) -> bool {
        let Some(slot) = live.free(queue) else { return false };
        let Some(sq) = live.sqs.get_mut(&queue) else { return false };
        let is_late = live.cqs.get(&sq.cq).is_some_and(|cq| cq.waiting.len() >= BACKLOG);
        if sq.ring.is_empty() || sq.running >= IN_FLIGHT_OF_QUEUE || is_late {
            return false;
        }
        let addr = sq.ring.command_at_head();
        let task = sq.fetching.get_or_insert_with(|| {
            let dma = self.dma(SUBMISSION_SLOTS + queue);
            let entry = vec![Segment { addr, len: COMMAND as u32 }];
            Task::new(async move { dma.transfer(Direction::FromMemory, entry, vec![0; COMMAND]).await })
        });
        let Poll::Ready(entry) = task.poll() else { return false };
        sq.fetching = None;
        match entry {
            Ok(entry) => {
                sq.ring.take();
                self.begin(live, slot, queue, Command::parse(&entry));
            }
            Err(_) => self.fatal(live, "a submission queue cannot be read"),
        }
        true
    }

    /// Begins a command of `queue` in a slot that is free.
    pub(super) fn begin(&self, live: &mut Live, slot: u16, queue: u16, command: Command) {
        if let Some(sq) = live.sqs.get_mut(&queue) {
            sq.running += 1;
        }
        let step = if queue == 0 { self.admin(live, slot, &command) } else { self.io(live, slot, command) };
        match step {
            Step::Done(outcome) => self.end(live, queue, &command, outcome),
            Step::Task(task) => self.start(live, slot, Some(queue), command, task),
            Step::Held => {
                if let Some(sq) = live.sqs.get_mut(&queue) {
                    sq.running -= 1;
                }
            }
        }
    }

    fn start(&self, live: &mut Live, slot: u16, queue: Option<u16>, command: Command, task: Task<Outcome>) {
        if let Some(place) = live.commands.get_mut(usize::from(slot)) {
            *place = Some(Running { queue, command, task });
            self.poll(live, slot);
        }
    }

    fn io(&self, live: &Live, slot: u16, command: Command) -> Step {
        let namespaces: Vec<Arc<Namespace>> = match self.namespace(command.nsid()) {
            Ok(namespace) => vec![namespace.clone()],
            Err(_) if command.nsid() == u32::MAX && command.opcode() == super::io::opcode::FLUSH => {
                self.namespaces.values().cloned().collect()
            }
            Err(status) => return Err(status).into(),
        };
        let io = Io {
            dma: self.dma(slot),
            namespaces,
            page: cc::page(live.regs.cc),
            most: self.options.transfer(),
            cached: live.features.write_cache,
            counters: self.counters.clone(),
        };
        Step::Task(Task::new(io.execute(command)))
    }

    /// Begins to make all stable for a shutdown.
    pub(super) fn shut_down(&self, live: &mut Live) {
        live.regs.csts = live.regs.csts & !csts::SHUTDOWN | csts::SHUTTING_DOWN;
        let namespaces: Vec<Arc<Namespace>> = self.namespaces.values().cloned().collect();
        let task = Task::new(async move {
            for namespace in namespaces {
                if let Err(e) = namespace.disk.run(DiskRequest::Flush).await.result {
                    tracing::warn!("cannot flush '{}': {e}", namespace.disk.backend().name());
                }
            }
            Ok(0)
        });
        match live.free(0) {
            Some(slot) => self.start(live, slot, None, Command::parse(&[]), task),
            None => live.regs.csts = live.regs.csts & !csts::SHUTDOWN | csts::SHUT_DOWN,
        }
    }

    /// Writes completions.
    fn post(&self, live: &mut Live) {
        let Live { cqs, sqs, .. } = live;
        let mut failed = false;
        for (id, cq) in cqs {
            while let Some(completion) = cq.waiting.front() {
                if cq.posting.is_none() && cq.ring.is_full() {
                    break;
                }
                let (addr, phase) = (cq.ring.completion_at_tail(), cq.phase);
                let task = cq.posting.get_or_insert_with(|| {
                    let head = sqs.get(&completion.queue).map_or(0, |sq| sq.ring.head);
                    let bytes = completion.bytes(head, phase);
                    let (dma, len) = (self.dma(COMPLETION_SLOTS + id), bytes.len() as u32);
                    let entry = vec![Segment { addr, len }];
                    Task::new(async move { dma.transfer(Direction::ToMemory, entry, bytes).await })
                });
                let Poll::Ready(posted) = task.poll() else { break };
                cq.posting = None;
                if posted.is_err() {
                    failed = true;
                    break;
                }
                cq.waiting.pop_front();
                cq.phase ^= cq.ring.put();
                cq.untold = true;
            }
        }
        if failed {
            self.fatal(live, "a completion queue cannot be written");
        }
    }

    /// Raises the interrupts of queues that have something new, and drives the pin.
    pub(super) fn interrupt(&self, live: &mut Live) {
        let msix = self.has_msix();
        for cq in live.cqs.values_mut() {
            if std::mem::take(&mut cq.untold)
                && msix
                && let Some(vector) = cq.vector
            {
                self.core.raise_msix(vector);
            }
        }
        let mask = live.regs.mask;
        let waits = |vector: u16| mask.checked_shr(vector.into()).unwrap_or(0) & 1 == 0;
        let level = !msix && live.cqs.values().any(|cq| !cq.ring.is_empty() && cq.vector.is_some_and(waits));
        if level != live.pin {
            live.pin = level;
            self.core.set_intx(level);
        }
    }

    /// A namespace that there is.
    pub(super) fn namespace(&self, id: u32) -> Result<&Arc<Namespace>, Status> {
        match self.namespaces.get(&id) {
            Some(namespace) => Ok(namespace),
            None if (1..=Namespace::MAX).contains(&id) => Err(Status::INVALID_FIELD),
            None => Err(Status::INVALID_NAMESPACE),
        }
    }
}
