//! Pointer authentication (Arm ARM, C3.1.10, C6.2).
//!
//! What is not enabled is done by the operation itself: it returns the pointer as it is.

use super::{Flow, Lower, Lowered, branch};
use crate::features::Feat;
use crate::ir::{LeaveKind, Link, MemSize, Op, PacOp, Term, Ty, Val};

/// By bits 12:10 of an encoding with one source.
const OPS: [PacOp; 8] = [
    PacOp::PacIa,
    PacOp::PacIb,
    PacOp::PacDa,
    PacOp::PacDb,
    PacOp::AutIa,
    PacOp::AutIb,
    PacOp::AutDa,
    PacOp::AutDb,
];

fn pac(l: &mut Lower<'_>, op: PacOp, ptr: Val, modifier: Val) -> Val {
    l.b.push(Op::Pac { op, ptr, modifier })
}

/// PACIA, AUTIA and their kin; the forms with Z have a modifier of zero.
pub(crate) fn one_source(l: &mut Lower<'_>) -> Lowered {
    let (rd, rn) = (l.rd(), l.rn());
    let ptr = l.b.x(Ty::I64, rd);
    let modifier = if l.bit(13) { l.b.c64(0) } else { l.b.x_or_sp(Ty::I64, rn) };
    let op = OPS[l.bits(12, 10) as usize];
    let v = pac(l, op, ptr, modifier);
    l.b.set_x(rd, v);
    Ok(Flow::Next)
}

/// XPACI, XPACD.
pub(crate) fn strip(l: &mut Lower<'_>) -> Lowered {
    let rd = l.rd();
    let ptr = l.b.x(Ty::I64, rd);
    let zero = l.b.c64(0);
    let op = if l.bit(10) { PacOp::XpacD } else { PacOp::XpacI };
    let v = pac(l, op, ptr, zero);
    l.b.set_x(rd, v);
    Ok(Flow::Next)
}

/// PACGA.
pub(crate) fn generic(l: &mut Lower<'_>) -> Lowered {
    let (rn, rm, rd) = (l.rn(), l.rm(), l.rd());
    let data = l.b.x(Ty::I64, rn);
    let modifier = l.b.x_or_sp(Ty::I64, rm);
    let v = pac(l, PacOp::PacGa, data, modifier);
    l.b.set_x(rd, v);
    Ok(Flow::Next)
}

/// The forms in the hint space: NOPs without the feature.
pub(crate) fn hint(l: &mut Lower<'_>) -> Lowered {
    use PacOp::{AutIa, AutIb, PacIa, PacIb, XpacI};
    if !l.pe.features.has(Feat::PAuth) {
        return Ok(Flow::Next);
    }
    let number = l.bits(11, 5);
    let op = match number {
        7 => XpacI,
        8 | 24 | 25 => PacIa,
        10 | 26 | 27 => PacIb,
        12 | 28 | 29 => AutIa,
        _ => AutIb,
    };
    // X17 with X16, or X30 with zero or SP.
    let rd = if matches!(number, 8..=15) { 17 } else { 30 };
    let ptr = l.b.x(Ty::I64, rd);
    let modifier = match number {
        8..=15 => l.b.x(Ty::I64, 16),
        25 | 27 | 29 | 31 => l.b.x_or_sp(Ty::I64, 31),
        _ => l.b.c64(0),
    };
    let v = pac(l, op, ptr, modifier);
    l.b.set_x(rd, v);
    Ok(Flow::Next)
}

/// The instruction keys, by bit 10.
fn instruction_key(l: &Lower<'_>) -> PacOp {
    if l.bit(10) { PacOp::AutIb } else { PacOp::AutIa }
}

/// BRAA, BLRAA and their kin.
pub(crate) fn branch(l: &mut Lower<'_>) -> Lowered {
    let (rn, rm) = (l.rn(), l.rd());
    let ptr = l.b.x(Ty::I64, rn);
    let modifier = if l.bit(24) { l.b.x_or_sp(Ty::I64, rm) } else { l.b.c64(0) };
    let op = instruction_key(l);
    let target = pac(l, op, ptr, modifier);
    let link = if l.bit(21) {
        branch::set_link(l);
        Link::Call
    } else {
        Link::Jump
    };
    Ok(Flow::End(branch::indirect(l, target, link)))
}

/// RETAA, RETAB.
pub(crate) fn ret(l: &mut Lower<'_>) -> Lowered {
    let ptr = l.b.x(Ty::I64, 30);
    let sp = l.b.x_or_sp(Ty::I64, 31);
    let op = instruction_key(l);
    let target = pac(l, op, ptr, sp);
    Ok(Flow::End(branch::indirect(l, target, Link::Return)))
}

/// ERETAA, ERETAB: UNDEFINED at EL0.
pub(crate) fn eret(l: &mut Lower<'_>) -> Lowered {
    if !l.mode.el.is_privileged() {
        return Err(super::Undefined);
    }
    let kind = LeaveKind::EretA(l.bits(10, 10) as u8);
    Ok(Flow::End(Term::Leave { kind, next: l.next_rel() }))
}

/// LDRAA, LDRAB: the authenticated base plus an offset of ten signed bits, scaled by eight. With Rn = Rt the writeback is
/// suppressed, as for other loads.
pub(crate) fn load(l: &mut Lower<'_>) -> Lowered {
    let (rn, rt) = (l.rn(), l.rd());
    let offset = (i64::from(l.bits(20, 12)) - if l.bit(22) { 512 } else { 0 }) * 8;
    let base = l.base();
    let zero = l.b.c64(0);
    let op = if l.bit(23) { PacOp::AutDb } else { PacOp::AutDa };
    let ptr = pac(l, op, base, zero);
    let addr = l.b.add_const(ptr, offset);
    let acc = l.base_acc();
    let v = l.b.load(Ty::I64, MemSize::B8, false, acc, addr);
    if l.bit(11) {
        l.b.set_x_or_sp(rn, addr);
    }
    l.b.set_x(rt, v);
    Ok(Flow::Next)
}
