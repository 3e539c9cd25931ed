//! Sums and differences that set the flags and go to a register (ADDS, SUBS).
//!
//! They come as two operations, the flags first. The host's instruction does both.

use dynasmrt::DynasmApi;

use super::lazy_flags::{FlagLocation, LazyFlags, Source};
use super::{Emitter, asm, int_disp};
use crate::interp::block::Code;
use crate::interp::uop::{NZCV, Uop};
use crate::jit::state::FlagKind;

/// Two operations that are one instruction of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flagged {
    d: u8,
    lazy: LazyFlags,
    /// The slot of the first operand.
    a: u8,
}

/// The operations of `code` from `n` on as one, if they are. A constant must fit the host's instruction, and it must be the
/// first operand that is overwritten.
fn at(code: &Code, n: usize) -> Option<Flagged> {
    let &[flags, sum] = code.uops.get(n..n + 2)? else { return None };
    let slots = |kind, a, b| LazyFlags { kind, a: Source::slot(a), b: Source::slot(b) };
    let number = |kind, a, imm| LazyFlags { kind, a: Source::slot(a), b: Source::Number(imm) };
    let ((d, a, b), found) = match (flags, sum) {
        (Uop::FlagsAdd64 { d: NZCV, a, b }, Uop::Add64 { d, a: p, b: q }) => {
            ((d, p, q), slots(FlagKind::Add64, a, b))
        }
        (Uop::FlagsAdd32 { d: NZCV, a, b }, Uop::Add32 { d, a: p, b: q }) => {
            ((d, p, q), slots(FlagKind::Add32, a, b))
        }
        (Uop::FlagsSub64 { d: NZCV, a, b }, Uop::Sub64 { d, a: p, b: q }) => {
            ((d, p, q), slots(FlagKind::Sub64, a, b))
        }
        (Uop::FlagsSub32 { d: NZCV, a, b }, Uop::Sub32 { d, a: p, b: q }) => {
            ((d, p, q), slots(FlagKind::Sub32, a, b))
        }
        (Uop::FlagsSubI64 { d: NZCV, a, imm }, Uop::AddI64 { d, a: p, imm: n }) => {
            let fits = d == a && p == a && n == imm.wrapping_neg() && i32::try_from(imm as i64).is_ok();
            return fits.then_some(Flagged { d, lazy: number(FlagKind::Sub64, a, imm), a });
        }
        (Uop::FlagsSubI32 { d: NZCV, a, imm }, Uop::AddI32 { d, a: p, imm: n }) => {
            let fits = d == a && p == a && n == imm.wrapping_neg();
            return fits.then_some(Flagged { d, lazy: number(FlagKind::Sub32, a, u64::from(imm)), a });
        }
        _ => return None,
    };
    let same = (found.a, found.b) == (Source::slot(a), Source::slot(b));
    (same && (d == a || d != b)).then_some(Flagged { d, lazy: found, a })
}

impl Emitter<'_> {
    /// Flags and a result that are made together; false if the current operation does not begin such.
    pub(super) fn flagged(&mut self) -> bool {
        let Some(Flagged { d, lazy, a }) = at(self.input.code, self.uop_index) else { return false };
        // Without a register the result would be stored after the flags are set.
        let Some(r) = self.reg(d) else { return false };
        self.flags.set(FlagLocation::Lazy(lazy));
        match self.input.code.uops.get(self.uop_index + 1) {
            Some(sum) if matches!(lazy.b, Source::Number(_)) => {
                if let Some(after) = lazy.after(sum) {
                    self.flags.set(FlagLocation::Lazy(after));
                } else {
                    self.preserve_operand(d);
                }
            }
            _ => self.preserve_operand(d),
        }
        self.next_uop = self.uop_index + 2;
        self.load(r, a);
        let b = match (lazy.kind, lazy.b) {
            (_, Source::Slot { slot, .. }) => self.reg(slot).ok_or(slot),
            (FlagKind::Sub64, Source::Number(n)) => return self.subtract(true, r, n as i32),
            (_, Source::Number(n)) => return self.subtract(false, r, n as i32),
            (_, Source::Saved) => return false,
        };
        match (lazy.kind, b) {
            (FlagKind::Add64, Ok(b)) => asm!(self; add Rq(r), Rq(b)),
            (FlagKind::Add64, Err(b)) => asm!(self; add Rq(r), [r15 + int_disp(b)]),
            (FlagKind::Add32, Ok(b)) => asm!(self; add Rd(r), Rd(b)),
            (FlagKind::Add32, Err(b)) => asm!(self; add Rd(r), [r15 + int_disp(b)]),
            (FlagKind::Sub64, Ok(b)) => asm!(self; sub Rq(r), Rq(b)),
            (FlagKind::Sub64, Err(b)) => asm!(self; sub Rq(r), [r15 + int_disp(b)]),
            (_, Ok(b)) => asm!(self; sub Rd(r), Rd(b)),
            (_, Err(b)) => asm!(self; sub Rd(r), [r15 + int_disp(b)]),
        }
        true
    }

    fn subtract(&mut self, wide: bool, r: u8, n: i32) -> bool {
        if wide {
            asm!(self; sub Rq(r), n);
        } else {
            asm!(self; sub Rd(r), n);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uops: Vec<Uop>) -> Code {
        Code { uops, ..Code::default() }
    }

    #[test]
    fn one_instruction_for_flags_and_result() {
        let adds = code(vec![Uop::FlagsAdd64 { d: NZCV, a: 1, b: 2 }, Uop::Add64 { d: 1, a: 1, b: 2 }]);
        assert_eq!(at(&adds, 0).map(|f| (f.d, f.a, f.lazy.kind)), Some((1, 1, FlagKind::Add64)));
        let other = code(vec![Uop::FlagsAdd64 { d: NZCV, a: 1, b: 2 }, Uop::Add64 { d: 1, a: 1, b: 3 }]);
        assert_eq!(at(&other, 0), None, "another sum");
        let second = code(vec![Uop::FlagsSub64 { d: NZCV, a: 1, b: 2 }, Uop::Sub64 { d: 2, a: 1, b: 2 }]);
        assert_eq!(at(&second, 0), None, "the second operand is overwritten");
    }

    #[test]
    fn a_count_that_goes_down() {
        let step = |n: u32| Uop::AddI32 { d: 1, a: 1, imm: n };
        let subs = code(vec![Uop::FlagsSubI32 { d: NZCV, a: 1, imm: 1 }, step(u32::MAX)]);
        assert!(at(&subs, 0).is_some());
        let other = code(vec![Uop::FlagsSubI32 { d: NZCV, a: 1, imm: 1 }, step(1)]);
        assert_eq!(at(&other, 0), None);
    }
}
