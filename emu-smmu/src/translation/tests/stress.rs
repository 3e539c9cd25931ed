//! Several threads: what an invalidation promises, and that no stall is lost or answered twice.

use std::sync::atomic::AtomicBool;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use emu_core::dma::{Aborted, Direction, Segment, Task};

use super::*;

const ROUNDS: u64 = 1_000;
/// A machine with few processors for many threads gets this far at least, in this time.
const FEW_ROUNDS: u64 = 30;
const PATIENCE: Duration = Duration::from_secs(3);

/// Says that the other threads are to stop, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// DMA to one page whose translation alternates between two places. After an invalidation and a sync nobody writes to the old
/// place, and reads see the new one.
#[test]
fn after_a_sync_nothing_goes_the_old_way() {
    let rig = Rig::new();
    let root = rig.translate(1, 1);
    rig.translate(2, 2);
    let places = [DATA, DATA + 0x1000];
    // The first stream is translated again each time; the second one has its whole context changed.
    let roots: Vec<u64> = places.iter().map(|_| rig.memory.table()).collect();
    let context_of = |n: usize| Verdict::Translate(Arc::new(context(Some(stage1(roots[n], 2)), None)));
    for (&root, &place) in roots.iter().zip(&places) {
        rig.memory.map(root, 3, 0x1000, place | PAGE | NOT_GLOBAL);
    }
    rig.memory.map(root, 3, 0x1000, places[0] | PAGE | NOT_GLOBAL);
    rig.front.verdicts.lock().insert(2, context_of(0));
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let mut workers = Vec::new();
        for (thread, stream) in [1, 1, 2].into_iter().enumerate() {
            let (rig, stop) = (&rig, &stop);
            let shared = rig.port(stream);
            workers.push(s.spawn(move || {
                let (mut n, at) = (0, 0x1000 + thread as u64 * 64);
                while !stop.load(SeqCst) {
                    n += 1u64;
                    rig.write(&shared, at, &n.to_le_bytes()).unwrap();
                    // Nobody else writes here, and no place is older than what was written before it was left.
                    let seen = rig.read(&shared, at, 8).unwrap();
                    assert!(u64::from_le_bytes(seen.try_into().unwrap()) <= n);
                }
                n
            }));
        }
        let stopping = Stop(&stop);
        let (mut old, begun) = (0, Instant::now());
        for round in 0..ROUNDS {
            if round > FEW_ROUNDS && begun.elapsed() > PATIENCE {
                break;
            }
            let new = 1 - old;
            rig.memory.map(root, 3, 0x1000, places[new] | PAGE | NOT_GLOBAL);
            rig.front.verdicts.lock().insert(2, context_of(new));
            let end = 0x1fff;
            let scope = match round % 3 {
                0 => Scope::Va { regime: Regime::El10, vmid: 0, asid: None, start: 0x1000, end },
                1 => Scope::Context { regime: Regime::El10, vmid: 0 },
                _ => Scope::AllEl1,
            };
            rig.core.invalidate(&scope);
            rig.core.sync();
            let after = rig.bytes(places[old], 0x1000);
            for _ in 0..round % 4 {
                thread::yield_now();
            }
            assert_eq!(rig.bytes(places[old], 0x1000), after, "round {round}");
            old = new;
        }
        drop(stopping);
        assert!(workers.into_iter().all(|w| w.join().unwrap() > 0));
    });
}

