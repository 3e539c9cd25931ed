//! Get Features and Set Features (NVMe 1.4, 5.14 and 5.21).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::logs::{Event, TEMPERATURE};
use super::status::{Outcome, Status};
use super::{Live, Nvme};

/// Feature identifiers.
mod id {
    pub(super) const ARBITRATION: u8 = 0x01;
    pub(super) const POWER_MANAGEMENT: u8 = 0x02;
    pub(super) const TEMPERATURE_THRESHOLD: u8 = 0x04;
    pub(super) const ERROR_RECOVERY: u8 = 0x05;
    pub(super) const VOLATILE_WRITE_CACHE: u8 = 0x06;
    pub(super) const NUMBER_OF_QUEUES: u8 = 0x07;
    pub(super) const INTERRUPT_COALESCING: u8 = 0x08;
    pub(super) const INTERRUPT_VECTOR: u8 = 0x09;
    pub(super) const WRITE_ATOMICITY: u8 = 0x0a;
    pub(super) const ASYNC_EVENTS: u8 = 0x0b;
    pub(super) const ALL: [u8; 10] = [
        ARBITRATION,
        POWER_MANAGEMENT,
        TEMPERATURE_THRESHOLD,
        ERROR_RECOVERY,
        VOLATILE_WRITE_CACHE,
        NUMBER_OF_QUEUES,
        INTERRUPT_COALESCING,
        INTERRUPT_VECTOR,
        WRITE_ATOMICITY,
        ASYNC_EVENTS,
    ];
}

/// Asynchronous Event Configuration: the critical warning of the temperature.
const WARN_OF_TEMPERATURE: u32 = 1 << 1;
/// Those events that can be asked for: critical warnings.
const ASYNC_EVENTS: u32 = 0xff;
/// Error Recovery: Time Limited Error Recovery.
const RECOVERY_TIME: u32 = 0xffff;
/// Interrupt Vector Configuration: Coalescing Disable.
const COALESCING_DISABLE: u32 = 1 << 16;
/// Changes of it are seen after a reset only if they are saved; none is.
const SAVE: u32 = 1 << 31;
/// Arbitration: there is no limit to a burst.
const NO_LIMIT: u32 = 7;

/// The values of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Features {
    arbitration: u32,
    over: u32,
    under: u32,
    /// By namespace; zero where there is none.
    recovery: BTreeMap<u32, u32>,
    pub(super) write_cache: bool,
    /// Submission and completion queues, beside those for administration.
    pub(super) queues: (u16, u16),
    coalescing: u32,
    /// Vectors that are not coalesced, of those that were said something of.
    vectors: BTreeMap<u32, bool>,
    atomicity: u32,
    events: u32,
}

impl Features {
    /// With so many queues.
    pub(super) fn new(queues: u16) -> Self {
        Self {
            arbitration: NO_LIMIT,
            over: 0x157,
            under: 0,
            recovery: BTreeMap::new(),
            write_cache: true,
            queues: (queues, queues),
            coalescing: 0,
            vectors: BTreeMap::new(),
            atomicity: 0,
            events: 0,
        }
    }

    /// The composite temperature is beyond a threshold.
    pub(super) fn is_temperature_critical(&self) -> bool {
        u32::from(TEMPERATURE) >= self.over || u32::from(TEMPERATURE) <= self.under
    }

    /// No value is one that cannot be set.
    pub(super) fn is_possible(&self, queues: u16, vectors: u16) -> bool {
        let some = |n: u16| (1..=queues).contains(&n);
        self.over <= 0xffff
            && self.under <= 0xffff
            && some(self.queues.0)
            && some(self.queues.1)
            && self.recovery.len() <= super::Namespace::MAX as usize
            && self.vectors.keys().all(|v| *v < vectors.into())
    }
}

/// The threshold that dword 11 selects: over or under, of the composite temperature; there are no other sensors.
fn is_over(word: u32) -> Result<bool, Status> {
    match (word >> 16 & 0xf, word >> 20 & 3) {
        (0, kind @ (0 | 1)) => Ok(kind == 0),
        _ => Err(Status::INVALID_FIELD),
    }
}

impl Nvme {
    /// A vector that there is.
    fn vector(&self, word: u32) -> Result<u32, Status> {
        let vector = word & 0xffff;
        if vector < self.options.vectors.into() { Ok(vector) } else { Err(Status::INVALID_FIELD) }
    }

