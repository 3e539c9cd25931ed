//! Operations whose result has wider, narrower or fewer elements than the operands.

use super::Elem;
use super::lane::{Bytes, Lane, Narrow};
use super::lanewise::QC;
use crate::fp::{FpEnv, VecFn};

const LOW: u128 = u64::MAX as u128;

/// How an element becomes half as wide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NarrowOp {
    /// The low half (XTN).
    Truncate,
    /// Saturated, both signed (SQXTN); sets QC.
    SatSigned,
    /// Saturated, both unsigned (UQXTN); sets QC.
    SatUnsigned,
    /// Signed, saturated as unsigned (SQXTUN); sets QC.
    SatSignedToUnsigned,
}

impl NarrowOp {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Truncate => "xtn",
            Self::SatSigned => "sqxtn",
            Self::SatUnsigned => "uqxtn",
            Self::SatSignedToUnsigned => "sqxtun",
        }
    }
}

/// How the elements of a vector are put together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceOp {
    /// Their sum, of the same size.
    Add,
    /// Their sum, of twice the size (SADDLV, UADDLV).
    AddLong {
        /// Signed.
        signed: bool,
    },
    /// The greatest.
    Max {
        /// Signed.
        signed: bool,
    },
    /// The smallest.
    Min {
        /// Signed.
        signed: bool,
    },
}

impl ReduceOp {
    pub(super) const fn name(self) -> &'static str {
        use super::lanewise::pair;
        match self {
            Self::Add => "addv",
            Self::AddLong { signed } => pair(signed, "saddlv", "uaddlv"),
            Self::Max { signed } => pair(signed, "smaxv", "umaxv"),
            Self::Min { signed } => pair(signed, "sminv", "uminv"),
        }
    }
}

/// `f::<L, A, B>` for the lane type of `e` (B, H or S; D cannot be and is taken as S) and two truth values.
macro_rules! by_narrow {
    ($e:expr, $a:expr, $b:expr, $f:ident) => {
        match ($e, $a, $b) {
            (Elem::B, false, false) => $f::<u8, false, false>,
            (Elem::B, false, true) => $f::<u8, false, true>,
            (Elem::B, true, false) => $f::<u8, true, false>,
            (Elem::B, true, true) => $f::<u8, true, true>,
            (Elem::H, false, false) => $f::<u16, false, false>,
            (Elem::H, false, true) => $f::<u16, false, true>,
            (Elem::H, true, false) => $f::<u16, true, false>,
            (Elem::H, true, true) => $f::<u16, true, true>,
            (_, false, false) => $f::<u32, false, false>,
            (_, false, true) => $f::<u32, false, true>,
            (_, true, false) => $f::<u32, true, false>,
            (_, true, true) => $f::<u32, true, true>,
        }
    };
}

/// The half of a register that an operation takes, in the low bits.
#[inline(always)]
fn half<const HI: bool>(v: u128) -> u128 {
    if HI { v >> 64 } else { v & LOW }
}

pub(super) fn widen(signed: bool, e: Elem, hi: bool) -> VecFn {
    fn f<L: Narrow, const S: bool, const HI: bool>(_: &mut FpEnv, _: u32, a: u128, _: u128, _: u128) -> u128 {
        u128::from_le_bytes(widen_kernel::<L, S>(&half::<HI>(a).to_le_bytes()))
    }
    by_narrow!(e, signed, hi, f)
}

#[inline(never)]
fn widen_kernel<L: Narrow, const S: bool>(a: &Bytes) -> Bytes {
    let a = L::split(a);
    let mut out = <L::Wide as Lane>::Lanes::default();
    for (r, a) in out.as_mut().iter_mut().zip(a.as_ref()) {
        *r = a.widen::<S>();
    }
    L::Wide::join(out)
}

pub(super) fn mul_long(signed: bool, e: Elem, hi: bool) -> VecFn {
    fn f<L: Narrow, const S: bool, const HI: bool>(_: &mut FpEnv, _: u32, a: u128, b: u128, _: u128) -> u128 {
        let (a, b) = (half::<HI>(a).to_le_bytes(), half::<HI>(b).to_le_bytes());
        u128::from_le_bytes(mul_long_kernel::<L, S>(&a, &b))
    }
    by_narrow!(e, signed, hi, f)
}

#[inline(never)]
fn mul_long_kernel<L: Narrow, const S: bool>(a: &Bytes, b: &Bytes) -> Bytes {
    let (a, b) = (L::split(a), L::split(b));
    let mut out = <L::Wide as Lane>::Lanes::default();
    for ((r, a), b) in out.as_mut().iter_mut().zip(a.as_ref()).zip(b.as_ref()) {
        *r = a.widen::<S>().mul(b.widen::<S>());
    }
    L::Wide::join(out)
}

