//! Ways between the blocks of a loop's unit.
//!
//! A way forward is a jump, or nothing where the next block comes next. A way back first looks for pending requests: no
//! round of any loop goes without that. What the generator knows about flags and vectors at the end of a block holds at
//! the start of the next one where that is the only way to it.
//!
//! The blocks of a unit may be in several pages. A way to another page, or by an indirect branch, is one if it leads to the
//! address that it was seen to lead to, in the same translation context, and the code there has not changed; else it leaves
//! the unit.
//!
//! Where several ways meet each has noted how it keeps the flags. That is good until an operand is overwritten, so those
//! that are before the flags are set again were saved on the way there.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::exits::Side;
use super::flags::Flags;
use super::kept::{self, Place};
use super::vector::Sizes;
use super::{Emitter, Kind, RAX, asm, state};
use crate::jit::Part;
use crate::jit::state::JitState;

/// What is known where control goes from one part to another.
struct Known {
    flags: Flags,
    sizes: Sizes,
}

/// The start of a part.
pub(super) struct Start {
    label: DynamicLabel,
    /// Some way leads back to it: nothing is known about vectors there.
    is_head: bool,
    /// Several ways lead to it.
    is_join: bool,
    /// The flags are set before anybody looks at them.
    dead: bool,
    /// Integer slots that are written while somebody may look at the flags with which the part begins.
    written: Vec<u8>,
    /// Ways forward to it that have code.
    ways: Vec<Known>,
}

