//! Loads and stores of one register, general or SIMD&FP (Arm ARM, C4.1.95): all address forms, literals, prefetch, and the
//! RCpc forms with an immediate offset.

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::{Acc, MemSize, Op, Order, Ty, Val};

/// What is transferred.
#[derive(Clone, Copy)]
enum Reg {
    /// A load to a general register, of type `ty`.
    Load {
        ty: Ty,
        signed: bool,
    },
    /// A store of a general register.
    Store,
    LoadV,
    StoreV,
}

/// One access: the register is Rt.
#[derive(Clone, Copy)]
struct Transfer {
    reg: Reg,
    size: MemSize,
    acc: Acc,
}

impl Lower<'_> {
    /// How Rn is used as a base: a plain access, subject to the check of SP's alignment if it is SP.
    pub(super) fn base_acc(&self) -> Acc {
        Acc { sp_base: self.rn() == 31, ..Acc::PLAIN }
    }
    /// As [`Self::base_acc`] with an ordering.
    pub(super) fn ordered_acc(&self, order: Order) -> Acc {
        Acc { order, ..self.base_acc() }
    }
    /// Rn with 31 as SP.
    pub(super) fn base(&mut self) -> Val {
        let rn = self.rn();
        self.b.x_or_sp(Ty::I64, rn)
    }
}

/// From `size`, bits 31:30, and `opc`, bits 23:22, of a general register access.
fn general(l: &Lower<'_>) -> Result<Transfer, Undefined> {
    let size = l.bits(31, 30);
    let reg = match (l.bits(23, 22), size) {
        (0, _) => Reg::Store,
        (1, 3) => Reg::Load { ty: Ty::I64, signed: false },
        (1, _) => Reg::Load { ty: Ty::I32, signed: false },
        (2, 0..=2) => Reg::Load { ty: Ty::I64, signed: true },
        (3, 0..=1) => Reg::Load { ty: Ty::I32, signed: true },
        _ => return Err(Undefined),
    };
    Ok(Transfer { reg, size: MemSize::from_log2(size), acc: l.base_acc() })
}

/// From `size` and `opc` of a SIMD&FP register access, where opc<1> is the third bit of the size.
fn vector(l: &Lower<'_>) -> Result<Transfer, Undefined> {
    let size = l.bits(23, 23) << 2 | l.bits(31, 30);
    if size > 4 {
        return Err(Undefined);
    }
    let reg = if l.bit(22) { Reg::LoadV } else { Reg::StoreV };
    Ok(Transfer { reg, size: MemSize::from_log2(size), acc: l.base_acc() })
}

/// Makes the access. For a load gives the value, still to be written to Rt.
fn access(l: &mut Lower<'_>, a: Transfer, addr: Val) -> Option<Val> {
    let rt = l.rd();
    match a.reg {
        Reg::Load { ty, signed } => Some(l.b.load(ty, a.size, signed, a.acc, addr)),
        Reg::LoadV => Some(l.b.load(Ty::V, a.size, false, a.acc, addr)),
        Reg::Store => {
            let v = l.b.x(Ty::I64, rt);
            l.b.store(a.size, a.acc, addr, v);
            None
        }
        Reg::StoreV => {
            let v = l.b.v(rt);
            l.b.store(a.size, a.acc, addr, v);
            None
        }
    }
}

fn set_rt(l: &mut Lower<'_>, a: Transfer, v: Option<Val>) {
    let rt = l.rd();
    match (a.reg, v) {
        (_, None) => {}
        (Reg::LoadV, Some(v)) => l.b.set_v(rt, v),
        (_, Some(v)) => l.b.set_x(rt, v),
    }
}

fn transfer(l: &mut Lower<'_>, a: Transfer, addr: Val) -> Lowered {
    let v = access(l, a, addr);
    set_rt(l, a, v);
    Ok(Flow::Next)
}

fn unsigned(l: &mut Lower<'_>, a: Transfer) -> Lowered {
    let offset = i64::from(l.bits(21, 10)) << a.size as u32;
    let base = l.base();
    let addr = l.b.add_const(base, offset);
    transfer(l, a, addr)
}

fn unscaled(l: &mut Lower<'_>, a: Transfer) -> Lowered {
    let offset = l.signed(20, 12);
    let base = l.base();
    let addr = l.b.add_const(base, offset);
    transfer(l, a, addr)
}

