//! Tests of the whole machine: what runs the bare-metal suite of the crate `firmware`.
#![forbid(unsafe_code)]

pub mod bare;
pub mod machine;
