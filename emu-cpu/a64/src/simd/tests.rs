//! Every operation against a model that works on one element at a time with exact integers, as Arm's pseudocode does.

use emu_core::random::SplitMix64;

use super::*;
use crate::fp::FpEnv;

const ELEMS: [Elem; 4] = [Elem::B, Elem::H, Elem::S, Elem::D];
const NARROW: [Elem; 3] = [Elem::B, Elem::H, Elem::S];
const QC: u32 = 1 << 27;

/// An exact integer of more bits than any intermediate result has.
type Int = i128;

struct Random(SplitMix64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
    fn next(&mut self) -> u64 {
        self.0.number()
    }
    /// A vector of elements that are random, small, or at the ends of their range.
    fn vector(&mut self, bits: u32) -> u128 {
        let top = 1u64 << (bits - 1);
        build(128 / bits, bits, |_| {
            let r = self.next();
            [0, 1, u64::MAX, top, top - 1, r >> 32 & 15, (r >> 32 & 15).wrapping_neg(), r][(r & 7) as usize]
        })
    }
}

fn lane(v: u128, bits: u32, i: u32) -> u64 {
    (v >> (bits * i)) as u64 & u64::MAX >> (64 - bits)
}

fn build(n: u32, bits: u32, mut f: impl FnMut(u32) -> u64) -> u128 {
    (0..n).fold(0, |v, i| v | u128::from(f(i) & u64::MAX >> (64 - bits)) << (bits * i))
}

fn int(x: u64, bits: u32, signed: bool) -> Int {
    if signed { Int::from((x << (64 - bits)) as i64 >> (64 - bits)) } else { Int::from(x) }
}

fn saturate(x: Int, bits: u32, signed: bool, sat: &mut bool) -> Int {
    let (min, max) = if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
    *sat |= x < min || x > max;
    x.clamp(min, max)
}

/// Shift by a signed amount, step by step so that nothing can overflow: a bit that leaves 80 bits is remembered as a value
/// out of every range.
fn shift(mut x: Int, n: i64, round: bool) -> Int {
    for _ in 0..n.max(0) {
        x = if x.abs() < 1 << 80 { x * 2 } else { x };
    }
    for k in (0..(-n).max(0)).rev() {
        x = if round && k == 0 { (x + 1) >> 1 } else { x >> 1 };
    }
    x
}

fn model(op: LaneOp, bits: u32, a: u64, b: u64, c: u64, imm: u32, sat: &mut bool) -> u64 {
    use LaneOp as O;
    let s = |x| int(x, bits, true);
    let both = |signed| (int(a, bits, signed), int(b, bits, signed));
    let ones = |t: bool| if t { -1 } else { 0 };
    let r: Int = match op {
        O::Add => s(a) + s(b),
        O::Sub => s(a) - s(b),
        O::Mul => ((s(a) as i64).wrapping_mul(s(b) as i64)).into(),
        O::PolyMul => (0..bits).filter(|i| b >> i & 1 != 0).fold(0, |r, i| r ^ Int::from(a) << i),
        O::Max(g) => both(g).0.max(both(g).1),
        O::Min(g) => both(g).0.min(both(g).1),
        O::AbsDiff(g) => (both(g).0 - both(g).1).abs(),
        O::HalfAdd(g) => (both(g).0 + both(g).1) >> 1,
        O::RoundHalfAdd(g) => (both(g).0 + both(g).1 + 1) >> 1,
        O::HalfSub(g) => (both(g).0 - both(g).1) >> 1,
        O::SatAdd(g) => saturate(both(g).0 + both(g).1, bits, g, sat),
        O::SatSub(g) => saturate(both(g).0 - both(g).1, bits, g, sat),
        O::SatAddUnsigned => saturate(s(a) + Int::from(b), bits, true, sat),
        O::SatAddSigned => saturate(Int::from(a) + s(b), bits, false, sat),
        O::Eq => ones(a == b),
        O::Gt(g) => ones(both(g).0 > both(g).1),
        O::Ge(g) => ones(both(g).0 >= both(g).1),
        O::Test => ones(a & b != 0),
        O::Shl { signed, round, sat: saturating } => {
            let n = i64::from(b as i8);
            let x = int(a, bits, signed);
            if saturating {
                saturate(shift(x, n, round), bits, signed, sat)
            } else if n >= 0 {
                if n < i64::from(bits) { x << n } else { 0 }
            } else {
                shift(x, n, round)
            }
        }
        O::SatDoubleMulHigh { round } => {
            saturate((2 * s(a) * s(b) + if round { 1 << (bits - 1) } else { 0 }) >> bits, bits, true, sat)
        }
        O::SatRoundDoubleMulAcc { sub } => {
            let p = if sub { -2 * s(a) * s(b) } else { 2 * s(a) * s(b) };
            saturate(((s(c) << bits) + p + (1 << (bits - 1))) >> bits, bits, true, sat)
        }
        O::Abs => s(a).abs(),
        O::Neg => -s(a),
        O::SatAbs => saturate(s(a).abs(), bits, true, sat),
        O::SatNeg => saturate(-s(a), bits, true, sat),
        O::Cls => {
            Int::from((0..bits - 1).rev().take_while(|i| a >> i & 1 == a >> (bits - 1) & 1).count() as u64)
        }
        O::Clz => Int::from((0..bits).rev().take_while(|i| a >> i & 1 == 0).count() as u64),
        O::Popcount => Int::from((0..bits).filter(|i| a >> i & 1 != 0).count() as u64),
        O::ReverseBits => (0..bits).filter(|i| a >> i & 1 != 0).fold(0, |r, i| r | 1 << (bits - 1 - i)),
        O::ShlImm => Int::from(a) << imm,
        O::ShrImm { signed, round } => shift(int(a, bits, signed), -i64::from(imm), round),
        O::SatShlImm(g) => saturate(int(a, bits, g) << imm, bits, g, sat),
        O::SatShlImmUnsigned => saturate(s(a) << imm, bits, false, sat),
        O::ShlInsert => Int::from(a) << imm | Int::from(b) & ((1 << imm) - 1),
        O::ShrInsert => {
            let m: Int = ((1 << bits) - 1) >> imm;
            Int::from(a) >> imm | Int::from(b) & !m
        }
        O::RorImm => Int::from(a) >> imm | Int::from(a) << (bits - imm),
    };
    r as u64
}

