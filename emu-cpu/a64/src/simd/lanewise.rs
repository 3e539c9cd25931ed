//! Operations that make each element of the result from the same elements of the operands.

use super::Elem;
use super::lane::{Bytes, Lane};
use crate::fp::{FpEnv, VecFn};

/// FPSR.QC: an operation saturated (Arm ARM, C5.2.10).
pub const QC: u32 = 1 << 27;
const LOW: u128 = u64::MAX as u128;

/// What a lane-wise operation does with elements `a`, `b`, `c` and the immediate `imm`. The field of most variants says
/// whether the elements are signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LaneOp {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a * b, low half.
    Mul,
    /// Carry-less a * b, low half.
    PolyMul,
    /// The greater.
    Max(bool),
    /// The smaller.
    Min(bool),
    /// |a - b|.
    AbsDiff(bool),
    /// (a + b) >> 1, exact sum.
    HalfAdd(bool),
    /// (a + b + 1) >> 1, exact sum.
    RoundHalfAdd(bool),
    /// (a - b) >> 1, exact difference.
    HalfSub(bool),
    /// a + b, saturated; sets QC.
    SatAdd(bool),
    /// a - b, saturated; sets QC.
    SatSub(bool),
    /// Signed a + unsigned b, saturated as signed (SUQADD); sets QC.
    SatAddUnsigned,
    /// Unsigned a + signed b, saturated as unsigned (USQADD); sets QC.
    SatAddSigned,
    /// a == b: all ones or zero, as for all comparisons.
    Eq,
    /// a > b.
    Gt(bool),
    /// a >= b.
    Ge(bool),
    /// a AND b != 0.
    Test,
    /// a shifted left by the signed low byte of b (right if negative).
    Shl {
        /// Signed elements.
        signed: bool,
        /// Rounded when shifting right.
        round: bool,
        /// Saturated when shifting left; sets QC.
        sat: bool,
    },
    /// High half of 2ab, saturated (SQDMULH); rounded or not; sets QC.
    SatDoubleMulHigh {
        /// Rounded.
        round: bool,
    },
    /// c + high half of 2ab (SQRDMLAH), or c - it (SQRDMLSH), rounded, saturated; sets QC.
    SatRoundDoubleMulAcc {
        /// Subtracted.
        sub: bool,
    },
    /// |a|, wrapping.
    Abs,
    /// -a, wrapping.
    Neg,
    /// |a|, saturated; sets QC.
    SatAbs,
    /// -a, saturated; sets QC.
    SatNeg,
    /// Number of bits after the sign that equal it.
    Cls,
    /// Number of leading zeros.
    Clz,
    /// Number of ones.
    Popcount,
    /// Bits reversed.
    ReverseBits,
    /// a << imm, imm less than the width.
    ShlImm,
    /// a >> imm, imm from 1 to the width.
    ShrImm {
        /// Signed elements.
        signed: bool,
        /// Rounded.
        round: bool,
    },
    /// a << imm, saturated; sets QC.
    SatShlImm(bool),
    /// Signed a << imm, saturated as unsigned (SQSHLU); sets QC.
    SatShlImmUnsigned,
    /// a << imm over the low bits of b (SLI).
    ShlInsert,
    /// a >> imm under the high bits of b (SRI).
    ShrInsert,
    /// a rotated right by imm.
    RorImm,
}

/// [`pick`] of an operation with one truth value as its parameter.
macro_rules! signed {
    ($s:expr, $f:ident, $e:expr, $q:expr) => {
        if $s { pick::<$f<true>>($e, $q) } else { pick::<$f<false>>($e, $q) }
    };
}

