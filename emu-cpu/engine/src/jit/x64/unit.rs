//! Units: what is around the operations of blocks.
//!
//! A unit begins with three entries, each some checks further down, loads what it keeps in registers, and ends in exits
//! that write it back. A loop's unit keeps it there while it goes round, and polls for requests once in a round.

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler};

use super::assign::Assignment;
use super::edges::BlockEntry;
use super::flags::Flags;
use super::step;
use super::thunks::Calls;
use super::{
    Emitter, ExitKind, HostFeatures, Input, KIND_BITS, Output, PINNED, TEMP, Thunks, asm, int_disp, state,
    vec_disp,
};
use crate::interp::uop::{Exact, FIRST_TEMP};
use crate::jit::UnitBlock;
use crate::jit::state::JitState;

/// Places in a unit.
pub(super) struct Labels {
    /// Where the checks of an entry lead when one fails.
    event: DynamicLabel,
    /// Counts entries of a loop in another context than it was made for, and where it goes on.
    foreign_entry: [DynamicLabel; 2],
    /// Writes back what the unit has in registers, to where it is between units.
    pub write_back: DynamicLabel,
    /// Puts everything that is in registers into the frame, and takes it from there.
    save: DynamicLabel,
    restore: DynamicLabel,
    /// Spills the flags whose form is in [`JitState::flag_form`].
    pub joined_spill: DynamicLabel,
}

/// Compiles a unit; `None` if its first block is missing, or the code does not assemble.
pub(in crate::jit) fn compile<'a>(
    blocks: &'a [UnitBlock<'a>],
    mut input: Input<'a>,
    thunks: &'a Thunks,
    host: HostFeatures,
    next_slot: &'a mut u32,
) -> Option<Output> {
    input.block = *blocks.first()?;
    let is_loop = input.is_loop();
    let mut ops = VecAssembler::new(input.at as usize);
    let mut label = || ops.new_dynamic_label();
    let labels = Labels {
        event: label(),
        foreign_entry: [label(), label()],
        write_back: label(),
        save: label(),
        restore: label(),
        joined_spill: label(),
    };
    let block_entries = BlockEntry::of(blocks, label);
    let assignment = if is_loop {
        Assignment::of_loop(blocks.iter().map(|p| (p.code, p.frequency)))
    } else {
        Assignment::of_block(input.code)
    };
    let mut m = Emitter {
        ops,
        input,
        blocks,
        block_index: 0,
        thunks,
        host,
        assignment,
        next_slot,
        flags: Flags::default(),
        flag_forms: Vec::new(),
        slow_paths: Vec::new(),
        exits: Vec::new(),
        side_exits: Vec::new(),
        block_entries,
        deferred_edges: Vec::new(),
        indirect_misses: Vec::new(),
        poll_points: Vec::new(),
        labels,
        insn: 0,
        uop_index: 0,
        next_uop: 0,
        ready: super::pairs::Ready::default(),
        sizes: super::vector::Sizes::default(),
        held: None,
        spans: Vec::new(),
    };
    let (head, fast) = m.emit_entries();
    m.guard_context_key();
    m.load_guest_mxcsr();
    m.load_assigned();
    for n in 0..blocks.len() {
        m.emit_block(n);
    }
    m.emit_deferred_edges();
    m.emit_side_exits();
    m.emit_poll_points();
    m.emit_slow_paths();
    m.emit_epilogues(is_loop);
    let bytes = m.ops.finalize().ok()?;
    Some(Output { bytes, head, fast, exits: m.exits })
}

/// Code that counts down how often it is jumped to, on the way to the second entry of a unit, and leaves when the counter
/// has come to 0: the block may be worth compiling as a loop.
pub(in crate::jit) fn loop_counter_stub(
    at: u64,
    (head, block): (u64, u32),
    counter: u64,
    thunks: &Thunks,
) -> Option<Vec<u8>> {
    struct Stub {
        ops: VecAssembler<X64Relocation>,
    }
    let mut s = Stub { ops: VecAssembler::new(at as usize) };
    let word = block << KIND_BITS | ExitKind::LoopCandidate as u32;
    asm!(s
        ; mov rax, QWORD counter as i64
        ; sub DWORD [rax], 1
        ; js >hot
        ; jmp extern head as usize
        ; hot:
        ; mov eax, word as i32
        ; jmp extern thunks.exit as usize
    );
    s.ops.finalize().ok()
}

