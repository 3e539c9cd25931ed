//! The `virt` board, and the machine without anything.

pub mod build;
pub mod characters;
mod devices;
pub mod empty;
mod flash;
pub mod host_code;
pub mod hotplug;
mod interrupts;
mod ram;
pub mod run;
pub mod stats;
mod whole;
