//! AdvSIMD three-register instructions on integers: same size, extra, different sizes, by element (Arm ARM, C4.1.96).

use super::simd_shape::{B, BHS, D, Form, HS, Sizes};
use super::{Lower, Lowered, Undefined};
use crate::ir::Val;
use crate::simd::{Elem, LaneOp, LogicOp, PermuteOp, VecOp};

/// What becomes of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acc {
    /// It is the result.
    None,
    /// It is added to Vd.
    Add,
    /// It is subtracted from Vd.
    Sub,
}

/// op(Vn, Vm).
pub(crate) fn same(l: &mut Lower<'_>, form: Form, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(form, sizes)?;
    let nm = l.nm();
    let r = l.lane(form, op, e, 0, nm);
    l.set_vd(r)
}

/// Vd plus or minus op(Vn, Vm).
pub(crate) fn same_acc(l: &mut Lower<'_>, op: LaneOp, acc: LaneOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let [d, n, m] = l.dnm();
    let x = l.lane(Form::Vector, op, e, 0, [n, m]);
    let r = l.lane(Form::Vector, acc, e, 0, [d, x]);
    l.set_vd(r)
}

/// SQRDMLAH, SQRDMLSH.
pub(crate) fn rdm(l: &mut Lower<'_>, form: Form, sub: bool) -> Lowered {
    let e = l.elem(form, HS)?;
    let [d, n, m] = l.dnm();
    let r = l.lane(form, LaneOp::SatRoundDoubleMulAcc { sub }, e, 0, [n, m, d]);
    l.set_vd(r)
}

/// Bitwise op(Vn, Vm).
pub(crate) fn bitwise(l: &mut Lower<'_>, op: LogicOp) -> Lowered {
    let (n, m) = (l.rn(), l.rm());
    if op == LogicOp::Or && n == m && l.q() {
        // MOV (vector).
        let v = l.b.v(n);
        return l.set_vd(v);
    }
    let nm = l.nm();
    let r = l.logic(op, nm);
    l.set_vd(r)
}

/// BSL: Vd chooses.
pub(crate) fn bsl(l: &mut Lower<'_>) -> Lowered {
    let [d, n, m] = l.dnm();
    let r = l.logic(LogicOp::Select, [d, n, m]);
    l.set_vd(r)
}

/// BIT (Vm chooses Vn), BIF (Vm chooses Vd).
pub(crate) fn bit_insert(l: &mut Lower<'_>, if_false: bool) -> Lowered {
    let [d, n, m] = l.dnm();
    let r = l.logic(LogicOp::Select, if if_false { [m, d, n] } else { [m, n, d] });
    l.set_vd(r)
}

/// op on neighbouring elements of Vm:Vn.
pub(crate) fn pairwise(l: &mut Lower<'_>, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(Form::Vector, sizes)?;
    let (nm, q) = (l.nm(), l.q());
    let even = l.vec(VecOp::Permute { op: PermuteOp::Uzp1, e, q }, 0, nm);
    let odd = l.vec(VecOp::Permute { op: PermuteOp::Uzp2, e, q }, 0, nm);
    let r = l.lane(Form::Vector, op, e, 0, [even, odd]);
    l.set_vd(r)
}

/// ADDP (scalar): the sum of both doublewords of Vn.
pub(crate) fn addp_scalar(l: &mut Lower<'_>) -> Lowered {
    let n = l.vn();
    let hi = l.vec(VecOp::Extract { q: true }, 8, [n, n]);
    let r = l.lane(Form::Scalar, LaneOp::Add, Elem::D, 0, [n, hi]);
    l.set_vd(r)
}

/// PMUL.
pub(crate) fn pmul(l: &mut Lower<'_>) -> Lowered {
    same(l, Form::Vector, LaneOp::PolyMul, B)
}

/// Elements of the half of `v` that Q names, twice as wide.
fn widened(l: &mut Lower<'_>, signed: bool, e: Elem, v: Val) -> Val {
    l.vec(VecOp::Widen { signed, e, hi: l.q() }, 0, [v])
}

/// SADDL, SSUBL, SABDL and their kin.
pub(crate) fn long(l: &mut Lower<'_>, signed: bool, op: LaneOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let r = long_value(l, signed, op, e);
    l.set_vd(r)
}

