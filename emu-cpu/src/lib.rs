//! The CPU of the machine.

pub mod gic;
