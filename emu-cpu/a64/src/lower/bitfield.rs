//! Bitfield moves and extract (Arm ARM, C4.1.92), in the shapes of their aliases.

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{BinOp, Op, Ty, Val};

/// The fields of SBFM, UBFM and BFM, as the aliases see them.
struct Field {
    ty: Ty,
    /// Where the field starts in the source.
    from: u8,
    /// Where it goes in the destination; one of both is 0.
    to: u8,
    width: u8,
    regsize: u8,
}

fn field(l: &Lower<'_>) -> Result<Field, Undefined> {
    let ty = l.sf_ty();
    let regsize = if ty == Ty::I64 { 64 } else { 32 };
    let (immr, imms) = (l.bits(21, 16) as u8, l.bits(15, 10) as u8);
    if immr >= regsize || imms >= regsize {
        return Err(Undefined);
    }
    Ok(if imms >= immr {
        Field { ty, from: immr, to: 0, width: imms - immr + 1, regsize }
    } else {
        Field { ty, from: 0, to: regsize - immr, width: imms + 1, regsize }
    })
}

/// The field at its place in the source, extended.
fn extract(l: &mut Lower<'_>, f: &Field, signed: bool) -> Val {
    let (rn, whole) = (l.rn(), f.width == f.regsize);
    if rn == 31 || whole {
        return l.b.x(f.ty, rn);
    }
    let full = l.b.x(Ty::I64, rn);
    if f.from == 0 && matches!(f.width, 8 | 16 | 32) {
        return l.b.push(Op::Ext { bits: f.width, signed, to: f.ty, a: full });
    }
    // Zero-extended fields of W registers come out of the X register just as well; where a result of type I32 is shifted
    // on or sign-extended the operand has to be narrowed first.
    let (ty, a) = match f.ty {
        Ty::I32 if signed || f.to != 0 => (Ty::I32, l.b.trunc(full)),
        _ => (Ty::I64, full),
    };
    if f.from + f.width == f.regsize && ty == f.ty {
        return l.shift_const(ty, a, if signed { 2 } else { 1 }, f.from.into());
    }
    l.b.push(Op::Bfx { ty, signed, lsb: f.from, width: f.width, a })
}

fn move_field(l: &mut Lower<'_>, signed: bool) -> Lowered {
    let f = field(l)?;
    let r = if f.to != 0 && f.to + f.width == f.regsize {
        // LSL: nothing is left to extend.
        let a = l.b.x(f.ty, l.rn());
        l.shift_const(f.ty, a, 0, f.to.into())
    } else {
        let v = extract(l, &f, signed);
        l.shift_const(f.ty, v, 0, f.to.into())
    };
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// SBFM: ASR, SBFX, SBFIZ, SXTB, SXTH, SXTW.
pub(crate) fn signed(l: &mut Lower<'_>) -> Lowered {
    move_field(l, true)
}

/// UBFM: LSL, LSR, UBFX, UBFIZ, UXTB, UXTH.
pub(crate) fn unsigned(l: &mut Lower<'_>) -> Lowered {
    move_field(l, false)
}

/// BFM: BFI, BFXIL, BFC.
pub(crate) fn insert(l: &mut Lower<'_>) -> Lowered {
    let f = field(l)?;
    let a = l.b.x(f.ty, l.rn());
    let rd = l.rd();
    let r = if f.width == f.regsize {
        a
    } else {
        let src = l.shift_const(f.ty, a, 1, f.from.into());
        let dst = l.b.x(f.ty, rd);
        l.b.push(Op::Bfi { ty: f.ty, lsb: f.to, width: f.width, dst, src })
    };
    l.b.set_x(rd, r);
    Ok(Flow::Next)
}

/// EXTR, ROR (immediate).
pub(crate) fn extr(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let lsb = l.bits(15, 10);
    let lo = l.b.x(ty, l.rm());
    let r = if lsb == 0 {
        lo
    } else if l.rn() == l.rm() {
        let n = l.b.konst(ty, lsb.into());
        l.b.bin(BinOp::Ror, ty, lo, n)
    } else {
        let hi = l.b.x(ty, l.rn());
        l.b.push(Op::Extr { ty, lsb: lsb as u8, hi, lo })
    };
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}
