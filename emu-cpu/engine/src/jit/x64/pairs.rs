//! Two operations that are done as one.
//!
//! Both halves of a product are one multiplication of the host. And where Arm shifts an operand on its way into an
//! operation, the shifted value is a temporary that nothing else reads: it goes through rax and takes no register.

use dynasmrt::DynasmApi;

use super::{Emitter, RAX, RCX, RDX, e, step, x};
use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, Uop};

/// What the operation before this one has left for it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Ready {
    /// Nothing.
    #[default]
    Nothing,
    /// The value of a temporary, in rax.
    Temporary,
    /// The product whose high half it asks for, in rdx.
    High,
}

/// A shift by a constant, as its operands and whether it is of 64 bits.
fn shift(uop: &Uop) -> Option<(u8, u8, u8, bool)> {
    Some(match *uop {
        Uop::ShlI64 { d, a, n }
        | Uop::LsrI64 { d, a, n }
        | Uop::AsrI64 { d, a, n }
        | Uop::RorI64 { d, a, n } => (d, a, n & 63, true),
        Uop::ShlI32 { d, a, n }
        | Uop::LsrI32 { d, a, n }
        | Uop::AsrI32 { d, a, n }
        | Uop::RorI32 { d, a, n } => (d, a, n & 31, false),
        _ => return None,
    })
}

/// An operation that can take its second operand from rax.
fn binary(uop: &Uop) -> Option<(u8, u8, u8)> {
    Some(match *uop {
        Uop::Add64 { d, a, b } | Uop::Add32 { d, a, b } | Uop::Sub64 { d, a, b } | Uop::Sub32 { d, a, b } => {
            (d, a, b)
        }
        Uop::And64 { d, a, b } | Uop::And32 { d, a, b } | Uop::Or64 { d, a, b } | Uop::Or32 { d, a, b } => {
            (d, a, b)
        }
        Uop::Xor64 { d, a, b } | Uop::Xor32 { d, a, b } => (d, a, b),
        _ => return None,
    })
}

/// The temporary that operation `n` makes for the next one only, if they are done as one.
pub(super) fn passed_on(code: &Code, n: usize) -> Option<u8> {
    let (t, ..) = shift(code.uops.get(n)?)?;
    let (_, a, b) = binary(code.uops.get(n + 1)?)?;
    (t >= FIRST_TEMP && b == t && a != t && !step::is_read_from(code, n + 2, t)).then_some(t)
}

/// True if the two ask for both halves of one product.
fn is_whole_product(low: &Uop, high: &Uop) -> bool {
    let Uop::Mul64 { d, a, b } = *low else { return false };
    let (Uop::UMulH { a: p, b: q, .. } | Uop::SMulH { a: p, b: q, .. }) = *high else { return false };
    d != a && d != b && ((p, q) == (a, b) || (p, q) == (b, a))
}

