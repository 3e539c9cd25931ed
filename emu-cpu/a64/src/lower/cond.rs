//! Conditional select and conditional compare (Arm ARM, C4.1.94).

use super::{Flow, Lower, Lowered};
use crate::ir::{BinOp, Cond, Op, Ty, UnOp};

/// CSEL, CSINC, CSINV, CSNEG.
pub(crate) fn select(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let c = l.b.test(Cond::from_bits(l.bits(15, 12)));
    let a = l.b.x(ty, l.rn());
    let b = match (l.bit(30), l.bit(10), l.rm()) {
        // CSET and CSETM.
        (false, true, 31) => l.b.konst(ty, 1),
        (true, false, 31) => l.b.konst(ty, u64::MAX),
        (invert, increment, rm) => {
            let m = l.b.x(ty, rm);
            match (invert, increment) {
                (false, false) => m,
                (false, true) => {
                    let one = l.b.konst(ty, 1);
                    l.b.bin(BinOp::Add, ty, m, one)
                }
                (true, false) => l.b.un(UnOp::Not, ty, m),
                (true, true) => l.b.un(UnOp::Neg, ty, m),
            }
        }
    };
    let r = l.b.select(ty, c, a, b);
    l.b.set_x(l.rd(), r);
    Ok(Flow::Next)
}

/// CCMN, CCMP (immediate and register).
pub(crate) fn compare(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let c = l.b.test(Cond::from_bits(l.bits(15, 12)));
    let a = l.b.x(ty, l.rn());
    let b = if l.bit(11) { l.b.konst(ty, l.rm().into()) } else { l.b.x(ty, l.rm()) };
    let compared = l.b.push(if l.bit(30) { Op::FlagsSub(ty, a, b) } else { Op::FlagsAdd(ty, a, b) });
    let otherwise = l.b.push(Op::FlagsConst(l.bits(3, 0) as u8));
    let f = l.b.select(Ty::Flags, c, compared, otherwise);
    l.b.set_flags(f);
    Ok(Flow::Next)
}