/// Pre- and post-index. With Rn = Rt the instruction is CONSTRAINED UNPREDICTABLE: a load then suppresses the writeback,
/// a store stores the register's value from before.
fn indexed(l: &mut Lower<'_>, a: Transfer) -> Lowered {
    let offset = l.signed(20, 12);
    let base = l.base();
    let moved = l.b.add_const(base, offset);
    let v = access(l, a, if l.bit(11) { moved } else { base });
    l.b.set_x_or_sp(l.rn(), moved);
    set_rt(l, a, v);
    Ok(Flow::Next)
}

fn register(l: &mut Lower<'_>, a: Transfer) -> Lowered {
    let option = l.bits(15, 13);
    if option & 2 == 0 {
        return Err(Undefined);
    }
    let base = l.base();
    let shift = if l.bit(12) { a.size as u32 } else { 0 };
    let offset = l.extended_rm(Ty::I64, option, shift);
    let addr = l.b.add(Ty::I64, base, offset);
    transfer(l, a, addr)
}

/// LDR and its kin, unsigned offset.
pub(crate) fn x_unsigned(l: &mut Lower<'_>) -> Lowered {
    let a = general(l)?;
    unsigned(l, a)
}

/// The same for SIMD&FP registers.
pub(crate) fn v_unsigned(l: &mut Lower<'_>) -> Lowered {
    let a = vector(l)?;
    unsigned(l, a)
}

/// LDUR and its kin.
pub(crate) fn x_unscaled(l: &mut Lower<'_>) -> Lowered {
    let a = general(l)?;
    unscaled(l, a)
}

/// The same for SIMD&FP registers.
pub(crate) fn v_unscaled(l: &mut Lower<'_>) -> Lowered {
    let a = vector(l)?;
    unscaled(l, a)
}

/// LDTR, STTR and their kin.
pub(crate) fn unprivileged(l: &mut Lower<'_>) -> Lowered {
    let mut a = general(l)?;
    a.acc.unpriv = true;
    unscaled(l, a)
}

/// LDAPUR, STLUR and their kin.
pub(crate) fn rcpc_unscaled(l: &mut Lower<'_>) -> Lowered {
    let mut a = general(l)?;
    a.acc.order = if matches!(a.reg, Reg::Store) { Order::Release } else { Order::AcquirePc };
    unscaled(l, a)
}

/// LDR and its kin, pre- and post-index.
pub(crate) fn x_indexed(l: &mut Lower<'_>) -> Lowered {
    let a = general(l)?;
    indexed(l, a)
}

/// The same for SIMD&FP registers.
pub(crate) fn v_indexed(l: &mut Lower<'_>) -> Lowered {
    let a = vector(l)?;
    indexed(l, a)
}

/// LDR and its kin, register offset.
pub(crate) fn x_register(l: &mut Lower<'_>) -> Lowered {
    let a = general(l)?;
    register(l, a)
}

/// The same for SIMD&FP registers.
pub(crate) fn v_register(l: &mut Lower<'_>) -> Lowered {
    let a = vector(l)?;
    register(l, a)
}

/// PRFM, PRFUM: no access is made and nothing can fault.
pub(crate) fn prefetch(_: &mut Lower<'_>) -> Lowered {
    Ok(Flow::Next)
}

fn literal(l: &mut Lower<'_>, reg: Reg, size: MemSize) -> Lowered {
    let addr = l.b.push(Op::PcRel(l.rel + l.signed(23, 5) * 4));
    transfer(l, Transfer { reg, size, acc: Acc::PLAIN }, addr)
}

/// LDR, LDRSW (literal).
pub(crate) fn x_literal(l: &mut Lower<'_>) -> Lowered {
    match l.bits(31, 30) {
        0 => literal(l, Reg::Load { ty: Ty::I32, signed: false }, MemSize::B4),
        1 => literal(l, Reg::Load { ty: Ty::I64, signed: false }, MemSize::B8),
        2 => literal(l, Reg::Load { ty: Ty::I64, signed: true }, MemSize::B4),
        _ => Err(Undefined),
    }
}

/// LDR (literal, SIMD&FP).
pub(crate) fn v_literal(l: &mut Lower<'_>) -> Lowered {
    match l.bits(31, 30) {
        3 => Err(Undefined),
        opc => literal(l, Reg::LoadV, MemSize::from_log2(opc + 2)),
    }
}
