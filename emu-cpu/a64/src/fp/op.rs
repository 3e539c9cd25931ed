//! [`FpOp`]: the floating-point operations of the IR, and the function behind each.

use super::format::{F16, F32, F64, Format, IntSpec};
use super::host::{self, compare, eq, ge, gt, max_min, max_min_num};
use super::soft_arith::{abs, mulx, neg, recip_step, rsqrt_step};
use super::soft_convert::{convert, convert_bf, round_int_n, to_int_js};
use super::soft_estimate::{recip_estimate, recpx, rsqrt_estimate, unsigned_recip, unsigned_rsqrt};
use super::{FpEnv, Rounding, VecFn, bf16, lanes};

/// A floating-point format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fmt {
    /// Half precision.
    H,
    /// Single precision.
    S,
    /// Double precision.
    D,
}

impl Fmt {
    /// log2 of the number of bytes.
    #[must_use]
    pub const fn log2_bytes(self) -> u8 {
        match self {
            Self::H => 1,
            Self::S => 2,
            Self::D => 3,
        }
    }

    /// The scalar of this format.
    #[must_use]
    pub const fn scalar(self) -> Lanes {
        match self {
            Self::H => Lanes::H1,
            Self::S => Lanes::S1,
            Self::D => Lanes::D1,
        }
    }
}

/// Format and number of the elements that an operation works on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "format and number")]
pub enum Lanes {
    H1,
    H2,
    H4,
    H8,
    S1,
    S2,
    S4,
    D1,
    D2,
}

impl Lanes {
    /// The format of an element.
    #[must_use]
    pub const fn fmt(self) -> Fmt {
        match self {
            Self::H1 | Self::H2 | Self::H4 | Self::H8 => Fmt::H,
            Self::S1 | Self::S2 | Self::S4 => Fmt::S,
            Self::D1 | Self::D2 => Fmt::D,
        }
    }

    /// The number of elements.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Self::H1 | Self::S1 | Self::D1 => 1,
            Self::H2 | Self::S2 | Self::D2 => 2,
            Self::H4 | Self::S4 => 4,
            Self::H8 => 8,
        }
    }

    /// Bytes of all elements together.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        self.count() << self.fmt().log2_bytes()
    }
}

/// The integer side of a scalar conversion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "width and signedness")]
pub enum IntFmt {
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
}

impl IntFmt {
    /// Signed or not, as wide as a floating-point format.
    #[must_use]
    pub const fn as_wide_as(fmt: Fmt, signed: bool) -> Self {
        match (fmt, signed) {
            (Fmt::H, true) => Self::I16,
            (Fmt::H, false) => Self::U16,
            (Fmt::S, true) => Self::I32,
            (Fmt::S, false) => Self::U32,
            (Fmt::D, true) => Self::I64,
            (Fmt::D, false) => Self::U64,
        }
    }

    /// With this many fraction bits.
    #[inline(always)]
    const fn spec(self, fbits: u32) -> IntSpec {
        let (bits, signed) = match self {
            Self::I16 => (16, true),
            Self::U16 => (16, false),
            Self::I32 => (32, true),
            Self::U32 => (32, false),
            Self::I64 => (64, true),
            Self::U64 => (64, false),
        };
        IntSpec { bits, signed, fbits }
    }
}

/// Operations on two elements. Comparisons make an element of all ones or zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the instruction of the same name says it")]
pub enum BinFp {
    Add,
    Sub,
    Mul,
    /// -(a * b).
    NMul,
    /// As Mul, but infinity times zero is two.
    MulX,
    Div,
    Max,
    Min,
    MaxNm,
    MinNm,
    /// |a - b|.
    Abd,
    /// 2 - a * b.
    RecpS,
    /// (3 - a * b) / 2.
    RsqrtS,
    CmpEq,
    CmpGe,
    CmpGt,
    /// |a| >= |b|.
    AcGe,
    /// |a| > |b|.
    AcGt,
}

/// Operations on two elements that are also made pairwise and across lanes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the instruction of the same name says it")]
pub enum FoldFp {
    Add,
    Max,
    Min,
    MaxNm,
    MinNm,
}

