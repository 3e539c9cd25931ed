//! The predecoded form: one [`Uop`] of 16 bytes per operation, operands as slots of a [`Frame`].
//!
//! Slots 0..=31 of the integer file are X0..X30 and the current SP, [`NZCV`] holds the flags, [`ZERO`] is always zero,
//! the rest are temporaries of the block. An index is a `u8` and a file has 256 slots, so no access is out of bounds.
//! 32-bit operations ignore the high halves of their operands and give a zero high half.
//!
//! What is known of an operation stands in its row of the table below; [`row`] explains what a row says.

mod row;
#[cfg(test)]
mod samples;

use emu_a64::fp::{FpOp, VecFn};
use emu_a64::ir::mops::MopsInsn;
use emu_a64::ir::{
    Acc, AtomicOp, BarrierKind, Cond, ExcOp, LeaveKind, MemSize, PacOp, PstateField, SysEnc, Vector,
};
use emu_a64::simd::VecOp;

use self::row::{base_and_offset, is_read, is_written, micro_operations, part_type, read, written};
#[cfg(test)]
use self::samples::Sample;
use crate::jit::state::JitState;

pub use self::row::Extension;
pub(crate) use self::row::{Ends, Operand, PlainAccess, Repeat, Transfer};
use self::row::{Facts, Operands};

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
    pub v: [Vector; 256],
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
pub struct SpecialAccess {
    /// Bytes.
    pub size: MemSize,
    /// How.
    pub acc: Acc,
    /// How what is loaded is extended.
    pub extend: Extension,
    /// Of exclusives: other accesses of the block stand between this load-exclusive and the next exclusive (or the end of
    /// the block), or between this store-exclusive and the exclusive before it (or the start).
    pub interleaved: bool,
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

micro_operations! {
    // ---- Moves, constants and addresses ----

    Mov { d: Out, a: In };
    Const { d: Out, imm: u64 };
    PcRel { d: Out, rel: i64 };
    PcPage { d: Out, rel: i64 };

    // ---- Integers ----

    Add64 { d: Out, a: In, b: In };
    Add32 { d: Out, a: In, b: In };
    Sub64 { d: Out, a: In, b: In };
    Sub32 { d: Out, a: In, b: In };
    And64 { d: Out, a: In, b: In };
    And32 { d: Out, a: In, b: In };
    Or64 { d: Out, a: In, b: In };
    Or32 { d: Out, a: In, b: In };
    Xor64 { d: Out, a: In, b: In };
    Xor32 { d: Out, a: In, b: In };
    AndNot64 { d: Out, a: In, b: In };
    AndNot32 { d: Out, a: In, b: In };
    OrNot64 { d: Out, a: In, b: In };
    OrNot32 { d: Out, a: In, b: In };
    XorNot64 { d: Out, a: In, b: In };
    XorNot32 { d: Out, a: In, b: In };
    Mul64 { d: Out, a: In, b: In };
    Mul32 { d: Out, a: In, b: In };
    SMulH { d: Out, a: In, b: In };
    UMulH { d: Out, a: In, b: In };
    SDiv64 { d: Out, a: In, b: In };
    SDiv32 { d: Out, a: In, b: In };
    UDiv64 { d: Out, a: In, b: In };
    UDiv32 { d: Out, a: In, b: In };
    Shl64 { d: Out, a: In, b: In };
    Shl32 { d: Out, a: In, b: In };
    Lsr64 { d: Out, a: In, b: In };
    Lsr32 { d: Out, a: In, b: In };
    Asr64 { d: Out, a: In, b: In };
    Asr32 { d: Out, a: In, b: In };
    Ror64 { d: Out, a: In, b: In };
    Ror32 { d: Out, a: In, b: In };

    AddI64 { d: Out, a: In, imm: u64 };
    AddI32 { d: Out, a: In, imm: u32 };
    AndI64 { d: Out, a: In, imm: u64 };
    AndI32 { d: Out, a: In, imm: u32 };
    OrI64 { d: Out, a: In, imm: u64 };
    OrI32 { d: Out, a: In, imm: u32 };
    XorI64 { d: Out, a: In, imm: u64 };
    XorI32 { d: Out, a: In, imm: u32 };
    ShlI64 { d: Out, a: In, n: u8 };
    ShlI32 { d: Out, a: In, n: u8 };
    LsrI64 { d: Out, a: In, n: u8 };
    LsrI32 { d: Out, a: In, n: u8 };
    AsrI64 { d: Out, a: In, n: u8 };
    AsrI32 { d: Out, a: In, n: u8 };
    RorI64 { d: Out, a: In, n: u8 };
    RorI32 { d: Out, a: In, n: u8 };
    /// a + (b << n): the address form.
    AddShl64 { d: Out, a: In, b: In, n: u8 };

    Not64 { d: Out, a: In };
    Not32 { d: Out, a: In };
    Neg64 { d: Out, a: In };
    Neg32 { d: Out, a: In };
    Clz64 { d: Out, a: In };
    Clz32 { d: Out, a: In };
    Cls64 { d: Out, a: In };
    Cls32 { d: Out, a: In };
    Rbit64 { d: Out, a: In };
    Rbit32 { d: Out, a: In };
    Rev64 { d: Out, a: In };
    Rev32 { d: Out, a: In };
    Rev16 { d: Out, a: In };
    /// Bytes of each word reversed.
    RevW { d: Out, a: In };
    Zext8 { d: Out, a: In };
    Zext16 { d: Out, a: In };
    Zext32 { d: Out, a: In };
    Sext8To32 { d: Out, a: In };
    Sext16To32 { d: Out, a: In };
    Sext8 { d: Out, a: In };
    Sext16 { d: Out, a: In };
    Sext32 { d: Out, a: In };
    Ubfx { d: Out, a: In, lsb: u8, width: u8 };
    Sbfx64 { d: Out, a: In, lsb: u8, width: u8 };
    Sbfx32 { d: Out, a: In, lsb: u8, width: u8 };
    /// `a` with `width` bits at `lsb` from `b`; `word`: 32-bit result.
    Bfi { d: Out, a: In, b: In, lsb: u8, width: u8, word: bool };
    Extr64 { d: Out, a: In, b: In, lsb: u8 };
    Extr32 { d: Out, a: In, b: In, lsb: u8 };
    AddCarry64 { d: Out, a: In, b: In, c: Flags };
    AddCarry32 { d: Out, a: In, b: In, c: Flags };

    // ---- Flags and conditions ----

    FlagsAdd64 { d: Out, a: In, b: In };
    FlagsAdd32 { d: Out, a: In, b: In };
    FlagsSub64 { d: Out, a: In, b: In };
    FlagsSub32 { d: Out, a: In, b: In };
    FlagsSubI64 { d: Out, a: In, imm: u64 };
    FlagsSubI32 { d: Out, a: In, imm: u32 };
    FlagsAdc64 { d: Out, a: In, b: In, c: Flags };
    FlagsAdc32 { d: Out, a: In, b: In, c: Flags };
    FlagsLogic64 { d: Out, a: In };
    FlagsLogic32 { d: Out, a: In };
    /// Bits 31:28, the rest zero: both directions between flags and integers.
    Nzcv { d: Out, a: In };
    Test { d: Out, a: Flags, cond: Cond };
    IsZero64 { d: Out, a: In };
    IsZero32 { d: Out, a: In };
    NonZero64 { d: Out, a: In };
    NonZero32 { d: Out, a: In };
    Bit { d: Out, a: In, n: u8 };
    NotI1 { d: Out, a: In };
    Select { d: Out, c: In, a: In, b: In };
    /// Select by a condition on flags in slot `f`.
    SelectCond { d: Out, f: Flags, cond: Cond, a: In, b: In };
    Crc32 { d: Out, a: In, b: In, size: MemSize, castagnoli: bool };

    // ---- Vectors ----

    VMov { d: VOut, a: VIn };
    VSelect { d: VOut, c: In, a: VIn, b: VIn };
    VFromInt { d: VOut, a: In };
    VFromPair { d: VOut, a: In, b: In };
    VLane { d: Out, a: VIn, esize: u8, lane: u8 };
    VSetLane { d: VOut, a: VIn, b: In, esize: u8, lane: u8 };
    VDup { d: VOut, a: In, esize: u8, bytes: u8 };
    VLow { d: VOut, a: VIn, bytes: u8 };
    Call { d: VOut, a: VIn, b: VIn, c: VIn, call: u16 };

    // ---- Memory ----

    /// The stack pointer alignment check, where an access has SP as its base.
    CheckSp, faults;
    Ld8 { d: Out, a: In, off: i32 }, plain(a, off, B1, B1, Load { d, extend: Zero });
    Ld16 { d: Out, a: In, off: i32 }, plain(a, off, B2, B2, Load { d, extend: Zero });
    Ld32 { d: Out, a: In, off: i32 }, plain(a, off, B4, B4, Load { d, extend: Zero });
    Ld64 { d: Out, a: In, off: i32 }, plain(a, off, B8, B8, Load { d, extend: Zero });
    Ld8s32 { d: Out, a: In, off: i32 }, plain(a, off, B1, B1, Load { d, extend: Sign32 });
    Ld16s32 { d: Out, a: In, off: i32 }, plain(a, off, B2, B2, Load { d, extend: Sign32 });
    Ld8s64 { d: Out, a: In, off: i32 }, plain(a, off, B1, B1, Load { d, extend: Sign64 });
    Ld16s64 { d: Out, a: In, off: i32 }, plain(a, off, B2, B2, Load { d, extend: Sign64 });
    Ld32s64 { d: Out, a: In, off: i32 }, plain(a, off, B4, B4, Load { d, extend: Sign64 });
    LdV { d: VOut, a: In, size: MemSize, elem: MemSize, off: i32 }, plain(a, off, size, elem, LoadVector { d });
    /// Two words as one doubleword.
    LdWords { d: Out, a: In, off: i32 }, plain(a, off, B8, B4, LoadWords { d });
    /// Two doublewords.
    LdPair { d: Out, e: Out, a: In, off: i32 }, plain(a, off, B16, B8, LoadPair { d, e });
    St8 { a: In, b: In, off: i32 }, plain(a, off, B1, B1, Store { b });
    St16 { a: In, b: In, off: i32 }, plain(a, off, B2, B2, Store { b });
    St32 { a: In, b: In, off: i32 }, plain(a, off, B4, B4, Store { b });
    St64 { a: In, b: In, off: i32 }, plain(a, off, B8, B8, Store { b });
    StV { a: In, b: VIn, size: MemSize, elem: MemSize, off: i32 }, plain(a, off, size, elem, StoreVector { b });
    StWords { a: In, b: In, off: i32 }, plain(a, off, B8, B4, StoreWords { b });
    StPair { a: In, b: In, c: In, off: i32 }, plain(a, off, B16, B8, StorePair { b, c });
    /// Ordered and unprivileged accesses.
    LdAcc { d: [Out by vector], a: In, vector: bool, access: u16 }, access;
    StAcc { a: In, b: [In by vector], vector: bool, access: u16 }, access;
    LdEx { d: [Out by vector], a: In, vector: bool, access: u16 }, access;
    StEx { d: Out, a: In, b: [In by vector], vector: bool, access: u16 }, access;
    ClearEx, observable;
    Rmw { d: Out, a: In, b: In, op: AtomicOp, access: u16 }, access;
    Cas { d: [Out by vector], a: In, b: [In by vector], c: [In by vector], vector: bool, access: u16 }, access;
    Barrier(kind: BarrierKind), observable, repeat(Repeat::Barrier(kind));

    // ---- The system level ----

    Mrs { d: Out, rt: u8, enc: SysEnc }, faults, repeat(Repeat::Read(enc));
    Msr { a: In, rt: u8, enc: SysEnc }, faults, repeat(Repeat::Write(enc));
    Sys { a: In, rt: u8, enc: SysEnc }, faults, repeat(Repeat::Write(enc));
    Pac { d: Out, a: In, b: In, op: PacOp }, faults;
    MopsCheck { a: In, b: In, insn: MopsInsn }, faults;
    MopsMove { d: Out, a: In, b: In, c: In, insn: MopsInsn }, faults;
    MsrImm { field: PstateField, imm: u8 }, faults, repeat(Repeat::Field(field));
    SendEvent { all: bool }, observable, repeat(Repeat::Never);
    CountAccesses { n: u8 };

    // ---- Ends of blocks ----

    Goto, ends(Ends::Jump);
    IfCond { f: Flags, cond: Cond }, ends(Ends::Branch);
    IfI1 { a: In }, ends(Ends::Branch);
    IfZero64 { a: In }, ends(Ends::Branch);
    IfZero32 { a: In }, ends(Ends::Branch);
    IfNonZero64 { a: In }, ends(Ends::Branch);
    IfNonZero32 { a: In }, ends(Ends::Branch);
    IfBit { a: In, n: u8, set: bool }, ends(Ends::Branch);
    Indirect { a: In }, ends(Ends::Indirect(0));
    IndirectTyped { a: In, btype: u8 }, ends(Ends::Indirect(btype));
    Exception(e: ExcOp), ends(Ends::Exception(e));
    Leave { kind: LeaveKind }, ends(Ends::Leave(kind));
}

impl Uop {
    /// True if it asks for the value of the flags in slot [`NZCV`], not for a condition of theirs.
    pub(crate) fn reads_flags_as_value(&self) -> bool {
        self.operands().into_iter().any(|operand| operand == Operand::Reads(NZCV))
    }

