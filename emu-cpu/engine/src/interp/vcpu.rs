//! A vCPU: the loop that its thread runs.

use std::time::Duration;

use emu_a64::ir::{ExcOp, LeaveKind};
use emu_a64::regs::SP;
use emu_core::clock::Mode as ClockMode;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::debug::StepState;
use emu_pe::doorbell::reason;
use emu_pe::exception::{Exception, Stop, WaitKind};
use emu_pe::mem::context;

use super::block::Code;
use super::block_loop::{LoopEnd, Undisturbed};
use super::cache::Cache;
use super::debug::{Debug, DebugStop};
use super::exec::{self, End};
use super::lockstep::Lockstep;
use super::run::{Blocks, Position};
use super::uop::Frame;
use crate::jit::observe::{CodeSize, Observers};
use crate::jit::profile::Profile;
use crate::jit::{HostCode, Native};

/// The longest sleep of a WFE while the exclusive monitor is open: another PE's store to the monitored location is an
/// event (Arm ARM, D1.6.1), and stores are not watched for it.
const MONITOR_WAIT: Duration = Duration::from_micros(50);
/// The longest sleep in general; a WFE may end at any time.
const EVENT_WAIT: Duration = Duration::from_millis(10);

/// A processing element with what is needed to run it.
pub struct Vcpu {
    /// The architectural state.
    pub cpu: Cpu,
    pub(super) frame: Box<Frame>,
    pub(super) cache: Cache,
    pub(super) native: Option<Native>,
    pub(super) lockstep: Option<Box<Lockstep>>,
    pub(super) debug: Debug,
    /// Instructions take time: 2 to the power of this in nanoseconds.
    pub(super) counted: Option<u32>,
}

