//! Power: which CPUs are on, and whether the machine runs at all. The other side of PSCI.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_engine::interp::debug::DebugStop;
use emu_engine::interp::vcpu::Vcpu;
use emu_pe::cpu::{Entry, affinity_of};
use emu_pe::doorbell::{Doorbell, reason};
use emu_pe::exception::EndlessException;
use emu_pe::psci::{AffinityState, Machine, PsciError};
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use crate::config::StopOn;
use crate::quit::STATUS_STOPPED;

/// A CPU, and who uses it now: its thread while it executes, else the debugger.
pub type SharedVcpu = Arc<Mutex<Vcpu>>;

/// Why the machine stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The guest asked for power-off (PSCI SYSTEM_OFF).
    Off,
    /// The guest asked for a reset (PSCI SYSTEM_RESET).
    Reset,
    /// The user ended it, with this exit status.
    Quit(u8),
}

/// What a CPU's thread does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Reset to this entry, then run.
    Start(Entry),
    /// Go on from where it was.
    Resume,
    /// The thread ends.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Core {
    Off,
    Starting(Entry),
    On,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Run {
    /// CPUs that are on execute.
    Running,
    /// No CPU executes; the threads wait.
    Held,
    /// The threads end.
    Ending,
}

struct State {
    cores: Vec<Core>,
    run: Run,
    stop: Option<Stop>,
    /// Threads that execute guest code now.
    executing: usize,
    /// Which CPUs the debugger holds.
    held: Vec<bool>,
    /// How many others want all CPUs to be still.
    paused: usize,
    /// What CPUs told the debugger since it let them go.
    stops: Vec<(usize, DebugStop)>,
    /// The machine has come to its end; the debugger is to be told.
    ended: bool,
}

/// What a machine that runs tells the debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugEvent {
    /// A CPU stopped for the debugger; by now all are held.
    Stopped(usize, DebugStop),
    /// The machine has ended, with this exit status.
    Ended(u8),
}

/// Wakes the debugger's session. Called when there may be an event for it, by any thread; needs no lock of the debugger's.
pub type WakeDebugger = Box<dyn Fn() + Send + Sync>;

/// See the module's head.
pub struct Power {
    /// The host's number of each CPU's thread; 0 before it runs.
    threads: Vec<AtomicI32>,
    state: Mutex<State>,
    changed: Condvar,
    bells: Vec<OnceLock<Arc<Doorbell>>>,
    debugger: OnceLock<WakeDebugger>,
    stop_on: OnceLock<Vec<StopOn>>,
}

