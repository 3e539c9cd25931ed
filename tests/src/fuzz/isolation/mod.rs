//! Isolation: masters behind an SMMUv3 reach what its tables let them reach, and nothing else.
//!
//! Software sets up streams, contexts and tables that mostly make sense ([`world`]), changes them, invalidates what it must or
//! not, and damages them. Each transaction of a master is judged by a slow checker ([`checker`], [`walk`], [`entries`]) that is
//! written from the specification and knows nothing of the code under test: where its bytes come from or go to, how it ends, and
//! that nothing else in memory has changed.
//!
//! An input is the seed of a world, and one step a byte.

mod checker;
mod entries;
mod memory;
mod software;
mod spaces;
mod walk;
mod world;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use emu_core::dma::{DmaAttrs, DmaFault, StallTag};

use super::Random;
use super::source::Source;

use self::checker::{Asked, Checker, Right, Verdict};
use self::memory::Memory;
use self::software::Rig;
use self::spaces::{DATA, one_in};
use self::walk::{End, Update};
use self::world::{STREAMS, World};

const PAGE: u64 = 0x1000;
/// Transactions between two looks at all of memory.
const LOOK: u32 = 8;
/// How often a transaction that stalls is tried at most.
const TRIES: u32 = 4;
/// What the SMMU may know before all of it is invalidated: with more, there are many right ends.
const KNOWN: usize = 200;

/// What was done in this process so far.
static MADE: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

/// How many transactions were made, and what became of them.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// All.
    pub all: u64,
    /// They were let through.
    pub through: u64,
    /// They were stalled.
    pub stalled: u64,
    /// There was more than one right end, as something may have been kept.
    pub cached: u64,
    /// Hardware had descriptors to change.
    pub updated: u64,
}

/// What was done in this process so far.
#[must_use]
pub fn made() -> Made {
    let [all, through, stalled, cached, updated] = MADE.each_ref().map(|n| n.load(Ordering::Relaxed));
    Made { all, through, stalled, cached, updated }
}

fn note(done: Result<(), DmaFault>, parts: &[Part]) {
    let stalled = matches!(done, Err(DmaFault::Stalled(_)));
    let cached = parts.iter().any(|p| p.verdict.ends.len() > 1);
    let updated = parts.iter().any(|p| !p.verdict.updates.is_empty());
    for (count, is) in MADE.iter().zip([true, done.is_ok(), stalled, cached, updated]) {
        count.fetch_add(u64::from(is), Ordering::Relaxed);
    }
}

/// A master's access.
#[derive(Clone, Copy, Debug)]
struct Dma {
    master: usize,
    attrs: DmaAttrs,
    address: u64,
    write: bool,
}

/// A part of it that is within a page of 4 KiB.
struct Part {
    asked: Asked,
    range: std::ops::Range<usize>,
    verdict: Verdict,
    /// Software had it answered with zeroes.
    zeroed: bool,
}

impl Part {
    /// Ends by which the part does not hold up the others.
    fn passes(&self) -> bool {
        self.zeroed || self.ends().any(|end| matches!(end, End::Through(_) | End::Zero))
    }

    fn ends(&self) -> impl Iterator<Item = End> {
        self.verdict.ends.iter().map(|Right { end, .. }| *end).chain(self.zeroed.then_some(End::Zero))
    }
}

/// All of it: machine, software, and the checker.
struct Fuzz {
    rig: Rig,
    memory: Memory,
    checker: Checker,
    /// Bytes that were written were never written before.
    serial: u64,
    looks: u32,
    /// The last access.
    last: Option<(Dma, usize)>,
}

impl Fuzz {
    fn new() -> Self {
        let mut memory = Memory::new();
        memory.reset(DATA);
        let rig = Rig::new(memory.ram);
        Self { rig, memory, checker: Checker::default(), serial: 0, looks: 0, last: None }
    }

    /// The parts of an access, each with what is right of it.
    fn parts(&self, dma: &Dma, len: usize, zeroed: &BTreeSet<u64>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut done = 0;
        while done < len {
            let address = dma.address.wrapping_add(done as u64);
            let n = ((PAGE - address % PAGE) as usize).min(len - done);
            let asked = Asked {
                stream: STREAMS[dma.master],
                substream: dma.attrs.substream,
                address,
                write: dma.write,
                privileged: dma.attrs.privileged,
                instruction: dma.attrs.instruction,
                translated: dma.attrs.translated,
                may_stall: Rig::may_stall(dma.master),
            };
            let verdict = self.checker.verdict(&self.memory.mirror, &asked);
            let zeroed = zeroed.contains(&(address / PAGE));
            parts.push(Part { asked, range: done..done + n, verdict, zeroed });
            done += n;
        }
        parts
    }

