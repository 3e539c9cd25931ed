//! The `virt` board.

pub mod build;
pub mod characters;
mod chars;
mod fw_cfg;
pub mod host_code;
mod interrupts;
mod ram;
mod rtc;
pub mod run;
pub mod slots;
pub mod stats;
mod storage;
