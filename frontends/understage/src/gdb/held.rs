//! Who may look at the CPUs: only somebody who holds them all.
//!
//! # Invariant
//! [`Held`] is the only way from the debugger to a `Vcpu`. One is made by waiting until no CPU executes, and given up
//! before any goes on; so nothing that the debugger is asked while the machine runs can wait for a CPU's lock.

use std::sync::Arc;

use emu_core::clock::Clock;
use emu_engine::interp::vcpu::Vcpu;
use parking_lot::MutexGuard;

use crate::power::{DebugEvent, Power, SharedVcpu};

/// The CPUs of a machine, and what stops them.
pub(super) struct Cpus {
    vcpus: Vec<SharedVcpu>,
    power: Arc<Power>,
    clock: Arc<Clock>,
}

/// All CPUs are still, and so is the machine's time.
pub(super) struct Held(Arc<Cpus>);

impl Cpus {
    pub(super) fn new(vcpus: Vec<SharedVcpu>, power: Arc<Power>, clock: Arc<Clock>) -> Arc<Self> {
        Arc::new(Self { vcpus, power, clock })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.vcpus.len()
    }

    /// Stops the machine and waits until it is still; `None` if it has ended before.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Held> {
        self.power.hold();
        if !self.power.wait_held() {
            return None;
        }
        self.clock.pause();
        Some(Held(self.clone()))
    }

    /// True if a CPU is on.
    pub(super) fn is_on(&self, cpu: usize) -> bool {
        self.power.is_on(cpu)
    }

    /// What the machine has to tell.
    pub(super) fn take_debug_event(&self) -> Option<DebugEvent> {
        self.power.take_debug_event()
    }
}

impl Held {
    /// A CPU to look at. Its thread waits for work, so the lock is free.
    pub(super) fn vcpu(&self, cpu: usize) -> Option<MutexGuard<'_, Vcpu>> {
        Some(self.0.vcpus.get(cpu)?.lock())
    }

    /// Lets those CPUs go on for which `go` is true; with `time` the machine's time goes on, too.
    pub(super) fn release(self, time: bool, go: impl Fn(usize) -> bool) {
        if time {
            self.0.clock.resume();
        }
        self.0.power.release(go);
    }

    /// Ends the machine.
    pub(super) fn kill(self) {
        self.0.clock.resume();
        self.0.power.quit(0);
    }
}
