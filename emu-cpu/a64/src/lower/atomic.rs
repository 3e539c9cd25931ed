//! Atomics of FEAT_LSE: CAS, CASP, SWP, `LD<op>` and (with Rt = 31) `ST<op>` (Arm ARM, C4.1.95).

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{AtomicOp, MemSize, Op, Order, Ty};

/// SWP, LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN.
pub(crate) fn read_modify_write(l: &mut Lower<'_>) -> Lowered {
    use AtomicOp::{Add, Clr, Eor, Set, Smax, Smin, Swp, Umax, Umin};
    let op = match l.bits(15, 12) {
        8 => Swp,
        n @ 0..=7 => [Add, Clr, Eor, Set, Smax, Smin, Umax, Umin][n as usize],
        _ => return Err(Undefined),
    };
    // Without a destination there is no load to have acquire semantics.
    let acquire = l.bit(23) && l.rd() != 31;
    let acc = l.ordered_acc(Order::from_bits(acquire, l.bit(22)));
    let addr = l.base();
    let val = l.b.x(Ty::I64, l.rm());
    let old = l.b.push(Op::Rmw { op, size: MemSize::from_log2(l.bits(31, 30)), acc, addr, val });
    l.b.set_x(l.rd(), old);
    Ok(Flow::Next)
}

/// CAS and its byte and halfword forms.
pub(crate) fn compare_and_swap(l: &mut Lower<'_>) -> Lowered {
    let acc = l.ordered_acc(Order::from_bits(l.bit(22), l.bit(15)));
    let addr = l.base();
    let expected = l.b.x(Ty::I64, l.rm());
    let new = l.b.x(Ty::I64, l.rd());
    let old = l.b.push(Op::Cas { size: MemSize::from_log2(l.bits(31, 30)), acc, addr, expected, new });
    l.b.set_x(l.rm(), old);
    Ok(Flow::Next)
}

/// CASP. Odd registers are UNDEFINED.
pub(crate) fn compare_and_swap_pair(l: &mut Lower<'_>) -> Lowered {
    let (rs, rt, doublewords) = (l.rm(), l.rd(), l.bit(30));
    if rs & 1 != 0 || rt & 1 != 0 {
        return Err(Undefined);
    }
    let acc = l.ordered_acc(Order::from_bits(l.bit(22), l.bit(15)));
    let addr = l.base();
    let (size, expected, new) = if doublewords {
        (MemSize::B16, l.doubleword_pair(rs, rs + 1), l.doubleword_pair(rt, rt + 1))
    } else {
        (MemSize::B8, l.word_pair(rs, rs + 1), l.word_pair(rt, rt + 1))
    };
    let old = l.b.push(Op::Cas { size, acc, addr, expected, new });
    l.set_pair(doublewords, rs, rs + 1, old);
    Ok(Flow::Next)
}
