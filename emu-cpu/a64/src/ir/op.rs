//! The table of operations. What a row says is explained in [`super::table`].
//!
//! An operation is here, in the lowering that makes it, and in its way to a micro-operation; whatever else has to know
//! something about it asks its row.

use std::fmt;

use super::mops::MopsInsn;
use super::pstate::PstateField;
use super::table::{
    Arguments, Facts, Memory, Operands, Register, Want, argument, as_written, choice, forms, operand,
    operations, part, part_type, result_type, written,
};
use super::text::{Parts, Shown, VReg, XReg};
use super::value::{Ty, Val};
use super::words::{Acc, AtomicOp, BarrierKind, BinOp, Cond, MemSize, PacOp, SysEnc, UnOp};
use crate::fp::FpOp;
use crate::simd::VecOp;

operations! {
    // ---- Constants and addresses ----

    /// A constant of an integer type.
    Const(ty: Ty, value: u64) -> ty, "const {value:#x}";
    /// Address of the block's first instruction plus this.
    PcRel(rel: i64) -> I64, "pcrel {rel}";
    /// Address of the block's 4 KiB page plus this (ADRP).
    PcPage(rel: i64) -> I64, "pcpage {rel}";

    // ---- Registers ----

    /// X0..X30, or 31 for the current SP.
    GetX(r: Xn) -> I64, "get {r}", reads(X(r));
    /// Writes X0..X30 or (31) the current SP; an I32 is zero-extended.
    SetX(r: Xn, value: [Int]), "set {r}, {value}", writes(X(r));
    /// V0..V31.
    GetV(r: Vn) -> V, "get {r}", reads(V(r));
    /// Writes all of V0..V31.
    SetV(r: Vn, value: [V]), "set {r}, {value}", writes(V(r));
    /// PSTATE.NZCV.
    GetFlags -> Flags, "get nzcv", reads(Nzcv);
    /// Writes PSTATE.NZCV.
    SetFlags(value: [Flags]), "set nzcv, {value}", writes(Nzcv);

    // ---- Integers ----

    /// Two operands, one type.
    Bin(op: BinOp, ty: Ty, a: [ty], b: [ty]) -> ty, "{op} {a}, {b}";
    /// One operand.
    Un(op: UnOp, ty: Ty, a: [ty]) -> ty, "{op} {a}";
    /// The low `bits` (8, 16, 32) of an integer, sign- or zero-extended.
    Ext { bits: u8, signed: bool, to: Ty, a: [Int] } -> to, signed ? "sext.{bits} {a}" : "zext.{bits} {a}";
    /// Bits `lsb + width - 1 : lsb`, sign- or zero-extended; `width` is at least 1.
    Bfx { ty: Ty, signed: bool, lsb: u8, width: u8, a: [ty] } -> ty,
        signed ? "sbfx {lsb}, {width}, {a}" : "ubfx {lsb}, {width}, {a}";
    /// `dst` with `width` bits at `lsb` replaced by the low bits of `src`.
    Bfi { ty: Ty, lsb: u8, width: u8, dst: [ty], src: [ty] } -> ty, "bfi {lsb}, {width}, {dst}, {src}";
    /// The low half of (hi:lo) >> lsb; `lsb` is less than the width.
    Extr { ty: Ty, lsb: u8, hi: [ty], lo: [ty] } -> ty, "extr {lsb}, {hi}, {lo}";
    /// a + b + C.
    AddCarry(ty: Ty, a: [ty], b: [ty], carry: [Flags]) -> ty, "adc {a}, {b}, {carry}";
    /// CRC32 or CRC32C of `size` bytes of data into acc (Arm ARM, C6.2 CRC32B...).
    Crc32 { castagnoli: bool, size: MemSize, acc: [I32], data: [Int] } -> I32,
        castagnoli ? "crc32c.{size} {acc}, {data}" : "crc32.{size} {acc}, {data}";

    // ---- Flags and conditions ----

    /// Flags of a + b.
    FlagsAdd(ty: Ty, a: [ty], b: [ty]) -> Flags, "flags_add.{ty} {a}, {b}";
    /// Flags of a - b (C = no borrow).
    FlagsSub(ty: Ty, a: [ty], b: [ty]) -> Flags, "flags_sub.{ty} {a}, {b}";
    /// Flags of a + b + C.
    FlagsAdc(ty: Ty, a: [ty], b: [ty], carry: [Flags]) -> Flags, "flags_adc.{ty} {a}, {b}, {carry}";
    /// N and Z of a value, C = V = 0.
    FlagsLogic(ty: Ty, a: [ty]) -> Flags, "flags_logic.{ty} {a}";
    /// Constant flags, in bits 3:0 as N Z C V.
    FlagsConst(nzcv: u8) -> Flags, "flags_const {nzcv:#x}";
    /// Flags from bits 31:28 of an integer.
    FlagsFromNzcv(a: [Int]) -> Flags, "flags_from_nzcv {a}";
    /// Flags in bits 31:28, the rest zero.
    NzcvFromFlags(flags: [Flags]) -> I64, "nzcv_from_flags {flags}";
    /// Whether flags satisfy a condition.
    Test(cond: Cond, flags: [Flags]) -> I1, "test.{cond} {flags}";
    /// a == 0.
    IsZero(ty: Ty, a: [ty]) -> I1, "is_zero.{ty} {a}";
    /// a != 0.
    NonZero(ty: Ty, a: [ty]) -> I1, "non_zero.{ty} {a}";
    /// Bit n of a.
    Bit(n: u8, a: [Int]) -> I1, "bit {n}, {a}";
    /// The negation.
    NotI1(a: [I1]) -> I1, "not_i1 {a}";
    /// cond ? a : b, of any type.
    Select(ty: Ty, cond: [I1], a: [ty], b: [ty]) -> ty, "select {cond}, {a}, {b}";

    // ---- Vectors ----

    /// From an integer, zero-extended.
    VFromInt(a: [Int]) -> V, "v_from_int {a}";
    /// From two doublewords.
    VFromPair(low: [I64], high: [I64]) -> V, "v_from_pair {low}, {high}";
    /// Element `lane` of 1 << `esize` bytes, zero-extended.
    VLane(esize: u8, lane: u8, v: [V]) -> I64, "v_lane {esize}, {lane}, {v}";
    /// `v` with element `lane` of 1 << `esize` bytes replaced by the low bits of an integer.
    VSetLane(esize: u8, lane: u8, v: [V], a: [Int]) -> V, "v_set_lane {esize}, {lane}, {v}, {a}";
    /// All elements of 1 << `esize` bytes in the low `bytes` (8 or 16) set to an integer.
    VDup(esize: u8, bytes: u8, a: [Int]) -> V, "v_dup {esize}, {bytes}, {a}";
    /// The low `bytes` (1, 2, 4, 8), the rest zero.
    VLow(bytes: u8, v: [V]) -> V, "v_low {bytes}, {v}";
    /// An integer vector operation, which defines its immediate; may set FPSR.QC.
    Vec { op: VecOp, imm: u32, args: [V; 3] } -> V, "vec {op}, {imm:#x}, {args}";
    /// A floating-point operation (scalar or vector) under FPCR, which defines its immediate; accumulates into FPSR.
    Fp { op: FpOp, imm: u32, args: [V; 3] } -> V, "fp {op}, {imm:#x}, {args}", effect;

    // ---- Memory ----

    /// Loads `size` bytes; zero- or sign-extended to `ty` (a vector: zero-extended; B16 only to a vector).
    Load { ty: Ty, size: MemSize, signed: bool, acc: Acc, addr: [I64] } -> ty,
        signed ? "load_signed.{size} {addr}{acc}" : "load.{size} {addr}{acc}", faults, accesses;
    /// Stores the low `size` bytes of an integer or a vector.
    Store { size: MemSize, acc: Acc, addr: [I64], val: [Any] }, "store.{size} {addr}, {val}{acc}",
        faults, accesses;
    /// Load-exclusive. Opens the monitor for the `size` bytes (a pair is one access).
    LoadEx { size: MemSize, acc: Acc, addr: [I64] } -> size.whole(), "load_ex.{size} {addr}{acc}",
        faults, exclusive;
    /// Store-exclusive of the low `size` bytes of an integer, or a vector for 16: 0 if stored, 1 if not.
    StoreEx { size: MemSize, acc: Acc, addr: [I64], val: [Any] } -> I32, "store_ex.{size} {addr}, {val}{acc}",
        faults, exclusive;
    /// CLREX.
    ClearEx, "clear_ex", effect, clears_monitor;
    /// Atomic read-modify-write of up to 8 bytes with the low `size` bytes of an integer; the old value, zero-extended.
    Rmw { op: AtomicOp, size: MemSize, acc: Acc, addr: [I64], val: [Any] } -> I64,
        "rmw.{op}.{size} {addr}, {val}{acc}", faults, accesses;
    /// Atomic compare and swap of the low `size` bytes of integers, or vectors for 16; the old value.
    Cas { size: MemSize, acc: Acc, addr: [I64], expected: [Any], new: [Any] } -> size.whole(),
        "cas.{size} {addr}, {expected}, {new}{acc}", faults, accesses;
    /// Orders memory accesses.
    Barrier(kind: BarrierKind), "barrier.{kind}", effect;
    /// FEAT_MOPS: raises the exception of a main or epilogue instruction that does not continue what went before:
    /// `size` is Xn, `nzcv` the flags as MRS reads them.
    MopsCheck { size: [I64], nzcv: [I64], insn: MopsInsn }, "mops_check {size}, {nzcv}, {insn}", faults;
    /// FEAT_MOPS: a main instruction moves some bytes, with Xd, Xs, Xn; the new Xn. Unless that is zero it has to come
    /// again.
    MopsMove { to: [I64], from: [I64], size: [I64], insn: MopsInsn } -> I64,
        "mops_move {to}, {from}, {size}, {insn}", faults, accesses;

    // ---- The system level; `rt` is the register named in the instruction, for the syndrome of a trap ----

    /// Reads a system register.
    Mrs { enc: SysEnc, rt: u8 } -> I64, "mrs {enc}, {rt}", faults;
    /// Writes a system register.
    Msr { enc: SysEnc, rt: u8, val: [I64] }, "msr {enc}, {rt}, {val}", faults;
    /// SYS: cache, TLB and address translation instructions. (DC ZVA and its kin write memory.)
    Sys { enc: SysEnc, rt: u8, val: [I64] }, "sys {enc}, {rt}, {val}", faults, may_access;
    /// MSR (immediate) with its CRm.
    MsrImm { field: PstateField, imm: u8 }, "msr_imm.{field} {imm}", faults;
    /// Pointer authentication; XPACI and XPACD do not use the modifier.
    Pac { op: PacOp, ptr: [I64], modifier: [I64] } -> I64, "pac.{op} {ptr}, {modifier}", faults;
    /// SEV, to all PEs, or SEVL.
    SendEvent { all: bool }, all ? "sev" : "sevl", effect;
    /// The instruction has made so many memory accesses, and the performance monitors count them (MEM_ACCESS).
    CountAccesses(n: u8), "count_accesses {n}", effect;
}

