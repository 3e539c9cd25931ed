//! What host code does, counted for whoever asks: runs of blocks, and what they left to functions of the runtime.
//!
//! Compiled blocks count their own runs, in code that is only there while a profile is kept. From the runs follow the
//! instructions and the memory accesses: a block that was begun executes all of its operations, unless one of them
//! ends in an exception ([`Report`] says what that means for a count).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emu_a64::ir::SysEnc;
use emu_a64::level::El;
use parking_lot::Mutex;

use crate::interp::block::Code;
use crate::interp::uop::{Exact, Uop};

/// Counters that are allocated at once.
const CHUNK: usize = 4096;
/// Blocks whose code was dropped that are remembered, at most: those with the most instructions.
const MAX_PAST: usize = 1 << 16;

/// A block of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct BlockKey {
    pc: u64,
    el: El,
}

/// What is counted of a block.
#[derive(Clone, Copy, Default, Debug)]
struct Runs {
    runs: u64,
    instructions: u64,
    accesses: u64,
}

/// A block that is compiled now.
struct Block {
    key: BlockKey,
    instructions: u32,
    accesses: u32,
}

#[derive(Default)]
struct Blocks {
    /// One for each of `current`, in order. Host code knows their addresses, so they never move.
    counters: Vec<Box<[AtomicU64]>>,
    current: Vec<Block>,
    past: HashMap<BlockKey, Runs>,
    /// Of past blocks that were forgotten.
    rest: Runs,
}

/// What an operation was that host code did not do itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Operation {
    Exact(Exact),
    /// By its name, and the system register or system instruction that it names.
    Other(&'static str, Option<SysEnc>),
}

/// See the module's head. One vCPU writes; others may read at any time.
#[derive(Default)]
pub struct Profile {
    blocks: Mutex<Blocks>,
    operations: Mutex<HashMap<Operation, (String, u64)>>,
    missed: AtomicU64,
}

/// One of the blocks with the most instructions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotBlock {
    /// Virtual address of its first instruction.
    pub pc: u64,
    /// Exception level.
    pub el: El,
    /// Times that it was begun.
    pub runs: u64,
    /// Instructions executed in it.
    pub instructions: u64,
}

/// What a profile has counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Blocks begun in host code.
    pub runs: u64,
    /// Instructions of these blocks, also those after a fault in their block.
    pub instructions: u64,
    /// Memory accesses of these blocks (one for a pair), also those after a fault in their block.
    pub accesses: u64,
    /// Accesses that a function of the runtime did, for they were not found in the fast TLB.
    pub missed: u64,
    /// Operations that host code left to the interpreter or an exact function, most frequent first.
    pub operations: Vec<(String, u64)>,
    /// All blocks, those with the most instructions first.
    pub blocks: Vec<HotBlock>,
}

impl Runs {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.instructions += other.instructions;
        self.accesses += other.accesses;
    }
}

impl Blocks {
    fn counter(&self, n: usize) -> Option<&AtomicU64> {
        self.counters.get(n / CHUNK)?.get(n % CHUNK)
    }

    /// The counts of all blocks, by place.
    fn sums(&self) -> HashMap<BlockKey, Runs> {
        let mut sums = self.past.clone();
        for (n, block) in self.current.iter().enumerate() {
            let runs = self.counter(n).map_or(0, |c| c.load(Relaxed));
            if runs != 0 {
                sums.entry(block.key).or_default().add(Runs {
                    runs,
                    instructions: runs * u64::from(block.instructions),
                    accesses: runs * u64::from(block.accesses),
                });
            }
        }
        sums
    }
}

