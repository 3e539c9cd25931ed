//! The compiled units of one vCPU.

use std::collections::HashMap;

use emu_a64::mode::Mode;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;

use super::arena::Arena;
use super::observe::{CodeOrigin, CodeSize, Observers};
use super::state::{FlagKind, IndirectTarget, TARGETS};
use super::x64::{self, BIAS, Exit, ExitKind, HostFeatures, Input, KIND_BITS, Site, Thunks};
use super::{ExitReason, HostCode, UnitBlock, context_key, runtime};
use crate::interp::cache::Cache;
use crate::interp::uop::Frame;

/// The most code that one unit makes: some hundred operations, with their slow paths.
const MAX_CODE: usize = 128 << 10;

/// The host code of a unit that begins with a block. Addresses are the host's.
#[derive(Clone, Copy, Debug)]
pub struct CompiledUnit {
    /// Entry with all checks.
    entry: u64,
    /// Entry that only polls for requests, for back edges in the same page.
    head: u64,
    /// Entry without checks, for forward edges in the same page.
    fast: u64,
    /// Length of the code.
    bytes: u32,
    /// Number of the counter of a loop's entries in another context than it was made for; 0 if that does not matter.
    foreign_entries: u32,
    /// No more recordings: it is a loop, or was found not to be one.
    is_final: bool,
    /// How often a recording began with it as the head, since one ended.
    recording_attempts: u8,
    /// How many recordings ended, with a loop or without.
    finished_recordings: u8,
}

/// Counters that are allocated at a time.
const COUNTERS: usize = 1024;
/// A loop is made anew after so many entries in another context than it was made for. Each time it takes longer: where
/// processes take turns in a library's loop, it would be made all the time.
const FOREIGN_ENTRIES: u32 = 64;
/// How often a block is recorded again that was found to be the head of no loop, each time after many more rounds: the first
/// rounds may have been unlike the later ones, or interrupted.
const RETRIES: u8 = 2;

/// Counters of back edges, and of entries in other contexts.
struct Counters {
    /// What a new counter counts down from.
    rounds: u32,
    chunks: Vec<Box<[u32; COUNTERS]>>,
    used: usize,
    /// The stub, and its counter, of the unit whose second entry is at an address.
    stubs: HashMap<u64, (u64, u32)>,
}

impl Counters {
    fn new(rounds: u32) -> Self {
        // Number 0 is none.
        Self { rounds, chunks: vec![Box::new([rounds; COUNTERS])], used: 1, stubs: HashMap::new() }
    }

    /// The number and the host address of a new counter.
    fn fresh(&mut self) -> (u32, u64) {
        let n = self.used % COUNTERS;
        if n == 0 {
            self.chunks.push(Box::new([self.rounds; COUNTERS]));
        }
        let number = self.used as u32;
        self.used += 1;
        let chunk = self.chunks.last_mut().map(|c| c.as_mut_ptr()).unwrap_or_default();
        (number, chunk.wrapping_add(n).expose_provenance() as u64)
    }

    /// What a counter counts down from now.
    fn set(&mut self, number: u32, value: u32) {
        if let Some(chunk) = self.chunks.get_mut(number as usize / COUNTERS) {
            chunk[number as usize % COUNTERS] = value;
        }
    }
}

/// See the module's head.
pub struct Native {
    arena: Arena,
    thunks: Thunks,
    /// Bytes of the arena that the thunks take.
    shared: usize,
    host: HostFeatures,
    /// The epoch of block numbers that the code was made in.
    epoch: u64,
    /// All exits of all units.
    exits: Vec<Exit>,
    /// The one by which host code was left last.
    last_exit: usize,
    /// Where indirect branches lead.
    targets: Box<[IndirectTarget]>,
    /// For access sites.
    next_slot: u32,
    counters: Counters,
    observers: Observers,
}

impl Native {
    fn for_host(bytes: usize, rounds: u32, host: HostFeatures) -> Option<Self> {
        if !HostFeatures::suffices() {
            return None;
        }
        let mut arena = Arena::new(bytes.next_multiple_of(4096))
            .inspect_err(|e| {
                tracing::warn!(
                    "no memory for translated code, which makes the machine slow: {}",
                    emu_core::host::reason(&e)
                )
            })
            .ok()?;
        let (code, thunks) = x64::build_thunks(arena.next())?;
        arena.push(&code).then_some(())?;
        let shared = arena.used();
        Some(Self {
            arena,
            thunks,
            shared,
            host,
            epoch: 0,
            exits: Vec::new(),
            last_exit: 0,
            targets: vec![IndirectTarget::NONE; TARGETS].into(),
            next_slot: 0,
            counters: Counters::new(rounds),
            observers: Observers::default(),
        })
    }

