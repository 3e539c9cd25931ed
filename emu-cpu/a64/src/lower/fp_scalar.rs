//! Scalar floating point but for conversions, and what scalars and vectors share.

use super::fp_shape::{Shape, ftype};
use super::{Flow, Lower, Lowered};
use crate::fp::{BinFp, Fmt, FpOp, FusedFp, UnFp};
use crate::ir::{Cond, Op, Ty, Val};

impl Lower<'_> {
    /// A floating-point operation.
    pub(crate) fn fp(&mut self, op: FpOp, imm: u32, args: [Val; 3]) -> Val {
        self.b.push(Op::Fp { op, imm, args })
    }
}

/// Two operands, Rn and Rm, element by element.
pub(crate) fn bin(l: &mut Lower<'_>, shape: Shape, op: BinFp) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), l.vm(), Val::NONE];
    let r = l.fp(FpOp::Bin(op, lanes), 0, args);
    l.set_vd(r)
}

/// One operand, Rn, element by element.
pub(crate) fn un(l: &mut Lower<'_>, shape: Shape, op: UnFp) -> Lowered {
    rint(l, shape, op, 0)
}

/// To an integral value, with a rounding mode.
pub(crate) fn rint(l: &mut Lower<'_>, shape: Shape, op: UnFp, mode: u32) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::Un(op, lanes), mode, args);
    l.set_vd(r)
}

/// FMADD, FMSUB, FNMADD, FNMSUB.
pub(crate) fn fused_scalar(l: &mut Lower<'_>, op: FusedFp) -> Lowered {
    let lanes = ftype(l)?;
    let ra = l.ra();
    let args = [l.vn(), l.vm(), l.b.v(ra)];
    let r = l.fp(FpOp::Fused(op, lanes), 0, args);
    l.set_vd(r)
}

/// FCMP, FCMPE with a register or zero.
pub(crate) fn cmp(l: &mut Lower<'_>, zero: bool, signalling: bool) -> Lowered {
    let fmt = ftype(l)?.fmt();
    let n = l.vn();
    let m = if zero { l.vzero() } else { l.vm() };
    let flags = compare(l, fmt, signalling, n, m);
    l.b.set_flags(flags);
    Ok(Flow::Next)
}

/// FCCMP, FCCMPE. Where the condition fails, nothing may be compared that could raise an exception: zero with zero is.
pub(crate) fn ccmp(l: &mut Lower<'_>, signalling: bool) -> Lowered {
    let fmt = ftype(l)?.fmt();
    let (n, m, zero) = (l.vn(), l.vm(), l.vzero());
    let holds = l.b.test(Cond::from_bits(l.bits(15, 12)));
    let n = l.b.select(Ty::V, holds, n, zero);
    let m = l.b.select(Ty::V, holds, m, zero);
    let compared = compare(l, fmt, signalling, n, m);
    let given = l.b.push(Op::FlagsConst(l.bits(3, 0) as u8));
    let flags = l.b.select(Ty::Flags, holds, compared, given);
    l.b.set_flags(flags);
    Ok(Flow::Next)
}

fn compare(l: &mut Lower<'_>, fmt: Fmt, signalling: bool, n: Val, m: Val) -> Val {
    let r = l.fp(FpOp::Cmp { fmt, signalling }, 0, [n, m, Val::NONE]);
    let nzcv = l.b.push(Op::VLane(2, 0, r));
    l.b.push(Op::FlagsFromNzcv(nzcv))
}

/// FCSEL.
pub(crate) fn csel(l: &mut Lower<'_>) -> Lowered {
    let bytes = ftype(l)?.bytes();
    let (n, m) = (l.vn(), l.vm());
    let holds = l.b.test(Cond::from_bits(l.bits(15, 12)));
    let r = l.b.select(Ty::V, holds, n, m);
    let r = l.b.push(Op::VLow(bytes, r));
    l.set_vd(r)
}

/// FMOV (register).
pub(crate) fn mov(l: &mut Lower<'_>) -> Lowered {
    let bytes = ftype(l)?.bytes();
    let n = l.vn();
    let r = l.b.push(Op::VLow(bytes, n));
    l.set_vd(r)
}

/// FMOV (scalar, immediate).
pub(crate) fn mov_imm(l: &mut Lower<'_>) -> Lowered {
    let fmt = ftype(l)?.fmt();
    let value = l.b.c64(expand_imm(fmt, l.bits(20, 13)));
    let r = l.b.push(Op::VFromInt(value));
    l.set_vd(r)
}

/// VFPExpandImm: sign, 3 bits of exponent, 4 bits of fraction.
pub(crate) fn expand_imm(fmt: Fmt, imm8: u32) -> u64 {
    let (exp_bits, frac_bits) = match fmt {
        Fmt::H => (5, 10),
        Fmt::S => (8, 23),
        Fmt::D => (11, 52),
    };
    let imm = u64::from(imm8);
    let (sign, b6) = (imm >> 7 & 1, imm >> 6 & 1);
    let replicated = if b6 != 0 { (1 << (exp_bits - 3)) - 1 } else { 0 };
    let exp = (b6 ^ 1) << (exp_bits - 1) | replicated << 2 | (imm >> 4 & 3);
    sign << (exp_bits + frac_bits) | exp << frac_bits | (imm & 15) << (frac_bits - 4)
}

/// FMOV from the low bits of a vector register to a general-purpose one.
pub(crate) fn mov_to_gpr(l: &mut Lower<'_>, fmt: Fmt) -> Lowered {
    lane_to_gpr(l, fmt.log2_bytes(), 0)
}

/// FMOV Xd, Vn.D[1].
pub(crate) fn mov_top_to_gpr(l: &mut Lower<'_>) -> Lowered {
    lane_to_gpr(l, 3, 1)
}

fn lane_to_gpr(l: &mut Lower<'_>, esize: u8, lane: u8) -> Lowered {
    let n = l.vn();
    let v = l.b.push(Op::VLane(esize, lane, n));
    l.b.set_x(l.rd(), v);
    Ok(Flow::Next)
}

/// FMOV from a general-purpose register to the low bits of a vector register, the rest zero.
pub(crate) fn mov_from_gpr(l: &mut Lower<'_>, fmt: Fmt) -> Lowered {
    let x = l.b.x(Ty::I64, l.rn());
    let v = l.b.push(Op::VFromInt(x));
    let r = l.b.push(Op::VLow(1 << fmt.log2_bytes(), v));
    l.set_vd(r)
}

/// FMOV Vd.D[1], Xn.
pub(crate) fn mov_top_from_gpr(l: &mut Lower<'_>) -> Lowered {
    let d = l.vd();
    let x = l.b.x(Ty::I64, l.rn());
    let r = l.b.push(Op::VSetLane(3, 1, d, x));
    l.set_vd(r)
}
