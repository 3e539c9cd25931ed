//! The devices of the machine.

#![forbid(unsafe_code)]

pub mod flash;
pub mod fwcfg;
pub mod gpio;
pub mod registers;
pub mod rtc;
pub mod uart;
