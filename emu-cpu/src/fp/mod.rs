//! Exact floating point, behind the operations [`FpOp`] of the IR.

/// What floating-point operations read and accumulate into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FpEnv {
    /// FPCR (Arm ARM, C5.2.8).
    pub fpcr: u32,
    /// FPSR (Arm ARM, C5.2.10): cumulative bits are only ever set.
    pub fpsr: u32,
}

/// A floating-point operation of the IR on up to three 128-bit operands. Scalars are in the low bits, the rest of the
/// result is zero. (Variants are added with their lowerings.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FpOp {}

/// The exact function behind an [`FpOp`] or a [`crate::simd::VecOp`]: environment, immediate, operands (unused ones 0).
pub type VecFn = fn(&mut FpEnv, u32, u128, u128, u128) -> u128;
