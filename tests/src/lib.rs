//! Tests of the whole machine: what runs the bare-metal suite of the crate `firmware` and its litmus tests, and what gives garbage to everything
//! that a guest or a file reaches.
#![forbid(unsafe_code)]

pub mod bare;
pub mod crash;
pub mod fuzz;
pub mod litmus;
pub mod machine;
pub mod soak;
pub mod stalls;