impl LaneOp {
    /// The function for one element size and width.
    pub(crate) fn func(self, e: Elem, q: bool) -> VecFn {
        use LaneOp as O;
        match self {
            O::Add => by_shape!(e, q, add),
            O::Sub => by_shape!(e, q, sub),
            O::Mul => pick::<Mul>(e, q),
            O::PolyMul => pick::<PolyMul>(e, q),
            O::Max(s) => signed!(s, Max, e, q),
            O::Min(s) => signed!(s, Min, e, q),
            O::AbsDiff(s) => signed!(s, AbsDiff, e, q),
            O::HalfAdd(s) => signed!(s, HalfAdd, e, q),
            O::RoundHalfAdd(s) => signed!(s, RoundHalfAdd, e, q),
            O::HalfSub(s) => signed!(s, HalfSub, e, q),
            O::SatAdd(s) => signed!(s, SatAdd, e, q),
            O::SatSub(s) => signed!(s, SatSub, e, q),
            O::SatAddUnsigned => pick::<SatAddUnsigned>(e, q),
            O::SatAddSigned => pick::<SatAddSigned>(e, q),
            O::Eq => pick::<Eq>(e, q),
            O::Gt(s) => signed!(s, Gt, e, q),
            O::Ge(s) => signed!(s, Ge, e, q),
            O::Test => pick::<Test>(e, q),
            O::Shl { signed, round: false, sat: false } => signed!(signed, Shl, e, q),
            O::Shl { signed, round: true, sat: false } => signed!(signed, RoundShl, e, q),
            O::Shl { signed, round: false, sat: true } => signed!(signed, SatShl, e, q),
            O::Shl { signed, round: true, sat: true } => signed!(signed, SatRoundShl, e, q),
            O::SatDoubleMulHigh { round } => signed!(round, SatDoubleMulHigh, e, q),
            O::SatRoundDoubleMulAcc { sub } => signed!(sub, SatRoundDoubleMulAcc, e, q),
            O::Abs => pick::<Abs>(e, q),
            O::Neg => pick::<Neg>(e, q),
            O::SatAbs => pick::<SatAbs>(e, q),
            O::SatNeg => pick::<SatNeg>(e, q),
            O::Cls => pick::<Cls>(e, q),
            O::Clz => pick::<Clz>(e, q),
            O::Popcount => pick::<Popcount>(e, q),
            O::ReverseBits => pick::<ReverseBits>(e, q),
            O::ShlImm => pick::<ShlImm>(e, q),
            O::ShrImm { signed, round: false } => signed!(signed, ShrImm, e, q),
            O::ShrImm { signed, round: true } => signed!(signed, RoundShrImm, e, q),
            O::SatShlImm(s) => signed!(s, SatShlImm, e, q),
            O::SatShlImmUnsigned => pick::<SatShlImmUnsigned>(e, q),
            O::ShlInsert => pick::<ShlInsert>(e, q),
            O::ShrInsert => pick::<ShrInsert>(e, q),
            O::RorImm => pick::<RorImm>(e, q),
        }
    }

    /// Its name, in lower case.
    pub(crate) const fn name(self) -> &'static str {
        use LaneOp as O;
        match self {
            O::Add => "add",
            O::Sub => "sub",
            O::Mul => "mul",
            O::PolyMul => "pmul",
            O::Max(s) => pair(s, "smax", "umax"),
            O::Min(s) => pair(s, "smin", "umin"),
            O::AbsDiff(s) => pair(s, "sabd", "uabd"),
            O::HalfAdd(s) => pair(s, "shadd", "uhadd"),
            O::RoundHalfAdd(s) => pair(s, "srhadd", "urhadd"),
            O::HalfSub(s) => pair(s, "shsub", "uhsub"),
            O::SatAdd(s) => pair(s, "sqadd", "uqadd"),
            O::SatSub(s) => pair(s, "sqsub", "uqsub"),
            O::SatAddUnsigned => "suqadd",
            O::SatAddSigned => "usqadd",
            O::Eq => "cmeq",
            O::Gt(s) => pair(s, "cmgt", "cmhi"),
            O::Ge(s) => pair(s, "cmge", "cmhs"),
            O::Test => "cmtst",
            O::Shl { signed, round: false, sat: false } => pair(signed, "sshl", "ushl"),
            O::Shl { signed, round: true, sat: false } => pair(signed, "srshl", "urshl"),
            O::Shl { signed, round: false, sat: true } => pair(signed, "sqshl", "uqshl"),
            O::Shl { signed, round: true, sat: true } => pair(signed, "sqrshl", "uqrshl"),
            O::SatDoubleMulHigh { round } => pair(round, "sqrdmulh", "sqdmulh"),
            O::SatRoundDoubleMulAcc { sub } => pair(sub, "sqrdmlsh", "sqrdmlah"),
            O::Abs => "abs",
            O::Neg => "neg",
            O::SatAbs => "sqabs",
            O::SatNeg => "sqneg",
            O::Cls => "cls",
            O::Clz => "clz",
            O::Popcount => "cnt",
            O::ReverseBits => "rbit",
            O::ShlImm => "shl",
            O::ShrImm { signed, round: false } => pair(signed, "sshr", "ushr"),
            O::ShrImm { signed, round: true } => pair(signed, "srshr", "urshr"),
            O::SatShlImm(s) => pair(s, "sqshl-imm", "uqshl-imm"),
            O::SatShlImmUnsigned => "sqshlu",
            O::ShlInsert => "sli",
            O::ShrInsert => "sri",
            O::RorImm => "ror",
        }
    }
}

