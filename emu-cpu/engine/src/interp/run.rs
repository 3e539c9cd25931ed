//! Running one block after another, by the interpreter or as host code.

use emu_a64::mode::Mode;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::Exception;

use super::block::Code;
use super::block_loop::Policy;
use super::cache::{self, Cache};
use super::exec::{self, End};
use super::loop_recorder::{INDIRECT, LoopBlock, LoopRecorder};
use super::uop::{Ends, Frame};
use crate::jit::{ExitReason, HostCode, Native, UnitBlock, context_key};

/// The edge by which control came to an address: what is linked when the block there is known.
#[derive(Clone, Copy)]
pub(super) enum EntryEdge {
    /// None that can be linked.
    Unknown,
    /// Through exit `n` of block `from`, under this serial and epoch.
    Exit { serial: u64, epoch: u64, from: u32, n: usize },
    /// By an indirect branch to this address.
    Indirect(u64),
}

/// Where a vCPU is in the loop over blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// Address of the block that runs, or is looked for.
    pub pc: u64,
    /// Its number.
    pub index: u32,
    /// PSTATE.BTYPE at its first instruction, which sets it to 0.
    pub btype_on_entry: u8,
}

impl Position {
    /// At an address, where no block is known yet.
    pub(super) const fn at(pc: u64) -> Self {
        Self { pc, index: 0, btype_on_entry: 0 }
    }
}

/// A vCPU in the loop over blocks.
pub(super) struct Blocks<'a> {
    /// Records a loop, whose rounds are interpreted meanwhile.
    pub recorder: Option<LoopRecorder>,
    pub cpu: &'a mut Cpu,
    pub frame: &'a mut Frame,
    pub cache: &'a mut Cache,
    pub native: Option<&'a mut Native>,
    /// With PSTATE.BTYPE of the block that is looked for.
    pub mode: Mode,
    pub entry_edge: EntryEdge,
}

impl<'a> Blocks<'a> {
    /// At the beginning of a turn.
    pub(super) fn new(
        cpu: &'a mut Cpu,
        frame: &'a mut Frame,
        cache: &'a mut Cache,
        native: Option<&'a mut Native>,
    ) -> Self {
        let mode = cpu.mode();
        Self { recorder: None, cpu, frame, cache, native, mode, entry_edge: EntryEdge::Unknown }
    }
}

