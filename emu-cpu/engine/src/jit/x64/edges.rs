//! Control flow between the blocks of a loop's unit.
//!
//! A forward edge is a jump, or nothing where the successor comes next in the code. A back edge polls for requests first: no
//! round of any loop goes without that. What the generator knows of flags and vectors at the end of a block holds at the
//! start of its successor if that has no other predecessor.
//!
//! The blocks of a unit may be in several pages. An edge into another page, or of an indirect branch, is guarded: it is taken
//! if it leads to the address that the recorded rounds went to, in the same translation context, and the code there has not
//! changed. Else control leaves the unit.
//!
//! Where edges join, each has stored a number that says where its flags are. That holds until an operand of the flags is
//! overwritten; so operands that a block overwrites before it sets the flags again are saved on the edges to it.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

use super::exits::SideExit;
use super::flags::Flags;
use super::lazy_flags::{self, FlagLocation};
use super::vector::Sizes;
use super::{Emitter, ExitKind, RAX, asm, state};
use crate::jit::UnitBlock;
use crate::jit::state::JitState;

/// What is known on an edge.
struct EdgeState {
    flags: Flags,
    sizes: Sizes,
}

/// The start of a block.
pub(super) struct BlockEntry {
    label: DynamicLabel,
    /// A back edge leads to it: nothing is known of vectors there.
    is_loop_head: bool,
    /// It has several predecessors.
    is_join: bool,
    /// It sets the flags before anything observes them.
    flags_dead: bool,
    /// Integer slots that are written while the flags with which the block begins can still be observed.
    clobbered: Vec<u8>,
    /// The forward edges to it whose code was emitted.
    incoming: Vec<EdgeState>,
}