pub(super) fn poly_mul_long(e: Elem, hi: bool) -> VecFn {
    match (e, hi) {
        (Elem::D, false) => |_, _, a, b, _| poly_mul(a as u64, b as u64),
        (Elem::D, true) => |_, _, a, b, _| poly_mul((a >> 64) as u64, (b >> 64) as u64),
        (_, false) => |_, _, a, b, _| poly_mul_bytes(half::<false>(a), half::<false>(b)),
        (_, true) => |_, _, a, b, _| poly_mul_bytes(half::<true>(a), half::<true>(b)),
    }
}

/// The carry-less product, four bits of `b` at a time.
fn poly_mul(a: u64, b: u64) -> u128 {
    let a = u128::from(a);
    let mut multiples = [0u128; 16];
    for i in 1..16 {
        multiples[i] = multiples[i / 2] << 1 ^ if i & 1 != 0 { a } else { 0 };
    }
    (0..16).rev().fold(0, |r, n| r << 4 ^ multiples[(b >> (4 * n) & 15) as usize])
}

/// Eight products of bytes, all at once in 16-bit fields.
fn poly_mul_bytes(a: u128, b: u128) -> u128 {
    const ONES: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;
    let (a, b) = (spread_bytes(a), spread_bytes(b));
    (0..8).fold(0, |r, n| {
        let chosen = (b >> n & ONES) * 0xffff;
        r ^ (a << n & chosen)
    })
}

/// The low eight bytes, zero-extended to 16 bits each.
fn spread_bytes(v: u128) -> u128 {
    u128::from_le_bytes(widen_kernel::<u8, false>(&v.to_le_bytes()))
}

pub(super) fn narrow(op: NarrowOp, e: Elem) -> VecFn {
    fn f<L: Narrow, const SAT: bool, const S: bool>(
        env: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        narrowed::<L, SAT, S, S>(env, a)
    }
    fn to_unsigned<L: Narrow, const S: bool, const X: bool>(
        env: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        narrowed::<L, true, true, false>(env, a)
    }
    match op {
        NarrowOp::Truncate => by_narrow!(e, false, false, f),
        NarrowOp::SatSigned => by_narrow!(e, true, true, f),
        NarrowOp::SatUnsigned => by_narrow!(e, true, false, f),
        NarrowOp::SatSignedToUnsigned => by_narrow!(e, false, false, to_unsigned),
    }
}

fn narrowed<L: Narrow, const SAT: bool, const FROM: bool, const TO: bool>(env: &mut FpEnv, a: u128) -> u128 {
    let mut qc = false;
    let r = narrow_kernel::<L, SAT, FROM, TO>(&a.to_le_bytes(), &mut qc);
    if qc {
        env.fpsr |= QC;
    }
    u128::from_le_bytes(r)
}

#[inline(never)]
fn narrow_kernel<L: Narrow, const SAT: bool, const FROM: bool, const TO: bool>(
    a: &Bytes,
    qc: &mut bool,
) -> Bytes {
    let a = L::Wide::split(a);
    let mut out = L::Lanes::default();
    let mut sat = false;
    for (r, &a) in out.as_mut().iter_mut().zip(a.as_ref()) {
        *r = if SAT { narrow_sat::<L, FROM, TO>(a, &mut sat) } else { L::from_u64(a.u()) };
    }
    *qc = sat;
    L::join(out)
}

/// An element saturated to half its width.
#[inline(always)]
fn narrow_sat<L: Narrow, const FROM: bool, const TO: bool>(a: L::Wide, sat: &mut bool) -> L {
    let max = u64::MAX >> (64 - L::BITS) >> u32::from(TO);
    let r: u64 = if FROM {
        let min = if TO { -(max as i64) - 1 } else { 0 };
        a.s().clamp(min, max as i64) as u64
    } else {
        Ord::min(a.u(), max)
    };
    *sat |= r != if FROM { a.s() as u64 } else { a.u() };
    L::from_u64(r)
}

pub(super) fn add_pairs(signed: bool, e: Elem, q: bool) -> VecFn {
    fn f<L: Narrow, const S: bool, const Q: bool>(_: &mut FpEnv, _: u32, a: u128, _: u128, _: u128) -> u128 {
        let r = u128::from_le_bytes(add_pairs_kernel::<L, S>(&a.to_le_bytes()));
        if Q { r } else { r & LOW }
    }
    by_narrow!(e, signed, q, f)
}

#[inline(never)]
fn add_pairs_kernel<L: Narrow, const S: bool>(a: &Bytes) -> Bytes {
    let a = L::split(a);
    let mut out = <L::Wide as Lane>::Lanes::default();
    for (r, p) in out.as_mut().iter_mut().zip(a.as_ref().chunks_exact(2)) {
        *r = p[0].widen::<S>().add(p[1].widen::<S>());
    }
    L::Wide::join(out)
}