impl Blocks<'_> {
    /// Finds the block at an address, and remembers where control came from.
    #[inline]
    pub(super) fn find(&mut self, at: &mut Position) -> Result<(), Exception> {
        at.index = self.cache.find(self.cpu, at.pc, self.mode)?;
        if let EntryEdge::Exit { serial, epoch, from, n } = self.entry_edge
            && serial == self.cpu.mem.serial(at.pc)
        {
            self.cache.link(epoch, from, n, serial, at.index);
        }
        self.link_native(at);
        at.btype_on_entry = self.mode.btype;
        if at.btype_on_entry != 0 {
            // The first instruction resets it; should it not complete, that is taken back.
            self.cpu.pstate.btype = 0;
            self.mode = self.cpu.mode();
        }
        Ok(())
    }

    /// The block is not executed now: PSTATE.BTYPE is again what the branch to it made it.
    pub(super) fn restore_pending_btype(&mut self, at: &Position) {
        if at.btype_on_entry != 0 {
            self.cpu.pstate.btype = at.btype_on_entry;
            self.mode = self.cpu.mode();
        }
    }

    /// An indirect branch, from wherever the vCPU is.
    #[inline]
    pub(super) fn branch(&mut self, at: &mut Position, target: u64, btype: u8) {
        self.entry_edge = EntryEdge::Indirect(target);
        at.pc = self.cpu.branch_address(target);
        if btype != 0 {
            self.cpu.pstate.btype = btype;
            self.mode = self.cpu.mode();
        }
    }

    /// Links host code to the block at the place, if control came from host code and the block has some.
    #[inline]
    pub(super) fn link_native(&mut self, at: &Position) {
        let edge = std::mem::replace(&mut self.entry_edge, EntryEdge::Unknown);
        if let Some(native) = &mut self.native
            && let Some(to) = self.cache.get(at.index).filter(|b| b.is_native)
            // A link inside a page goes behind the check of the version.
            && to.source.holds()
            && let Some(to) = to.native
        {
            let serial = self.cpu.mem.serial(at.pc);
            let key = context_key::key(serial, self.mode);
            match edge {
                EntryEdge::Exit { serial: then, epoch, from, n }
                    if then == serial && epoch == self.cache.epoch() =>
                {
                    if let Some(block) = self.cache.get(from) {
                        let start = at.pc.wrapping_sub(block.code.exits[n & 1].rel as u64);
                        // Between the halves the key is another one.
                        if (start ^ at.pc) >> 55 & 1 == 0 {
                            native.link((from, n), (at.index, &to), start & !0xfff, key);
                        }
                    }
                }
                EntryEdge::Indirect(target) if target == at.pc => {
                    native.remember(target, key, &to);
                }
                _ => {}
            }
        }
    }

    /// Runs the block, and maybe more; gives the end of the last one, which is then the place. `None`: go on with the block
    /// at its address.
    #[inline]
    pub(super) fn run<P: Policy>(&mut self, at: &mut Position, policy: &mut P) -> Option<End> {
        if self.recorder.is_some() && !self.recording_pauses(at) {
            if policy.may_be_recorded(self, at) {
                return self.interpret_recorded(at, policy);
            }
            self.abandon_recording();
        }
        let block = self.cache.get(at.index)?;
        if self.native.is_some() && (block.is_native || self.count_and_maybe_compile(at)) {
            return self.run_native(at);
        }
        // There was no room for the block's code, and everything was dropped.
        let Some(block) = self.cache.get(at.index) else {
            self.restore_pending_btype(at);
            return None;
        };
        let reason = match &self.native {
            None => Metric::InterpretedAlways,
            Some(_) if block.is_refused => Metric::InterpretedRefused,
            Some(_) => Metric::InterpretedCold,
        };
        policy.count(self.cpu, block.length(), reason);
        Some(policy.interpret(&block.code, at.pc, self.frame, self.cpu))
    }

    /// Executes the one instruction at the place outside the cache, unless the guest has a breakpoint there. Gives its code
    /// and its end.
    pub(super) fn single(&mut self, at: &mut Position, reason: Metric) -> (Code, End) {
        let cpu = &mut *self.cpu;
        let code = cache::single(cpu, at.pc, cpu.mode());
        at.btype_on_entry = std::mem::take(&mut cpu.pstate.btype);
        self.mode = cpu.mode();
        cpu.counters.bump(Metric::Instructions);
        match code {
            // A word in its place, for what is said of its end.
            Err(e) => (Code { words: vec![0], ..Code::default() }, End::Fault(e.into(), 0)),
            Ok(code) if cpu.debug().events_enabled() && cpu.debug().breakpoint_hit(at.pc) => {
                (code, End::Fault(Exception::Breakpoint.into(), 0))
            }
            Ok(code) => {
                cpu.counters.bump(reason);
                let end = exec::run(&code, at.pc, self.frame, cpu);
                (code, end)
            }
        }
    }

    /// Counts a run of a block that is not compiled; compiles it when it was run often enough. True if it was compiled.
    fn count_and_maybe_compile(&mut self, at: &Position) -> bool {
        let index = at.index;
        let epoch = self.cache.epoch();
        let (Some(native), Some(block)) = (&mut self.native, self.cache.get_mut(index)) else { return false };
        block.cold = block.cold.saturating_sub(1);
        if block.cold != 0 {
            return false;
        }
        native.begin(epoch);
        if !native.has_room() || !self.cache.has_room(native.table_bytes()) {
            self.cpu.counters.bump(Metric::HostCodeDrops);
            self.cache.clear();
            return false;
        }
        let Some(block) = self.cache.get_mut(index) else { return false };
        let place = (&*self.cpu, self.mode);
        let only = UnitBlock {
            code: &block.code,
            number: at.index,
            offset: block.offset() as u32,
            page: at.pc & !0xfff,
            valid: block.source.word(),
            successors: [None; 2],
            indirect_successors: [None; 3],
            frequency: 1,
            counter: None,
        };
        let Some(mut made) = native.compile(&[only], 0, place) else {
            // It stays with the interpreter.
            block.cold = u8::MAX;
            block.is_refused = true;
            return false;
        };
        if let Some(old) = block.native {
            native.replace(&old, &mut made);
        }
        block.native = Some(made);
        block.is_native = true;
        true
    }

    /// True if the block at `at` is not to be recorded: it is between two rounds, or has ended the recording.
    #[cold]
    fn recording_pauses(&mut self, at: &Position) -> bool {
        let Some(recorder) = &self.recorder else { return true };
        let is_head = at.index == recorder.head;
        if is_head == recorder.is_between_rounds() && (is_head || recorder.accepts(at.index, at.pc & !0xfff))
        {
            return false;
        }
        if recorder.is_between_rounds() {
            // Host code takes control to the head.
            return true;
        }
        let closes = is_head && at.pc & !0xfff == recorder.page && !recorder.has_returned();
        self.end_round(closes);
        // The head that closes a round begins the next one, if more are wanted.
        !(closes && self.recorder.is_some())
    }

    /// Ends a round; compiles the loop when enough were recorded.
    fn end_round(&mut self, closes: bool) {
        if self.recorder.as_mut().is_some_and(|recorder| recorder.end_round(closes))
            && let Some(recorder) = self.recorder.take()
            && !self.compile_loop(&recorder)
        {
            self.mark_not_a_loop(recorder.head);
        }
    }

    /// Ends a recording without a loop.
    #[cold]
    fn abandon_recording(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            self.mark_not_a_loop(recorder.head);
        }
    }

    /// The block is not the head of a loop that can be compiled.
    fn mark_not_a_loop(&mut self, head: u32) {
        self.recorder = None;
        if let (Some(native), Some(block)) = (&mut self.native, self.cache.get_mut(head))
            && let Some(unit) = &mut block.native
        {
            native.finalise_unit(unit);
        }
    }

    fn interpret_recorded<P: Policy>(&mut self, at: &Position, policy: &mut P) -> Option<End> {
        let block = self.cache.get(at.index)?;
        let code = &block.code;
        policy.count(self.cpu, block.length(), Metric::InterpretedRounds);
        let end = policy.interpret(code, at.pc, self.frame, self.cpu);
        let by = match end {
            End::Exit(n) => Some(n & 1),
            End::Indirect(_) | End::IndirectTyped(..) => Some(INDIRECT),
            _ => None,
        };
        match (end, &mut self.recorder) {
            (_, Some(recorder)) if let Some(n) = by => {
                let last = code.words.last().copied().unwrap_or(0);
                recorder.record((at.index, at.pc & !0xfff), n, code.uops.len(), last);
            }
            (End::Fault(..), _) => self.recorder = None,
            _ => self.end_round(false),
        }
        Some(end)
    }

    /// Compiles a loop; false if it cannot be.
    fn compile_loop(&mut self, recorder: &LoopRecorder) -> bool {
        let Some(native) = &mut self.native else { return false };
        if !native.has_room() {
            return false;
        }
        let members = recorder.loop_blocks();
        let mut blocks = Vec::with_capacity(members.len());
        for LoopBlock { block: number, page, successors, indirect_successors, frequency } in members {
            let Some(block) = self.cache.get(number) else { return false };
            if !block.source.holds() {
                return false;
            }
            let (offset, code) = (block.offset() as u32, &block.code);
            let valid = block.source.word();
            blocks.push(UnitBlock {
                code,
                number,
                page,
                offset,
                valid,
                successors,
                indirect_successors,
                frequency,
                counter: None,
            });
        }
        if !self.cache.get(recorder.head).is_some_and(|b| b.is_native) {
            return false;
        }
        let key = context_key::key(self.cpu.mem.serial(recorder.page), self.mode);
        let Some(mut made) = native.compile(&blocks, key, (&*self.cpu, self.mode)) else {
            return false;
        };
        if let Some(block) = self.cache.get_mut(recorder.head)
            && let Some(old) = &mut block.native
        {
            native.replace(old, &mut made);
            *old = made;
        }
        true
    }

    #[inline]
    fn run_native(&mut self, at: &mut Position) -> Option<End> {
        let native = self.native.as_mut()?;
        let entry = self.cache.get(at.index)?.native?;
        self.frame.jit.page = at.pc & !0xfff;
        self.frame.jit.key = context_key::key(self.cpu.mem.serial(at.pc), self.mode);
        self.frame.jit.salt = context_key::salt(self.frame.jit.key);
        // The block counts itself when it starts: this is what it would find if an indirect branch had led to it.
        self.frame.jit.btype_set_at = self.frame.jit.count;
        self.frame.jit.btype_on_entry = u32::from(at.btype_on_entry);
        self.cpu.counters.bump(Metric::Blocks);
        let before = self.frame.jit.count;
        let (reason, last) = native.enter(&entry, self.frame, self.cpu, self.cache);
        let block = self.cache.get(last)?;
        let jit = &mut self.frame.jit;
        if jit.count != before {
            self.cpu.counters.bump(Metric::HostEntries);
        }
        self.cpu.counters.bump(match reason {
            ExitReason::Exit(_) => Metric::ExitsUnlinked,
            ExitReason::Indirect => Metric::ExitsIndirect,
            ExitReason::End => Metric::ExitsEnd,
            ExitReason::Event => Metric::ExitsEvent,
            ExitReason::Fault => Metric::ExitsFault,
            ExitReason::LoopCandidate => Metric::ExitsHot,
        });
        at.index = last;
        at.pc = jit.page.wrapping_add(block.offset());
        // Only the block that the indirect branch entered has started at this count.
        let before = matches!(reason, ExitReason::Event | ExitReason::LoopCandidate);
        let length = if before { 0 } else { block.length() };
        at.btype_on_entry =
            if jit.count.wrapping_sub(length) == jit.btype_set_at { jit.btype_on_entry as u8 } else { 0 };
        Some(match reason {
            ExitReason::Exit(n) => End::Exit(n),
            ExitReason::Fault => End::Fault(jit.fault.take()?, jit.at_insn as u16),
            ExitReason::Event | ExitReason::LoopCandidate => {
                if reason == ExitReason::LoopCandidate {
                    let (head, page) = (last, jit.page);
                    let unit = self.cache.get_mut(head).and_then(|b| b.native.as_mut());
                    if !unit.is_some_and(Native::begin_recording_attempt) {
                        self.mark_not_a_loop(head);
                    } else if self.recorder.as_ref().is_none_or(|r| (r.head, r.page) != (head, page)) {
                        self.recorder = Some(LoopRecorder::new(head, page));
                    }
                }
                self.restore_pending_btype(at);
                return None;
            }
            ExitReason::Indirect | ExitReason::End => match block.code.uops.last()?.facts().ends? {
                Ends::Indirect(0) => End::Indirect(jit.target),
                Ends::Indirect(btype) => End::IndirectTyped(jit.target, btype),
                Ends::Exception(e) => End::Exception(e),
                Ends::Leave(kind) => End::Leave(kind),
                Ends::Jump | Ends::Branch => return None,
            },
        })
    }
}
