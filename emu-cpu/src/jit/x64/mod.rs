//! The code generator for x86-64: one pass over the operations of a block.
//!
//! | register | holds |
//! |---|---|
//! | rbx rbp rsi rdi r8 r9 r11 r12 | guest registers that are used most ([`PINNED`]) |
//! | r10 | the first temporary of a block |
//! | r13 | instructions executed since host code was entered |
//! | r14 | the fast TLB's entries |
//! | r15 | the frame, [`BIAS`] bytes in, so that X0..X30 and SP have short displacements |
//! | rax rcx rdx, all xmm | nothing across operations |
//!
//! All other slots are operands in memory. Flags are not computed where they are set: their operands are kept
//! ([`flags`]), and a condition that follows becomes the host's comparison and conditional jump.

#![allow(clippy::useless_conversion, reason = "the assembler's macro makes them")]

mod atomic;
mod exits;
mod flags;
mod fp;
mod host;
mod int;
mod int_bits;
mod memory;
mod simd;
mod system;
mod thunks;
mod vector;

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler};

pub(super) use exits::{KIND_BITS, Kind, Site};
pub(super) use host::HostFeatures;
pub(super) use thunks::{Thunks, build as build_thunks};

use crate::cpu::Cpu;
use crate::interp::block::Code;
use crate::interp::lockstep::repeatable;
use crate::interp::uop::{FIRST_TEMP, Frame, NZCV, Uop};
use crate::jit::state::JitState;
use crate::lower::Mode;

/// Emits instructions. (The macro of the assembler, with the parts that are always the same.)
macro_rules! e {
    ($s:expr; $($t:tt)*) => {
        dynasmrt::dynasm!($s.ops ; .arch x64 ; $($t)*)
    };
}
use e;

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

/// r15 minus the address of the frame.
pub(super) const BIAS: i32 = 128;

/// Guest registers with a host register.
const PINNED: [(u8, u8); 8] = [(0, 3), (1, 5), (2, 6), (3, 7), (4, 8), (19, 9), (20, 11), (31, 12)];
/// The host register of the first temporary.
const TEMP: u8 = 10;

/// The host register of a slot.
const fn pinned(slot: u8) -> Option<u8> {
    if slot == FIRST_TEMP {
        return Some(TEMP);
    }
    let mut n = 0;
    while n < PINNED.len() {
        if PINNED[n].0 == slot {
            return Some(PINNED[n].1);
        }
        n += 1;
    }
    None
}

/// Displacement of an integer slot.
const fn x(slot: u8) -> i32 {
    slot as i32 * 8 - BIAS
}

/// Displacement of a vector slot.
const fn v(slot: u8) -> i32 {
    std::mem::offset_of!(Frame, v) as i32 + slot as i32 * 16 - BIAS
}

/// Displacement of a field of the state.
const fn field(offset: usize) -> i32 {
    (std::mem::offset_of!(Frame, jit) + offset) as i32 - BIAS
}

/// Displacement of a named field of [`JitState`].
macro_rules! st {
    ($name:ident) => {
        const { crate::jit::x64::field(std::mem::offset_of!(JitState, $name)) }
    };
}
use st;

/// Displacement of a constant.
macro_rules! c {
    ($name:ident) => {
        const {
            crate::jit::x64::field(
                std::mem::offset_of!(crate::jit::state::JitState, constants)
                    + std::mem::offset_of!(crate::jit::constants::Constants, $name),
            )
        }
    };
}
use c;

/// A block that is to be compiled.
pub(super) struct Input<'a> {
    /// Its operations.
    pub code: &'a Code,
    /// Its number.
    pub block: u32,
    /// Offset of its first instruction in its page.
    pub offset: u32,
    /// Host address of the page's word in the code map, and its value while the block is good.
    pub valid: Option<(u64, u32)>,
    /// Host address at which the code will run.
    pub at: u64,
    /// The CPU that it will run on, for what never changes of it.
    pub cpu: &'a Cpu,
    /// What the block was translated for.
    pub mode: Mode,
}

/// A compiled block.
pub(super) struct Output {
    /// The code. Its checked entry is its start.
    pub bytes: Vec<u8>,
    /// Offset of the entry without checks.
    pub fast: usize,
    /// What to patch when an exit is linked.
    pub sites: [Site; 2],
}

/// Work put off to the end of the block's code.
struct Slow {
    start: DynamicLabel,
    back: DynamicLabel,
    insn: u16,
    call: memory::Call,
}

