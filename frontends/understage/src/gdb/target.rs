//! The machine as the debugger's protocol sees it: threads that are CPUs, their registers, memory, and what stops them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;

use emu_engine::interp::debug::DebugStop;
use emu_engine::interp::vcpu::Vcpu;
use emu_pe::mem::inspect;
use emu_pe::mem::watch::{WatchKind, Watchpoint};
use gdbstub::common::{Signal, Tid};
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind as GdbWatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use parking_lot::MutexGuard;

use super::PACKET_BYTES;
use super::description;
use super::held::{Cpus, Held};
use super::monitor;
use super::registers::{Aarch64, CoreRegs, Register, from_le};
use crate::board::build::Board;
use crate::monitor::smmu;

/// EFAULT: there is no such memory, or none that can be looked at.
const BAD_ADDRESS: u8 = 14;
/// EBUSY: the machine runs.
const BUSY: u8 = 16;
/// EINVAL: a register cannot be written, or not with this value.
const INVALID: u8 = 22;

/// What a CPU does when the debugger lets the machine go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Nothing was said of it: it continues, unless only those go on of which something was.
    Default,
    Continue,
    Step,
    Stay,
}

/// What the debugger has set up for single steps, as QEMU numbers it.
pub(super) mod sstep {
    /// A step executes one instruction; without it, it goes on.
    pub(in crate::gdb) const ENABLE: u32 = 1;
    /// Interrupts wait.
    pub(in crate::gdb) const NO_IRQ: u32 = 2;
    /// The machine's time stands still.
    pub(in crate::gdb) const NO_TIMER: u32 = 4;
    /// All that there is, and what a session starts with.
    pub(in crate::gdb) const ALL: u32 = ENABLE | NO_IRQ | NO_TIMER;
}

/// Breakpoints that there can be, and watchpoints, each of which is looked at wherever memory is translated: whoever is at
/// the other end of the connection must not make the machine's memory or its time grow without bound.
const MOST_BREAKPOINTS: usize = 65536;
const MOST_WATCHPOINTS: usize = 1024;

/// Whose breakpoint it is: one of the debugger's in software and one in hardware may be at the same address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum BreakKind {
    Software,
    Hardware,
}

/// See the module's head. It is asked at any time; while the machine runs, the answer of whatever needs a CPU is an error.
pub struct Debuggee {
    pub(super) cpus: Arc<Cpus>,
    /// The CPUs, unless they were let go and nothing has been reported since.
    pub(super) held: Option<Held>,
    /// What there is to see of the SMMU.
    pub(super) smmu: smmu::View,
    breakpoints: BTreeSet<(u64, BreakKind)>,
    watchpoints: Vec<Watchpoint>,
    actions: Vec<Action>,
    description: String,
    /// Addresses of memory are physical.
    pub(super) physical: bool,
    /// What a step is: bits of [`sstep`].
    pub(super) sstep: u32,
    /// The CPU that the debugger asked about last, for what it asks without naming one.
    pub(super) current: usize,
}

fn index(tid: Tid) -> usize {
    tid.get() - 1
}

/// The thread of a CPU.
pub(super) fn thread(cpu: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(cpu)
}

impl Debuggee {
    /// Around the CPUs of a machine that has not started.
    pub(super) fn new(board: &Board) -> Self {
        let (vcpus, power, clock) = (board.vcpus.clone(), board.power.clone(), board.clock.clone());
        let description = vcpus.first().map(|v| description::xml(&v.lock().cpu)).unwrap_or_default();
        Self {
            actions: vec![Action::Default; vcpus.len()],
            cpus: Cpus::new(vcpus, power, clock),
            held: None,
            smmu: board.smmu_view(),
            breakpoints: BTreeSet::new(),
            watchpoints: Vec::new(),
            description,
            physical: false,
            sstep: sstep::ALL,
            current: 0,
        }
    }

