//! Running one block after another, by the interpreter or as host code.

use emu_a64::mode::Mode;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::exception::Exception;

use super::block::Code;
use super::cache::{self, Cache};
use super::exec::{self, End};
use super::rounds::{INDIRECT, Member, Round};
use super::turn::Policy;
use super::uop::{Ends, Frame};
use crate::jit::{Left, Native, NativeBlock, Part};

/// How control came to an address: what can be remembered when its block is known.
#[derive(Clone, Copy)]
pub(super) enum Came {
    /// Nothing to remember.
    Anywhere,
    /// Through exit `n` of block `from`, under this serial and epoch.
    ByExit { serial: u64, epoch: u64, from: u32, n: usize },
    /// By an indirect branch to this address.
    ByTarget(u64),
}

/// Where a vCPU is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Address of the block that runs, or is looked for.
    pub pc: u64,
    /// Its number.
    pub index: u32,
    /// PSTATE.BTYPE at its first instruction.
    pub landed: u8,
}

impl Place {
    /// At an address, where no block is known yet.
    pub(super) const fn at(pc: u64) -> Self {
        Self { pc, index: 0, landed: 0 }
    }
}

/// A vCPU in the loop over blocks.
pub(super) struct Blocks<'a> {
    /// One round of a loop is interpreted, to see which blocks it has.
    pub round: Option<Round>,
    pub cpu: &'a mut Cpu,
    pub frame: &'a mut Frame,
    pub cache: &'a mut Cache,
    pub native: Option<&'a mut Native>,
    /// With PSTATE.BTYPE of the block that is looked for.
    pub mode: Mode,
    pub came: Came,
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
        Self { round: None, cpu, frame, cache, native, mode, came: Came::Anywhere }
    }
}