    fn feature(&self, features: &Features, command: &Command) -> Outcome {
        let word = command.word(11);
        Ok(match command.word(10) as u8 {
            id::ARBITRATION => features.arbitration,
            // There is one power state.
            id::POWER_MANAGEMENT => 0,
            id::TEMPERATURE_THRESHOLD if is_over(word)? => features.over,
            id::TEMPERATURE_THRESHOLD => features.under,
            id::ERROR_RECOVERY => {
                let namespace = self.namespace(command.nsid())?;
                features.recovery.get(&namespace.id).copied().unwrap_or(0)
            }
            id::VOLATILE_WRITE_CACHE => features.write_cache.into(),
            id::NUMBER_OF_QUEUES => u32::from(features.queues.0 - 1) | u32::from(features.queues.1 - 1) << 16,
            id::INTERRUPT_COALESCING => features.coalescing,
            id::INTERRUPT_VECTOR => {
                let vector = self.vector(word)?;
                let disabled = features.vectors.get(&vector).copied().unwrap_or(false);
                vector | if disabled { COALESCING_DISABLE } else { 0 }
            }
            id::WRITE_ATOMICITY => features.atomicity,
            id::ASYNC_EVENTS => features.events,
            _ => return Err(Status::INVALID_FIELD),
        })
    }

    pub(super) fn get_features(&self, live: &Live, command: &Command) -> Outcome {
        let feature = command.word(10) as u8;
        match command.word(10) >> 8 & 7 {
            0 => self.feature(&live.features, command),
            // What is saved is the default.
            1 | 2 => self.feature(&Features::new(self.options.queues), command),
            3 if id::ALL.contains(&feature) => {
                // Changeable, and specific to a namespace.
                Ok(1 << 2 | u32::from(feature == id::ERROR_RECOVERY) << 1)
            }
            _ => Err(Status::INVALID_FIELD),
        }
    }

    pub(super) fn set_features(&self, live: &mut Live, command: &Command) -> Outcome {
        let feature = command.word(10) as u8;
        if !id::ALL.contains(&feature) {
            return Err(Status::INVALID_FIELD);
        }
        if command.word(10) & SAVE != 0 {
            return Err(Status::NOT_SAVEABLE);
        }
        let (word, features) = (command.word(11), &mut live.features);
        match feature {
            id::ARBITRATION => features.arbitration = word,
            // Power state 0, and no hint.
            id::POWER_MANAGEMENT if word & 0x1f == 0 => {}
            id::TEMPERATURE_THRESHOLD => {
                // All sensors: there is one.
                let word = if word >> 16 & 0xf == 0xf { word & !(0xf << 16) } else { word };
                let value = word & 0xffff;
                if is_over(word)? { features.over = value } else { features.under = value }
            }
            id::ERROR_RECOVERY if word & !RECOVERY_TIME == 0 => self.set_recovery(features, command)?,
            id::VOLATILE_WRITE_CACHE => features.write_cache = word & 1 != 0,
            id::NUMBER_OF_QUEUES => return self.set_queues(live, word),
            id::INTERRUPT_COALESCING => features.coalescing = word & 0xffff,
            id::INTERRUPT_VECTOR => {
                let vector = self.vector(word)?;
                features.vectors.insert(vector, word & COALESCING_DISABLE != 0);
            }
            id::WRITE_ATOMICITY => features.atomicity = word & 1,
            id::ASYNC_EVENTS => features.events = word & ASYNC_EVENTS,
            _ => return Err(Status::INVALID_FIELD),
        }
        self.warn(live);
        Ok(0)
    }

    fn set_recovery(&self, features: &mut Features, command: &Command) -> Result<(), Status> {
        let all = command.nsid() == u32::MAX;
        let one = if all { None } else { Some(self.namespace(command.nsid())?.id) };
        for id in self.namespaces.keys().filter(|id| one.is_none_or(|one| one == **id)) {
            features.recovery.insert(*id, command.word(11));
        }
        Ok(())
    }

    /// Only before there are I/O queues.
    fn set_queues(&self, live: &mut Live, word: u32) -> Outcome {
        if live.sqs.len() > 1 || live.cqs.len() > 1 {
            return Err(Status::COMMAND_SEQUENCE);
        }
        let (submission, completion) = (word & 0xffff, word >> 16);
        if submission == 0xffff || completion == 0xffff {
            return Err(Status::INVALID_FIELD);
        }
        let given = |wanted: u32| (wanted as u16 + 1).min(self.options.queues);
        live.features.queues = (given(submission), given(completion));
        Ok(u32::from(live.features.queues.0 - 1) | u32::from(live.features.queues.1 - 1) << 16)
    }

    /// Tells of the temperature, if software wants to know.
    fn warn(&self, live: &mut Live) {
        if live.features.events & WARN_OF_TEMPERATURE != 0 && live.features.is_temperature_critical() {
            live.events.raise(Event::TEMPERATURE);
        }
    }
}
