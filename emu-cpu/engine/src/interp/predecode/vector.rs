//! Vector registers: moving lanes, and calls of the exact functions.

use emu_a64::ir::{Op, Val};

use super::{Predecoder, TooBig};
use crate::interp::uop::{Call, Exact, Uop, ZERO};

impl Predecoder<'_> {
    pub(super) fn vector(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        let uop = match op {
            Op::VFromInt(a) => {
                let a = self.clean(a)?;
                let d = self.dest(i)?;
                Uop::VFromInt { d, a }
            }
            Op::VFromPair(a, b) => {
                let (a, b) = (self.any(a)?, self.any(b)?);
                let d = self.dest(i)?;
                Uop::VFromPair { d, a, b }
            }
            Op::VLane(esize, lane, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VLane { d, a, esize, lane }
            }
            Op::VSetLane(esize, lane, v, x) => {
                let (a, b) = (self.any(v)?, self.any(x)?);
                let d = self.dest(i)?;
                Uop::VSetLane { d, a, b, esize, lane }
            }
            Op::VDup(esize, bytes, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VDup { d, a, esize, bytes }
            }
            Op::VLow(bytes, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::VLow { d, a, bytes }
            }
            Op::Vec { op, imm, args } => {
                self.code.calls.push(Call { op: Exact::Vec(op), f: op.func(), imm });
                return self.call(i, args);
            }
            Op::Fp { op, imm, args } => {
                self.code.calls.push(Call { op: Exact::Fp(op), f: op.func(), imm });
                return self.call(i, args);
            }
            _ => return Ok(()),
        };
        self.emit(uop);
        Ok(())
    }

    pub(super) fn call(&mut self, i: usize, args: [Val; 3]) -> Result<(), TooBig> {
        let call = (self.code.calls.len() - 1) as u16;
        let mut slots = [ZERO; 3];
        for (slot, v) in slots.iter_mut().zip(args) {
            if v.is_some() {
                *slot = self.any(v)?;
            }
        }
        let [a, b, c] = slots;
        let d = self.dest(i)?;
        self.emit(Uop::Call { d, a, b, c, call });
        Ok(())
    }
}
