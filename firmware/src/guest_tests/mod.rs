//! The bare-metal suite: small programs that ask one question about the architecture each, with the answer that the
//! specification gives.
//!
//! A [`Case`] is a function that emits code into a [`Program`] and states what must come out. Nothing here knows the
//! emulator: the same image runs on any board with RAM at [`layout::RAM`], flash that can be
//! programmed at [`layout::FLASH`], a GIC at [`layout::GICD`], of the version that the case is for, and PSCI by SMC,
//! entered at EL2 with the MMU off. The cases about the SMMU (areas `smmu_*`) need this project's test masters behind an SMMUv3 at
//! [`layout::SMMU`] (sections of Arm IHI 0070) or behind an SMMUv2 at [`layout::SMMU_V2`] (registers of Arm IHI 0062). `cargo run -p understage-tests --bin bare -- list` shows what there is, and `dump`
//! writes an image for another machine.
//!
//! # What a program leaves behind
//! Each PE has a result block (see [`report`]): values that the program stored, in the order in which they are expected,
//! and a record of every exception that was taken to a vector of the suite. A program ends with PSCI SYSTEM_OFF after it
//! has marked its block as complete; one that did not end well has no mark.
//!
//! # Another opinion
//! `bare peer MODEL -- QEMU` tries the expectations on another emulator. Where that differs, the specification decides, and
//! the case says so: `traps::twe_looks_at_the_event_register`, `waits::events`, `stage2::cache_maintenance`,
//! `alignment::exclusives_and_ordered`, `alignment::read_modify_write`, `alignment::stack_pointer`, `memory::atomic_faults`, `memory::code_in_flash`, `el2_traps::mdcr_tdosa`,
//! `levels::protected_walk`, `virtual_interface::maintenance_of_groups`, `waits::exception_returns`,
//! `ordering::release_then_acquire`.

#![allow(
    clippy::useless_conversion,
    reason = "the assembler macro converts register numbers that are bytes already"
)]

#[macro_use]
mod program;
mod cases;
pub mod gicv2;
pub mod interrupts;
pub mod layout;
pub mod litmus;
pub mod registers;
pub mod report;
pub mod smmu;
pub mod smmu_v2;
pub mod tables;
pub mod test_master;
mod vectors;

pub use cases::{CASES, Case, Gic, Needs, Smmu};
pub use program::{Image, Level, Program};