impl Start {
    /// Those of a unit's parts.
    pub(super) fn of(parts: &[Part<'_>], mut label: impl FnMut() -> DynamicLabel) -> Vec<Self> {
        let ways_to = |n| parts.iter().flat_map(Part::leads_to).filter(|to| *to == n).count();
        let is_head =
            |n| parts.iter().enumerate().any(|(from, part)| from >= n && part.leads_to().any(|to| to == n));
        (0..parts.len())
            .map(|n| {
                let (mut written, mut seen) = (Vec::new(), Vec::new());
                let looks = flags_are_seen(parts, n, &mut seen, &mut written);
                Self {
                    label: label(),
                    is_head: is_head(n),
                    is_join: ways_to(n) + usize::from(n == 0) > 1,
                    dead: !looks,
                    written,
                    ways: Vec::new(),
                }
            })
            .collect()
    }
}

/// True if somebody may look at the flags with which part `n` begins. Adds what is written before they are set, or nobody
/// looks any more.
fn flags_are_seen(parts: &[Part<'_>], n: usize, seen: &mut Vec<usize>, written: &mut Vec<u8>) -> bool {
    let Some(part) = parts.get(n).filter(|_| !seen.contains(&n)) else { return false };
    seen.push(n);
    let code = part.code;
    for (i, uop) in code.uops.iter().enumerate() {
        if kept::are_dead_from(code, i) {
            return i > 0;
        }
        if !kept::are_dead_from(code, i + 1) {
            written.extend(uop.written());
        }
    }
    for to in part.leads_to() {
        flags_are_seen(parts, to, seen, written);
    }
    true
}

/// A way back, or to another page, whose code is put off.
pub(super) struct Back {
    start: DynamicLabel,
    part: usize,
    /// The exit.
    n: usize,
    to: usize,
    /// Where the flags are.
    flags: Place,
}

/// An indirect branch that does not go to its first target.
pub(super) struct Elsewhere {
    start: DynamicLabel,
    /// Where it leaves the unit.
    out: DynamicLabel,
    part: usize,
    btype: u8,
    /// Where the flags are.
    flags: Place,
}

/// What happens on a way back when a request is pending.
pub(super) struct Pending {
    start: DynamicLabel,
    to: usize,
    /// Where the flags are.
    flags: Place,
}

impl Emitter<'_> {
    /// At the start of part `n`.
    pub(super) fn arrive(&mut self, n: usize) {
        let Some(start) = self.starts.get_mut(n) else { return };
        let (label, is_head, is_join, dead) = (start.label, start.is_head, start.is_join, start.dead);
        let mut ways = std::mem::take(&mut start.ways);
        if n == 0 && is_join && !dead {
            // As if another unit had led here: the flags are in the frame.
            asm!(self; mov DWORD [r15 + state!(flag_way)], 0);
        }
        asm!(self; =>label);
        self.held = None;
        let first = ways.pop().filter(|_| !is_head);
        if is_join {
            self.flags = Flags::default();
            self.flags.place = if dead { Place::Dead } else { Place::Joined };
        } else {
            self.flags = first.as_ref().map_or_else(Flags::default, |way| way.flags);
        }
        match first {
            Some(only) if ways.is_empty() => self.sizes = only.sizes,
            _ => self.forget_vector_sizes(),
        }
    }

    /// Before control goes to part `to`: notes how the flags are kept if other ways lead there. Their operands are saved if
    /// they are overwritten before that is over. Keeps the host's flags; changes rcx.
    fn flags_over(&mut self, to: usize) {
        let Some(start) = self.starts.get(to).filter(|s| s.is_join && !s.dead) else { return };
        let written = start.written.clone();
        match self.flags.place {
            Place::Kept(kept) => {
                for slot in written.into_iter().filter(|slot| kept.uses(*slot)) {
                    self.before_write(slot);
                }
                if let Place::Kept(kept) = self.flags.place {
                    let way = self.number_of_way(kept);
                    asm!(self; mov DWORD [r15 + state!(flag_way)], way);
                }
            }
            Place::Frame | Place::Known(_) => asm!(self; mov DWORD [r15 + state!(flag_way)], 0),
            Place::Joined | Place::Dead => {}
        }
    }

    fn note_way(&mut self, to: usize) {
        self.flags_over(to);
        let known = Known { flags: self.flags, sizes: self.sizes.clone() };
        if let Some(start) = self.starts.get_mut(to) {
            start.ways.push(known);
        }
    }

    /// As `note_way`, of a way whose code is put off and changes the host's flags.
    fn note_put_off(&mut self, to: usize) {
        let mut flags = self.flags;
        flags.lose_host();
        let known = Known { flags, sizes: self.sizes.clone() };
        if let Some(start) = self.starts.get_mut(to) {
            start.ways.push(known);
        }
    }

    /// On by exit `n`.
    pub(super) fn go_on(&mut self, n: usize) {
        let Some(to) = self.input.to[n] else { return };
        if self.is_far(to) {
            self.go_far(n, to);
        }
        self.go_near(to);
    }

    /// On to part `to`, whose page is the current one.
    fn go_near(&mut self, to: usize) {
        let Some(label) = self.starts.get(to).map(|s| s.label) else { return };
        if to <= self.number_of_part {
            return self.go_back(to);
        }
        self.note_way(to);
        if to != self.number_of_part + 1 {
            asm!(self; jmp =>label);
        }
    }

    /// As `go_near`, in code that is put off.
    fn jump_near(&mut self, to: usize) {
        let Some(label) = self.starts.get(to).map(|s| s.label) else { return };
        if to <= self.number_of_part {
            return self.go_back(to);
        }
        self.flags_over(to);
        asm!(self; jmp =>label);
    }

    fn is_far(&self, to: usize) -> bool {
        self.parts.get(to).is_some_and(|part| part.page != self.input.page)
    }

    /// True if the current part runs at its own virtual page only: a unit can be entered at any page that its first part
    /// is in, but it comes to other pages by comparing them.
    pub(super) fn page_is_known(&self) -> bool {
        self.parts.first().is_some_and(|first| first.page != self.input.page)
    }

    /// To the page of part `to` by exit `n`, or out of the unit. Changes rdx.
    fn go_far(&mut self, n: usize, to: usize) {
        let (start, part, flags) = (self.ops.new_dynamic_label(), self.number_of_part, self.flags.place);
        self.sides.push(Side { start, part, n, flags });
        if !self.page_is_known() {
            asm!(self; mov rdx, QWORD self.input.page as i64 ; cmp rdx, [r15 + state!(page)] ; jne =>start);
        }
        self.turn_to(to, start);
        self.flags.lose_host();
    }

    /// Makes the page of part `to` the current one if it is where it was, and its code is what it was. Changes rdx.
    fn turn_to(&mut self, to: usize, out: DynamicLabel) {
        let Some(part) = self.parts.get(to).copied() else { return };
        asm!(self; mov rdx, QWORD self.input.key as i64 ; cmp rdx, [r15 + state!(key)] ; jne =>out);
        let (word, value) = part.valid;
        asm!(self; mov rdx, QWORD word as i64 ; cmp DWORD [rdx], value as i32 ; jne =>out);
        asm!(self; mov rdx, QWORD part.page as i64 ; mov [r15 + state!(page)], rdx);
    }

    /// By an indirect branch, with PSTATE.BTYPE, to the parts that it was seen to lead to.
    pub(super) fn part_indirect(&mut self, a: u8, btype: u8) {
        let [Some(first), second, third] = self.input.targets else { return };
        self.load(RAX, a);
        let (start, out) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let (part, flags) = (self.number_of_part, self.flags.place);
        self.elsewhere.push(Elsewhere { start, out, part, btype, flags });
        for to in [second, third].into_iter().flatten().filter(|to| *to > part) {
            self.note_put_off(to);
        }
        self.land(first, btype, (start, out));
        self.flags.lose_host();
        self.go_near(first);
    }

    /// To part `to` if the address in rax is its own; `other` if not. Changes rcx and rdx.
    fn land(&mut self, to: usize, btype: u8, (other, out): (DynamicLabel, DynamicLabel)) {
        let Some(part) = self.parts.get(to).copied() else { return };
        let at = part.page | u64::from(part.offset);
        asm!(self; mov rcx, QWORD at as i64 ; cmp rax, rcx ; jne =>other);
        self.turn_to(to, out);
        if btype != 0 {
            let count = if self.assignment.counts_in_frame {
                asm!(self; mov rcx, [r15 + state!(count)]);
                super::RCX
            } else {
                super::assign::COUNT
            };
            asm!(self
                ; mov [r15 + state!(landed_at)], Rq(count)
                ; mov DWORD [r15 + state!(landed)], i32::from(btype)
            );
        }
    }

    /// Indirect branches that do not go to their first targets.
    fn land_elsewhere(&mut self) {
        for Elsewhere { start, out, part, btype, flags } in std::mem::take(&mut self.elsewhere) {
            self.back_in(part);
            asm!(self; =>start);
            for to in self.input.targets.into_iter().skip(1).flatten() {
                self.flags = Flags::default();
                self.flags.place = flags;
                let other = self.ops.new_dynamic_label();
                self.land(to, btype, (other, out));
                self.jump_near(to);
                asm!(self; =>other);
            }
            asm!(self; =>out);
            self.put_flags(flags);
            let conform = self.labels.conform;
            asm!(self; call =>conform);
            self.indirect_to_rax(btype);
        }
    }

    fn go_back(&mut self, to: usize) {
        self.flags_over(to);
        let start = self.ops.new_dynamic_label();
        self.events.push(Pending { start, to, flags: self.flags.place });
        let Some(label) = self.starts.get(to).map(|s| s.label) else { return };
        let word = self.input.cpu.doorbell.word_address();
        if self.input.cpu.mem.has_journal() {
            if self.assignment.counts_in_frame {
                asm!(self; mov rax, [r15 + state!(count)] ; cmp rax, [r15 + state!(limit)] ; jae =>start);
            } else {
                asm!(self; cmp r13, [r15 + state!(limit)] ; jae =>start);
            }
        }
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], 0 ; je =>label ; jmp =>start);
    }

    /// Where a jump leads that is taken for exit `n`. Keeps the host's flags.
    fn way_by(&mut self, n: usize) -> DynamicLabel {
        let start = self.ops.new_dynamic_label();
        let (part, flags) = (self.number_of_part, self.flags.place);
        match self.input.to[n] {
            None => self.sides.push(Side { start, part, n, flags }),
            Some(to) if to <= part || self.is_far(to) => {
                self.backs.push(Back { start, part, n, to, flags });
                if to > part {
                    self.note_put_off(to);
                }
            }
            Some(to) => {
                self.note_way(to);
                return self.starts.get(to).map_or(start, |s| s.label);
            }
        }
        start
    }

    /// By exit 0 if the condition holds, else by exit 1.
    pub(super) fn part_ways(&mut self, cc: u8) {
        let [first, second] = self.input.to;
        let next = Some(self.number_of_part + 1);
        let is_back = |to: Option<usize>| to.is_some_and(|to| to <= self.number_of_part);
        // The jump is for one way, what follows it for the other.
        let jump = match (first, second) {
            (None, _) => 0,
            (_, None) => 1,
            // A round of a loop is to jump once.
            _ if is_back(first) => 1,
            _ if is_back(second) => 0,
            _ => usize::from(first == next),
        };
        let way = self.way_by(jump);
        self.jump_if(if jump == 0 { cc } else { cc ^ 1 }, way);
        self.go_on(jump ^ 1);
    }

    /// The ways whose code was put off. Before the exits of the loop.
    pub(super) fn ways_put_off(&mut self) {
        for Back { start, part, n, to, flags } in std::mem::take(&mut self.backs) {
            self.back_in(part);
            self.flags = Flags::default();
            self.flags.place = flags;
            asm!(self; =>start);
            if self.is_far(to) {
                self.go_far(n, to);
            }
            self.jump_near(to);
        }
        self.land_elsewhere();
    }

    /// What happens on a way back when a request is pending.
    pub(super) fn requests_on_ways(&mut self) {
        for Pending { start, to, flags } in std::mem::take(&mut self.events) {
            self.back_in(to);
            let conform = self.labels.conform;
            asm!(self; =>start);
            self.put_flags(flags);
            asm!(self; call =>conform);
            self.leave(Kind::Event);
        }
    }
}
