//! Which slots an operation reads and writes.

use emu_a64::ir::MemSize;

use crate::interp::block::Code;
use crate::interp::uop::Uop;

/// A slot as an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operand {
    /// Of the integer file, read.
    Reads(u8),
    /// Of the integer file, written.
    Writes(u8),
    /// Of the vector file, read.
    ReadsVector(u8),
    /// Of the vector file, written.
    WritesVector(u8),
}
use Operand::{Reads, ReadsVector, Writes, WritesVector};

/// Tells `f` every operand of an operation of `code`.
#[rustfmt::skip]
pub(super) fn each(code: &Code, uop: &Uop, f: &mut impl FnMut(Operand)) {
    use Uop::*;
    let wide = |access: u16| code.accesses.get(access as usize).is_some_and(|how| how.size == MemSize::B16);
    let mut all = |operands: &[Operand]| operands.iter().for_each(|operand| f(*operand));
    match *uop {
        Const { d, .. } | PcRel { d, .. } | PcPage { d, .. } | Mrs { d, .. } => all(&[Writes(d)]),

        Mov { d, a } | Not64 { d, a } | Not32 { d, a } | Neg64 { d, a } | Neg32 { d, a }
        | Clz64 { d, a } | Clz32 { d, a } | Cls64 { d, a } | Cls32 { d, a } | Rbit64 { d, a } | Rbit32 { d, a }
        | Rev64 { d, a } | Rev32 { d, a } | Rev16 { d, a } | RevW { d, a } | Zext8 { d, a } | Zext16 { d, a }
        | Zext32 { d, a } | Sext8To32 { d, a } | Sext16To32 { d, a } | Sext8 { d, a } | Sext16 { d, a }
        | Sext32 { d, a } | Ubfx { d, a, .. } | Sbfx64 { d, a, .. } | Sbfx32 { d, a, .. }
        | AddI64 { d, a, .. } | AddI32 { d, a, .. } | AndI64 { d, a, .. } | AndI32 { d, a, .. }
        | OrI64 { d, a, .. } | OrI32 { d, a, .. } | XorI64 { d, a, .. } | XorI32 { d, a, .. }
        | ShlI64 { d, a, .. } | ShlI32 { d, a, .. } | LsrI64 { d, a, .. } | LsrI32 { d, a, .. }
        | AsrI64 { d, a, .. } | AsrI32 { d, a, .. } | RorI64 { d, a, .. } | RorI32 { d, a, .. }
        | FlagsSubI64 { d, a, .. } | FlagsSubI32 { d, a, .. } | FlagsLogic64 { d, a } | FlagsLogic32 { d, a }
        | Nzcv { d, a } | Test { d, a, .. } | IsZero64 { d, a } | IsZero32 { d, a } | NonZero64 { d, a }
        | NonZero32 { d, a } | Bit { d, a, .. } | NotI1 { d, a }
        | Ld8 { d, a, .. } | Ld16 { d, a, .. } | Ld32 { d, a, .. } | Ld64 { d, a, .. } | Ld8s32 { d, a, .. }
        | Ld16s32 { d, a, .. } | Ld8s64 { d, a, .. } | Ld16s64 { d, a, .. } | Ld32s64 { d, a, .. }
        | LdWords { d, a, .. } => all(&[Reads(a), Writes(d)]),

        Add64 { d, a, b } | Add32 { d, a, b } | Sub64 { d, a, b } | Sub32 { d, a, b } | And64 { d, a, b }
        | And32 { d, a, b } | Or64 { d, a, b } | Or32 { d, a, b } | Xor64 { d, a, b } | Xor32 { d, a, b }
        | AndNot64 { d, a, b } | AndNot32 { d, a, b } | OrNot64 { d, a, b } | OrNot32 { d, a, b }
        | XorNot64 { d, a, b } | XorNot32 { d, a, b } | Mul64 { d, a, b } | Mul32 { d, a, b }
        | SMulH { d, a, b } | UMulH { d, a, b } | SDiv64 { d, a, b } | SDiv32 { d, a, b } | UDiv64 { d, a, b }
        | UDiv32 { d, a, b } | Shl64 { d, a, b } | Shl32 { d, a, b } | Lsr64 { d, a, b } | Lsr32 { d, a, b }
        | Asr64 { d, a, b } | Asr32 { d, a, b } | Ror64 { d, a, b } | Ror32 { d, a, b }
        | AddShl64 { d, a, b, .. } | Bfi { d, a, b, .. } | Extr64 { d, a, b, .. } | Extr32 { d, a, b, .. }
        | FlagsAdd64 { d, a, b } | FlagsAdd32 { d, a, b } | FlagsSub64 { d, a, b } | FlagsSub32 { d, a, b }
        | Crc32 { d, a, b, .. } | Pac { d, a, b, .. } | Rmw { d, a, b, .. } => {
            all(&[Reads(a), Reads(b), Writes(d)]);
        }
        AddCarry64 { d, a, b, c } | AddCarry32 { d, a, b, c } | FlagsAdc64 { d, a, b, c }
        | FlagsAdc32 { d, a, b, c } | Select { d, c, a, b } | SelectCond { d, f: c, a, b, .. }
        | MopsMove { d, a, b, c, .. } => all(&[Reads(a), Reads(b), Reads(c), Writes(d)]),

        VMov { d, a } | VLow { d, a, .. } => all(&[ReadsVector(a), WritesVector(d)]),
        VSelect { d, c, a, b } => all(&[Reads(c), ReadsVector(a), ReadsVector(b), WritesVector(d)]),
        VFromInt { d, a } | VDup { d, a, .. } | LdV { d, a, .. } => all(&[Reads(a), WritesVector(d)]),
        VFromPair { d, a, b } => all(&[Reads(a), Reads(b), WritesVector(d)]),
        VLane { d, a, .. } => all(&[ReadsVector(a), Writes(d)]),
        VSetLane { d, a, b, .. } => all(&[ReadsVector(a), Reads(b), WritesVector(d)]),
        Call { d, a, b, c, .. } => all(&[ReadsVector(a), ReadsVector(b), ReadsVector(c), WritesVector(d)]),

        LdPair { d, e, a, .. } => all(&[Reads(a), Writes(d), Writes(e)]),
        St8 { a, b, .. } | St16 { a, b, .. } | St32 { a, b, .. } | St64 { a, b, .. } | StWords { a, b, .. }
        | MopsCheck { a, b, .. } => all(&[Reads(a), Reads(b)]),
        StV { a, b, .. } => all(&[Reads(a), ReadsVector(b)]),
        StPair { a, b, c, .. } => all(&[Reads(a), Reads(b), Reads(c)]),
        LdAcc { d, a, vector, .. } => all(&[Reads(a), if vector { WritesVector(d) } else { Writes(d) }]),
        StAcc { a, b, vector, .. } => all(&[Reads(a), if vector { ReadsVector(b) } else { Reads(b) }]),
        LdEx { d, a, access } => all(&[Reads(a), if wide(access) { WritesVector(d) } else { Writes(d) }]),
        StEx { d, a, b, access } => {
            all(&[Reads(a), if wide(access) { ReadsVector(b) } else { Reads(b) }, Writes(d)]);
        }
        Cas { d, a, b, c, access } if wide(access) => {
            all(&[Reads(a), ReadsVector(b), ReadsVector(c), WritesVector(d)]);
        }
        Cas { d, a, b, c, .. } => all(&[Reads(a), Reads(b), Reads(c), Writes(d)]),

        Msr { a, .. } | Sys { a, .. } | IfI1 { a } | IfZero64 { a } | IfZero32 { a } | IfNonZero64 { a }
        | IfNonZero32 { a } | IfBit { a, .. } | Indirect { a } | IndirectTyped { a, .. } | IfCond { f: a, .. } => {
            all(&[Reads(a)]);
        }
        CheckSp | ClearEx | Barrier(_) | MsrImm { .. } | SendEvent { .. } | CountAccesses { .. } | Goto | Exception(_)
        | Leave { .. } => {}
    }
}
