//! Operands that several encoding classes share (Arm ARM, C6.1 and the shared pseudocode ShiftReg, ExtendReg).

use super::{Lower, Undefined};
use crate::ir::{BinOp, Ty, Val};

impl Lower<'_> {
    /// `value` shifted by a constant less than its width; `kind` is LSL, LSR, ASR, ROR.
    pub(super) fn shift_const(&mut self, ty: Ty, value: Val, kind: u32, amount: u32) -> Val {
        if amount == 0 {
            return value;
        }
        let op = [BinOp::Shl, BinOp::Lsr, BinOp::Asr, BinOp::Ror][kind as usize & 3];
        let amount = self.b.konst(ty, amount.into());
        self.b.bin(op, ty, value, amount)
    }

    /// Rm shifted as bits 23:22 and 15:10 say. Shifts of 32 and more are not allocated for 32-bit operands.
    pub(super) fn shifted_rm(&mut self, ty: Ty) -> Result<Val, Undefined> {
        if ty == Ty::I32 && self.bit(15) {
            return Err(Undefined);
        }
        let rm = self.b.x(ty, self.rm());
        if self.rm() == 31 {
            return Ok(rm);
        }
        Ok(self.shift_const(ty, rm, self.bits(23, 22), self.bits(15, 10)))
    }

    /// Rm extended as `option` (UXTB .. SXTX) says, to `ty`, then shifted left.
    pub(super) fn extended_rm(&mut self, ty: Ty, option: u32, shift: u32) -> Val {
        let bits = 8u8 << (option & 3);
        let width = if ty == Ty::I32 { 32 } else { 64 };
        let value = if bits >= width || self.rm() == 31 {
            self.b.x(ty, self.rm())
        } else {
            let full = self.b.x(Ty::I64, self.rm());
            if option & 4 != 0 { self.b.sext(bits, ty, full) } else { self.b.zext(bits, ty, full) }
        };
        self.shift_const(ty, value, 0, shift)
    }
}
