//! The System MMU: what stands between the DMA of masters and memory, translates, isolates, and lets transactions wait for
//! software.
//!
//! [`translation`] is what is the same in every generation of the architecture: transactions, TLB, stalls. [`v2`] and [`v3`]
//! are the programmer's models of SMMUv2 and SMMUv3.

#![forbid(unsafe_code)]

pub mod translation;
pub mod v2;
pub mod v3;

/// Where logs say what no sane guest does.
pub const GUEST_ERRORS: &str = "guest_errors";
