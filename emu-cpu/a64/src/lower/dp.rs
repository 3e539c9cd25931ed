//! Data processing with one, two and three register sources (Arm ARM, C4.1.94).

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{BinOp, MemSize, Op, Ty, UnOp, Val};

/// RBIT, REV16, REV, REV32, CLZ, CLS.
pub(crate) fn one_source(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let op = match (l.bits(12, 10), ty) {
        (0, _) => UnOp::Rbit,
        (1, _) => UnOp::Rev16,
        (2, Ty::I32) | (3, Ty::I64) => UnOp::Rev,
        (2, _) => UnOp::Rev32,
        (4, _) => UnOp::Clz,
        (5, _) => UnOp::Cls,
        _ => return Err(Undefined),
    };
    let a = l.b.x(ty, l.rn());
    let r = l.b.un(op, ty, a);
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// UDIV, SDIV, LSLV, LSRV, ASRV, RORV.
pub(crate) fn two_source(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let op = match l.bits(15, 10) {
        2 => BinOp::UDiv,
        3 => BinOp::SDiv,
        8 => BinOp::Shl,
        9 => BinOp::Lsr,
        10 => BinOp::Asr,
        11 => BinOp::Ror,
        _ => return Err(Undefined),
    };
    let a = l.b.x(ty, l.rn());
    let b = l.b.x(ty, l.rm());
    let r = l.b.bin(op, ty, a, b);
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// CRC32B, CRC32H, CRC32W, CRC32X and CRC32CB ... CRC32CX.
pub(crate) fn crc32(l: &mut Lower<'_>) -> Lowered {
    let acc = l.b.x(Ty::I32, l.rn());
    let data = l.b.x(Ty::I64, l.rm());
    let size = MemSize::from_log2(l.bits(11, 10));
    let r = l.b.push(Op::Crc32 { castagnoli: l.bit(12), size, acc, data });
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// Ra ± product; `product` has the type of the result.
fn accumulate(l: &mut Lower<'_>, ty: Ty, product: Val) -> Lowered {
    let sub = l.bit(15);
    let r = match (l.ra(), sub) {
        (31, false) => product,
        (31, true) => l.b.un(UnOp::Neg, ty, product),
        (ra, _) => {
            let a = l.b.x(ty, ra);
            l.b.bin(if sub { BinOp::Sub } else { BinOp::Add }, ty, a, product)
        }
    };
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// MADD, MSUB.
pub(crate) fn multiply(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let a = l.b.x(ty, l.rn());
    let b = l.b.x(ty, l.rm());
    let product = l.b.bin(BinOp::Mul, ty, a, b);
    accumulate(l, ty, product)
}

/// SMADDL, SMSUBL, UMADDL, UMSUBL.
pub(crate) fn multiply_long(l: &mut Lower<'_>) -> Lowered {
    let signed = !l.bit(23);
    let (n, m) = (l.b.x(Ty::I64, l.rn()), l.b.x(Ty::I64, l.rm()));
    let a = l.b.push(Op::Ext { bits: 32, signed, to: Ty::I64, a: n });
    let b = l.b.push(Op::Ext { bits: 32, signed, to: Ty::I64, a: m });
    let product = l.b.bin(BinOp::Mul, Ty::I64, a, b);
    accumulate(l, Ty::I64, product)
}

/// SMULH, UMULH. Ra should be 31; other values are CONSTRAINED UNPREDICTABLE and ignored here.
pub(crate) fn multiply_high(l: &mut Lower<'_>) -> Lowered {
    let op = if l.bit(23) { BinOp::UMulH } else { BinOp::SMulH };
    let a = l.b.x(Ty::I64, l.rn());
    let b = l.b.x(Ty::I64, l.rm());
    let r = l.b.bin(op, Ty::I64, a, b);
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}
