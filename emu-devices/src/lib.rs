//! The devices of the machine.

#![forbid(unsafe_code)]

pub mod gic;
pub mod gpio;
pub mod registers;
pub mod rtc;
pub mod uart;
pub mod block;
pub mod pci;
pub mod virtio;