impl Blocks<'_> {
    /// Finds the block at an address, and remembers where control came from.
    #[inline]
    pub(super) fn find(&mut self, at: &mut Place) -> Result<(), Exception> {
        at.index = self.cache.find(self.cpu, at.pc, self.mode)?;
        if let Came::ByExit { serial, epoch, from, n } = self.came
            && serial == self.cpu.mem.serial(at.pc)
        {
            self.cache.link(epoch, from, n, serial, at.index);
        }
        self.link_native(at);
        at.landed = self.mode.btype;
        if at.landed != 0 {
            // The first instruction resets it; should it not complete, that is taken back.
            self.cpu.pstate.btype = 0;
            self.mode = self.cpu.mode();
        }
        Ok(())
    }

    /// The block where control has landed is not executed now: PSTATE.BTYPE is again what the branch made it.
    pub(super) fn take_landing_back(&mut self, at: &Place) {
        if at.landed != 0 {
            self.cpu.pstate.btype = at.landed;
            self.mode = self.cpu.mode();
        }
    }

    /// An indirect branch, from wherever the vCPU is.
    #[inline]
    pub(super) fn branch(&mut self, at: &mut Place, target: u64, btype: u8) {
        self.came = Came::ByTarget(target);
        at.pc = self.cpu.branch_address(target);
        if btype != 0 {
            self.cpu.pstate.btype = btype;
            self.mode = self.cpu.mode();
        }
    }

    /// Where host code led to a block that has host code, too, the way is made direct.
    #[inline]
    pub(super) fn link_native(&mut self, at: &Place) {
        let came = std::mem::replace(&mut self.came, Came::Anywhere);
        if let Some(native) = &mut self.native
            && let Some(to) = self.cache.get(at.index).filter(|b| b.is_native)
            // A way inside a page leads behind the check of the version.
            && to.source.holds()
            && let Some(to) = to.native
        {
            let serial = self.cpu.mem.serial(at.pc);
            let key = Native::key(serial, self.mode);
            match came {
                Came::ByExit { serial: then, epoch, from, n }
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
                Came::ByTarget(target) if target == at.pc => {
                    native.remember(target, key, &to);
                }
                _ => {}
            }
        }
    }

    /// Runs the block, and maybe more; gives the end of the last one, which is then the place. `None`: nothing was left
    /// to do but going on at its address.
    #[inline]
    pub(super) fn run<P: Policy>(&mut self, at: &mut Place, policy: &mut P) -> Option<End> {
        if self.round.is_some() && !self.round_ends(at) {
            if policy.can_be_in_round(self, at) {
                return self.interpret_round(at, policy);
            }
            self.give_up();
        }
        let block = self.cache.get(at.index)?;
        if self.native.is_some() && (block.is_native || self.warm(at)) {
            return self.run_native(at);
        }
        // There was no room for the block's code, and everything was dropped.
        let Some(block) = self.cache.get(at.index) else {
            self.take_landing_back(at);
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
    pub(super) fn single(&mut self, at: &mut Place, reason: Metric) -> (Code, End) {
        let cpu = &mut *self.cpu;
        let code = cache::single(cpu, at.pc, cpu.mode());
        at.landed = std::mem::take(&mut cpu.pstate.btype);
        self.mode = cpu.mode();
        cpu.counters.bump(Metric::Instructions);
        match code {
            // A word in its place, for what is said of its end.
            Err(e) => (Code { words: vec![0], ..Code::default() }, End::Fault(e.into(), 0)),
            Ok(code) if cpu.debug_events_enabled() && cpu.breakpoint_hit(at.pc) => {
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
    fn warm(&mut self, at: &Place) -> bool {
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
        let part = Part {
            code: &block.code,
            block: at.index,
            offset: block.offset() as u32,
            page: at.pc & !0xfff,
            valid: block.source.word(),
            to: [None; 2],
            targets: [None; 3],
            weight: 1,
            counter: None,
        };
        let Some(mut made) = native.compile(&[part], 0, place) else {
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

    /// True if the round that is being interpreted is over before the block at `at`: it came back to its start and the loop
    /// is compiled, or it is not one that can be.
    #[cold]
    fn round_ends(&mut self, at: &Place) -> bool {
        let Some(round) = &self.round else { return true };
        let is_head = at.index == round.head;
        if is_head == round.is_between() && (is_head || round.goes_on_with(at.index, at.pc & !0xfff)) {
            return false;
        }
        if round.is_between() {
            // On the way to the head: host code does that.
            return true;
        }
        let closes = is_head && at.pc & !0xfff == round.page && !round.has_returned();
        self.round_is_over(closes);
        // The next round begins.
        !(closes && self.round.is_some())
    }

    /// Looks whether enough rounds were seen to compile the loop, or to leave it.
    fn round_is_over(&mut self, closes: bool) {
        if self.round.as_mut().is_some_and(|round| round.over(closes))
            && let Some(round) = self.round.take()
            && !self.compile_loop(&round)
        {
            self.is_no_loop(round.head);
        }
    }

    /// No more rounds are looked at.
    #[cold]
    fn give_up(&mut self) {
        if let Some(round) = self.round.take() {
            self.is_no_loop(round.head);
        }
    }

    /// The block is not the head of a loop that can be compiled.
    fn is_no_loop(&mut self, head: u32) {
        self.round = None;
        if let (Some(native), Some(block)) = (&mut self.native, self.cache.get_mut(head))
            && let Some(unit) = &mut block.native
        {
            native.settle(unit);
        }
    }

    fn interpret_round<P: Policy>(&mut self, at: &Place, policy: &mut P) -> Option<End> {
        let block = self.cache.get(at.index)?;
        let code = &block.code;
        policy.count(self.cpu, block.length(), Metric::InterpretedRounds);
        let end = policy.interpret(code, at.pc, self.frame, self.cpu);
        let by = match end {
            End::Exit(n) => Some(n & 1),
            End::Indirect(_) | End::Landing(..) => Some(INDIRECT),
            _ => None,
        };
        match (end, &mut self.round) {
            (_, Some(round)) if let Some(n) = by => {
                let last = code.words.last().copied().unwrap_or(0);
                round.step((at.index, at.pc & !0xfff), n, code.uops.len(), last);
            }
            (End::Fault(..), _) => self.round = None,
            _ => self.round_is_over(false),
        }
        Some(end)
    }

    /// Compiles a loop; false if it cannot be.
    fn compile_loop(&mut self, round: &Round) -> bool {
        let Some(native) = &mut self.native else { return false };
        if !native.has_room() {
            return false;
        }
        let members = round.members();
        let mut parts = Vec::with_capacity(members.len());
        for Member { block: index, page, to, targets, weight } in members {
            let Some(block) = self.cache.get(index) else { return false };
            if !block.source.holds() {
                return false;
            }
            let (offset, code) = (block.offset() as u32, &block.code);
            let valid = block.source.word();
            parts.push(Part { code, block: index, page, offset, valid, to, targets, weight, counter: None });
        }
        if !self.cache.get(round.head).is_some_and(|b| b.is_native) {
            return false;
        }
        let key = Native::key(self.cpu.mem.serial(round.page), self.mode);
        let Some(mut made) = native.compile(&parts, key, (&*self.cpu, self.mode)) else {
            return false;
        };
        if let Some(block) = self.cache.get_mut(round.head)
            && let Some(old) = &mut block.native
        {
            native.replace(old, &mut made);
            *old = made;
        }
        true
    }

    #[inline]
    fn run_native(&mut self, at: &mut Place) -> Option<End> {
        let native = self.native.as_mut()?;
        let entry = self.cache.get(at.index)?.native?;
        self.frame.jit.page = at.pc & !0xfff;
        self.frame.jit.key = Native::key(self.cpu.mem.serial(at.pc), self.mode);
        self.frame.jit.salt = Native::salt(self.frame.jit.key);
        // The block counts itself when it starts: this is what it would find if an indirect branch had led to it.
        self.frame.jit.landed_at = self.frame.jit.count;
        self.frame.jit.landed = u32::from(at.landed);
        self.cpu.counters.bump(Metric::Blocks);
        let before = self.frame.jit.count;
        let (left, last) = native.enter(&entry, self.frame, self.cpu, self.cache);
        let block = self.cache.get(last)?;
        let jit = &mut self.frame.jit;
        if jit.count != before {
            self.cpu.counters.bump(Metric::HostEntries);
        }
        self.cpu.counters.bump(match left {
            Left::Exit(_) => Metric::ExitsUnlinked,
            Left::Indirect => Metric::ExitsIndirect,
            Left::End => Metric::ExitsEnd,
            Left::Event => Metric::ExitsEvent,
            Left::Fault => Metric::ExitsFault,
            Left::Hot => Metric::ExitsHot,
        });
        at.index = last;
        at.pc = jit.page.wrapping_add(block.offset());
        // Only the block that was landed in has started at this count.
        let before = matches!(left, Left::Event | Left::Hot);
        let length = if before { 0 } else { block.length() };
        at.landed = if jit.count.wrapping_sub(length) == jit.landed_at { jit.landed as u8 } else { 0 };
        Some(match left {
            Left::Exit(n) => End::Exit(n),
            Left::Fault => End::Fault(jit.fault.take()?, jit.at_insn as u16),
            Left::Event | Left::Hot => {
                if left == Left::Hot {
                    let (head, page) = (last, jit.page);
                    let unit = self.cache.get_mut(head).and_then(|b| b.native.as_mut());
                    if !unit.is_some_and(NativeBlock::try_as_head) {
                        self.is_no_loop(head);
                    } else if self.round.as_ref().is_none_or(|r| (r.head, r.page) != (head, page)) {
                        self.round = Some(Round::new(head, page));
                    }
                }
                self.take_landing_back(at);
                return None;
            }
            Left::Indirect | Left::End => match block.code.uops.last()?.facts().ends? {
                Ends::Indirect(0) => End::Indirect(jit.target),
                Ends::Indirect(btype) => End::Landing(jit.target, btype),
                Ends::Exception(e) => End::Exception(e),
                Ends::Leave(kind) => End::Leave(kind),
                Ends::Jump | Ends::Branch => return None,
            },
        })
    }
}
