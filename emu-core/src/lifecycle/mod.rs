//! The life of a component, and its ordering contract.
//!
//! `reset` (power on) → `start` → (`pause` → `resume`)* → `halt`. `save` and `check` are called only while the machine is
//! paused or not started: no vCPU runs, no device thread touches memory. Components are started in the order in
//! which the board lists them (interrupt controller, devices, CPUs and what says when they run) and paused in the reverse
//! order, so nothing is asked of a component that is already asleep. A component that owns no thread needs only reset, save
//! and check.
//!
//! # Invariant
//! A state is taken in two phases: [`Component::check`] reads and judges it and changes nothing; what that gives, [`Restore`],
//! puts the component into the state and cannot fail. [`restore_all`] checks all components before it changes the first.

mod contents;
mod payload;

use std::io;
use std::sync::Arc;

pub use contents::Runs;
pub use payload::{Payload, RestoreError, SavedState, Source};

/// A part of the machine.
pub trait Component: Send + Sync {
    /// Unique in the machine.
    fn name(&self) -> &str;
    /// To the state after power-on.
    fn reset(&self);
    /// Threads and host resources begin to work. A host that gives no thread is told of by the error, before the machine
    /// runs.
    fn start(&self) -> io::Result<()> {
        Ok(())
    }
    /// After return, the component does nothing by itself and its state does not change.
    fn pause(&self) {}
    /// Goes on after a pause.
    fn resume(&self) {}
    /// The end: threads are joined, disks are flushed.
    fn halt(&self) {}
    /// The complete guest-visible state.
    fn save(&self) -> Payload;
    /// Takes what [`Component::save`] gave out of `saved`, all of it, and says how to get into that state. Nothing has changed
    /// when this returns.
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError>;
    /// Goes into a state that [`Component::save`] gave. On an error nothing has changed.
    fn restore(&self, payload: Payload) -> Result<(), RestoreError> {
        prepare(self, payload).map(Restore::apply)
    }
}

/// Puts a component into a state that was found to fit.
#[must_use]
pub struct Restore<'a>(Box<dyn FnOnce() + 'a>);

impl<'a> Restore<'a> {
    /// By calling `f`.
    pub fn new(f: impl FnOnce() + 'a) -> Self {
        Self(Box::new(f))
    }

    /// Does it.
    pub fn apply(self) {
        (self.0)();
    }
}

/// Checks a component's state, and that the component takes all of it.
pub fn prepare<C: Component + ?Sized>(component: &C, payload: Payload) -> Result<Restore<'_>, RestoreError> {
    Source::read(payload, component.name(), |source| component.check(source))
}

/// The states of all components, in their order.
#[must_use]
pub fn save_all(components: &[Arc<dyn Component>]) -> Vec<Payload> {
    components.iter().map(|c| c.save()).collect()
}

/// Puts all components into the states that [`save_all`] gave for a machine like this one. If one does not fit, or there is one
/// too many or too few, nothing has changed.
pub fn restore_all(
    components: &[Arc<dyn Component>],
    mut payloads: Vec<Payload>,
) -> Result<(), RestoreError> {
    let mut prepared = Vec::with_capacity(components.len());
    for component in components {
        let at = payloads.iter().position(|p| p.name == component.name());
        let at = at.ok_or_else(|| RestoreError::Missing { name: component.name().to_owned() })?;
        prepared.push(prepare(&**component, payloads.swap_remove(at))?);
    }
    match payloads.pop() {
        Some(left) => Err(RestoreError::Unknown { name: left.name }),
        None => {
            prepared.into_iter().for_each(Restore::apply);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
