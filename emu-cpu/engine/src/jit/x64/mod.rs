//! The code generator for x86-64: one pass over the operations of a unit, which is a block, or the blocks of a loop.
//!
//! | register | holds |
//! |---|---|
//! | rbx rbp rsi rdi r8 r9 r11 r12 | guest registers that are used most ([`PINNED`]) |
//! | r10 | the first temporary of a block |
//! | r13 | instructions executed since host code was entered; in long loops a slot |
//! | r14 | the fast TLB's tables |
//! | r15 | the frame, [`BIAS`] bytes in, so that X0..X30 and SP have short displacements |
//! | rax rcx rdx, xmm0 to xmm4 | nothing across operations |
//! | xmm5 to xmm15 | vector slots of the unit ([`assign`]) |
//!
//! All other slots are operands in memory. Flags are not computed where they are set: their operands are kept
//! ([`flags`], [`lazy_flags`]), and a condition that follows becomes the host's comparison and conditional jump.

#![allow(clippy::useless_conversion, reason = "the assembler's macro makes them")]

mod assign;
mod atomic;
mod ccmp;
mod crypto;
mod edges;
mod exits;
mod flagged;
mod flags;
mod fp;
mod fp_int;
#[cfg(test)]
mod golden;
mod host;
mod int;
mod int_bits;
mod lazy_flags;
mod memory;
mod mops;
mod pac;
mod pairs;
mod simd;
mod simd_shape;
mod spans;
mod sse;
mod step;
mod system;
mod thunks;
mod unit;
mod vector;

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, VecAssembler};

pub(super) use exits::{ExitKind, KIND_BITS, Site};
pub(super) use host::HostFeatures;
pub(super) use thunks::{Thunks, build as build_thunks};
pub(super) use unit::{compile, loop_counter_stub};

use emu_a64::ir::Vector;
use emu_a64::mode::Mode;
use emu_pe::cpu::Cpu;

use crate::interp::lockstep::repeatable;
use crate::interp::uop::{Frame, NZCV, Uop};
use crate::jit::UnitBlock;
use crate::jit::state::JitState;

/// Emits instructions: the assembler's macro, with what is the same in every call.
macro_rules! asm {
    ($s:expr; $($t:tt)*) => {
        dynasmrt::dynasm!($s.ops ; .arch x64 ; $($t)*)
    };
}
use asm;

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

/// r15 minus the address of the frame.
pub(super) const BIAS: i32 = 128;

/// Guest registers with a host register.
const PINNED: [(u8, u8); 8] = [(0, 3), (1, 5), (2, 6), (3, 7), (4, 8), (19, 9), (20, 11), (31, 12)];
/// The host register of the first temporary.
const TEMP: u8 = 10;

/// Displacement of an integer slot from r15.
const fn int_disp(slot: u8) -> i32 {
    slot as i32 * 8 - BIAS
}

/// Displacement of a vector slot from r15.
const fn vec_disp(slot: u8) -> i32 {
    std::mem::offset_of!(Frame, v) as i32 + slot as i32 * size_of::<Vector>() as i32 - BIAS
}

/// Displacement of a field of [`JitState`] from r15.
const fn field(offset: usize) -> i32 {
    (std::mem::offset_of!(Frame, jit) + offset) as i32 - BIAS
}

/// As [`field`], by the field's name.
macro_rules! state {
    ($name:ident) => {
        const { crate::jit::x64::field(std::mem::offset_of!(JitState, $name)) }
    };
}
use state;

/// Displacement of a constant ([`crate::jit::constants`]) from r15.
macro_rules! constant {
    ($name:ident) => {
        const {
            crate::jit::x64::field(
                std::mem::offset_of!(crate::jit::state::JitState, constants)
                    + std::mem::offset_of!(crate::jit::constants::Constants, $name),
            )
        }
    };
}
use constant;

/// What is to be compiled.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// The block that is being compiled.
    pub block: UnitBlock<'a>,
    /// Host address at which the code will run.
    pub at: u64,
    /// The CPU that it will run on, for what never changes of it.
    pub cpu: &'a Cpu,
    /// What the blocks were translated for.
    pub mode: Mode,
    /// [`JitState::key`] under which a loop's blocks were found in their pages.
    pub key: u64,
    /// Number of the first exit.
    pub first_exit: u32,
    /// Host address of a counter, if a loop depends on the context: after so many entries under another key it is made anew.
    pub foreign_entries: Option<u64>,
}

