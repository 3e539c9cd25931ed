//! Loops over the elements of vectors. `N` is the number of elements; what is above them in the result is zero.

use super::format::{F16, F32, Format};
use super::soft_arith::{mul_add_half, neg};
use super::{FpEnv, bf16};

/// Element `i` of width `bits`.
#[inline(always)]
fn get(v: u128, bits: u32, i: usize) -> u64 {
    (v >> (bits as usize * i)) as u64 & (u64::MAX >> (64 - bits))
}

/// An element in its place.
#[inline(always)]
fn put(v: u64, bits: u32, i: usize) -> u128 {
    u128::from(v) << (bits as usize * i)
}

/// An operation on each element.
#[inline(always)]
pub(super) fn map1<F: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    f: impl Fn(&mut FpEnv, u64) -> u64,
) -> u128 {
    let mut r = 0;
    for i in 0..N {
        r |= put(f(env, get(a, F::BITS, i)), F::BITS, i);
    }
    r
}

/// An operation on each pair of corresponding elements.
#[inline(always)]
pub(super) fn map2<F: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    b: u128,
    f: impl Fn(&mut FpEnv, u64, u64) -> u64,
) -> u128 {
    let mut r = 0;
    for i in 0..N {
        r |= put(f(env, get(a, F::BITS, i), get(b, F::BITS, i)), F::BITS, i);
    }
    r
}

/// An operation on three corresponding elements.
#[inline(always)]
pub(super) fn map3<F: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    b: u128,
    c: u128,
    f: impl Fn(&mut FpEnv, u64, u64, u64) -> u64,
) -> u128 {
    let mut r = 0;
    for i in 0..N {
        let x = f(env, get(a, F::BITS, i), get(b, F::BITS, i), get(c, F::BITS, i));
        r |= put(x, F::BITS, i);
    }
    r
}

/// An operation on adjacent elements: first those of `a`, then those of `b`.
#[inline(always)]
pub(super) fn pairwise<F: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    b: u128,
    f: impl Fn(&mut FpEnv, u64, u64) -> u64,
) -> u128 {
    let mut r = 0;
    for i in 0..N {
        let (v, k) = if 2 * i < N { (a, 2 * i) } else { (b, 2 * i - N) };
        r |= put(f(env, get(v, F::BITS, k), get(v, F::BITS, k + 1)), F::BITS, i);
    }
    r
}

/// All elements combined as a balanced tree (Arm ARM, Reduce).
#[inline(always)]
pub(super) fn reduce<F: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    f: impl Fn(&mut FpEnv, u64, u64) -> u64,
) -> u128 {
    let mut level = [0u64; N];
    for (i, e) in level.iter_mut().enumerate() {
        *e = get(a, F::BITS, i);
    }
    let mut n = N;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            level[i] = f(env, level[2 * i], level[2 * i + 1]);
        }
    }
    u128::from(level[0])
}

/// From `N` elements of `A` in the low or (upper) high half to `N` elements of `B`.
#[inline(always)]
pub(super) fn widen<A: Format, B: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    upper: bool,
    f: impl Fn(&mut FpEnv, u64) -> u64,
) -> u128 {
    let a = if upper { a >> 64 } else { a };
    let mut r = 0;
    for i in 0..N {
        r |= put(f(env, get(a, A::BITS, i)), B::BITS, i);
    }
    r
}

/// From `N` elements of `A` to as many of `B` in the low half, or (upper) in the high half above the low half of `old`.
#[inline(always)]
pub(super) fn narrow<A: Format, B: Format, const N: usize>(
    env: &mut FpEnv,
    a: u128,
    old: u128,
    upper: bool,
    f: impl Fn(&mut FpEnv, u64) -> u64,
) -> u128 {
    let mut r = 0;
    for i in 0..N {
        r |= put(f(env, get(a, A::BITS, i)), B::BITS, i);
    }
    if upper { r << 64 | old & u128::from(u64::MAX) } else { r }
}

/// FCADD: `b` taken as complex numbers turned by 90 degrees, or (`imm` 1) by 270, and added to `a`.
#[inline(always)]
pub(super) fn complex_add<F: Format, const N: usize>(env: &mut FpEnv, imm: u32, a: u128, b: u128) -> u128 {
    let mut r = 0;
    for i in (0..N).step_by(2) {
        let (re, im) = (get(b, F::BITS, i), get(b, F::BITS, i + 1));
        let (x, y) = if imm & 1 == 0 { (neg::<F>(im), re) } else { (im, neg::<F>(re)) };
        r |= put(F::add(env, get(a, F::BITS, i), x), F::BITS, i);
        r |= put(F::add(env, get(a, F::BITS, i + 1), y), F::BITS, i + 1);
    }
    r
}

/// FCMLA: acc + one half of the complex product of `a` and `b`, `b` turned by `imm` times 90 degrees.
#[inline(always)]
pub(super) fn complex_mul_add<F: Format, const N: usize>(
    env: &mut FpEnv,
    imm: u32,
    acc: u128,
    a: u128,
    b: u128,
) -> u128 {
    let mut r = 0;
    for i in (0..N).step_by(2) {
        let (re, im) = (get(b, F::BITS, i), get(b, F::BITS, i + 1));
        let (part, x, y) = match imm & 3 {
            0 => (i, re, im),
            1 => (i + 1, neg::<F>(im), re),
            2 => (i, neg::<F>(re), neg::<F>(im)),
            _ => (i + 1, im, neg::<F>(re)),
        };
        let factor = get(a, F::BITS, part);
        r |= put(F::mul_add(env, get(acc, F::BITS, i), factor, x), F::BITS, i);
        r |= put(F::mul_add(env, get(acc, F::BITS, i + 1), factor, y), F::BITS, i + 1);
    }
    r
}

/// FMLAL and its kin: `N` single-precision sums of half-precision products; bit 0 of `imm` negates the first factor, bit 1
/// takes the factors from the upper half of their vectors.
#[inline(always)]
pub(super) fn mul_add_long<const N: usize>(env: &mut FpEnv, imm: u32, acc: u128, a: u128, b: u128) -> u128 {
    let first = if imm & 2 != 0 { N } else { 0 };
    let mut r = 0;
    for i in 0..N {
        let (x, y) = (get(a, 16, first + i), get(b, 16, first + i));
        let x = if imm & 1 != 0 { neg::<F16>(x) } else { x };
        r |= put(mul_add_half(env, get(acc, 32, i), x, y), 32, i);
    }
    r
}

/// BFMLALB, or (`imm` 1) BFMLALT: single-precision sums of products of even or odd BFloat16 elements.
pub(super) fn bf_mul_add_long(env: &mut FpEnv, imm: u32, acc: u128, a: u128, b: u128) -> u128 {
    let wide = |v: u64| if imm & 1 != 0 { v & 0xffff_0000 } else { v << 16 & 0xffff_0000 };
    map3::<F32, 4>(env, acc, a, b, |env, z, x, y| F32::mul_add(env, z, wide(x), wide(y)))
}

/// BFMMLA: a 2x2 matrix plus the product of a 2x4 and the transpose of a 2x4 matrix.
pub(super) fn bf_mat_mul(acc: u128, a: u128, b: u128) -> u128 {
    let mut r = 0;
    for i in 0..2 {
        for j in 0..2 {
            let first = bf16::dot_add(get(acc, 32, 2 * i + j), get(a, 32, 2 * i), get(b, 32, 2 * j));
            let both = bf16::dot_add(first, get(a, 32, 2 * i + 1), get(b, 32, 2 * j + 1));
            r |= put(both, 32, 2 * i + j);
        }
    }
    r
}
