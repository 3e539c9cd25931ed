//! What the machine runs without anyone's files, made without a cross-compiler by an assembler that is a library: the
//! hypervisor of the tour, and the bare-metal test programs.

#![forbid(unsafe_code)]

pub mod bare;
pub mod tour;
