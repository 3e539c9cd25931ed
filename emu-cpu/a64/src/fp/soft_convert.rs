//! Exact conversions of one element: FPConvert, FPConvertBF, FPToFixed, FPToFixedJS, FixedToFP, FPRoundInt, FPRoundIntN.

use super::format::{Bf16, F32, F64, Format, IntSpec};
use super::soft::{
    Class, Num, Parts, Rest, Rules, process_nan, round, round_with, signed, split, unpack, unpack_with,
};
use super::{FpEnv, Rounding, fpcr, fpsr};

/// FPConvertNaN: the top bits of the fraction are kept.
pub(super) fn convert_nan<A: Format, B: Format>(v: u64) -> u64 {
    let frac = (v & (A::QUIET - 1)) << (52 - A::FRAC);
    signed::<B>(v & A::SIGN != 0, B::DEFAULT_NAN | frac >> (52 - B::FRAC))
}

/// FPConvert, where neither FZ16 nor (but for half precision) AHP has an effect.
#[inline(never)]
pub(super) fn convert<A: Format, B: Format>(env: &mut FpEnv, v: u64, mode: Rounding) -> u64 {
    let ahp = env.is(fpcr::AHP);
    let (from_half, to_half) = (A::BITS == 16, B::BITS == 16);
    let rules_a = Rules { flush: !from_half && A::flushes(env), alt_half: from_half && ahp };
    let rules_b = Rules { flush: !to_half && B::flushes(env), alt_half: to_half && ahp };
    let x = unpack_with::<A>(env, v, rules_a);
    match x.class {
        Class::QNaN | Class::SNaN => {
            if x.class == Class::SNaN || rules_b.alt_half {
                env.raise(fpsr::IOC);
            }
            if rules_b.alt_half {
                signed::<B>(x.sign, 0)
            } else if env.is(fpcr::DN) {
                B::DEFAULT_NAN
            } else {
                convert_nan::<A, B>(v)
            }
        }
        Class::Infinity if rules_b.alt_half => {
            env.raise(fpsr::IOC);
            signed::<B>(x.sign, B::SIGN - 1)
        }
        Class::Infinity => signed::<B>(x.sign, B::INF),
        Class::Zero => signed::<B>(x.sign, 0),
        Class::Finite => round_with::<B>(env, x.parts(), mode, rules_b),
    }
}

/// FPConvertBF: single precision to BFloat16.
#[inline(never)]
pub(super) fn convert_bf(env: &mut FpEnv, v: u64) -> u64 {
    let x = unpack::<F32>(env, v);
    match x.class {
        Class::QNaN | Class::SNaN => {
            if x.class == Class::SNaN {
                env.raise(fpsr::IOC);
            }
            if env.is(fpcr::DN) { Bf16::DEFAULT_NAN } else { (v | F32::QUIET) >> 16 }
        }
        Class::Infinity | Class::Zero => signed::<Bf16>(x.sign, if x.is_inf() { Bf16::INF } else { 0 }),
        Class::Finite => {
            let mode = env.rounding();
            round::<Bf16>(env, x.parts(), mode)
        }
    }
}

/// A finite number rounded to an integer: its magnitude, saturated to 2^100, and whether it was exact.
fn integral(x: Num, fbits: u32, mode: Rounding) -> (u128, bool) {
    let exp = x.exp + fbits as i32;
    if x.sig == 0 {
        return (0, true);
    }
    if exp >= 0 {
        let n = exp.unsigned_abs();
        let fits = 64 - x.sig.leading_zeros() + n <= 100;
        return (if fits { u128::from(x.sig) << n } else { 1 << 100 }, true);
    }
    let (kept, rest) = split(u128::from(x.sig), exp.unsigned_abs());
    let up = match mode {
        Rounding::TieEven => rest == Rest::Above || rest == Rest::Half && kept & 1 != 0,
        Rounding::TieAway => rest == Rest::Above || rest == Rest::Half,
        Rounding::PlusInf => rest != Rest::Exact && !x.sign,
        Rounding::MinusInf => rest != Rest::Exact && x.sign,
        Rounding::Zero | Rounding::Odd | Rounding::OddInf => false,
    };
    (u128::from(kept) + u128::from(up), rest == Rest::Exact)
}

