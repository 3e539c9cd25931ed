//! Estimates of one element: FPRecipEstimate, FPRSqrtEstimate, FPRecpX, UnsignedRecipEstimate, UnsignedRSqrtEstimate.

use super::format::Format;
use super::soft::{Class, process_nan, signed, unpack};
use super::{FpEnv, Rounding, fpsr};

/// RecipEstimate: 9 bits for 1 / a, a of 9 bits with its top bit set.
const fn recip(a: u64) -> u64 {
    ((1 << 19) / (a * 2 + 1)).div_ceil(2)
}

/// RecipSqrtEstimate: 9 bits for 1 / sqrt(a), a from 128 to 511.
const fn recip_sqrt(a: u64) -> u64 {
    let a = if a < 256 { a * 2 + 1 } else { ((a & !1) + 1) * 2 };
    // The largest b with a * b^2 < 2^28.
    (((1u64 << 28) - 1) / a).isqrt().div_ceil(2)
}

/// FPRecipEstimate.
#[inline(never)]
pub(super) fn recip_estimate<F: Format>(env: &mut FpEnv, v: u64) -> u64 {
    let x = unpack::<F>(env, v);
    match x.class {
        Class::QNaN | Class::SNaN => return process_nan::<F>(env, x.class, v),
        Class::Infinity => return signed::<F>(x.sign, 0),
        Class::Zero => {
            env.raise(fpsr::DZC);
            return signed::<F>(x.sign, F::INF);
        }
        Class::Finite => {}
    }
    let exponent = x.exp + 63 - x.sig.leading_zeros() as i32;
    // Below a quarter of the smallest normal number the reciprocal overflows.
    if exponent < F::EMIN - 2 {
        env.raise(fpsr::OFC | fpsr::IXC);
        let to_inf = match env.rounding() {
            Rounding::PlusInf => !x.sign,
            Rounding::MinusInf => x.sign,
            Rounding::Zero => false,
            _ => true,
        };
        return signed::<F>(x.sign, if to_inf { F::INF } else { F::MAX_NORMAL });
    }
    if F::flushes(env) && exponent >= F::BIAS - 1 {
        env.raise(fpsr::UFC);
        return signed::<F>(x.sign, 0);
    }
    // 1 / (1.f * 2^e) is in (2^(-e-1), 2^-e]; the estimate has its leading one at bit 8 and weight 2^(-e-1).
    let scaled = x.sig << x.sig.leading_zeros() >> 55;
    let estimate = recip(scaled);
    let result_exp = -exponent - 1 + F::BIAS;
    let frac = (estimate & 0xff) << 44;
    let (field, frac) = match result_exp {
        0 => (0, 1 << 51 | frac >> 1),
        -1 => (0, 1 << 50 | frac >> 2),
        e => (e as u64, frac),
    };
    signed::<F>(x.sign, field << F::FRAC | frac >> (52 - F::FRAC))
}

/// FPRSqrtEstimate.
#[inline(never)]
pub(super) fn rsqrt_estimate<F: Format>(env: &mut FpEnv, v: u64) -> u64 {
    let x = unpack::<F>(env, v);
    match x.class {
        Class::QNaN | Class::SNaN => return process_nan::<F>(env, x.class, v),
        Class::Zero => {
            env.raise(fpsr::DZC);
            return signed::<F>(x.sign, F::INF);
        }
        _ if x.sign => {
            env.raise(fpsr::IOC);
            return F::DEFAULT_NAN;
        }
        Class::Infinity => return 0,
        Class::Finite => {}
    }
    let exponent = x.exp + 63 - x.sig.leading_zeros() as i32;
    let biased = exponent + F::BIAS;
    let top = x.sig << x.sig.leading_zeros();
    let scaled = if biased & 1 == 0 { top >> 55 } else { top >> 56 };
    let field = (3 * F::BIAS - 1 - biased).div_euclid(2) as u64;
    let frac = recip_sqrt(scaled) & 0xff;
    field << F::FRAC | frac << (F::FRAC - 8)
}

/// FPRecpX: a power of two near the reciprocal.
#[inline(never)]
pub(super) fn recpx<F: Format>(env: &mut FpEnv, v: u64) -> u64 {
    let x = unpack::<F>(env, v);
    if x.is_nan() {
        return process_nan::<F>(env, x.class, v);
    }
    let exp = v & F::INF;
    let max_exp = F::INF - (1 << F::FRAC);
    signed::<F>(x.sign, if exp == 0 { max_exp } else { exp ^ F::INF })
}

/// UnsignedRecipEstimate, 32 bits (URECPE).
pub(super) fn unsigned_recip(v: u64) -> u64 {
    if v >> 31 & 1 == 0 { 0xffff_ffff } else { recip(v >> 23 & 0x1ff) << 23 }
}

/// UnsignedRSqrtEstimate, 32 bits (URSQRTE).
pub(super) fn unsigned_rsqrt(v: u64) -> u64 {
    if v >> 30 & 3 == 0 { 0xffff_ffff } else { recip_sqrt(v >> 23 & 0x1ff) << 23 }
}
