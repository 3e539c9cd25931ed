//! Exact comparisons and choices of one element: FPCompare, FPCompareEQ/GE/GT, FPMax, FPMin and their number forms.

use std::cmp::Ordering;

use super::format::Format;
use super::soft::{Class, Num, process_nans, signed, unpack};
use super::{FpEnv, fpsr};

/// The order of two numbers, None if one is a NaN.
fn order(x: Num, y: Num) -> Option<Ordering> {
    if x.is_nan() || y.is_nan() {
        return None;
    }
    if x.is_zero() && y.is_zero() {
        return Some(Ordering::Equal);
    }
    if x.sign != y.sign {
        return Some(if x.sign { Ordering::Less } else { Ordering::Greater });
    }
    // Significands are not normalised, but a denormal's is smaller than that of a normal of the same exponent.
    let key = |n: Num| (n.is_inf(), !n.is_zero(), n.exp, n.sig);
    let magnitudes = key(x).cmp(&key(y));
    Some(if x.sign { magnitudes.reverse() } else { magnitudes })
}

/// Compares; NaNs raise IOC if signalling, or always if `all` is set.
fn compare_order<F: Format>(env: &mut FpEnv, a: u64, b: u64, all: bool) -> Option<Ordering> {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    let order = order(x, y);
    if order.is_none() && (all || x.class == Class::SNaN || y.class == Class::SNaN) {
        env.raise(fpsr::IOC);
    }
    order
}

/// N, Z, C, V of an order.
pub(super) const fn nzcv(order: Option<Ordering>) -> u32 {
    match order {
        None => 0b0011 << 28,
        Some(Ordering::Equal) => 0b0110 << 28,
        Some(Ordering::Less) => 0b1000 << 28,
        Some(Ordering::Greater) => 0b0010 << 28,
    }
}

/// FPCompare: N, Z, C, V in bits 31:28.
#[inline(never)]
pub(super) fn compare<F: Format>(env: &mut FpEnv, a: u64, b: u64, signalling: bool) -> u32 {
    nzcv(compare_order::<F>(env, a, b, signalling))
}

/// FPCompareEQ, as a mask of the element.
#[inline(never)]
pub(super) fn eq<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let yes = compare_order::<F>(env, a, b, false) == Some(Ordering::Equal);
    if yes { F::ONES } else { 0 }
}

/// FPCompareGE, as a mask of the element.
#[inline(never)]
pub(super) fn ge<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let yes = matches!(compare_order::<F>(env, a, b, true), Some(Ordering::Equal | Ordering::Greater));
    if yes { F::ONES } else { 0 }
}

/// FPCompareGT, as a mask of the element.
#[inline(never)]
pub(super) fn gt<F: Format>(env: &mut FpEnv, a: u64, b: u64) -> u64 {
    let yes = compare_order::<F>(env, a, b, true) == Some(Ordering::Greater);
    if yes { F::ONES } else { 0 }
}

/// FPMax, or with `min` FPMin.
#[inline(never)]
pub(super) fn max_min<F: Format>(env: &mut FpEnv, a: u64, b: u64, min: bool) -> u64 {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if let Some(nan) = process_nans::<F, 2>(env, [(x, a), (y, b)]) {
        return nan;
    }
    let wanted = if min { Ordering::Less } else { Ordering::Greater };
    let (chosen, bits) = if order(x, y) == Some(wanted) { (x, a) } else { (y, b) };
    if chosen.is_zero() {
        // Zeros of unlike signs, or a flushed denormal.
        let sign = if min { x.sign || y.sign } else { x.sign && y.sign };
        return signed::<F>(sign, 0);
    }
    bits
}

/// FPMaxNum, or with `min` FPMinNum: a quiet NaN loses to a number.
#[inline(never)]
pub(super) fn max_min_num<F: Format>(env: &mut FpEnv, a: u64, b: u64, min: bool) -> u64 {
    // The classes are found again, with their flags, by what follows.
    let quiet = |v: u64| v & F::DEFAULT_NAN == F::DEFAULT_NAN;
    let least = signed::<F>(!min, F::INF);
    match (quiet(a), quiet(b)) {
        (true, false) => max_min::<F>(env, least, b, min),
        (false, true) => max_min::<F>(env, a, least, min),
        _ => max_min::<F>(env, a, b, min),
    }
}
