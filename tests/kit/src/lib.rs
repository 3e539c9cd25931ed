//! What tests of several crates need.
//!
//! | module | what lives there |
//! |---|---|
//! | [`master`] | a bare master: accesses to registers of a device |
//! | [`wires`] | ends of interrupt wires that write down what comes |
//! | [`pe`] | a PE by itself (with the feature `pe`) |
//!
//! Seeded random numbers are [`emu_core::random::SplitMix64`], which devices have a use for, too.
//!
//! A crate that this one depends on can use it in its integration tests, and not in its unit tests: the crate under test and
//! the one below the kit would be two, with different types.

#![forbid(unsafe_code)]

pub mod master;
#[cfg(feature = "pe")]
pub mod pe;
pub mod wires;
