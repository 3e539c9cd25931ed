//! Flash memory.

pub mod cfi;
mod chip;
mod store;

pub use store::{FlashStore, Programming};