/// SABAL, UABAL.
pub(crate) fn long_acc(l: &mut Lower<'_>, signed: bool, op: LaneOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let x = long_value(l, signed, op, e);
    let d = l.rd();
    let d = l.b.v(d);
    let r = l.full(LaneOp::Add, e.wider(), 0, [d, x]);
    l.set_vd(r)
}

fn long_value(l: &mut Lower<'_>, signed: bool, op: LaneOp, e: Elem) -> Val {
    let [n, m] = l.nm();
    let n = widened(l, signed, e, n);
    let m = widened(l, signed, e, m);
    l.full(op, e.wider(), 0, [n, m])
}

/// SADDW, SSUBW and their kin: Vn has the wide elements.
pub(crate) fn wide(l: &mut Lower<'_>, signed: bool, op: LaneOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let [n, m] = l.nm();
    let m = widened(l, signed, e, m);
    let r = l.full(op, e.wider(), 0, [n, m]);
    l.set_vd(r)
}

/// ADDHN, SUBHN, and with rounding.
pub(crate) fn high_narrow(l: &mut Lower<'_>, op: LaneOp, round: bool) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let nm = l.nm();
    let sum = l.full(op, e.wider(), 0, nm);
    let hi = l.full(LaneOp::ShrImm { signed: false, round }, e.wider(), e.bits(), [sum]);
    let r = l.vec(VecOp::Narrow { op: crate::simd::NarrowOp::Truncate, e }, 0, [hi]);
    l.set_vd_half(r)
}

/// Both factors of a multiplication by element: Vn, and a vector full of the element of Vm that H, L and M choose.
fn by_element(l: &mut Lower<'_>, e: Elem) -> [Val; 2] {
    let (h, lm) = (l.bits(11, 11), l.bits(21, 20));
    let (reg, index) = if e == Elem::H { (l.bits(19, 16), h << 2 | lm) } else { (l.rm(), h << 1 | lm >> 1) };
    let n = l.vn();
    let m = l.b.v(reg);
    let m = l.vec(VecOp::Dup { e, q: true }, index, [m]);
    [n, m]
}

/// MUL, SQDMULH, SQRDMULH by element.
pub(crate) fn elem(l: &mut Lower<'_>, form: Form, op: LaneOp) -> Lowered {
    let e = l.elem(form, HS)?;
    let nm = by_element(l, e);
    let r = l.lane(form, op, e, 0, nm);
    l.set_vd(r)
}

/// MLA, MLS by element.
pub(crate) fn elem_acc(l: &mut Lower<'_>, acc: LaneOp) -> Lowered {
    let e = l.elem(Form::Vector, HS)?;
    let nm = by_element(l, e);
    let x = l.lane(Form::Vector, LaneOp::Mul, e, 0, nm);
    let d = l.rd();
    let d = l.b.v(d);
    let r = l.lane(Form::Vector, acc, e, 0, [d, x]);
    l.set_vd(r)
}

/// SQRDMLAH, SQRDMLSH by element.
pub(crate) fn elem_rdm(l: &mut Lower<'_>, form: Form, sub: bool) -> Lowered {
    let e = l.elem(form, HS)?;
    let [n, m] = by_element(l, e);
    let d = l.rd();
    let d = l.b.v(d);
    let r = l.lane(form, LaneOp::SatRoundDoubleMulAcc { sub }, e, 0, [n, m, d]);
    l.set_vd(r)
}

/// SMULL, SMLAL, SMLSL and unsigned.
pub(crate) fn mul_long(l: &mut Lower<'_>, signed: bool, acc: Acc) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let nm = l.nm();
    mul_long_of(l, signed, acc, e, nm)
}

/// The same by element.
pub(crate) fn elem_mul_long(l: &mut Lower<'_>, signed: bool, acc: Acc) -> Lowered {
    let e = l.elem(Form::Vector, HS)?;
    let nm = by_element(l, e);
    mul_long_of(l, signed, acc, e, nm)
}

