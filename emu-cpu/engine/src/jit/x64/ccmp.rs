//! Conditional comparisons (CCMP, CCMN).
//!
//! The flags are those of a comparison or a constant, as a condition has it. Host code jumps, and either compares or sets
//! its flags to what stands for the constant; then it saves them as they are ([`FlagKind::Host`]).

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::ir::Cond;

use super::lazy_flags::{FlagLocation, LazyFlags, Source};
use super::{Emitter, RAX, RCX, asm, state, step};
use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, NZCV, Uop, ZERO};
use crate::jit::state::{FlagKind, JitState};

/// The operations of one.
struct Ccmp {
    cond: Cond,
    /// N, Z, C, V from bit 3 down.
    otherwise: u8,
    /// Number of the operation behind it.
    next: usize,
}

/// The operations of `code` from `n` on as a conditional comparison, if they are one: a comparison to a temporary, a
/// constant, and a selection from the two.
fn at(code: &Code, n: usize) -> Option<Ccmp> {
    let t = match *code.uops.get(n)? {
        Uop::FlagsSub64 { d, .. } | Uop::FlagsSub32 { d, .. } | Uop::FlagsSubI32 { d, .. } => d,
        Uop::FlagsAdd64 { d, .. } | Uop::FlagsAdd32 { d, .. } => d,
        Uop::FlagsSubI64 { d, imm, .. } if i32::try_from(imm as i64).is_ok() => d,
        _ => return None,
    };
    let (constant, next) = match *code.uops.get(n + 1)? {
        Uop::Const { d, imm } if d >= FIRST_TEMP => ((d, imm), n + 2),
        _ => ((ZERO, 0), n + 1),
    };
    let Uop::SelectCond { d: NZCV, f: NZCV, cond, a, b } = *code.uops.get(next)? else { return None };
    let unused = |slot| slot == ZERO || !step::is_read_from(code, next + 1, slot);
    let fits = t >= FIRST_TEMP && (a, b) == (t, constant.0) && !matches!(cond, Cond::Al | Cond::Nv);
    (fits && unused(t) && unused(constant.0)).then_some(Ccmp {
        cond,
        otherwise: (constant.1 >> 28 & 15) as u8,
        next: next + 1,
    })
}

impl Emitter<'_> {
    /// A conditional comparison that begins with this operation; false if it does not.
    pub(super) fn conditional_comparison(&mut self, uop: Uop) -> bool {
        let Some(Ccmp { cond, otherwise, next }) = at(self.input.code, self.uop_index) else { return false };
        self.next_uop = next;
        let (constant, over) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let cc = self.condition(NZCV, cond);
        self.jump_if(cc ^ 1, constant);
        match uop {
            Uop::FlagsSub64 { a, b, .. } => {
                let (a, b) = (self.read(a, RAX), self.read(b, RCX));
                asm!(self; cmp Rq(a), Rq(b));
            }
            Uop::FlagsSub32 { a, b, .. } => {
                let (a, b) = (self.read(a, RAX), self.read(b, RCX));
                asm!(self; cmp Rd(a), Rd(b));
            }
            Uop::FlagsSubI64 { a, imm, .. } => {
                let a = self.read(a, RAX);
                asm!(self; cmp Rq(a), imm as i32);
            }
            Uop::FlagsSubI32 { a, imm, .. } => {
                let a = self.read(a, RAX);
                asm!(self; cmp Rd(a), imm as i32);
            }
            // The host's carry after a sum is Arm's; as after a difference, it must be the opposite.
            Uop::FlagsAdd64 { a, b, .. } => {
                self.load(RAX, a);
                let b = self.read(b, RCX);
                asm!(self; add rax, Rq(b) ; cmc);
            }
            Uop::FlagsAdd32 { a, b, .. } => {
                self.load(RAX, a);
                let b = self.read(b, RCX);
                asm!(self; add eax, Rd(b) ; cmc);
            }
            _ => {}
        }
        asm!(self; jmp =>over ; =>constant);
        self.host_flags(otherwise);
        asm!(self; =>over);
        self.keep_host_flags(false);
        true
    }

    /// Keeps the flags that the host has: as after a difference, or with Arm's `carry`.
    pub(super) fn keep_host_flags(&mut self, carry: bool) {
        if carry {
            asm!(self; cmc);
        }
        asm!(self; lahf ; seto al ; mov [r15 + state!(saved_a)], rax);
        self.flags.set(FlagLocation::Lazy(LazyFlags {
            kind: FlagKind::Host,
            a: Source::Saved,
            b: Source::Number(0),
        }));
    }

    /// Sets the host's flags as after a difference: the carry is the opposite of Arm's.
    fn host_flags(&mut self, nzcv: u8) {
        let (n, z, c, v) = (nzcv >> 3 & 1, nzcv >> 2 & 1, nzcv >> 1 & 1, nzcv & 1);
        let image = n << 7 | z << 6 | c ^ 1;
        asm!(self; mov eax, i32::from(image) << 8 | i32::from(v));
        self.host_flags_of_image();
    }

    /// The host's flags from their image in ax: those of AH, and overflow from AL.
    pub(super) fn host_flags_of_image(&mut self) {
        // Only 1 overflows.
        asm!(self; add al, 0x7f ; sahf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uops: Vec<Uop>) -> Code {
        Code { uops, ..Code::default() }
    }

    const T: u8 = FIRST_TEMP;
    const COMPARE: Uop = Uop::FlagsSub64 { d: T, a: 2, b: 3 };
    const SELECT: Uop = Uop::SelectCond { d: NZCV, f: NZCV, cond: Cond::Ne, a: T, b: T + 1 };

    #[test]
    fn three_operations_are_one() {
        let uops = vec![COMPARE, Uop::Const { d: T + 1, imm: 4 << 28 }, SELECT, Uop::Goto];
        let found = at(&code(uops), 0).unwrap();
        assert_eq!((found.cond, found.otherwise, found.next), (Cond::Ne, 4, 3));
    }

    #[test]
    fn not_if_a_temporary_is_read_later() {
        let again = Uop::Mov { d: 0, a: T };
        let uops = vec![COMPARE, Uop::Const { d: T + 1, imm: 4 << 28 }, SELECT, again, Uop::Goto];
        assert!(at(&code(uops), 0).is_none());
        assert!(at(&code(vec![COMPARE, SELECT, Uop::Goto]), 0).is_none(), "no constant");
    }
}
