//! Flags that stay where their operands are.
//!
//! A comparison costs the host one instruction if nothing about it is written down. So the flags of an operation are
//! *kept*: the generator knows what it was and where its operands are ([`Kept`]), and code that is off the way (the exits
//! of a loop, calls of the runtime) puts them into the frame. An operand that is about to be overwritten is saved, unless
//! nobody can look at the flags before they are set again.
//!
//! Where several ways meet, each notes in the frame how it keeps the flags ([`JitState::flag_way`]), which costs one
//! store, and only code that asks looks there ([`Place::Joined`]).

use dynasmrt::{DynasmApi, DynasmLabelApi};

use super::{Emitter, RAX, RCX, asm, state};
use crate::interp::block::Code;
use crate::interp::uop::{NZCV, Uop};
use crate::jit::state::{JitState, Lazy};

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
    fn moved(self, which: u8, n: i32) -> Option<Self> {
        match self {
            Self::Slot { slot, plus } if slot == which => {
                Some(Self::Slot { slot, plus: plus.checked_sub(n)? })
            }
            other => Some(other),
        }
    }
}

/// Flags as what set them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub kind: Lazy,
    pub a: Source,
    /// Of no meaning where the kind has one operand.
    pub b: Source,
}

impl Kept {
    pub(super) fn has_two(&self) -> bool {
        !matches!(self.kind, Lazy::Logic64 | Lazy::Logic32 | Lazy::Host)
    }

    fn is_wide(&self) -> bool {
        matches!(self.kind, Lazy::Sub64 | Lazy::Add64 | Lazy::Logic64)
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
        Some(Self { kind: self.kind, a: self.a.moved(slot, n)?, b: self.b.moved(slot, n)? })
    }
}

/// Where the flags are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Place {
    /// As the frame says, which only running code knows.
    #[default]
    Frame,
    /// In the frame, in this way.
    Known(Lazy),
    /// Not in the frame.
    Kept(Kept),
    /// As [`JitState::flag_way`] says: in the frame, or kept in one of the ways of the unit.
    Joined,
    /// Lost: they are set again before anybody can look.
    Dead,
}

