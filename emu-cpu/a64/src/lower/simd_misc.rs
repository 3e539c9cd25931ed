//! AdvSIMD two-register instructions on integers and reductions across lanes (Arm ARM, C4.1.96).

use super::simd_shape::{BHS, Form, Sizes};
use super::{Lower, Lowered, Undefined};
use crate::simd::{Elem, LaneOp, LogicOp, NarrowOp, ReduceOp, VecOp};

/// op(Vn).
pub(crate) fn unary(l: &mut Lower<'_>, form: Form, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(form, sizes)?;
    let n = l.vn();
    let r = l.lane(form, op, e, 0, [n]);
    l.set_vd(r)
}

/// RBIT, whose size field tells it from NOT.
pub(crate) fn rbit(l: &mut Lower<'_>) -> Lowered {
    let n = l.vn();
    let r = l.lane(Form::Vector, LaneOp::ReverseBits, Elem::B, 0, [n]);
    l.set_vd(r)
}

/// NOT.
pub(crate) fn not(l: &mut Lower<'_>) -> Lowered {
    let n = l.vn();
    let r = l.logic(LogicOp::Not, [n]);
    l.set_vd(r)
}

/// Vn compared with zero.
pub(crate) fn compare_zero(l: &mut Lower<'_>, form: Form, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(form, sizes)?;
    let (n, z) = (l.vn(), l.vzero());
    let r = l.lane(form, op, e, 0, [n, z]);
    l.set_vd(r)
}

/// Zero compared with Vn: CMLT, CMLE.
pub(crate) fn zero_compare(l: &mut Lower<'_>, form: Form, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(form, sizes)?;
    let (n, z) = (l.vn(), l.vzero());
    let r = l.lane(form, op, e, 0, [z, n]);
    l.set_vd(r)
}

/// op(Vd, Vn): SUQADD, USQADD.
pub(crate) fn accumulate(l: &mut Lower<'_>, form: Form, op: LaneOp, sizes: Sizes) -> Lowered {
    let e = l.elem(form, sizes)?;
    let dn = l.dn();
    let r = l.lane(form, op, e, 0, dn);
    l.set_vd(r)
}

/// REV16, REV32, REV64: elements reversed in groups of 1 << `group` bytes.
pub(crate) fn reverse(l: &mut Lower<'_>, group: u32) -> Lowered {
    let size = l.bits(23, 22);
    if size >= group {
        return Err(Undefined);
    }
    let n = l.vn();
    let r = l.vec(VecOp::Reverse { e: Elem::from_log2(size), q: l.q() }, group, [n]);
    l.set_vd(r)
}

/// SADDLP, UADDLP; SADALP, UADALP add to Vd.
pub(crate) fn add_pairs(l: &mut Lower<'_>, signed: bool, acc: bool) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let [d, n] = l.dn();
    let mut r = l.vec(VecOp::AddPairs { signed, e, q: l.q() }, 0, [n]);
    if acc {
        r = l.lane(Form::Vector, LaneOp::Add, e.wider(), 0, [d, r]);
    }
    l.set_vd(r)
}

/// XTN, SQXTN, UQXTN, SQXTUN.
pub(crate) fn narrow(l: &mut Lower<'_>, op: NarrowOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let n = l.vn();
    let r = l.vec(VecOp::Narrow { op, e }, 0, [n]);
    l.set_vd_half(r)
}

/// The scalar forms.
pub(crate) fn narrow_scalar(l: &mut Lower<'_>, op: NarrowOp) -> Lowered {
    let e = l.elem(Form::Scalar, BHS)?;
    let n = l.vn();
    let n = l.low(e.wider(), n);
    let r = l.vec(VecOp::Narrow { op, e }, 0, [n]);
    l.set_vd(r)
}

/// SHLL: shifted left by the width of the element.
pub(crate) fn shll(l: &mut Lower<'_>) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    let n = l.vn();
    let n = l.vec(VecOp::Widen { signed: false, e, hi: l.q() }, 0, [n]);
    let r = l.full(LaneOp::ShlImm, e.wider(), e.bits(), [n]);
    l.set_vd(r)
}

/// ADDV, SMAXV, SADDLV and their kin. A vector of two words is not allocated.
pub(crate) fn across(l: &mut Lower<'_>, op: ReduceOp) -> Lowered {
    let e = l.elem(Form::Vector, BHS)?;
    if e == Elem::S && !l.q() {
        return Err(Undefined);
    }
    let n = l.vn();
    let r = l.vec(VecOp::Reduce { op, e, q: l.q() }, 0, [n]);
    l.set_vd(r)
}