/// Operations on two factors (operands a, b) and an addend (operand c), rounded once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FusedFp {
    /// c + a * b.
    MulAdd,
    /// c - a * b.
    MulSub,
    /// -c - a * b.
    NMulAdd,
    /// -c + a * b.
    NMulSub,
}

/// Operations on one element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the instruction of the same name says it")]
pub enum UnFp {
    Abs,
    Neg,
    Sqrt,
    RecpE,
    RsqrtE,
    RecpX,
    /// To an integral value, with the rounding mode in the immediate.
    RInt,
    /// As RInt; a change is inexact.
    RIntExact,
    /// To what a signed 32-bit integer can hold.
    RInt32,
    /// To what a signed 64-bit integer can hold.
    RInt64,
}

/// A floating-point operation of the IR on up to three 128-bit operands. Scalars are in the low bits, the rest of the
/// result is zero. Rounding modes in immediates are values of [`Rounding`] or [`Rounding::BY_FPCR`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FpOp {
    /// On corresponding elements of a and b.
    Bin(BinFp, Lanes),
    /// On adjacent elements of a, then of b.
    Pair(FoldFp, Lanes),
    /// Combines all elements of a, as a balanced tree, to one.
    Reduce(FoldFp, Lanes),
    /// On corresponding elements of a, b and c.
    Fused(FusedFp, Lanes),
    /// On each element of a.
    Un(UnFp, Lanes),
    /// Compares scalars: N, Z, C, V in bits 31:28.
    Cmp {
        /// Format.
        fmt: Fmt,
        /// A quiet NaN is an invalid operation too.
        signalling: bool,
    },
    /// A scalar to another format. Immediate: rounding mode.
    Convert {
        /// Format of a.
        from: Fmt,
        /// Format of the result.
        to: Fmt,
    },
    /// The elements in the low or upper half of a to the next wider format.
    Widen {
        /// Format of an element of a.
        from: Fmt,
        /// The upper half.
        upper: bool,
    },
    /// The elements of a to the next narrower format: to the low half of the result, or to the upper half beside the low
    /// half of b. Immediate: rounding mode.
    Narrow {
        /// Format of an element of the result.
        to: Fmt,
        /// To the upper half.
        upper: bool,
    },
    /// A single-precision scalar to BFloat16.
    ToBf,
    /// As Narrow, from single precision to BFloat16.
    NarrowBf {
        /// To the upper half.
        upper: bool,
    },
    /// Scalar to (fixed-point) integer in the low bits. Immediate: rounding mode, and fraction bits << 8.
    ToInt {
        /// Format of a.
        from: Fmt,
        /// What integer.
        to: IntFmt,
    },
    /// Each element to a (fixed-point) integer of the same width. Immediate: rounding mode, and fraction bits << 8.
    ToIntVec {
        /// The elements.
        lanes: Lanes,
        /// Signed integers.
        signed: bool,
    },
    /// Scalar from (fixed-point) integer in the low bits. Immediate: fraction bits << 8.
    FromInt {
        /// What integer.
        from: IntFmt,
        /// Format of the result.
        to: Fmt,
    },
    /// Each element from a (fixed-point) integer of the same width. Immediate: fraction bits << 8.
    FromIntVec {
        /// The elements.
        lanes: Lanes,
        /// Signed integers.
        signed: bool,
    },
    /// FJCVTZS: the integer in bits 31:0, N, Z, C, V in bits 63:60.
    JsCvt,
    /// a + b turned by 90 degrees, or (immediate 1) by 270; elements are complex numbers in pairs.
    ComplexAdd(Lanes),
    /// c + half of the complex product of a and b, b turned by immediate times 90 degrees.
    ComplexMulAdd(Lanes),
    /// Single-precision c + products of half-precision a and b. Immediate: bit 0 negates a, bit 1 takes the upper halves.
    MulAddLong {
        /// 4 rather than 2 elements.
        full: bool,
    },
    /// Single-precision c + products of the even or (immediate 1) odd BFloat16 elements of a and b.
    BfMulAddLong,
    /// Single-precision c + sums of two products of BFloat16 elements of a and b.
    BfDot {
        /// 4 rather than 2 elements.
        full: bool,
    },
    /// c + the 2x2 matrix product of BFloat16 a (2x4) and the transpose of b (2x4).
    BfMatMul,
    /// Estimate of the reciprocal of unsigned fixed-point words.
    UnsignedRecpE {
        /// 4 rather than 2 elements.
        full: bool,
    },
    /// Estimate of the reciprocal square root of unsigned fixed-point words.
    UnsignedRsqrtE {
        /// 4 rather than 2 elements.
        full: bool,
    },
}

