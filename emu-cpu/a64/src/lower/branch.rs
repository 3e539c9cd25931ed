//! Branches and exception generation (Arm ARM, C4.1.93).

use super::{Flow, Lower, Lowered, Undefined, landing};
use crate::ir::{Cond, ExcOp, LeaveKind, Link, Op, Term, Ty, Val};

fn end(term: Term) -> Lowered {
    Ok(Flow::End(term))
}

pub(super) fn set_link(l: &mut Lower<'_>) {
    let next = l.b.push(Op::PcRel(l.next_rel()));
    l.b.set_x(30, next);
}

fn branch_if(l: &Lower<'_>, cond: Val, offset: i64) -> Lowered {
    end(Term::If { cond, then_rel: l.rel + offset, else_rel: l.next_rel() })
}

/// B, BL.
pub(crate) fn immediate(l: &mut Lower<'_>) -> Lowered {
    let rel = l.rel + l.signed(25, 0) * 4;
    if l.bit(31) {
        set_link(l);
        return end(Term::Goto { rel, link: Link::Call });
    }
    end(Term::Goto { rel, link: Link::Jump })
}

/// B.cond.
pub(crate) fn conditional(l: &mut Lower<'_>) -> Lowered {
    let offset = l.signed(23, 5) * 4;
    match Cond::from_bits(l.bits(3, 0)) {
        Cond::Al | Cond::Nv => end(Term::Goto { rel: l.rel + offset, link: Link::Jump }),
        cond => {
            let c = l.b.test(cond);
            branch_if(l, c, offset)
        }
    }
}

/// CBZ, CBNZ.
pub(crate) fn compare(l: &mut Lower<'_>) -> Lowered {
    let ty = l.sf_ty();
    let a = l.b.x(ty, l.rd());
    let c = l.b.push(if l.bit(24) { Op::NonZero(ty, a) } else { Op::IsZero(ty, a) });
    branch_if(l, c, l.signed(23, 5) * 4)
}

/// TBZ, TBNZ.
pub(crate) fn test_bit(l: &mut Lower<'_>) -> Lowered {
    let n = l.bits(31, 31) << 5 | l.bits(23, 19);
    let a = l.b.x(Ty::I64, l.rd());
    let mut c = l.b.push(Op::Bit(n as u8, a));
    if !l.bit(24) {
        c = l.b.push(Op::NotI1(c));
    }
    branch_if(l, c, l.signed(18, 5) * 4)
}

/// BR, BLR, RET. The target is read before X30 is written: they may be the same register.
pub(crate) fn register(l: &mut Lower<'_>) -> Lowered {
    let target = l.b.x(Ty::I64, l.rn());
    let link = match l.bits(22, 21) {
        0 => Link::Jump,
        1 => {
            set_link(l);
            Link::Call
        }
        _ => Link::Return,
    };
    end(indirect(l, target, link))
}

/// The end of a block that branches to `target`, from Rn.
pub(super) fn indirect(l: &Lower<'_>, target: Val, link: Link) -> Term {
    Term::Indirect { target, link, btype: landing::btype(l, link, l.rn()) }
}

/// ERET: UNDEFINED at EL0.
pub(crate) fn eret(l: &mut Lower<'_>) -> Lowered {
    if !l.mode.el.is_privileged() {
        return Err(Undefined);
    }
    end(Term::Leave { kind: LeaveKind::Eret, next: l.next_rel() })
}

/// SVC, HVC, SMC, BRK, HLT. Whether HVC and SMC are enabled, trapped or UNDEFINED above EL0 is the machine's to find out.
pub(crate) fn exception(l: &mut Lower<'_>) -> Lowered {
    let imm = l.bits(20, 5) as u16;
    end(Term::Exception(match (l.bits(23, 21), l.bits(1, 0)) {
        (0, 1) => ExcOp::Svc(imm),
        (0, _) if !l.mode.el.is_privileged() => return Err(Undefined),
        (0, 2) => ExcOp::Hvc(imm),
        (0, 3) => ExcOp::Smc(imm),
        (1, 0) => ExcOp::Brk(imm),
        (2, 0) => ExcOp::Hlt(imm),
        _ => return Err(Undefined),
    }))
}

/// What is known by name but UNDEFINED here: UDF; DCPS1 to DCPS3 and DRPS, which exist in Debug state only.
pub(crate) fn undefined(_: &mut Lower<'_>) -> Lowered {
    Err(Undefined)
}
