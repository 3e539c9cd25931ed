//! Running under a debugger, and with the guest's own breakpoints: the loop that looks at every instruction's address.
//!
//! A breakpoint is an address that the loop knows; nothing in guest memory or in the cache of blocks changes, so the
//! guest cannot see it. A block that holds no such address runs as a whole; in one that does, instructions run one by
//! one until the address is reached.

use emu_a64::ir::LeaveKind;
use emu_core::metrics::Metric;
use emu_pe::exception::{Exception, StepState};
use emu_pe::mem::{context, watch};
use emu_pe::trace;

use super::cache;
use super::exec::{self, End};
use super::vcpu::Vcpu;

/// Why a vCPU came back to the debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugStop {
    /// It executed the one instruction that it was to execute, or took an exception in its place.
    Stepped,
    /// The next instruction is at a breakpoint. It was not executed.
    Breakpoint(u64),
    /// The next instruction makes an access that is watched. It was not executed.
    Watchpoint(watch::WatchHit),
}

/// What a debugger wants of a vCPU.
#[derive(Default)]
pub struct Debug {
    /// Addresses of breakpoints, sorted.
    breakpoints: Vec<u64>,
    /// Execute one instruction, then stop. `true` in it: take interrupts that are pending.
    pub(super) step: Option<bool>,
    pub(super) stop: Option<DebugStop>,
    /// The guest's software step: the last thing that happened was that one instruction was executed, and whether it was
    /// a load-exclusive (ESR_ELx.ISV and EX).
    pub(super) stepped: Option<bool>,
}

impl Debug {
    /// A breakpoint among the `count` instructions from `pc` on.
    fn breaks(&self, pc: u64, count: usize) -> bool {
        let first = self.breakpoints.partition_point(|b| *b < pc);
        self.breakpoints.get(first).is_some_and(|b| b - pc < 4 * count as u64)
    }
}

/// LDXR, LDXP and their ordered and narrow forms (Arm ARM, C4.1: load/store exclusive with o2 = 0 and L = 1), but not
/// CASP, which has their space where there are no pairs.
fn is_load_exclusive(word: u32) -> bool {
    let pair = word >> 21 & 1 != 0;
    word & 0x3fc0_0000 == 0x0840_0000 && (!pair || word >> 31 != 0)
}

impl Vcpu {
    /// Stops before the instructions at these addresses, and no others.
    pub fn set_breakpoints(&mut self, addresses: &[u64]) {
        self.debug.breakpoints = addresses.to_vec();
        self.debug.breakpoints.sort_unstable();
    }

    /// Stops before accesses to these addresses, and no others.
    pub fn set_watchpoints(&mut self, points: &[watch::Watchpoint]) {
        watch::set_watchpoints(&mut self.cpu, points);
    }

    /// The next [`Vcpu::run`] executes one instruction, be there a breakpoint or not. Interrupts wait unless
    /// `interrupts`; then one is taken before the instruction, and the stop is at its vector. A wait for an interrupt or
    /// an event ends at once.
    pub fn step_once(&mut self, interrupts: bool) {
        self.debug.step = Some(interrupts);
    }

    /// The next [`Vcpu::run`] goes on until something stops it.
    pub fn step_not(&mut self) {
        self.debug.step = None;
    }

    /// Why the last [`Vcpu::run`] ended, if it was for the debugger.
    pub fn take_debug_stop(&mut self) -> Option<DebugStop> {
        self.debug.stop.take()
    }

    /// Addresses of instructions have to be looked at.
    pub(super) fn has_breakpoints(&self) -> bool {
        !self.debug.breakpoints.is_empty()
            || self.cpu.monitor_debug_enabled()
                && self.cpu.has_breakpoints()
                && self.cpu.debug_events_enabled()
    }

    /// One instruction for the debugger, or the exception that is taken in its place.
    pub(super) fn debug_step(&mut self, interrupts: bool) {
        let (pc, el) = (self.cpu.regs.pc, self.cpu.pstate.el);
        if interrupts {
            self.cpu.poll_interrupts();
        }
        if (pc, el) == (self.cpu.regs.pc, self.cpu.pstate.el) {
            self.one_instruction();
        }
        self.debug.stop.get_or_insert(DebugStop::Stepped);
        self.debug.step = None;
    }

    fn one_instruction(&mut self) {
        let cpu = &mut self.cpu;
        cpu.standby = false;
        let pc = cpu.regs.pc;
        let exclusive = self.debug.stepped.take();
        if cpu.step_state() == StepState::Pending {
            return cpu.raise(Exception::SoftwareStep { exclusive }, pc, 0);
        }
        if cpu.pstate.il {
            return cpu.raise(Exception::IllegalState, pc, 0);
        }
        if pc & 3 != 0 {
            return cpu.raise(Exception::PcAlignment(pc), pc, 0);
        }
        context::select(cpu);
        cpu.context_changed = false;
        exec::from_regs(&mut self.frame, cpu);
        self.single();
    }

