//! Single and double precision on the host's FPU, where that provably gives Arm's result and flags.
//!
//! The host rounds to nearest even, so nothing here applies in another mode. Of the flags only IXC can be raised by what
//! stays on this path; it is known without looking if it is set already, else the result is kept only if it is exact by
//! a test that costs less than the exact function. Everything else (NaNs, infinities, denormals, results near the
//! smallest normal number, where the two architectures differ about tininess) goes to the exact function.

use std::cmp::Ordering;

use super::format::{F32, F64, Format, IntSpec};
use super::{FpEnv, Rounding, fpcr, fpsr, soft_arith, soft_compare, soft_convert};

/// FPCR rounds to nearest even.
#[inline(always)]
fn nearest(env: &FpEnv) -> bool {
    env.fpcr & fpcr::RMODE == 0
}

/// IXC is set: whether a result is exact need not be known.
#[inline(always)]
fn inexact_known(env: &FpEnv) -> bool {
    env.fpsr & fpsr::IXC != 0
}

/// Significant bits of a normal number: from the implicit one to the last one of the fraction.
#[inline(always)]
fn width<F: Format>(v: u64) -> u32 {
    F::FRAC + 1 - (v | 1 << F::FRAC).trailing_zeros()
}

/// True if the product of two numbers of these significands has few enough bits to be exact in the format.
#[inline(always)]
fn product_fits<F: Format>(a: u64, b: u64) -> bool {
    width::<F>(a) + width::<F>(b) <= F::FRAC + 1
}

