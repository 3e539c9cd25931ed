//! The `virt` board.

pub mod build;
pub mod characters;
mod devices;
mod flash;
pub mod host_code;
mod interrupts;
mod ram;
pub mod run;
pub mod stats;
mod whole;
