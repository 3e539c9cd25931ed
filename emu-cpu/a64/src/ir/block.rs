//! Blocks and how they end.

use super::op::Op;
use super::table::Want;
use super::text::words;
use super::value::{Ty, Val};

/// An operation in its place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// The guest instruction that it belongs to: an index into [`Block::insns`].
    pub insn: u16,
}

/// A guest instruction of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsnInfo {
    /// Its word.
    pub word: u32,
    /// Index of its first operation.
    pub first: u16,
}

words! {
    /// What a branch means to a return predictor.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Link {
        /// B, BR.
        Jump,
        /// BL, BLR: X30 was set to the next instruction.
        Call,
        /// RET.
        Return,
    }
}

words! {
    /// Synchronous exceptions that an instruction asks for.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum ExcOp {
        /// Not allocated, or not implemented by this CPU.
        Undefined,
        /// FP or SIMD register access while a trap of it is set: which one is found out when it is taken.
        FpAccess,
        /// An indirect branch led to an instruction in a guarded page that does not expect it.
        BranchTarget,
        /// SVC with its immediate.
        Svc(u16),
        /// HVC.
        Hvc(u16),
        /// SMC.
        Smc(u16),
        /// BRK.
        Brk(u16),
        /// HLT.
        Hlt(u16),
    }
}

words! {
    /// Why a block hands over to the machine after its last instruction.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum LeaveKind {
        /// System state changed (MSR, TLBI, ISB ...): the mode of what follows must be found again.
        Context,
        /// WFI; the register is 31, or for WFIT the one with the timeout.
        Wfi(u8),
        /// WFE, WFET.
        Wfe(u8),
        /// YIELD.
        Yield,
        /// ESB with FEAT_RAS: a pending SError interrupt is taken, or recorded in DISR_EL1 if it is masked.
        Esb,
        /// ERET.
        Eret,
        /// ERETAA (0) or ERETAB (1).
        EretA(u8),
    }
}

/// The end of a block. Relative addresses count from the block's first instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Term {
    /// To a known place.
    Goto {
        /// Where.
        rel: i64,
        /// Jump or call.
        link: Link,
    },
    /// One of two known places.
    If {
        /// I1.
        cond: Val,
        /// If true.
        then_rel: i64,
        /// If false: the next instruction.
        else_rel: i64,
    },
    /// To an address in a register.
    Indirect {
        /// I64.
        target: Val,
        /// Jump, call or return.
        link: Link,
        /// PSTATE.BTYPE at the target (FEAT_BTI).
        btype: u8,
    },
    /// The last instruction raises an exception.
    Exception(ExcOp),
    /// The machine decides how to go on; `next` is the instruction after this one.
    Leave {
        /// Why.
        kind: LeaveKind,
        /// Where execution goes on, if nothing else happens.
        next: i64,
    },
}

impl Term {
    /// The value that the end uses, with the type that it must have.
    #[must_use]
    pub fn operand(&self) -> Option<(Val, Want)> {
        match *self {
            Self::If { cond, .. } => Some((cond, Ty::I1.into())),
            Self::Indirect { target, .. } => Some((target, Ty::I64.into())),
            Self::Goto { .. } | Self::Exception(_) | Self::Leave { .. } => None,
        }
    }
}

/// A block: see the module's head.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// Operations in order.
    pub insts: Vec<Inst>,
    /// Guest instructions in order; instruction n is at relative address 4 n.
    pub insns: Vec<InsnInfo>,
    /// How it ends.
    pub term: Term,
}

impl Block {
    /// The type of a value.
    #[must_use]
    pub fn ty(&self, v: Val) -> Ty {
        self.insts.get(v.0 as usize).map_or(Ty::None, |i| i.op.ty())
    }
}