/// Evaluates a body with `$F` the format and `$N` the number of elements of a [`Lanes`].
macro_rules! for_lanes {
    ($lanes:expr, |$F:ident, $N:ident| $body:expr) => {
        for_lanes!(@ $lanes, $F, $N, $body, H1 F16 1, H2 F16 2, H4 F16 4, H8 F16 8, S1 F32 1, S2 F32 2, S4 F32 4,
            D1 F64 1, D2 F64 2)
    };
    (@ $lanes:expr, $F:ident, $N:ident, $body:expr, $($lane:ident $format:ident $count:literal),*) => {
        match $lanes {
            $(Lanes::$lane => {
                type $F = $format;
                const $N: usize = $count;
                $body
            })*
        }
    };
}

/// Evaluates a body with `$F` the format of a [`Fmt`].
macro_rules! for_fmt {
    ($fmt:expr, |$F:ident| $body:expr) => {
        match $fmt {
            Fmt::H => {
                type $F = F16;
                $body
            }
            Fmt::S => {
                type $F = F32;
                $body
            }
            Fmt::D => {
                type $F = F64;
                $body
            }
        }
    };
}

/// Evaluates a body with `$f` the function on two elements behind an operation, of which there is a list.
macro_rules! for_op {
    ($ops:ident, $op:expr, |$e:ident, $x:ident, $y:ident, $f:ident| $body:expr, $($variant:ident => $call:expr),*) => {
        match $op {
            $($ops::$variant => {
                #[inline(always)]
                fn $f($e: &mut FpEnv, $x: u64, $y: u64) -> u64 {
                    $call
                }
                $body
            })*
        }
    };
}

/// [`for_op`] with all of [`BinFp`].
macro_rules! for_bin {
    ($op:expr, $F:ident, |$e:ident, $x:ident, $y:ident, $f:ident| $body:expr) => {
        for_op!(BinFp, $op, |$e, $x, $y, $f| $body,
            Add => $F::add($e, $x, $y), Sub => $F::sub($e, $x, $y), Mul => $F::mul($e, $x, $y),
            NMul => neg::<$F>($F::mul($e, $x, $y)), MulX => mulx::<$F>($e, $x, $y), Div => $F::div($e, $x, $y),
            Max => max_min::<$F>($e, $x, $y, false), Min => max_min::<$F>($e, $x, $y, true),
            MaxNm => max_min_num::<$F>($e, $x, $y, false), MinNm => max_min_num::<$F>($e, $x, $y, true),
            Abd => abs::<$F>($F::sub($e, $x, $y)),
            RecpS => recip_step::<$F>($e, $x, $y), RsqrtS => rsqrt_step::<$F>($e, $x, $y),
            CmpEq => eq::<$F>($e, $x, $y), CmpGe => ge::<$F>($e, $x, $y), CmpGt => gt::<$F>($e, $x, $y),
            AcGe => ge::<$F>($e, abs::<$F>($x), abs::<$F>($y)), AcGt => gt::<$F>($e, abs::<$F>($x), abs::<$F>($y)))
    };
}

/// [`for_op`] with all of [`FoldFp`].
macro_rules! for_fold {
    ($op:expr, $F:ident, |$e:ident, $x:ident, $y:ident, $f:ident| $body:expr) => {
        for_op!(FoldFp, $op, |$e, $x, $y, $f| $body,
            Add => $F::add($e, $x, $y), Max => max_min::<$F>($e, $x, $y, false),
            Min => max_min::<$F>($e, $x, $y, true), MaxNm => max_min_num::<$F>($e, $x, $y, false),
            MinNm => max_min_num::<$F>($e, $x, $y, true))
    };
}

/// Evaluates a body with `$I` the integer of an [`IntFmt`].
macro_rules! for_int {
    ($int:expr, |$I:ident| $body:expr) => {
        for_int!(@ $int, $I, $body, I16, U16, I32, U32, I64, U64)
    };
    (@ $int:expr, $I:ident, $body:expr, $($variant:ident),*) => {
        match $int {
            $(IntFmt::$variant => {
                const $I: IntFmt = IntFmt::$variant;
                $body
            })*
        }
    };
}

