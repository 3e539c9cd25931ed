//! Guest programs that the machine runs without anyone's files, made without a cross-compiler by an assembler that is a
//! library: `guest_tests`, the bare-metal tests, and `guest_tour`, the hypervisor of the tour and its guests.

#![forbid(unsafe_code)]

pub mod guest_tests;
pub mod guest_tour;