macro_rules! host_format {
    ($format:ident, $float:ty, $bits:ty, $frac:literal, $exp:literal) => {
        impl $format {
            #[inline(always)]
            fn host(v: u64) -> $float {
                <$float>::from_bits(v as $bits)
            }
            /// The result lies above the smallest normal number: neither it nor (for sums and products) an operand is
            /// infinite or NaN, and there was no underflow.
            #[inline(always)]
            fn ordinary(r: $float) -> bool {
                r.is_finite() && r.abs() > <$float>::MIN_POSITIVE
            }
            /// Operands are read as they are: none is a denormal that FPCR.FZ makes zero.
            #[inline(always)]
            fn unflushed(env: &FpEnv, ops: &[u64]) -> bool {
                !env.is(fpcr::FZ) || ops.iter().all(|v| v & Self::INF != 0 || v & !Self::SIGN == 0)
            }
            #[inline(always)]
            fn bits(r: $float) -> u64 {
                u64::from(r.to_bits())
            }
            /// A finite number rounded to an integral value. (The library's functions are calls without SSE4.1.)
            #[inline(always)]
            fn integral(x: $float, mode: Rounding) -> $float {
                const WHOLE: $float = (1u64 << $frac) as $float;
                if x.abs() >= WHOLE {
                    return x;
                }
                let t = x as i64 as $float;
                let r = match mode {
                    // The sum has no fraction bits left, so the host rounds it to an integer.
                    Rounding::TieEven => (x.abs() + WHOLE) - WHOLE,
                    Rounding::TieAway if (x - t).abs() >= 0.5 => t.abs() + 1.0,
                    Rounding::PlusInf if t < x => t + 1.0,
                    Rounding::MinusInf if t > x => t - 1.0,
                    _ => t,
                };
                r.copysign(x)
            }
            /// The rounding error of a + b is zero (Knuth's two-sum).
            #[inline(always)]
            fn sum_exact(a: $float, b: $float, r: $float) -> bool {
                let bb = r - a;
                (a - (r - bb)) + (b - bb) == 0.0
            }
        }

        impl Format for $format {
            const FRAC: u32 = $frac;
            const EXP: u32 = $exp;
            const FLUSH: u32 = fpcr::FZ;
            const FLUSH_RAISES: bool = true;

            #[inline]
            fn add(env: &mut FpEnv, a: u64, b: u64) -> u64 {
                if nearest(env) && Self::unflushed(env, &[a, b]) {
                    let (x, y) = (Self::host(a), Self::host(b));
                    let r = x + y;
                    // A sum that is zero is exact.
                    if (Self::ordinary(r) || r == 0.0) && (inexact_known(env) || Self::sum_exact(x, y, r)) {
                        return Self::bits(r);
                    }
                }
                soft_arith::add::<Self>(env, a, b)
            }
            #[inline]
            fn sub(env: &mut FpEnv, a: u64, b: u64) -> u64 {
                if nearest(env) && Self::unflushed(env, &[a, b]) {
                    let (x, y) = (Self::host(a), Self::host(b));
                    let r = x - y;
                    if (Self::ordinary(r) || r == 0.0) && (inexact_known(env) || Self::sum_exact(x, -y, r)) {
                        return Self::bits(r);
                    }
                }
                soft_arith::sub::<Self>(env, a, b)
            }
            #[inline]
            fn mul(env: &mut FpEnv, a: u64, b: u64) -> u64 {
                if nearest(env) && Self::unflushed(env, &[a, b]) {
                    let (x, y) = (Self::host(a), Self::host(b));
                    let r = x * y;
                    // A factor of zero makes an exact zero unless the other is a NaN or infinite.
                    let zero = r == 0.0 && (x == 0.0 || y == 0.0);
                    if zero || Self::ordinary(r) && (inexact_known(env) || product_fits::<Self>(a, b)) {
                        return Self::bits(r);
                    }
                }
                soft_arith::mul::<Self>(env, a, b)
            }
            #[inline]
            fn div(env: &mut FpEnv, a: u64, b: u64) -> u64 {
                if nearest(env) && Self::unflushed(env, &[a, b]) {
                    let (x, y) = (Self::host(a), Self::host(b));
                    let r = x / y;
                    let exact = || x.is_normal() && product_fits::<Self>(Self::bits(r), b) && r * y == x;
                    if Self::ordinary(r) && (inexact_known(env) || exact()) {
                        return Self::bits(r);
                    }
                }
                soft_arith::div::<Self>(env, a, b)
            }
            #[inline]
            fn sqrt(env: &mut FpEnv, a: u64) -> u64 {
                if nearest(env) && Self::unflushed(env, &[a]) {
                    let x = Self::host(a);
                    let r = x.sqrt();
                    let bits = Self::bits(r);
                    let exact = || x.is_normal() && product_fits::<Self>(bits, bits) && r * r == x;
                    if Self::ordinary(r) && (inexact_known(env) || exact()) {
                        return bits;
                    }
                }
                soft_arith::sqrt::<Self>(env, a)
            }
            #[inline]
            fn mul_add(env: &mut FpEnv, addend: u64, a: u64, b: u64) -> u64 {
                if nearest(env) && inexact_known(env) && Self::unflushed(env, &[addend, a, b]) {
                    let r = Self::host(a).mul_add(Self::host(b), Self::host(addend));
                    if Self::ordinary(r) {
                        return Self::bits(r);
                    }
                }
                soft_arith::mul_add::<Self>(env, addend, a, b)
            }
            #[inline]
            fn plain_order(env: &FpEnv, a: u64, b: u64) -> Option<Ordering> {
                if Self::unflushed(env, &[a, b]) { Self::host(a).partial_cmp(&Self::host(b)) } else { None }
            }
            #[inline]
            fn round_int(env: &mut FpEnv, a: u64, mode: Rounding, exact: bool) -> u64 {
                let x = Self::host(a);
                if x.is_finite() && Self::unflushed(env, &[a]) {
                    let r = Self::integral(x, mode);
                    if !exact || inexact_known(env) || r == x {
                        return Self::bits(r);
                    }
                }
                soft_convert::round_int::<Self>(env, a, mode, exact)
            }
            #[inline]
            fn to_int(env: &mut FpEnv, a: u64, spec: IntSpec, mode: Rounding) -> u64 {
                if mode == Rounding::Zero && spec.fbits == 0 && spec.bits >= 32 && Self::unflushed(env, &[a])
                {
                    let x = Self::host(a);
                    // In range with room to spare, whatever the signedness.
                    let limit = (1u64 << (spec.bits - 2)) as $float;
                    let low = if spec.signed { -limit } else { 0.0 };
                    let r = x as i64;
                    if x >= low && x < limit && (inexact_known(env) || r as $float == x) {
                        return r as u64 & (u64::MAX >> (64 - spec.bits));
                    }
                }
                soft_convert::to_int::<Self>(env, a, spec, mode)
            }
            #[inline]
            fn from_int(env: &mut FpEnv, a: u64, spec: IntSpec) -> u64 {
                if nearest(env) && spec.fbits == 0 {
                    let shift = 64 - spec.bits;
                    let v =
                        if spec.signed { (a << shift) as i64 >> shift } else { (a << shift >> shift) as i64 };
                    let small = v.unsigned_abs() < 1 << ($frac + 1);
                    if (spec.signed || v >= 0) && (small || inexact_known(env)) {
                        return Self::bits(v as $float);
                    }
                }
                soft_convert::from_int::<Self>(env, a, spec)
            }
        }
    };
}

