//! SMMUv3 (Arm IHI 0070).

#[cfg(test)]
mod bench;
mod cache;
pub mod cd;
mod commands;
mod control;
pub mod event;
mod gerror;
mod identification;
mod interface;
mod interrupts;
pub mod layout;
pub mod pmcg;
pub mod profile;
mod queue;
mod registers;
pub mod settings;
mod smmu;
pub mod ste;
pub mod streams;
pub mod tables;

pub use control::SendEvent;
pub use interface::Reported;
pub use registers::WINDOW;
pub use smmu::{Config, Smmuv3};
