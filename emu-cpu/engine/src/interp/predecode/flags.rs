//! NZCV, tests of it, and selections.

use emu_a64::ir::{Op, Ty, Val};

use super::{Predecoder, TooBig, ValueLocation};
use crate::interp::liveness::constant;
use crate::interp::uop::Uop;

impl Predecoder<'_> {
    /// Flags of a difference, of one with a constant if there is one.
    pub(super) fn flags_of_difference(&mut self, i: usize, ty: Ty, a: Val, b: Val) -> Result<(), TooBig> {
        match (constant(self.block, b), ty) {
            (Some(imm), Ty::I64) => self.value(i, [a], |d, [a]| Uop::FlagsSubI64 { d, a, imm }),
            (Some(imm), _) => self.value(i, [a], |d, [a]| Uop::FlagsSubI32 { d, a, imm: imm as u32 }),
            (None, Ty::I64) => self.value(i, [a, b], |d, [a, b]| Uop::FlagsSub64 { d, a, b }),
            (None, _) => self.value(i, [a, b], |d, [a, b]| Uop::FlagsSub32 { d, a, b }),
        }
    }

    pub(super) fn select(&mut self, i: usize, ty: Ty, c: Val, a: Val, b: Val) -> Result<(), TooBig> {
        if ty == Ty::V {
            let c = self.any(c)?;
            let (a, b) = (self.any(a)?, self.any(b)?);
            let d = self.dest(i)?;
            self.emit(Uop::VSelect { d, c, a, b });
            return Ok(());
        }
        let (sa, sb) = (self.any(a)?, self.any(b)?);
        let dirty = |p: ValueLocation| matches!(p, ValueLocation::Slot { dirty: true, .. });
        let wash = dirty(self.locations[a.0 as usize]) || dirty(self.locations[b.0 as usize]);
        let test = match self.block.insts[c.0 as usize].op {
            Op::Test(cond, f) if self.live.uses[c.0 as usize].deferred => Some((cond, f)),
            _ => None,
        };
        let d = if let Some((cond, f)) = test {
            let f = self.any(f)?;
            let d = self.dest(i)?;
            self.emit(Uop::SelectCond { d, f, cond, a: sa, b: sb });
            d
        } else {
            let c = self.any(c)?;
            let d = self.dest(i)?;
            self.emit(Uop::Select { d, c, a: sa, b: sb });
            d
        };
        if wash {
            self.emit(Uop::Zext32 { d, a: d });
        }
        Ok(())
    }
}
