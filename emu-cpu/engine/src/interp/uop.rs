//! The predecoded form: one [`Uop`] of 16 bytes per operation, operands as slots of a [`Frame`].
//!
//! Slots 0..=31 of the integer file are X0..X30 and the current SP, [`NZCV`] holds the flags, [`ZERO`] is always zero,
//! the rest are temporaries of the block. An index is a `u8` and a file has 256 slots, so no access is out of bounds.
//! 32-bit operations ignore the high halves of their operands and give a zero high half.

use emu_a64::fp::{FpOp, VecFn};
use emu_a64::ir::mops::MopsInsn;
use emu_a64::ir::{Acc, AtomicOp, BarrierKind, Cond, ExcOp, LeaveKind, MemSize, PacOp, PstateField, SysEnc};
use emu_a64::simd::VecOp;

use crate::jit::state::JitState;

/// Slot of PSTATE.NZCV, in bits 31:28.
pub const NZCV: u8 = 32;
/// A slot that is always zero.
pub const ZERO: u8 = 33;
/// First slot for temporaries, in both files.
pub const FIRST_TEMP: u8 = 34;

/// The registers of a running vCPU, and the temporaries of the block that it runs.
#[repr(C, align(64))]
pub struct Frame {
    /// Integer slots.
    pub x: [u64; 256],
    /// Vector slots: V0..V31, then temporaries.
    pub v: [u128; 256],
    /// What host code keeps.
    pub jit: JitState,
}

impl Default for Frame {
    fn default() -> Self {
        Self { x: [0; 256], v: [0; 256], jit: JitState::default() }
    }
}

/// A memory access that is not of the plain kind; index into [`super::block::Code::accesses`].
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Bytes.
    pub size: MemSize,
    /// How.
    pub acc: Acc,
    /// Sign-extend loads: 0 no, 32 or 64 to this width.
    pub signed: u8,
    /// Of exclusives: in the block, other accesses stand between a load-exclusive and the next exclusive or the end, between a
    /// store-exclusive and the exclusive before it or the start.
    pub apart: bool,
}

/// Which operation of the IR a call stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exact {
    /// Floating point.
    Fp(FpOp),
    /// Integer vector.
    Vec(VecOp),
}

/// A call of an exact function; index into [`super::block::Code::calls`].
#[derive(Clone, Copy)]
pub struct Call {
    /// What it computes.
    pub op: Exact,
    /// The function.
    pub f: VecFn,
    /// Its immediate.
    pub imm: u32,
}

/// One operation. `d` is the destination slot, `a`, `b`, `c` are operand slots.
#[rustfmt::skip]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the operation of the IR with its operands placed")]
pub enum Uop {
    Mov { d: u8, a: u8 },
    Const { d: u8, imm: u64 },
    PcRel { d: u8, rel: i64 },
    PcPage { d: u8, rel: i64 },

    Add64 { d: u8, a: u8, b: u8 },
    Add32 { d: u8, a: u8, b: u8 },
    Sub64 { d: u8, a: u8, b: u8 },
    Sub32 { d: u8, a: u8, b: u8 },
    And64 { d: u8, a: u8, b: u8 },
    And32 { d: u8, a: u8, b: u8 },
    Or64 { d: u8, a: u8, b: u8 },
    Or32 { d: u8, a: u8, b: u8 },
    Xor64 { d: u8, a: u8, b: u8 },
    Xor32 { d: u8, a: u8, b: u8 },
    AndNot64 { d: u8, a: u8, b: u8 },
    AndNot32 { d: u8, a: u8, b: u8 },
    OrNot64 { d: u8, a: u8, b: u8 },
    OrNot32 { d: u8, a: u8, b: u8 },
    XorNot64 { d: u8, a: u8, b: u8 },
    XorNot32 { d: u8, a: u8, b: u8 },
    Mul64 { d: u8, a: u8, b: u8 },
    Mul32 { d: u8, a: u8, b: u8 },
    SMulH { d: u8, a: u8, b: u8 },
    UMulH { d: u8, a: u8, b: u8 },
    SDiv64 { d: u8, a: u8, b: u8 },
    SDiv32 { d: u8, a: u8, b: u8 },
    UDiv64 { d: u8, a: u8, b: u8 },
    UDiv32 { d: u8, a: u8, b: u8 },
    Shl64 { d: u8, a: u8, b: u8 },
    Shl32 { d: u8, a: u8, b: u8 },
    Lsr64 { d: u8, a: u8, b: u8 },
    Lsr32 { d: u8, a: u8, b: u8 },
    Asr64 { d: u8, a: u8, b: u8 },
    Asr32 { d: u8, a: u8, b: u8 },
    Ror64 { d: u8, a: u8, b: u8 },
    Ror32 { d: u8, a: u8, b: u8 },

