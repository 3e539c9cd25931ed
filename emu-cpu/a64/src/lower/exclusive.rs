//! Exclusive and ordered loads and stores (Arm ARM, C4.1.95).
//!
//! Fields that should be ones (Rs, Rt2 where unused) are ignored. CONSTRAINED UNPREDICTABLE cases: a store-exclusive whose
//! Rs is also Rt, Rt2 or Rn uses the registers' values from before; LDXP with Rt = Rt2 leaves the second value.

use super::{Flow, Lower, Lowered};
use crate::ir::{Acc, MemSize, Op, Order, Ty};

/// The size of a single register, bits 31:30.
fn size(l: &Lower<'_>) -> MemSize {
    MemSize::from_log2(l.bits(31, 30))
}

/// The access of LDXR (o0 = 0) or LDAXR, STXR or STLXR.
fn exclusive_acc(l: &Lower<'_>, ordered: Order) -> Acc {
    l.ordered_acc(if l.bit(15) { ordered } else { Order::Plain })
}

/// LDXR, LDAXR and their byte and halfword forms.
pub(crate) fn load(l: &mut Lower<'_>) -> Lowered {
    let acc = exclusive_acc(l, Order::Acquire);
    let addr = l.base();
    let v = l.b.push(Op::LoadEx { size: size(l), acc, addr });
    l.b.set_x(l.rd(), v);
    Ok(Flow::Next)
}

/// STXR, STLXR and their byte and halfword forms.
pub(crate) fn store(l: &mut Lower<'_>) -> Lowered {
    let acc = exclusive_acc(l, Order::Release);
    let addr = l.base();
    let val = l.b.x(Ty::I64, l.rd());
    let status = l.b.push(Op::StoreEx { size: size(l), acc, addr, val });
    l.b.set_x(l.rm(), status);
    Ok(Flow::Next)
}

/// LDXP, LDAXP.
pub(crate) fn load_pair(l: &mut Lower<'_>) -> Lowered {
    let acc = exclusive_acc(l, Order::Acquire);
    let doublewords = l.bit(30);
    let addr = l.base();
    let size = if doublewords { MemSize::B16 } else { MemSize::B8 };
    let both = l.b.push(Op::LoadEx { size, acc, addr });
    l.set_pair(doublewords, l.rd(), l.ra(), both);
    Ok(Flow::Next)
}

/// STXP, STLXP.
pub(crate) fn store_pair(l: &mut Lower<'_>) -> Lowered {
    let acc = exclusive_acc(l, Order::Release);
    let addr = l.base();
    let (rt, rt2) = (l.rd(), l.ra());
    let (size, val) = if l.bit(30) {
        (MemSize::B16, l.doubleword_pair(rt, rt2))
    } else {
        (MemSize::B8, l.word_pair(rt, rt2))
    };
    let status = l.b.push(Op::StoreEx { size, acc, addr, val });
    l.b.set_x(l.rm(), status);
    Ok(Flow::Next)
}

/// A load of one register, zero-extended.
fn ordered_load(l: &mut Lower<'_>, order: Order) -> Lowered {
    let (size, acc) = (size(l), l.ordered_acc(order));
    let addr = l.base();
    let ty = if size == MemSize::B8 { Ty::I64 } else { Ty::I32 };
    let v = l.b.load(ty, size, false, acc, addr);
    l.b.set_x(l.rd(), v);
    Ok(Flow::Next)
}

/// LDAR and LDLAR: an LDAR is enough for the latter.
pub(crate) fn load_acquire(l: &mut Lower<'_>) -> Lowered {
    ordered_load(l, Order::Acquire)
}

/// LDAPR.
pub(crate) fn load_acquire_pc(l: &mut Lower<'_>) -> Lowered {
    ordered_load(l, Order::AcquirePc)
}

/// STLR and STLLR.
pub(crate) fn store_release(l: &mut Lower<'_>) -> Lowered {
    let (size, acc) = (size(l), l.ordered_acc(Order::Release));
    let addr = l.base();
    let v = l.b.x(Ty::I64, l.rd());
    l.b.store(size, acc, addr, v);
    Ok(Flow::Next)
}
