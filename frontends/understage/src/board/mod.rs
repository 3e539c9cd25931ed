//! The `virt` board.

pub mod build;
mod chars;
pub mod host_code;
pub mod map;
pub mod power;
mod ram;
mod rtc;
pub mod run;
pub mod slots;
pub mod stats;
mod storage;
