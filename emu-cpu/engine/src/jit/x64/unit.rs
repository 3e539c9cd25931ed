//! Units: what is around the operations of blocks.
//!
//! A unit begins with three entries, each some checks further down, loads what it keeps in registers, and ends in exits
//! that put it back. A loop's unit keeps it there while it goes round, and looks for pending requests once in a round.

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler};

use super::assign::Assignment;
use super::flags::Flags;
use super::joins::Start;
use super::step;
use super::thunks::Calls;
use super::{
    Emitter, HostFeatures, Input, KIND_BITS, Kind, Output, PINNED, TEMP, Thunks, asm, int_disp, state,
    vec_disp,
};
use crate::interp::uop::{Exact, FIRST_TEMP};
use crate::jit::Part;
use crate::jit::state::JitState;

/// Places in a unit.
pub(super) struct Labels {
    /// Where the checks of an entry lead when one fails.
    event: DynamicLabel,
    /// Where it is counted that a loop is entered in another context, and where it goes on.
    elsewhere: [DynamicLabel; 2],
    /// Puts what the unit has in registers where it is between units.
    pub conform: DynamicLabel,
    /// Puts everything that is in registers into the frame, and takes it from there.
    save: DynamicLabel,
    restore: DynamicLabel,
    /// Puts the flags into the frame, kept as [`JitState::flag_way`] says.
    pub kept: DynamicLabel,
}

/// Compiles a unit; `None` if its first block is missing, or the code does not assemble.
pub(in crate::jit) fn compile<'a>(
    parts: &'a [Part<'a>],
    mut input: Input<'a>,
    thunks: &'a Thunks,
    host: HostFeatures,
    next_slot: &'a mut u32,
) -> Option<Output> {
    input.part = *parts.first()?;
    let is_loop = input.goes_on();
    let mut ops = VecAssembler::new(input.at as usize);
    let mut label = || ops.new_dynamic_label();
    let labels = Labels {
        event: label(),
        elsewhere: [label(), label()],
        conform: label(),
        save: label(),
        restore: label(),
        kept: label(),
    };
    let starts = Start::of(parts, label);
    let assignment = if is_loop {
        Assignment::of_loop(parts.iter().map(|p| (p.code, p.weight)))
    } else {
        Assignment::of_block(input.code)
    };
    let mut m = Emitter {
        ops,
        input,
        parts,
        number_of_part: 0,
        thunks,
        host,
        assignment,
        next_slot,
        flags: Flags::default(),
        ways: Vec::new(),
        slow: Vec::new(),
        exits: Vec::new(),
        sides: Vec::new(),
        starts,
        backs: Vec::new(),
        elsewhere: Vec::new(),
        events: Vec::new(),
        labels,
        insn: 0,
        number: 0,
        next: 0,
        ready: super::pairs::Ready::default(),
        sizes: super::vector::Sizes::default(),
        held: None,
        spans: Vec::new(),
    };
    let (head, fast) = m.entries();
    m.look_where_it_is();
    m.floating_point_on();
    m.load_assigned();
    for n in 0..parts.len() {
        m.part(n);
    }
    m.ways_put_off();
    m.side_exits();
    m.requests_on_ways();
    m.slow_paths();
    m.around(is_loop);
    let bytes = m.ops.finalize().ok()?;
    Some(Output { bytes, head, fast, exits: m.exits })
}

