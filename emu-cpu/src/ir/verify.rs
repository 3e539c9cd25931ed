//! The verifier: checked in debug builds after every translation.

use thiserror::Error;

use super::block::{Block, Term};
use super::op::{Op, Ty, Val};

/// A block that breaks a rule of the IR.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// A value is used before (or without) its definition.
    #[error("operation {at} uses %{val} before it is defined")]
    Undefined {
        /// Operation.
        at: usize,
        /// Value.
        val: u16,
    },
    /// A value has the wrong type for its use.
    #[error("operation {at} uses %{val} of type {found:?} where it needs {wanted}")]
    Type {
        /// Operation.
        at: usize,
        /// Value.
        val: u16,
        /// Its type.
        found: Ty,
        /// What is needed.
        wanted: &'static str,
    },
    /// A register is written before an operation of the same instruction that can fault.
    #[error("operation {at} can fault after its instruction wrote a register")]
    LateFault {
        /// Operation.
        at: usize,
    },
}

#[derive(Clone, Copy)]
enum Want {
    Int,
    I1,
    I64,
    V,
    Flags,
    Same(Ty),
    Any,
}

/// Checks a block; the first broken rule is the error.
pub fn verify(block: &Block) -> Result<(), VerifyError> {
    let mut wrote = None;
    for (at, inst) in block.insts.iter().enumerate() {
        let wants = wants(&inst.op);
        for (v, want) in inst.op.args().into_iter().zip(wants) {
            if v.is_some() {
                check(block, at, v, want)?;
            }
        }
        if inst.op.can_fault() && wrote == Some(inst.insn) {
            return Err(VerifyError::LateFault { at });
        }
        if matches!(inst.op, Op::SetX(..) | Op::SetV(..) | Op::SetFlags(_)) {
            wrote = Some(inst.insn);
        }
    }
    let end = block.insts.len();
    match block.term {
        Term::If { cond, .. } => check(block, end, cond, Want::I1),
        Term::Indirect { target, .. } => check(block, end, target, Want::I64),
        _ => Ok(()),
    }
}

fn check(block: &Block, at: usize, v: Val, want: Want) -> Result<(), VerifyError> {
    if v.0 as usize >= at {
        return Err(VerifyError::Undefined { at, val: v.0 });
    }
    let found = block.ty(v);
    let (ok, wanted) = match want {
        Want::Int => (matches!(found, Ty::I32 | Ty::I64), "an integer"),
        Want::I1 => (found == Ty::I1, "I1"),
        Want::I64 => (found == Ty::I64, "I64"),
        Want::V => (found == Ty::V128, "V128"),
        Want::Flags => (found == Ty::Flags, "Flags"),
        Want::Same(ty) => (found == ty, "the operation's type"),
        Want::Any => (found != Ty::None, "a value"),
    };
    if ok { Ok(()) } else { Err(VerifyError::Type { at, val: v.0, found, wanted }) }
}

fn wants(op: &Op) -> [Want; 3] {
    use Want::{Any, Flags, I1, I64, Int, Same, V};
    match *op {
        Op::SetX(..)
        | Op::Ext { .. }
        | Op::Bit(..)
        | Op::FlagsFromNzcv(_)
        | Op::VFromInt(_)
        | Op::VDup(..) => [Int; 3],
        Op::SetV(..) | Op::VLane(..) | Op::VLow(..) | Op::Vec { .. } | Op::Fp { .. } => [V; 3],
        Op::SetFlags(_) | Op::NzcvFromFlags(_) | Op::Test(..) => [Flags; 3],
        Op::Bin(_, t, ..)
        | Op::Un(_, t, _)
        | Op::Bfx { ty: t, .. }
        | Op::Bfi { ty: t, .. }
        | Op::Extr { ty: t, .. }
        | Op::FlagsAdd(t, ..)
        | Op::FlagsSub(t, ..)
        | Op::FlagsLogic(t, _)
        | Op::IsZero(t, _)
        | Op::NonZero(t, _) => [Same(t); 3],
        Op::AddCarry(t, ..) | Op::FlagsAdc(t, ..) => [Same(t), Same(t), Flags],
        Op::NotI1(_) => [I1; 3],
        Op::Select(t, ..) => [I1, Same(t), Same(t)],
        Op::Crc32 { .. } => [Same(Ty::I32), Int, Any],
        Op::VFromPair(..) => [I64; 3],
        Op::VSetLane(..) => [V, Int, Any],
        Op::Msr { .. } | Op::Sys { .. } | Op::Pac { .. } => [I64; 3],
        Op::MopsCheck { .. } | Op::MopsMove { .. } => [I64; 3],
        _ => [I64, Any, Any],
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Acc, BinOp, Builder, MemSize};
    use super::*;

    const END: Term = Term::Goto { rel: 4, link: super::super::Link::Jump };

    #[test]
    fn accepts_a_good_block() {
        let mut b = Builder::new();
        b.begin_insn(0);
        let a = b.x(Ty::I64, 1);
        let v = b.load(Ty::I64, MemSize::B8, false, Acc::PLAIN, a);
        b.set_x(2, v);
        assert_eq!(verify(&b.finish(END)), Ok(()));
    }

    #[test]
    fn refuses_types_order_and_late_faults() {
        let mut b = Builder::new();
        b.begin_insn(0);
        let w = b.x(Ty::I32, 1);
        b.bin(BinOp::Add, Ty::I64, w, w);
        assert!(matches!(verify(&b.finish(END)), Err(VerifyError::Type { .. })));

        let mut b = Builder::new();
        b.begin_insn(0);
        b.push(Op::SetX(0, Val(7)));
        assert!(matches!(verify(&b.finish(END)), Err(VerifyError::Undefined { .. })));

        let mut b = Builder::new();
        b.begin_insn(0);
        let a = b.x(Ty::I64, 1);
        b.set_x(1, a);
        b.load(Ty::I64, MemSize::B8, false, Acc::PLAIN, a);
        assert!(matches!(verify(&b.finish(END)), Err(VerifyError::LateFault { .. })));
    }
}