impl<'a> std::ops::Deref for Input<'a> {
    type Target = UnitBlock<'a>;
    fn deref(&self) -> &UnitBlock<'a> {
        &self.block
    }
}

/// An exit of a unit. Its number is its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    /// The block that is left.
    pub block: u32,
    /// By which of its exits.
    pub n: usize,
    /// What to change so that it leads to another unit.
    pub site: Site,
}

/// A compiled unit.
pub(super) struct Output {
    /// The code. Its checked entry is its start.
    pub bytes: Vec<u8>,
    /// Offset of the entry that only looks whether a request is pending.
    pub head: usize,
    /// Offset of the entry without checks.
    pub fast: usize,
    /// Its exits, numbered from [`Input::first_exit`] on.
    pub exits: Vec<Exit>,
}

/// Code behind that of the blocks, for what is rare: an access that missed the fast TLB, a result that is not exact in line.
struct SlowPath {
    start: DynamicLabel,
    back: DynamicLabel,
    insn: u16,
    block: usize,
    /// Where the flags are.
    flags: lazy_flags::FlagLocation,
    search: Option<memory::Search>,
    call: memory::Call,
}

/// A slot without a register of its own was stored from this scratch register, by the instruction that ends at `at`:
/// what is emitted there finds the value in the register still.
#[derive(Clone, Copy)]
struct Held {
    slot: u8,
    register: u8,
    at: usize,
}

/// One unit in the making.
struct Emitter<'a> {
    ops: VecAssembler<X64Relocation>,
    input: Input<'a>,
    blocks: &'a [UnitBlock<'a>],
    /// Place in `blocks` of the block that is being compiled.
    block_index: usize,
    thunks: &'a Thunks,
    host: HostFeatures,
    assignment: assign::Assignment,
    /// Numbers of slots for access sites.
    next_slot: &'a mut u32,
    flags: flags::Flags,
    /// The forms in which flags come to joins of the unit: that of number n + 1 in [`JitState::flag_form`].
    flag_forms: Vec<lazy_flags::LazyFlags>,
    slow_paths: Vec<SlowPath>,
    exits: Vec<Exit>,
    side_exits: Vec<exits::SideExit>,
    block_entries: Vec<edges::BlockEntry>,
    deferred_edges: Vec<edges::DeferredEdge>,
    indirect_misses: Vec<edges::IndirectMiss>,
    poll_points: Vec<edges::PollPoint>,
    labels: unit::Labels,
    /// The instruction of the current operation.
    insn: u16,
    /// Number of the current operation.
    uop_index: usize,
    /// Number of the next operation without code: several can be emitted as one.
    next_uop: usize,
    /// What the last operation has made ready for this one.
    ready: pairs::Ready,
    /// What is known about vector slots.
    sizes: vector::Sizes,
    /// What the last instruction has stored.
    held: Option<Held>,
    /// Accesses that are done together.
    spans: Vec<spans::Span>,
}

