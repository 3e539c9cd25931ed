//! A master that has two transfers under way at a time, and begins others until there were stalls enough.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Poll;

use emu_core::dma::{
    Aborted, Direction, Dma, DmaAttrs, DmaClient, Master, Ports, Segment, StallTable, StallTag, Stalls, Task,
    Transfer,
};
use parking_lot::{Condvar, Mutex};

use crate::fuzz::Random;

use super::ledger::{Answers, Ledger, UNREAD};
use super::rig::{PAGE, PAGES};
use super::{PATIENCE, Run, count};

/// Transfers at a time. Each has its part of the pages.
const SLOTS: u16 = 2;
const PAGES_OF_SLOT: u64 = PAGES / SLOTS as u64;

/// Who is told of answers: the master's thread waits for them.
#[derive(Default)]
struct Client {
    stalls: Arc<StallTable>,
    answers: Arc<Answers>,
    told: Mutex<u64>,
    changed: Condvar,
}

impl DmaClient for Client {
    fn resume(&self, tag: StallTag, retry: bool) {
        self.answers.answered(tag);
        self.stalls.resume(tag, retry);
        *self.told.lock() += 1;
        self.changed.notify_all();
    }
}

impl Client {
    /// Waits until more has been told than `seen`.
    fn wait(&self, seen: u64) -> Result<(), String> {
        let mut told = self.told.lock();
        while *told == seen {
            if self.changed.wait_for(&mut told, PATIENCE).timed_out() {
                return Err(format!("no answer to what is stalled in slots {:?}", self.stalls.slots()));
            }
        }
        Ok(())
    }
}

/// How a transfer ended.
struct Moved {
    outcome: Result<(), Aborted>,
    done: usize,
    bytes: Vec<u8>,
    direction: Direction,
}

struct Slot {
    number: u16,
    ledger: Arc<Ledger>,
    task: Option<Task<Moved>>,
}

/// Some parts of a window, which do not overlap, in any order.
fn segments(random: &mut Random, window: u64) -> Vec<Segment> {
    let (mut at, mut segments) = (random.below(PAGE), Vec::new());
    while segments.len() < 4 {
        let len = 1 + random.below(6000).min(random.below(6000));
        if at + len > PAGES_OF_SLOT * PAGE {
            break;
        }
        let place = random.below(segments.len() as u64 + 1) as usize;
        segments.insert(place, Segment { addr: window + at, len: len as u32 });
        at += len + random.below(PAGE);
    }
    segments
}

impl Slot {
    fn begin(&mut self, client: &Client, random: &mut Random) {
        let segments = segments(random, self.ledger.window());
        let parts: Vec<_> = segments.iter().map(|s| (s.addr, s.len as usize)).collect();
        let total = parts.iter().map(|(_, len)| len).sum();
        self.ledger.begin(parts);
        let (direction, bytes) = if random.below(2) == 0 {
            (Direction::FromMemory, vec![UNREAD; total])
        } else {
            (Direction::ToMemory, (0..total).map(|_| random.next() as u8).collect())
        };
        let attrs = DmaAttrs { privileged: random.below(2) == 0, ..DmaAttrs::default() };
        let dma = Dma::new(self.ledger.clone(), client.stalls.clone(), self.number, attrs);
        self.task = Some(Task::new(async move {
            let mut transfer = Transfer::new(direction, attrs, segments, bytes);
            let outcome = dma.run(&mut transfer).await;
            Moved { outcome, done: transfer.done(), bytes: transfer.into_bytes(), direction }
        }));
    }

    /// Goes on; true if the transfer has ended.
    fn go_on(&mut self, run: &Run, random: &mut Random) -> Result<bool, String> {
        let Some(task) = &mut self.task else { return Ok(false) };
        let polled = task.poll();
        self.ledger.check()?;
        match polled {
            Poll::Ready(moved) => {
                count(if moved.outcome.is_ok() { &run.counts.complete } else { &run.counts.aborted });
                self.ended(&moved)?;
            }
            // The device is reset: what is stalled stays so, until it is answered to nobody.
            Poll::Pending if random.below(200) == 0 => count(&run.counts.cancelled),
            Poll::Pending => return Ok(false),
        }
        run.counts.bytes.fetch_add(self.ledger.moved() as u64, Ordering::Relaxed);
        self.task = None;
        Ok(true)
    }

    fn ended(&self, moved: &Moved) -> Result<(), String> {
        let Moved { outcome, done, bytes, direction } = moved;
        if *done != self.ledger.moved() || outcome.is_ok() && *done != bytes.len() {
            return Err(format!("{done} of {} bytes, {} moved", bytes.len(), self.ledger.moved()));
        }
        let untouched = *direction == Direction::ToMemory || bytes[*done..].iter().all(|b| *b == UNREAD);
        if untouched { Ok(()) } else { Err(format!("more than {done} bytes were read")) }
    }
}

/// What a master does, until there were stalls enough and all of its own have been answered.
pub(super) fn work(run: &Arc<Run>, stream: u32, mut random: Random) -> Result<(), String> {
    let client = Arc::<Client>::default();
    let weak: Weak<dyn DmaClient> = Arc::<Client>::downgrade(&client);
    let port = run.rig.smmu.port(Master::new(stream, Stalls::Notify(weak)));
    let slot = |number: u16| {
        let first = u64::from(number) * PAGES_OF_SLOT;
        let pages = first..first + PAGES_OF_SLOT;
        let ledger = Ledger::new(run, port.clone(), client.answers.clone(), stream, pages);
        Slot { number, ledger: Arc::new(ledger), task: None }
    };
    let mut slots: Vec<Slot> = (0..SLOTS).map(slot).collect();
    while !run.is_over() {
        let seen = *client.told.lock();
        let goes_on = run.counts.stalls.load(Ordering::Relaxed) < run.enough;
        let mut progress = false;
        for slot in &mut slots {
            if slot.task.is_none() && goes_on {
                slot.begin(&client, &mut random);
            }
            progress |= slot.go_on(run, &mut random)?;
        }
        if !goes_on && slots.iter().all(|slot| slot.task.is_none()) && client.answers.are_complete() {
            return client.answers.check();
        }
        if progress {
            std::thread::yield_now();
        } else {
            client.wait(seen)?;
        }
    }
    Ok(())
}