impl BlockEntry {
    /// Of all blocks of a unit.
    pub(super) fn of(blocks: &[UnitBlock<'_>], mut label: impl FnMut() -> DynamicLabel) -> Vec<Self> {
        let predecessors =
            |n| blocks.iter().flat_map(UnitBlock::all_successors).filter(|to| *to == n).count();
        let is_loop_head = |n| {
            blocks
                .iter()
                .enumerate()
                .any(|(from, block)| from >= n && block.all_successors().any(|to| to == n))
        };
        (0..blocks.len())
            .map(|n| {
                let (mut written, mut seen) = (Vec::new(), Vec::new());
                let observed = flags_are_observed(blocks, n, &mut seen, &mut written);
                Self {
                    label: label(),
                    is_loop_head: is_loop_head(n),
                    is_join: predecessors(n) + usize::from(n == 0) > 1,
                    flags_dead: !observed,
                    clobbered: written,
                    incoming: Vec::new(),
                }
            })
            .collect()
    }
}

/// True if the flags with which block `n` begins can be observed. Adds to `written` the slots that are written until they are
/// set again, or can no longer be observed.
fn flags_are_observed(
    blocks: &[UnitBlock<'_>],
    n: usize,
    seen: &mut Vec<usize>,
    written: &mut Vec<u8>,
) -> bool {
    let Some(block) = blocks.get(n).filter(|_| !seen.contains(&n)) else { return false };
    seen.push(n);
    let code = block.code;
    for (i, uop) in code.uops.iter().enumerate() {
        if lazy_flags::flags_are_dead_from(code, i) {
            return i > 0;
        }
        if !lazy_flags::flags_are_dead_from(code, i + 1) {
            written.extend(uop.written());
        }
    }
    for to in block.all_successors() {
        flags_are_observed(blocks, to, seen, written);
    }
    true
}

/// A back edge, or one into another page: its code comes behind that of the blocks.
pub(super) struct DeferredEdge {
    start: DynamicLabel,
    block: usize,
    /// Number of the exit.
    n: usize,
    to: usize,
    /// Where the flags are.
    flags: FlagLocation,
}

/// An indirect branch that does not go to its first successor.
pub(super) struct IndirectMiss {
    start: DynamicLabel,
    /// Leaves the unit.
    out: DynamicLabel,
    block: usize,
    btype: u8,
    /// Where the flags are.
    flags: FlagLocation,
}

/// Leaves the unit on a back edge when a request is pending.
pub(super) struct PollPoint {
    start: DynamicLabel,
    to: usize,
    /// Where the flags are.
    flags: FlagLocation,
}

impl Emitter<'_> {
    /// At the start of block `n`.
    pub(super) fn begin_block(&mut self, n: usize) {
        let Some(entry) = self.block_entries.get_mut(n) else { return };
        let BlockEntry { label, is_loop_head, is_join, flags_dead, .. } = *entry;
        let mut incoming = std::mem::take(&mut entry.incoming);
        if n == 0 && is_join && !flags_dead {
            // Control comes from another unit: the flags are in the frame.
            asm!(self; mov DWORD [r15 + state!(flag_form)], 0);
        }
        asm!(self; =>label);
        self.held = None;
        let first = incoming.pop().filter(|_| !is_loop_head);
        if is_join {
            self.flags = Flags::default();
            self.flags.location = if flags_dead { FlagLocation::Dead } else { FlagLocation::Joined };
        } else {
            self.flags = first.as_ref().map_or_else(Flags::default, |edge| edge.flags);
        }
        match first {
            Some(only) if incoming.is_empty() => self.sizes = only.sizes,
            _ => self.forget_vector_sizes(),
        }
    }

    /// On the edge to block `to`, if others join it there: stores which form the flags are in, and saves their operands that
    /// are overwritten while the flags can be observed. Keeps the host's flags; changes rcx.
    fn reconcile_flags(&mut self, to: usize) {
        let Some(entry) = self.block_entries.get(to).filter(|s| s.is_join && !s.flags_dead) else { return };
        let clobbered = entry.clobbered.clone();
        match self.flags.location {
            FlagLocation::Lazy(lazy) => {
                for slot in clobbered.into_iter().filter(|slot| lazy.uses(*slot)) {
                    self.preserve_operand(slot);
                }
                if let FlagLocation::Lazy(lazy) = self.flags.location {
                    let form = self.number_of_form(lazy);
                    asm!(self; mov DWORD [r15 + state!(flag_form)], form);
                }
            }
            FlagLocation::Frame | FlagLocation::FrameAs(_) => {
                asm!(self; mov DWORD [r15 + state!(flag_form)], 0)
            }
            FlagLocation::Joined | FlagLocation::Dead => {}
        }
    }

    fn record_edge(&mut self, to: usize) {
        self.reconcile_flags(to);
        let edge = EdgeState { flags: self.flags, sizes: self.sizes.clone() };
        if let Some(entry) = self.block_entries.get_mut(to) {
            entry.incoming.push(edge);
        }
    }

    /// As `record_edge`, of an edge whose code is deferred and changes the host's flags.
    fn record_deferred_edge(&mut self, to: usize) {
        let mut flags = self.flags;
        flags.clobber_host();
        let edge = EdgeState { flags, sizes: self.sizes.clone() };
        if let Some(entry) = self.block_entries.get_mut(to) {
            entry.incoming.push(edge);
        }
    }

    /// Goes on to the successor of exit `n`.
    pub(super) fn goto_successor(&mut self, n: usize) {
        let Some(to) = self.input.successors[n] else { return };
        if self.is_other_page(to) {
            self.enter_page_of(n, to);
        }
        self.goto_same_page(to);
    }

    /// Goes on to block `to`, which is in the current page.
    fn goto_same_page(&mut self, to: usize) {
        let Some(label) = self.block_entries.get(to).map(|s| s.label) else { return };
        if to <= self.block_index {
            return self.emit_back_edge(to);
        }
        self.record_edge(to);
        if to != self.block_index + 1 {
            asm!(self; jmp =>label);
        }
    }

    /// As `goto_same_page`, in deferred code.
    fn jump_same_page(&mut self, to: usize) {
        let Some(label) = self.block_entries.get(to).map(|s| s.label) else { return };
        if to <= self.block_index {
            return self.emit_back_edge(to);
        }
        self.reconcile_flags(to);
        asm!(self; jmp =>label);
    }

    fn is_other_page(&self, to: usize) -> bool {
        self.blocks.get(to).is_some_and(|block| block.page != self.input.page)
    }

    /// True if the current block runs at its own virtual page only: a unit can be entered at any page that its first block
    /// is in, but it comes to other pages by comparing them.
    pub(super) fn page_is_known(&self) -> bool {
        self.blocks.first().is_some_and(|first| first.page != self.input.page)
    }

    /// Enters the page of block `to` by exit `n`, or leaves the unit. Changes rdx.
    fn enter_page_of(&mut self, n: usize, to: usize) {
        let (start, block, flags) = (self.ops.new_dynamic_label(), self.block_index, self.flags.location);
        self.side_exits.push(SideExit { start, block, n, flags });
        if !self.page_is_known() {
            asm!(self; mov rdx, QWORD self.input.page as i64 ; cmp rdx, [r15 + state!(page)] ; jne =>start);
        }
        self.enter_page(to, start);
        self.flags.clobber_host();
    }

    /// Makes the page of block `to` the current one if the context and the code there are those that the unit was made for;
    /// else goes to `out`. Changes rdx.
    fn enter_page(&mut self, to: usize, out: DynamicLabel) {
        let Some(block) = self.blocks.get(to).copied() else { return };
        asm!(self; mov rdx, QWORD self.input.key as i64 ; cmp rdx, [r15 + state!(key)] ; jne =>out);
        let (word, value) = block.valid;
        asm!(self; mov rdx, QWORD word as i64 ; cmp DWORD [rdx], value as i32 ; jne =>out);
        asm!(self; mov rdx, QWORD block.page as i64 ; mov [r15 + state!(page)], rdx);
    }

    /// An indirect branch, with PSTATE.BTYPE, to the blocks that it went to in the recorded rounds.
    pub(super) fn indirect_to_successors(&mut self, a: u8, btype: u8) {
        let [Some(first), second, third] = self.input.indirect_successors else { return };
        self.load(RAX, a);
        let (start, out) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let (block, flags) = (self.block_index, self.flags.location);
        self.indirect_misses.push(IndirectMiss { start, out, block, btype, flags });
        for to in [second, third].into_iter().flatten().filter(|to| *to > block) {
            self.record_deferred_edge(to);
        }
        self.guard_target(first, btype, (start, out));
        self.flags.clobber_host();
        self.goto_same_page(first);
    }

    /// Goes on to block `to` if rax is its address, else to `other`. Changes rcx and rdx.
    fn guard_target(&mut self, to: usize, btype: u8, (other, out): (DynamicLabel, DynamicLabel)) {
        let Some(block) = self.blocks.get(to).copied() else { return };
        let at = block.page | u64::from(block.offset);
        asm!(self; mov rcx, QWORD at as i64 ; cmp rax, rcx ; jne =>other);
        self.enter_page(to, out);
        if btype != 0 {
            let count = if self.assignment.counts_in_frame {
                asm!(self; mov rcx, [r15 + state!(count)]);
                super::RCX
            } else {
                super::assign::COUNT
            };
            asm!(self
                ; mov [r15 + state!(btype_set_at)], Rq(count)
                ; mov DWORD [r15 + state!(btype_on_entry)], i32::from(btype)
            );
        }
    }

    /// Compares with the other successors of indirect branches; leaves the unit if it is none of them.
    fn emit_indirect_misses(&mut self) {
        for IndirectMiss { start, out, block, btype, flags } in std::mem::take(&mut self.indirect_misses) {
            self.set_current_block(block);
            asm!(self; =>start);
            for to in self.input.indirect_successors.into_iter().skip(1).flatten() {
                self.flags = Flags::default();
                self.flags.location = flags;
                let other = self.ops.new_dynamic_label();
                self.guard_target(to, btype, (other, out));
                self.jump_same_page(to);
                asm!(self; =>other);
            }
            asm!(self; =>out);
            self.spill_flags(flags);
            let write_back = self.labels.write_back;
            asm!(self; call =>write_back);
            self.indirect_to_rax(btype);
        }
    }

    fn emit_back_edge(&mut self, to: usize) {
        self.reconcile_flags(to);
        let start = self.ops.new_dynamic_label();
        self.poll_points.push(PollPoint { start, to, flags: self.flags.location });
        let Some(label) = self.block_entries.get(to).map(|s| s.label) else { return };
        let word = self.input.cpu.wires.doorbell().word_address();
        if self.input.cpu.mem.has_journal() {
            if self.assignment.counts_in_frame {
                asm!(self; mov rax, [r15 + state!(count)] ; cmp rax, [r15 + state!(limit)] ; jae =>start);
            } else {
                asm!(self; cmp r13, [r15 + state!(limit)] ; jae =>start);
            }
        }
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], 0 ; je =>label ; jmp =>start);
    }

    /// The label to jump to for exit `n`. Keeps the host's flags.
    fn edge_label(&mut self, n: usize) -> DynamicLabel {
        let start = self.ops.new_dynamic_label();
        let (block, flags) = (self.block_index, self.flags.location);
        match self.input.successors[n] {
            None => self.side_exits.push(SideExit { start, block, n, flags }),
            Some(to) if to <= block || self.is_other_page(to) => {
                self.deferred_edges.push(DeferredEdge { start, block, n, to, flags });
                if to > block {
                    self.record_deferred_edge(to);
                }
            }
            Some(to) => {
                self.record_edge(to);
                return self.block_entries.get(to).map_or(start, |s| s.label);
            }
        }
        start
    }

    /// By exit 0 if the condition holds, else by exit 1.
    pub(super) fn branch_to_successors(&mut self, cc: u8) {
        let [first, second] = self.input.successors;
        let next = Some(self.block_index + 1);
        let is_back = |to: Option<usize>| to.is_some_and(|to| to <= self.block_index);
        // The jump is for one exit, what follows it for the other.
        let jump = match (first, second) {
            (None, _) => 0,
            (_, None) => 1,
            // One jump in each round of a loop is enough: the back edge has one.
            _ if is_back(first) => 1,
            _ if is_back(second) => 0,
            _ => usize::from(first == next),
        };
        let label = self.edge_label(jump);
        self.jump_if(if jump == 0 { cc } else { cc ^ 1 }, label);
        self.goto_successor(jump ^ 1);
    }

    /// Deferred edges. Before the side exits, of which they add some.
    pub(super) fn emit_deferred_edges(&mut self) {
        for DeferredEdge { start, block, n, to, flags } in std::mem::take(&mut self.deferred_edges) {
            self.set_current_block(block);
            self.flags = Flags::default();
            self.flags.location = flags;
            asm!(self; =>start);
            if self.is_other_page(to) {
                self.enter_page_of(n, to);
            }
            self.jump_same_page(to);
        }
        self.emit_indirect_misses();
    }

    /// The exits of back edges on which a request is pending.
    pub(super) fn emit_poll_points(&mut self) {
        for PollPoint { start, to, flags } in std::mem::take(&mut self.poll_points) {
            self.set_current_block(to);
            let write_back = self.labels.write_back;
            asm!(self; =>start);
            self.spill_flags(flags);
            asm!(self; call =>write_back);
            self.leave(ExitKind::Event);
        }
    }
}
