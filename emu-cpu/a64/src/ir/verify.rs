//! The verifier: checked in debug builds after every translation.

use thiserror::Error;

use super::block::Block;
use super::table::Want;
use super::value::{Ty, Val};

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
        wanted: Want,
    },
    /// A register is written before an operation of the same instruction that can fault.
    #[error("operation {at} can fault after its instruction wrote a register")]
    LateFault {
        /// Operation.
        at: usize,
    },
}

/// Checks a block; the first broken rule is the error.
pub fn verify(block: &Block) -> Result<(), VerifyError> {
    let mut wrote = None;
    for (at, inst) in block.insts.iter().enumerate() {
        debug_assert_eq!(inst.op.args(), inst.op.operands().map(|(v, _)| v), "one row says both");
        for (v, want) in inst.op.operands() {
            if v.is_some() {
                check(block, at, v, want)?;
            }
        }
        if inst.op.can_fault() && wrote == Some(inst.insn) {
            return Err(VerifyError::LateFault { at });
        }
        if inst.op.facts().writes.is_some() {
            wrote = Some(inst.insn);
        }
    }
    let end = block.insts.len();
    match block.term.operand() {
        Some((v, want)) => check(block, end, v, want),
        None => Ok(()),
    }
}

fn check(block: &Block, at: usize, v: Val, want: Want) -> Result<(), VerifyError> {
    if v.0 as usize >= at {
        return Err(VerifyError::Undefined { at, val: v.0 });
    }
    let found = block.ty(v);
    if want.admits(found) { Ok(()) } else { Err(VerifyError::Type { at, val: v.0, found, wanted: want }) }
}

#[cfg(test)]
mod tests {
    use super::super::{Acc, BinOp, Builder, MemSize, Op, Term};
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
