//! The System MMU: what stands between the DMA of masters and memory, translates, isolates, and lets transactions wait for
//! software.
//!
//! [`translation`] is what is the same in every generation of the architecture: transactions, TLB, stalls. [`v3`] is the
//! programmer's model of SMMUv3.

#![forbid(unsafe_code)]

pub mod translation;
pub mod v3;

/// Where logs say what no sane guest does.
pub const GUEST_ERRORS: &str = "guest_errors";