    /// An access, until it has ended: each time it is judged.
    fn transact(&mut self, world: &World, r: &mut Random, dma: &Dma, len: usize) {
        let mut zeroed = BTreeSet::new();
        for n in 0..TRIES {
            let Some(tag) = self.once(r, dma, len, &mut zeroed) else { return };
            match self.answer(world, r, tag, n + 1 == TRIES) {
                Answer::Again => {}
                Answer::Zero(address) => drop(zeroed.insert(address / PAGE)),
                Answer::Over => return,
            }
        }
    }

    /// Makes an access, and judges it. The tag, if it is stalled.
    fn once(
        &mut self,
        r: &mut Random,
        dma: &Dma,
        len: usize,
        zeroed: &mut BTreeSet<u64>,
    ) -> Option<StallTag> {
        let parts = self.parts(dma, len, zeroed);
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.fresh_word(r)).take(len).collect();
        let port = &self.rig.ports[dma.master];
        let done = if dma.write {
            port.write(dma.attrs, dma.address, &bytes)
        } else {
            port.read(dma.attrs, dma.address, &mut bytes)
        };
        note(done, &parts);
        let what = || {
            let of =
                |p: &Part| format!("\n  {:x?} -> {:x?} {:x?}", p.asked, p.verdict.ends, p.verdict.updates);
            format!("{dma:x?}, {len} bytes: {done:x?}{}", parts.iter().map(of).collect::<String>())
        };
        self.judge(dma, &parts, &bytes, done).unwrap_or_else(|why| panic!("{why}: {}", what()));
        self.updated(&parts, done.is_ok()).unwrap_or_else(|why| panic!("{why}: {}", what()));
        self.rig.drain_events(&mut self.memory);
        self.look().unwrap_or_else(|why| panic!("{why}: {}", what()));
        let tag = if let Err(DmaFault::Stalled(tag)) = done { Some(tag) } else { None };
        if tag.is_some() {
            // Transactions before the one that is stalled have ended, and need not be made again.
            let stalled = parts.iter().rposition(|p| p.ends().any(|end| end == End::Stall)).unwrap_or(0);
            let ended = parts[..stalled].iter().filter(|p| p.ends().any(|end| end == End::Zero));
            zeroed.extend(ended.map(|p| p.asked.address / PAGE));
        }
        parts.into_iter().for_each(|part| self.checker.learn(part.verdict));
        tag
    }

    fn fresh_word(&mut self, r: &mut Random) -> [u8; 8] {
        self.serial += 1;
        (r.next() ^ self.serial).to_le_bytes()
    }

    /// How an access ended is right, and its bytes are from where they may be, or where they may be.
    fn judge(
        &mut self,
        dma: &Dma,
        parts: &[Part],
        bytes: &[u8],
        done: Result<(), DmaFault>,
    ) -> Result<(), String> {
        let held = |by: &dyn Fn(End) -> bool| {
            let at = parts.iter().position(|p| p.ends().any(by))?;
            parts[..at].iter().all(Part::passes).then_some(at)
        };
        match done {
            Ok(()) => {
                for part in parts {
                    self.moved(dma, part, bytes)?;
                }
            }
            Err(DmaFault::Stalled(_)) => {
                held(&|end| end == End::Stall).ok_or("it must not stall")?;
            }
            Err(DmaFault::Abort) => {
                let nowhere = |end| matches!(end, End::Through(pa) if self.memory.now(pa, 1).is_none());
                // What is refused moves nothing. What goes to where nothing is, has moved what was before.
                let lost = held(&nowhere);
                held(&|end| end == End::Abort).or(lost).ok_or("it must not be refused")?;
                if let Some(last) = parts.iter().rposition(|p| p.ends().any(nowhere)).filter(|_| dma.write) {
                    // They may have been refused as well, each but after those before.
                    let _ = parts[..last].iter().try_for_each(|part| self.moved(dma, part, bytes));
                }
            }
        }
        Ok(())
    }

    /// A part has been moved.
    fn moved(&mut self, dma: &Dma, part: &Part, bytes: &[u8]) -> Result<(), String> {
        let bytes = &bytes[part.range.clone()];
        let places = part.ends().filter_map(|end| if let End::Through(pa) = end { Some(pa) } else { None });
        let zero = part.ends().any(|end| end == End::Zero);
        if dma.write {
            // If only one is where they were not before, it is that one.
            let is = |pa: &u64| self.memory.now(*pa, bytes.len()).is_some_and(|now| now == bytes);
            let was = |pa: &u64| self.memory.mirror.bytes(*pa, bytes.len()) == Some(bytes);
            let found: Vec<u64> = places.filter(is).collect();
            match found.iter().find(|pa| !was(pa)).or(found.first()) {
                Some(pa) => self.memory.settle(*pa, bytes),
                None if zero => {}
                None => return Err("it was written to where it must not be, or not at all".to_owned()),
            }
            return Ok(());
        }
        let right = |pa: u64| {
            // Hardware may have changed it in passing.
            self.memory.now(pa, bytes.len()).is_some_and(|now| now == bytes)
                || self.memory.mirror.bytes(pa, bytes.len()) == Some(bytes)
        };
        let zeroes = zero && bytes.iter().all(|b| *b == 0);
        if zeroes || places.into_iter().any(right) {
            Ok(())
        } else {
            Err("it has read what it must not, or something else".to_owned())
        }
    }

    /// Hardware has changed descriptors as it may, and as it must, if the transaction cannot have been translated without.
    fn updated(&mut self, parts: &[Part], through: bool) -> Result<(), String> {
        let updates = || parts.iter().flat_map(|p| &p.verdict.updates);
        for update in updates() {
            let may = updates().filter(|u| u.at == update.at).fold(0, |may, u| may | u.may);
            let now = self.memory.now_at(update.at);
            if (now ^ update.old) & !may == 0 {
                self.memory.settle(update.at, &now.to_le_bytes());
            }
        }
        for part in parts.iter().filter(|p| through && !p.zeroed) {
            let [Right { end: End::Through(pa), cached: false, .. }] = part.verdict.ends[..] else {
                continue;
            };
            let range = pa..pa + part.range.len() as u64;
            let overwritten = |u: &&Update| part.asked.write && u.at < range.end && range.start < u.at + 8;
            for update in part.verdict.updates.iter().filter(|u| !overwritten(u)) {
                if (self.memory.now_at(update.at) ^ update.old) & update.may != update.may {
                    return Err(format!("the descriptor at {:#x} has not been updated", update.at));
                }
            }
        }
        Ok(())
    }

    /// Now and then, all of memory is looked at.
    fn look(&mut self) -> Result<(), String> {
        self.looks += 1;
        if !self.looks.is_multiple_of(LOOK) {
            return Ok(());
        }
        match self.memory.difference() {
            None => Ok(()),
            Some((at, is, must)) => Err(format!("at {at:#x} is {is:#x}, and {must:#x} should be")),
        }
    }
}

