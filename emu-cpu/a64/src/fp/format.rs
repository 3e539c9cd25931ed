//! The floating-point formats. Values are held as raw bits in the low end of a `u64`.

use std::cmp::Ordering;

use super::{FpEnv, Rounding, fpcr, soft_arith, soft_convert};

/// A binary floating-point format, and the operations on one element of it.
///
/// The provided operations are the exact ones; formats that the host's FPU has override the frequent ones with functions
/// that give the same results and flags faster.
pub(super) trait Format: Copy + 'static {
    /// Bits of the fraction.
    const FRAC: u32;
    /// Bits of the exponent.
    const EXP: u32;
    /// The FPCR bit that flushes denormals of this format to zero.
    const FLUSH: u32;
    /// True if flushing an operand sets FPSR.IDC.
    const FLUSH_RAISES: bool;

    /// Bits of the format.
    const BITS: u32 = 1 + Self::EXP + Self::FRAC;
    /// Exponent bias.
    const BIAS: i32 = (1 << (Self::EXP - 1)) - 1;
    /// Exponent of the smallest normal number.
    const EMIN: i32 = 1 - Self::BIAS;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::BITS - 1);
    /// Plus infinity.
    const INF: u64 = ((1 << Self::EXP) - 1) << Self::FRAC;
    /// The bit of a NaN that makes it quiet.
    const QUIET: u64 = 1 << (Self::FRAC - 1);
    /// The largest finite number.
    const MAX_NORMAL: u64 = Self::INF - 1;
    /// The default NaN.
    const DEFAULT_NAN: u64 = Self::INF | Self::QUIET;
    /// All bits of an element.
    const ONES: u64 = u64::MAX >> (64 - Self::BITS);
    /// One.
    const ONE: u64 = (Self::BIAS as u64) << Self::FRAC;
    /// Two.
    const TWO: u64 = (Self::BIAS as u64 + 1) << Self::FRAC;
    /// One and a half.
    const ONE_AND_HALF: u64 = Self::ONE | Self::QUIET;

    /// True if FPCR flushes denormals of this format.
    #[inline]
    fn flushes(env: &FpEnv) -> bool {
        env.is(Self::FLUSH)
    }

    /// a + b.
    #[inline]
    fn add(env: &mut FpEnv, a: u64, b: u64) -> u64 {
        soft_arith::add::<Self>(env, a, b)
    }
    /// a - b.
    #[inline]
    fn sub(env: &mut FpEnv, a: u64, b: u64) -> u64 {
        soft_arith::sub::<Self>(env, a, b)
    }
    /// a * b.
    #[inline]
    fn mul(env: &mut FpEnv, a: u64, b: u64) -> u64 {
        soft_arith::mul::<Self>(env, a, b)
    }
    /// a / b.
    #[inline]
    fn div(env: &mut FpEnv, a: u64, b: u64) -> u64 {
        soft_arith::div::<Self>(env, a, b)
    }
    /// The square root.
    #[inline]
    fn sqrt(env: &mut FpEnv, a: u64) -> u64 {
        soft_arith::sqrt::<Self>(env, a)
    }
    /// addend + a * b with one rounding.
    #[inline]
    fn mul_add(env: &mut FpEnv, addend: u64, a: u64, b: u64) -> u64 {
        soft_arith::mul_add::<Self>(env, addend, a, b)
    }
    /// The order of two numbers, if it is known without raising anything or looking at FPCR: neither is a NaN or flushed.
    #[inline]
    fn plain_order(_: &FpEnv, _: u64, _: u64) -> Option<Ordering> {
        None
    }
    /// To an integral value; `exact` raises IXC if it changes.
    #[inline]
    fn round_int(env: &mut FpEnv, a: u64, mode: Rounding, exact: bool) -> u64 {
        soft_convert::round_int::<Self>(env, a, mode, exact)
    }
    /// To an integer of `bits` bits after multiplication by 2^fbits, saturating.
    #[inline]
    fn to_int(env: &mut FpEnv, a: u64, spec: IntSpec, mode: Rounding) -> u64 {
        soft_convert::to_int::<Self>(env, a, spec, mode)
    }
    /// From an integer divided by 2^fbits.
    #[inline]
    fn from_int(env: &mut FpEnv, a: u64, spec: IntSpec) -> u64 {
        soft_convert::from_int::<Self>(env, a, spec)
    }
}

/// A fixed-point format: an integer of some width divided by a power of two.
#[derive(Clone, Copy)]
pub(super) struct IntSpec {
    /// Width: 16, 32 or 64.
    pub(super) bits: u32,
    /// Two's complement.
    pub(super) signed: bool,
    /// Fraction bits.
    pub(super) fbits: u32,
}

/// Half precision.
#[derive(Clone, Copy)]
pub(super) struct F16;
/// Single precision.
#[derive(Clone, Copy)]
pub(super) struct F32;
/// Double precision.
#[derive(Clone, Copy)]
pub(super) struct F64;
/// BFloat16.
#[derive(Clone, Copy)]
pub(super) struct Bf16;

impl Format for F16 {
    const FRAC: u32 = 10;
    const EXP: u32 = 5;
    const FLUSH: u32 = fpcr::FZ16;
    const FLUSH_RAISES: bool = false;
}

impl Format for Bf16 {
    const FRAC: u32 = 7;
    const EXP: u32 = 8;
    const FLUSH: u32 = fpcr::FZ;
    const FLUSH_RAISES: bool = true;
}
