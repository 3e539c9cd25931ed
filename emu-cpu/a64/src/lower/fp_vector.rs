//! Advanced SIMD floating point but for conversions: vectors, elements, pairs, complex numbers, mixed precision.

use super::fp_scalar::expand_imm;
use super::fp_shape::{Shape, vector_of};
use super::{Lower, Lowered, Undefined};
use crate::features::Feat;
use crate::fp::{BinFp, Fmt, FoldFp, FpOp, FusedFp, Lanes};
use crate::ir::{Op, Val};

/// FMLA, FMLS: Rd is the addend.
pub(crate) fn fused(l: &mut Lower<'_>, shape: Shape, op: FusedFp) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), l.vm(), l.vd()];
    let r = l.fp(FpOp::Fused(op, lanes), 0, args);
    l.set_vd(r)
}

/// Adjacent elements of Rn:Rm.
pub(crate) fn pair(l: &mut Lower<'_>, shape: Shape, op: FoldFp) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), l.vm(), Val::NONE];
    let r = l.fp(FpOp::Pair(op, lanes), 0, args);
    l.set_vd(r)
}

/// All elements of Rn to one.
pub(crate) fn reduce(l: &mut Lower<'_>, shape: Shape, op: FoldFp) -> Lowered {
    let lanes = shape(l)?;
    let args = [l.vn(), Val::NONE, Val::NONE];
    let r = l.fp(FpOp::Reduce(op, lanes), 0, args);
    l.set_vd(r)
}

/// Compares each element with zero; `reversed` compares zero with it.
pub(crate) fn cmp_zero(l: &mut Lower<'_>, shape: Shape, op: BinFp, reversed: bool) -> Lowered {
    let lanes = shape(l)?;
    let (n, zero) = (l.vn(), l.vzero());
    let (a, b) = if reversed { (zero, n) } else { (n, zero) };
    let r = l.fp(FpOp::Bin(op, lanes), 0, [a, b, Val::NONE]);
    l.set_vd(r)
}

/// Element `index` of 1 << `esize` bytes of a register, in all places of a vector of `bytes`, or alone if that is its size.
fn broadcast(l: &mut Lower<'_>, reg: u32, esize: u8, index: u32, bytes: u8) -> Val {
    let v = l.b.v(reg);
    let e = l.b.push(Op::VLane(esize, index as u8, v));
    if bytes <= 1 << esize { l.b.push(Op::VFromInt(e)) } else { l.b.push(Op::VDup(esize, bytes, e)) }
}

/// The index bits H:L:M of a by-element encoding.
fn hlm(l: &Lower<'_>) -> (u32, u32, u32) {
    (l.bits(11, 11), l.bits(21, 21), l.bits(20, 20))
}

/// The element operand of a by-element encoding.
fn element(l: &mut Lower<'_>, lanes: Lanes) -> Result<Val, Undefined> {
    let (h, lo, m) = hlm(l);
    let (reg, index) = match lanes.fmt() {
        Fmt::H => (l.bits(19, 16), h << 2 | lo << 1 | m),
        Fmt::S => (l.rm(), h << 1 | lo),
        Fmt::D if lo == 0 => (l.rm(), h),
        Fmt::D => return Err(Undefined),
    };
    Ok(broadcast(l, reg, lanes.fmt().log2_bytes(), index, lanes.bytes()))
}

/// FMUL, FMULX by element.
pub(crate) fn bin_element(l: &mut Lower<'_>, shape: Shape, op: BinFp) -> Lowered {
    let lanes = shape(l)?;
    let m = element(l, lanes)?;
    let n = l.vn();
    let r = l.fp(FpOp::Bin(op, lanes), 0, [n, m, Val::NONE]);
    l.set_vd(r)
}

/// FMLA, FMLS by element.
pub(crate) fn fused_element(l: &mut Lower<'_>, shape: Shape, op: FusedFp) -> Lowered {
    let lanes = shape(l)?;
    let m = element(l, lanes)?;
    let (n, d) = (l.vn(), l.vd());
    let r = l.fp(FpOp::Fused(op, lanes), 0, [n, m, d]);
    l.set_vd(r)
}

/// FMOV (vector, immediate).
pub(crate) fn mov_imm(l: &mut Lower<'_>, fmt: Fmt) -> Lowered {
    let lanes = vector_of(l, fmt)?;
    let value = l.b.c64(expand_imm(fmt, l.bits(18, 16) << 5 | l.bits(9, 5)));
    let r = l.b.push(Op::VDup(fmt.log2_bytes(), lanes.bytes(), value));
    l.set_vd(r)
}

/// The elements of complex numbers: `size` in bits 23:22.
fn complex_fmt(l: &Lower<'_>) -> Result<Fmt, Undefined> {
    match l.bits(23, 22) {
        1 if l.pe.features.has(Feat::Fp16) => Ok(Fmt::H),
        2 => Ok(Fmt::S),
        3 => Ok(Fmt::D),
        _ => Err(Undefined),
    }
}