impl Profile {
    /// The host address of a counter for a block that will be compiled.
    pub(super) fn counter(&self, code: &Code, pc: u64, el: El) -> u64 {
        let blocks = &mut *self.blocks.lock();
        let n = blocks.current.len();
        if n / CHUNK == blocks.counters.len() {
            blocks.counters.push((0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        }
        blocks.current.push(Block {
            key: BlockKey { pc, el },
            instructions: code.words.len() as u32,
            accesses: code.uops.iter().filter(|u| u.facts().accesses).count() as u32,
        });
        blocks.counter(n).map_or(0, |c| c.as_ptr().expose_provenance() as u64)
    }

    /// All code was dropped: the counters are free for other blocks.
    pub(super) fn fold(&self) {
        let blocks = &mut *self.blocks.lock();
        let mut past = blocks.sums();
        if past.len() > MAX_PAST {
            let mut all: Vec<_> = past.into_iter().collect();
            all.sort_unstable_by_key(|(_, runs)| std::cmp::Reverse(runs.instructions));
            all.drain(MAX_PAST..).for_each(|(_, runs)| blocks.rest.add(runs));
            past = all.into_iter().collect();
        }
        blocks.past = past;
        blocks.current.clear();
        blocks.counters.iter().flatten().for_each(|c| c.store(0, Relaxed));
    }

    /// The interpreter did an operation.
    #[cold]
    pub(super) fn interpreted(&self, uop: &Uop) {
        let (name, register) = (uop.name(), uop.facts().repeat.register());
        self.operation(Operation::Other(name, register), || match register {
            Some(enc) => format!("{} {}", name.to_uppercase(), register_name(enc)),
            None => name.to_owned(),
        });
    }

    /// An exact function did an operation.
    #[cold]
    pub(super) fn exact(&self, op: Exact) {
        self.operation(Operation::Exact(op), || match op {
            Exact::Fp(op) => format!("{op:?}"),
            Exact::Vec(op) => format!("{op:?}"),
        });
    }

    fn operation(&self, what: Operation, name: impl FnOnce() -> String) {
        self.operations.lock().entry(what).or_insert_with(|| (name(), 0)).1 += 1;
    }

    /// A function of the runtime did a memory access.
    #[cold]
    pub(super) fn missed(&self) {
        self.missed.fetch_add(1, Relaxed);
    }

    /// What was counted until now.
    #[must_use]
    pub fn report(&self) -> Report {
        let (sums, mut total) = {
            let blocks = self.blocks.lock();
            (blocks.sums(), blocks.rest)
        };
        sums.values().for_each(|runs| total.add(*runs));
        let mut blocks: Vec<_> = sums
            .into_iter()
            .map(|(at, r)| HotBlock { pc: at.pc, el: at.el, runs: r.runs, instructions: r.instructions })
            .collect();
        blocks.sort_unstable_by_key(|b| (std::cmp::Reverse(b.instructions), b.pc, b.el));
        let mut operations: Vec<_> = self.operations.lock().values().cloned().collect();
        operations.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Report {
            runs: total.runs,
            instructions: total.instructions,
            accesses: total.accesses,
            missed: self.missed.load(Relaxed),
            operations,
            blocks,
        }
    }
}

impl Report {
    /// Adds what another vCPU counted.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.instructions += other.instructions;
        self.accesses += other.accesses;
        self.missed += other.missed;
        for (name, n) in &other.operations {
            match self.operations.iter_mut().find(|o| o.0 == *name) {
                Some(own) => own.1 += n,
                None => self.operations.push((name.clone(), *n)),
            }
        }
        self.operations.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut blocks: HashMap<(u64, El), HotBlock> = HashMap::new();
        for b in self.blocks.drain(..).chain(other.blocks.iter().cloned()) {
            blocks
                .entry((b.pc, b.el))
                .and_modify(|own| {
                    own.runs += b.runs;
                    own.instructions += b.instructions;
                })
                .or_insert(b);
        }
        self.blocks = blocks.into_values().collect();
        self.blocks.sort_unstable_by_key(|b| (std::cmp::Reverse(b.instructions), b.pc, b.el));
    }
}

/// A system register's name, or its encoding if several or none have it.
fn register_name(enc: SysEnc) -> String {
    match emu_pe::sysreg::row(enc) {
        Some(row) => row.name.to_owned(),
        None => format!("{enc:?}"),
    }
}