/// What software has said of a stalled access.
enum Answer {
    /// It may be tried again.
    Again,
    /// The page of this address gives zeroes then.
    Zero(u64),
    /// It is terminated.
    Over,
}

fn access(world: &World, r: &mut Random) -> (Dma, usize) {
    let master = world::master(r);
    let substream = world.substream(r, master);
    let page = world.aim(r, master, substream);
    let len = if one_in(r, 6) { 1 + r.below(PAGE) } else { 8 + r.below(56) };
    let offset = if one_in(r, 8) { PAGE - 1 - r.below(16) } else { r.below(PAGE - 64) };
    let attrs = DmaAttrs {
        substream,
        privileged: one_in(r, 2),
        instruction: one_in(r, 6),
        translated: one_in(r, 64),
        ..DmaAttrs::default()
    };
    (Dma { master, attrs, address: page | offset, write: one_in(r, 2) }, len as usize)
}

fn steps(fuzz: &mut Fuzz, s: &mut Source) {
    let r = &mut Random::new(s.u64());
    fuzz.memory.reset(DATA);
    let mut world = World::new(&mut fuzz.memory, r);
    fuzz.begin(&world, r);
    fuzz.last = None;
    while !s.is_empty() {
        match s.u8() % 32 {
            0..20 => {
                // What was done may have been kept: it is done again.
                let again = fuzz.last.filter(|_| one_in(r, 3));
                let (mut dma, len) = again.unwrap_or_else(|| access(&world, r));
                dma.write ^= one_in(r, 4);
                fuzz.last = Some((dma, len));
                fuzz.transact(&world, r, &dma, len);
            }
            20..23 => fuzz.change_descriptor(&world, r),
            23 | 24 => fuzz.change_configuration(&mut world, r),
            25 => fuzz.damage(&world, r),
            26 | 27 => fuzz.invalidate(&world, r),
            28 => fuzz.broadcast(&world, r),
            29 => fuzz.disturb(r),
            30 => fuzz.sync(),
            _ if one_in(r, 4) => fuzz.switch_off_and_on(&world, r),
            _ => {}
        }
        if fuzz.checker.known() > KNOWN {
            fuzz.invalidate_all();
        }
    }
    if let Some((at, is, must)) = fuzz.memory.difference() {
        panic!("at {at:#x} is {is:#x}, and {must:#x} should be");
    }
}

thread_local! {
    static FUZZ: RefCell<Fuzz> = RefCell::new(Fuzz::new());
}

/// Isolation behind an SMMUv3.
pub(super) fn run(data: &[u8]) {
    FUZZ.with(|fuzz| steps(&mut fuzz.borrow_mut(), &mut Source::new(data)));
}
