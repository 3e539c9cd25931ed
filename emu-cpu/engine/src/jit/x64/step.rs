//! Accesses that step their base register.
//!
//! The base of `LDR X1, [X0], #8` and `LDR X1, [X0, #8]!` must still have its old value if the access faults, so the
//! operations are: the new value to a temporary, the access, the temporary to the base. Host code gets back from a fault
//! before the base is written anyway: it accesses memory relative to the old value, and then adds to the base in place.

use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, Uop};

/// A step that replaces three operations by two.
pub(super) struct Step {
    /// The access, with the old value of the base.
    pub access: Uop,
    /// The base's new value.
    pub add: Uop,
}

/// The same access relative to `base`, if it was relative to `t`, whose value is `base` + `n`.
fn relative_to(access: Uop, t: u8, base: u8, n: i32) -> Option<Uop> {
    let mut access = access;
    let (a, off) = access.base_and_offset()?;
    if *a == t {
        (*a, *off) = (base, off.checked_add(n)?);
    }
    Some(access)
}

/// The operations of `code` from `n` on as a step, if they are one.
pub(super) fn at(code: &Code, n: usize) -> Option<Step> {
    let &[Uop::AddI64 { d: t, a: base, imm }, access, Uop::Mov { d, a }] = code.uops.get(n..n + 3)? else {
        return None;
    };
    if t < FIRST_TEMP || (d, a) != (base, t) {
        return None;
    }
    let [one, two, three] = code.insn_of.get(n..n + 3)? else { return None };
    if one != two || two != three {
        return None;
    }
    let access = relative_to(access, t, base, i32::try_from(imm as i64).ok()?)?;
    let touched = access.reads(t) || access.writes(t) || access.writes(base);
    (!touched && !is_read_from(code, n + 3, t))
        .then_some(Step { access, add: Uop::AddI64 { d: base, a: base, imm } })
}

/// True if an operation from `n` on may read this temporary as it is now.
pub(super) fn is_read_from(code: &Code, n: usize, t: u8) -> bool {
    for uop in code.uops.iter().skip(n) {
        if uop.reads(t) {
            return true;
        }
        if uop.writes(t) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_before_its_base() {
        let t = FIRST_TEMP;
        let pre = relative_to(Uop::Ld64 { d: 1, a: t, off: 0 }, t, 0, -16);
        assert!(matches!(pre, Some(Uop::Ld64 { d: 1, a: 0, off: -16 })));
        let post = relative_to(Uop::Ld64 { d: 1, a: 0, off: 0 }, t, 0, -16);
        assert!(matches!(post, Some(Uop::Ld64 { d: 1, a: 0, off: 0 })));
        assert!(relative_to(Uop::ClearEx, t, 0, 8).is_none());
    }
}
