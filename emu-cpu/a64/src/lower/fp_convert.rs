//! Conversions between floating-point formats, and to and from integers and fixed point.

use super::fp_shape::{Shape, ftype};
use super::{Flow, Lower, Lowered, Undefined};
use crate::fp::{Fmt, FpOp, IntFmt, Rounding};
use crate::ir::{Op, Ty, Val};

/// The integer named by `sf`.
fn sf_int(l: &Lower<'_>, signed: bool) -> IntFmt {
    IntFmt::as_wide_as(if l.bit(31) { Fmt::D } else { Fmt::S }, signed)
}

/// Fraction bits of a scalar fixed-point conversion, as immediate.
fn scale(l: &Lower<'_>) -> Result<u32, Undefined> {
    if !l.bit(31) && !l.bit(15) {
        return Err(Undefined);
    }
    Ok((64 - l.bits(15, 10)) << 8)
}

/// FCVTxS, FCVTxU to a general-purpose register.
pub(crate) fn to_gpr(l: &mut Lower<'_>, signed: bool, mode: Rounding) -> Lowered {
    to_gpr_imm(l, signed, mode as u32)
}

/// FCVTZS, FCVTZU (scalar, fixed-point).
pub(crate) fn to_gpr_fixed(l: &mut Lower<'_>, signed: bool) -> Lowered {
    let imm = scale(l)? | Rounding::Zero as u32;
    to_gpr_imm(l, signed, imm)
}

fn to_gpr_imm(l: &mut Lower<'_>, signed: bool, imm: u32) -> Lowered {
    let from = ftype(l)?.fmt();
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::ToInt { from, to: sf_int(l, signed) }, imm, args);
    let v = l.b.push(Op::VLane(if l.bit(31) { 3 } else { 2 }, 0, r));
    l.b.set_x(l.rd(), v);
    Ok(Flow::Next)
}

/// SCVTF, UCVTF from a general-purpose register.
pub(crate) fn from_gpr(l: &mut Lower<'_>, signed: bool) -> Lowered {
    from_gpr_imm(l, signed, 0)
}

/// SCVTF, UCVTF (scalar, fixed-point).
pub(crate) fn from_gpr_fixed(l: &mut Lower<'_>, signed: bool) -> Lowered {
    let imm = scale(l)?;
    from_gpr_imm(l, signed, imm)
}

fn from_gpr_imm(l: &mut Lower<'_>, signed: bool, imm: u32) -> Lowered {
    let to = ftype(l)?.fmt();
    let x = l.b.x(if l.bit(31) { Ty::I64 } else { Ty::I32 }, l.rn());
    let v = l.b.push(Op::VFromInt(x));
    let r = l.fp(FpOp::FromInt { from: sf_int(l, signed), to }, imm, [v, Val::NONE, Val::NONE]);
    l.set_vd(r)
}

/// FJCVTZS.
pub(crate) fn javascript(l: &mut Lower<'_>) -> Lowered {
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::JsCvt, 0, args);
    let int = l.b.push(Op::VLane(2, 0, r));
    let nzcv = l.b.push(Op::VLane(2, 1, r));
    let flags = l.b.push(Op::FlagsFromNzcv(nzcv));
    l.b.set_x(l.rd(), int);
    l.b.set_flags(flags);
    Ok(Flow::Next)
}

/// Each element to an integer of the same width.
pub(crate) fn to_int(l: &mut Lower<'_>, shape: Shape, signed: bool, mode: Rounding) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::ToIntVec { lanes, signed }, mode as u32, args);
    l.set_vd(r)
}

/// Each element from an integer of the same width.
pub(crate) fn from_int(l: &mut Lower<'_>, shape: Shape, signed: bool) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::FromIntVec { lanes, signed }, 0, args);
    l.set_vd(r)
}

/// Fraction bits of a conversion in the shift-by-immediate class, as immediate.
fn immh_immb(l: &Lower<'_>, fmt: Fmt) -> u32 {
    ((16 << fmt.log2_bytes()) - l.bits(22, 16)) << 8
}

/// Each element to fixed point.
pub(crate) fn to_fixed(l: &mut Lower<'_>, shape: Shape, signed: bool) -> Lowered {
    let lanes = shape(l)?;
    let imm = immh_immb(l, lanes.fmt()) | Rounding::Zero as u32;
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::ToIntVec { lanes, signed }, imm, args);
    l.set_vd(r)
}

/// Each element from fixed point.
pub(crate) fn from_fixed(l: &mut Lower<'_>, shape: Shape, signed: bool) -> Lowered {
    let lanes = shape(l)?;
    let imm = immh_immb(l, lanes.fmt());
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::FromIntVec { lanes, signed }, imm, args);
    l.set_vd(r)
}

/// FCVT between scalars.
pub(crate) fn convert(l: &mut Lower<'_>, from: Fmt, to: Fmt) -> Lowered {
    convert_mode(l, from, to, Rounding::BY_FPCR)
}

/// FCVTXN (scalar): double to single, to odd.
pub(crate) fn convert_odd(l: &mut Lower<'_>) -> Lowered {
    convert_mode(l, Fmt::D, Fmt::S, Rounding::Odd as u32)
}

fn convert_mode(l: &mut Lower<'_>, from: Fmt, to: Fmt, mode: u32) -> Lowered {
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::Convert { from, to }, mode, args);
    l.set_vd(r)
}

/// BFCVT.
pub(crate) fn convert_bf(l: &mut Lower<'_>) -> Lowered {
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::ToBf, 0, args);
    l.set_vd(r)
}

/// FCVTL, FCVTL2.
pub(crate) fn widen(l: &mut Lower<'_>) -> Lowered {
    let from = if l.bit(22) { Fmt::S } else { Fmt::H };
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::Widen { from, upper: l.bit(30) }, 0, args);
    l.set_vd(r)
}

/// FCVTN, FCVTN2.
pub(crate) fn narrow(l: &mut Lower<'_>) -> Lowered {
    let to = if l.bit(22) { Fmt::S } else { Fmt::H };
    narrow_op(l, FpOp::Narrow { to, upper: l.bit(30) }, Rounding::BY_FPCR)
}

/// FCVTXN, FCVTXN2.
pub(crate) fn narrow_odd(l: &mut Lower<'_>) -> Lowered {
    narrow_op(l, FpOp::Narrow { to: Fmt::S, upper: l.bit(30) }, Rounding::Odd as u32)
}

/// BFCVTN, BFCVTN2.
pub(crate) fn narrow_bf(l: &mut Lower<'_>) -> Lowered {
    narrow_op(l, FpOp::NarrowBf { upper: l.bit(30) }, 0)
}

/// The forms that write the upper half keep the lower one of Rd.
fn narrow_op(l: &mut Lower<'_>, op: FpOp, mode: u32) -> Lowered {
    let n = l.vn();
    let old = if l.bit(30) { l.vd() } else { Val::NONE };
    let r = l.fp(op, mode, [n, old, Val::NONE]);
    l.set_vd(r)
}
