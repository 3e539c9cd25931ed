//! Integer arithmetic: forms with immediates and shifted operands, extensions, fields.

use emu_a64::ir::{BinOp, Op, Ty, UnOp, Val};

use super::{Predecoder, TooBig, ValueLocation};
use crate::interp::liveness::constant;
use crate::interp::uop::Uop;

impl Predecoder<'_> {
    pub(super) fn binary(&mut self, i: usize, op: BinOp, ty: Ty, a: Val, b: Val) -> Result<(), TooBig> {
        let wide = ty == Ty::I64;
        let commutes = matches!(op, BinOp::Add | BinOp::And | BinOp::Or | BinOp::Xor);
        let (a, b) = if commutes && constant(self.block, a).is_some() { (b, a) } else { (a, b) };
        if let Some(imm) = constant(self.block, b)
            && constant(self.block, a).is_none()
            && self.binary_immediate(i, op, wide, a, imm)?
        {
            return Ok(());
        }
        if op == BinOp::Add && wide {
            for (base, shifted) in [(a, b), (b, a)] {
                if self.live.uses[shifted.0 as usize].deferred
                    && let Op::Bin(BinOp::Shl, _, x, n) = self.block.insts[shifted.0 as usize].op
                    && let Some(n) = constant(self.block, n)
                    && self.locations[shifted.0 as usize] == ValueLocation::None
                {
                    let (a, b) = (self.any(base)?, self.any(x)?);
                    let d = self.dest(i)?;
                    self.emit(Uop::AddShl64 { d, a, b, n: n as u8 & 63 });
                    return Ok(());
                }
            }
        }
        let (a, b) = (self.any(a)?, self.any(b)?);
        let d = self.dest(i)?;
        use BinOp::*;
        self.emit(match (op, wide) {
            (Add, true) => Uop::Add64 { d, a, b },
            (Add, false) => Uop::Add32 { d, a, b },
            (Sub, true) => Uop::Sub64 { d, a, b },
            (Sub, false) => Uop::Sub32 { d, a, b },
            (And, true) => Uop::And64 { d, a, b },
            (And, false) => Uop::And32 { d, a, b },
            (Or, true) => Uop::Or64 { d, a, b },
            (Or, false) => Uop::Or32 { d, a, b },
            (Xor, true) => Uop::Xor64 { d, a, b },
            (Xor, false) => Uop::Xor32 { d, a, b },
            (AndNot, true) => Uop::AndNot64 { d, a, b },
            (AndNot, false) => Uop::AndNot32 { d, a, b },
            (OrNot, true) => Uop::OrNot64 { d, a, b },
            (OrNot, false) => Uop::OrNot32 { d, a, b },
            (XorNot, true) => Uop::XorNot64 { d, a, b },
            (XorNot, false) => Uop::XorNot32 { d, a, b },
            (Mul, true) => Uop::Mul64 { d, a, b },
            (Mul, false) => Uop::Mul32 { d, a, b },
            (SMulH, _) => Uop::SMulH { d, a, b },
            (UMulH, _) => Uop::UMulH { d, a, b },
            (SDiv, true) => Uop::SDiv64 { d, a, b },
            (SDiv, false) => Uop::SDiv32 { d, a, b },
            (UDiv, true) => Uop::UDiv64 { d, a, b },
            (UDiv, false) => Uop::UDiv32 { d, a, b },
            (Shl, true) => Uop::Shl64 { d, a, b },
            (Shl, false) => Uop::Shl32 { d, a, b },
            (Lsr, true) => Uop::Lsr64 { d, a, b },
            (Lsr, false) => Uop::Lsr32 { d, a, b },
            (Asr, true) => Uop::Asr64 { d, a, b },
            (Asr, false) => Uop::Asr32 { d, a, b },
            (Ror, true) => Uop::Ror64 { d, a, b },
            (Ror, false) => Uop::Ror32 { d, a, b },
        });
        Ok(())
    }

    /// Forms with an immediate; false if the operation has none.
    pub(super) fn binary_immediate(
        &mut self,
        i: usize,
        op: BinOp,
        wide: bool,
        a: Val,
        imm: u64,
    ) -> Result<bool, TooBig> {
        use BinOp::*;
        if !matches!(op, Add | Sub | And | Or | Xor | AndNot | Shl | Lsr | Asr | Ror) {
            return Ok(false);
        }
        let a = self.any(a)?;
        let d = self.dest(i)?;
        let w = imm as u32;
        let (n64, n32) = (imm as u8 & 63, imm as u8 & 31);
        self.emit(match (op, wide) {
            (Sub, true) => Uop::AddI64 { d, a, imm: imm.wrapping_neg() },
            (Sub, false) => Uop::AddI32 { d, a, imm: w.wrapping_neg() },
            (And, true) => Uop::AndI64 { d, a, imm },
            (And, false) => Uop::AndI32 { d, a, imm: w },
            (AndNot, true) => Uop::AndI64 { d, a, imm: !imm },
            (AndNot, false) => Uop::AndI32 { d, a, imm: !w },
            (Or, true) => Uop::OrI64 { d, a, imm },
            (Or, false) => Uop::OrI32 { d, a, imm: w },
            (Xor, true) => Uop::XorI64 { d, a, imm },
            (Xor, false) => Uop::XorI32 { d, a, imm: w },
            (Shl, true) => Uop::ShlI64 { d, a, n: n64 },
            (Shl, false) => Uop::ShlI32 { d, a, n: n32 },
            (Lsr, true) => Uop::LsrI64 { d, a, n: n64 },
            (Lsr, false) => Uop::LsrI32 { d, a, n: n32 },
            (Asr, true) => Uop::AsrI64 { d, a, n: n64 },
            (Asr, false) => Uop::AsrI32 { d, a, n: n32 },
            (Ror, true) => Uop::RorI64 { d, a, n: n64 },
            (Ror, false) => Uop::RorI32 { d, a, n: n32 },
            (_, true) => Uop::AddI64 { d, a, imm },
            (_, false) => Uop::AddI32 { d, a, imm: w },
        });
        Ok(true)
    }

    pub(super) fn unary(&mut self, i: usize, op: UnOp, ty: Ty, a: Val) -> Result<(), TooBig> {
        let a = self.any(a)?;
        let d = self.dest(i)?;
        let wide = ty == Ty::I64;
        self.emit(match (op, wide) {
            (UnOp::Not, true) => Uop::Not64 { d, a },
            (UnOp::Not, false) => Uop::Not32 { d, a },
            (UnOp::Neg, true) => Uop::Neg64 { d, a },
            (UnOp::Neg, false) => Uop::Neg32 { d, a },
            (UnOp::Clz, true) => Uop::Clz64 { d, a },
            (UnOp::Clz, false) => Uop::Clz32 { d, a },
            (UnOp::Cls, true) => Uop::Cls64 { d, a },
            (UnOp::Cls, false) => Uop::Cls32 { d, a },
            (UnOp::Rbit, true) => Uop::Rbit64 { d, a },
            (UnOp::Rbit, false) => Uop::Rbit32 { d, a },
            (UnOp::Rev, true) => Uop::Rev64 { d, a },
            (UnOp::Rev, false) => Uop::Rev32 { d, a },
            (UnOp::Rev16, _) => Uop::Rev16 { d, a },
            (UnOp::Rev32, _) => Uop::RevW { d, a },
        });
        if !wide && op == UnOp::Rev16 {
            self.emit(Uop::Zext32 { d, a: d });
        }
        Ok(())
    }

    pub(super) fn extend(&mut self, i: usize, bits: u8, signed: bool, to: Ty, a: Val) -> Result<(), TooBig> {
        let from = self.block.ty(a);
        if bits == 32 && !signed {
            let slot = self.any(a)?;
            let dirty = match self.locations[a.0 as usize] {
                ValueLocation::Slot { dirty, .. } => dirty || from == Ty::I64,
                _ => from == Ty::I64,
            };
            if to == Ty::I32 || !dirty {
                self.alias(i, slot, dirty);
                return Ok(());
            }
            let d = self.dest(i)?;
            self.emit(Uop::Zext32 { d, a: slot });
            return Ok(());
        }
        if bits == 32 && to == Ty::I32 {
            let slot = self.any(a)?;
            self.alias(i, slot, true);
            return Ok(());
        }
        let a = self.any(a)?;
        let d = self.dest(i)?;
        self.emit(match (bits, signed, to) {
            (8, false, _) => Uop::Zext8 { d, a },
            (16, false, _) => Uop::Zext16 { d, a },
            (8, true, Ty::I32) => Uop::Sext8To32 { d, a },
            (16, true, Ty::I32) => Uop::Sext16To32 { d, a },
            (8, true, _) => Uop::Sext8 { d, a },
            (16, true, _) => Uop::Sext16 { d, a },
            _ => Uop::Sext32 { d, a },
        });
        Ok(())
    }
}