    /// A CPU to look at, if the machine is stopped and has it.
    pub(super) fn vcpu(&self, cpu: usize) -> Option<MutexGuard<'_, Vcpu>> {
        self.held.as_ref()?.vcpu(cpu)
    }

    /// The CPU of a thread that the debugger names.
    fn of(&mut self, tid: Tid) -> Result<MutexGuard<'_, Vcpu>, TargetError<Infallible>> {
        if index(tid) < self.cpus.count() {
            self.current = index(tid);
        }
        let held = self.held.as_ref().ok_or(TargetError::Errno(BUSY))?;
        held.vcpu(index(tid)).ok_or(TargetError::Errno(INVALID))
    }

    /// Stops the machine if it runs; true unless it has ended before.
    pub(super) fn stop(&mut self) -> bool {
        if self.held.is_none() {
            self.held = self.cpus.hold();
        }
        self.held.is_some()
    }

    /// Ends the machine.
    pub(super) fn kill(&mut self) {
        if self.stop()
            && let Some(held) = self.held.take()
        {
            held.kill();
        }
    }

    fn let_go(&mut self) {
        let Some(held) = self.held.take() else { return };
        let breakpoints: Vec<u64> = self.breakpoints.iter().map(|b| b.0).collect();
        let stepping = |action: Action| action == Action::Step && self.sstep & sstep::ENABLE != 0;
        for (cpu, action) in self.actions.iter().enumerate() {
            let Some(mut vcpu) = held.vcpu(cpu) else { continue };
            vcpu.set_breakpoints(&breakpoints);
            vcpu.set_watchpoints(&self.watchpoints);
            if stepping(*action) {
                vcpu.step_once(self.sstep & sstep::NO_IRQ == 0);
            } else {
                vcpu.step_not();
            }
        }
        let mut steps = (0..self.actions.len()).filter(|cpu| stepping(self.actions[*cpu])).peekable();
        // A CPU that is off does not step; the others may go on for long, and need time for it.
        let brief = steps.peek().is_some() && steps.all(|cpu| self.cpus.is_on(cpu));
        let time = !(brief && self.sstep & sstep::NO_TIMER != 0);
        held.release(time, |cpu| self.actions.get(cpu).is_some_and(|a| *a != Action::Stay));
    }

    /// A debugger comes: the machine stops, and what the last one had set is forgotten. False if the machine has ended.
    pub(super) fn attach(&mut self) -> bool {
        self.physical = false;
        self.sstep = sstep::ALL;
        self.current = 0;
        self.stop()
    }

    /// The debugger goes: nothing stops the machine any more. It may be running still.
    pub(super) fn detach(&mut self) {
        if !self.stop() {
            return;
        }
        self.breakpoints.clear();
        self.watchpoints.clear();
        self.actions.fill(Action::Default);
        self.let_go();
    }

    /// How the protocol says why a CPU stopped.
    pub(super) fn reason(&mut self, cpu: usize, stop: DebugStop) -> MultiThreadStopReason<u64> {
        let tid = thread(cpu);
        self.current = cpu;
        match stop {
            DebugStop::Stepped => MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGTRAP },
            DebugStop::Breakpoint(_) => MultiThreadStopReason::SwBreak(tid),
            DebugStop::Watchpoint(hit) => {
                let kind = match hit.point.kind {
                    WatchKind::Read => GdbWatchKind::Read,
                    WatchKind::Write => GdbWatchKind::Write,
                    WatchKind::Any => GdbWatchKind::ReadWrite,
                };
                MultiThreadStopReason::Watch { tid, kind, addr: hit.va }
            }
        }
    }

    /// Sets a breakpoint, as often as one likes; false if there are too many.
    fn set(&mut self, address: u64, kind: BreakKind) -> bool {
        let there = self.breakpoints.contains(&(address, kind));
        if !there && self.breakpoints.len() >= MOST_BREAKPOINTS {
            return false;
        }
        self.breakpoints.insert((address, kind));
        true
    }

    fn clear(&mut self, address: u64, kind: BreakKind) -> bool {
        self.breakpoints.remove(&(address, kind))
    }

    fn act(&mut self, tid: Tid, action: Action) {
        if let Some(slot) = self.actions.get_mut(index(tid)) {
            *slot = action;
        }
    }
}