    AddI64 { d: u8, a: u8, imm: u64 },
    AddI32 { d: u8, a: u8, imm: u32 },
    AndI64 { d: u8, a: u8, imm: u64 },
    AndI32 { d: u8, a: u8, imm: u32 },
    OrI64 { d: u8, a: u8, imm: u64 },
    OrI32 { d: u8, a: u8, imm: u32 },
    XorI64 { d: u8, a: u8, imm: u64 },
    XorI32 { d: u8, a: u8, imm: u32 },
    ShlI64 { d: u8, a: u8, n: u8 },
    ShlI32 { d: u8, a: u8, n: u8 },
    LsrI64 { d: u8, a: u8, n: u8 },
    LsrI32 { d: u8, a: u8, n: u8 },
    AsrI64 { d: u8, a: u8, n: u8 },
    AsrI32 { d: u8, a: u8, n: u8 },
    RorI64 { d: u8, a: u8, n: u8 },
    RorI32 { d: u8, a: u8, n: u8 },
    /// a + (b << n): the address form.
    AddShl64 { d: u8, a: u8, b: u8, n: u8 },

    Not64 { d: u8, a: u8 },
    Not32 { d: u8, a: u8 },
    Neg64 { d: u8, a: u8 },
    Neg32 { d: u8, a: u8 },
    Clz64 { d: u8, a: u8 },
    Clz32 { d: u8, a: u8 },
    Cls64 { d: u8, a: u8 },
    Cls32 { d: u8, a: u8 },
    Rbit64 { d: u8, a: u8 },
    Rbit32 { d: u8, a: u8 },
    Rev64 { d: u8, a: u8 },
    Rev32 { d: u8, a: u8 },
    Rev16 { d: u8, a: u8 },
    /// Bytes of each word reversed.
    RevW { d: u8, a: u8 },
    Zext8 { d: u8, a: u8 },
    Zext16 { d: u8, a: u8 },
    Zext32 { d: u8, a: u8 },
    Sext8To32 { d: u8, a: u8 },
    Sext16To32 { d: u8, a: u8 },
    Sext8 { d: u8, a: u8 },
    Sext16 { d: u8, a: u8 },
    Sext32 { d: u8, a: u8 },
    Ubfx { d: u8, a: u8, lsb: u8, width: u8 },
    Sbfx64 { d: u8, a: u8, lsb: u8, width: u8 },
    Sbfx32 { d: u8, a: u8, lsb: u8, width: u8 },
    /// `a` with `width` bits at `lsb` from `b`; `word`: 32-bit result.
    Bfi { d: u8, a: u8, b: u8, lsb: u8, width: u8, word: bool },
    Extr64 { d: u8, a: u8, b: u8, lsb: u8 },
    Extr32 { d: u8, a: u8, b: u8, lsb: u8 },
    AddCarry64 { d: u8, a: u8, b: u8, c: u8 },
    AddCarry32 { d: u8, a: u8, b: u8, c: u8 },

    FlagsAdd64 { d: u8, a: u8, b: u8 },
    FlagsAdd32 { d: u8, a: u8, b: u8 },
    FlagsSub64 { d: u8, a: u8, b: u8 },
    FlagsSub32 { d: u8, a: u8, b: u8 },
    FlagsSubI64 { d: u8, a: u8, imm: u64 },
    FlagsSubI32 { d: u8, a: u8, imm: u32 },
    FlagsAdc64 { d: u8, a: u8, b: u8, c: u8 },
    FlagsAdc32 { d: u8, a: u8, b: u8, c: u8 },
    FlagsLogic64 { d: u8, a: u8 },
    FlagsLogic32 { d: u8, a: u8 },
    /// Bits 31:28, the rest zero: both directions between flags and integers.
    Nzcv { d: u8, a: u8 },
    Test { d: u8, a: u8, cond: Cond },
    IsZero64 { d: u8, a: u8 },
    IsZero32 { d: u8, a: u8 },
    NonZero64 { d: u8, a: u8 },
    NonZero32 { d: u8, a: u8 },
    Bit { d: u8, a: u8, n: u8 },
    NotI1 { d: u8, a: u8 },
    Select { d: u8, c: u8, a: u8, b: u8 },
    /// Select by a condition on flags in slot `f`.
    SelectCond { d: u8, f: u8, cond: Cond, a: u8, b: u8 },
    Crc32 { d: u8, a: u8, b: u8, size: MemSize, castagnoli: bool },

