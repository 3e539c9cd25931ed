//! Finding and keeping predecoded blocks.
//!
//! A block is known by the physical address of its first instruction and the [`Mode`]; it belongs to a version of its
//! page (see [`emu_core::page`]) and is made anew when the page has a newer one. In front of that stands a
//! direct-mapped table by virtual address, which a change of the context's serial empties at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use emu_a64::lower::translate;
use emu_a64::mode::Mode;
use emu_core::metrics::Metric;
use emu_core::page::Watched;
use emu_pe::cpu::Cpu;
use emu_pe::exception::Exception;
use emu_pe::mem::Fetched;
use emu_pe::sysreg::implementation;
use emu_pe::trace;

use super::block::Code;
use super::predecode::predecode;
use crate::jit::CompiledUnit;

/// Entries of the table by virtual address. A host kernel under KVM, its processes and a guest are some ten thousand
/// addresses in use at once.
const JUMPS: usize = 65536;
/// Guest instructions in a block, at most.
const MAX_INSNS: usize = 48;
/// Bytes that the blocks of a cache cost, if nobody says otherwise, before it starts again from nothing.
const BOUND: usize = 96 << 20;
/// What the host's allocator adds to each piece of memory, roughly.
const PIECE: usize = 16;

/// A block in the cache. What is needed each time that host code is entered or left is in one line of the host's cache.
#[repr(C, align(64))]
pub struct Cached {
    /// Its host code, maybe that of an earlier generation.
    pub native: Option<CompiledUnit>,
    /// The page as the block was made from it.
    pub source: Watched,
    /// Offset of the first instruction in its page.
    offset: u16,
    /// Instructions.
    length: u8,
    /// Times that the interpreter will run it before it is compiled.
    pub cold: u8,
    /// It has host code, which is up to date.
    pub is_native: bool,
    /// Its host code would be longer than any may be.
    pub is_refused: bool,
    /// The predecoded block.
    pub code: Code,
    key: Key,
}

const _: () = assert!(std::mem::offset_of!(Cached, is_native) < 64 && MAX_INSNS < 256);

impl Cached {
    /// Number of the physical page.
    #[must_use]
    pub fn page(&self) -> u64 {
        self.key.pa >> 12
    }

    /// Offset of the first instruction in its page.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.offset)
    }

    /// Instructions in the block.
    #[must_use]
    pub fn length(&self) -> u64 {
        u64::from(self.length)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    pa: u64,
    mode: Mode,
}

/// A hash of a few integers. Guests choose addresses, but all that collisions cost them is their own speed.
#[derive(Clone, Copy, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        // The map takes its bucket from the low bits and its tag from the high ones.
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Clone, Copy, Default)]
struct Jump {
    pc: u64,
    serial: u64,
    mode: Mode,
    block: u32,
}

/// The blocks of one vCPU.
pub struct Cache {
    blocks: Vec<Cached>,
    index: HashMap<Key, u32, BuildHasherDefault<Mix>>,
    jumps: Box<[Jump]>,
    /// Bytes that the blocks' own vectors take.
    owned: usize,
    /// Bytes that everything may take: see [`Cache::bytes`].
    bound: usize,
    /// [`Cached::cold`] of new blocks.
    cold: u8,
    /// Grows when everything is dropped: block numbers of an earlier epoch mean nothing.
    epoch: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            index: HashMap::default(),
            jumps: vec![Jump::default(); JUMPS].into(),
            owned: 0,
            bound: BOUND,
            cold: 1,
            epoch: 0,
        }
    }
}

/// The place of an address under a serial: contexts that run the same addresses (processes, a kernel with PAN set and
/// clear) do not push each other out.
fn slot(pc: u64, serial: u64, mode: Mode) -> usize {
    ((pc >> 2) ^ (pc >> 15) ^ serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 ^ u64::from(mode.btype) << 7)
        as usize
        % JUMPS
}

impl Cache {
    /// A block by its number.
    #[inline]
    pub fn get(&self, block: u32) -> Option<&Cached> {
        self.blocks.get(block as usize)
    }

    /// A block by its number.
    #[inline]
    pub fn get_mut(&mut self, block: u32) -> Option<&mut Cached> {
        self.blocks.get_mut(block as usize)
    }

    /// The current epoch of block numbers.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Remembers where exit `n` of `from`, a block of `epoch`, leads under this serial.
    #[inline]
    pub fn link(&mut self, epoch: u64, from: u32, n: usize, serial: u64, to: u32) {
        if epoch != self.epoch {
            return;
        }
        if let Some(exit) = self.blocks.get_mut(from as usize).and_then(|b| b.code.exits.get_mut(n)) {
            exit.serial = serial;
            exit.block = to;
        }
    }

    /// Sets how often a new block is interpreted before it is compiled: `n` - 1 times.
    pub fn set_cold(&mut self, n: u8) {
        self.cold = n.max(1);
    }

    /// Sets how many bytes the blocks, and what others know of them, may cost.
    pub fn set_bound(&mut self, bytes: usize) {
        self.bound = bytes;
    }

