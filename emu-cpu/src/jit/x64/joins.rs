//! Ways between the blocks of a loop's unit.
//!
//! A way forward is a jump, or nothing where the next block comes next. A way back first looks for pending requests: no
//! round of any loop goes without that. What the generator knows about flags and vectors at the end of a block holds at
//! the start of the next one where that is the only way to it.

use dynasmrt::{DynamicLabel, DynasmLabelApi};

use super::exits::Side;
use super::flags::Flags;
use super::vector::Sizes;
use super::{Emitter, Kind, e};
use crate::jit::Part;

/// What is known where control goes from one part to another.
struct Known {
    flags: Flags,
    sizes: Sizes,
}

/// The start of a part.
pub(super) struct Start {
    label: DynamicLabel,
    /// Some way leads back to it: nothing is known there.
    is_head: bool,
    /// Where a way back leads when a request is pending.
    event: Option<DynamicLabel>,
    /// Ways forward to it that have code.
    ways: Vec<Known>,
}

impl Start {
    /// Those of a unit's parts.
    pub(super) fn of(parts: &[Part<'_>], mut label: impl FnMut() -> DynamicLabel) -> Vec<Self> {
        let is_head =
            |n| parts.iter().enumerate().any(|(from, part)| from >= n && part.to.contains(&Some(n)));
        (0..parts.len())
            .map(|n| Self { label: label(), is_head: n == 0 || is_head(n), event: None, ways: Vec::new() })
            .collect()
    }
}

/// A way back whose code is put off.
pub(super) struct Back {
    start: DynamicLabel,
    to: usize,
}

impl Emitter<'_> {
    /// At the start of part `n`.
    pub(super) fn arrive(&mut self, n: usize) {
        let Some(start) = self.starts.get_mut(n) else { return };
        let (label, is_head) = (start.label, start.is_head);
        let mut ways = std::mem::take(&mut start.ways);
        e!(self; =>label);
        match ways.pop() {
            Some(only) if !is_head && ways.is_empty() => {
                self.flags = only.flags;
                self.sizes = only.sizes;
            }
            first => {
                let flags = first
                    .filter(|_| !is_head)
                    .map(|first| ways.iter().fold(first.flags, |known, way| known.joined_by(way.flags)));
                self.flags = flags.unwrap_or_default();
                self.forget_vector_sizes();
            }
        }
    }

    pub(super) fn note_way(&mut self, to: usize) {
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
        let fresh = self.ops.new_dynamic_label();
        let Some(start) = self.starts.get_mut(to) else { return };
        let (label, event) = (start.label, *start.event.get_or_insert(fresh));
        self.leave_if_pending(event);
        e!(self; jmp =>label);
    }

    /// Where a jump leads that is taken for exit `n`. `known`: what is known now holds there.
    pub(super) fn way_by(&mut self, n: usize, known: bool) -> DynamicLabel {
        let start = self.ops.new_dynamic_label();
        let part = self.number_of_part;
        match self.input.to[n] {
            None => self.sides.push(Side { start, part, n }),
            Some(to) if to <= part => self.backs.push(Back { start, to }),
            Some(to) => {
                if known {
                    self.note_way(to);
                }
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
            _ if first == next => 1,
            _ if second == next => 0,
            _ => usize::from(is_back(first)),
        };
        let way = self.way_by(jump, true);
        self.jump_if(if jump == 0 { cc } else { cc ^ 1 }, way);
        if let Some(to) = self.input.to[jump ^ 1] {
            self.go_on(to);
        }
    }

    /// The ways back whose code was put off, and what happens on a way back when a request is pending.
    pub(super) fn ways_back(&mut self) {
        for Back { start, to } in std::mem::take(&mut self.backs) {
            e!(self; =>start);
            self.go_back(to);
        }
        for n in 0..self.starts.len() {
            if let Some(event) = self.starts.get_mut(n).and_then(|s| s.event.take()) {
                self.back_in(n);
                let conform = self.labels.conform;
                e!(self; =>event ; call =>conform);
                self.leave(Kind::Event);
            }
        }
    }
}
