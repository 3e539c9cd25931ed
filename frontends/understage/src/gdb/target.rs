//! The machine as the debugger's protocol sees it: threads that are CPUs, their registers, memory, and what stops them.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;

use emu_core::clock::Clock;
use emu_cpu::interp::debug::DebugStop;
use emu_cpu::interp::vcpu::Vcpu;
use emu_cpu::mem::inspect;
use emu_cpu::mem::watch::{WatchKind, Watchpoint};
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

use super::description;
use super::monitor;
use super::registers::{Aarch64, CoreRegs, Register, from_le};
use crate::board::build::SharedVcpu;
use crate::board::power::Power;

/// EFAULT: there is no such memory, or none that can be looked at.
const BAD_ADDRESS: u8 = 14;
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

/// See the module's head. Its methods are called while all CPUs are held.
pub struct Debuggee {
    vcpus: Vec<SharedVcpu>,
    pub(super) power: Arc<Power>,
    clock: Arc<Clock>,
    /// Addresses, each as often as it was set.
    breakpoints: Vec<u64>,
    watchpoints: Vec<Watchpoint>,
    actions: Vec<Action>,
    description: String,
    /// Addresses of memory are physical.
    pub(super) physical: bool,
    /// A step takes interrupts.
    pub(super) step_interrupts: bool,
    /// The CPUs were let go, and nothing has been reported since.
    pub(super) running: bool,
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
    /// Around the CPUs of a machine.
    pub(super) fn new(vcpus: Vec<SharedVcpu>, power: Arc<Power>, clock: Arc<Clock>) -> Self {
        let description = vcpus.first().map(|v| description::xml(&v.lock().cpu)).unwrap_or_default();
        Self {
            actions: vec![Action::Default; vcpus.len()],
            vcpus,
            power,
            clock,
            breakpoints: Vec::new(),
            watchpoints: Vec::new(),
            description,
            physical: false,
            step_interrupts: false,
            running: false,
            current: 0,
        }
    }

    pub(super) fn cpus(&self) -> usize {
        self.vcpus.len()
    }

    /// A CPU to look at; it is held.
    pub(super) fn vcpu(&self, cpu: usize) -> Option<MutexGuard<'_, Vcpu>> {
        Some(self.vcpus.get(cpu)?.lock())
    }

    /// The CPU of a thread that the debugger names.
    fn of(&mut self, tid: Tid) -> Result<MutexGuard<'_, Vcpu>, TargetError<Infallible>> {
        self.current = index(tid);
        self.vcpu(index(tid)).ok_or(TargetError::Errno(INVALID))
    }

    /// Waits until all CPUs, which somebody has told to stop, are still, and stops the clock; true unless the machine has
    /// ended before.
    pub(super) fn halted(&mut self) -> bool {
        self.running = false;
        let still = self.power.wait_held();
        if still {
            self.clock.pause();
        }
        still
    }

    /// Ends the machine.
    pub(super) fn kill(&mut self) {
        self.clock.resume();
        self.power.quit(0);
    }

    fn let_go(&mut self) {
        for (vcpu, action) in self.vcpus.iter().zip(&self.actions) {
            let mut vcpu = vcpu.lock();
            vcpu.set_breakpoints(&self.breakpoints);
            vcpu.set_watchpoints(&self.watchpoints);
            match action {
                Action::Step => vcpu.step_once(self.step_interrupts),
                Action::Default | Action::Continue | Action::Stay => vcpu.step_not(),
            }
        }
        self.running = true;
        self.clock.resume();
        self.power.release(|cpu| self.actions.get(cpu).is_some_and(|a| *a != Action::Stay));
    }

    /// The debugger goes: nothing stops the machine any more. It may be running still.
    pub(super) fn detach(&mut self) {
        self.power.hold();
        if !self.halted() {
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

    fn set(&mut self, address: u64) -> bool {
        self.breakpoints.push(address);
        true
    }

    fn clear(&mut self, address: u64) -> bool {
        let at = self.breakpoints.iter().position(|b| *b == address);
        at.map(|n| self.breakpoints.swap_remove(n)).is_some()
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
        let vcpu = self.of(tid)?;
        let read = if physical { inspect::read_physical } else { inspect::read };
        read(&vcpu.cpu, address, data).map_err(|_| TargetError::Errno(BAD_ADDRESS))
    }

    fn write_addrs(&mut self, address: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let physical = self.physical;
        let vcpu = self.of(tid)?;
        let write = if physical { inspect::write_physical } else { inspect::write };
        match write(&vcpu.cpu, address, data) {
            Ok(n) if n == data.len() => Ok(()),
            Ok(_) | Err(_) => Err(TargetError::Errno(BAD_ADDRESS)),
        }
    }

    fn list_active_threads(&mut self, is_active: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        (0..self.cpus()).for_each(|cpu| is_active(thread(cpu)));
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
        Ok(self.set(address))
    }
    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.clear(address))
    }
}

impl HwBreakpoint for Debuggee {
    fn add_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.set(address))
    }
    fn remove_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.clear(address))
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
        self.watchpoints.push(watchpoint(va, bytes, kind));
        Ok(bytes != 0)
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
            Some(vcpu) if self.power.is_on(index(tid)) => {
                format!("CPU {}, EL{}", index(tid), vcpu.cpu.pstate.el)
            }
            _ => format!("CPU {}, off", index(tid)),
        };
        let n = text.len().min(buf.len());
        buf[..n].copy_from_slice(&text.as_bytes()[..n]);
        Ok(n)
    }
}

impl MonitorCmd for Debuggee {
    fn handle_monitor_cmd(&mut self, cmd: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Infallible> {
        out.write_raw(monitor::answer(self, &String::from_utf8_lossy(cmd)).as_bytes());
        Ok(())
    }
}