impl Vcpu {
    /// Around a CPU.
    #[must_use]
    pub fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            frame: Box::default(),
            cache: Cache::default(),
            native: None,
            lockstep: None,
            debug: Debug::default(),
            counted: None,
        }
    }

    /// Bounds what is kept of guest code beside host code: predecoded blocks, and tables of both.
    pub fn bound_blocks(&mut self, bytes: usize) {
        self.cache.set_bound(bytes);
    }

    /// Compiles blocks when they run for the `nth` time, and loops when they have gone round some 45 times as often, with
    /// room for `bytes` of host code. False if this host cannot.
    pub fn use_jit(&mut self, bytes: usize, nth: u8) -> bool {
        self.compile_with(nth, |rounds| Native::new(bytes, rounds))
    }

    /// As [`Vcpu::use_jit`], with code for hosts that have nothing beyond x86-64-v2.
    pub fn use_baseline_jit(&mut self, bytes: usize, nth: u8) -> bool {
        self.compile_with(nth, |rounds| Native::baseline(bytes, rounds))
    }

    fn compile_with(&mut self, nth: u8, native: impl FnOnce(u32) -> Option<Native>) -> bool {
        self.cache.clear();
        self.cache.set_cold(nth);
        self.native = native(2 + 45 * u32::from(nth.saturating_sub(1)));
        self.native.is_some()
    }

    /// Tells these observers of host code from now on. After [`Vcpu::use_jit`].
    pub fn observe(&mut self, observers: Observers) {
        self.frame.jit.profile = observers.profile.clone();
        if let Some(native) = &mut self.native {
            native.observe(observers);
        }
    }

    /// How much host code there is; `None` if there is never any.
    #[must_use]
    pub fn host_code(&self) -> Option<CodeSize> {
        self.native.as_ref().map(Native::size)
    }

    /// What was counted since [`Vcpu::observe`] was asked for it.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        self.frame.jit.profile.as_deref()
    }

    /// Runs until somebody rings [`reason::CONTROL`], or there is something to tell the debugger
    /// ([`Vcpu::take_debug_stop`]). The registers of [`Vcpu::cpu`] are up to date before and after.
    pub fn run(&mut self) {
        self.frame.v[..32].copy_from_slice(&self.cpu.regs.v);
        self.cpu.mem.unpark();
        self.cpu.timers.update(&self.cpu.sys);
        loop {
            let reasons =
                if self.cpu.wires.doorbell().is_rung() { self.cpu.wires.doorbell().take() } else { 0 };
            self.cpu.mem.serve_requests();
            if reasons & reason::CONTROL != 0 {
                break;
            }
            if reasons & reason::INTERRUPT != 0 {
                self.cpu.timers.update(&self.cpu.sys);
                self.cpu.update_pmu();
            }
            match self.debug.step {
                None => self.turn(),
                Some(interrupts) => self.debug_step(interrupts),
            }
            if self.debug.stop.is_some() || self.has_difference() {
                break;
            }
        }
        // The counters are registers: a snapshot finds them up to date.
        self.cpu.sync_pmu();
        self.cpu.mem.park();
        self.cpu.regs.v.copy_from_slice(&self.frame.v[..32]);
    }

    /// Runs for at most `n` blocks, or until an exception, an interrupt or a change of context; for tests and debuggers.
    pub fn run_turns(&mut self, n: usize) {
        self.frame.v[..32].copy_from_slice(&self.cpu.regs.v);
        for _ in 0..n {
            if self.cpu.wires.doorbell().take() & reason::CONTROL != 0 || self.has_difference() {
                break;
            }
            self.cpu.mem.serve_requests();
            self.cpu.timers.update(&self.cpu.sys);
            self.cpu.update_pmu();
            self.turn();
        }
        self.cpu.regs.v.copy_from_slice(&self.frame.v[..32]);
    }

    /// From one point where everything is looked at to the next.
    fn turn(&mut self) {
        let cpu = &mut self.cpu;
        cpu.poll_interrupts();
        if cpu.requests.take_standby() {
            self.wait_for_interrupt(None);
            return;
        }
        let (state, pc) = (cpu.debug().step_state(), cpu.regs.pc);
        let exclusive = self.debug.stepped.take();
        if state == StepState::Pending {
            return cpu.raise(Exception::SoftwareStep { exclusive }, pc, 0);
        }
        if cpu.pstate.il {
            return cpu.raise(Exception::IllegalState, pc, 0);
        }
        context::select(cpu);
        exec::from_regs(&mut self.frame, cpu);
        match state {
            StepState::Inactive if self.has_breakpoints() || self.cpu.trace.blocks => self.run_watchfully(),
            StepState::Inactive if self.lockstep.is_some() => self.run_lockstep(),
            StepState::Inactive => match self.counted {
                None => self.run_blocks(),
                Some(shift) => self.run_counted(shift),
            },
            _ => self.step(),
        }
    }

    /// Runs blocks until something must be looked at.
    fn run_blocks(&mut self) {
        let Self { cpu, frame, cache, native, .. } = self;
        let mut at = Position::at(cpu.regs.pc);
        let ended = Blocks::new(cpu, frame, cache, native.as_mut()).follow(&mut at, &mut Undisturbed);
        let leave = self.end(at, ended, None);
        self.leave(leave);
    }

    /// Puts registers and PC to where the loop over blocks has ended. `single`: the code at the place if it is not that of the
    /// block. Gives what the machine must do before it goes on.
    pub(super) fn end(&mut self, at: Position, ended: LoopEnd, single: Option<&Code>) -> Option<LeaveKind> {
        let Self { cpu, frame, cache, debug, .. } = self;
        let code = single.or_else(|| cache.get(at.index).map(|block| &block.code));
        match (ended, code) {
            (LoopEnd::Before(e), _) => {
                exec::to_regs(frame, cpu);
                cpu.raise(e, at.pc, 0);
                None
            }
            (LoopEnd::Block(end), Some(code)) => {
                Self::finish(frame, cpu, debug, code, (at.pc, at.btype_on_entry), end)
            }
            (LoopEnd::Between, _) | (LoopEnd::Block(_), None) => {
                cpu.regs.pc = at.pc;
                exec::to_regs(frame, cpu);
                None
            }
        }
    }

    /// The end of a block that leaves the loop; it started at `pc` with PSTATE.BTYPE `btype`. Gives what the machine
    /// must do before it goes on.
    fn finish(
        frame: &Frame,
        cpu: &mut Cpu,
        debug: &mut Debug,
        code: &Code,
        (pc, btype): (u64, u8),
        end: End,
    ) -> Option<LeaveKind> {
        exec::to_regs(frame, cpu);
        let last = code.words.len().saturating_sub(1);
        let at = |insn: usize| (pc.wrapping_add(4 * insn as u64), code.words.get(insn).copied().unwrap_or(0));
        match end {
            End::Exception(e) => {
                let (pc, word) = at(last);
                if !matches!(e, ExcOp::Svc(_) | ExcOp::Hvc(_) | ExcOp::Smc(_)) {
                    // It has not been executed.
                    cpu.counters.bump_by(Metric::Instructions, 1u64.wrapping_neg());
                    if last == 0 {
                        cpu.pstate.btype = btype;
                    }
                }
                cpu.raise(Exception::Insn(e), pc, word);
            }
            End::Fault(stop, insn) => {
                let undone = last - (insn as usize).min(last) + 1;
                cpu.counters.bump_by(Metric::Instructions, (undone as u64).wrapping_neg());
                let (pc, word) = at(insn as usize);
                if insn == 0 {
                    cpu.pstate.btype = btype;
                }
                // Unless it raises an exception it is yet to be executed.
                cpu.regs.pc = pc;
                match stop {
                    Stop::Exception(e) => cpu.raise(e, pc, word),
                    Stop::Watchpoint(hit) => debug.stop = Some(DebugStop::Watchpoint(hit)),
                    Stop::NotReplayable | Stop::Interrupted => {}
                }
            }
            End::Leave(kind) => {
                cpu.regs.pc = pc.wrapping_add(code.exits[0].rel as u64);
                return Some(kind);
            }
            End::Exit(n) => cpu.regs.pc = pc.wrapping_add(code.exits[n & 1].rel as u64),
            End::Next => cpu.regs.pc = pc,
            End::Indirect(target) => cpu.regs.pc = cpu.branch_address(target),
            End::IndirectTyped(target, btype) => {
                cpu.regs.pc = cpu.branch_address(target);
                cpu.pstate.btype = btype;
            }
        }
        None
    }

    pub(super) fn leave(&mut self, kind: Option<LeaveKind>) {
        match kind {
            None | Some(LeaveKind::Context) => {}
            Some(LeaveKind::Yield) => std::thread::yield_now(),
            Some(LeaveKind::Esb) => self.cpu.error_barrier(),
            Some(LeaveKind::Eret) => self.exception_return(Cpu::eret),
            Some(LeaveKind::EretA(key)) => self.exception_return(|cpu| cpu.eret_authenticated(key != 0)),
            Some(LeaveKind::Wfi(r)) => self.wfi(r),
            Some(LeaveKind::Wfe(r)) => self.wfe(r),
        }
    }

    fn exception_return(&mut self, eret: impl FnOnce(&mut Cpu) -> Result<(), Exception>) {
        // The instruction itself is the one before where execution would go on.
        let pc = self.cpu.regs.pc.wrapping_sub(4);
        self.cpu.regs.pc = pc;
        if let Err(e) = eret(&mut self.cpu) {
            self.cpu.raise(e, pc, 0);
        }
    }

    /// Nanoseconds until the virtual counter reaches X`r` (WFET, WFIT); `None` without a timeout.
    fn timeout(&self, r: u8) -> Option<u64> {
        let cpu = &self.cpu;
        let deadline = *cpu.regs.x.get(usize::from(r)).filter(|_| usize::from(r) != SP)?;
        let count = cpu.timers.virtual_counter(&cpu.sys, cpu.pstate.el, cpu.hcr());
        let ticks = deadline.saturating_sub(count);
        let frequency = u128::from(cpu.identity.model().frequency());
        u64::try_from(u128::from(ticks) * 1_000_000_000 / frequency.max(1)).ok()
    }

    fn wfi(&mut self, r: u8) {
        let timeout = self.timeout(r);
        if self.cpu.wakes_wfi() || timeout == Some(0) {
            return;
        }
        let kind = if timeout.is_some() { WaitKind::Wfit } else { WaitKind::Wfi };
        if self.trapped(kind, r) {
            return;
        }
        self.wait_for_interrupt(timeout);
    }

    /// Raises the trap of a wait instruction, if there is one.
    fn trapped(&mut self, kind: WaitKind, r: u8) -> bool {
        match self.cpu.check_wait(kind, r) {
            Ok(()) => false,
            Err(e) => {
                let pc = self.cpu.regs.pc.wrapping_sub(4);
                self.cpu.raise(e, pc, 0);
                true
            }
        }
    }

    /// Sleeps until an interrupt is pending, the timeout is over, or the machine wants the thread.
    fn wait_for_interrupt(&mut self, timeout: Option<u64>) {
        if self.debug.step.is_some() {
            return;
        }
        let cpu = &mut self.cpu;
        let start = cpu.clock.now_ns();
        cpu.counters.bump(Metric::WfiSleeps);
        cpu.mem.park();
        loop {
            cpu.timers.update(&cpu.sys);
            if cpu.wakes_wfi() || cpu.wires.is_wanted() {
                break;
            }
            cpu.wires.doorbell().clear(reason::INTERRUPT | reason::REQUEST);
            // An interrupt between the question and the clearing is seen by asking again.
            cpu.timers.update(&cpu.sys);
            if cpu.wakes_wfi() {
                break;
            }
            let left = timeout.map(|t| t.saturating_sub(cpu.clock.now_ns() - start));
            if left == Some(0) {
                break;
            }
            if cpu.clock.mode() == ClockMode::Counted {
                let due =
                    cpu.clock.next_deadline().map_or(1_000_000, |d| d.saturating_sub(cpu.clock.now_ns()));
                cpu.clock.advance(due.max(1));
                if cpu.clock.now_ns() == u64::MAX {
                    // No time is left to wait in; a WFI may end at any time.
                    break;
                }
            } else {
                cpu.wires.doorbell().sleep(false, left.map(Duration::from_nanos));
            }
        }
        cpu.mem.unpark();
        cpu.pmu.slept(cpu.clock.now_ns() - start);
    }

    fn wfe(&mut self, r: u8) {
        let timeout = self.timeout(r);
        if self.cpu.wires.doorbell().take_event() || timeout == Some(0) || self.cpu.wakes_wfi() {
            return;
        }
        let kind = if timeout.is_some() { WaitKind::Wfet } else { WaitKind::Wfe };
        if self.trapped(kind, r) {
            return;
        }
        if self.debug.step.is_some() {
            return;
        }
        let cpu = &mut self.cpu;
        let mut longest = if cpu.mem.monitor_is_open() { MONITOR_WAIT } else { EVENT_WAIT };
        for limit in [timeout, cpu.timers.event_stream_period_ns(&cpu.sys, cpu.hcr())].into_iter().flatten() {
            longest = longest.min(Duration::from_nanos(limit));
        }
        let start = cpu.clock.now_ns();
        cpu.counters.bump(Metric::WfiSleeps);
        if cpu.clock.mode() == ClockMode::Counted {
            cpu.clock.advance(longest.as_nanos() as u64);
        } else {
            cpu.mem.park();
            cpu.wires.doorbell().sleep(true, Some(longest));
            cpu.mem.unpark();
        }
        cpu.pmu.slept(cpu.clock.now_ns() - start);
        cpu.wires.doorbell().take_event();
    }

    /// Executes one instruction under software step (Arm ARM, D2.12).
    fn step(&mut self) {
        let pc = self.cpu.regs.pc;
        if self.stops_before(pc) {
            return;
        }
        if pc & 3 != 0 {
            return self.cpu.raise(Exception::PcAlignment(pc), pc, 0);
        }
        self.single();
    }

    /// Forgets everything that was made from guest memory: reset.
    pub fn reset_caches(&mut self) {
        self.cache.clear();
        self.cpu.mem.reset();
    }
}
