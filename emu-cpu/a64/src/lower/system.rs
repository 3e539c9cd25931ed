//! Hints, barriers, PSTATE fields, system registers and system instructions (Arm ARM, C4.1.93).
//!
//! # What ends a block
//! A block is translated for one [`crate::mode::Mode`] and runs without looking at interrupts, so what may change translation,
//! the Exception level, masks, pending interrupts or traps ends it. Of system registers and system instructions the PE
//! knows ([`super::Implementation::ends_block`]).

use super::{Flow, Lower, Lowered, Undefined};
use crate::features::Feat;
use crate::ir::{BarrierKind, LeaveKind, Op, PSTATE_FIELDS, SysEnc, Term, Ty};

fn leave(l: &Lower<'_>, kind: LeaveKind) -> Lowered {
    Ok(Flow::End(Term::Leave { kind, next: l.next_rel() }))
}

/// NOP; hints that have no effect here; BTI, whose effect is where a branch may lead (see `landing`).
pub(crate) fn nop(_: &mut Lower<'_>) -> Lowered {
    Ok(Flow::Next)
}

/// YIELD.
pub(crate) fn yield_(l: &mut Lower<'_>) -> Lowered {
    leave(l, LeaveKind::Yield)
}

/// WFE.
pub(crate) fn wfe(l: &mut Lower<'_>) -> Lowered {
    leave(l, LeaveKind::Wfe(31))
}

/// WFI.
pub(crate) fn wfi(l: &mut Lower<'_>) -> Lowered {
    leave(l, LeaveKind::Wfi(31))
}

/// WFET, WFIT. With XZR the timeout, 0, has always passed: nothing to wait for and nothing to trap.
pub(crate) fn wait_timeout(l: &mut Lower<'_>) -> Lowered {
    let rt = l.rd() as u8;
    match (rt, l.bit(5)) {
        (31, _) => Ok(Flow::Next),
        (_, false) => leave(l, LeaveKind::Wfe(rt)),
        (_, true) => leave(l, LeaveKind::Wfi(rt)),
    }
}

/// SEV, SEVL.
pub(crate) fn send_event(l: &mut Lower<'_>) -> Lowered {
    l.b.push(Op::SendEvent { all: !l.bit(5) });
    Ok(Flow::Next)
}

/// ESB: a NOP without FEAT_RAS.
pub(crate) fn esb(l: &mut Lower<'_>) -> Lowered {
    if l.pe.features.has(Feat::Ras) { leave(l, LeaveKind::Esb) } else { Ok(Flow::Next) }
}

/// CLREX.
pub(crate) fn clrex(l: &mut Lower<'_>) -> Lowered {
    l.b.push(Op::ClearEx);
    Ok(Flow::Next)
}

/// DMB. Reserved options are full barriers.
pub(crate) fn dmb(l: &mut Lower<'_>) -> Lowered {
    let kind = match l.bits(9, 8) {
        1 => BarrierKind::DmbLoad,
        2 => BarrierKind::DmbStore,
        _ => BarrierKind::DmbFull,
    };
    l.b.push(Op::Barrier(kind));
    Ok(Flow::Next)
}

/// DSB, and SSBB and PSSBB among its options.
pub(crate) fn dsb(l: &mut Lower<'_>) -> Lowered {
    let kind = if matches!(l.bits(11, 8), 0 | 4) { BarrierKind::Speculation } else { BarrierKind::Dsb };
    l.b.push(Op::Barrier(kind));
    Ok(Flow::Next)
}

/// SB, CSDB.
pub(crate) fn speculation(l: &mut Lower<'_>) -> Lowered {
    l.b.push(Op::Barrier(BarrierKind::Speculation));
    Ok(Flow::Next)
}

/// ISB.
pub(crate) fn isb(l: &mut Lower<'_>) -> Lowered {
    leave(l, LeaveKind::Context)
}

/// MSR (immediate).
pub(crate) fn msr_immediate(l: &mut Lower<'_>) -> Lowered {
    let (op1, op2) = (l.bits(18, 16), l.bits(7, 5));
    let row = PSTATE_FIELDS.iter().find(|row| (row.op1, row.op2) == (op1, op2)).ok_or(Undefined)?;
    if !l.pe.features.has(row.feat) || !l.mode.el.is_privileged() && !row.el0 {
        return Err(Undefined);
    }
    l.b.push(Op::MsrImm { field: row.field, imm: l.bits(11, 8) as u8 });
    if row.ends_block { leave(l, LeaveKind::Context) } else { Ok(Flow::Next) }
}

/// NZCV, which is a value of the IR.
const NZCV: SysEnc = SysEnc::new(3, 3, 4, 2, 0);

/// MRS; SYSL is a read too, its `op0` being 1. No SYSL is allocated yet, but the machine may trap it (HCR_EL2.TIDCP).
pub(crate) fn mrs(l: &mut Lower<'_>) -> Lowered {
    let (enc, rt) = (SysEnc::from_insn(l.word), l.rd());
    let v = if enc == NZCV {
        let f = l.b.flags();
        l.b.push(Op::NzcvFromFlags(f))
    } else {
        l.b.push(Op::Mrs { enc, rt: rt as u8 })
    };
    if is_random(enc) && l.pe.features.has(Feat::Rng) {
        // A number was there: NZCV is 0b0000.
        let f = l.b.push(Op::FlagsConst(0));
        l.b.set_flags(f);
    }
    l.b.set_x(rt, v);
    after_access(l, enc, true)
}

/// What follows an access to a system register, or a system instruction.
fn after_access(l: &Lower<'_>, enc: SysEnc, read: bool) -> Lowered {
    if (l.pe.ends_block)(enc, read) { leave(l, LeaveKind::Context) } else { Ok(Flow::Next) }
}

/// RNDR, RNDRRS.
fn is_random(enc: SysEnc) -> bool {
    matches!(enc.parts(), (3, 3, 2, 4, 0 | 1))
}

/// MSR (register).
pub(crate) fn msr(l: &mut Lower<'_>) -> Lowered {
    let (enc, rt) = (SysEnc::from_insn(l.word), l.rd());
    let val = l.b.x(Ty::I64, rt);
    if enc == NZCV {
        let f = l.b.push(Op::FlagsFromNzcv(val));
        l.b.set_flags(f);
        return Ok(Flow::Next);
    }
    l.b.push(Op::Msr { enc, rt: rt as u8, val });
    after_access(l, enc, false)
}

/// SYS.
pub(crate) fn sys(l: &mut Lower<'_>) -> Lowered {
    let (enc, rt) = (SysEnc::from_insn(l.word), l.rd());
    let val = l.b.x(Ty::I64, rt);
    l.b.push(Op::Sys { enc, rt: rt as u8, val });
    after_access(l, enc, false)
}