impl Emitter<'_> {
    /// One operation.
    fn operation(&mut self, uop: Uop) {
        self.code_of(uop);
        self.write_through(&uop);
    }

    fn code_of(&mut self, uop: Uop) {
        if self.conditional_comparison(uop) || self.flagged() {
            return;
        }
        if uop.reads_flags_as_value() {
            self.flags.clobber_host();
            self.materialise_flags();
        }
        if self.input.cpu.mem.has_journal() && !repeatable::is_repeatable(&uop, self.input.cpu) {
            return self.call_operation();
        }
        let (before, flags_die) = (self.flags.location, self.preserve_flags(&uop));
        if !self.with_host_flags(uop) && !self.without_host_flags(uop) {
            debug_assert!(
                uop.facts().ends.is_none(),
                "no end of a block is left to the interpreter: {uop:?}"
            );
            self.call_operation();
        }
        // An operation that was done together with those behind it may have set them already.
        if flags_die && self.flags.location == before {
            self.flags.die();
        }
    }

    /// Operations whose code leaves the host's flags alone until it has used them; false if it is something else.
    fn with_host_flags(&mut self, uop: Uop) -> bool {
        self.moves(uop) || self.conditional(uop) || self.end(uop)
    }

    /// All others; false if it has no code in line.
    fn without_host_flags(&mut self, uop: Uop) -> bool {
        self.flags.clobber_host();
        self.pair(uop)
            || self.integer(uop)
            || self.bits(uop)
            || self.flag_operation(uop)
            || self.memory(uop)
            || self.atomic(uop)
            || self.system(uop)
            || self.pointer_authentication(uop)
            || self.copy_or_set(uop)
            || self.vector(uop)
            || self.exact(uop)
    }

    /// The value that an operation has given to the guest register in a temporary's place goes to the frame, too.
    fn write_through(&mut self, uop: &Uop) {
        let Some(slot) = self.assignment.guest_temp else { return };
        // Some operations are done together with those that follow.
        let rest = self.input.code.uops.get(self.uop_index + 1..self.next_uop).unwrap_or_default();
        if std::iter::once(uop).chain(rest).any(|uop| uop.writes(slot)) {
            let held = self.held_now();
            asm!(self; mov [BYTE r15 + int_disp(slot) as i8], Rq(TEMP));
            self.hold_again(held);
        }
    }

    /// What is in a scratch register at this place.
    fn held_now(&self) -> Option<Held> {
        self.held.filter(|h| h.at == self.ops.offset().0)
    }

    /// It is there still, behind code that has changed neither the register nor the slot.
    fn hold_again(&mut self, held: Option<Held>) {
        self.held = held.map(|h| Held { at: self.ops.offset().0, ..h });
    }

    /// The host register of an integer slot, if it has one.
    fn reg(&self, slot: u8) -> Option<u8> {
        self.assignment.int(slot)
    }

    /// A slot's value in a host register: its own, or `scratch`.
    fn read(&mut self, slot: u8, scratch: u8) -> u8 {
        if let Some(r) = self.reg(slot) {
            return r;
        }
        self.load(scratch, slot);
        scratch
    }

    /// The scratch register that holds the value of a slot, if the last instruction has stored it from there.
    fn held(&self, slot: u8) -> Option<u8> {
        self.held_now().filter(|h| h.slot == slot).map(|h| h.register)
    }

    /// A slot's value in this host register. Keeps the host's flags.
    fn load(&mut self, r: u8, slot: u8) {
        match self.reg(slot).or_else(|| self.held(slot)) {
            Some(p) if p == r => {}
            Some(p) => asm!(self; mov Rq(r), Rq(p)),
            None => match i8::try_from(int_disp(slot)) {
                Ok(near) => asm!(self; mov Rq(r), [BYTE r15 + near]),
                Err(_) => asm!(self; mov Rq(r), [r15 + int_disp(slot)]),
            },
        }
    }

    /// The low half of a slot's value in this host register, the high half zero.
    fn load32(&mut self, r: u8, slot: u8) {
        match self.reg(slot).or_else(|| self.held(slot)) {
            Some(p) => asm!(self; mov Rd(r), Rd(p)),
            None => match i8::try_from(int_disp(slot)) {
                Ok(near) => asm!(self; mov Rd(r), [BYTE r15 + near]),
                Err(_) => asm!(self; mov Rd(r), [r15 + int_disp(slot)]),
            },
        }
    }

    /// Where to compute a result for a slot: its host register, or `scratch`.
    fn result(&self, slot: u8, scratch: u8) -> u8 {
        self.reg(slot).unwrap_or(scratch)
    }

    /// Puts a host register into a slot. Keeps the host's flags.
    fn store(&mut self, slot: u8, r: u8) {
        match self.reg(slot) {
            Some(p) if p == r => {}
            Some(p) => asm!(self; mov Rq(p), Rq(r)),
            None => {
                match i8::try_from(int_disp(slot)) {
                    Ok(near) => asm!(self; mov [BYTE r15 + near], Rq(r)),
                    Err(_) => asm!(self; mov [r15 + int_disp(slot)], Rq(r)),
                }
                self.held = Some(Held { slot, register: r, at: self.ops.offset().0 });
                if slot == NZCV {
                    self.flags_are_in_slot();
                }
            }
        }
    }

    /// Calls the interpreter's version of the current operation.
    fn call_operation(&mut self) {
        self.spill_current_flags();
        self.note_place();
        let (block, n) = (self.input.number as i32, self.uop_index as i32);
        asm!(self; mov eax, block ; mov edx, n);
        self.call_thunk(|calls| calls.operation);
        self.flags.in_slot();
        self.forget_vector_sizes();
    }

    /// Stores where in the guest's code this is, before a call that can end in an exception.
    fn note_place(&mut self) {
        asm!(self
            ; mov DWORD [r15 + state!(at_block)], self.input.number as i32
            ; mov DWORD [r15 + state!(at_insn)], i32::from(self.insn)
        );
    }
}
