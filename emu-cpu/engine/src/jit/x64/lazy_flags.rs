//! Flags that are not computed where they are set.
//!
//! A comparison costs the host one instruction if nothing about it is stored. So flags are *lazy*: the generator knows the
//! operation that set them and where its operands are ([`LazyFlags`]), and only rare code (the exits of a loop, calls of the
//! runtime) *spills* them, as kind and operands, into the frame. An operand that is about to be overwritten is saved first,
//! unless the flags are dead.
//!
//! Where edges join, each stores the number of its form of the flags ([`JitState::flag_form`]), which costs one store, and
//! only code that needs the flags looks there ([`FlagLocation::Joined`]).

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::{Emitter, RAX, RCX, asm, state};
use crate::interp::block::Code;
use crate::interp::uop::{NZCV, Uop};
use crate::jit::state::{FlagKind, JitState};

/// Where an operand of flags is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// What the slot holds, plus this.
    Slot {
        /// Of the integer file.
        slot: u8,
        /// It had so much more when the flags were set.
        plus: i32,
    },
    /// A constant.
    Number(u64),
    /// In [`JitState::saved_a`] or [`JitState::saved_b`].
    Saved,
}

impl Source {
    /// A slot that was not changed since.
    pub(super) fn slot(slot: u8) -> Self {
        Self::Slot { slot, plus: 0 }
    }

    fn is(self, which: u8) -> bool {
        matches!(self, Self::Slot { slot, .. } if slot == which)
    }

    /// `which` has become greater by `n`.
    fn shifted(self, which: u8, n: i32) -> Option<Self> {
        match self {
            Self::Slot { slot, plus } if slot == which => {
                Some(Self::Slot { slot, plus: plus.checked_sub(n)? })
            }
            other => Some(other),
        }
    }
}

/// The operation that set the flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LazyFlags {
    pub kind: FlagKind,
    pub a: Source,
    /// Of no meaning where the kind has one operand.
    pub b: Source,
}

impl LazyFlags {
    pub(super) fn has_two(&self) -> bool {
        !matches!(self.kind, FlagKind::Logic64 | FlagKind::Logic32 | FlagKind::Host)
    }

    fn is_wide(&self) -> bool {
        matches!(self.kind, FlagKind::Sub64 | FlagKind::Add64 | FlagKind::Logic64)
    }

    pub(super) fn uses(&self, slot: u8) -> bool {
        self.a.is(slot) || self.b.is(slot)
    }

    /// The same after an operation that changes an operand in a way that can be undone.
    pub(super) fn after(self, uop: &Uop) -> Option<Self> {
        let (slot, n) = match *uop {
            Uop::AddI64 { d, a, imm } if d == a => (d, i32::try_from(imm as i64).ok()?),
            Uop::AddI32 { d, a, imm } if d == a && !self.is_wide() => (d, imm as i32),
            _ => return None,
        };
        Some(Self { kind: self.kind, a: self.a.shifted(slot, n)?, b: self.b.shifted(slot, n)? })
    }
}

/// Where the flags are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum FlagLocation {
    /// In the frame, in a form that only running code knows.
    #[default]
    Frame,
    /// In the frame, in this form.
    FrameAs(FlagKind),
    /// Not in the frame.
    Lazy(LazyFlags),
    /// As [`JitState::flag_form`] says: in the frame, or in one of the unit's forms.
    Joined,
    /// Nowhere: they are set again before anything observes them.
    Dead,
}

/// True if the block sets the flags, from operation `n` on, before anything observes them.
pub(super) fn flags_are_dead_from(code: &Code, n: usize) -> bool {
    for uop in code.uops.iter().skip(n) {
        if uop.reads(NZCV) || uop.observes_flags() {
            return false;
        }
        if uop.writes(NZCV) {
            return true;
        }
    }
    false
}