pub(super) fn reduce(op: ReduceOp, e: Elem, q: bool) -> VecFn {
    fn sum<L: Narrow, const X: bool, const Q: bool>(
        _: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        let m = u64::MAX >> (64 - L::BITS);
        u128::from(sum_kernel::<L, false>(&masked::<Q>(a)) as u64 & m)
    }
    fn sum_long<L: Narrow, const S: bool, const Q: bool>(
        _: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        let m = u64::MAX >> (64 - 2 * L::BITS);
        u128::from(sum_kernel::<L, S>(&masked::<Q>(a)) as u64 & m)
    }
    // The unused half repeats the used one, which changes neither maximum nor minimum.
    fn max<L: Narrow, const S: bool, const Q: bool>(
        _: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        fold_kernel::<L>(&repeated::<Q>(a), |a, b| a.max::<S>(b))
    }
    fn min<L: Narrow, const S: bool, const Q: bool>(
        _: &mut FpEnv,
        _: u32,
        a: u128,
        _: u128,
        _: u128,
    ) -> u128 {
        fold_kernel::<L>(&repeated::<Q>(a), |a, b| a.min::<S>(b))
    }
    match op {
        ReduceOp::Add => by_narrow!(e, false, q, sum),
        ReduceOp::AddLong { signed } => by_narrow!(e, signed, q, sum_long),
        ReduceOp::Max { signed } => by_narrow!(e, signed, q, max),
        ReduceOp::Min { signed } => by_narrow!(e, signed, q, min),
    }
}

#[inline(always)]
fn masked<const Q: bool>(v: u128) -> Bytes {
    if Q { v } else { v & LOW }.to_le_bytes()
}

#[inline(always)]
fn repeated<const Q: bool>(v: u128) -> Bytes {
    if Q { v } else { v & LOW | v << 64 }.to_le_bytes()
}

#[inline(never)]
fn sum_kernel<L: Lane, const S: bool>(a: &Bytes) -> i64 {
    L::split(a).as_ref().iter().map(|x| if S { x.s() } else { x.u() as i64 }).sum()
}

#[inline(always)]
fn fold_kernel<L: Lane>(a: &Bytes, f: impl Fn(L, L) -> L) -> u128 {
    let lanes = L::split(a);
    let lanes = lanes.as_ref();
    u128::from(lanes.iter().fold(lanes[0], |x, &y| f(x, y)).u())
}

pub(super) fn dot(a_signed: bool, b_signed: bool, q: bool) -> VecFn {
    fn f<const A: bool, const B: bool, const Q: bool>(
        _: &mut FpEnv,
        _: u32,
        a: u128,
        b: u128,
        c: u128,
    ) -> u128 {
        let r = dot_kernel::<A, B>(&a.to_le_bytes(), &b.to_le_bytes(), &c.to_le_bytes());
        u128::from_le_bytes(r) & if Q { u128::MAX } else { LOW }
    }
    match (a_signed, b_signed, q) {
        (false, false, false) => f::<false, false, false>,
        (false, false, true) => f::<false, false, true>,
        (false, true, false) => f::<false, true, false>,
        (false, true, true) => f::<false, true, true>,
        (true, false, false) => f::<true, false, false>,
        (true, false, true) => f::<true, false, true>,
        (true, true, false) => f::<true, true, false>,
        (true, true, true) => f::<true, true, true>,
    }
}

#[inline(always)]
fn byte<const SIGNED: bool>(b: u8) -> i32 {
    if SIGNED { i32::from(b as i8) } else { i32::from(b) }
}

#[inline(never)]
fn dot_kernel<const A: bool, const B: bool>(a: &Bytes, b: &Bytes, c: &Bytes) -> Bytes {
    let mut acc = u32::split(c);
    for (i, r) in acc.iter_mut().enumerate() {
        let sum: i32 = (4 * i..4 * i + 4).map(|k| byte::<A>(a[k]) * byte::<B>(b[k])).sum();
        *r = r.wrapping_add(sum as u32);
    }
    u32::join(acc)
}

pub(super) fn mat_mul(a_signed: bool, b_signed: bool) -> VecFn {
    fn f<const A: bool, const B: bool>(_: &mut FpEnv, _: u32, a: u128, b: u128, c: u128) -> u128 {
        u128::from_le_bytes(mat_mul_kernel::<A, B>(&a.to_le_bytes(), &b.to_le_bytes(), &c.to_le_bytes()))
    }
    match (a_signed, b_signed) {
        (false, false) => f::<false, false>,
        (false, true) => f::<false, true>,
        (true, false) => f::<true, false>,
        (true, true) => f::<true, true>,
    }
}

#[inline(never)]
fn mat_mul_kernel<const A: bool, const B: bool>(a: &Bytes, b: &Bytes, c: &Bytes) -> Bytes {
    let mut acc = u32::split(c);
    for (i, r) in acc.iter_mut().enumerate() {
        let (row, col) = (i / 2 * 8, i % 2 * 8);
        let sum: i32 = (0..8).map(|k| byte::<A>(a[row + k]) * byte::<B>(b[col + k])).sum();
        *r = r.wrapping_add(sum as u32);
    }
    u32::join(acc)
}