/// FCADD.
pub(crate) fn complex_add(l: &mut Lower<'_>) -> Lowered {
    let fmt = complex_fmt(l)?;
    let lanes = vector_of(l, fmt)?;
    let args = [l.vn(), l.vm(), Val::NONE];
    let r = l.fp(FpOp::ComplexAdd(lanes), l.bits(12, 12), args);
    l.set_vd(r)
}

/// FCMLA.
pub(crate) fn complex_mul_add(l: &mut Lower<'_>) -> Lowered {
    let fmt = complex_fmt(l)?;
    let lanes = vector_of(l, fmt)?;
    let args = [l.vn(), l.vm(), l.vd()];
    let r = l.fp(FpOp::ComplexMulAdd(lanes), l.bits(12, 11), args);
    l.set_vd(r)
}

/// FCMLA by element: the element is a pair.
pub(crate) fn complex_mul_add_element(l: &mut Lower<'_>) -> Lowered {
    let fmt = complex_fmt(l)?;
    let lanes = vector_of(l, fmt)?;
    let (h, lo, _) = hlm(l);
    let index = match (fmt, l.bit(30)) {
        (Fmt::H, full) if full || h == 0 => h << 1 | lo,
        (Fmt::S, true) if lo == 0 => h,
        _ => return Err(Undefined),
    };
    let m = broadcast(l, l.rm(), fmt.log2_bytes() + 1, index, 16);
    let (n, d) = (l.vn(), l.vd());
    let r = l.fp(FpOp::ComplexMulAdd(lanes), l.bits(14, 13), [n, m, d]);
    l.set_vd(r)
}

/// FMLAL, FMLSL (`sub`) and, taking upper halves, FMLAL2, FMLSL2.
pub(crate) fn mul_add_long(l: &mut Lower<'_>, sub: bool, upper: bool) -> Lowered {
    let m = l.vm();
    mul_add_long_with(l, sub, upper, m)
}

/// The same by element.
pub(crate) fn mul_add_long_element(l: &mut Lower<'_>, sub: bool, upper: bool) -> Lowered {
    let m = element(l, Lanes::H8)?;
    mul_add_long_with(l, sub, upper, m)
}

fn mul_add_long_with(l: &mut Lower<'_>, sub: bool, upper: bool, m: Val) -> Lowered {
    let (n, d) = (l.vn(), l.vd());
    let imm = u32::from(sub) | u32::from(upper) << 1;
    let r = l.fp(FpOp::MulAddLong { full: l.bit(30) }, imm, [n, m, d]);
    l.set_vd(r)
}

/// BFMLALB, BFMLALT.
pub(crate) fn bf_mul_add_long(l: &mut Lower<'_>) -> Lowered {
    let args = [l.vn(), l.vm(), l.vd()];
    let r = l.fp(FpOp::BfMulAddLong, l.bits(30, 30), args);
    l.set_vd(r)
}

/// BFMLALB, BFMLALT by element.
pub(crate) fn bf_mul_add_long_element(l: &mut Lower<'_>) -> Lowered {
    let m = element(l, Lanes::H8)?;
    let (n, d) = (l.vn(), l.vd());
    let r = l.fp(FpOp::BfMulAddLong, l.bits(30, 30), [n, m, d]);
    l.set_vd(r)
}

/// BFDOT.
pub(crate) fn bf_dot(l: &mut Lower<'_>) -> Lowered {
    let args = [l.vn(), l.vm(), l.vd()];
    let r = l.fp(FpOp::BfDot { full: l.bit(30) }, 0, args);
    l.set_vd(r)
}

/// BFDOT by element: the element is a pair.
pub(crate) fn bf_dot_element(l: &mut Lower<'_>) -> Lowered {
    let m = element(l, Lanes::S4)?;
    let (n, d) = (l.vn(), l.vd());
    let r = l.fp(FpOp::BfDot { full: l.bit(30) }, 0, [n, m, d]);
    l.set_vd(r)
}

/// BFMMLA.
pub(crate) fn bf_mat_mul(l: &mut Lower<'_>) -> Lowered {
    let args = [l.vn(), l.vm(), l.vd()];
    let r = l.fp(FpOp::BfMatMul, 0, args);
    l.set_vd(r)
}

/// URECPE, or URSQRTE (`root`).
pub(crate) fn unsigned_estimate(l: &mut Lower<'_>, root: bool) -> Lowered {
    if l.bit(22) {
        return Err(Undefined);
    }
    let full = l.bit(30);
    let args = [l.vn(), Val::NONE, Val::NONE];
    let op = if root { FpOp::UnsignedRsqrtE { full } } else { FpOp::UnsignedRecpE { full } };
    let r = l.fp(op, 0, args);
    l.set_vd(r)
}