impl FpOp {
    /// The exact result on operands a, b, c; flags are accumulated in `env`.
    #[must_use]
    pub fn eval(self, env: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
        self.func()(env, imm, a, b, c)
    }

    /// The name, as printed IR shows it.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The function behind the operation.
    #[must_use]
    pub fn func(self) -> VecFn {
        match self {
            Self::Bin(op, l) => bin(op, l),
            Self::Pair(op, l) => pair(op, l),
            Self::Reduce(op, l) => reduce(op, l),
            Self::Fused(op, l) => fused(op, l),
            Self::Un(op, l) => un(op, l),
            Self::Cmp { fmt, signalling } => cmp(fmt, signalling),
            Self::Convert { from, to } => scalar_convert(from, to),
            Self::Widen { from, upper } => widen(from, upper),
            Self::Narrow { to, upper } => narrow(to, upper),
            Self::ToBf => |env, _, a, _, _| u128::from(convert_bf(env, a as u32 as u64)),
            Self::NarrowBf { upper: false } => {
                |env, _, a, b, _| lanes::narrow::<F32, F16, 4>(env, a, b, false, convert_bf)
            }
            Self::NarrowBf { upper: true } => {
                |env, _, a, b, _| lanes::narrow::<F32, F16, 4>(env, a, b, true, convert_bf)
            }
            Self::ToInt { from, to } => to_int(from, to),
            Self::ToIntVec { lanes, signed } => to_int_vec(lanes, signed),
            Self::FromInt { from, to } => from_int(from, to),
            Self::FromIntVec { lanes, signed } => from_int_vec(lanes, signed),
            Self::JsCvt => |env, _, a, _, _| u128::from(to_int_js(env, a as u64)),
            Self::ComplexAdd(l) => {
                for_lanes!(l, |F, N| |env, imm, a, b, _| lanes::complex_add::<F, { N & !1 }>(env, imm, a, b))
            }
            Self::ComplexMulAdd(l) => {
                for_lanes!(l, |F, N| |env, imm, a, b, c| {
                    lanes::complex_mul_add::<F, { N & !1 }>(env, imm, c, a, b)
                })
            }
            Self::MulAddLong { full: false } => {
                |env, imm, a, b, c| lanes::mul_add_long::<2>(env, imm, c, a, b)
            }
            Self::MulAddLong { full: true } => {
                |env, imm, a, b, c| lanes::mul_add_long::<4>(env, imm, c, a, b)
            }
            Self::BfMulAddLong => |env, imm, a, b, c| lanes::bf_mul_add_long(env, imm, c, a, b),
            Self::BfDot { full: false } => {
                |env, _, a, b, c| lanes::map3::<F32, 2>(env, c, a, b, |_, z, x, y| bf16::dot_add(z, x, y))
            }
            Self::BfDot { full: true } => {
                |env, _, a, b, c| lanes::map3::<F32, 4>(env, c, a, b, |_, z, x, y| bf16::dot_add(z, x, y))
            }
            Self::BfMatMul => |_, _, a, b, c| lanes::bf_mat_mul(c, a, b),
            Self::UnsignedRecpE { full: false } => {
                |env, _, a, _, _| lanes::map1::<F32, 2>(env, a, |_, x| unsigned_recip(x))
            }
            Self::UnsignedRecpE { full: true } => {
                |env, _, a, _, _| lanes::map1::<F32, 4>(env, a, |_, x| unsigned_recip(x))
            }
            Self::UnsignedRsqrtE { full: false } => {
                |env, _, a, _, _| lanes::map1::<F32, 2>(env, a, |_, x| unsigned_rsqrt(x))
            }
            Self::UnsignedRsqrtE { full: true } => {
                |env, _, a, _, _| lanes::map1::<F32, 4>(env, a, |_, x| unsigned_rsqrt(x))
            }
        }
    }
}

fn bin(op: BinFp, l: Lanes) -> VecFn {
    for_lanes!(l, |F, N| for_bin!(op, F, |e, x, y, f| |env, _, a, b, _| lanes::map2::<F, N>(env, a, b, f)))
}

