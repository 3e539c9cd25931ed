//! Two operations that are done as one.
//!
//! Both halves of a product are one multiplication of the host. And where Arm shifts an operand on its way into an
//! operation, the shifted value is a temporary that nothing else reads: it goes through rax and takes no register.

use dynasmrt::DynasmApi;

use super::{Emitter, RAX, RCX, RDX, asm, int_disp, step};
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

/// How a shift moves bits.
#[derive(Clone, Copy)]
enum Direction {
    Left,
    Right,
    Arithmetic,
    Rotate,
}

/// A shift by a constant.
struct Shift {
    direction: Direction,
    wide: bool,
    d: u8,
    a: u8,
    n: i8,
}

fn shift(uop: &Uop) -> Option<Shift> {
    use Direction::*;
    let (direction, wide, d, a, n) = match *uop {
        Uop::ShlI64 { d, a, n } => (Left, true, d, a, n),
        Uop::LsrI64 { d, a, n } => (Right, true, d, a, n),
        Uop::AsrI64 { d, a, n } => (Arithmetic, true, d, a, n),
        Uop::RorI64 { d, a, n } => (Rotate, true, d, a, n),
        Uop::ShlI32 { d, a, n } => (Left, false, d, a, n),
        Uop::LsrI32 { d, a, n } => (Right, false, d, a, n),
        Uop::AsrI32 { d, a, n } => (Arithmetic, false, d, a, n),
        Uop::RorI32 { d, a, n } => (Rotate, false, d, a, n),
        _ => return None,
    };
    Some(Shift { direction, wide, d, a, n: (n & if wide { 63 } else { 31 }) as i8 })
}

/// What the host has with its second operand in rax.
#[derive(Clone, Copy)]
enum Alu {
    Add,
    Sub,
    And,
    Or,
    Xor,
}

/// An operation that can take its second operand from rax.
struct Binary {
    op: Alu,
    wide: bool,
    d: u8,
    a: u8,
    b: u8,
}

fn binary(uop: &Uop) -> Option<Binary> {
    use Alu::*;
    let (op, wide, d, a, b) = match *uop {
        Uop::Add64 { d, a, b } => (Add, true, d, a, b),
        Uop::Add32 { d, a, b } => (Add, false, d, a, b),
        Uop::Sub64 { d, a, b } => (Sub, true, d, a, b),
        Uop::Sub32 { d, a, b } => (Sub, false, d, a, b),
        Uop::And64 { d, a, b } => (And, true, d, a, b),
        Uop::And32 { d, a, b } => (And, false, d, a, b),
        Uop::Or64 { d, a, b } => (Or, true, d, a, b),
        Uop::Or32 { d, a, b } => (Or, false, d, a, b),
        Uop::Xor64 { d, a, b } => (Xor, true, d, a, b),
        Uop::Xor32 { d, a, b } => (Xor, false, d, a, b),
        _ => return None,
    };
    Some(Binary { op, wide, d, a, b })
}

/// The temporary that operation `n` makes for the next one only, if they are done as one.
pub(super) fn passed_on(code: &Code, n: usize) -> Option<u8> {
    let t = shift(code.uops.get(n)?)?.d;
    let Binary { a, b, .. } = binary(code.uops.get(n + 1)?)?;
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
        let Some(next) = self.input.code.uops.get(self.uop_index + 1).copied() else { return false };
        if is_whole_product(&uop, &next) {
            self.product(uop, next);
        } else if passed_on(self.input.code, self.uop_index).is_some()
            && let Some(shift) = shift(&uop)
        {
            self.shift_to_rax(&shift);
            self.ready = Ready::Temporary;
        } else {
            return false;
        }
        self.uop_index += 1;
        self.next_uop = self.uop_index + 1;
        self.insn = self.input.code.insn_of.get(self.uop_index).copied().unwrap_or(self.insn);
        self.operation(next);
        true
    }

    fn product(&mut self, low: Uop, high: Uop) {
        let Uop::Mul64 { d, a, b } = low else { return };
        self.load(RAX, a);
        let b = self.read(b, RCX);
        if matches!(high, Uop::SMulH { .. }) {
            asm!(self; imul Rq(b));
        } else {
            asm!(self; mul Rq(b));
        }
        self.store(d, RAX);
        self.ready = Ready::High;
    }

    fn shift_to_rax(&mut self, &Shift { direction, wide, a, n, .. }: &Shift) {
        use Direction::*;
        if self.host.bmi2 && matches!(direction, Rotate) {
            return self.rotate(RAX, a, n, wide);
        }
        if wide {
            self.load(RAX, a);
        } else {
            self.load32(RAX, a);
        }
        match (direction, wide) {
            (Left, true) => asm!(self; shl rax, n),
            (Right, true) => asm!(self; shr rax, n),
            (Arithmetic, true) => asm!(self; sar rax, n),
            (Rotate, true) => asm!(self; ror rax, n),
            (Left, false) => asm!(self; shl eax, n),
            (Right, false) => asm!(self; shr eax, n),
            (Arithmetic, false) => asm!(self; sar eax, n),
            (Rotate, false) => asm!(self; ror eax, n),
        }
    }

    /// RORX.
    pub(super) fn rotate(&mut self, r: u8, a: u8, n: i8, wide: bool) {
        match (self.reg(a), wide) {
            (Some(a), true) => asm!(self; rorx Rq(r), Rq(a), n),
            (Some(a), false) => asm!(self; rorx Rd(r), Rd(a), n),
            (None, true) => asm!(self; rorx Rq(r), [r15 + int_disp(a)], n),
            (None, false) => asm!(self; rorx Rd(r), [r15 + int_disp(a)], n),
        }
    }

    /// An operation whose second operand is in rax; false if it is something else.
    fn with_rax(&mut self, uop: Uop) -> bool {
        use Alu::*;
        let Some(Binary { op, wide, d, a, .. }) = binary(&uop) else { return false };
        let r = self.result(d, RCX);
        self.load(r, a);
        match (op, wide) {
            (Add, true) => asm!(self; add Rq(r), rax),
            (Add, false) => asm!(self; add Rd(r), eax),
            (Sub, true) => asm!(self; sub Rq(r), rax),
            (Sub, false) => asm!(self; sub Rd(r), eax),
            (And, true) => asm!(self; and Rq(r), rax),
            (And, false) => asm!(self; and Rd(r), eax),
            (Or, true) => asm!(self; or Rq(r), rax),
            (Or, false) => asm!(self; or Rd(r), eax),
            (Xor, true) => asm!(self; xor Rq(r), rax),
            (Xor, false) => asm!(self; xor Rd(r), eax),
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