fn lane_ops() -> Vec<LaneOp> {
    use LaneOp as O;
    let mut ops =
        vec![O::Add, O::Sub, O::Mul, O::PolyMul, O::SatAddUnsigned, O::SatAddSigned, O::Eq, O::Test];
    ops.extend([O::Abs, O::Neg, O::SatAbs, O::SatNeg, O::Cls, O::Clz, O::Popcount, O::ReverseBits]);
    ops.extend([O::ShlImm, O::SatShlImmUnsigned, O::ShlInsert, O::ShrInsert, O::RorImm]);
    for x in [false, true] {
        ops.extend([O::Max(x), O::Min(x), O::AbsDiff(x), O::HalfAdd(x), O::RoundHalfAdd(x), O::HalfSub(x)]);
        ops.extend([O::SatAdd(x), O::SatSub(x), O::Gt(x), O::Ge(x), O::SatShlImm(x)]);
        ops.extend([O::SatDoubleMulHigh { round: x }, O::SatRoundDoubleMulAcc { sub: x }]);
        for round in [false, true] {
            ops.push(O::ShrImm { signed: x, round });
            ops.extend([false, true].map(|sat| O::Shl { signed: x, round, sat }));
        }
    }
    ops
}

/// Whether the architecture has the operation for the element.
fn exists(op: LaneOp, e: Elem) -> bool {
    match op {
        LaneOp::SatDoubleMulHigh { .. } | LaneOp::SatRoundDoubleMulAcc { .. } => {
            matches!(e, Elem::H | Elem::S)
        }
        LaneOp::PolyMul => e == Elem::B,
        _ => true,
    }
}

/// Immediates that the operation takes.
fn imm_of(op: LaneOp, bits: u32, r: u64) -> u32 {
    match op {
        LaneOp::ShrImm { .. } | LaneOp::ShrInsert | LaneOp::RorImm => 1 + r as u32 % bits,
        _ => r as u32 % bits,
    }
}

#[test]
fn lane_operations() {
    let mut r = Random::new(1);
    for op in lane_ops() {
        for (e, q) in ELEMS.into_iter().flat_map(|e| [(e, false), (e, true)]).filter(|&(e, _)| exists(op, e))
        {
            for _ in 0..200 {
                let bits = e.bits();
                let (a, b, c) = (r.vector(bits), r.vector(bits), r.vector(bits));
                let imm = imm_of(op, bits, r.next());
                let mut sat = false;
                let want = build(if q { 128 } else { 64 } / bits, bits, |i| {
                    model(op, bits, lane(a, bits, i), lane(b, bits, i), lane(c, bits, i), imm, &mut sat)
                });
                let mut env = FpEnv::default();
                let vop = VecOp::Lane { op, e, q };
                let got = vop.eval(&mut env, imm, a, b, c);
                assert_eq!(got, want, "{vop} {a:x} {b:x} {c:x} #{imm}: {got:x}, not {want:x}");
                assert_eq!(env.fpsr, if sat { QC } else { 0 }, "{vop} {a:x} {b:x} {c:x} #{imm}");
            }
        }
    }
}