pub(super) const fn pair(first: bool, yes: &'static str, no: &'static str) -> &'static str {
    if first { yes } else { no }
}

/// One operation on one element.
trait LaneFn {
    fn lane<L: Lane>(a: L, b: L, c: L, imm: u32, qc: &mut bool) -> L;
}

#[inline(never)]
fn kernel<F: LaneFn, L: Lane>(a: &Bytes, b: &Bytes, c: &Bytes, imm: u32, qc: &mut bool) -> Bytes {
    let (a, b, c) = (L::split(a), L::split(b), L::split(c));
    let mut out = L::Lanes::default();
    let mut sat = false;
    for (((r, &a), &b), &c) in out.as_mut().iter_mut().zip(a.as_ref()).zip(b.as_ref()).zip(c.as_ref()) {
        *r = F::lane(a, b, c, imm, &mut sat);
    }
    *qc = sat;
    L::join(out)
}

/// The operation on whole registers. Of 64-bit vectors the unused half is zero going in, so that it cannot saturate.
fn run<F: LaneFn, L: Lane, const Q: bool>(env: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
    let m = if Q { u128::MAX } else { LOW };
    let mut qc = false;
    let (a, b, c) = ((a & m).to_le_bytes(), (b & m).to_le_bytes(), (c & m).to_le_bytes());
    let r = kernel::<F, L>(&a, &b, &c, imm, &mut qc);
    if qc {
        env.fpsr |= QC;
    }
    u128::from_le_bytes(r) & m
}

fn pick<F: LaneFn>(e: Elem, q: bool) -> VecFn {
    match (e, q) {
        (Elem::B, false) => run::<F, u8, false>,
        (Elem::B, true) => run::<F, u8, true>,
        (Elem::H, false) => run::<F, u16, false>,
        (Elem::H, true) => run::<F, u16, true>,
        (Elem::S, false) => run::<F, u32, false>,
        (Elem::S, true) => run::<F, u32, true>,
        (Elem::D, false) => run::<F, u64, false>,
        (Elem::D, true) => run::<F, u64, true>,
    }
}

/// The highest bit of each element.
const fn high_bits(bits: u32) -> u128 {
    let mut m = 0;
    let mut i = bits;
    while i <= 128 {
        m |= 1 << (i - 1);
        i += bits;
    }
    m
}

/// Sums in general registers: carries are kept from crossing elements by leaving the top bits out.
fn add<L: Lane, const Q: bool>(_: &mut FpEnv, _: u32, a: u128, b: u128, _: u128) -> u128 {
    let h = const { high_bits(L::BITS) };
    let r = (a & !h).wrapping_add(b & !h) ^ ((a ^ b) & h);
    if Q { r } else { r & LOW }
}

fn sub<L: Lane, const Q: bool>(_: &mut FpEnv, _: u32, a: u128, b: u128, _: u128) -> u128 {
    let h = const { high_bits(L::BITS) };
    let r = (a | h).wrapping_sub(b & !h) ^ ((a ^ !b) & h);
    if Q { r } else { r & LOW }
}

