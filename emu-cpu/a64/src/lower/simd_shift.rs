//! AdvSIMD shifts by immediate on integers (Arm ARM, C4.1.96): element size and amount are coded together in immh:immb.

use super::simd_shape::{BHS, BHSD, Form, Sizes};
use super::{Lower, Lowered, Undefined};
use crate::simd::{Elem, LaneOp, NarrowOp, VecOp};

/// The element size by the highest bit of immh, and immh:immb.
fn fields(l: &Lower<'_>, form: Form, sizes: Sizes) -> Result<(Elem, u32), Undefined> {
    let imm = l.bits(22, 16);
    if imm < 8 {
        return Err(Undefined);
    }
    Ok((l.arrangement(form, imm.ilog2() - 3, sizes)?, imm))
}

/// The size and amount of a shift right.
fn right(l: &Lower<'_>, form: Form) -> Result<(Elem, u32), Undefined> {
    let (e, imm) = fields(l, form, BHSD)?;
    Ok((e, 2 * e.bits() - imm))
}

/// SSHR, USHR, SRSHR, URSHR.
pub(crate) fn shr(l: &mut Lower<'_>, form: Form, signed: bool, round: bool) -> Lowered {
    let (e, n) = right(l, form)?;
    let v = l.vn();
    let r = l.lane(form, LaneOp::ShrImm { signed, round }, e, n, [v]);
    l.set_vd(r)
}

/// SSRA, USRA, SRSRA, URSRA.
pub(crate) fn shr_acc(l: &mut Lower<'_>, form: Form, signed: bool, round: bool) -> Lowered {
    let (e, n) = right(l, form)?;
    let [d, v] = l.dn();
    let x = l.lane(form, LaneOp::ShrImm { signed, round }, e, n, [v]);
    let r = l.lane(form, LaneOp::Add, e, 0, [d, x]);
    l.set_vd(r)
}

/// SRI.
pub(crate) fn sri(l: &mut Lower<'_>, form: Form) -> Lowered {
    let (e, n) = right(l, form)?;
    let [d, v] = l.dn();
    let r = l.lane(form, LaneOp::ShrInsert, e, n, [v, d]);
    l.set_vd(r)
}

/// SHL, SQSHL, UQSHL, SQSHLU.
pub(crate) fn shl(l: &mut Lower<'_>, form: Form, op: LaneOp) -> Lowered {
    let (e, imm) = fields(l, form, BHSD)?;
    let v = l.vn();
    let r = l.lane(form, op, e, imm - e.bits(), [v]);
    l.set_vd(r)
}

/// SLI.
pub(crate) fn sli(l: &mut Lower<'_>, form: Form) -> Lowered {
    let (e, imm) = fields(l, form, BHSD)?;
    let [d, v] = l.dn();
    let r = l.lane(form, LaneOp::ShlInsert, e, imm - e.bits(), [v, d]);
    l.set_vd(r)
}

/// SHRN, SQSHRN and their kin: shifted at twice the width, where the rounded result fits, then made narrow.
pub(crate) fn shr_narrow(l: &mut Lower<'_>, form: Form, op: NarrowOp, round: bool) -> Lowered {
    // The doubleword sources of S results need no Q, so sizes are checked as for a scalar.
    let (e, imm) = fields(l, Form::Scalar, BHS)?;
    let signed = matches!(op, NarrowOp::SatSigned | NarrowOp::SatSignedToUnsigned);
    let (w, amount) = (e.wider(), 2 * e.bits() - imm);
    let shift = LaneOp::ShrImm { signed, round };
    let v = l.vn();
    let x = match form {
        Form::Vector => l.full(shift, w, amount, [v]),
        Form::Scalar => l.lane(form, shift, w, amount, [v]),
    };
    let r = l.vec(VecOp::Narrow { op, e }, 0, [x]);
    if form == Form::Vector { l.set_vd_half(r) } else { l.set_vd(r) }
}

/// SSHLL, USHLL.
pub(crate) fn shl_long(l: &mut Lower<'_>, signed: bool) -> Lowered {
    let (e, imm) = fields(l, Form::Scalar, BHS)?;
    let v = l.vn();
    let mut r = l.vec(VecOp::Widen { signed, e, hi: l.q() }, 0, [v]);
    if imm > e.bits() {
        r = l.full(LaneOp::ShlImm, e.wider(), imm - e.bits(), [r]);
    }
    l.set_vd(r)
}