/// FPToFixed.
#[inline(never)]
pub(super) fn to_int<F: Format>(env: &mut FpEnv, v: u64, spec: IntSpec, mode: Rounding) -> u64 {
    let x = unpack::<F>(env, v);
    let (magnitude, exact) = match x.class {
        Class::QNaN | Class::SNaN => {
            env.raise(fpsr::IOC);
            return 0;
        }
        Class::Infinity => (1 << 100, true),
        _ => integral(x, spec.fbits, mode),
    };
    let value = if x.sign { -(magnitude as i128) } else { magnitude as i128 };
    let (min, max) = if spec.signed {
        (-(1i128 << (spec.bits - 1)), (1i128 << (spec.bits - 1)) - 1)
    } else {
        (0, (1i128 << spec.bits) - 1)
    };
    let clamped = value.clamp(min, max);
    if clamped != value {
        env.raise(fpsr::IOC);
    } else if !exact {
        env.raise(fpsr::IXC);
    }
    clamped as u64 & (u64::MAX >> (64 - spec.bits))
}

/// FPToFixedJS: the integer modulo 2^32 in the low word, and N, Z, C, V (Z if it was exact) in the next.
#[inline(never)]
pub(super) fn to_int_js(env: &mut FpEnv, v: u64) -> u64 {
    let x = unpack::<F64>(env, v);
    let (int, z) = match x.class {
        Class::QNaN | Class::SNaN | Class::Infinity => {
            env.raise(fpsr::IOC);
            (0, false)
        }
        // Minus zero and a flushed denormal are not exact, though they raise nothing more.
        Class::Zero => (0, v == 0),
        Class::Finite => {
            // Multiples of 2^32 have the low word 0; only what is below 2^85 can have another.
            let (magnitude, exact) = integral(x, 0, Rounding::Zero);
            let low = magnitude as u32;
            let int = if x.sign { low.wrapping_neg() } else { low };
            let limit = if x.sign { 1 << 31 } else { (1 << 31) - 1 };
            if magnitude > limit {
                env.raise(fpsr::IOC);
            } else if !exact {
                env.raise(fpsr::IXC);
            }
            (int, magnitude <= limit && exact)
        }
    };
    u64::from(int) | u64::from(z) << 62
}

/// FixedToFP, rounding as FPCR says.
#[inline(never)]
pub(super) fn from_int<F: Format>(env: &mut FpEnv, v: u64, spec: IntSpec) -> u64 {
    let shift = 64 - spec.bits;
    let (sign, magnitude) = if spec.signed {
        let v = (v << shift) as i64 >> shift;
        (v < 0, v.unsigned_abs())
    } else {
        (false, v << shift >> shift)
    };
    if magnitude == 0 {
        return 0;
    }
    let mode = env.rounding();
    round::<F>(env, Parts { sign, exp: -(spec.fbits as i32), sig: u128::from(magnitude) }, mode)
}

/// FPRoundInt: to an integer in the same format; `exact` raises IXC if it changes.
#[inline(never)]
pub(super) fn round_int<F: Format>(env: &mut FpEnv, v: u64, mode: Rounding, exact: bool) -> u64 {
    let x = unpack::<F>(env, v);
    match x.class {
        Class::QNaN | Class::SNaN => process_nan::<F>(env, x.class, v),
        Class::Zero => signed::<F>(x.sign, 0),
        _ if x.exp >= 0 => v,
        Class::Infinity => v,
        Class::Finite => {
            let (magnitude, same) = integral(x, 0, mode);
            if exact && !same {
                env.raise(fpsr::IXC);
            }
            from_magnitude::<F>(env, x.sign, magnitude)
        }
    }
}

/// FPRoundIntN: as FPRoundInt, but what does not fit a signed integer of `bits` bits becomes its minimum.
#[inline(never)]
pub(super) fn round_int_n<F: Format>(env: &mut FpEnv, v: u64, mode: Rounding, bits: u32) -> u64 {
    let x = unpack::<F>(env, v);
    let (magnitude, exact) = match x.class {
        Class::Finite => integral(x, 0, mode),
        Class::Zero => return signed::<F>(x.sign, 0),
        _ => (1 << 100, true),
    };
    let limit = (1u128 << (bits - 1)) - u128::from(!x.sign);
    if magnitude > limit {
        env.raise(fpsr::IOC);
        return F::SIGN | ((F::BIAS as u64 + u64::from(bits) - 1) << F::FRAC);
    }
    if !exact {
        env.raise(fpsr::IXC);
    }
    from_magnitude::<F>(env, x.sign, magnitude)
}

/// An integer that is known to be representable.
fn from_magnitude<F: Format>(env: &mut FpEnv, sign: bool, sig: u128) -> u64 {
    if sig == 0 { signed::<F>(sign, 0) } else { round::<F>(env, Parts { sign, exp: 0, sig }, Rounding::Zero) }
}