/// Evaluates and checks against the model's value and saturation.
fn check(op: VecOp, imm: u32, [a, b, c]: [u128; 3], want: u128, sat: bool) {
    let mut env = FpEnv::default();
    let got = op.eval(&mut env, imm, a, b, c);
    assert_eq!(got, want, "{op} {a:x} {b:x} {c:x} #{imm}: {got:x}, not {want:x}");
    assert_eq!(env.fpsr, if sat { QC } else { 0 }, "{op} {a:x}");
}

#[test]
fn logic_operations() {
    let mut r = Random::new(2);
    let bit = |v: u128, i: u32| v >> i & 1 != 0;
    for _ in 0..50 {
        let v @ [a, b, c] = [8, 16, 64].map(|bits| r.vector(bits));
        let model: [(LogicOp, &dyn Fn(u32) -> bool); 7] = [
            (LogicOp::And, &|i| bit(a, i) && bit(b, i)),
            (LogicOp::Or, &|i| bit(a, i) || bit(b, i)),
            (LogicOp::Xor, &|i| bit(a, i) != bit(b, i)),
            (LogicOp::AndNot, &|i| bit(a, i) && !bit(b, i)),
            (LogicOp::OrNot, &|i| bit(a, i) || !bit(b, i)),
            (LogicOp::Not, &|i| !bit(a, i)),
            (LogicOp::Select, &|i| if bit(a, i) { bit(b, i) } else { bit(c, i) }),
        ];
        for (op, f) in model {
            for q in [false, true] {
                let want = (0..if q { 128 } else { 64 }).fold(0, |v, i| v | u128::from(f(i)) << i);
                check(VecOp::Logic { op, q }, 0, v, want, false);
            }
        }
    }
}

#[test]
fn operations_that_change_the_width() {
    let mut r = Random::new(3);
    for (e, _) in NARROW.into_iter().flat_map(|e| (0..100).map(move |n| (e, n))) {
        let (bits, wide) = (e.bits(), 2 * e.bits());
        let v @ [a, b, _] = [bits, bits, bits].map(|n| r.vector(n));
        let w = r.vector(wide);
        for (signed, hi) in [(false, false), (false, true), (true, false), (true, true)] {
            let first = if hi { 64 / bits } else { 0 };
            let at = |v, i| int(lane(v, bits, i), bits, signed);
            let want = build(64 / bits, wide, |i| at(a, first + i) as u64);
            check(VecOp::Widen { signed, e, hi }, 0, v, want, false);
            let want = build(64 / bits, wide, |i| (at(a, first + i) * at(b, first + i)) as u64);
            check(VecOp::MulLong { signed, e, hi }, 0, v, want, false);
            // hi stands for q here.
            let n = if hi { 128 } else { 64 } / bits;
            let want = build(n / 2, wide, |i| (at(a, 2 * i) + at(a, 2 * i + 1)) as u64);
            check(VecOp::AddPairs { signed, e, q: hi }, 0, v, want, false);
            let sum: Int = (0..n).map(|i| at(a, i)).sum();
            let max = (0..n).map(|i| at(a, i)).max().unwrap();
            let min = (0..n).map(|i| at(a, i)).min().unwrap();
            for (op, want, bits) in [
                (ReduceOp::Add, sum, bits),
                (ReduceOp::AddLong { signed }, sum, wide),
                (ReduceOp::Max { signed }, max, bits),
                (ReduceOp::Min { signed }, min, bits),
            ] {
                check(VecOp::Reduce { op, e, q: hi }, 0, v, build(1, bits, |_| want as u64), false);
            }
        }
        for (op, from, to) in [
            (NarrowOp::SatSigned, true, true),
            (NarrowOp::SatUnsigned, false, false),
            (NarrowOp::SatSignedToUnsigned, true, false),
        ] {
            let mut sat = false;
            let want = build(64 / bits, bits, |i| {
                saturate(int(lane(w, wide, i), wide, from), bits, to, &mut sat) as u64
            });
            check(VecOp::Narrow { op, e }, 0, [w, 0, 0], want, sat);
        }
        let want = build(64 / bits, bits, |i| lane(w, wide, i));
        check(VecOp::Narrow { op: NarrowOp::Truncate, e }, 0, [w, 0, 0], want, false);
    }
}

