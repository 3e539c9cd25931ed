//! Operations that move elements about.

use super::Elem;
use super::lane::{Bytes, Lane};
use crate::fp::{FpEnv, VecFn};

const LOW: u128 = u64::MAX as u128;

/// Orders of the elements of two registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PermuteOp {
    /// Low halves, alternating.
    Zip1,
    /// High halves, alternating.
    Zip2,
    /// Even elements of a, then of b.
    Uzp1,
    /// Odd elements of a, then of b.
    Uzp2,
    /// Even elements, alternating.
    Trn1,
    /// Odd elements, alternating.
    Trn2,
}

impl PermuteOp {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zip1 => "zip1",
            Self::Zip2 => "zip2",
            Self::Uzp1 => "uzp1",
            Self::Uzp2 => "uzp2",
            Self::Trn1 => "trn1",
            Self::Trn2 => "trn2",
        }
    }

    /// Where element `i` of the result comes from, of `n` elements per register: the operand and the element in it.
    #[inline(always)]
    const fn source(self, i: usize, n: usize) -> (bool, usize) {
        match self {
            Self::Zip1 => (i % 2 == 1, i / 2),
            Self::Zip2 => (i % 2 == 1, i / 2 + n / 2),
            Self::Uzp1 => (i >= n / 2, 2 * i % n),
            Self::Uzp2 => (i >= n / 2, 2 * i % n + 1),
            Self::Trn1 => (i % 2 == 1, i & !1),
            Self::Trn2 => (i % 2 == 1, i | 1),
        }
    }
}

/// Lanes in use.
#[inline(always)]
const fn count<L: Lane, const Q: bool>() -> usize {
    (if Q { 128 } else { 64 }) / L::BITS as usize
}

/// The register whose first `n` elements are `f(0)`, `f(1)`, ...
#[inline(always)]
fn build<L: Lane>(n: usize, f: impl Fn(usize) -> L) -> u128 {
    let mut out = L::Lanes::default();
    for (i, r) in out.as_mut().iter_mut().take(n).enumerate() {
        *r = f(i);
    }
    u128::from_le_bytes(L::join(out))
}

pub(super) fn permute(op: PermuteOp, e: Elem, q: bool) -> VecFn {
    macro_rules! order {
        ($op:ident) => {{
            fn f<L: Lane, const Q: bool>(_: &mut FpEnv, _: u32, a: u128, b: u128, _: u128) -> u128 {
                #[inline(never)]
                fn kernel<L: Lane, const Q: bool>(a: &Bytes, b: &Bytes) -> u128 {
                    let (a, b) = (L::split(a), L::split(b));
                    build::<L>(count::<L, Q>(), |i| {
                        let (second, k) = PermuteOp::$op.source(i, count::<L, Q>());
                        if second { b.as_ref()[k] } else { a.as_ref()[k] }
                    })
                }
                kernel::<L, Q>(&a.to_le_bytes(), &b.to_le_bytes())
            }
            by_shape!(e, q, f)
        }};
    }
    match op {
        PermuteOp::Zip1 => order!(Zip1),
        PermuteOp::Zip2 => order!(Zip2),
        PermuteOp::Uzp1 => order!(Uzp1),
        PermuteOp::Uzp2 => order!(Uzp2),
        PermuteOp::Trn1 => order!(Trn1),
        PermuteOp::Trn2 => order!(Trn2),
    }
}

pub(super) fn reverse(e: Elem, q: bool) -> VecFn {
    fn f<L: Lane, const Q: bool>(_: &mut FpEnv, imm: u32, a: u128, _: u128, _: u128) -> u128 {
        let a = L::split(&a.to_le_bytes());
        // Elements per group, a power of two: reversing flips the low bits of the index.
        let flip = ((8usize << (imm & 3)) / L::BITS as usize).max(1) - 1;
        build::<L>(count::<L, Q>(), |i| a.as_ref()[i ^ flip])
    }
    by_shape!(e, q, f)
}

pub(super) fn dup(e: Elem, q: bool) -> VecFn {
    fn f<L: Lane, const Q: bool>(_: &mut FpEnv, imm: u32, a: u128, _: u128, _: u128) -> u128 {
        let x = (a >> ((imm * L::BITS) & 127)) as u64;
        build::<L>(count::<L, Q>(), |_| L::from_u64(x))
    }
    by_shape!(e, q, f)
}

pub(super) fn extract(q: bool) -> VecFn {
    fn full(_: &mut FpEnv, imm: u32, a: u128, b: u128, _: u128) -> u128 {
        let n = 8 * (imm & 15);
        if n == 0 { a } else { a >> n | b << (128 - n) }
    }
    fn half(_: &mut FpEnv, imm: u32, a: u128, b: u128, _: u128) -> u128 {
        (a & LOW | b << 64) >> (8 * (imm & 7)) & LOW
    }
    if q { full } else { half }
}

pub(super) fn table(q: bool) -> VecFn {
    fn f<const Q: bool>(_: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
        let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
        build::<u8>(if Q { 16 } else { 8 }, |i| {
            let at = u32::from(b[i]).wrapping_sub(imm) as usize;
            a.get(at).copied().unwrap_or(c[i])
        })
    }
    if q { f::<true> } else { f::<false> }
}

pub(super) fn deinterleave3(e: Elem, q: bool) -> VecFn {
    fn f<L: Lane, const Q: bool>(_: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
        let parts = [a, b, c].map(|v| L::split(&v.to_le_bytes()));
        let n = count::<L, Q>();
        build::<L>(n, |i| {
            let at = 3 * i + imm as usize % 3;
            parts[at / n].as_ref()[at % n]
        })
    }
    by_shape!(e, q, f)
}

pub(super) fn interleave3(e: Elem, q: bool) -> VecFn {
    fn f<L: Lane, const Q: bool>(_: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
        let parts = [a, b, c].map(|v| L::split(&v.to_le_bytes()));
        let n = count::<L, Q>();
        build::<L>(n, |i| {
            let at = imm as usize % 3 * n + i;
            parts[at % 3].as_ref()[at / 3]
        })
    }
    by_shape!(e, q, f)
}
