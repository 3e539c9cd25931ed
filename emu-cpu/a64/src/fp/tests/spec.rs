//! Vectors derived by hand from the specification.

use crate::fp::fpsr::{DZC, IDC, IOC, IXC, OFC, UFC};
use crate::fp::{BinFp, Fmt, FoldFp, FpEnv, FpOp, FusedFp, IntFmt, Lanes, Rounding, UnFp, fpcr};

const QNAN: u128 = 0x7fc0_1234;
const SNAN: u128 = 0xff80_5678;
const DEFAULT: u128 = 0x7fc0_0000;
const INF: u128 = 0x7f80_0000;
const ONE: u128 = 0x3f80_0000;
const MIN_NORMAL: u128 = 0x0080_0000;

/// The result and the flags that were raised.
fn run(op: FpOp, fpcr: u32, imm: u32, [a, b, c]: [u128; 3]) -> (u128, u32) {
    let mut env = FpEnv { fpcr, fpsr: 0 };
    let r = op.eval(&mut env, imm, a, b, c);
    (r, env.fpsr)
}

fn bin(op: BinFp, fpcr: u32, a: u128, b: u128) -> (u128, u32) {
    run(FpOp::Bin(op, Lanes::S1), fpcr, 0, [a, b, 0])
}

fn mode(m: u32) -> u32 {
    m << fpcr::RMODE_SHIFT
}

#[test]
fn nan_operands() {
    let quiet = SNAN | 0x0040_0000;
    assert_eq!(bin(BinFp::Add, 0, QNAN, SNAN), (quiet, IOC), "a signalling NaN wins");
    assert_eq!(bin(BinFp::Add, 0, QNAN, 0x7fc0_9999), (QNAN, 0), "else the first");
    assert_eq!(bin(BinFp::Add, fpcr::DN, QNAN, SNAN), (DEFAULT, IOC));
    assert_eq!(bin(BinFp::Add, fpcr::DN, QNAN, ONE), (DEFAULT, 0));
    assert_eq!(bin(BinFp::NMul, 0, QNAN, ONE), (QNAN | 0x8000_0000, 0), "FNMUL negates the NaN");
    assert_eq!(bin(BinFp::Abd, 0, SNAN, ONE), (quiet & 0x7fff_ffff, IOC), "FABD clears its sign");
    assert_eq!(bin(BinFp::RecpS, 0, QNAN, ONE), (QNAN | 0x8000_0000, 0), "FRECPS negates its first operand");
}

#[test]
fn invalid_operations_give_the_positive_default_nan() {
    assert_eq!(bin(BinFp::Sub, 0, INF, INF), (DEFAULT, IOC));
    assert_eq!(bin(BinFp::Mul, 0, INF, 0x8000_0000), (DEFAULT, IOC));
    assert_eq!(bin(BinFp::MulX, 0, INF, 0x8000_0000), (0xc000_0000, 0));
    assert_eq!(bin(BinFp::Div, 0, 0, 0), (DEFAULT, IOC));
    assert_eq!(bin(BinFp::Div, 0, ONE, 0x8000_0000), (0xff80_0000, DZC));
    assert_eq!(bin(BinFp::Div, 0, INF, 0), (INF, 0));
    assert_eq!(run(FpOp::Un(UnFp::Sqrt, Lanes::S1), 0, 0, [ONE | 0x8000_0000, 0, 0]), (DEFAULT, IOC));
    assert_eq!(run(FpOp::Un(UnFp::Sqrt, Lanes::S1), 0, 0, [0x8000_0000, 0, 0]), (0x8000_0000, 0));
}

#[test]
fn fused_nan_rules() {
    let fma = |a, b, c| run(FpOp::Fused(FusedFp::MulAdd, Lanes::S1), 0, 0, [a, b, c]);
    assert_eq!(fma(INF, 0, QNAN), (DEFAULT, IOC), "infinity times zero with a quiet NaN");
    assert_eq!(fma(INF, 0, SNAN), (SNAN | 0x0040_0000, IOC));
    assert_eq!(fma(QNAN, ONE, 0x7fc0_4444), (0x7fc0_4444, 0), "the addend comes first");
    assert_eq!(fma(SNAN, ONE, 0x7fc0_4444), (SNAN | 0x0040_0000, IOC));
    let negated = run(FpOp::Fused(FusedFp::NMulAdd, Lanes::S1), 0, 0, [ONE, ONE, QNAN]);
    assert_eq!(negated, (QNAN | 0x8000_0000, 0), "FNMADD negates the addend, NaN or not");
}

#[test]
fn tininess_is_detected_before_rounding() {
    // (2 - 2^-23) * 2^-126 * 2^-1 rounds up to the smallest normal number.
    assert_eq!(bin(BinFp::Mul, 0, 0x00ff_ffff, 0x3f00_0000), (MIN_NORMAL, UFC | IXC));
    assert_eq!(bin(BinFp::Mul, fpcr::FZ, 0x00ff_ffff, 0x3f00_0000), (0, UFC), "flushed: not inexact");
    assert_eq!(bin(BinFp::Mul, 0, MIN_NORMAL, 0x3f00_0000), (0x0040_0000, 0), "exact: no underflow");
    assert_eq!(bin(BinFp::Sub, fpcr::FZ, 0x00c0_0000, MIN_NORMAL), (0, UFC));
}

