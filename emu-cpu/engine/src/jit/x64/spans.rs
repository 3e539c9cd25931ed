//! Accesses next to one another.
//!
//! Copies and comparisons of memory load and store some registers in a row, relative to the same base. Where all bytes that
//! they access are in one page, one look at the slot does for all of them. Where they are not, or the slot has another
//! page and the table does not help, each access goes its own way, in code at the end of the block: it faults exactly
//! where it has to.
//!
//! The operations between the accesses are few: moves of what was loaded, and sums that only make addresses of the other
//! accesses, which have no code at all.

use dynasmrt::{DynasmApi, DynasmLabelApi};
use emu_a64::ir::MemSize;
use emu_pe::mem::tables::offset;

use super::memory::{Call, Found, READ, Search, WRITE, of_elements};
use super::{Emitter, RAX, asm, step};
use crate::interp::block::Code;
use crate::interp::uop::{FIRST_TEMP, Operand, PlainAccess, Transfer, Uop};

/// The most bytes from the first to the last one.
const LONGEST: i32 = 128;
/// The most operations that are looked at.
const MOST: usize = 24;

/// Accesses relative to one base.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    base: u8,
    write: bool,
    /// The first byte, and the first one behind the last.
    from: i32,
    to: i32,
    /// Operations in their order, with the offset from the base.
    members: Vec<(usize, i32)>,
    /// The first operation behind them.
    end: usize,
    /// A step of the base, by the operation at `end`.
    step: Option<i32>,
}

/// An access that has code as one of several. It writes no integer slot.
fn plain(uop: &Uop) -> Option<PlainAccess> {
    let access = uop.facts().plain?;
    let has_code = match access.transfer {
        Transfer::LoadVector { .. } => access.size >= MemSize::B4,
        Transfer::StoreVector { .. } | Transfer::StorePair { .. } | Transfer::Store { .. } => true,
        // These need a general register.
        Transfer::Load { .. } | Transfer::LoadPair { .. } | Transfer::LoadWords { .. } => false,
        Transfer::StoreWords { .. } => false,
    };
    has_code.then_some(access)
}

/// True if one of some operations reads a slot of the integer file other than as the base of an access.
fn reads(uop: &Uop, slot: u8) -> bool {
    let times = uop.operands().into_iter().filter(|operand| *operand == Operand::Reads(slot)).count();
    times > usize::from(plain(uop).is_some_and(|p| p.base == slot))
}

/// The accesses from operation `n` on that can be done together, if there are two of them.
pub(super) fn at(code: &Code, n: usize) -> Option<Span> {
    let mut most = MOST;
    loop {
        let span = longest(code, n, most)?;
        // A temporary that was left out must not be read behind.
        let lost = (n..span.end).rev().find(|m| match code.uops.get(*m) {
            Some(Uop::AddI64 { d, .. }) => {
                let behind = span.end + usize::from(span.step.is_some());
                let again = code.uops[m + 1..span.end]
                    .iter()
                    .any(|u| matches!(u, Uop::AddI64 { d: t, .. } if t == d));
                !again && step::is_read_from(code, behind, *d)
            }
            _ => false,
        });
        match lost {
            None => return Some(span),
            Some(m) if m > n => most = m - n,
            Some(_) => return None,
        }
    }
}

