//! Ways between the blocks of a loop's unit.
//!
//! A way forward is a jump, or nothing where the next block comes next. A way back first looks for pending requests: no
//! round of any loop goes without that. What the generator knows about flags and vectors at the end of a block holds at
//! the start of the next one where that is the only way to it.
//!
//! Where several ways meet each has noted how it keeps the flags. That is good until an operand is overwritten, so those
//! that are before the flags are set again were saved on the way there.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::exits::Side;
use super::flags::Flags;
use super::kept::{self, Place};
use super::operands::{self, Operand};
use super::vector::Sizes;
use super::{Emitter, Kind, e, st};
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
        let ways_to = |n| parts.iter().flat_map(|p| p.to).filter(|to| *to == Some(n)).count();
        let is_head =
            |n| parts.iter().enumerate().any(|(from, part)| from >= n && part.to.contains(&Some(n)));
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
            operands::each(code, uop, &mut |operand| {
                if let Operand::Writes(slot) = operand {
                    written.push(slot);
                }
            });
        }
    }
    for to in part.to.into_iter().flatten() {
        flags_are_seen(parts, to, seen, written);
    }
    true
}

/// A way back whose code is put off.
pub(super) struct Back {
    start: DynamicLabel,
    to: usize,
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
            e!(self; mov DWORD [r15 + st!(flag_way)], 0);
        }
        e!(self; =>label);
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
                    e!(self; mov DWORD [r15 + st!(flag_way)], way);
                }
            }
            Place::Frame | Place::Known(_) => e!(self; mov DWORD [r15 + st!(flag_way)], 0),
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

    /// On to part `to`.
    pub(super) fn go_on(&mut self, to: usize) {
        let Some(label) = self.starts.get(to).map(|s| s.label) else { return };
        if to <= self.number_of_part {
            return self.go_back(to);
        }
        self.note_way(to);
        if to != self.number_of_part + 1 {
            e!(self; jmp =>label);
        }
    }

    fn go_back(&mut self, to: usize) {
        self.flags_over(to);
        let start = self.ops.new_dynamic_label();
        self.events.push(Pending { start, to, flags: self.flags.place });
        let Some(label) = self.starts.get(to).map(|s| s.label) else { return };
        let word = self.input.cpu.doorbell.word_address();
        if self.input.cpu.mem.journal.is_on() {
            if self.assignment.counts_in_frame {
                e!(self; mov rax, [r15 + st!(count)] ; cmp rax, [r15 + st!(limit)] ; jae =>start);
            } else {
                e!(self; cmp r13, [r15 + st!(limit)] ; jae =>start);
            }
        }
        e!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], 0 ; je =>label ; jmp =>start);
    }

    /// Where a jump leads that is taken for exit `n`. Keeps the host's flags.
    fn way_by(&mut self, n: usize) -> DynamicLabel {
        let start = self.ops.new_dynamic_label();
        let (part, flags) = (self.number_of_part, self.flags.place);
        match self.input.to[n] {
            None => self.sides.push(Side { start, part, n, flags }),
            Some(to) if to <= part => self.backs.push(Back { start, to, flags }),
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
        if let Some(to) = self.input.to[jump ^ 1] {
            self.go_on(to);
        }
    }

    /// The ways back whose code was put off, and what happens on a way back when a request is pending.
    pub(super) fn ways_back(&mut self) {
        for Back { start, to, flags } in std::mem::take(&mut self.backs) {
            self.flags = Flags::default();
            self.flags.place = flags;
            e!(self; =>start);
            self.go_back(to);
        }
        for Pending { start, to, flags } in std::mem::take(&mut self.events) {
            self.back_in(to);
            let conform = self.labels.conform;
            e!(self; =>start);
            self.put_flags(flags);
            e!(self; call =>conform);
            self.leave(Kind::Event);
        }
    }
}
