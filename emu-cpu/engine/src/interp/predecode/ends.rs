//! How a block ends.

use emu_a64::ir::{Op, Term, Ty, Val};

use super::{Predecoder, TooBig};
use crate::interp::block::Exit;
use crate::interp::uop::Uop;

impl Predecoder<'_> {
    pub(super) fn term(&mut self) -> Result<(), TooBig> {
        let exit = |rel| Exit { rel, ..Exit::default() };
        match self.block.term {
            Term::Goto { rel, .. } => {
                self.code.exits[0] = exit(rel);
                self.emit(Uop::Goto);
            }
            Term::If { cond, then_rel, else_rel } => {
                self.code.exits = [exit(then_rel), exit(else_rel)];
                let uop = self.branch(cond)?;
                self.emit(uop);
            }
            Term::Indirect { target, btype, .. } => {
                let a = self.any(target)?;
                self.emit(if btype == 0 { Uop::Indirect { a } } else { Uop::IndirectTyped { a, btype } });
            }
            Term::Exception(e) => self.emit(Uop::Exception(e)),
            Term::Leave { kind, next } => {
                self.code.exits[0] = exit(next);
                self.emit(Uop::Leave { kind });
            }
        }
        Ok(())
    }

    pub(super) fn branch(&mut self, cond: Val) -> Result<Uop, TooBig> {
        if self.live.uses[cond.0 as usize].deferred {
            let op = self.block.insts[cond.0 as usize].op;
            return Ok(match op {
                Op::Test(cond, f) => Uop::IfCond { f: self.any(f)?, cond },
                Op::IsZero(Ty::I64, a) => Uop::IfZero64 { a: self.any(a)? },
                Op::IsZero(_, a) => Uop::IfZero32 { a: self.any(a)? },
                Op::NonZero(Ty::I64, a) => Uop::IfNonZero64 { a: self.any(a)? },
                Op::NonZero(_, a) => Uop::IfNonZero32 { a: self.any(a)? },
                Op::Bit(n, a) => Uop::IfBit { a: self.any(a)?, n, set: true },
                Op::NotI1(v) => match self.block.insts[v.0 as usize].op {
                    Op::Bit(n, a) if self.live.uses[v.0 as usize].deferred => {
                        Uop::IfBit { a: self.any(a)?, n, set: false }
                    }
                    _ => Uop::IfZero64 { a: self.any(v)? },
                },
                _ => Uop::IfI1 { a: self.force(cond)? },
            });
        }
        Ok(Uop::IfI1 { a: self.any(cond)? })
    }
}
