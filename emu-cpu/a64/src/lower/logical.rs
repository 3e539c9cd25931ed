//! Logical operations (immediate, shifted register) and wide moves (Arm ARM, C4.1.92, C4.1.94).

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{BinOp, Op, Ty, UnOp, Val};

/// The 64-bit pattern of a logical immediate (DecodeBitMasks), or `None` if the fields are reserved.
#[must_use]
pub(crate) fn bit_mask(n: u32, imms: u32, immr: u32) -> Option<u64> {
    // The element size is the highest power of two in N:NOT(imms).
    let len = (n << 6 | !imms & 0x3f).checked_ilog2()?;
    if len < 1 {
        return None;
    }
    let esize = 1u32 << len;
    let levels = esize - 1;
    let (ones, rotate) = ((imms & levels) + 1, immr & levels);
    if ones == esize {
        return None;
    }
    let elem = (1u64 << ones) - 1;
    let elem_mask = u64::MAX >> (64 - esize);
    let mut out = if rotate == 0 { elem } else { (elem >> rotate | elem << (esize - rotate)) & elem_mask };
    let mut width = esize;
    while width < 64 {
        out |= out << width;
        width *= 2;
    }
    Some(out)
}

/// Writes the result to Rd, and the flags for ANDS and BICS, which is what `opc` = 3 means.
fn finish(l: &mut Lower<'_>, ty: Ty, sp: bool, r: Val) -> Lowered {
    let set_flags = l.bits(30, 29) == 3;
    let flags = set_flags.then(|| l.b.push(Op::FlagsLogic(ty, r)));
    let rd = l.rd();
    if sp && !set_flags {
        l.b.set_x_or_sp(rd, r)
    } else {
        l.b.set_x(rd, r)
    }
    if let Some(f) = flags {
        l.b.set_flags(f);
    }
    Ok(Flow::Next)
}

/// AND, ANDS, ORR, EOR (immediate).
pub(crate) fn immediate(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let mask = bit_mask(l.bits(22, 22), l.bits(15, 10), l.bits(21, 16)).ok_or(Undefined)?;
    let imm = l.b.konst(ty, mask);
    let op = [BinOp::And, BinOp::Or, BinOp::Xor, BinOp::And][l.bits(30, 29) as usize];
    let r = if l.rn() == 31 && op == BinOp::Or {
        imm
    } else {
        let a = l.b.x(ty, l.rn());
        l.b.bin(op, ty, a, imm)
    };
    finish(l, ty, true, r)
}

/// AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS (shifted register).
pub(crate) fn shifted(l: &mut Lower<'_>) -> Lowered {
    use BinOp::{And, AndNot, Or, OrNot, Xor, XorNot};
    let ty = l.sf_ty();
    let b = l.shifted_rm(ty)?;
    let op =
        [And, AndNot, Or, OrNot, Xor, XorNot, And, AndNot][(l.bits(30, 29) << 1 | l.bits(21, 21)) as usize];
    let r = match (op, l.rn()) {
        // MOV and MVN.
        (Or | Xor, 31) => b,
        (OrNot | XorNot, 31) => l.b.un(UnOp::Not, ty, b),
        (_, rn) => {
            let a = l.b.x(ty, rn);
            l.b.bin(op, ty, a, b)
        }
    };
    finish(l, ty, false, r)
}

/// MOVN, MOVZ, MOVK.
pub(crate) fn move_wide(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    if ty == Ty::I32 && l.bit(22) {
        return Err(Undefined);
    }
    let lsb = l.bits(22, 21) * 16;
    let imm = u64::from(l.bits(20, 5));
    let rd = l.rd();
    let v = match l.bits(30, 29) {
        0 => l.b.konst(ty, !(imm << lsb)),
        2 => l.b.konst(ty, imm << lsb),
        _ => {
            let dst = l.b.x(ty, rd);
            let src = l.b.konst(ty, imm);
            l.b.push(Op::Bfi { ty, lsb: lsb as u8, width: 16, dst, src })
        }
    };
    l.b.set_x(rd, v);
    Ok(Flow::Next)
}
