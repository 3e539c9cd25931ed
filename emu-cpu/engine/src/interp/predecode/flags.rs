//! NZCV, tests of it, and selections.

use emu_a64::ir::{Op, Ty, Val};

use super::{Place, Predecoder, TooBig};
use crate::interp::liveness::constant;
use crate::interp::uop::Uop;

impl Predecoder<'_> {
    pub(super) fn flags(&mut self, i: usize, op: Op) -> Result<(), TooBig> {
        let uop = match op {
            Op::FlagsConst(nzcv) => {
                self.places[i] = Place::Const(u64::from(nzcv) << 28);
                return Ok(());
            }
            Op::FlagsSub(ty, a, b) if constant(self.block, b).is_some() => {
                let imm = constant(self.block, b).unwrap_or(0);
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 {
                    Uop::FlagsSubI64 { d, a, imm }
                } else {
                    Uop::FlagsSubI32 { d, a, imm: imm as u32 }
                }
            }
            Op::FlagsAdd(ty, a, b) | Op::FlagsSub(ty, a, b) => {
                let add = matches!(op, Op::FlagsAdd(..));
                let (a, b) = (self.any(a)?, self.any(b)?);
                let d = self.dest(i)?;
                match (add, ty == Ty::I64) {
                    (true, true) => Uop::FlagsAdd64 { d, a, b },
                    (true, false) => Uop::FlagsAdd32 { d, a, b },
                    (false, true) => Uop::FlagsSub64 { d, a, b },
                    (false, false) => Uop::FlagsSub32 { d, a, b },
                }
            }
            Op::FlagsAdc(ty, a, b, f) => {
                let (a, b, c) = (self.any(a)?, self.any(b)?, self.any(f)?);
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::FlagsAdc64 { d, a, b, c } } else { Uop::FlagsAdc32 { d, a, b, c } }
            }
            Op::FlagsLogic(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::FlagsLogic64 { d, a } } else { Uop::FlagsLogic32 { d, a } }
            }
            Op::FlagsFromNzcv(a) | Op::NzcvFromFlags(a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::Nzcv { d, a }
            }
            Op::Test(cond, f) => {
                let a = self.any(f)?;
                let d = self.dest(i)?;
                Uop::Test { d, a, cond }
            }
            Op::IsZero(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::IsZero64 { d, a } } else { Uop::IsZero32 { d, a } }
            }
            Op::NonZero(ty, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                if ty == Ty::I64 { Uop::NonZero64 { d, a } } else { Uop::NonZero32 { d, a } }
            }
            Op::Bit(n, a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::Bit { d, a, n }
            }
            Op::NotI1(a) => {
                let a = self.any(a)?;
                let d = self.dest(i)?;
                Uop::NotI1 { d, a }
            }
            Op::Select(ty, c, a, b) => return self.select(i, ty, c, a, b),
            _ => return Ok(()),
        };
        self.emit(uop);
        Ok(())
    }

    pub(super) fn select(&mut self, i: usize, ty: Ty, c: Val, a: Val, b: Val) -> Result<(), TooBig> {
        if ty == Ty::V128 {
            let c = self.any(c)?;
            let (a, b) = (self.any(a)?, self.any(b)?);
            let d = self.dest(i)?;
            self.emit(Uop::VSelect { d, c, a, b });
            return Ok(());
        }
        let (sa, sb) = (self.any(a)?, self.any(b)?);
        let dirty = |p: Place| matches!(p, Place::Slot { dirty: true, .. });
        let wash = dirty(self.places[a.0 as usize]) || dirty(self.places[b.0 as usize]);
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