impl Power {
    /// A machine of `cpus` CPUs that are all off, and held.
    #[must_use]
    pub fn new(cpus: usize) -> Arc<Self> {
        let state = State {
            cores: vec![Core::Off; cpus],
            run: Run::Held,
            stop: None,
            executing: 0,
            held: vec![false; cpus],
            paused: 0,
            stops: Vec::new(),
            ended: false,
        };
        let bells = (0..cpus).map(|_| OnceLock::new()).collect();
        Arc::new(Self {
            threads: (0..cpus).map(|_| AtomicI32::new(0)).collect(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            bells,
            debugger: OnceLock::new(),
            stop_on: OnceLock::new(),
        })
    }

    /// The calling thread is that of a CPU.
    pub fn own_thread(&self, cpu: usize) {
        if let Some(thread) = self.threads.get(cpu) {
            thread.store(nix::unistd::gettid().as_raw(), Relaxed);
        }
    }

    /// The host's number of a CPU's thread, if it has one.
    #[must_use]
    pub fn thread(&self, cpu: usize) -> Option<i32> {
        self.threads.get(cpu).map(|thread| thread.load(Relaxed)).filter(|id| *id != 0)
    }

    /// Says how to get the attention of a CPU.
    pub fn set_doorbell(&self, cpu: usize, bell: Arc<Doorbell>) {
        if let Some(slot) = self.bells.get(cpu) {
            // The first one stays: a CPU has one doorbell for its life.
            let _ = slot.set(bell);
        }
    }

    /// What of the guest's doing ends the machine. Said once.
    pub fn set_stop_on(&self, events: &[StopOn]) {
        let _ = self.stop_on.set(events.to_vec());
    }

    fn ring_all(&self) {
        self.bells.iter().filter_map(OnceLock::get).for_each(|b| b.ring(reason::CONTROL));
    }

    /// Power on, or after a reset: the first CPU starts at `entry`, if there is one, the others are off. Nothing starts if the user has ended
    /// the machine meanwhile.
    pub fn start(&self, entry: Option<Entry>) {
        let mut s = self.state.lock();
        if matches!(s.stop, Some(Stop::Quit(_))) {
            return;
        }
        s.cores.fill(Core::Off);
        if let (Some(first), Some(entry)) = (s.cores.first_mut(), entry) {
            *first = Core::Starting(entry);
        }
        s.stop = None;
        s.run = Run::Running;
        self.changed.notify_all();
    }

    /// Waits until there is something to do for the thread of `cpu`. From a `Start` or `Resume` on the thread counts as
    /// executing, until it asks again.
    pub fn next_work(&self, cpu: usize, was_executing: bool) -> Work {
        let mut s = self.state.lock();
        if was_executing {
            s.executing -= 1;
            self.changed.notify_all();
        }
        loop {
            match (s.run, s.cores[cpu]) {
                (Run::Ending, _) => return Work::End,
                (Run::Running, Core::Starting(entry)) => {
                    s.cores[cpu] = Core::On;
                    s.executing += 1;
                    return Work::Start(entry);
                }
                (Run::Running, Core::On) if !s.held[cpu] && s.paused == 0 => {
                    s.executing += 1;
                    return Work::Resume;
                }
                _ => self.changed.wait(&mut s),
            }
        }
    }

    fn request(&self, stop: Stop) {
        let mut s = self.state.lock();
        // The first request counts, but the user's word is the last.
        if s.stop.is_none() || matches!(stop, Stop::Quit(_)) {
            s.stop = Some(stop);
        }
        if s.run == Run::Running {
            s.run = Run::Held;
        }
        self.changed.notify_all();
        drop(s);
        self.ring_all();
    }

    /// The user ends the machine.
    pub fn quit(&self, status: u8) {
        self.request(Stop::Quit(status));
    }

    /// Waits until somebody stops the machine and no CPU executes any more.
    pub fn wait_for_stop(&self) -> Stop {
        let mut s = self.state.lock();
        loop {
            match s.stop {
                Some(stop) if s.executing == 0 => return stop,
                _ => self.changed.wait(&mut s),
            }
        }
    }

    /// After a power-off that does not end the machine: no CPU is on, and the user or a reset ends that.
    pub fn all_off(&self) {
        let mut s = self.state.lock();
        // The user's word may have come meanwhile, and stays.
        if s.stop == Some(Stop::Off) {
            s.stop = None;
        }
        s.cores.fill(Core::Off);
        s.run = Run::Running;
        self.changed.notify_all();
    }

    /// Lets the threads end.
    pub fn end(&self) {
        let mut s = self.state.lock();
        s.run = Run::Ending;
        s.ended = true;
        self.changed.notify_all();
        drop(s);
        self.ring_all();
        self.wake_debugger();
    }

    /// Who is called when there is something for [`Power::take_debug_event`]. The first one stays.
    pub fn set_debugger(&self, wake: WakeDebugger) {
        let _ = self.debugger.set(wake);
    }

    fn wake_debugger(&self) {
        if let Some(wake) = self.debugger.get() {
            wake();
        }
    }

    /// The debugger wants all CPUs to be still, also those that start later. Does not wait.
    pub fn hold(&self) {
        self.state.lock().held.fill(true);
        self.ring_all();
    }

    /// Somebody who is not the debugger wants all CPUs to be still, until [`Power::unpause`]. Does not wait.
    pub fn pause(&self) {
        self.state.lock().paused += 1;
        self.ring_all();
    }

    /// Takes one [`Power::pause`] back.
    pub fn unpause(&self) {
        let mut s = self.state.lock();
        s.paused = s.paused.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until no CPU executes and those that start have reached their first instruction; true unless the machine
    /// has ended before.
    pub fn wait_held(&self) -> bool {
        let mut s = self.state.lock();
        loop {
            let starting = s.cores.iter().any(|c| matches!(c, Core::Starting(_)));
            match s.run {
                Run::Ending => return false,
                Run::Running if s.executing == 0 && !starting => return true,
                _ => self.changed.wait(&mut s),
            }
        }
    }

    /// The debugger lets go of those CPUs for which `go` is true. What the machine tells it is of the time from now on.
    pub fn release(&self, go: impl Fn(usize) -> bool) {
        let mut s = self.state.lock();
        s.stops.clear();
        s.held.iter_mut().enumerate().for_each(|(cpu, held)| *held = !go(cpu));
        self.changed.notify_all();
    }

    /// A CPU has stopped for the debugger: holds them all.
    pub fn debug_stop(&self, cpu: usize, stop: DebugStop) {
        let mut s = self.state.lock();
        s.stops.push((cpu, stop));
        s.held.fill(true);
        drop(s);
        self.ring_all();
        self.wake_debugger();
    }

    /// What there is to tell the debugger. A finished step comes first: the other stops come again, for their
    /// instructions were not executed.
    pub fn take_debug_event(&self) -> Option<DebugEvent> {
        let mut s = self.state.lock();
        if s.ended {
            let status = if let Some(Stop::Quit(status)) = s.stop { status } else { 0 };
            return Some(DebugEvent::Ended(status));
        }
        let step = s.stops.iter().position(|(_, stop)| *stop == DebugStop::Stepped);
        let first = (!s.stops.is_empty()).then(|| s.stops.remove(step.unwrap_or(0)));
        s.stops.clear();
        first.map(|(cpu, stop)| DebugEvent::Stopped(cpu, stop))
    }

    /// True if a CPU is on.
    #[must_use]
    pub fn is_on(&self, cpu: usize) -> bool {
        self.state.lock().cores.get(cpu) == Some(&Core::On)
    }

    /// The index of the CPU with this affinity.
    fn find(&self, mpidr: u64) -> Option<usize> {
        (0..self.bells.len()).find(|i| affinity_of(*i) == mpidr)
    }
}

/// Who is on. Whether the machine runs, and who looks at it, is no matter of the guest's.
#[derive(Serialize, Deserialize)]
struct Cores {
    cores: Vec<Core>,
}

impl SavedState for Cores {
    const KIND: &'static str = "power";
    const VERSION: u32 = 1;
}

impl Component for Power {
    fn name(&self) -> &str {
        "power"
    }

    /// All CPUs are off, until [`Power::start`].
    fn reset(&self) {
        self.state.lock().cores.fill(Core::Off);
    }

    /// Waits until no CPU executes and those that start have reached their first instruction.
    fn pause(&self) {
        Self::pause(self);
        let mut s = self.state.lock();
        let busy = |s: &State| {
            let starting = s.cores.iter().any(|c| matches!(c, Core::Starting(_)));
            s.executing > 0 || s.run == Run::Running && starting
        };
        while busy(&s) {
            self.changed.wait(&mut s);
        }
    }

    fn resume(&self) {
        self.unpause();
    }

    fn save(&self) -> Payload {
        Payload::new(Component::name(self), &Cores { cores: self.state.lock().cores.clone() })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Cores { cores } = saved.state()?;
        if cores.len() != self.state.lock().cores.len() {
            return Err(saved.unfit("it has another number of CPUs"));
        }
        Ok(Restore::new(move || {
            self.state.lock().cores = cores;
            self.changed.notify_all();
        }))
    }
}

impl Machine for Power {
    fn cpu_on(&self, mpidr: u64, entry: u64, context_id: u64) -> Result<(), PsciError> {
        let cpu = self.find(mpidr).ok_or(PsciError::InvalidParameters)?;
        let mut s = self.state.lock();
        match s.cores[cpu] {
            Core::On => Err(PsciError::AlreadyOn),
            Core::Starting(_) => Err(PsciError::OnPending),
            Core::Off => {
                s.cores[cpu] = Core::Starting(Entry { pc: entry, x0: context_id });
                self.changed.notify_all();
                Ok(())
            }
        }
    }

    fn cpu_off(&self, index: usize) {
        if let Some(core) = self.state.lock().cores.get_mut(index) {
            *core = Core::Off;
        }
        if let Some(bell) = self.bells.get(index).and_then(OnceLock::get) {
            bell.ring(reason::CONTROL);
        }
    }

    fn affinity_info(&self, mpidr: u64, level: u32) -> Result<AffinityState, PsciError> {
        // PSCI counts affinity levels from the CPU upwards: at level n the lower n bytes do not matter.
        let shift = 8 * level.min(3);
        let of = |cpu: usize| affinity_of(cpu) >> shift == mpidr >> shift;
        let s = self.state.lock();
        let mut cores = s.cores.iter().enumerate().filter(|(i, _)| of(*i)).map(|(_, c)| *c).peekable();
        if cores.peek().is_none() {
            return Err(PsciError::InvalidParameters);
        }
        Ok(cores.fold(AffinityState::Off, |state, core| match (state, core) {
            (AffinityState::On, _) | (_, Core::On) => AffinityState::On,
            (AffinityState::OnPending, _) | (_, Core::Starting(_)) => AffinityState::OnPending,
            _ => AffinityState::Off,
        }))
    }

    fn system_off(&self) {
        self.request(Stop::Off);
    }

    fn system_reset(&self) {
        self.request(Stop::Reset);
    }

    fn endless_exception(&self, index: usize, what: EndlessException) {
        let EndlessException { el, pc, esr, far, vbar } = what;
        tracing::warn!(
            "CPU {index} takes an exception at {el} for ever: at {pc:#x} with ESR_{el} {esr:#x}, FAR_{el} {far:#x}, \
             VBAR_{el} {vbar:#x}"
        );
        if self.stop_on.get().is_some_and(|events| events.contains(&StopOn::EndlessException)) {
            self.request(Stop::Quit(STATUS_STOPPED));
        }
    }

    fn send_event(&self) {
        self.bells.iter().filter_map(OnceLock::get).for_each(|b| b.send_event());
    }
}

#[cfg(test)]
mod tests {
    use emu_a64::level::El;

    use super::*;

    #[test]
    fn a_second_cpu_is_turned_on_once() {
        let power = Power::new(2);
        power.start(Some(Entry { pc: 0x4000_0000, x0: 1 }));
        assert_eq!(power.next_work(0, false), Work::Start(Entry { pc: 0x4000_0000, x0: 1 }));
        assert_eq!(power.affinity_info(1, 0), Ok(AffinityState::Off));
        assert_eq!(power.cpu_on(1, 0x5000, 7), Ok(()));
        assert_eq!(power.cpu_on(1, 0x5000, 7), Err(PsciError::OnPending));
        assert_eq!(power.affinity_info(1, 0), Ok(AffinityState::OnPending));
        assert_eq!(power.next_work(1, false), Work::Start(Entry { pc: 0x5000, x0: 7 }));
        assert_eq!(power.cpu_on(1, 0x5000, 7), Err(PsciError::AlreadyOn));
        assert_eq!(power.cpu_on(2, 0, 0), Err(PsciError::InvalidParameters));
        assert_eq!(power.affinity_info(0, 1), Ok(AffinityState::On));
    }

    #[test]
    fn the_most_cpus_are_found_by_their_affinity() {
        let cpus = crate::config::MAX_CPUS as usize;
        let power = Power::new(cpus);
        power.start(Some(Entry::default()));
        for cpu in 1..cpus {
            assert_eq!(power.cpu_on(affinity_of(cpu), 0, 0), Ok(()));
        }
        assert_eq!(power.affinity_info(0x30f, 0), Ok(AffinityState::OnPending));
        assert_eq!(power.affinity_info(0x300, 1), Ok(AffinityState::OnPending));
        assert_eq!(power.cpu_on(0x10, 0, 0), Err(PsciError::InvalidParameters), "Aff0 ends at 15");
        assert_eq!(power.affinity_info(0x400, 1), Err(PsciError::InvalidParameters));
    }

    #[test]
    fn a_machine_that_is_off_waits_for_the_user() {
        let power = Power::new(1);
        power.start(Some(Entry::default()));
        power.system_off();
        assert_eq!(power.wait_for_stop(), Stop::Off);
        power.all_off();
        assert!(!power.is_on(0));
        power.quit(3);
        assert_eq!(power.wait_for_stop(), Stop::Quit(3));
        power.all_off();
        assert_eq!(power.wait_for_stop(), Stop::Quit(3), "the user's word stays");
    }

    #[test]
    fn the_users_end_is_kept_until_the_machine_starts_or_resets() {
        let early = Power::new(1);
        early.quit(7);
        early.start(Some(Entry::default()));
        assert_eq!(early.wait_for_stop(), Stop::Quit(7), "before the start");

        let power = Power::new(1);
        power.start(Some(Entry::default()));
        power.system_reset();
        assert_eq!(power.wait_for_stop(), Stop::Reset);
        power.quit(7);
        power.start(Some(Entry::default()));
        assert_eq!(power.wait_for_stop(), Stop::Quit(7), "during a reset");
    }

    #[test]
    fn endless_exceptions_end_the_machine_where_that_is_wanted() {
        let what = EndlessException { el: El::El1, pc: 0x200, esr: 0x8600_0006, far: 0x200, vbar: 0 };
        for (events, stop) in
            [(&[][..], Stop::Off), (&[StopOn::EndlessException], Stop::Quit(STATUS_STOPPED))]
        {
            let power = Power::new(1);
            power.set_stop_on(events);
            power.start(Some(Entry::default()));
            power.endless_exception(0, what);
            power.system_off();
            assert_eq!(power.wait_for_stop(), stop);
        }
    }

    #[test]
    fn stopping_waits_for_those_that_execute() {
        let power = Power::new(1);
        power.start(Some(Entry::default()));
        power.next_work(0, false);
        power.system_off();
        power.system_reset();
        let other = power.clone();
        let t = std::thread::spawn(move || other.next_work(0, true));
        assert_eq!(power.wait_for_stop(), Stop::Off, "the first request counts");
        power.end();
        assert_eq!(t.join().unwrap(), Work::End);
    }
}