/// True if from operation `n` of a block on the flags are set before anybody can look at them.
pub(super) fn are_dead_from(code: &Code, n: usize) -> bool {
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
    /// Before the code of an operation: operands of kept flags that it overwrites are saved. True if instead the flags are
    /// lost with the operation.
    pub(super) fn keep_from(&mut self, uop: &Uop) -> bool {
        let Place::Kept(kept) = self.flags.place else {
            // No operand is overwritten where they are joined: see `flags_over`.
            return self.flags.place == Place::Joined && are_dead_from(self.input.code, self.number + 1);
        };
        let mut written = uop.written().filter(|slot| kept.uses(*slot)).peekable();
        if written.peek().is_none() {
            return false;
        }
        if let Some(after) = kept.after(uop) {
            self.flags.place = Place::Kept(after);
            return false;
        }
        if are_dead_from(self.input.code, self.number + 1) {
            return true;
        }
        written.for_each(|slot| self.before_write(slot));
        false
    }

    /// Saves operands of kept flags that are in a slot. Keeps the host's flags; changes rcx.
    pub(super) fn before_write(&mut self, slot: u8) {
        let Place::Kept(mut kept) = self.flags.place else { return };
        if kept.a.is(slot) {
            self.put_source(kept.a, state!(saved_a), state!(saved_a));
            kept.a = Source::Saved;
        }
        if kept.b.is(slot) {
            self.put_source(kept.b, state!(saved_b), state!(saved_b));
            kept.b = Source::Saved;
        }
        self.flags.place = Place::Kept(kept);
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

    /// Puts flags that are in this place into the frame. Changes rcx, and keeps the host's flags but for
    /// [`Place::Joined`].
    pub(super) fn put_flags(&mut self, place: Place) {
        match place {
            Place::Kept(kept) => {
                self.put_source(kept.a, state!(saved_a), state!(flag_a));
                if kept.has_two() {
                    self.put_source(kept.b, state!(saved_b), state!(flag_b));
                }
                asm!(self; mov DWORD [r15 + state!(flag_kind)], kept.kind as i32);
            }
            Place::Joined => {
                let kept = self.labels.kept;
                asm!(self; call =>kept);
            }
            Place::Frame | Place::Known(_) | Place::Dead => {}
        }
    }

    /// Puts the flags into the frame, on the way. Changes rcx.
    pub(super) fn flags_to_frame(&mut self) {
        self.put_flags(self.flags.place);
        match self.flags.place {
            Place::Kept(kept) => self.flags.place = Place::Known(kept.kind),
            Place::Joined => {
                self.flags.place = Place::Frame;
                self.flags.lose_host();
            }
            _ => {}
        }
    }

    /// The way in which flags are kept, as its number in [`JitState::flag_way`].
    pub(super) fn number_of_way(&mut self, kept: Kept) -> i32 {
        let n = self.ways.iter().position(|way| *way == kept).unwrap_or_else(|| {
            self.ways.push(kept);
            self.ways.len() - 1
        });
        n as i32 + 1
    }

    /// The code behind [`Place::Joined`], if there are ways.
    pub(super) fn kept_ways(&mut self) {
        let kept = self.labels.kept;
        asm!(self; =>kept ; mov ecx, [r15 + state!(flag_way)]);
        for (n, way) in std::mem::take(&mut self.ways).into_iter().enumerate() {
            let other = self.ops.new_dynamic_label();
            asm!(self; cmp ecx, n as i32 + 1 ; jne =>other);
            self.put_flags(Place::Kept(way));
            asm!(self; ret ; =>other);
        }
        asm!(self; ret);
    }

    /// Makes the comparison again. Changes rax, rcx and rdx.
    pub(super) fn compare_kept(&mut self, kept: Kept) {
        let a = self.source(kept.a, state!(saved_a), RAX);
        match (kept.kind, kept.b) {
            (Lazy::Logic64, _) => return asm!(self; test Rq(a), Rq(a)),
            (Lazy::Logic32, _) => return asm!(self; test Rd(a), Rd(a)),
            (Lazy::Host, _) => {
                self.load_image(a);
                return self.host_flags_of_image();
            }
            (Lazy::Sub64, Source::Number(n)) if i32::try_from(n as i64).is_ok() => {
                return asm!(self; cmp Rq(a), n as i32);
            }
            (Lazy::Sub32, Source::Number(n)) => return asm!(self; cmp Rd(a), n as i32),
            _ => {}
        }
        let b = self.source(kept.b, state!(saved_b), RCX);
        match kept.kind {
            Lazy::Sub64 => asm!(self; cmp Rq(a), Rq(b)),
            Lazy::Sub32 => asm!(self; cmp Rd(a), Rd(b)),
            Lazy::Add64 => asm!(self; mov rdx, Rq(a) ; add rdx, Rq(b)),
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

    fn less_than(slot: u8, n: u64) -> Kept {
        Kept { kind: Lazy::Sub32, a: Source::slot(slot), b: Source::Number(n) }
    }

    #[test]
    fn a_step_of_an_operand_is_undone() {
        let kept = less_than(3, 10);
        let step = Uop::AddI32 { d: 3, a: 3, imm: 2 };
        let after = kept.after(&step).unwrap();
        assert_eq!(after.a, Source::Slot { slot: 3, plus: -2 });
        assert_eq!(
            after.after(&Uop::AddI64 { d: 3, a: 3, imm: -5i64 as u64 }).unwrap().a,
            Source::Slot { slot: 3, plus: 3 }
        );
        assert_eq!(kept.after(&Uop::AddI32 { d: 3, a: 4, imm: 2 }), None, "another value");
        let wide = Kept { kind: Lazy::Sub64, ..kept };
        assert_eq!(wide.after(&step), None, "the high half is lost");
    }
}
