//! Exact arithmetic on one element: FPAdd, FPSub, FPMul, FPMulX, FPDiv, FPSqrt, FPMulAdd and their step forms.

use super::format::{F16, F32, Format};
use super::soft::{
    Class, Num, Parts, invalid, process_nan, process_nans, round, round_sum, signed, sum, unpack,
};
use super::soft_convert::convert_nan;
use super::{FpEnv, Rounding, fpsr};

/// FPNeg.
#[inline]
pub(super) fn neg<F: Format>(v: u64) -> u64 {
    v ^ F::SIGN
}

/// FPAbs.
#[inline]
pub(super) fn abs<F: Format>(v: u64) -> u64 {
    v & !F::SIGN
}

/// FPAdd.
#[inline(never)]
pub(super) fn add<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let mode = env.rounding();
    add_with::<F>(env, a, b, mode)
}

/// FPAdd with a rounding mode given.
#[inline(never)]
pub(super) fn add_with<F: Format>(env: &mut FpEnv, a: u64, b: u64, mode: Rounding) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    match process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        Some(nan) => nan,
        None => add_nums::<F>(env, x, y, mode),
    }
}

/// FPSub. (Not FPAdd of the negation: a NaN operand keeps its sign.)
#[inline(never)]
pub(super) fn sub<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    match process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        Some(nan) => nan,
        None => {
            let mode = env.rounding();
            add_nums::<F>(env, x, Num { sign: !y.sign, ..y }, mode)
        }
    }
}

fn add_nums<F: Format>(env: &mut FpEnv, x: Num, y: Num, mode: Rounding) -> u64 {
    match (x.is_inf(), y.is_inf()) {
        (true, true) if x.sign != y.sign => invalid::<F>(env),
        (true, _) => signed::<F>(x.sign, F::INF),
        (_, true) => signed::<F>(y.sign, F::INF),
        _ if x.is_zero() && y.is_zero() && x.sign == y.sign => signed::<F>(x.sign, 0),
        _ => round_sum::<F>(env, sum(x.parts(), y.parts()), mode),
    }
}

/// FPMul.
#[inline(never)]
pub(super) fn mul<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let mode = env.rounding();
    mul_with::<F>(env, a, b, mode)
}

/// FPMul with a rounding mode given.
#[inline(never)]
pub(super) fn mul_with<F: Format>(env: &mut FpEnv, a: u64, b: u64, mode: Rounding) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if let Some(nan) = process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        return nan;
    }
    if x.inf_times_zero(y) { invalid::<F>(env) } else { product::<F>(env, x, y, mode) }
}

/// FPMulX: infinity times zero is two.
#[inline(never)]
pub(super) fn mulx<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if let Some(nan) = process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        return nan;
    }
    if x.inf_times_zero(y) {
        return signed::<F>(x.sign != y.sign, F::TWO);
    }
    let mode = env.rounding();
    product::<F>(env, x, y, mode)
}

/// The product of numbers that are not NaN and not infinity and zero.
fn product<F: Format>(env: &mut FpEnv, x: Num, y: Num, mode: Rounding) -> u64 {
    let sign = x.sign != y.sign;
    if x.is_inf() || y.is_inf() {
        signed::<F>(sign, F::INF)
    } else if x.is_zero() || y.is_zero() {
        signed::<F>(sign, 0)
    } else {
        round::<F>(env, x.times(y), mode)
    }
}

/// FPDiv.
#[inline(never)]
pub(super) fn div<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if let Some(nan) = process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        return nan;
    }
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_inf() || x.is_zero() && y.is_zero() {
        return invalid::<F>(env);
    }
    if x.is_inf() || y.is_zero() {
        if !x.is_inf() {
            env.raise(fpsr::DZC);
        }
        return signed::<F>(sign, F::INF);
    }
    if x.is_zero() || y.is_inf() {
        return signed::<F>(sign, 0);
    }
    // At least 62 bits of quotient: both significands have their leading one in bit 63.
    let (nx, ny) = (x.sig.leading_zeros(), y.sig.leading_zeros());
    let (num, den) = (u128::from(x.sig << nx) << 63, u128::from(y.sig << ny));
    let sig = (num / den) << 1 | u128::from(num % den != 0);
    let exp = (x.exp - nx as i32) - (y.exp - ny as i32) - 64;
    let mode = env.rounding();
    round::<F>(env, Parts { sign, exp, sig }, mode)
}