fn pair(op: FoldFp, l: Lanes) -> VecFn {
    for_lanes!(l, |F, N| for_fold!(op, F, |e, x, y, f| {
        |env, _, a, b, _| lanes::pairwise::<F, { N & !1 }>(env, a, b, f)
    }))
}

fn reduce(op: FoldFp, l: Lanes) -> VecFn {
    for_lanes!(l, |F, N| for_fold!(op, F, |e, x, y, f| |env, _, a, _, _| lanes::reduce::<F, N>(env, a, f)))
}

fn fused(op: FusedFp, l: Lanes) -> VecFn {
    for_lanes!(l, |F, N| match op {
        FusedFp::MulAdd => |env, _, a, b, c| lanes::map3::<F, N>(env, c, a, b, F::mul_add),
        FusedFp::MulSub => |env, _, a, b, c| {
            lanes::map3::<F, N>(env, c, a, b, |e, z, x, y| F::mul_add(e, z, neg::<F>(x), y))
        },
        FusedFp::NMulAdd => |env, _, a, b, c| {
            lanes::map3::<F, N>(env, c, a, b, |e, z, x, y| F::mul_add(e, neg::<F>(z), neg::<F>(x), y))
        },
        FusedFp::NMulSub => |env, _, a, b, c| {
            lanes::map3::<F, N>(env, c, a, b, |e, z, x, y| F::mul_add(e, neg::<F>(z), x, y))
        },
    })
}

fn un(op: UnFp, l: Lanes) -> VecFn {
    for_lanes!(l, |F, N| match op {
        UnFp::Abs => |env, _, a, _, _| lanes::map1::<F, N>(env, a, |_, x| abs::<F>(x)),
        UnFp::Neg => |env, _, a, _, _| lanes::map1::<F, N>(env, a, |_, x| neg::<F>(x)),
        UnFp::Sqrt => |env, _, a, _, _| lanes::map1::<F, N>(env, a, F::sqrt),
        UnFp::RecpE => |env, _, a, _, _| lanes::map1::<F, N>(env, a, recip_estimate::<F>),
        UnFp::RsqrtE => |env, _, a, _, _| lanes::map1::<F, N>(env, a, rsqrt_estimate::<F>),
        UnFp::RecpX => |env, _, a, _, _| lanes::map1::<F, N>(env, a, recpx::<F>),
        UnFp::RInt => |env, imm, a, _, _| {
            let mode = Rounding::from_imm(imm, env);
            lanes::map1::<F, N>(env, a, |e, x| F::round_int(e, x, mode, false))
        },
        UnFp::RIntExact => |env, imm, a, _, _| {
            let mode = Rounding::from_imm(imm, env);
            lanes::map1::<F, N>(env, a, |e, x| F::round_int(e, x, mode, true))
        },
        UnFp::RInt32 => |env, imm, a, _, _| {
            let mode = Rounding::from_imm(imm, env);
            lanes::map1::<F, N>(env, a, |e, x| round_int_n::<F>(e, x, mode, 32))
        },
        UnFp::RInt64 => |env, imm, a, _, _| {
            let mode = Rounding::from_imm(imm, env);
            lanes::map1::<F, N>(env, a, |e, x| round_int_n::<F>(e, x, mode, 64))
        },
    })
}

/// The low element of an operand.
#[inline(always)]
fn low<F: Format>(v: u128) -> u64 {
    v as u64 & F::ONES
}

fn cmp(fmt: Fmt, signalling: bool) -> VecFn {
    for_fmt!(fmt, |F| if signalling {
        |env, _, a, b, _| u128::from(compare::<F>(env, low::<F>(a), low::<F>(b), true))
    } else {
        |env, _, a, b, _| u128::from(compare::<F>(env, low::<F>(a), low::<F>(b), false))
    })
}

fn scalar_convert(from: Fmt, to: Fmt) -> VecFn {
    match (from, to) {
        (Fmt::S, Fmt::D) => |env, _, a, _, _| u128::from(host::single_to_double(env, low::<F32>(a))),
        (Fmt::D, Fmt::S) => |env, imm, a, _, _| u128::from(double_to_single(env, imm, low::<F64>(a))),
        _ => for_fmt!(from, |A| for_fmt!(to, |B| |env, imm, a, _, _| {
            let mode = Rounding::from_imm(imm, env);
            u128::from(convert::<A, B>(env, low::<A>(a), mode))
        })),
    }
}

