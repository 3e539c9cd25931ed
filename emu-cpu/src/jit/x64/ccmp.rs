//! A conditional comparison and the branch on it, done as two branches.
//!
//! CCMP takes the flags of a comparison or a constant. Where a branch asks for them at once, the constant has decided it
//! when the code is made, and NZCV is no value that anybody computes.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::{Emitter, e, st, x};
use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, NZCV, Uop, ZERO};
use crate::ir::Cond;
use crate::jit::state::JitState;

/// CCMP or CCMN at the end of a block, and what the block ends in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Compared {
    /// When the comparison is made.
    when: Cond,
    /// The flags otherwise.
    nzcv: u32,
    /// When the block is left by exit 0.
    branch: Cond,
}

/// Where the comparison is not made: code that is put off.
pub(super) struct Otherwise {
    start: DynamicLabel,
    part: usize,
    nzcv: u32,
    /// The exit that is taken.
    n: usize,
}

/// The comparison itself as one that sets the flags, if its result went to a temporary.
fn setting_flags(uop: &Uop) -> Option<(u8, Uop)> {
    let d = NZCV;
    let (t, sets) = match *uop {
        Uop::FlagsSub64 { d: t, a, b } => (t, Uop::FlagsSub64 { d, a, b }),
        Uop::FlagsSub32 { d: t, a, b } => (t, Uop::FlagsSub32 { d, a, b }),
        Uop::FlagsAdd64 { d: t, a, b } => (t, Uop::FlagsAdd64 { d, a, b }),
        Uop::FlagsAdd32 { d: t, a, b } => (t, Uop::FlagsAdd32 { d, a, b }),
        Uop::FlagsSubI64 { d: t, a, imm } => (t, Uop::FlagsSubI64 { d, a, imm }),
        Uop::FlagsSubI32 { d: t, a, imm } => (t, Uop::FlagsSubI32 { d, a, imm }),
        _ => return None,
    };
    (t >= FIRST_TEMP).then_some((t, sets))
}

/// What is at the end of a block from operation `n` on, with the comparison.
fn compared(code: &Code, n: usize) -> Option<(Compared, Uop)> {
    let (t, sets) = setting_flags(code.uops.get(n)?)?;
    let rest = code.uops.get(n + 1..)?;
    let (otherwise, nzcv, rest) = match *rest {
        [Uop::Const { d, imm }, ref rest @ ..] if d >= FIRST_TEMP && d != t => (d, imm as u32, rest),
        ref rest => (ZERO, 0, rest),
    };
    let [Uop::SelectCond { d: NZCV, f: NZCV, cond: when, a, b }, Uop::IfCond { f: NZCV, cond: branch }] =
        *rest
    else {
        return None;
    };
    let always = |cond| matches!(cond, Cond::Al | Cond::Nv);
    ((a, b) == (t, otherwise) && !always(when) && !always(branch))
        .then_some((Compared { when, nzcv, branch }, sets))
}

impl Emitter<'_> {
    /// The end of a block from this operation on; false if it is nothing of the kind.
    pub(super) fn conditional_compare(&mut self) -> bool {
        let Some((how, sets)) = compared(self.input.code, self.number) else { return false };
        let start = self.ops.new_dynamic_label();
        let cc = self.condition(NZCV, how.when);
        self.jump_if(cc ^ 1, start);
        let n = usize::from(!how.branch.holds(how.nzcv));
        self.note_otherwise(n);
        self.others.push(Otherwise { start, part: self.number_of_part, nzcv: how.nzcv, n });
        self.number = self.input.code.uops.len().saturating_sub(1);
        self.next = self.number + 1;
        self.operation(sets);
        self.operation(Uop::IfCond { f: NZCV, cond: how.branch });
        true
    }

    /// The way by exit `n` with flags in their slot is one more that leads there.
    fn note_otherwise(&mut self, n: usize) {
        let (part, before) = (self.number_of_part, self.flags);
        if let Some(to) = self.input.to[n].filter(|to| *to > part) {
            self.flags.in_slot();
            self.note_way(to);
            self.flags = before;
        }
    }

    /// What happens where the comparison was not made.
    pub(super) fn otherwise(&mut self) {
        for Otherwise { start, part, nzcv, n } in std::mem::take(&mut self.others) {
            self.back_in(part);
            e!(self
                ; =>start
                ; mov eax, nzcv as i32
                ; mov [r15 + x(NZCV)], rax
                ; mov DWORD [r15 + st!(flag_kind)], 0
            );
            if self.input.goes_on() {
                let way = self.way_by(n, false);
                e!(self; jmp =>way);
            } else {
                self.put_assigned_back();
                self.exit(n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u8 = FIRST_TEMP;

    fn code(uops: &[Uop]) -> Code {
        Code { uops: uops.to_vec(), ..Code::default() }
    }

    #[test]
    fn a_branch_on_a_conditional_comparison() {
        let compare = Uop::FlagsSubI64 { d: T, a: 20, imm: 0 };
        let other = Uop::Const { d: T + 1, imm: 0x4000_0000 };
        let select = |b| Uop::SelectCond { d: NZCV, f: NZCV, cond: Cond::Ne, a: T, b };
        let branch = Uop::IfCond { f: NZCV, cond: Cond::Eq };
        let how = |nzcv| Compared { when: Cond::Ne, nzcv, branch: Cond::Eq };
        let found = |uops: &[Uop]| compared(&code(uops), 0).map(|c| c.0);
        assert_eq!(found(&[compare, other, select(T + 1), branch]), Some(how(0x4000_0000)));
        assert_eq!(found(&[compare, select(ZERO), branch]), Some(how(0)));
        assert_eq!(found(&[compare, other, select(T + 1), Uop::Goto]), None, "nobody asks");
        assert_eq!(found(&[compare, other, select(T + 2), branch]), None, "another constant");
        let sets = Uop::FlagsSubI64 { d: NZCV, a: 20, imm: 0 };
        assert_eq!(found(&[sets, other, select(T + 1), branch]), None, "a comparison that is always made");
    }
}
