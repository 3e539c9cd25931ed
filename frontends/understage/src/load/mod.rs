//! Loading: from files to what is in RAM and flash when the machine starts, and where CPU 0 begins.
//!
//! | module | what lives there |
//! |---|---|
//! | [`image`] | arm64 `Image`, plain and compressed |
//! | [`elf`] | ELF programs |
//! | [`uimage`] | U-Boot's legacy images |
//! | [`layout`] | who gets which part of RAM |
//! | [`mod@plan`] | all of it together |
//!
//! # Invariant
//! A [`Plan`] is plain data and complete before anything is built: a user's mistake is found while nothing has run and
//! nothing has been written.

pub mod elf;
pub mod image;
pub mod layout;
pub mod plan;
pub mod uimage;

pub use plan::{Boot, Plan, Segment, plan};