    /// Stops if there is a breakpoint of the debugger at `pc`.
    pub(super) fn stops_before(&mut self, pc: u64) -> bool {
        let stops = self.debug.breaks(pc, 1);
        if stops {
            self.debug.stop = Some(DebugStop::Breakpoint(pc));
        }
        stops
    }

    /// As the loop over blocks, looking at each address before its instruction runs.
    pub(super) fn run_watchfully(&mut self) {
        // Within one call no register changes that the guest's breakpoints depend on: such a write ends it.
        let guest = self.cpu.debug_events_enabled() && self.cpu.has_breakpoints();
        loop {
            let pc = self.cpu.regs.pc;
            if self.cpu.doorbell.is_rung() {
                return;
            }
            if self.stops_before(pc) {
                return;
            }
            if pc & 3 != 0 {
                return self.cpu.raise(Exception::PcAlignment(pc), pc, 0);
            }
            let mode = self.cpu.mode();
            let index = match self.cache.find(&mut self.cpu, pc, mode) {
                Ok(index) => index,
                Err(e) => return self.cpu.raise(e, pc, 0),
            };
            let Some(block) = self.cache.get(index) else { continue };
            if block.generation != self.cpu.mem.shared.code.generation(block.page) {
                match self.cache.renew(&mut self.cpu, index, pc) {
                    Ok(()) => continue,
                    Err(e) => return self.cpu.raise(e, pc, 0),
                }
            }
            let count = block.code.words.len();
            let hit = |n| self.cpu.breakpoint_hit(pc.wrapping_add(4 * n as u64));
            let slowly = self.debug.breaks(pc, count) || guest && (0..count).any(hit);
            if self.cpu.trace.blocks {
                self.cpu.regs.v.copy_from_slice(&self.frame.v[..32]);
                exec::to_regs(&self.frame, &mut self.cpu);
                trace::block(&self.cpu, pc, if slowly { 1 } else { count });
            }
            let goes_on = if slowly { self.single() } else { self.whole(index, pc) };
            if !goes_on {
                return;
            }
        }
    }

    /// Runs the block `index`; false if something must be looked at before the next one.
    fn whole(&mut self, index: u32, pc: u64) -> bool {
        let Self { cpu, frame, cache, debug, .. } = self;
        let Some(block) = cache.get(index) else { return true };
        cpu.counters.bump_by(Metric::Instructions, block.length());
        cpu.counters.bump_by(Metric::InterpretedWatched, block.length());
        cpu.counters.bump(Metric::Blocks);
        let landed = std::mem::take(&mut cpu.pstate.btype);
        let end = exec::run(&block.code, pc, frame, cpu);
        let goes_on = matches!(end, End::Exit(_) | End::Indirect(_));
        let leave = Self::finish(frame, cpu, debug, &block.code, (pc, landed), end);
        self.leave(leave);
        goes_on
    }

    /// Runs one instruction outside the cache, unless the guest has a breakpoint there; false as for [`Vcpu::whole`].
    pub(super) fn single(&mut self) -> bool {
        let Self { cpu, frame, debug, .. } = self;
        let (pc, mode) = (cpu.regs.pc, cpu.mode());
        let code = match cache::single(cpu, pc, mode) {
            Ok(code) => code,
            Err(e) => {
                Self::raise(frame, cpu, e, pc, 0);
                return false;
            }
        };
        if cpu.debug_events_enabled() && cpu.breakpoint_hit(pc) {
            cpu.raise(Exception::Breakpoint, pc, 0);
            return false;
        }
        cpu.counters.bump(Metric::Instructions);
        let stepping = cpu.step_state() == StepState::NotPending;
        let reason = match stepping || debug.step.is_some() {
            true => Metric::InterpretedSingly,
            false => Metric::InterpretedWatched,
        };
        cpu.counters.bump(reason);
        let landed = std::mem::take(&mut cpu.pstate.btype);
        let end = exec::run(&code, pc, frame, cpu);
        let goes_on = matches!(end, End::Exit(_) | End::Indirect(_));
        let leave = Self::finish(frame, cpu, debug, &code, (pc, landed), end);
        self.leave(leave);
        // PSTATE.SS is cleared by an instruction that was executed. An exception has cleared it already, after SPSR.SS
        // got its value, and an exception return gives it a new one.
        let executed =
            !matches!(leave, Some(LeaveKind::Eret | LeaveKind::EretA(_))) && self.debug.stop.is_none();
        if stepping && executed && self.cpu.pstate.ss {
            self.cpu.pstate.ss = false;
            self.debug.stepped = Some(code.words.first().is_some_and(|w| is_load_exclusive(*w)));
        }
        goes_on
    }
}