/// FPSqrt.
#[inline(never)]
pub(super) fn sqrt<F: Format>(env: &mut FpEnv, a: u64) -> u64 {
    let x = unpack::<F>(env, a);
    match x.class {
        Class::QNaN | Class::SNaN => return process_nan::<F>(env, x.class, a),
        Class::Zero => return signed::<F>(x.sign, 0),
        _ if x.sign => return invalid::<F>(env),
        Class::Infinity => return F::INF,
        Class::Finite => {}
    }
    // An even exponent and a radicand of 125 to 127 bits: a root of 63 or 64 bits.
    let mut shift = u128::from(x.sig).leading_zeros() - 1;
    if (x.exp - shift as i32) % 2 != 0 {
        shift -= 1;
    }
    let radicand = u128::from(x.sig) << shift;
    let root = radicand.isqrt();
    let sig = root << 1 | u128::from(root * root != radicand);
    let mode = env.rounding();
    round::<F>(env, Parts { sign: false, exp: (x.exp - shift as i32) / 2 - 1, sig }, mode)
}

/// FPMulAdd: addend + a * b with one rounding.
#[inline(never)]
pub(super) fn mul_add<F: Format>(env: &mut FpEnv, addend: u64, a: u64, b: u64) -> u64 {
    let z = unpack::<F>(env, addend);
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    let nan = process_nans::<F, 3>(env, [(z, addend), (x, a), (y, b)]);
    mul_add_nums::<F>(env, nan, z, x, y)
}

/// FPMulAddH: single-precision addend, half-precision factors (FMLAL, FMLSL).
#[inline(never)]
pub(super) fn mul_add_half(env: &mut FpEnv, addend: u64, a: u64, b: u64) -> u64 {
    let z = unpack::<F32>(env, addend);
    let (x, y) = (unpack::<F16>(env, a), unpack::<F16>(env, b));
    let nan = if z.is_nan() || x.is_nan() || y.is_nan() {
        // A half-precision NaN is widened first: the choice among the three is the same.
        let wide = |n: Num, v| if n.is_nan() { convert_nan::<F16, F32>(v) } else { 0 };
        process_nans::<F32, 3>(env, [(z, addend), (x, wide(x, a)), (y, wide(y, b))])
    } else {
        None
    };
    mul_add_nums::<F32>(env, nan, z, x, y)
}

fn mul_add_nums<F: Format>(env: &mut FpEnv, nan: Option<u64>, z: Num, x: Num, y: Num) -> u64 {
    if z.class == Class::QNaN && x.inf_times_zero(y) {
        return invalid::<F>(env);
    }
    if let Some(nan) = nan {
        return nan;
    }
    let psign = x.sign != y.sign;
    let pinf = x.is_inf() || y.is_inf();
    if x.inf_times_zero(y) || z.is_inf() && pinf && z.sign != psign {
        return invalid::<F>(env);
    }
    if z.is_inf() {
        return signed::<F>(z.sign, F::INF);
    }
    if pinf {
        return signed::<F>(psign, F::INF);
    }
    if z.is_zero() && (x.is_zero() || y.is_zero()) && z.sign == psign {
        return signed::<F>(psign, 0);
    }
    let mode = env.rounding();
    round_sum::<F>(env, sum(z.parts(), x.times(y)), mode)
}

/// FPRecipStepFused: 2 - a * b.
#[inline(never)]
pub(super) fn recip_step<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    step::<F>(env, a, b, F::TWO, Parts { sign: false, exp: 1, sig: 1 }, 0)
}

/// FPRSqrtStepFused: (3 - a * b) / 2.
#[inline(never)]
pub(super) fn rsqrt_step<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    step::<F>(env, a, b, F::ONE_AND_HALF, Parts { sign: false, exp: 0, sig: 3 }, -1)
}

/// (base - a * b) * 2^scale; `undefined` is the result for infinity times zero.
fn step<F: Format>(env: &mut FpEnv, a: u64, b: u64, undefined: u64, base: Parts, scale: i32) -> u64 {
    let a = neg::<F>(a);
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if let Some(nan) = process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        return nan;
    }
    if x.inf_times_zero(y) {
        return undefined;
    }
    if x.is_inf() || y.is_inf() {
        return signed::<F>(x.sign != y.sign, F::INF);
    }
    let s = sum(base, x.times(y));
    let mode = env.rounding();
    round_sum::<F>(env, Parts { exp: s.exp + scale, ..s }, mode)
}