    /// What the blocks cost, in bytes: all that grows with their number and length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Cached>() + self.index.capacity() * INDEX_ENTRY + self.owned
    }

    /// True if all this and `more` bytes are no more than may be.
    pub fn has_room(&self, more: usize) -> bool {
        self.bytes() + more <= self.bound
    }

    /// Drops everything, and gives its memory back.
    pub fn clear(&mut self) {
        self.blocks = Vec::new();
        self.index = HashMap::default();
        self.jumps.fill(Jump::default());
        self.owned = 0;
        self.epoch += 1;
    }

    /// Makes room for one more block: in the bound, if need be by dropping everything, and in the table.
    fn make_room(&mut self) {
        let is_full = self.blocks.len() == self.blocks.capacity();
        let more = if is_full { (self.blocks.len() / 2).max(64) } else { 0 };
        let index =
            if self.index.len() == self.index.capacity() { self.index.len() * INDEX_ENTRY } else { 0 };
        if self.blocks.is_empty() || self.has_room(more * size_of::<Cached>() + index) {
            self.blocks.reserve_exact(more);
        } else {
            self.clear();
            self.blocks.reserve_exact(64);
        }
    }

    /// The number of the block at `pc`, up to date; translates it if need be.
    #[inline]
    pub fn find(&mut self, cpu: &mut Cpu, pc: u64, mode: Mode) -> Result<u32, Exception> {
        let serial = cpu.mem.serial(pc);
        let jump = &self.jumps[slot(pc, serial, mode)];
        if jump.pc == pc && jump.serial == serial && jump.mode == mode {
            return Ok(jump.block);
        }
        self.find_slow(cpu, pc, mode)
    }

    #[cold]
    fn find_slow(&mut self, cpu: &mut Cpu, pc: u64, asked: Mode) -> Result<u32, Exception> {
        let fetched = cpu.mem.fetch(pc)?;
        let guarded = fetched.guarded;
        // Only in a guarded page does it matter how one comes to a block.
        let mode =
            if guarded { Mode { guarded, ..asked } } else { Mode { btype: 0, strict: false, ..asked } };
        let key = Key { pa: fetched.page << 12 | pc & 0xfff, mode };
        let block = match self.index.get(&key) {
            Some(&b) => b,
            None => {
                let block = self.insert(cpu, key, fetched);
                if let Some(made) = self.get(block) {
                    trace::code(cpu, pc, &made.code.words);
                }
                block
            }
        };
        let serial = cpu.mem.serial(pc);
        self.jumps[slot(pc, serial, asked)] = Jump { pc, serial, mode: asked, block };
        Ok(block)
    }

    fn insert(&mut self, cpu: &mut Cpu, key: Key, fetched: Fetched) -> u32 {
        self.make_room();
        let cached = make(cpu, key, fetched, self.cold);
        self.owned += owned(&cached.code);
        let block = self.blocks.len() as u32;
        self.blocks.push(cached);
        self.index.insert(key, block);
        block
    }

    /// Makes block `block`, which stands at `pc`, anew: its page has been written.
    #[cold]
    pub fn renew(&mut self, cpu: &mut Cpu, block: u32, pc: u64) -> Result<(), Exception> {
        let fetched = cpu.mem.fetch(pc)?;
        cpu.counters.bump(Metric::Renewed);
        if let Some(old) = self.blocks.get_mut(block as usize) {
            let (key, native) = (old.key, old.native);
            self.owned -= owned(&old.code);
            *old = make(cpu, key, fetched, self.cold);
            old.native = native;
            self.owned += owned(&old.code);
            trace::code(cpu, pc, &old.code.words);
        }
        Ok(())
    }
}

/// What an entry of the index takes: seven of eight are used, and each has a byte of its own.
const INDEX_ENTRY: usize = (size_of::<(Key, u32)>() + 1) * 8 / 7;

/// Bytes that a block's vectors take.
fn owned(code: &Code) -> usize {
    fn of<T>(v: &Vec<T>) -> usize {
        if v.capacity() == 0 { 0 } else { v.capacity() * size_of::<T>() + PIECE }
    }
    of(&code.uops) + of(&code.insn_of) + of(&code.words) + of(&code.accesses) + of(&code.calls)
}

/// Translates the block of `key`, whose page is `fetched`.
fn make(cpu: &mut Cpu, key: Key, fetched: Fetched, cold: u8) -> Cached {
    cpu.counters.bump(Metric::Translated);
    // The page is watched before it is read, so that a write after the reading is seen.
    let (_, source) = cpu.mem.watch_page(fetched.memory);
    let first = key.pa & 0xfff;
    let mut max_insns = MAX_INSNS;
    let code = loop {
        let fetch = |rel: i64| {
            let at = first.wrapping_add(rel as u64);
            (at < 4096).then(|| fetched.memory.word(at))
        };
        let block = translate(fetch, implementation(cpu.identity.features()), key.mode, max_insns);
        match predecode(&block) {
            Ok(code) => break code,
            // One instruction has far fewer values than there are slots.
            Err(_) => max_insns = (max_insns / 2).max(1),
        }
    };
    Cached {
        native: None,
        source,
        offset: first as u16,
        length: code.words.len() as u8,
        cold,
        is_native: false,
        is_refused: false,
        code,
        key,
    }
}

/// Translates the one instruction at `pc`, outside the cache (software step).
pub fn single(cpu: &mut Cpu, pc: u64, mode: Mode) -> Result<Code, Exception> {
    let fetched = cpu.mem.fetch(pc)?;
    let at = pc & 0xfff;
    let mode = Mode { guarded: fetched.guarded, ..mode };
    let block = translate(
        |rel| (rel == 0).then(|| fetched.memory.word(at)),
        implementation(cpu.identity.features()),
        mode,
        1,
    );
    Ok(predecode(&block).unwrap_or_default())
}