fn mul_long_of(l: &mut Lower<'_>, signed: bool, acc: Acc, e: Elem, nm: [Val; 2]) -> Lowered {
    let p = l.vec(VecOp::MulLong { signed, e, hi: l.q() }, 0, nm);
    let d = l.rd();
    let r = match acc {
        Acc::None => p,
        Acc::Add | Acc::Sub => {
            let d = l.b.v(d);
            let op = if acc == Acc::Add { LaneOp::Add } else { LaneOp::Sub };
            l.full(op, e.wider(), 0, [d, p])
        }
    };
    l.set_vd(r)
}

/// SQDMULL, SQDMLAL, SQDMLSL.
pub(crate) fn sat_mul_long(l: &mut Lower<'_>, form: Form, acc: Acc) -> Lowered {
    let e = l.elem(form, HS)?;
    let nm = l.nm();
    sat_mul_long_of(l, form, acc, e, nm)
}

/// The same by element.
pub(crate) fn elem_sat_mul_long(l: &mut Lower<'_>, form: Form, acc: Acc) -> Lowered {
    let e = l.elem(form, HS)?;
    let nm = by_element(l, e);
    sat_mul_long_of(l, form, acc, e, nm)
}

/// The product fits; doubling it is adding it to itself, which saturates.
fn sat_mul_long_of(l: &mut Lower<'_>, form: Form, acc: Acc, e: Elem, nm: [Val; 2]) -> Lowered {
    let (hi, w) = (form == Form::Vector && l.q(), e.wider());
    let p = l.vec(VecOp::MulLong { signed: true, e, hi }, 0, nm);
    let d = l.rd();
    let d = if acc == Acc::None { Val::NONE } else { l.b.v(d) };
    let step = |l: &mut Lower<'_>, op, a, b| match form {
        Form::Vector => l.full(op, w, 0, [a, b]),
        Form::Scalar => l.lane(form, op, w, 0, [a, b]),
    };
    let p2 = step(l, LaneOp::SatAdd(true), p, p);
    let r = match acc {
        Acc::None => p2,
        Acc::Add => step(l, LaneOp::SatAdd(true), d, p2),
        Acc::Sub => step(l, LaneOp::SatSub(true), d, p2),
    };
    l.set_vd(r)
}

/// PMULL of bytes, and of doublewords with FEAT_PMULL.
pub(crate) fn pmull(l: &mut Lower<'_>) -> Lowered {
    let e = match l.bits(23, 22) {
        0 => Elem::B,
        3 if l.pe.features.has(crate::features::Feat::Pmull) => Elem::D,
        _ => return Err(Undefined),
    };
    let nm = l.nm();
    let r = l.vec(VecOp::PolyMulLong { e, hi: l.q() }, 0, nm);
    l.set_vd(r)
}

/// SDOT, UDOT, USDOT.
pub(crate) fn dot(l: &mut Lower<'_>, a_signed: bool, b_signed: bool) -> Lowered {
    if l.bits(23, 22) != 2 {
        return Err(Undefined);
    }
    let [d, n, m] = l.dnm();
    let r = l.vec(VecOp::Dot { a_signed, b_signed, q: l.q() }, 0, [n, m, d]);
    l.set_vd(r)
}

/// SDOT, UDOT, USDOT, SUDOT by element: a group of four bytes.
pub(crate) fn elem_dot(l: &mut Lower<'_>, a_signed: bool, b_signed: bool) -> Lowered {
    let [n, m] = by_element(l, Elem::S);
    let d = l.rd();
    let d = l.b.v(d);
    let r = l.vec(VecOp::Dot { a_signed, b_signed, q: l.q() }, 0, [n, m, d]);
    l.set_vd(r)
}

/// SDOT, UDOT by element, which have a size field.
pub(crate) fn elem_dot_sized(l: &mut Lower<'_>, signed: bool) -> Lowered {
    if l.bits(23, 22) != 2 {
        return Err(Undefined);
    }
    elem_dot(l, signed, signed)
}

/// SMMLA, UMMLA, USMMLA.
pub(crate) fn mat_mul(l: &mut Lower<'_>, a_signed: bool, b_signed: bool) -> Lowered {
    let [d, n, m] = l.dnm();
    let r = l.vec(VecOp::MatMul { a_signed, b_signed }, 0, [n, m, d]);
    l.set_vd(r)
}

/// A scalar operation on doublewords only.
pub(crate) fn same_d(l: &mut Lower<'_>, op: LaneOp) -> Lowered {
    same(l, Form::Scalar, op, D)
}
