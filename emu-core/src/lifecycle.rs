//! The life of a component, and its ordering contract.
//!
//! `reset` (power on) → `start` → (`pause` → `resume`)* → `halt`. `save` and `restore` are called only while the machine
//! is paused or not started: no vCPU runs, no device thread touches memory. Components are started in the order in
//! which the board lists them (interrupt controller, devices, CPUs) and paused in the reverse order, so nothing is
//! asked of a component that is already asleep. A component that owns no thread needs only reset, save and restore.

use std::io;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The saved state of one component: plain data with a version.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// The component's name, unique in its machine.
    pub name: String,
    /// Version of `state`'s form.
    pub version: u32,
    /// The state.
    pub state: serde_json::Value,
}

/// A saved state that cannot be taken.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Made by another version of the component.
    #[error("the state of {name} has version {found}, this build reads version {expected}")]
    Version {
        /// Component.
        name: String,
        /// Version found.
        found: u32,
        /// Version read by this build.
        expected: u32,
    },
    /// The data does not have the right form.
    #[error("the state of {name} does not parse: {why}")]
    Form {
        /// Component.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Saved {
    /// Packs `state`.
    #[must_use]
    pub fn new<T: Serialize>(name: &str, version: u32, state: &T) -> Self {
        // Component states are structs of numbers, vectors and strings: they always serialise.
        let state = serde_json::to_value(state).unwrap_or(serde_json::Value::Null);
        Self { name: name.to_owned(), version, state }
    }

    /// Unpacks a state of `version`.
    pub fn get<T: DeserializeOwned>(&self, version: u32) -> Result<T, RestoreError> {
        if self.version != version {
            let name = self.name.clone();
            return Err(RestoreError::Version { name, found: self.version, expected: version });
        }
        serde_json::from_value(self.state.clone())
            .map_err(|e| RestoreError::Form { name: self.name.clone(), why: e.to_string() })
    }
}

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
    fn save(&self) -> Saved;
    /// Takes a state that [`Component::save`] gave.
    fn restore(&self, saved: &Saved) -> Result<(), RestoreError>;
}