impl Emitter<'_> {
    /// The checks at the start of a unit. Gives the offsets of the second and third entry.
    fn emit_entries(&mut self) -> (usize, usize) {
        let event = self.labels.event;
        let (word, value) = self.input.valid;
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], value as i32 ; jne =>event);
        let head = self.ops.offset().0;
        self.poll_requests(event);
        (head, self.ops.offset().0)
    }

    /// Compares the context with the one that the unit was made for: only in that one can a loop go to other pages.
    fn guard_context_key(&mut self) {
        if self.input.foreign_entries.is_some() {
            let [start, back] = self.labels.foreign_entry;
            let key = self.input.key as i64;
            asm!(self; mov rdx, QWORD key ; cmp rdx, [r15 + state!(key)] ; jne =>start ; =>back);
        }
    }

    /// Counts an entry in another one.
    fn count_foreign_entries(&mut self) {
        if let Some(counter) = self.input.foreign_entries {
            let [start, back] = self.labels.foreign_entry;
            asm!(self; =>start ; mov rax, QWORD counter as i64 ; sub DWORD [rax], 1 ; jns =>back);
            self.leave(ExitKind::LoopCandidate);
        }
    }

    pub(super) fn poll_requests(&mut self, event: DynamicLabel) {
        let word = self.input.cpu.wires.doorbell().word_address();
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], 0 ; jne =>event);
        if self.input.cpu.mem.has_journal() {
            asm!(self; cmp r13, [r15 + state!(limit)] ; jae =>event);
        }
    }

    fn emit_block(&mut self, n: usize) {
        let Some(block) = self.blocks.get(n) else { return };
        self.input.block = *block;
        self.block_index = n;
        self.begin_block(n);
        if let Some(counter) = block.counter {
            asm!(self; mov rax, QWORD counter as i64 ; inc QWORD [rax]);
            self.flags.clobber_host();
        }
        // Conditions of this block may use flags that the last one has set.
        let words = block.code.words.len() as i32;
        if self.assignment.counts_in_frame {
            asm!(self; add QWORD [r15 + state!(count)], words);
            self.flags.clobber_host();
        } else {
            asm!(self; lea r13, [r13 + words]);
        }
        self.next_uop = 0;
        // The block may have several predecessors.
        self.held = None;
        for (n, uop) in block.code.uops.iter().enumerate() {
            if n < self.next_uop {
                continue;
            }
            self.insn = block.code.insn_of.get(n).copied().unwrap_or(0);
            if let Some(step) = step::at(block.code, n) {
                (self.uop_index, self.next_uop) = (n + 1, n + 3);
                self.operation(step.access);
                self.uop_index = n + 2;
                self.operation(step.add);
                continue;
            }
            (self.uop_index, self.next_uop) = (n, n + 1);
            self.operation(*uop);
        }
    }

    /// Makes block `n` the current one again, for its deferred code.
    pub(super) fn set_current_block(&mut self, n: usize) {
        if let Some(block) = self.blocks.get(n) {
            self.input.block = *block;
            self.block_index = n;
        }
    }

    /// Loads the guest's MXCSR, if the unit has floating-point instructions: these are in place of calls of exact functions.
    fn load_guest_mxcsr(&mut self) {
        let floats = |p: &UnitBlock<'_>| p.code.calls.iter().any(|call| matches!(call.op, Exact::Fp(_)));
        if self.blocks.iter().any(floats) {
            asm!(self
                ; cmp DWORD [r15 + state!(fp_on)], 0
                ; jne >on
                ; stmxcsr [r15 + state!(host_mxcsr)]
                ; ldmxcsr [r15 + state!(mxcsr)]
                ; mov DWORD [r15 + state!(fp_on)], 1
                ; on:
            );
        }
    }

    /// What the unit keeps in registers comes from the frame.
    fn load_assigned(&mut self) {
        for (slot, register) in &self.assignment.evicted {
            asm!(self; mov [r15 + int_disp(*slot)], Rq(*register));
        }
        if self.assignment.counts_in_frame {
            asm!(self; mov [r15 + state!(count)], r13);
        }
        for p in self.assignment.ints.iter().filter(|p| p.is_guest()) {
            asm!(self; mov Rq(p.register), [r15 + int_disp(p.slot)]);
        }
        for p in self.assignment.vectors.iter().filter(|p| p.is_guest() && !p.through) {
            asm!(self; movaps Rx(p.register), [r15 + vec_disp(p.slot)]);
        }
    }

    /// Writes it back. Keeps the host's flags.
    pub(super) fn write_back_assigned(&mut self) {
        for p in self.assignment.vectors.iter().filter(|p| p.is_guest() && p.written && !p.through) {
            asm!(self; movaps [r15 + vec_disp(p.slot)], Rx(p.register));
        }
        for p in self.assignment.ints.iter().filter(|p| p.is_guest() && p.written) {
            asm!(self; mov [r15 + int_disp(p.slot)], Rq(p.register));
        }
        for (slot, register) in &self.assignment.evicted {
            asm!(self; mov Rq(*register), [r15 + int_disp(*slot)]);
        }
        if self.assignment.counts_in_frame {
            asm!(self; mov r13, [r15 + state!(count)]);
        }
    }

    /// The code behind the blocks that all of them share.
    fn emit_epilogues(&mut self, is_loop: bool) {
        self.set_current_block(0);
        let Labels { event, write_back, save, restore, .. } = self.labels;
        asm!(self; =>event);
        self.leave(ExitKind::Event);
        self.count_foreign_entries();
        if is_loop {
            asm!(self; =>write_back);
            self.write_back_assigned();
            asm!(self; ret);
            self.emit_joined_spill();
        }
        if !self.assignment.is_plain() {
            asm!(self; =>save);
            self.save_or_restore(true);
            asm!(self; ret ; =>restore);
            self.save_or_restore(false);
            asm!(self; ret);
        }
    }

    /// All that is in registers, to or from the frame.
    fn save_or_restore(&mut self, save: bool) {
        let homes = PINNED.iter().filter(|p| !self.assignment.evicted.contains(p)).copied();
        let temp = Some((FIRST_TEMP, TEMP)).filter(|t| self.assignment.int(t.0) == Some(t.1));
        let placed = self.assignment.ints.iter().map(|p| (p.slot, p.register));
        let ints: Vec<_> = homes.chain(placed).chain(temp).collect();
        for (slot, register) in ints {
            if save {
                asm!(self; mov [r15 + int_disp(slot)], Rq(register));
            } else {
                asm!(self; mov Rq(register), [r15 + int_disp(slot)]);
            }
        }
        if save && self.assignment.counts_in_frame {
            // As functions of the runtime find it.
            asm!(self; mov r13, [r15 + state!(count)]);
        }
        for p in &self.assignment.vectors {
            if !save {
                asm!(self; movaps Rx(p.register), [r15 + vec_disp(p.slot)]);
            } else if p.written && !p.through {
                asm!(self; movaps [r15 + vec_disp(p.slot)], Rx(p.register));
            }
        }
    }

    /// Calls a function of the runtime: arguments in rax, rdx, rcx, result in rax.
    pub(super) fn call_thunk(&mut self, which: impl Fn(&Calls) -> u64) {
        if self.assignment.is_plain() {
            let thunk = which(&self.thunks.saving);
            asm!(self; call extern thunk as usize);
        } else {
            let (save, restore) = (self.labels.save, self.labels.restore);
            let thunk = which(&self.thunks.plain);
            asm!(self; call =>save ; call extern thunk as usize ; call =>restore);
        }
        if let Some(slot) = self.assignment.guest_temp {
            asm!(self; mov Rq(TEMP), [r15 + int_disp(slot)]);
        }
    }
}