    /// True if it can leave the block, or runs code that may look at the flags.
    pub(crate) fn observes_flags(&self) -> bool {
        let facts = self.facts();
        facts.can_fault || facts.observable || facts.ends.is_some()
    }

    /// The slots of the integer file that it writes.
    pub(crate) fn written(&self) -> impl Iterator<Item = u8> {
        self.operands().into_iter().filter_map(|operand| match operand {
            Operand::Writes(slot) => Some(slot),
            Operand::Reads(_)
            | Operand::ReadsFlags(_)
            | Operand::ReadsVector(_)
            | Operand::WritesVector(_) => None,
        })
    }
}

const _: () = assert!(size_of::<Uop>() == 16, "an operation fits two words");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_comes_before_what_is_written() {
        for uop in Uop::samples() {
            let is_written = |o: &Operand| matches!(o, Operand::Writes(_) | Operand::WritesVector(_));
            let operands: Vec<Operand> = uop.operands().into_iter().collect();
            assert!(operands.is_sorted_by_key(is_written), "{uop:?}: {operands:?}");
            for slot in 0..=u8::MAX {
                let reads = [Operand::Reads(slot), Operand::ReadsFlags(slot)];
                assert_eq!(uop.reads(slot), operands.iter().any(|o| reads.contains(o)), "{uop:?}, {slot}");
                assert_eq!(uop.writes(slot), operands.contains(&Operand::Writes(slot)), "{uop:?}, {slot}");
            }
        }
        let select = Uop::SelectCond { d: 0, f: NZCV, cond: Cond::Ne, a: 1, b: 2 };
        assert!(select.reads(NZCV) && select.reads(2) && select.writes(0) && !select.writes(1));
        let pair = Uop::Cas { d: 1, a: 2, b: 3, c: 4, vector: true, access: 0 };
        assert!(pair.reads(2) && !pair.reads(3) && pair.written().next().is_none());
    }

