//! Memory copy and set, FEAT_MOPS (Arm ARM, C4.1.95): by option A, in which the prologue
//! moves nothing, the main instruction everything, and the epilogue nothing.
//!
//! CONSTRAINED UNPREDICTABLE registers (the same one twice, SP) are UNDEFINED.

use super::{Flow, Lower, Lowered, Undefined};
use crate::ir::mops::{Kind, MopsInsn, Stage};
use crate::ir::{BinOp, Cond, Op, Term, Ty, Val};

/// CPY, CPYF and SET with all their options.
pub(crate) fn copy_or_set(l: &mut Lower<'_>) -> Lowered {
    let insn = MopsInsn(l.word);
    let stage = insn.stage().ok_or(Undefined)?;
    let (d, s, n) = (l.rd(), l.rm(), l.rn());
    let set = insn.kind() == Kind::Set;
    let unusable = s == n || s == d || n == d || d == 31 || n == 31 || !set && s == 31;
    if l.bits(31, 30) != 0 || unusable || !l.mode.mops {
        return Err(Undefined);
    }
    match stage {
        Stage::Prologue => prologue(l, insn.kind()),
        Stage::Main => return main(l, insn),
        Stage::Epilogue => {
            check(l, insn);
        }
    }
    Ok(Flow::Next)
}

/// Xd and Xs to the ends of the blocks and Xn to minus their size, or for a backward copy nothing but the limit.
fn prologue(l: &mut Lower<'_>, kind: Kind) {
    let (d, s, n) = (l.rd(), l.rm(), l.rn());
    let to = l.b.x(Ty::I64, d);
    let from = l.b.x(Ty::I64, s);
    let size = l.b.x(Ty::I64, n);
    let size = limited(l, size, kind);
    // How far the addresses move: by the size for a forward operation, else not at all.
    let offset = if kind == Kind::Copy { forward_size(l, to, from, size) } else { size };
    let zero = l.b.c64(0);
    let negative = l.b.bin(BinOp::Sub, Ty::I64, zero, offset);
    let backward = l.b.push(Op::IsZero(Ty::I64, offset));
    let left = l.b.select(Ty::I64, backward, size, negative);
    let to = l.b.add(Ty::I64, to, offset);
    l.b.set_x(d, to);
    if kind != Kind::Set {
        let from = l.b.add(Ty::I64, from, offset);
        l.b.set_x(s, from);
    }
    l.b.set_x(n, left);
    let flags = l.b.push(Op::FlagsConst(0));
    l.b.set_flags(flags);
}

/// The size, not more than 2^55 - 1 for CPY, than 2^63 - 1 for the others.
fn limited(l: &mut Lower<'_>, size: Val, kind: Kind) -> Val {
    let limit = l.b.c64(if kind == Kind::Copy { (1 << 55) - 1 } else { i64::MAX as u64 });
    let f = l.b.push(Op::FlagsSub(Ty::I64, size, limit));
    let more = l.b.push(Op::Test(Cond::Hi, f));
    l.b.select(Ty::I64, more, limit, size)
}

/// The size if CPY copies forward, else 0: it copies backward if the target starts inside the source.
fn forward_size(l: &mut Lower<'_>, to: Val, from: Val, size: Val) -> Val {
    let end = l.b.add(Ty::I64, from, size);
    // Tags do not count.
    let [to, from, end] = [to, from, end].map(|v| l.b.zext(56, Ty::I64, v));
    let f = l.b.push(Op::FlagsSub(Ty::I64, from, to));
    let below = l.b.push(Op::Test(Cond::Cc, f));
    let f = l.b.push(Op::FlagsSub(Ty::I64, end, to));
    let reaches = l.b.push(Op::Test(Cond::Hi, f));
    let zero = l.b.c64(0);
    let overlapping = l.b.select(Ty::I64, reaches, zero, size);
    l.b.select(Ty::I64, below, overlapping, size)
}

/// The check of a main or epilogue instruction; gives the size.
fn check(l: &mut Lower<'_>, insn: MopsInsn) -> Val {
    let n = l.rn();
    let size = l.b.x(Ty::I64, n);
    let f = l.b.flags();
    let nzcv = l.b.push(Op::NzcvFromFlags(f));
    l.b.push(Op::MopsCheck { size, nzcv, insn });
    size
}

/// Moves some; unless that was all, the instruction comes again.
fn main(l: &mut Lower<'_>, insn: MopsInsn) -> Lowered {
    let (d, s, n) = (l.rd(), l.rm(), l.rn());
    let size = check(l, insn);
    let to = l.b.x(Ty::I64, d);
    let from = l.b.x(Ty::I64, s);
    let left = l.b.push(Op::MopsMove { to, from, size, insn });
    l.b.set_x(n, left);
    let cond = l.b.push(Op::IsZero(Ty::I64, left));
    Ok(Flow::End(Term::If { cond, then_rel: l.next_rel(), else_rel: l.rel }))
}