/// As [`at`], of at most so many operations, whatever comes behind.
fn longest(code: &Code, n: usize, most: usize) -> Option<Span> {
    // Temporaries, as what is added to the base.
    let mut sums: Vec<(u8, i32)> = Vec::new();
    let mut first: Option<(u8, bool, i32, i32)> = None;
    let mut base = None;
    let (mut members, mut accesses, mut last, mut end) = (Vec::new(), 0, 0, n);
    for (m, uop) in code.uops.iter().enumerate().skip(n).take(most) {
        let place = |a: u8, off: i32| match sums.iter().rev().find(|s| s.0 == a) {
            Some((_, sum)) => Some((None, sum.checked_add(off)?)),
            None => Some((Some(a), off)),
        };
        let fits = |of: Option<u8>| of.is_none_or(|a| base.is_none_or(|b| a == b));
        match *uop {
            Uop::AddI64 { d, a, imm } if d >= FIRST_TEMP && Some(d) != base && d != a => {
                let Some((of, sum)) = i32::try_from(imm as i64).ok().and_then(|imm| place(a, imm)) else {
                    break;
                };
                if !fits(of) || of == Some(d) {
                    break;
                }
                base = base.or(of);
                sums.push((d, sum));
            }
            Uop::VMov { .. } if accesses > 0 => members.push((m, 0)),
            _ => {
                let Some(p) = plain(uop) else { break };
                let Some((of, off)) = place(p.base, p.off) else { break };
                // What is stored must not be a sum.
                if !fits(of) || sums.iter().any(|s| reads(uop, s.0)) {
                    break;
                }
                let to = off.saturating_add(of_elements(&p).0);
                let store = p.transfer.is_store();
                let (b, write, from, to) = match first {
                    None => (base.or(of)?, store, off, to),
                    Some((b, write, f, t)) => (b, write, f.min(off), t.max(to)),
                };
                if write != store || to.saturating_sub(from) > LONGEST {
                    break;
                }
                base = Some(b);
                first = Some((b, write, from, to));
                members.push((m, off));
                (accesses, last, end) = (accesses + 1, members.len(), m + 1);
            }
        }
    }
    members.truncate(last);
    let (base, write, from, to) = first?;
    let mut step = None;
    let moves = code.uops.iter().skip(end).take_while(|u| matches!(u, Uop::VMov { .. })).count();
    if let Some(Uop::Mov { d, a }) = code.uops.get(end + moves)
        && *d == base
        && n + most > end + moves
        && let Some((_, sum)) = sums.iter().rev().find(|s| s.0 == *a)
    {
        members.extend((end..end + moves).map(|m| (m, 0)));
        (end, step) = (end + moves, Some(*sum));
    }
    (accesses > 1).then_some(Span { base, write, from, to, members, end, step })
}

/// What the first byte of a span must be at a multiple of so that all of its accesses are aligned; `None` if they cannot all
/// be.
fn alignment(code: &Code, span: &Span) -> Option<i32> {
    let accesses = || {
        let access =
            |(n, off): &(usize, i32)| Some((of_elements(&plain(code.uops.get(*n)?)?).1, off - span.from));
        span.members.iter().filter_map(access)
    };
    let most = accesses().map(|(elem, _)| elem).max()?;
    accesses().all(|(elem, at)| at % elem == 0).then_some(most)
}