    VMov { d: u8, a: u8 },
    VSelect { d: u8, c: u8, a: u8, b: u8 },
    VFromInt { d: u8, a: u8 },
    VFromPair { d: u8, a: u8, b: u8 },
    VLane { d: u8, a: u8, esize: u8, lane: u8 },
    VSetLane { d: u8, a: u8, b: u8, esize: u8, lane: u8 },
    VDup { d: u8, a: u8, esize: u8, bytes: u8 },
    VLow { d: u8, a: u8, bytes: u8 },
    Call { d: u8, a: u8, b: u8, c: u8, call: u16 },

    CheckSp,
    Ld8 { d: u8, a: u8, off: i32 },
    Ld16 { d: u8, a: u8, off: i32 },
    Ld32 { d: u8, a: u8, off: i32 },
    Ld64 { d: u8, a: u8, off: i32 },
    Ld8s32 { d: u8, a: u8, off: i32 },
    Ld16s32 { d: u8, a: u8, off: i32 },
    Ld8s64 { d: u8, a: u8, off: i32 },
    Ld16s64 { d: u8, a: u8, off: i32 },
    Ld32s64 { d: u8, a: u8, off: i32 },
    /// `elem`: what must be aligned when alignment is checked, and what is single-copy atomic.
    LdV { d: u8, a: u8, size: MemSize, elem: MemSize, off: i32 },
    /// Two words as one doubleword.
    LdWords { d: u8, a: u8, off: i32 },
    /// Two doublewords.
    LdPair { d: u8, e: u8, a: u8, off: i32 },
    St8 { a: u8, b: u8, off: i32 },
    St16 { a: u8, b: u8, off: i32 },
    St32 { a: u8, b: u8, off: i32 },
    St64 { a: u8, b: u8, off: i32 },
    StV { a: u8, b: u8, size: MemSize, elem: MemSize, off: i32 },
    StWords { a: u8, b: u8, off: i32 },
    StPair { a: u8, b: u8, c: u8, off: i32 },
    /// Ordered and unprivileged accesses.
    LdAcc { d: u8, a: u8, vector: bool, access: u16 },
    StAcc { a: u8, b: u8, vector: bool, access: u16 },
    LdEx { d: u8, a: u8, access: u16 },
    StEx { d: u8, a: u8, b: u8, access: u16 },
    ClearEx,
    Rmw { d: u8, a: u8, b: u8, op: AtomicOp, access: u16 },
    Cas { d: u8, a: u8, b: u8, c: u8, access: u16 },
    Barrier(BarrierKind),

    Mrs { d: u8, rt: u8, enc: SysEnc },
    Msr { a: u8, rt: u8, enc: SysEnc },
    Sys { a: u8, rt: u8, enc: SysEnc },
    Pac { d: u8, a: u8, b: u8, op: PacOp },
    MopsCheck { a: u8, b: u8, insn: MopsInsn },
    MopsMove { d: u8, a: u8, b: u8, c: u8, insn: MopsInsn },
    MsrImm { field: PstateField, imm: u8 },
    SendEvent { all: bool },
    CountAccesses { n: u8 },

    /// Ends: to link 0.
    Goto,
    /// Ends: to link 0 if the condition holds, else link 1.
    IfCond { f: u8, cond: Cond },
    IfI1 { a: u8 },
    IfZero64 { a: u8 },
    IfZero32 { a: u8 },
    IfNonZero64 { a: u8 },
    IfNonZero32 { a: u8 },
    IfBit { a: u8, n: u8, set: bool },
    Indirect { a: u8 },
    IndirectTyped { a: u8, btype: u8 },
    Exception(ExcOp),
    Leave { kind: LeaveKind },
}

const _: () = assert!(size_of::<Uop>() == 16, "an operation fits two words");