#[test]
fn products_of_polynomials_and_of_bytes() {
    let mut r = Random::new(4);
    for _ in 0..100 {
        let v @ [a, b, c] = [8, 8, 32].map(|n| r.vector(n));
        for hi in [false, true] {
            let (x, y) = if hi { (a >> 64, b >> 64) } else { (a & u128::from(u64::MAX), b) };
            let want = (0..64).filter(|i| y >> i & 1 != 0).fold(0, |r, i| r ^ x << i);
            check(VecOp::PolyMulLong { e: Elem::D, hi }, 0, v, want, false);
            let want = build(8, 16, |i| {
                let (x, y) = (lane(x, 8, i), lane(y, 8, i));
                (0..8).filter(|k| y >> k & 1 != 0).fold(0, |r, k| r ^ x << k)
            });
            check(VecOp::PolyMulLong { e: Elem::B, hi }, 0, v, want, false);
        }
        for (a_signed, b_signed) in [(false, false), (false, true), (true, false), (true, true)] {
            let byte = |k: u32, l: u32| int(lane(a, 8, k), 8, a_signed) * int(lane(b, 8, l), 8, b_signed);
            for q in [false, true] {
                let want = build(if q { 4 } else { 2 }, 32, |i| {
                    (int(lane(c, 32, i), 32, true) + (4 * i..4 * i + 4).map(|k| byte(k, k)).sum::<Int>())
                        as u64
                });
                check(VecOp::Dot { a_signed, b_signed, q }, 0, v, want, false);
            }
            let want = build(4, 32, |i| {
                let sum: Int = (0..8).map(|k| byte(i / 2 * 8 + k, i % 2 * 8 + k)).sum();
                (int(lane(c, 32, i), 32, true) + sum) as u64
            });
            check(VecOp::MatMul { a_signed, b_signed }, 0, v, want, false);
        }
    }
}

#[test]
fn operations_that_move_elements() {
    let mut r = Random::new(5);
    for (e, q) in ELEMS.into_iter().flat_map(|e| [(e, false), (e, true)]) {
        let bits = e.bits();
        let n = if q { 128 } else { 64 } / bits;
        let v @ [a, b, c] = [64, 64, 64].map(|bits| r.vector(bits));
        let seq = |list: &[u128], i: u32| lane(list[(i / n) as usize], bits, i % n);
        if n > 1 {
            for (op, f) in [
                (PermuteOp::Uzp1, &(|i: u32| seq(&[a, b], 2 * i)) as &dyn Fn(u32) -> u64),
                (PermuteOp::Uzp2, &|i| seq(&[a, b], 2 * i + 1)),
                (PermuteOp::Zip1, &|i| lane([a, b][i as usize % 2], bits, i / 2)),
                (PermuteOp::Zip2, &|i| lane([a, b][i as usize % 2], bits, n / 2 + i / 2)),
                (PermuteOp::Trn1, &|i| lane([a, b][i as usize % 2], bits, i - i % 2)),
                (PermuteOp::Trn2, &|i| lane([a, b][i as usize % 2], bits, i - i % 2 + 1)),
            ] {
                check(VecOp::Permute { op, e, q }, 0, v, build(n, bits, f), false);
            }
        }
        for k in 0..3 {
            let want = build(n, bits, |i| seq(&[a, b, c], 3 * i + k));
            check(VecOp::Deinterleave3 { e, q }, k, v, want, false);
            let want = build(n, bits, |i| lane(v[(k * n + i) as usize % 3], bits, (k * n + i) / 3));
            check(VecOp::Interleave3 { e, q }, k, v, want, false);
        }
        for group in e.log2() + 1..4 {
            let per = (8 << group) / bits;
            let want = build(n, bits, |i| lane(a, bits, i / per * per + per - 1 - i % per));
            check(VecOp::Reverse { e, q }, group, v, want, false);
        }
        for k in 0..128 / bits {
            check(VecOp::Dup { e, q }, k, v, build(n, bits, |_| lane(a, bits, k)), false);
        }
    }
    for q in [false, true] {
        let n = if q { 16 } else { 8 };
        let v @ [a, b, c] = [8, 8, 8].map(|bits| r.vector(bits));
        for k in 0..n {
            let want = build(n, 8, |i| lane([a, b][((k + i) / n) as usize], 8, (k + i) % n));
            check(VecOp::Extract { q }, k, v, want, false);
        }
        for base in [0, 16, 32, 48] {
            let want = build(n, 8, |i| match lane(b, 8, i) as u32 {
                k if k >= base && k < base + 16 => lane(a, 8, k - base),
                _ => lane(c, 8, i),
            });
            check(VecOp::Table { q }, base, v, want, false);
        }
    }
}

#[test]
fn names() {
    let op = VecOp::Lane { op: LaneOp::Max(true), e: Elem::H, q: false };
    assert_eq!((op.name(), op.to_string().as_str()), ("smax", "smax.4h"));
    assert_eq!(VecOp::MulLong { signed: false, e: Elem::S, hi: true }.to_string(), "umull.4s");
    assert_eq!(VecOp::Crypto(CryptoOp::AesE).to_string(), "aese");
    let names: std::collections::HashSet<_> = lane_ops().into_iter().map(LaneOp::name).collect();
    assert_eq!(names.len(), lane_ops().len());
    assert_eq!(CryptoOp::ALL.len(), 27);
}