/// Syncs from several threads at once, with transactions that go on all the time.
#[test]
fn syncs_end_while_transactions_go_on() {
    let rig = Rig::new();
    rig.say(1, Verdict::Bypass);
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        for n in 0..2 {
            let (rig, stop) = (&rig, &stop);
            let port = rig.port(1);
            s.spawn(move || {
                while !stop.load(SeqCst) {
                    rig.write(&port, DATA + n * 8, &[1; 8]).unwrap();
                }
            });
        }
        let _stopping = Stop(&stop);
        let syncs: Vec<_> = (0..2).map(|_| s.spawn(|| (0..200).for_each(|_| rig.core.sync()))).collect();
        syncs.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// A generator of numbers that are not in order (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

const MASTERS: u64 = 4;
const TRANSFERS: u64 = 300;
/// Pages that each master uses, one after the other; nothing is mapped at first.
const PAGES: u64 = 8;

/// One master's transfers, each of two or three pages that software takes away at random. Gives how many were aborted.
fn transfers(rig: &Rig, master: &Arc<Patient>, stream: u32, deadline: Instant) -> u64 {
    let port = master.port(&rig.core, stream);
    let mut dice = Dice(u64::from(stream) * 0x9e37_79b9);
    let mut aborted = 0;
    for n in 0..TRANSFERS {
        rig.front.ignored.lock().retain(|(of, ..)| *of != stream);
        let addr = (dice.roll(PAGES - 3) << 12) + 0xff0;
        let bytes: Vec<u8> = (0..0x1020).map(|i| (i as u64 ^ n).to_le_bytes()[0] | 1).collect();
        let (dma, sent) = (master.dma(&port), bytes.clone());
        let segments = vec![Segment { addr, len: bytes.len() as u32 }];
        let mut task =
            Task::new(async move { dma.transfer(Direction::ToMemory, segments, sent).await.map(drop) });
        let outcome = loop {
            // Told while the lock is held, or told before: a wake-up is not lost here.
            let mut told = master.told.lock();
            let before = told.len();
            drop(told);
            if let Poll::Ready(outcome) = task.poll() {
                break outcome;
            }
            told = master.told.lock();
            while told.len() == before && master.stalls.is_waiting(0) {
                assert!(Instant::now() < deadline, "a stall was lost: {:?}", rig.core.stalled());
                master.resumed.wait_for(&mut told, Duration::from_millis(100));
            }
        };
        match outcome {
            Ok(()) => check(rig, stream, addr, &bytes),
            Err(Aborted) => aborted += 1,
        }
    }
    aborted
}

/// Page `n` of a stream is always mapped to the same place.
fn place(stream: u32, va: u64) -> u64 {
    DATA + ((u64::from(stream) * PAGES) << 12) + va
}

/// Every byte is there, but for pages whose writes software had ignored: each is as a whole.
fn check(rig: &Rig, stream: u32, addr: u64, bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let va = addr + at as u64;
        let n = (0x1000 - va as usize % 0x1000).min(bytes.len() - at);
        let there = rig.bytes(place(stream, va), n);
        let ignored =
            rig.front.ignored.lock().range((stream, va, 0)..=(stream, va, u16::MAX)).next().is_some();
        assert!(there == bytes[at..at + n] || ignored, "stream {stream}, {va:#x}");
        at += n;
    }
}

/// One processor of software: maps what is missing and resumes, or aborts, or ignores; takes pages away, and resets all at times.
fn software(rig: &Rig, roots: &[u64], stop: &AtomicBool, seed: u64) {
    let mut dice = Dice(seed);
    loop {
        let mut events = rig.front.events.lock();
        if events.is_empty() {
            if stop.load(SeqCst) {
                return;
            }
            rig.front.event.wait_for(&mut events, Duration::from_millis(5));
        }
        let pending = std::mem::take(&mut *events);
        drop(events);
        for (stream, stag, address) in pending {
            let root = roots[stream as usize];
            let page = address & !0xfff;
            let answer = match dice.roll(8) {
                0 => Answer::Abort,
                1 => Answer::Zero,
                _ => Answer::Retry,
            };
            if answer == Answer::Retry && dice.roll(8) != 0 {
                rig.memory.map(root, 3, page, place(stream, page) | PAGE | NOT_GLOBAL);
            }
            if answer == Answer::Zero {
                rig.front.ignored.lock().insert((stream, address, stag));
            }
            if dice.roll(16) == 0 {
                rig.core.terminate_stalls(Some(stream));
            }
            if dice.roll(64) == 0 {
                rig.core.reset();
            }
            if !rig.core.resume(stream, stag, answer) {
                rig.front.ignored.lock().remove(&(stream, address, stag));
            }
            let gone = dice.roll(PAGES) << 12;
            rig.memory.map(root, 3, gone, 0);
            let asid = Some(stream as u16);
            rig.core.invalidate(&Scope::Va {
                regime: Regime::El10,
                vmid: 0,
                asid,
                start: gone,
                end: gone | 0xfff,
            });
            rig.core.sync();
        }
    }
}

#[test]
fn stalls_are_neither_lost_nor_answered_twice() {
    let rig = Rig::new();
    *rig.front.on_fault.lock() = OnFault::Stall;
    let roots: Vec<u64> = (0..=MASTERS).map(|n| rig.translate(n as u32, n as u16)).collect();
    let masters: Vec<_> = (0..=MASTERS).map(|_| Arc::<Patient>::default()).collect();
    let stop = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(100);
    thread::scope(|s| {
        let _stopping = Stop(&stop);
        for seed in [0xfeed, 0xbeef] {
            let (rig, roots, stop) = (&rig, &roots, &stop);
            s.spawn(move || software(rig, roots, stop, seed));
        }
        let work: Vec<_> = (1..=MASTERS as u32)
            .map(|stream| {
                let (rig, master) = (&rig, &masters[stream as usize]);
                s.spawn(move || transfers(rig, master, stream, deadline))
            })
            .collect();
        for (work, stream) in work.into_iter().zip(1..) {
            let aborted = work.join().unwrap();
            let count = rig.count(stream);
            assert!(aborted > 0 && count.stalls > 0, "{count:?}");
        }
    });
    assert_eq!(rig.core.stalled(), [], "each was answered");
    for master in &masters {
        let told = master.told.lock();
        let tags: std::collections::BTreeSet<u64> = told.iter().map(|(tag, _)| tag.0).collect();
        assert_eq!(tags.len(), told.len(), "none twice");
    }
}