impl Op {
    /// True if the operation reads or writes memory that its operands name.
    #[must_use]
    pub const fn accesses_memory(&self) -> bool {
        matches!(self.facts().memory, Memory::Access | Memory::Exclusive)
    }

    /// True if the operation can raise a synchronous exception.
    #[must_use]
    pub const fn can_fault(&self) -> bool {
        self.facts().can_fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_value_is_there_for_what_it_does() {
        let clear = Op::ClearEx.facts();
        assert!(clear.has_effect && !clear.can_fault && clear.memory == Memory::ClearsMonitor);
        let add = Op::Bin(BinOp::Add, Ty::I64, Val(0), Val(1));
        assert!(!add.facts().has_effect && add.facts().memory == Memory::None);
        let store = Op::Store { size: MemSize::B8, acc: Acc::PLAIN, addr: Val(0), val: Val(1) };
        assert!(store.facts().has_effect && store.can_fault() && store.ty() == Ty::None);
        assert_eq!(Op::SetX(31, Val(2)).facts().writes, Some(Register::X(31)));
    }

    #[test]
    fn operands_have_the_types_of_their_row() {
        let select = Op::Select(Ty::V, Val(3), Val(2), Val(1));
        let of = |ty: Ty| Want::from(ty);
        assert_eq!(select.operands(), [(Val(3), of(Ty::I1)), (Val(2), of(Ty::V)), (Val(1), of(Ty::V))]);
        assert_eq!(Op::VLow(8, Val(1)).args(), [Val(1), Val::NONE, Val::NONE]);
        let pair =
            Op::Cas { size: MemSize::B16, acc: Acc::PLAIN, addr: Val(0), expected: Val(1), new: Val(2) };
        assert_eq!((pair.ty(), pair.args()), (Ty::V, [Val(0), Val(1), Val(2)]));
    }

    #[test]
    fn a_text_is_read_for_the_type_of_its_result() {
        let add = Op::Bin(BinOp::Add, Ty::I32, Val(0), Val(1));
        assert_eq!(Op::read("add %0, %1", Ty::I32), Some(add));
        assert_eq!(Op::read("add %0, %1", Ty::None), None);
        assert_eq!(Op::read("sevl", Ty::None), Some(Op::SendEvent { all: false }));
        assert_eq!(Op::read("is_zero.i32 %4", Ty::I1), Some(Op::IsZero(Ty::I32, Val(4))));
        for other in ["add %0", "is_zero.word %4", "get x32", "flags_add %0, %1", "load.b3 %1", "nothing"] {
            let types = [Ty::None, Ty::I1, Ty::I64, Ty::Flags];
            assert!(types.iter().all(|ty| Op::read(other, *ty).is_none()), "{other}");
        }
    }
}