#[inline]
fn double_to_single(env: &mut FpEnv, imm: u32, v: u64) -> u64 {
    if imm & 7 == Rounding::BY_FPCR {
        return host::double_to_single(env, v);
    }
    let mode = Rounding::from_imm(imm, env);
    convert::<F64, F32>(env, v, mode)
}

fn half_to_single(env: &mut FpEnv, v: u64) -> u64 {
    let mode = env.rounding();
    convert::<F16, F32>(env, v, mode)
}

fn widen(from: Fmt, upper: bool) -> VecFn {
    match (from, upper) {
        (Fmt::H, false) => |env, _, a, _, _| lanes::widen::<F16, F32, 4>(env, a, false, half_to_single),
        (Fmt::H, true) => |env, _, a, _, _| lanes::widen::<F16, F32, 4>(env, a, true, half_to_single),
        (_, false) => |env, _, a, _, _| lanes::widen::<F32, F64, 2>(env, a, false, host::single_to_double),
        (_, true) => |env, _, a, _, _| lanes::widen::<F32, F64, 2>(env, a, true, host::single_to_double),
    }
}

fn narrow(to: Fmt, upper: bool) -> VecFn {
    match (to, upper) {
        (Fmt::H, false) => |env, imm, a, b, _| narrow_to_half(env, imm, a, b, false),
        (Fmt::H, true) => |env, imm, a, b, _| narrow_to_half(env, imm, a, b, true),
        (_, false) => |env, imm, a, b, _| {
            lanes::narrow::<F64, F32, 2>(env, a, b, false, |e, x| double_to_single(e, imm, x))
        },
        (_, true) => |env, imm, a, b, _| {
            lanes::narrow::<F64, F32, 2>(env, a, b, true, |e, x| double_to_single(e, imm, x))
        },
    }
}

fn narrow_to_half(env: &mut FpEnv, imm: u32, a: u128, b: u128, upper: bool) -> u128 {
    let mode = Rounding::from_imm(imm, env);
    lanes::narrow::<F32, F16, 4>(env, a, b, upper, |e, x| convert::<F32, F16>(e, x, mode))
}

fn to_int(from: Fmt, to: IntFmt) -> VecFn {
    for_fmt!(from, |F| for_int!(to, |I| |env, imm, a, _, _| {
        let mode = Rounding::from_imm(imm, env);
        u128::from(F::to_int(env, low::<F>(a), I.spec(imm >> 8), mode))
    }))
}

fn to_int_vec(l: Lanes, signed: bool) -> VecFn {
    for_lanes!(l, |F, N| if signed {
        |env, imm, a, _, _| ints_from::<F, N>(env, imm, a, true)
    } else {
        |env, imm, a, _, _| ints_from::<F, N>(env, imm, a, false)
    })
}

#[inline(always)]
fn ints_from<F: Format, const N: usize>(env: &mut FpEnv, imm: u32, a: u128, signed: bool) -> u128 {
    let mode = Rounding::from_imm(imm, env);
    let spec = IntSpec { bits: F::BITS, signed, fbits: imm >> 8 };
    lanes::map1::<F, N>(env, a, |e, x| F::to_int(e, x, spec, mode))
}

fn from_int(from: IntFmt, to: Fmt) -> VecFn {
    for_fmt!(to, |F| for_int!(from, |I| |env, imm, a, _, _| {
        u128::from(F::from_int(env, a as u64, I.spec(imm >> 8)))
    }))
}

fn from_int_vec(l: Lanes, signed: bool) -> VecFn {
    for_lanes!(l, |F, N| if signed {
        |env, imm, a, _, _| ints_to::<F, N>(env, imm, a, true)
    } else {
        |env, imm, a, _, _| ints_to::<F, N>(env, imm, a, false)
    })
}

#[inline(always)]
fn ints_to<F: Format, const N: usize>(env: &mut FpEnv, imm: u32, a: u128, signed: bool) -> u128 {
    let spec = IntSpec { bits: F::BITS, signed, fbits: imm >> 8 };
    lanes::map1::<F, N>(env, a, |e, x| F::from_int(e, x, spec))
}
