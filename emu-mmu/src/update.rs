//! Descriptor updates: what hardware management of the access flag and dirty state writes, and how it is committed.

use std::ops::Deref;

use emu_core::Pa;
use emu_core::bus::BusView;
use emu_core::table::{TableBus, UpdateRefused};
use thiserror::Error;

use crate::fault::Stage;

/// The memory behind a descriptor gave an external abort.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("external abort")]
pub struct ExternalAbort;

/// A descriptor could not be updated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UpdateError {
    /// An external abort.
    #[error("external abort")]
    ExternalAbort,
    /// The memory there has no atomic read-modify-write.
    #[error("the memory has no atomic updates")]
    Unsupported,
}

/// Physical memory as walks see it: 64-bit little-endian descriptors, single-copy atomic.
pub trait TableMemory {
    /// Reads the descriptor at `pa` (8-byte aligned).
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort>;
    /// Writes `new` if the descriptor still is `old`; false if it is not.
    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError>;
}

impl From<UpdateRefused> for UpdateError {
    fn from(why: UpdateRefused) -> Self {
        match why {
            UpdateRefused::Unmapped => Self::ExternalAbort,
            UpdateRefused::Unsupported => Self::Unsupported,
        }
    }
}

/// The machine's memory, for the walks of CPUs and SMMUs alike.
impl<V: Deref<Target = BusView>> TableMemory for TableBus<V> {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        self.read_u64(pa).ok_or(ExternalAbort)
    }

    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        Ok(self.update_u64(pa, old, new)?)
    }
}

/// One descriptor that hardware updates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescriptorUpdate {
    /// Where it is.
    pub pa: Pa,
    /// What was read.
    pub old: u64,
    /// Bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
    /// Whose descriptor it is.
    pub stage: Stage,
    /// A stage 2 descriptor that maps a table of stage 1.
    pub s1ptw: bool,
    /// Its level.
    pub level: i8,
}

impl DescriptorUpdate {
    /// The value to write.
    #[must_use]
    pub const fn new_value(&self) -> u64 {
        (self.old | self.set) & !self.clear
    }
}

/// The updates of one walk, in the order in which they are made. At most one per stage 1 level for stage 2 of the
/// tables, one for stage 1 and one for the final stage 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Updates {
    list: [Option<DescriptorUpdate>; Self::MAX],
}

impl Updates {
    const MAX: usize = 8;

    /// True if there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list[0].is_none()
    }

    /// The updates in order.
    pub fn iter(&self) -> impl Iterator<Item = &DescriptorUpdate> {
        self.list.iter().flatten()
    }

    /// Adds an update; two of one descriptor become one. A walk cannot make more than fit.
    pub(crate) fn push(&mut self, update: DescriptorUpdate) {
        if update.new_value() == update.old {
            return;
        }
        for slot in &mut self.list {
            match slot {
                Some(u) if u.pa == update.pa && u.old == update.old => {
                    u.set |= update.set;
                    u.clear |= update.clear;
                    return;
                }
                Some(_) => {}
                None => {
                    *slot = Some(update);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_of_one_descriptor_merge() {
        let mut updates = Updates::default();
        let u = DescriptorUpdate {
            pa: Pa(0x1000),
            old: 0x3,
            set: 1 << 10,
            clear: 0,
            stage: Stage::S2,
            s1ptw: true,
            level: 3,
        };
        updates.push(u);
        updates.push(DescriptorUpdate { set: 1 << 7, ..u });
        updates.push(DescriptorUpdate { set: 1, ..u });
        updates.push(DescriptorUpdate { pa: Pa(0x2000), ..u });
        let new: Vec<u64> = updates.iter().map(DescriptorUpdate::new_value).collect();
        assert_eq!(new, [0x483, 0x403]);
    }
}