/// Code that counts down how often it is jumped to, on the way to the second entry of a unit, and leaves when the counter
/// has come to 0: the block may be worth compiling as a loop.
pub(in crate::jit) fn hot_stub(
    at: u64,
    (head, block): (u64, u32),
    counter: u64,
    thunks: &Thunks,
) -> Option<Vec<u8>> {
    struct Stub {
        ops: VecAssembler<X64Relocation>,
    }
    let mut s = Stub { ops: VecAssembler::new(at as usize) };
    let word = block << KIND_BITS | Kind::Hot as u32;
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
    fn entries(&mut self) -> (usize, usize) {
        let event = self.labels.event;
        let (word, value) = self.input.valid;
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], value as i32 ; jne =>event);
        let head = self.ops.offset().0;
        self.leave_if_pending(event);
        (head, self.ops.offset().0)
    }

    /// A loop that goes to other pages can do so only in the context that it was made for.
    fn look_where_it_is(&mut self) {
        if self.input.elsewhere.is_some() {
            let [start, back] = self.labels.elsewhere;
            let key = self.input.key as i64;
            asm!(self; mov rdx, QWORD key ; cmp rdx, [r15 + state!(key)] ; jne =>start ; =>back);
        }
    }

    /// Counts that it is entered in another one.
    fn count_elsewhere(&mut self) {
        if let Some(counter) = self.input.elsewhere {
            let [start, back] = self.labels.elsewhere;
            asm!(self; =>start ; mov rax, QWORD counter as i64 ; sub DWORD [rax], 1 ; jns =>back);
            self.leave(Kind::Hot);
        }
    }

    pub(super) fn leave_if_pending(&mut self, event: DynamicLabel) {
        let word = self.input.cpu.doorbell.word_address();
        asm!(self; mov rax, QWORD word as i64 ; cmp DWORD [rax], 0 ; jne =>event);
        if self.input.cpu.mem.has_journal() {
            asm!(self; cmp r13, [r15 + state!(limit)] ; jae =>event);
        }
    }

    fn part(&mut self, n: usize) {
        let Some(part) = self.parts.get(n) else { return };
        self.input.part = *part;
        self.number_of_part = n;
        self.arrive(n);
        if let Some(counter) = part.counter {
            asm!(self; mov rax, QWORD counter as i64 ; inc QWORD [rax]);
            self.flags.lose_host();
        }
        // Conditions of this block may use flags that the last one has set.
        let words = part.code.words.len() as i32;
        if self.assignment.counts_in_frame {
            asm!(self; add QWORD [r15 + state!(count)], words);
            self.flags.lose_host();
        } else {
            asm!(self; lea r13, [r13 + words]);
        }
        self.next = 0;
        // Ways from elsewhere may have come together here.
        self.held = None;
        for (n, uop) in part.code.uops.iter().enumerate() {
            if n < self.next {
                continue;
            }
            self.insn = part.code.insn_of.get(n).copied().unwrap_or(0);
            if let Some(step) = step::at(part.code, n) {
                (self.number, self.next) = (n + 1, n + 3);
                self.operation(step.access);
                self.number = n + 2;
                self.operation(step.add);
                continue;
            }
            (self.number, self.next) = (n, n + 1);
            self.operation(*uop);
        }
    }

    /// Makes part `n` the current one again, for code that was put off.
    pub(super) fn back_in(&mut self, n: usize) {
        if let Some(part) = self.parts.get(n) {
            self.input.part = *part;
            self.number_of_part = n;
        }
    }

    /// Sees to it that MXCSR is the guest's, if the unit has floating-point instructions: only calls of exact functions
    /// have such in their place.
    fn floating_point_on(&mut self) {
        let floats = |p: &Part<'_>| p.code.calls.iter().any(|call| matches!(call.op, Exact::Fp(_)));
        if self.parts.iter().any(floats) {
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
            asm!(self; mov [r15 + x(*slot)], Rq(*register));
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

    /// Puts it back. Keeps the host's flags.
    pub(super) fn put_assigned_back(&mut self) {
        for p in self.assignment.vectors.iter().filter(|p| p.is_guest() && p.written && !p.through) {
            asm!(self; movaps [r15 + vec_disp(p.slot)], Rx(p.register));
        }
        for p in self.assignment.ints.iter().filter(|p| p.is_guest() && p.written) {
            asm!(self; mov [r15 + int_disp(p.slot)], Rq(p.register));
        }
        for (slot, register) in &self.assignment.evicted {
            asm!(self; mov Rq(*register), [r15 + x(*slot)]);
        }
        if self.assignment.counts_in_frame {
            asm!(self; mov r13, [r15 + state!(count)]);
        }
    }

    /// The code around the operations that is not on their way.
    fn around(&mut self, is_loop: bool) {
        self.back_in(0);
        let Labels { event, conform, save, restore, .. } = self.labels;
        asm!(self; =>event);
        self.leave(Kind::Event);
        self.count_elsewhere();
        if is_loop {
            asm!(self; =>conform);
            self.put_assigned_back();
            asm!(self; ret);
            self.kept_ways();
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
