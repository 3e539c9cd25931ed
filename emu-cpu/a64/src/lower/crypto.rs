//! Cryptographic extension (Arm ARM, C4.1.96: cryptographic AES, SHA, three- and four-register).

use super::{Lower, Lowered};
use crate::ir::Val;
use crate::simd::{CryptoOp, Elem, LaneOp, LogicOp, VecOp};

fn step<const N: usize>(l: &mut Lower<'_>, op: CryptoOp, imm: u32, operands: [Val; N]) -> Lowered {
    let r = l.vec(VecOp::Crypto(op), imm, operands);
    l.set_vd(r)
}

/// Vd = op(Vn).
pub(crate) fn unary(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let n = l.vn();
    step(l, op, 0, [n])
}

/// Vd = op(Vd, Vn).
pub(crate) fn two(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let dn = l.dn();
    step(l, op, 0, dn)
}

/// Vd = op(Vd, Vn, Vm).
pub(crate) fn three(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let dnm = l.dnm();
    step(l, op, 0, dnm)
}

/// Vd = op(Vn, Vm).
pub(crate) fn key(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let nm = l.nm();
    step(l, op, 0, nm)
}

/// Vd = op(Vn, Vm, Va).
pub(crate) fn four(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let ([n, m], a) = (l.nm(), l.ra());
    let a = l.b.v(a);
    step(l, op, 0, [n, m, a])
}

/// Vd = op(Vd, Vn, Vm[imm2]).
pub(crate) fn indexed(l: &mut Lower<'_>, op: CryptoOp) -> Lowered {
    let (dnm, imm) = (l.dnm(), l.bits(13, 12));
    step(l, op, imm, dnm)
}

fn logic(l: &mut Lower<'_>, op: LogicOp, a: Val, b: Val) -> Val {
    l.vec(VecOp::Logic { op, q: true }, 0, [a, b])
}

/// EOR3: Vn ^ Vm ^ Va.
pub(crate) fn eor3(l: &mut Lower<'_>) -> Lowered {
    combine(l, LogicOp::Xor)
}

/// BCAX: Vn ^ (Vm AND NOT Va).
pub(crate) fn bcax(l: &mut Lower<'_>) -> Lowered {
    combine(l, LogicOp::AndNot)
}

fn combine(l: &mut Lower<'_>, inner: LogicOp) -> Lowered {
    let ([n, m], a) = (l.nm(), l.ra());
    let a = l.b.v(a);
    let x = logic(l, inner, m, a);
    let r = logic(l, LogicOp::Xor, n, x);
    l.set_vd(r)
}

/// RAX1: Vn ^ (Vm rotated left by 1), doublewords.
pub(crate) fn rax1(l: &mut Lower<'_>) -> Lowered {
    let [n, m] = l.nm();
    let x = l.full(LaneOp::RorImm, Elem::D, 63, [m]);
    let r = logic(l, LogicOp::Xor, n, x);
    l.set_vd(r)
}

/// XAR: (Vn ^ Vm) rotated right, doublewords.
pub(crate) fn xar(l: &mut Lower<'_>) -> Lowered {
    let ([n, m], amount) = (l.nm(), l.bits(15, 10));
    let x = logic(l, LogicOp::Xor, n, m);
    let r = l.full(LaneOp::RorImm, Elem::D, amount, [x]);
    l.set_vd(r)
}