/// One block in the making.
struct Emitter<'a> {
    ops: VecAssembler<X64Relocation>,
    input: Input<'a>,
    thunks: &'a Thunks,
    host: HostFeatures,
    flags: flags::Flags,
    slow: Vec<Slow>,
    sites: [Site; 2],
    /// Where the checks at the start lead when one fails.
    event: DynamicLabel,
    /// The instruction of the current operation.
    insn: u16,
    /// Number of the current operation.
    number: usize,
}

/// Compiles a block.
pub(super) fn compile(input: Input<'_>, thunks: &Thunks, host: HostFeatures) -> Option<Output> {
    let mut ops = VecAssembler::new(input.at as usize);
    let mut m = Emitter {
        event: ops.new_dynamic_label(),
        ops,
        input,
        thunks,
        host,
        flags: flags::Flags::default(),
        slow: Vec::new(),
        sites: [Site::None; 2],
        insn: 0,
        number: 0,
    };
    let fast = m.entry();
    let code = m.input.code;
    for (n, uop) in code.uops.iter().enumerate() {
        m.number = n;
        m.insn = code.insn_of.get(n).copied().unwrap_or(0);
        m.operation(*uop);
    }
    m.slow_paths();
    let bytes = m.ops.finalize().ok()?;
    Some(Output { bytes, fast, sites: m.sites })
}

impl Emitter<'_> {
    /// The checks at the start of a block. Gives the offset of the entry behind them.
    fn entry(&mut self) -> usize {
        let event = self.event;
        e!(self; mov rax, [r15 + st!(doorbell)] ; cmp DWORD [rax], 0 ; jne =>event);
        if let Some((word, value)) = self.input.valid {
            e!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], value as i32 ; jne =>event);
        }
        if self.input.cpu.mem.journal.is_on() {
            e!(self; cmp r13, [r15 + st!(limit)] ; jae =>event);
        }
        let fast = self.ops.offset().0;
        e!(self; add r13, self.input.code.words.len() as i32);
        fast
    }

    /// One operation.
    fn operation(&mut self, uop: Uop) {
        if !flags::keeps_host_flags(&uop) {
            self.flags.lose_host();
        }
        if flags::reads_slot(&uop) {
            self.settle_flags();
        }
        if self.input.cpu.mem.journal.is_on() && !repeatable::is_repeatable(&uop, self.input.cpu) {
            return self.call_operation();
        }
        let done = self.integer(uop)
            || self.bits(uop)
            || self.flag_operation(uop)
            || self.memory(uop)
            || self.atomic(uop)
            || self.system(uop)
            || self.vector(uop)
            || self.exact(uop)
            || self.end(uop);
        if !done {
            self.call_operation();
        }
    }

    /// A slot's value in a host register: its own, or `scratch`.
    fn read(&mut self, slot: u8, scratch: u8) -> u8 {
        if let Some(r) = pinned(slot) {
            return r;
        }
        e!(self; mov Rq(scratch), [r15 + x(slot)]);
        scratch
    }

    /// A slot's value in this host register. Keeps the host's flags.
    fn load(&mut self, r: u8, slot: u8) {
        match pinned(slot) {
            Some(p) if p == r => {}
            Some(p) => e!(self; mov Rq(r), Rq(p)),
            None => e!(self; mov Rq(r), [r15 + x(slot)]),
        }
    }

    /// The low half of a slot's value in this host register, the high half zero.
    fn load32(&mut self, r: u8, slot: u8) {
        match pinned(slot) {
            Some(p) => e!(self; mov Rd(r), Rd(p)),
            None => e!(self; mov Rd(r), [r15 + x(slot)]),
        }
    }

    /// Where to compute a result for a slot: its host register, or `scratch`.
    fn result(&self, slot: u8, scratch: u8) -> u8 {
        pinned(slot).unwrap_or(scratch)
    }

    /// Puts a host register into a slot. Keeps the host's flags.
    fn store(&mut self, slot: u8, r: u8) {
        match pinned(slot) {
            Some(p) if p == r => {}
            Some(p) => e!(self; mov Rq(p), Rq(r)),
            None => {
                e!(self; mov [r15 + x(slot)], Rq(r));
                if slot == NZCV {
                    self.flags_are_in_slot();
                }
            }
        }
    }

    /// Calls the interpreter's version of the current operation.
    fn call_operation(&mut self) {
        self.note_place();
        let (block, n) = (self.input.block as i32, self.number as i32);
        e!(self; mov eax, block ; mov edx, n ; call extern self.thunks.operation as usize);
        self.flags.in_slot();
    }

    /// Notes where the code is, before a call that can end in an exception.
    fn note_place(&mut self) {
        e!(self
            ; mov DWORD [r15 + st!(at_block)], self.input.block as i32
            ; mov DWORD [r15 + st!(at_insn)], i32::from(self.insn)
        );
    }
}
