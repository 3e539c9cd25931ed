//! The compiled blocks of one vCPU.

use super::arena::Arena;
use super::runtime;
use super::state::{JitState, Lazy, Target};
use super::x64::{self, BIAS, HostFeatures, Input, KIND_BITS, Kind, Site, Thunks};
use crate::cpu::Cpu;
use crate::interp::block::Code;
use crate::interp::cache::Cache;
use crate::interp::uop::Frame;
use crate::lower::Mode;

/// Where parts of a key are.
const KEY_SERIAL: u32 = 8;
pub(super) const KEY_BTYPE: u32 = 6;

/// The most code that one block makes: 48 instructions of some operations each, with their slow paths.
const MAX_CODE: usize = 128 << 10;

/// The host code of a block. Addresses are the host's.
#[derive(Clone, Copy, Debug)]
pub struct NativeBlock {
    /// Entry with checks.
    entry: u64,
    /// Entry from further up in the same page.
    fast: u64,
    sites: [Site; 2],
    bytes: u32,
}

/// Why host code was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// At exit 0 or 1.
    Exit(usize),
    /// By an indirect branch to [`JitState::target`].
    Indirect,
    /// At the block's last operation, which is still to be done.
    End,
    /// Before the block.
    Event,
    /// With [`JitState::fault`].
    Fault,
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
}

impl Native {
    /// With room for `bytes` of code. `None` if the host gives no memory that can be executed, or lacks an instruction
    /// that all code uses.
    #[must_use]
    pub fn new(bytes: usize) -> Option<Self> {
        if !HostFeatures::suffices() {
            return None;
        }
        let mut arena = Arena::new(bytes.next_multiple_of(4096))
            .inspect_err(|e| {
                tracing::warn!("no memory for translated code, which makes the machine slow: {e}")
            })
            .ok()?;
        let (code, thunks) = x64::build_thunks(arena.next())?;
        arena.push(&code).then_some(())?;
        let shared = arena.used();
        Some(Self { arena, thunks, shared, host: HostFeatures::detect(), epoch: 0 })
    }

    /// False if there may be no room for another block: then everything must be dropped first.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.arena.left() >= MAX_CODE
    }

    /// Drops all code if it was made in another epoch: code names blocks by their numbers. Before a block is compiled; until
    /// then no block of the new epoch has host code, so nothing leads to what is left of the old one.
    pub fn begin(&mut self, epoch: u64, state: &mut JitState) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.arena.truncate(self.shared);
            state.targets.fill(Target::NONE);
        }
    }

    /// Compiles block number `block`, at `offset` in its page. `valid` is the host address of the page's word in the
    /// code map, with its value as long as the block is good. `None` if it has more code than any block should.
    pub fn compile(
        &mut self,
        code: &Code,
        block: u32,
        offset: u32,
        valid: Option<(u64, u32)>,
        (cpu, mode): (&Cpu, Mode),
    ) -> Option<NativeBlock> {
        let at = self.arena.next();
        let output =
            x64::compile(Input { code, block, offset, valid, at, cpu, mode }, &self.thunks, self.host)?;
        self.arena.push(&output.bytes).then_some(NativeBlock {
            entry: at,
            fast: at + output.fast as u64,
            sites: output.sites,
            bytes: output.bytes.len() as u32,
        })
    }

    /// The host code of a block as it is now, and its address.
    #[must_use]
    pub fn code(&self, block: &NativeBlock) -> (u64, &[u8]) {
        (block.entry, self.arena.bytes(block.entry, block.bytes as usize))
    }

    /// Makes exit `n` of a block lead to another one. `page` and `key` are those under which it was found.
    pub fn link(&mut self, from: &NativeBlock, n: usize, to: &NativeBlock, page: u64, key: u64) {
        let Some(site) = from.sites.get(n) else { return };
        let mut jump = |at: u64, to: u64| {
            let displacement = to.wrapping_sub(at + 4) as u32;
            self.arena.patch(at, &displacement.to_le_bytes());
        };
        match *site {
            Site::None => {}
            Site::Page { jump: at, backward } => jump(at, if backward { to.entry } else { to.fast }),
            Site::Cross { jump: at, record } => {
                jump(at, to.entry);
                self.arena.patch(record, &page.to_le_bytes());
                self.arena.patch(record + 8, &key.to_le_bytes());
            }
        }
    }

    /// Remembers where an indirect branch to `pc` leads.
    pub fn remember(state: &mut JitState, pc: u64, key: u64, to: &NativeBlock) {
        state.targets[Target::index(pc)] = Target { pc, key, entry: to.entry };
    }

    /// Whoever still enters `old` comes to `new`, the same block made anew.
    pub fn replace(&mut self, old: &NativeBlock, new: &NativeBlock) {
        let displacement = new.entry.wrapping_sub(old.entry + 5) as u32;
        let [a, b, c, d] = displacement.to_le_bytes();
        self.arena.patch(old.entry, &[0xe9, a, b, c, d]);
    }

    /// Runs host code from a block's entry on. The frame's registers are up to date before and after. Gives why it was
    /// left, and in which block.
    pub fn enter(
        &mut self,
        block: &NativeBlock,
        frame: &mut Frame,
        cpu: &mut Cpu,
        cache: &Cache,
    ) -> (Left, u32) {
        let jit = &mut frame.jit;
        jit.doorbell = cpu.doorbell.word_address();
        jit.tlb = cpu.mem.fast.entries();
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
        runtime::settle(frame);
        runtime::count(frame, cpu);
        runtime::collect(frame, cpu);
        debug_assert_eq!(frame.jit.flag_kind, Lazy::None as u32);
        let left = match Kind::from_word(word) {
            Kind::Exit0 => Left::Exit(0),
            Kind::Exit1 => Left::Exit(1),
            Kind::Indirect => Left::Indirect,
            Kind::End => Left::End,
            Kind::Event => Left::Event,
            Kind::Fault => Left::Fault,
        };
        (left, (word as u32) >> KIND_BITS)
    }

    /// What links and targets found in this state depend on.
    #[must_use]
    pub fn key(serial: u64, mode: Mode) -> u64 {
        let flags = [mode.fp_enabled, mode.mops, mode.fp_plain, mode.strict];
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
        serial << KEY_SERIAL | u64::from(mode.btype & 3) << KEY_BTYPE | flags << 2 | u64::from(mode.el & 3)
    }
}