#[test]
fn input_denormals() {
    assert_eq!(bin(BinFp::Add, fpcr::FZ, 1, ONE), (ONE, IDC));
    assert_eq!(bin(BinFp::Max, fpcr::FZ, 0x8000_0001, 0x8000_0002), (0x8000_0000, IDC));
    assert_eq!(run(FpOp::Bin(BinFp::Add, Lanes::H1), fpcr::FZ16, 0, [1, 0x3c00, 0]), (0x3c00, 0), "no IDC");
    assert_eq!(run(FpOp::Bin(BinFp::Add, Lanes::H1), fpcr::FZ, 0, [1, 1, 0]), (2, 0), "FZ is not for halves");
    assert_eq!(run(FpOp::Cmp { fmt: Fmt::S, signalling: false }, fpcr::FZ, 0, [1, 0, 0]), (6 << 28, IDC));
}

#[test]
fn overflow_by_rounding_mode() {
    let max = 0x7f7f_ffff;
    let sum = |m, sign: u128| bin(BinFp::Add, mode(m), max | sign, max | sign);
    let minus = 0x8000_0000;
    for (m, plus, negative) in [(0, INF, INF), (1, INF, max), (2, max, INF), (3, max, max)] {
        assert_eq!(sum(m, 0), (plus, OFC | IXC));
        assert_eq!(sum(m, minus), (negative | minus, OFC | IXC));
    }
    assert_eq!(bin(BinFp::Sub, mode(2), ONE, ONE), (minus, 0), "x - x is -0 when rounding down");
}

#[test]
fn alternative_half_precision() {
    let to_half = FpOp::Convert { from: Fmt::S, to: Fmt::H };
    let ahp = |v| run(to_half, fpcr::AHP, Rounding::BY_FPCR, [v, 0, 0]);
    assert_eq!(ahp(INF), (0x7fff, IOC));
    assert_eq!(ahp(QNAN | 0x8000_0000), (0x8000, IOC));
    assert_eq!(ahp(0x4780_0000), (0x7c00, 0), "65536");
    assert_eq!(ahp(0x4800_0000), (0x7fff, IOC), "131072");
    let from_half = FpOp::Convert { from: Fmt::H, to: Fmt::S };
    assert_eq!(run(from_half, fpcr::AHP, Rounding::BY_FPCR, [0x7c01, 0, 0]), (0x4780_2000, 0));
    assert_eq!(run(from_half, 0, Rounding::BY_FPCR, [0x7c01, 0, 0]), (0x7fc0_2000, IOC));
    let sum = run(FpOp::Bin(BinFp::Add, Lanes::H1), fpcr::AHP, 0, [0x7c00, 0, 0]);
    assert_eq!(sum, (0x7c00, 0), "arithmetic is not affected");
}

#[test]
fn rounding_to_odd() {
    let odd = FpOp::Convert { from: Fmt::D, to: Fmt::S };
    let run_odd = |v| run(odd, 0, Rounding::Odd as u32, [v, 0, 0]);
    assert_eq!(run_odd(0x3ff0_0000_0000_0001), (ONE | 1, IXC));
    assert_eq!(run_odd(0x7fef_ffff_ffff_ffff), (0x7f7f_ffff, OFC | IXC));
}

#[test]
fn number_maximum_prefers_numbers_to_quiet_nans() {
    assert_eq!(bin(BinFp::MaxNm, 0, QNAN, ONE), (ONE, 0));
    assert_eq!(bin(BinFp::MinNm, 0, ONE, QNAN), (ONE, 0));
    assert_eq!(bin(BinFp::MaxNm, 0, SNAN, ONE), (SNAN | 0x0040_0000, IOC));
    assert_eq!(bin(BinFp::MaxNm, 0, QNAN, QNAN), (QNAN, 0));
    assert_eq!(bin(BinFp::Max, 0, 0x8000_0000, 0), (0, 0));
    assert_eq!(bin(BinFp::Min, 0, 0, 0x8000_0000), (0x8000_0000, 0));
}

#[test]
fn comparisons() {
    let cmp = |signalling, a, b| run(FpOp::Cmp { fmt: Fmt::S, signalling }, 0, 0, [a, b, 0]);
    assert_eq!(cmp(false, ONE, 0), (2 << 28, 0));
    assert_eq!(cmp(false, 0, ONE), (8 << 28, 0));
    assert_eq!(cmp(false, 0, 0x8000_0000), (6 << 28, 0));
    assert_eq!(cmp(false, QNAN, ONE), (3 << 28, 0));
    assert_eq!(cmp(true, QNAN, ONE), (3 << 28, IOC));
    assert_eq!(bin(BinFp::CmpEq, 0, QNAN, ONE), (0, 0));
    assert_eq!(bin(BinFp::CmpGe, 0, QNAN, ONE), (0, IOC));
    assert_eq!(bin(BinFp::AcGt, 0, 0xc000_0000, ONE), (0xffff_ffff, 0));
}