impl Emitter<'_> {
    /// True if this operation, which is the current one as it stands in the block, is the first of some accesses.
    pub(super) fn starts_span(&self, uop: &Uop) -> bool {
        let code = self.input.code;
        let Some(p) = plain(uop) else { return false };
        // An access that steps its base is not as it stands there.
        let own = code.uops.get(self.uop_index).and_then(plain);
        own.is_some_and(|own| (own.base, own.off) == (p.base, p.off))
    }

    /// The accesses from the current operation on that can be done together; false if it is nothing of the kind.
    pub(super) fn span(&mut self) -> bool {
        let Some(span) = at(self.input.code, self.uop_index) else { return false };
        let align = if self.input.mode.aligned { alignment(self.input.code, &span) } else { Some(1) };
        let Some(align) = align else { return false };
        self.flags.clobber_host();
        let bytes = span.to - span.from;
        let (base, low) = match self.reg(span.base) {
            Some(base) => (base, span.from),
            None => {
                self.load(RAX, span.base);
                (RAX, span.from)
            }
        };
        let tag = if span.write { WRITE } else { READ };
        let (start, go) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let slot = self.next_slot(tag);
        self.page_of(base, low, (bytes, align), start);
        asm!(self
            ; cmp rdx, [r14 + slot + offset::SLOT_TAG]
            ; jne =>start
            ; mov rcx, [r14 + slot + offset::SLOT_ADDEND]
            ; =>go
        );
        let search = Search { base, off: low, bytes, tag, slot, align, go };
        let back = self.defer_search(start, Some(search), Call::Span { n: self.spans.len() });
        for (n, off) in &span.members {
            self.member(*n, &Found { base, off: off - span.from + low, back });
        }
        self.resume(back);
        let (base, end, step) = (span.base, span.end, span.step);
        self.spans.push(span);
        self.next_uop = end;
        if let Some(step) = step {
            (self.uop_index, self.next_uop) = (end, end + 1);
            self.operation(Uop::AddI64 { d: base, a: base, imm: i64::from(step) as u64 });
        }
        true
    }

    /// A member that is at a known place. Leaves rax and rcx alone.
    fn member(&mut self, n: usize, found: &Found) {
        let Some(uop) = self.input.code.uops.get(n).copied() else { return };
        let Some(access) = plain(&uop) else {
            self.vector(uop);
            return;
        };
        match access.transfer {
            Transfer::LoadVector { d } => self.load_vector_at(d, access.size, found),
            Transfer::StoreVector { b } => self.store_vector_at(b, access.size, found),
            Transfer::StorePair { b, c } => self.store_pair_at(b, c, found),
            Transfer::Store { b } | Transfer::StoreWords { b } => self.store_value(b, access.size, found),
            Transfer::Load { .. } | Transfer::LoadPair { .. } | Transfer::LoadWords { .. } => {}
        }
    }

    /// The members one by one.
    pub(super) fn span_by_parts(&mut self, n: usize) {
        let Some(span) = self.spans.get_mut(n) else { return };
        let (base, tag) = (span.base, if span.write { WRITE } else { READ });
        let members = std::mem::take(&mut span.members);
        self.forget_vector_sizes();
        for (n, off) in members {
            let Some(uop) = self.input.code.uops.get(n).copied() else { continue };
            self.insn = self.input.code.insn_of.get(n).copied().unwrap_or(self.insn);
            let (slow, done) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
            let found = Found { base: RAX, off: 0, back: done };
            let Some(p) = plain(&uop) else {
                self.member(n, &found);
                continue;
            };
            self.held = None;
            self.address(base, off);
            let (bytes, elem) = of_elements(&p);
            self.test_alignment(self.checked(elem), slow);
            self.look_up(bytes, tag, slow);
            self.member(n, &found);
            asm!(self; jmp =>done ; =>slow);
            self.note_place();
            self.call_access(&p);
            asm!(self; =>done);
        }
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u8 = FIRST_TEMP;

    fn code(uops: &[Uop]) -> Code {
        Code { uops: uops.to_vec(), ..Code::default() }
    }

    fn ld(d: u8, a: u8, off: i32) -> Uop {
        Uop::LdV { d, a, size: MemSize::B16, elem: MemSize::B16, off }
    }

    fn st(b: u8, a: u8, off: i32) -> Uop {
        Uop::StV { b, a, size: MemSize::B16, elem: MemSize::B16, off }
    }

    fn add(d: u8, a: u8, imm: i64) -> Uop {
        Uop::AddI64 { d, a, imm: imm as u64 }
    }

    #[test]
    fn pairs_of_one_base_are_one_span() {
        // LDP Q0, Q1, [X1, #-32]
        let pair = [add(T, 1, -32), ld(40, T, 0), ld(1, T, 16), Uop::VMov { d: 0, a: 40 }, Uop::Goto];
        let span = at(&code(&pair), 0).unwrap();
        assert_eq!((span.base, span.write, span.from, span.to, span.end), (1, false, -32, 0, 3));
        assert_eq!(span.members, [(1, -32), (2, -16)]);
        // STP Q0, Q1, [X0]; STP Q4, Q5, [X0, #32]
        let two = [st(0, 0, 0), st(1, 0, 16), add(T, 0, 32), st(4, T, 0), st(5, T, 16), Uop::Goto];
        let span = at(&code(&two), 0).unwrap();
        assert_eq!((span.base, span.write, span.from, span.to, span.end), (0, true, 0, 64, 5));
        assert!(at(&code(&two), 2).is_some_and(|s| s.base == 0 && s.from == 32));
    }

    #[test]
    fn a_span_ends_where_it_must() {
        assert!(at(&code(&[ld(0, 1, 0), Uop::Goto]), 0).is_none(), "one access");
        assert!(at(&code(&[ld(0, 1, 0), ld(1, 2, 0)]), 0).is_none(), "two bases");
        assert!(at(&code(&[ld(0, 1, 0), st(1, 1, 16)]), 0).is_none(), "a load and a store");
        assert!(at(&code(&[ld(0, 1, 0), ld(1, 1, 120)]), 0).is_none(), "too far");
        assert!(
            at(&code(&[ld(0, 1, 0), add(1, 1, 8), ld(1, 1, 8)]), 0).is_none(),
            "another value of the base"
        );
        let stored = [add(T, 1, 8), st(0, T, 0), Uop::St64 { a: T, b: T, off: 16 }];
        assert!(at(&code(&stored), 0).is_none(), "the sum itself is stored");
        let read = [add(T, 1, 8), ld(0, T, 0), ld(1, T, 16), Uop::Add64 { d: 2, a: T, b: T }];
        assert!(at(&code(&read), 0).is_none(), "the sum is read behind");
        assert_eq!(at(&code(&read), 1).unwrap().base, T, "but it can be the base");
        let later = [ld(0, 1, 0), ld(1, 1, 16), add(T, 1, 32), ld(2, T, 0), Uop::Mov { d: 2, a: T }];
        assert_eq!(at(&code(&later), 0).unwrap().end, 2, "what is before is one nevertheless");
    }

    #[test]
    fn all_of_a_span_is_aligned_if_its_start_is() {
        let of = |uops: &[Uop]| {
            let code = code(uops);
            alignment(&code, &at(&code, 0).unwrap())
        };
        assert_eq!(of(&[ld(0, 1, 0), ld(1, 1, 16)]), Some(16));
        assert_eq!(of(&[Uop::StPair { a: 1, b: 2, c: 3, off: 8 }, Uop::St8 { a: 1, b: 2, off: 3 }]), None);
        assert_eq!(
            of(&[Uop::StPair { a: 1, b: 2, c: 3, off: 8 }, Uop::St8 { a: 1, b: 2, off: 27 }]),
            Some(8)
        );
        let bytes = |b: u8, off: i32| Uop::StV { b, a: 1, size: MemSize::B16, elem: MemSize::B1, off };
        assert_eq!(of(&[bytes(0, 0), bytes(1, 16)]), Some(1), "ST1 of bytes");
        assert_eq!(of(&[ld(0, 1, 0), ld(1, 1, 20)]), None, "one of them is misaligned");
    }

    #[test]
    fn the_base_can_step() {
        // LDP Q1, Q2, [X1, #32]!
        let pre = [add(T, 1, 32), ld(1, T, 0), ld(2, T, 16), Uop::Mov { d: 1, a: T }, Uop::Goto];
        let span = at(&code(&pre), 0).unwrap();
        assert_eq!((span.from, span.to, span.end, span.step), (32, 64, 3, Some(32)));
        // LDP Q1, Q2, [X1], #32
        let moved = Uop::VMov { d: 1, a: 40 };
        let post = [add(T, 1, 32), ld(40, 1, 0), ld(2, 1, 16), moved, Uop::Mov { d: 1, a: T }, Uop::Goto];
        let span = at(&code(&post), 0).unwrap();
        assert_eq!((span.from, span.to, span.end, span.step), (0, 32, 4, Some(32)));
        assert_eq!(span.members, [(1, 0), (2, 16), (3, 0)]);
        let mut more = pre;
        more[4] = Uop::Mov { d: 5, a: T };
        assert!(at(&code(&more), 0).is_none(), "the temporary is read once more");
    }
}
