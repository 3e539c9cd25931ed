//! Building a block, with short names for what lowerings use most.

use super::block::{Block, InsnInfo, Inst, Term};
use super::op::Op;
use super::value::{Ty, Val};
use super::words::{Acc, BinOp, Cond, MemSize, UnOp};

/// Makes a block operation by operation.
#[derive(Debug, Default)]
pub struct Builder {
    insts: Vec<Inst>,
    insns: Vec<InsnInfo>,
}

impl Builder {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Operations so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.insts.len()
    }
    /// True if there is no operation yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.insts.is_empty()
    }
    /// Starts the next guest instruction.
    pub fn begin_insn(&mut self, word: u32) {
        self.insns.push(InsnInfo { word, first: self.insts.len() as u16 });
    }
    /// Takes back the operations of the current instruction (it turned out to be UNDEFINED).
    pub fn rollback_insn(&mut self) {
        if let Some(i) = self.insns.last() {
            self.insts.truncate(i.first as usize);
        }
    }
    /// Memory accesses that the current instruction makes.
    pub(crate) fn accesses_of_insn(&self) -> u8 {
        let first = self.insns.last().map_or(0, |i| i.first as usize);
        self.insts.iter().skip(first).filter(|i| i.op.accesses_memory()).count() as u8
    }
    /// Ends the block.
    #[must_use]
    pub fn finish(self, term: Term) -> Block {
        Block { insts: self.insts, insns: self.insns, term }
    }
    /// Adds any operation.
    pub fn push(&mut self, op: Op) -> Val {
        let v = Val(self.insts.len() as u16);
        self.insts.push(Inst { op, insn: self.insns.len().saturating_sub(1) as u16 });
        v
    }
    /// The type of a value.
    #[must_use]
    pub fn ty(&self, v: Val) -> Ty {
        self.insts.get(v.0 as usize).map_or(Ty::None, |i| i.op.ty())
    }

    /// A 64-bit constant.
    pub fn c64(&mut self, v: u64) -> Val {
        self.push(Op::Const(Ty::I64, v))
    }
    /// A constant of an integer type.
    pub fn konst(&mut self, ty: Ty, v: u64) -> Val {
        self.push(Op::Const(ty, if ty == Ty::I32 { v & 0xffff_ffff } else { v }))
    }
    /// Register `r` with 31 as zero (XZR, WZR), as `ty`.
    pub fn x(&mut self, ty: Ty, r: u32) -> Val {
        if r & 31 == 31 {
            return self.konst(ty, 0);
        }
        self.x_or_sp(ty, r)
    }
    /// Register `r` with 31 as the stack pointer, as `ty`.
    pub fn x_or_sp(&mut self, ty: Ty, r: u32) -> Val {
        let v = self.push(Op::GetX(r as u8 & 31));
        if ty == Ty::I32 { self.trunc(v) } else { v }
    }
    /// Writes register `r`; 31 is discarded.
    pub fn set_x(&mut self, r: u32, v: Val) {
        if r & 31 != 31 {
            self.push(Op::SetX(r as u8 & 31, v));
        }
    }
    /// Writes register `r`; 31 is the stack pointer.
    pub fn set_x_or_sp(&mut self, r: u32, v: Val) {
        self.push(Op::SetX(r as u8 & 31, v));
    }
    /// Reads a vector register.
    pub fn v(&mut self, r: u32) -> Val {
        self.push(Op::GetV(r as u8 & 31))
    }
    /// Writes a vector register.
    pub fn set_v(&mut self, r: u32, v: Val) {
        self.push(Op::SetV(r as u8 & 31, v));
    }
    /// The low 32 bits: I32.
    pub fn trunc(&mut self, a: Val) -> Val {
        self.push(Op::Ext { bits: 32, signed: false, to: Ty::I32, a })
    }
    /// The low `bits` zero-extended to `to`.
    pub fn zext(&mut self, bits: u8, to: Ty, a: Val) -> Val {
        self.push(Op::Ext { bits, signed: false, to, a })
    }
    /// The low `bits` sign-extended to `to`.
    pub fn sext(&mut self, bits: u8, to: Ty, a: Val) -> Val {
        self.push(Op::Ext { bits, signed: true, to, a })
    }
    /// Two operands.
    pub fn bin(&mut self, op: BinOp, ty: Ty, a: Val, b: Val) -> Val {
        self.push(Op::Bin(op, ty, a, b))
    }
    /// a + b.
    pub fn add(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        self.bin(BinOp::Add, ty, a, b)
    }
    /// a + constant, 64 bits.
    pub fn add_const(&mut self, a: Val, n: i64) -> Val {
        if n == 0 {
            return a;
        }
        let c = self.c64(n as u64);
        self.add(Ty::I64, a, c)
    }
    /// One operand.
    pub fn un(&mut self, op: UnOp, ty: Ty, a: Val) -> Val {
        self.push(Op::Un(op, ty, a))
    }
    /// Current flags.
    pub fn flags(&mut self) -> Val {
        self.push(Op::GetFlags)
    }
    /// Writes the flags.
    pub fn set_flags(&mut self, f: Val) {
        self.push(Op::SetFlags(f));
    }
    /// Whether the current flags satisfy a condition.
    pub fn test(&mut self, cond: Cond) -> Val {
        let f = self.flags();
        self.push(Op::Test(cond, f))
    }
    /// c ? a : b.
    pub fn select(&mut self, ty: Ty, c: Val, a: Val, b: Val) -> Val {
        self.push(Op::Select(ty, c, a, b))
    }
    /// A load.
    pub fn load(&mut self, ty: Ty, size: MemSize, signed: bool, acc: Acc, addr: Val) -> Val {
        self.push(Op::Load { ty, size, signed, acc, addr })
    }
    /// A store.
    pub fn store(&mut self, size: MemSize, acc: Acc, addr: Val, val: Val) {
        self.push(Op::Store { size, acc, addr, val });
    }
}