macro_rules! lane_fns {
    ($($name:ident ($($g:ident)?) |$a:ident, $b:ident, $c:ident, $imm:ident, $qc:ident| $body:expr;)*) => { $(
        struct $name $(<const $g: bool>)?;
        impl $(<const $g: bool>)? LaneFn for $name $(<$g>)? {
            #[inline(always)]
            #[allow(unused_variables, reason = "few operations use all operands")]
            fn lane<L: Lane>($a: L, $b: L, $c: L, $imm: u32, $qc: &mut bool) -> L {
                $body
            }
        }
    )* };
}

lane_fns! {
    Mul() |a, b, c, imm, qc| a.mul(b);
    PolyMul() |a, b, c, imm, qc| poly_mul_low(a, b);
    Max(S) |a, b, c, imm, qc| a.max::<S>(b);
    Min(S) |a, b, c, imm, qc| a.min::<S>(b);
    AbsDiff(S) |a, b, c, imm, qc| a.abs_diff::<S>(b);
    HalfAdd(S) |a, b, c, imm, qc| a.half_add::<S>(b);
    RoundHalfAdd(S) |a, b, c, imm, qc| a.round_half_add::<S>(b);
    HalfSub(S) |a, b, c, imm, qc| a.half_sub::<S>(b);
    SatAdd(S) |a, b, c, imm, qc| noting(a.sat_add::<S>(b), a.add(b), qc);
    SatSub(S) |a, b, c, imm, qc| noting(a.sat_sub::<S>(b), a.sub(b), qc);
    SatAddUnsigned() |a, b, c, imm, qc| noting(a.sat_add_unsigned(b), a.add(b), qc);
    SatAddSigned() |a, b, c, imm, qc| noting(a.sat_add_signed(b), a.add(b), qc);
    Eq() |a, b, c, imm, qc| L::mask(a == b);
    Gt(S) |a, b, c, imm, qc| L::mask(a.gt::<S>(b));
    Ge(S) |a, b, c, imm, qc| L::mask(a.ge::<S>(b));
    Test() |a, b, c, imm, qc| L::mask(a.and(b) != L::default());
    Shl(S) |a, b, c, imm, qc| shift_plain::<S, L>(a, b);
    RoundShl(S) |a, b, c, imm, qc| shift_exact::<S, true, false, L>(a, shift_of(b), qc);
    SatShl(S) |a, b, c, imm, qc| shift_exact::<S, false, true, L>(a, shift_of(b), qc);
    SatRoundShl(S) |a, b, c, imm, qc| shift_exact::<S, true, true, L>(a, shift_of(b), qc);
    SatDoubleMulHigh(R) |a, b, c, imm, qc| double_mul_high::<R, L>(0, a.s().wrapping_mul(b.s()), qc);
    SatRoundDoubleMulAcc(N) |a, b, c, imm, qc| {
        let p = a.s().wrapping_mul(b.s());
        double_mul_high::<true, L>(c.s(), if N { p.wrapping_neg() } else { p }, qc)
    };
    Abs() |a, b, c, imm, qc| if a.s() < 0 { L::default().sub(a) } else { a };
    Neg() |a, b, c, imm, qc| L::default().sub(a);
    SatAbs() |a, b, c, imm, qc| {
        if a.s() < 0 { noting(L::default().sat_sub::<true>(a), L::default().sub(a), qc) } else { a }
    };
    SatNeg() |a, b, c, imm, qc| noting(L::default().sat_sub::<true>(a), L::default().sub(a), qc);
    Cls() |a, b, c, imm, qc| {
        let x = if a.s() < 0 { a.not() } else { a };
        L::from_u64(u64::from(x.leading_zeros() - 1))
    };
    Clz() |a, b, c, imm, qc| L::from_u64(u64::from(a.leading_zeros()));
    Popcount() |a, b, c, imm, qc| L::from_u64(u64::from(a.count_ones()));
    ReverseBits() |a, b, c, imm, qc| a.reverse_bits();
    ShlImm() |a, b, c, imm, qc| a.shl(imm);
    ShrImm(S) |a, b, c, imm, qc| a.shr::<S>(imm);
    RoundShrImm(S) |a, b, c, imm, qc| {
        // The bit shifted out last is what rounding adds.
        a.shr::<S>(imm).add(a.shr::<S>(imm.saturating_sub(1)).and(L::from_u64(1)))
    };
    SatShlImm(S) |a, b, c, imm, qc| shift_exact::<S, false, true, L>(a, imm as i32, qc);
    SatShlImmUnsigned() |a, b, c, imm, qc| {
        if a.s() < 0 {
            *qc = true;
            L::default()
        } else {
            shift_exact::<false, false, true, L>(a, imm as i32, qc)
        }
    };
    ShlInsert() |a, b, c, imm, qc| b.and(L::mask(true).shl(imm).not()).or(a.shl(imm));
    ShrInsert() |a, b, c, imm, qc| b.and(L::mask(true).shr::<false>(imm).not()).or(a.shr::<false>(imm));
    RorImm() |a, b, c, imm, qc| a.ror(imm);
}