    #[test]
    fn plain_accesses_name_their_base() {
        for mut uop in Uop::samples() {
            let plain = uop.facts().plain;
            assert_eq!(plain.is_some(), uop.base_and_offset().is_some(), "{uop:?}");
            let Some(plain) = plain else { continue };
            assert!(uop.reads(plain.base) && uop.facts().accesses, "{uop:?}");
            assert_eq!(plain.transfer.is_store(), uop.name().starts_with("St"), "{uop:?}");
            if let Some((base, off)) = uop.base_and_offset() {
                (*base, *off) = (7, -8);
            }
            let moved = uop.facts().plain.unwrap();
            assert_eq!(moved, PlainAccess { base: 7, off: -8, ..plain });
        }
    }

    #[test]
    fn who_may_look_at_the_flags() {
        for uop in Uop::samples() {
            let facts = uop.facts();
            assert!(!facts.accesses || facts.can_fault, "{uop:?}");
            // What ends a block computes nothing.
            assert!(facts.ends.is_none() || uop.written().next().is_none(), "{uop:?}");
        }
        assert!(Uop::Ld8 { d: 0, a: 1, off: 0 }.observes_flags());
        assert!(Uop::Goto.observes_flags() && Uop::SendEvent { all: true }.observes_flags());
        assert!(!Uop::Add64 { d: 0, a: 1, b: 2 }.observes_flags());
        assert!(Uop::Nzcv { d: 0, a: NZCV }.reads_flags_as_value());
        assert!(!Uop::Test { d: 0, a: NZCV, cond: Cond::Eq }.reads_flags_as_value());
    }
}
