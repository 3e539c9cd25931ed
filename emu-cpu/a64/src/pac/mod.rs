//! The algorithms that compute pointer authentication codes (Arm ARM, D8.10; pseudocode function ComputePAC): each makes
//! 64 bits of a pointer, a modifier and a key (bits 127:64, bits 63:0).

pub mod qarma;
pub mod quick;
