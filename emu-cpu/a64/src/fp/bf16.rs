//! The arithmetic of BFDOT and BFMMLA (Arm ARM: BFMulH, FPAdd_BF16, BFDotAdd): no flags, denormals are zero both ways,
//! NaNs are the default NaN, and single-precision results are rounded to odd whatever FPCR says.

use super::format::F32;
use super::soft_arith::{add_with, mul_with};
use super::{FpEnv, Rounding, fpcr};

/// acc + (a0 * b0 + a1 * b1): the halves of words `a` and `b` are the two elements.
pub(super) fn dot_add(acc: u64, a: u64, b: u64) -> u64 {
    let mut env = FpEnv { fpcr: fpcr::FZ | fpcr::DN, fpsr: 0 };
    let low = mul_with::<F32>(&mut env, a << 16 & 0xffff_0000, b << 16 & 0xffff_0000, Rounding::OddInf);
    let high = mul_with::<F32>(&mut env, a & 0xffff_0000, b & 0xffff_0000, Rounding::OddInf);
    let sum = add_with::<F32>(&mut env, low, high, Rounding::OddInf);
    add_with::<F32>(&mut env, acc, sum, Rounding::OddInf)
}
