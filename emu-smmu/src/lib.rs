//! The System MMU, as far as the board has one: the state in which every SMMU comes out of reset.
//!
//! With SMMU_CR0.SMMUEN = 0 an SMMUv3 translates nothing. What it does with a transaction is said by SMMU_GBPA alone (Arm
//! IHI 0070, 6.3.15): let it through with its address unchanged, or abort it. A [`GlobalBypass`] is that state; the
//! board's masters get their ports from it, so that a translating SMMU takes its place without a change to any device.

#![forbid(unsafe_code)]

mod bypass;
pub mod translation;
pub mod v3;

/// Where logs say what no sane guest does.
pub const GUEST_ERRORS: &str = "guest_errors";

pub use bypass::{Gbpa, GlobalBypass, StreamCount};