/// A saturated result, noting whether it differs from the wrapped one.
#[inline(always)]
fn noting<L: Lane>(sat: L, wrapped: L, qc: &mut bool) -> L {
    *qc |= sat != wrapped;
    sat
}

/// The shift amount of SSHL and its kin: the low byte, signed.
#[inline(always)]
fn shift_of<L: Lane>(b: L) -> i32 {
    i32::from(b.u() as i8)
}

/// SSHL and USHL: neither rounded nor saturated.
#[inline(always)]
fn shift_plain<const S: bool, L: Lane>(a: L, b: L) -> L {
    let n = shift_of(b);
    if n >= 0 { a.shl(n as u32) } else { a.shr::<S>(n.unsigned_abs()) }
}

/// A shift by -128..=127 on the exact value, with rounding and saturation.
#[inline(always)]
fn shift_exact<const S: bool, const ROUND: bool, const SAT: bool, L: Lane>(a: L, n: i32, qc: &mut bool) -> L {
    let x = if S { i128::from(a.s()) } else { i128::from(a.u()) };
    if n < 0 {
        // Beyond one more than the width nothing changes any more.
        let n = Ord::min(n.unsigned_abs(), L::BITS + 1);
        let round = if ROUND { 1 << (n - 1) } else { 0 };
        return L::from_i64(((x + round) >> n) as i64);
    }
    let n = n.unsigned_abs();
    if !SAT {
        return a.shl(n);
    }
    // A shift by the width or more leaves nothing in range but zero.
    let y = if n < L::BITS { x << n } else { x.signum() << 100 };
    let (min, max) =
        if S { (-1 << (L::BITS - 1), (1 << (L::BITS - 1)) - 1) } else { (0, (1i128 << L::BITS) - 1) };
    *qc |= y < min || y > max;
    L::from_i64(y.clamp(min, max) as i64)
}

/// acc + (2 * product) >> width, rounded if `ROUND`, saturated; elements of 16 or 32 bits. All terms are halved so that
/// they fit 64 bits.
#[inline(always)]
fn double_mul_high<const ROUND: bool, L: Lane>(acc: i64, product: i64, qc: &mut bool) -> L {
    let round = if ROUND { 1 << (L::BITS - 2) } else { 0 };
    let sum = (acc << (L::BITS - 1)).wrapping_add(product).wrapping_add(round) >> (L::BITS - 1);
    let sat = sum.clamp(-1 << (L::BITS - 1), i64::MAX >> (64 - L::BITS));
    *qc |= sat != sum;
    L::from_i64(sat)
}

#[inline(always)]
fn poly_mul_low<L: Lane>(a: L, b: L) -> L {
    let mut r = 0;
    for i in 0..L::BITS {
        r ^= if b.u() >> i & 1 != 0 { a.u() << i } else { 0 };
    }
    L::from_u64(r)
}
