//! Flash memory.

pub mod cfi;
mod chip;
mod store;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] = &[&chip::QUERY];

pub use store::{FlashStore, Programming};
