//! Running under a debugger, and with the guest's own breakpoints: every instruction's address is looked at.
//!
//! A breakpoint is an address that the loop over blocks knows; nothing in guest memory or in the cache of blocks changes, so the
//! guest cannot see it. A block that holds no such address runs as a whole; in one that does, instructions run one by
//! one until the address is reached.

use emu_a64::ir::LeaveKind;
use emu_core::metrics::Metric;
use emu_pe::cpu::Cpu;
use emu_pe::debug::StepState;
use emu_pe::exception::{Exception, Stop};
use emu_pe::mem::{context, watch};
use emu_pe::trace;

use super::block::Code;
use super::block_loop::{LoopEnd, Policy, Undisturbed};
use super::exec::{self, End};
use super::run::{Blocks, Position};
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

    /// Stops if there is a breakpoint at `pc`.
    fn stops_before(&mut self, pc: u64) -> bool {
        let stops = self.breaks(pc, 1);
        if stops {
            self.stop = Some(DebugStop::Breakpoint(pc));
        }
        stops
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
        self.cpu.mem.set_watchpoints(points);
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
            || self.cpu.debug().monitors()
                && self.cpu.debug().has_breakpoints()
                && self.cpu.debug().events_enabled()
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
        cpu.requests.take_standby();
        let pc = cpu.regs.pc;
        let exclusive = self.debug.stepped.take();
        if cpu.debug().step_state() == StepState::Pending {
            return cpu.raise(Exception::SoftwareStep { exclusive }, pc, 0);
        }
        if cpu.pstate.il {
            return cpu.raise(Exception::IllegalState, pc, 0);
        }
        if pc & 3 != 0 {
            return cpu.raise(Exception::PcAlignment(pc), pc, 0);
        }
        context::select(cpu);
        exec::from_regs(&mut self.frame, cpu);
        self.single();
    }

    /// Stops if there is a breakpoint of the debugger at `pc`.
    pub(super) fn stops_before(&mut self, pc: u64) -> bool {
        self.debug.stops_before(pc)
    }

    /// Runs blocks as nobody else would: looks at each address before its instruction runs, and tells of each block.
    pub(super) fn run_watchfully(&mut self) {
        let Self { cpu, frame, cache, debug, .. } = self;
        let mut at = Position::at(cpu.regs.pc);
        // Within one turn no register changes that the guest's breakpoints depend on: such a write ends it.
        let guest = cpu.debug().events_enabled() && cpu.debug().has_breakpoints();
        let mut policy = Watchful { debug, guest, single: None };
        let ended = Blocks::new(cpu, frame, cache, None).follow(&mut at, &mut policy);
        let single = policy.single;
        let leave = self.end(at, ended, single.as_ref());
        self.leave(leave);
    }

    /// Executes one instruction, for a software step of the guest or a step of the debugger.
    pub(super) fn single(&mut self) {
        let Self { cpu, frame, cache, .. } = self;
        let stepping = cpu.debug().step_state() == StepState::NotPending;
        let mut at = Position::at(cpu.regs.pc);
        let (code, end) = Blocks::new(cpu, frame, cache, None).single(&mut at, Metric::InterpretedSingly);
        let taken_back = matches!(end, End::Fault(Stop::Interrupted, _));
        let leave = self.end(at, LoopEnd::Block(end), Some(&code));
        self.leave(leave);
        // PSTATE.SS is cleared by an instruction that was executed. An exception has cleared it already, after SPSR.SS
        // got its value, and an exception return gives it a new one.
        let executed = !matches!(leave, Some(LeaveKind::Eret | LeaveKind::EretA(_)))
            && self.debug.stop.is_none()
            && !taken_back;
        if stepping && executed && self.cpu.pstate.ss {
            self.cpu.pstate.ss = false;
            self.debug.stepped = Some(code.words.first().is_some_and(|w| is_load_exclusive(*w)));
        }
    }
}

/// The loop that stops at breakpoints.
struct Watchful<'a> {
    debug: &'a mut Debug,
    /// The guest's own breakpoints are looked at.
    guest: bool,
    /// The instruction that has ended the loop, if it was executed outside its block.
    single: Option<Code>,
}

impl Watchful<'_> {
    /// Executes the one instruction at the place.
    fn single(&mut self, blocks: &mut Blocks<'_>, at: &mut Position) -> Option<End> {
        // It is not entered by way of its block.
        blocks.restore_pending_btype(at);
        let (code, end) = blocks.single(at, Metric::InterpretedWatched);
        let exit = match end {
            End::Exit(n) => n & 1,
            End::Leave(LeaveKind::Context) if self.passes_context(blocks.cpu) => 0,
            End::Indirect(_) | End::IndirectTyped(..) => return Some(end),
            _ => {
                self.single = Some(code);
                return Some(end);
            }
        };
        at.pc = at.pc.wrapping_add(code.exits[exit].rel as u64);
        None
    }
}

impl Policy for Watchful<'_> {
    fn ends(&mut self, blocks: &Blocks<'_>, at: &Position) -> bool {
        blocks.cpu.wires.doorbell().is_rung() || self.debug.stops_before(at.pc)
    }

    fn run(&mut self, blocks: &mut Blocks<'_>, at: &mut Position) -> Option<End> {
        let count = blocks.cache.get(at.index)?.code.words.len();
        let Blocks { cpu, frame, .. } = blocks;
        let hit = |n| cpu.debug().breakpoint_hit(at.pc.wrapping_add(4 * n as u64));
        let slowly = self.debug.breaks(at.pc, count) || self.guest && (0..count).any(hit);
        if cpu.trace.blocks {
            cpu.regs.v.copy_from_slice(&frame.v[..32]);
            exec::to_regs(frame, cpu);
            trace::block(cpu, at.pc, if slowly { 1 } else { count });
        }
        if slowly { self.single(blocks, at) } else { blocks.run(at, self) }
    }

    fn count(&self, cpu: &Cpu, length: u64, _: Metric) {
        Undisturbed.count(cpu, length, Metric::InterpretedWatched);
    }
}

#[cfg(test)]
mod tests;
