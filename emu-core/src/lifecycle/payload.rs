//! Saved state: what kind of component it is of, the version of its form, a structure of plain data, and bytes beside it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The state of one kind of component in the form in which it is saved: plain data, apart from the logic.
pub trait SavedState: Serialize + DeserializeOwned {
    /// The kind of component. It does not change with the names of types.
    const KIND: &'static str;
    /// Version of the form. Any change of it makes a new one; others are refused.
    const VERSION: u32;
}

/// The saved state of one component.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payload {
    /// The component's name, unique in its machine; of a part, unique in the component.
    pub name: String,
    /// [`SavedState::KIND`].
    pub kind: String,
    /// [`SavedState::VERSION`].
    pub version: u32,
    /// The [`SavedState`] as JSON, which says by itself what each value is.
    pub state: String,
    /// Bytes that are better not written as text, by name.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// States of components that are parts of this one.
    pub parts: Vec<Payload>,
}

impl Payload {
    /// Packs `state`.
    #[must_use]
    pub fn new<S: SavedState>(name: &str, state: &S) -> Self {
        Self {
            name: name.to_owned(),
            kind: S::KIND.to_owned(),
            version: S::VERSION,
            state: text(state),
            blobs: BTreeMap::new(),
            parts: Vec::new(),
        }
    }

    /// With bytes beside the structure.
    #[must_use]
    pub fn blob(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.blobs.insert(name.to_owned(), bytes);
        self
    }

    /// With the state of a part.
    #[must_use]
    pub fn part(mut self, part: Self) -> Self {
        self.parts.push(part);
        self
    }
}

fn text(state: &impl Serialize) -> String {
    // Structures of numbers, vectors and strings always serialise.
    serde_json::to_string(state).unwrap_or_default()
}

/// A saved state that cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RestoreError {
    /// There is none for a component.
    #[error("there is no state of {name}")]
    Missing {
        /// Component.
        name: String,
    },
    /// There is one of something that the machine does not have.
    #[error("there is a state of {name}, which this machine does not have")]
    Unknown {
        /// Component.
        name: String,
    },
    /// Made by another kind of component.
    #[error("the state of {name} is one of a {found}, not of a {expected}")]
    Kind {
        /// Component.
        name: String,
        /// Kind found.
        found: String,
        /// Kind of the component.
        expected: &'static str,
    },
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
    /// It has the right form, and is one of another machine, or of none.
    #[error("the state of {name} does not fit: {why}")]
    Unfit {
        /// Component.
        name: String,
        /// What does not fit.
        why: String,
    },
}

/// A payload that is being read. What is taken is gone, so that what nobody takes is noticed.
#[derive(Debug)]
pub struct Source {
    payload: Payload,
    read: bool,
}

impl Source {
    /// What `check` makes of a payload for the component called `name`, if it takes all of it.
    pub fn read<T>(
        payload: Payload,
        name: &str,
        check: impl FnOnce(&mut Self) -> Result<T, RestoreError>,
    ) -> Result<T, RestoreError> {
        if payload.name != name {
            return Err(RestoreError::Unknown { name: payload.name });
        }
        let mut source = Self { payload, read: false };
        let checked = check(&mut source)?;
        source.finish()?;
        Ok(checked)
    }

    /// The structure.
    pub fn state<S: SavedState>(&mut self) -> Result<S, RestoreError> {
        let (name, found) = (self.payload.name.clone(), self.payload.version);
        if self.payload.kind != S::KIND {
            return Err(RestoreError::Kind { name, found: self.payload.kind.clone(), expected: S::KIND });
        }
        if found != S::VERSION {
            return Err(RestoreError::Version { name, found, expected: S::VERSION });
        }
        let state: S =
            serde_json::from_str(&self.payload.state).map_err(|e| self.malformed(&e.to_string()))?;
        // A field that this build does not know, or that is there twice, is lost in the structure.
        if text(&state) != self.payload.state {
            return Err(
                self.malformed("it has more than this build knows, or not in the form that it writes")
            );
        }
        self.read = true;
        Ok(state)
    }

    /// The bytes called `name`.
    pub fn blob(&mut self, name: &str) -> Result<Vec<u8>, RestoreError> {
        self.payload.blobs.remove(name).ok_or_else(|| self.malformed(&format!("it has no {name}")))
    }

    /// The state of the part called `name`.
    pub fn part(&mut self, name: &str) -> Result<Payload, RestoreError> {
        let at = self.payload.parts.iter().position(|p| p.name == name);
        let at = at.ok_or_else(|| self.malformed(&format!("it has no part {name}")))?;
        Ok(self.payload.parts.remove(at))
    }

    /// The same for a part that is no component of its own: what `check` makes of it, if it takes all of it.
    pub fn check_part<T>(
        &mut self,
        name: &str,
        check: impl FnOnce(&mut Self) -> Result<T, RestoreError>,
    ) -> Result<T, RestoreError> {
        // Errors name the whole, too.
        let whole = format!("{}, {name}", self.payload.name);
        let payload = Payload { name: whole.clone(), ..self.part(name)? };
        Self::read(payload, &whole, check)
    }

    /// The error that the state is not one for this component.
    #[must_use]
    pub fn unfit(&self, why: impl Into<String>) -> RestoreError {
        RestoreError::Unfit { name: self.payload.name.clone(), why: why.into() }
    }

    fn malformed(&self, why: &str) -> RestoreError {
        RestoreError::Form { name: self.payload.name.clone(), why: why.to_owned() }
    }

    /// Everything has been taken.
    fn finish(self) -> Result<(), RestoreError> {
        let left = (self.payload.blobs.keys().next()).or(self.payload.parts.first().map(|p| &p.name));
        match left {
            Some(left) => Err(self.malformed(&format!("nobody takes its {left}"))),
            None if !self.read => Err(self.malformed("nobody takes it")),
            None => Ok(()),
        }
    }
}