impl Emitter<'_> {
    /// Before the code of an operation: saves operands of lazy flags that it overwrites. True if instead the flags die with
    /// the operation.
    pub(super) fn preserve_flags(&mut self, uop: &Uop) -> bool {
        let FlagLocation::Lazy(lazy) = self.flags.location else {
            // No operand is overwritten where they are joined: see `flags_over`.
            return self.flags.location == FlagLocation::Joined
                && flags_are_dead_from(self.input.code, self.uop_index + 1);
        };
        let mut written = uop.written().filter(|slot| lazy.uses(*slot)).peekable();
        if written.peek().is_none() {
            return false;
        }
        if let Some(after) = lazy.after(uop) {
            self.flags.location = FlagLocation::Lazy(after);
            return false;
        }
        if flags_are_dead_from(self.input.code, self.uop_index + 1) {
            return true;
        }
        written.for_each(|slot| self.preserve_operand(slot));
        false
    }

    /// Saves operands of lazy flags that are in this slot. Keeps the host's flags; changes rcx.
    pub(super) fn preserve_operand(&mut self, slot: u8) {
        let FlagLocation::Lazy(mut lazy) = self.flags.location else { return };
        if lazy.a.is(slot) {
            self.put_source(lazy.a, state!(saved_a), state!(saved_a));
            lazy.a = Source::Saved;
        }
        if lazy.b.is(slot) {
            self.put_source(lazy.b, state!(saved_b), state!(saved_b));
            lazy.b = Source::Saved;
        }
        self.flags.location = FlagLocation::Lazy(lazy);
    }

    /// Puts an operand to this place in the frame. Keeps the host's flags; changes rcx.
    fn put_source(&mut self, from: Source, saved: i32, to: i32) {
        match from {
            Source::Slot { slot, plus } => {
                let mut r = self.read(slot, RCX);
                if plus != 0 {
                    asm!(self; lea rcx, [Rq(r) + plus]);
                    r = RCX;
                }
                asm!(self; mov [r15 + to], Rq(r));
            }
            Source::Number(n) => match i32::try_from(n as i64) {
                Ok(n) => asm!(self; mov QWORD [r15 + to], n),
                Err(_) => {
                    asm!(self; mov DWORD [r15 + to], n as i32 ; mov DWORD [r15 + to + 4], (n >> 32) as i32);
                }
            },
            Source::Saved => asm!(self; mov rcx, [r15 + saved] ; mov [r15 + to], rcx),
        }
    }

    /// Spills flags from this location to the frame. Changes rcx, and keeps the host's flags but for
    /// [`FlagLocation::Joined`].
    pub(super) fn spill_flags(&mut self, location: FlagLocation) {
        match location {
            FlagLocation::Lazy(lazy) => {
                self.put_source(lazy.a, state!(saved_a), state!(flag_a));
                if lazy.has_two() {
                    self.put_source(lazy.b, state!(saved_b), state!(flag_b));
                }
                asm!(self; mov DWORD [r15 + state!(flag_kind)], lazy.kind as i32);
            }
            FlagLocation::Joined => {
                let spill = self.labels.joined_spill;
                asm!(self; call =>spill);
            }
            FlagLocation::Frame | FlagLocation::FrameAs(_) | FlagLocation::Dead => {}
        }
    }

    /// Spills the flags, and knows them to be in the frame from here on. Changes rcx.
    pub(super) fn spill_current_flags(&mut self) {
        self.spill_flags(self.flags.location);
        match self.flags.location {
            FlagLocation::Lazy(lazy) => self.flags.location = FlagLocation::FrameAs(lazy.kind),
            FlagLocation::Joined => {
                self.flags.location = FlagLocation::Frame;
                self.flags.clobber_host();
            }
            _ => {}
        }
    }

    /// The number of a form in [`JitState::flag_form`].
    pub(super) fn number_of_form(&mut self, lazy: LazyFlags) -> i32 {
        let n = self.flag_forms.iter().position(|form| *form == lazy).unwrap_or_else(|| {
            self.flag_forms.push(lazy);
            self.flag_forms.len() - 1
        });
        n as i32 + 1
    }

    /// The code that spills [`FlagLocation::Joined`].
    pub(super) fn emit_joined_spill(&mut self) {
        let spill = self.labels.joined_spill;
        asm!(self; =>spill ; mov ecx, [r15 + state!(flag_form)]);
        for (n, form) in std::mem::take(&mut self.flag_forms).into_iter().enumerate() {
            let other = self.ops.new_dynamic_label();
            asm!(self; cmp ecx, n as i32 + 1 ; jne =>other);
            self.spill_flags(FlagLocation::Lazy(form));
            asm!(self; ret ; =>other);
        }
        asm!(self; ret);
    }

    /// Makes the comparison again. Changes rax, rcx and rdx.
    pub(super) fn compare_lazy(&mut self, lazy: LazyFlags) {
        let a = self.source(lazy.a, state!(saved_a), RAX);
        match (lazy.kind, lazy.b) {
            (FlagKind::Logic64, _) => return asm!(self; test Rq(a), Rq(a)),
            (FlagKind::Logic32, _) => return asm!(self; test Rd(a), Rd(a)),
            (FlagKind::Host, _) => {
                self.load_image(a);
                return self.host_flags_of_image();
            }
            (FlagKind::Sub64, Source::Number(n)) if i32::try_from(n as i64).is_ok() => {
                return asm!(self; cmp Rq(a), n as i32);
            }
            (FlagKind::Sub32, Source::Number(n)) => return asm!(self; cmp Rd(a), n as i32),
            _ => {}
        }
        let b = self.source(lazy.b, state!(saved_b), RCX);
        match lazy.kind {
            FlagKind::Sub64 => asm!(self; cmp Rq(a), Rq(b)),
            FlagKind::Sub32 => asm!(self; cmp Rd(a), Rd(b)),
            FlagKind::Add64 => asm!(self; mov rdx, Rq(a) ; add rdx, Rq(b)),
            _ => asm!(self; mov edx, Rd(a) ; add edx, Rd(b)),
        }
    }

    fn load_image(&mut self, r: u8) {
        if r != RAX {
            asm!(self; mov eax, Rd(r));
        }
    }

    /// An operand in a register: its own, or `scratch`.
    fn source(&mut self, from: Source, saved: i32, scratch: u8) -> u8 {
        match from {
            Source::Slot { slot, plus } => {
                let r = self.read(slot, scratch);
                if plus == 0 {
                    return r;
                }
                asm!(self; lea Rq(scratch), [Rq(r) + plus]);
            }
            Source::Number(n) => asm!(self; mov Rq(scratch), QWORD n as i64),
            Source::Saved => asm!(self; mov Rq(scratch), [r15 + saved]),
        }
        scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn less_than(slot: u8, n: u64) -> LazyFlags {
        LazyFlags { kind: FlagKind::Sub32, a: Source::slot(slot), b: Source::Number(n) }
    }

    #[test]
    fn a_step_of_an_operand_is_undone() {
        let lazy = less_than(3, 10);
        let step = Uop::AddI32 { d: 3, a: 3, imm: 2 };
        let after = lazy.after(&step).unwrap();
        assert_eq!(after.a, Source::Slot { slot: 3, plus: -2 });
        assert_eq!(
            after.after(&Uop::AddI64 { d: 3, a: 3, imm: -5i64 as u64 }).unwrap().a,
            Source::Slot { slot: 3, plus: 3 }
        );
        assert_eq!(lazy.after(&Uop::AddI32 { d: 3, a: 4, imm: 2 }), None, "another value");
        let wide = LazyFlags { kind: FlagKind::Sub64, ..lazy };
        assert_eq!(wide.after(&step), None, "the high half is lost");
    }
}