    /// Links the jump whose displacement is at host address `at` to `to`.
    fn point_jump_at(&mut self, at: u64, to: u64) {
        let displacement = to.wrapping_sub(at + 4) as u32;
        self.arena.patch(at, &displacement.to_le_bytes());
    }

    /// The stub that counts back edges to a block.
    fn loop_counter(&mut self, (block, unit): (u32, &CompiledUnit)) -> Option<u64> {
        if let Some((stub, _)) = self.counters.stubs.get(&unit.head) {
            return Some(*stub);
        }
        let at = self.arena.next();
        let (number, counter) = self.counters.fresh();
        let code = x64::loop_counter_stub(at, (unit.head, block), counter, &self.thunks)?;
        self.arena.push(&code).then_some(())?;
        self.counters.stubs.insert(unit.head, (at, number));
        Some(at)
    }

    /// Sets the counter of entries in another context.
    fn restart_foreign_counter(&mut self, unit: &CompiledUnit) {
        if unit.foreign_entries != 0 {
            self.counters
                .set(unit.foreign_entries, FOREIGN_ENTRIES << (2 * unit.finished_recordings.min(12)));
        }
    }

    /// Back edges that were counted on their way to `head` go to `to` at once.
    fn stop_counting(&mut self, head: u64, to: u64) {
        if let Some((stub, _)) = self.counters.stubs.remove(&head) {
            self.arena.patch(stub, &[0xe9]);
            self.point_jump_at(stub + 1, to);
        }
    }
}

impl HostCode for Native {
    type Unit = CompiledUnit;

    fn new(bytes: usize, rounds: u32) -> Option<Self> {
        Self::for_host(bytes, rounds, HostFeatures::detect())
    }

    fn baseline(bytes: usize, rounds: u32) -> Option<Self> {
        Self::for_host(bytes, rounds, HostFeatures::baseline())
    }

    fn observe(&mut self, observers: Observers) {
        observers.made(self.arena.start(), self.arena.written(self.shared), CodeOrigin::Shared);
        self.observers = observers;
    }

    fn size(&self) -> CodeSize {
        CodeSize {
            used: self.arena.used() as u64,
            bound: (self.arena.used() + self.arena.remaining()) as u64,
        }
    }

    fn has_room(&self) -> bool {
        self.arena.remaining() >= MAX_CODE
    }

    fn table_bytes(&self) -> usize {
        let Counters { chunks, stubs, .. } = &self.counters;
        self.exits.capacity() * size_of::<Exit>()
            + chunks.len() * size_of::<[u32; COUNTERS]>()
            + stubs.capacity() * (size_of::<(u64, (u64, u32))>() + 1) * 8 / 7
    }

    fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.arena.truncate(self.shared);
            self.exits = Vec::new();
            self.counters = Counters::new(self.counters.rounds);
            self.targets.fill(IndirectTarget::NONE);
            self.observers.dropped();
        }
    }

    fn compile(
        &mut self,
        blocks: &[UnitBlock<'_>],
        key: u64,
        (cpu, mode): (&Cpu, Mode),
    ) -> Option<CompiledUnit> {
        let at = self.arena.next();
        let count = |p: &UnitBlock<'_>| self.observers.counter(p.code, p.page | u64::from(p.offset), mode.el);
        let blocks: Vec<_> = blocks.iter().map(|p| UnitBlock { counter: count(p), ..*p }).collect();
        let head = *blocks.first()?;
        let first_exit = self.exits.len() as u32;
        let depends = blocks.iter().any(|p| p.page != head.page || p.indirect_successors[0].is_some());
        let (foreign_entries, counter) = depends.then(|| self.counters.fresh()).unzip();
        let input = Input { block: head, at, cpu, mode, key, first_exit, foreign_entries: counter };
        let output = x64::compile(&blocks, input, &self.thunks, self.host, &mut self.next_slot)?;
        self.arena.push(&output.bytes).then_some(())?;
        cpu.counters.bump(Metric::Compiled);
        cpu.counters.bump_by(Metric::HostCodeBytes, output.bytes.len() as u64);
        self.observers.made(
            at,
            &output.bytes,
            CodeOrigin::Block { pc: head.page | u64::from(head.offset), el: mode.el },
        );
        self.exits.extend(output.exits);
        Some(CompiledUnit {
            entry: at,
            head: at + output.head as u64,
            fast: at + output.fast as u64,
            bytes: output.bytes.len() as u32,
            foreign_entries: foreign_entries.unwrap_or(0),
            is_final: head.is_loop(),
            recording_attempts: 0,
            finished_recordings: 0,
        })
    }

    fn begin_recording_attempt(unit: &mut CompiledUnit) -> bool {
        unit.recording_attempts = unit.recording_attempts.saturating_add(1);
        unit.recording_attempts <= 8
    }

    fn code(&self, block: &CompiledUnit) -> (u64, &[u8]) {
        (block.entry, self.arena.bytes(block.entry, block.bytes as usize))
    }

    fn link(&mut self, (from, n): (u32, usize), to: (u32, &CompiledUnit), page: u64, key: u64) {
        let Some(exit) = self.exits.get(self.last_exit).copied() else { return };
        if (exit.block, exit.n) != (from, n) {
            return;
        }
        let unit = to.1;
        match exit.site {
            Site::None => {}
            Site::Page { jump, backward: false } => self.point_jump_at(jump, unit.fast),
            Site::Page { jump, backward: true } if unit.is_final => self.point_jump_at(jump, unit.head),
            Site::Page { jump, backward: true } => {
                let counter = self.loop_counter(to).unwrap_or(unit.head);
                self.point_jump_at(jump, counter);
            }
            Site::Cross { jump, record } => {
                self.point_jump_at(jump, unit.entry);
                self.arena.patch(record, &page.to_le_bytes());
                self.arena.patch(record + 8, &key.to_le_bytes());
            }
        }
    }

    fn remember(&mut self, pc: u64, key: u64, to: &CompiledUnit) {
        self.targets[IndirectTarget::index(pc, context_key::salt(key))] =
            IndirectTarget { pc, key, entry: to.entry };
    }

    fn finalise_unit(&mut self, unit: &mut CompiledUnit) {
        unit.recording_attempts = 0;
        unit.finished_recordings = unit.finished_recordings.saturating_add(1);
        self.restart_foreign_counter(unit);
        let stub = self.counters.stubs.get(&unit.head).map(|(_, counter)| *counter);
        if let Some(counter) = stub.filter(|_| unit.finished_recordings <= RETRIES) {
            return self.counters.set(counter, self.counters.rounds << (5 * unit.finished_recordings));
        }
        unit.is_final = true;
        self.stop_counting(unit.head, unit.head);
    }

    fn replace(&mut self, old: &CompiledUnit, new: &mut CompiledUnit) {
        new.finished_recordings =
            old.finished_recordings + u8::from(old.finished_recordings < u8::MAX && new.is_final);
        self.restart_foreign_counter(new);
        for (from, to) in [(old.entry, new.entry), (old.head, new.head), (old.fast, new.fast)] {
            self.arena.patch(from, &[0xe9]);
            self.point_jump_at(from + 1, to);
        }
        self.stop_counting(old.head, new.head);
    }

    fn enter(
        &mut self,
        block: &CompiledUnit,
        frame: &mut Frame,
        cpu: &mut Cpu,
        cache: &Cache,
    ) -> (ExitReason, u32) {
        let jit = &mut frame.jit;
        jit.tlb = cpu.mem.tables_address();
        jit.targets = self.targets.as_ptr().expose_provenance() as u64;
        jit.cpu = std::ptr::from_mut(cpu).expose_provenance() as u64;
        jit.cache = std::ptr::from_ref(cache).expose_provenance() as u64;
        let biased = std::ptr::from_mut(frame).wrapping_byte_offset(BIAS as isize);
        // SAFETY: the address is that of the thunk made for this signature, in memory that is executable as long as
        // `self` lives. The block's code was made by the generator for this arena and is not changed while it runs. It
        // reads and writes the frame, and guest RAM through entries of the fast TLB, as the interpreter does; the runtime
        // makes references to CPU and cache from the addresses above, which this function's own exclusive (cache:
        // shared) borrows cover.
        let word = unsafe {
            let enter: extern "sysv64" fn(*mut Frame, u64) -> u64 =
                std::mem::transmute(std::ptr::with_exposed_provenance::<()>(self.thunks.enter as usize));
            enter(biased, block.entry)
        };
        runtime::materialise_flags(frame);
        runtime::count(frame, cpu);
        runtime::collect(frame, cpu);
        debug_assert_eq!(frame.jit.flag_kind, FlagKind::None as u32);
        let number = (word as u32) >> KIND_BITS;
        let left = match ExitKind::from_word(word) {
            ExitKind::Exit => {
                self.last_exit = number as usize;
                let exit = self.exits.get(self.last_exit);
                return exit.map_or((ExitReason::Event, 0), |exit| (ExitReason::Exit(exit.n), exit.block));
            }
            ExitKind::Indirect => ExitReason::Indirect,
            ExitKind::End => ExitReason::End,
            ExitKind::Event => ExitReason::Event,
            ExitKind::Fault => ExitReason::Fault,
            ExitKind::LoopCandidate => ExitReason::LoopCandidate,
        };
        (left, number)
    }
}