impl Target for Debuggee {
    type Arch = Aarch64;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, Aarch64, Infallible> {
        BaseOps::MultiThread(self)
    }
    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for Debuggee {
    fn read_registers(&mut self, regs: &mut CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        *regs = CoreRegs::of(&mut self.of(tid)?.cpu);
        Ok(())
    }

    fn write_registers(&mut self, regs: &CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        if regs.put(&mut self.of(tid)?.cpu) { Ok(()) } else { Err(TargetError::Errno(INVALID)) }
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, address: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let physical = self.physical;
        let cpu = &self.of(tid)?.cpu;
        let read =
            if physical { cpu.mem.read_physical(address, data) } else { inspect::read(cpu, address, data) };
        read.map_err(|_| TargetError::Errno(BAD_ADDRESS))
    }

    fn write_addrs(&mut self, address: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let physical = self.physical;
        let cpu = &self.of(tid)?.cpu;
        let written =
            if physical { cpu.mem.write_physical(address, data) } else { inspect::write(cpu, address, data) };
        match written {
            Ok(n) if n == data.len() => Ok(()),
            Ok(_) | Err(_) => Err(TargetError::Errno(BAD_ADDRESS)),
        }
    }

    fn list_active_threads(&mut self, is_active: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        (0..self.cpus.count()).for_each(|cpu| is_active(thread(cpu)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl SingleRegisterAccess<Tid> for Debuggee {
    fn read_register(&mut self, tid: Tid, reg: Register, buf: &mut [u8]) -> TargetResult<usize, Self> {
        let value = reg.read(&mut self.of(tid)?.cpu);
        let (Some(value), Some(out)) = (value, buf.get_mut(..reg.size())) else { return Ok(0) };
        out.copy_from_slice(&value.to_le_bytes()[..reg.size()]);
        Ok(reg.size())
    }

    fn write_register(&mut self, tid: Tid, reg: Register, value: &[u8]) -> TargetResult<(), Self> {
        let fits = value.len() == reg.size();
        if fits && reg.write(&mut self.of(tid)?.cpu, from_le(value)) {
            Ok(())
        } else {
            Err(TargetError::Errno(INVALID))
        }
    }
}

impl MultiThreadResume for Debuggee {
    fn resume(&mut self) -> Result<(), Infallible> {
        self.let_go();
        Ok(())
    }
    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.actions.fill(Action::Default);
        Ok(())
    }
    fn set_resume_action_continue(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.act(tid, Action::Continue);
        Ok(())
    }
    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Debuggee {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.act(tid, Action::Step);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Debuggee {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        let unnamed = self.actions.iter_mut().filter(|action| **action == Action::Default);
        unnamed.for_each(|action| *action = Action::Stay);
        Ok(())
    }
}

impl Breakpoints for Debuggee {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Debuggee {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.set(address, BreakKind::Software))
    }
    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.clear(address, BreakKind::Software))
    }
}

impl HwBreakpoint for Debuggee {
    fn add_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.set(address, BreakKind::Hardware))
    }
    fn remove_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.clear(address, BreakKind::Hardware))
    }
}

fn watchpoint(va: u64, bytes: u64, kind: GdbWatchKind) -> Watchpoint {
    let kind = match kind {
        GdbWatchKind::Write => WatchKind::Write,
        GdbWatchKind::Read => WatchKind::Read,
        GdbWatchKind::ReadWrite => WatchKind::Any,
    };
    Watchpoint { va, bytes, kind }
}

impl HwWatchpoint for Debuggee {
    fn add_hw_watchpoint(&mut self, va: u64, bytes: u64, kind: GdbWatchKind) -> TargetResult<bool, Self> {
        let point = watchpoint(va, bytes, kind);
        if bytes == 0 || va.checked_add(bytes - 1).is_none() {
            return Ok(false);
        }
        let there = self.watchpoints.contains(&point);
        if !there && self.watchpoints.len() < MOST_WATCHPOINTS {
            self.watchpoints.push(point);
            return Ok(true);
        }
        Ok(there)
    }
    fn remove_hw_watchpoint(&mut self, va: u64, bytes: u64, kind: GdbWatchKind) -> TargetResult<bool, Self> {
        let point = watchpoint(va, bytes, kind);
        let at = self.watchpoints.iter().position(|p| *p == point);
        Ok(at.map(|n| self.watchpoints.swap_remove(n)).is_some())
    }
}

impl TargetDescriptionXmlOverride for Debuggee {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        if annex != b"target.xml" {
            return Err(TargetError::NonFatal);
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.description.as_bytes().get(from..).unwrap_or_default();
        let n = rest.len().min(length).min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

impl ThreadExtraInfo for Debuggee {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Infallible> {
        let text = match self.vcpu(index(tid)) {
            Some(vcpu) if self.cpus.is_on(index(tid)) => {
                format!("CPU {}, {}", index(tid), vcpu.cpu.pstate.el)
            }
            Some(_) => format!("CPU {}, off", index(tid)),
            None => return Ok(0),
        };
        let n = text.len().min(buf.len());
        buf[..n].copy_from_slice(&text.as_bytes()[..n]);
        Ok(n)
    }
}

impl MonitorCmd for Debuggee {
    fn handle_monitor_cmd(&mut self, cmd: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Infallible> {
        // Each flush makes a packet, and each byte two characters of it.
        for piece in monitor::answer(self, &String::from_utf8_lossy(cmd)).as_bytes().chunks(PACKET_BYTES / 4)
        {
            out.write_raw(piece);
            out.flush();
        }
        Ok(())
    }
}
