//! Programs for the machine, made without a cross-compiler by an assembler that is a library.
#![forbid(unsafe_code)]

pub mod bare;
