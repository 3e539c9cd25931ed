//! Flag manipulation: FEAT_FlagM and FEAT_FlagM2 (Arm ARM, C4.1.93 PSTATE, C4.1.94).

use super::{Flow, Lower, Lowered};
use crate::ir::{BinOp, Cond, Op, Ty, Val};
use crate::regs::nzcv::{C, V, Z};

/// The flags as bits 31:28 of an I64.
fn nzcv(l: &mut Lower<'_>) -> Val {
    let f = l.b.flags();
    l.b.push(Op::NzcvFromFlags(f))
}

/// Sets the flags from bits 31:28.
fn set_nzcv(l: &mut Lower<'_>, v: Val) -> Lowered {
    let f = l.b.push(Op::FlagsFromNzcv(v));
    l.b.set_flags(f);
    Ok(Flow::Next)
}

fn bin_const(l: &mut Lower<'_>, op: BinOp, a: Val, n: u32) -> Val {
    let n = l.b.c64(n.into());
    l.b.bin(op, Ty::I64, a, n)
}

/// CFINV.
pub(crate) fn cfinv(l: &mut Lower<'_>) -> Lowered {
    let old = nzcv(l);
    let new = bin_const(l, BinOp::Xor, old, C);
    set_nzcv(l, new)
}

/// AXFLAG: N = 0, Z = Z | V, C = C & !V, V = 0.
pub(crate) fn axflag(l: &mut Lower<'_>) -> Lowered {
    let vs = l.b.test(Cond::Vs);
    let unordered = l.b.push(Op::FlagsConst(0b0100));
    let old = nzcv(l);
    let kept = bin_const(l, BinOp::And, old, Z | C);
    let ordered = l.b.push(Op::FlagsFromNzcv(kept));
    let f = l.b.select(Ty::Flags, vs, unordered, ordered);
    l.b.set_flags(f);
    Ok(Flow::Next)
}

/// XAFLAG: N = !C & !Z, Z = Z & C, C = C | Z, V = !C & Z.
pub(crate) fn xaflag(l: &mut Lower<'_>) -> Lowered {
    let (eq, cs) = (l.b.test(Cond::Eq), l.b.test(Cond::Cs));
    let [c_z, c_nz, nc_z, nc_nz] = [0b0110, 0b0010, 0b0011, 0b1000].map(|f| l.b.push(Op::FlagsConst(f)));
    let with_c = l.b.select(Ty::Flags, eq, c_z, c_nz);
    let without_c = l.b.select(Ty::Flags, eq, nc_z, nc_nz);
    let f = l.b.select(Ty::Flags, cs, with_c, without_c);
    l.b.set_flags(f);
    Ok(Flow::Next)
}

/// RMIF: the flags that `mask` names come from Xn rotated right.
pub(crate) fn rmif(l: &mut Lower<'_>) -> Lowered {
    let (rotate, mask) = (l.bits(20, 15), l.bits(3, 0));
    let x = l.b.x(Ty::I64, l.rn());
    // Bits 3:0 of the rotated register are wanted at 31:28, which is a rotation too.
    let placed = l.shift_const(Ty::I64, x, 3, rotate.wrapping_sub(28) & 63);
    if mask == 15 {
        return set_nzcv(l, placed);
    }
    let new = bin_const(l, BinOp::And, placed, mask << 28);
    let old = nzcv(l);
    let kept = bin_const(l, BinOp::And, old, (!mask & 15) << 28);
    let merged = l.b.bin(BinOp::Or, Ty::I64, kept, new);
    set_nzcv(l, merged)
}

/// SETF8, SETF16: N and Z of the low byte or halfword, V if it overflows the signed range; C is kept.
pub(crate) fn setf(l: &mut Lower<'_>) -> Lowered {
    let bits = if l.bit(14) { 16u32 } else { 8 };
    let x = l.b.x(Ty::I64, l.rn());
    let w = l.b.trunc(x);
    let top = l.shift_const(Ty::I32, w, 0, 32 - bits);
    let nz = l.b.push(Op::FlagsLogic(Ty::I32, top));
    let nz = l.b.push(Op::NzcvFromFlags(nz));
    let up = bin_const(l, BinOp::Lsr, x, 1);
    let differ = l.b.bin(BinOp::Xor, Ty::I64, x, up);
    let v = l.shift_const(Ty::I64, differ, 0, V.trailing_zeros() - (bits - 1));
    let v = bin_const(l, BinOp::And, v, V);
    let old = nzcv(l);
    let c = bin_const(l, BinOp::And, old, C);
    let vc = l.b.bin(BinOp::Or, Ty::I64, v, c);
    let all = l.b.bin(BinOp::Or, Ty::I64, nz, vc);
    set_nzcv(l, all)
}
