//! The devices of the machine.

#![forbid(unsafe_code)]

pub mod gic;
