//! Add and subtract: immediate, shifted register, extended register, with carry (Arm ARM, C4.1.92, C4.1.94), and PC-relative
//! addresses.

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{BinOp, Op, Ty, UnOp, Val};

/// Writes Rd (31: SP if `sp`, else nothing).
fn set_rd(l: &mut Lower<'_>, sp: bool, v: Val) {
    let rd = l.rd();
    if sp { l.b.set_x_or_sp(rd, v) } else { l.b.set_x(rd, v) }
}

/// Rd = a ± b and the flags, as `op` (bit 30) and `S` (bit 29) say; `sp`: Rd may be SP where flags are not set.
fn add_sub(l: &mut Lower<'_>, ty: Ty, sp: bool, a: Val, b: Val) -> Lowered {
    let (sub, set_flags) = (l.bit(30), l.bit(29));
    let op = if sub { BinOp::Sub } else { BinOp::Add };
    if !set_flags {
        let r = l.b.bin(op, ty, a, b);
        set_rd(l, sp, r);
        return Ok(Flow::Next);
    }
    let flags = l.b.push(if sub { Op::FlagsSub(ty, a, b) } else { Op::FlagsAdd(ty, a, b) });
    if l.rd() != 31 {
        let r = l.b.bin(op, ty, a, b);
        set_rd(l, false, r);
    }
    l.b.set_flags(flags);
    Ok(Flow::Next)
}

/// ADD, ADDS, SUB, SUBS (immediate).
pub(crate) fn immediate(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let imm = u64::from(l.bits(21, 10)) << if l.bit(22) { 12 } else { 0 };
    let a = l.b.x_or_sp(ty, l.rn());
    if imm == 0 && !l.bit(29) {
        // MOV to or from SP.
        set_rd(l, true, a);
        return Ok(Flow::Next);
    }
    let b = l.b.konst(ty, imm);
    add_sub(l, ty, true, a, b)
}

/// ADD, ADDS, SUB, SUBS (shifted register).
pub(crate) fn shifted(l: &mut Lower<'_>) -> Lowered {
    if l.bits(23, 22) == 3 {
        return Err(Undefined);
    }
    let ty = l.sf_ty();
    let b = l.shifted_rm(ty)?;
    if l.rn() == 31 && l.bit(30) && !l.bit(29) {
        let r = l.b.un(UnOp::Neg, ty, b);
        set_rd(l, false, r);
        return Ok(Flow::Next);
    }
    let a = l.b.x(ty, l.rn());
    add_sub(l, ty, false, a, b)
}

/// ADD, ADDS, SUB, SUBS (extended register).
pub(crate) fn extended(l: &mut Lower<'_>) -> Lowered {
    let shift = l.bits(12, 10);
    if shift > 4 {
        return Err(Undefined);
    }
    let ty = l.sf_ty();
    let a = l.b.x_or_sp(ty, l.rn());
    let b = l.extended_rm(ty, l.bits(15, 13), shift);
    add_sub(l, ty, true, a, b)
}

/// ADC, ADCS, SBC, SBCS.
pub(crate) fn carry(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let a = l.b.x(ty, l.rn());
    let b = match (l.bit(30), l.rm()) {
        (true, 31) => l.b.konst(ty, u64::MAX),
        (true, rm) => {
            let m = l.b.x(ty, rm);
            l.b.un(UnOp::Not, ty, m)
        }
        (false, rm) => l.b.x(ty, rm),
    };
    let c = l.b.flags();
    let r = l.b.push(Op::AddCarry(ty, a, b, c));
    let flags = l.bit(29).then(|| l.b.push(Op::FlagsAdc(ty, a, b, c)));
    set_rd(l, false, r);
    if let Some(f) = flags {
        l.b.set_flags(f);
    }
    Ok(Flow::Next)
}

/// ADR, ADRP.
pub(crate) fn pc_relative(l: &mut Lower<'_>) -> Lowered {
    let imm = l.signed(23, 5) << 2 | i64::from(l.bits(30, 29));
    let op = if l.bit(31) { Op::PcPage(imm << 12) } else { Op::PcRel(l.rel + imm) };
    let v = l.b.push(op);
    set_rd(l, false, v);
    Ok(Flow::Next)
}