host_format!(F32, f32, u32, 23, 8);
host_format!(F64, f64, u64, 52, 11);

/// An element of all ones if true.
#[inline(always)]
fn mask<F: Format>(yes: bool) -> u64 {
    if yes { F::ONES } else { 0 }
}

/// FPCompare: N, Z, C, V in bits 31:28.
#[inline]
pub(super) fn compare<F: Format>(env: &mut FpEnv, a: u64, b: u64, signalling: bool) -> u32 {
    match F::plain_order(env, a, b) {
        None => soft_compare::compare::<F>(env, a, b, signalling),
        order => soft_compare::nzcv(order),
    }
}

/// FPCompareEQ.
#[inline]
pub(super) fn eq<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    match F::plain_order(env, a, b) {
        Some(order) => mask::<F>(order == Ordering::Equal),
        None => soft_compare::eq::<F>(env, a, b),
    }
}

/// FPCompareGE.
#[inline]
pub(super) fn ge<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    match F::plain_order(env, a, b) {
        Some(order) => mask::<F>(order != Ordering::Less),
        None => soft_compare::ge::<F>(env, a, b),
    }
}

/// FPCompareGT.
#[inline]
pub(super) fn gt<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    match F::plain_order(env, a, b) {
        Some(order) => mask::<F>(order == Ordering::Greater),
        None => soft_compare::gt::<F>(env, a, b),
    }
}

/// FPMax, or with `min` FPMin. (Equal numbers may be zeros of unlike signs.)
#[inline]
pub(super) fn max_min<F: Format>(env: &mut FpEnv, a: u64, b: u64, min: bool) -> u64 {
    match F::plain_order(env, a, b) {
        Some(Ordering::Less) => {
            if min {
                a
            } else {
                b
            }
        }
        Some(Ordering::Greater) => {
            if min {
                b
            } else {
                a
            }
        }
        _ => soft_compare::max_min::<F>(env, a, b, min),
    }
}

/// FPMaxNum, or with `min` FPMinNum.
#[inline]
pub(super) fn max_min_num<F: Format>(env: &mut FpEnv, a: u64, b: u64, min: bool) -> u64 {
    match F::plain_order(env, a, b) {
        Some(Ordering::Less) => {
            if min {
                a
            } else {
                b
            }
        }
        Some(Ordering::Greater) => {
            if min {
                b
            } else {
                a
            }
        }
        _ => soft_compare::max_min_num::<F>(env, a, b, min),
    }
}

/// FPConvert from single to double precision.
#[inline]
pub(super) fn single_to_double(env: &mut FpEnv, v: u64) -> u64 {
    let x = F32::host(v);
    if x.is_normal() {
        return f64::from(x).to_bits();
    }
    let mode = env.rounding();
    soft_convert::convert::<F32, F64>(env, v, mode)
}

/// FPConvert from double to single precision.
#[inline]
pub(super) fn double_to_single(env: &mut FpEnv, v: u64) -> u64 {
    let x = F64::host(v);
    let r = x as f32;
    if nearest(env) && F32::ordinary(r) && (inexact_known(env) || f64::from(r) == x) {
        return F32::bits(r);
    }
    let mode = env.rounding();
    soft_convert::convert::<F64, F32>(env, v, mode)
}