#[test]
fn to_integers() {
    let cvt = |to, m: Rounding, v| run(FpOp::ToInt { from: Fmt::S, to }, 0, m as u32, [v, 0, 0]);
    assert_eq!(cvt(IntFmt::I32, Rounding::Zero, 0x4f00_0000), (0x7fff_ffff, IOC), "2^31");
    assert_eq!(cvt(IntFmt::I32, Rounding::Zero, 0xcf00_0000), (0x8000_0000, 0), "-2^31");
    assert_eq!(cvt(IntFmt::U32, Rounding::Zero, 0xbf00_0000), (0, IXC), "-0.5");
    assert_eq!(cvt(IntFmt::U32, Rounding::MinusInf, 0xbf00_0000), (0, IOC), "-0.5 down is -1");
    assert_eq!(cvt(IntFmt::I64, Rounding::TieEven, 0x4020_0000), (2, IXC), "2.5");
    assert_eq!(cvt(IntFmt::I64, Rounding::TieAway, 0xc020_0000), (u128::from(-3i64 as u64), IXC), "-2.5");
    assert_eq!(cvt(IntFmt::I32, Rounding::Zero, QNAN), (0, IOC));
    let fixed =
        run(FpOp::ToInt { from: Fmt::H, to: IntFmt::I64 }, 0, Rounding::Zero as u32 | 63 << 8, [1, 0, 0]);
    assert_eq!(fixed, (1 << 39, 0), "2^-24 with 63 fraction bits");
}

#[test]
fn javascript_conversion() {
    let js = |v: f64| run(FpOp::JsCvt, 0, 0, [v.to_bits().into(), 0, 0]);
    let z = 1 << 62;
    assert_eq!(js(5.0), (5 | z, 0));
    assert_eq!(js(-1.0), (0xffff_ffff | z, 0));
    assert_eq!(js(-2147483648.0), (0x8000_0000 | z, 0));
    assert_eq!(js(4294967297.0), (1, IOC), "2^32 + 1");
    assert_eq!(js(0.5), (0, IXC));
    assert_eq!(js(-0.0), (0, 0));
    assert_eq!(js(f64::INFINITY), (0, IOC));
}

#[test]
fn rounding_to_integral_values() {
    let rint = |op, m, v| run(FpOp::Un(op, Lanes::S1), 0, m, [v, 0, 0]);
    assert_eq!(rint(UnFp::RInt, Rounding::PlusInf as u32, 0xbf00_0000), (0x8000_0000, 0), "-0.5 up is -0");
    assert_eq!(rint(UnFp::RIntExact, Rounding::BY_FPCR, 0x3fc0_0000), (0x4000_0000, IXC), "1.5 is 2");
    assert_eq!(
        rint(UnFp::RInt32, Rounding::Zero as u32, 0x4f00_0000),
        (0xcf00_0000, IOC),
        "2^31 does not fit"
    );
    assert_eq!(rint(UnFp::RInt64, Rounding::Zero as u32, QNAN), (0xdf00_0000, IOC));
}

#[test]
fn estimates() {
    let un = |op, v| run(FpOp::Un(op, Lanes::S1), 0, 0, [v, 0, 0]);
    assert_eq!(un(UnFp::RecpE, ONE), (0x3f7f_8000, 0));
    assert_eq!(un(UnFp::RsqrtE, ONE), (0x3f7f_8000, 0));
    assert_eq!(un(UnFp::RecpE, 0x8000_0000), (0xff80_0000, DZC));
    assert_eq!(un(UnFp::RecpE, 1), (INF, OFC | IXC));
    assert_eq!(un(UnFp::RsqrtE, 0xbf80_0000), (DEFAULT, IOC));
    assert_eq!(un(UnFp::RecpX, 0), (0x7f00_0000, 0));
    let words = run(FpOp::UnsignedRecpE { full: false }, 0, 0, [0x8000_0000_7fff_ffff, 0, 0]);
    assert_eq!(words, (0xff80_0000_ffff_ffff, 0));
}

#[test]
fn sums_across_lanes_are_a_tree() {
    // inf - inf is a quiet NaN, 1 + SNaN another: the first wins. A chain from the left would end with the signalling one.
    let v = INF | 0xff80_0000 << 32 | ONE << 64 | SNAN << 96;
    let (r, flags) = run(FpOp::Reduce(FoldFp::Add, Lanes::S4), 0, 0, [v, 0, 0]);
    assert_eq!((r, flags), (DEFAULT, IOC));
    let (pairs, _) = run(FpOp::Pair(FoldFp::Add, Lanes::S2), 0, 0, [ONE | ONE << 32, 0, 0]);
    assert_eq!(pairs, 0x4000_0000);
}