impl Emitter<'_> {
    /// This operation and the next one, or one that the last one has made ready; false if it is nothing of the kind.
    pub(super) fn pair(&mut self, uop: Uop) -> bool {
        match std::mem::take(&mut self.ready) {
            Ready::Nothing => {}
            Ready::Temporary => return self.with_rax(uop),
            Ready::High => {
                if let Uop::UMulH { d, .. } | Uop::SMulH { d, .. } = uop {
                    self.store(d, RDX);
                }
                return true;
            }
        }
        let Some(next) = self.input.code.uops.get(self.number + 1).copied() else { return false };
        if is_whole_product(&uop, &next) {
            self.product(uop, next);
        } else if passed_on(self.input.code, self.number).is_some() {
            self.shift_to_rax(uop);
            self.ready = Ready::Temporary;
        } else {
            return false;
        }
        self.number += 1;
        self.next = self.number + 1;
        self.insn = self.input.code.insn_of.get(self.number).copied().unwrap_or(self.insn);
        self.operation(next);
        true
    }

    fn product(&mut self, low: Uop, high: Uop) {
        let Uop::Mul64 { d, a, b } = low else { return };
        self.load(RAX, a);
        let b = self.read(b, RCX);
        if matches!(high, Uop::SMulH { .. }) {
            e!(self; imul Rq(b));
        } else {
            e!(self; mul Rq(b));
        }
        self.store(d, RAX);
        self.ready = Ready::High;
    }

    fn shift_to_rax(&mut self, uop: Uop) {
        let Some((_, a, n, wide)) = shift(&uop) else { return };
        let n = n as i8;
        if self.host.bmi2 && matches!(uop, Uop::RorI64 { .. } | Uop::RorI32 { .. }) {
            return self.rotate(RAX, a, n, wide);
        }
        if wide {
            self.load(RAX, a);
        } else {
            self.load32(RAX, a);
        }
        match uop {
            Uop::ShlI64 { .. } => e!(self; shl rax, n),
            Uop::LsrI64 { .. } => e!(self; shr rax, n),
            Uop::AsrI64 { .. } => e!(self; sar rax, n),
            Uop::RorI64 { .. } => e!(self; ror rax, n),
            Uop::ShlI32 { .. } => e!(self; shl eax, n),
            Uop::LsrI32 { .. } => e!(self; shr eax, n),
            Uop::AsrI32 { .. } => e!(self; sar eax, n),
            _ => e!(self; ror eax, n),
        }
    }

    /// RORX.
    pub(super) fn rotate(&mut self, r: u8, a: u8, n: i8, wide: bool) {
        match (self.reg(a), wide) {
            (Some(a), true) => e!(self; rorx Rq(r), Rq(a), n),
            (Some(a), false) => e!(self; rorx Rd(r), Rd(a), n),
            (None, true) => e!(self; rorx Rq(r), [r15 + x(a)], n),
            (None, false) => e!(self; rorx Rd(r), [r15 + x(a)], n),
        }
    }

    /// An operation whose second operand is in rax.
    fn with_rax(&mut self, uop: Uop) -> bool {
        macro_rules! with {
            ($op:ident, $r:ident, $q:ident) => {
                e!(self; $op $r($q), $r(RAX))
            };
        }
        let Some((d, a, _)) = binary(&uop) else { return false };
        let r = self.result(d, RCX);
        self.load(r, a);
        match uop {
            Uop::Add64 { .. } => with!(add, Rq, r),
            Uop::Add32 { .. } => with!(add, Rd, r),
            Uop::Sub64 { .. } => with!(sub, Rq, r),
            Uop::Sub32 { .. } => with!(sub, Rd, r),
            Uop::And64 { .. } => with!(and, Rq, r),
            Uop::And32 { .. } => with!(and, Rd, r),
            Uop::Or64 { .. } => with!(or, Rq, r),
            Uop::Or32 { .. } => with!(or, Rd, r),
            Uop::Xor64 { .. } => with!(xor, Rq, r),
            _ => with!(xor, Rd, r),
        }
        self.store(d, r);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uops: &[Uop]) -> Code {
        Code { uops: uops.to_vec(), ..Code::default() }
    }

    #[test]
    fn a_shifted_operand_is_passed_on_if_nobody_else_reads_it() {
        let t = FIRST_TEMP;
        let shift = Uop::RorI32 { d: t, a: 1, n: 7 };
        let xor = Uop::Xor32 { d: 0, a: 2, b: t };
        assert_eq!(passed_on(&code(&[shift, xor, Uop::Goto]), 0), Some(t));
        assert_eq!(passed_on(&code(&[shift, xor, shift, xor]), 0), Some(t), "it is written again");
        assert_eq!(passed_on(&code(&[shift, xor, Uop::Mov { d: 3, a: t }]), 0), None);
        assert_eq!(passed_on(&code(&[shift, Uop::Xor32 { d: 0, a: t, b: t }]), 0), None);
        assert_eq!(
            passed_on(&code(&[Uop::RorI32 { d: 5, a: 1, n: 7 }, Uop::Xor32 { d: 0, a: 2, b: 5 }]), 0),
            None
        );
    }

    #[test]
    fn halves_of_one_product() {
        let low = Uop::Mul64 { d: 5, a: 1, b: 2 };
        assert!(is_whole_product(&low, &Uop::UMulH { d: 1, a: 1, b: 2 }));
        assert!(is_whole_product(&low, &Uop::SMulH { d: 1, a: 2, b: 1 }));
        assert!(!is_whole_product(&low, &Uop::UMulH { d: 1, a: 1, b: 5 }));
        assert!(!is_whole_product(&Uop::Mul64 { d: 1, a: 1, b: 2 }, &Uop::UMulH { d: 5, a: 1, b: 2 }));
    }
}
