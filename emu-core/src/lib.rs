//! The vocabulary of the machine: what every other crate speaks in.
//!
//! Addresses ([`addr`]), guest memory ([`ram`]) and who wrote it ([`page`]), the physical bus ([`bus`]), tables in memory
//! ([`table`]), DMA ([`dma`]), interrupt lines and the GIC's internal interface ([`irq`]), one virtual clock with its timers
//! ([`clock`]), the life of a component ([`lifecycle`]), seeded random
//! numbers ([`random`]), register maps ([`registers`]), what the machine counts ([`metrics`]), what each device did ([`ledger`])
//! and the host's errors in words ([`host`]).
//!
//! # Invariants
//! - This crate depends on nothing of the project.
//! - Guest memory is touched only through [`ram::GuestRam`] (devices through [`dma::DmaPort`]), which knows of every write.
//! - No component reads the host's clock: time is [`clock::Clock`]'s.

pub mod addr;
pub mod atomic;
pub mod bus;
pub mod clock;
pub mod dma;
pub mod host;
pub mod irq;
pub mod ledger;
pub mod lifecycle;
pub mod metrics;
pub mod page;
pub mod ram;
pub mod random;
pub mod registers;
pub mod security;
pub mod table;

pub use addr::{Ipa, Pa, Va};
pub use security::Security;
