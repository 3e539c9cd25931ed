//! Exact integer vector and cryptographic functions, behind the operations [`VecOp`] of the IR.
//!
//! [`VecOp::func`] gives one plain function per operation, element size and width, so that a call does no dispatch of its
//! own. The variants are few and regular: what AdvSIMD has as one instruction (a long multiply-accumulate, a narrowing
//! shift, a pairwise maximum) is often a chain of two or three of them.

/// `f::<L, Q>` for the lane type of `e`.
macro_rules! by_shape {
    ($e:expr, $q:expr, $f:ident) => {
        match ($e, $q) {
            (Elem::B, false) => $f::<u8, false>,
            (Elem::B, true) => $f::<u8, true>,
            (Elem::H, false) => $f::<u16, false>,
            (Elem::H, true) => $f::<u16, true>,
            (Elem::S, false) => $f::<u32, false>,
            (Elem::S, true) => $f::<u32, true>,
            (Elem::D, false) => $f::<u64, false>,
            (Elem::D, true) => $f::<u64, true>,
        }
    };
}

mod crypto;
mod lane;
mod lanewise;
mod reshape;
mod widths;

#[cfg(test)]
mod tests;

use std::fmt;

pub use crypto::CryptoOp;
pub use lanewise::LaneOp;
pub use lanewise::QC;
pub use reshape::PermuteOp;
pub use widths::{NarrowOp, ReduceOp};

use crate::fp::{FpEnv, VecFn};

/// The size of an element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Elem {
    /// 8 bits.
    B = 0,
    /// 16 bits.
    H = 1,
    /// 32 bits.
    S = 2,
    /// 64 bits.
    D = 3,
}

impl Elem {
    /// From log2 of the number of bytes, taken modulo 4.
    #[must_use]
    pub const fn from_log2(n: u32) -> Self {
        [Self::B, Self::H, Self::S, Self::D][(n & 3) as usize]
    }
    /// log2 of the number of bytes.
    #[must_use]
    pub const fn log2(self) -> u32 {
        self as u32
    }
    /// Number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        1 << self as u32
    }
    /// Number of bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
    /// The element of twice the size (D for D).
    #[must_use]
    pub const fn wider(self) -> Self {
        Self::from_log2(if self as u32 == 3 { 3 } else { self as u32 + 1 })
    }
}

/// An operation on the bits of registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogicOp {
    /// a AND b.
    And,
    /// a OR b.
    Or,
    /// a XOR b.
    Xor,
    /// a AND NOT b.
    AndNot,
    /// a OR NOT b.
    OrNot,
    /// NOT a.
    Not,
    /// Where a has ones b, elsewhere c.
    Select,
}

/// An integer vector operation of the IR on up to three 128-bit operands a, b, c and an immediate. `q` is true for
/// 128-bit vectors; operations on 64-bit vectors give a zero high half. Those that saturate set FPSR.QC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VecOp {
    /// Bitwise.
    Logic {
        /// What to do.
        op: LogicOp,
        /// 128 bits.
        q: bool,
    },
    /// The same on every element.
    Lane {
        /// What to do.
        op: LaneOp,
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// Elements of half of a, extended to twice their size.
    Widen {
        /// Sign-extended.
        signed: bool,
        /// Element of a: B, H or S.
        e: Elem,
        /// The high half of a.
        hi: bool,
    },
    /// Products of twice the size, of the elements in one half of a and b.
    MulLong {
        /// Signed.
        signed: bool,
        /// Element of a and b: B, H or S.
        e: Elem,
        /// The high halves.
        hi: bool,
    },
    /// Carry-less products of twice the size (PMULL): 8 to 16 bits, or 64 to 128.
    PolyMulLong {
        /// Element of a and b: D, else B.
        e: Elem,
        /// The high halves.
        hi: bool,
    },
    /// Elements of a made half as wide, in the low half of the result.
    Narrow {
        /// Truncated or saturated.
        op: NarrowOp,
        /// Element of the result: B, H or S.
        e: Elem,
    },
    /// Sums of adjacent elements of a, twice as wide (SADDLP).
    AddPairs {
        /// Signed.
        signed: bool,
        /// Element of a: B, H or S.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// All elements of a put together into element 0 of the result, the rest zero.
    Reduce {
        /// How.
        op: ReduceOp,
        /// Element of a.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// Elements of a and b in another order.
    Permute {
        /// Which order.
        op: PermuteOp,
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// Elements of a reversed within each group of 1 << imm bytes.
    Reverse {
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// Element imm of a (of all its 128 bits) in every element.
    Dup {
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// The bytes from imm on of a followed by b.
    Extract {
        /// 128 bits.
        q: bool,
    },
    /// For each byte i of b: byte i - imm of a if there is one, else the byte of c in the place of i. A step of TBL, TBX.
    Table {
        /// 128 bits.
        q: bool,
    },
    /// Elements imm, imm + 3, imm + 6 ... of a, b, c one after the other (LD3).
    Deinterleave3 {
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// Part imm of `a[0], b[0], c[0], a[1], ...` (ST3).
    Interleave3 {
        /// Element.
        e: Elem,
        /// 128 bits.
        q: bool,
    },
    /// c plus the dot products of groups of four bytes of a and b, in 32 bits.
    Dot {
        /// Bytes of a are signed.
        a_signed: bool,
        /// Bytes of b are signed.
        b_signed: bool,
        /// 128 bits.
        q: bool,
    },
    /// c plus the 2x8 matrix of bytes a times the transposed 2x8 matrix b: a 2x2 matrix of 32 bits.
    MatMul {
        /// Bytes of a are signed.
        a_signed: bool,
        /// Bytes of b are signed.
        b_signed: bool,
    },
    /// A step of a cryptographic algorithm.
    Crypto(CryptoOp),
}

impl VecOp {
    /// Computes the operation.
    pub fn eval(self, env: &mut FpEnv, imm: u32, a: u128, b: u128, c: u128) -> u128 {
        self.func()(env, imm, a, b, c)
    }

    /// The function that computes it.
    #[must_use]
    pub fn func(self) -> VecFn {
        match self {
            Self::Logic { op, q } => logic(op, q),
            Self::Lane { op, e, q } => op.func(e, q),
            Self::Widen { signed, e, hi } => widths::widen(signed, e, hi),
            Self::MulLong { signed, e, hi } => widths::mul_long(signed, e, hi),
            Self::PolyMulLong { e, hi } => widths::poly_mul_long(e, hi),
            Self::Narrow { op, e } => widths::narrow(op, e),
            Self::AddPairs { signed, e, q } => widths::add_pairs(signed, e, q),
            Self::Reduce { op, e, q } => widths::reduce(op, e, q),
            Self::Permute { op, e, q } => reshape::permute(op, e, q),
            Self::Reverse { e, q } => reshape::reverse(e, q),
            Self::Dup { e, q } => reshape::dup(e, q),
            Self::Extract { q } => reshape::extract(q),
            Self::Table { q } => reshape::table(q),
            Self::Deinterleave3 { e, q } => reshape::deinterleave3(e, q),
            Self::Interleave3 { e, q } => reshape::interleave3(e, q),
            Self::Dot { a_signed, b_signed, q } => widths::dot(a_signed, b_signed, q),
            Self::MatMul { a_signed, b_signed } => widths::mat_mul(a_signed, b_signed),
            Self::Crypto(op) => op.func(),
        }
    }

    /// Its name without element and width, in lower case, after the instruction that is nearest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        use lanewise::pair;
        match self {
            Self::Logic { op, .. } => match op {
                LogicOp::And => "and",
                LogicOp::Or => "orr",
                LogicOp::Xor => "eor",
                LogicOp::AndNot => "bic",
                LogicOp::OrNot => "orn",
                LogicOp::Not => "not",
                LogicOp::Select => "bsl",
            },
            Self::Lane { op, .. } => op.name(),
            Self::Widen { signed, .. } => pair(signed, "sxtl", "uxtl"),
            Self::MulLong { signed, .. } => pair(signed, "smull", "umull"),
            Self::PolyMulLong { .. } => "pmull",
            Self::Narrow { op, .. } => op.name(),
            Self::AddPairs { signed, .. } => pair(signed, "saddlp", "uaddlp"),
            Self::Reduce { op, .. } => op.name(),
            Self::Permute { op, .. } => op.name(),
            Self::Reverse { .. } => "rev",
            Self::Dup { .. } => "dup",
            Self::Extract { .. } => "ext",
            Self::Table { .. } => "tbx",
            Self::Deinterleave3 { .. } => "deinterleave3",
            Self::Interleave3 { .. } => "interleave3",
            Self::Dot { a_signed, b_signed, .. } => {
                pair(a_signed, pair(b_signed, "sdot", "sudot"), pair(b_signed, "usdot", "udot"))
            }
            Self::MatMul { a_signed, b_signed } => {
                pair(a_signed, pair(b_signed, "smmla", "summla"), pair(b_signed, "usmmla", "ummla"))
            }
            Self::Crypto(op) => op.name(),
        }
    }

    /// Element size and width of the operation, where it has them.
    const fn shape(self) -> (Option<Elem>, bool) {
        match self {
            Self::Lane { e, q, .. }
            | Self::AddPairs { e, q, .. }
            | Self::Reduce { e, q, .. }
            | Self::Permute { e, q, .. }
            | Self::Reverse { e, q }
            | Self::Dup { e, q }
            | Self::Deinterleave3 { e, q }
            | Self::Interleave3 { e, q } => (Some(e), q),
            Self::Widen { e, hi, .. } | Self::MulLong { e, hi, .. } | Self::PolyMulLong { e, hi } => {
                (Some(e), hi)
            }
            Self::Narrow { e, .. } => (Some(e), false),
            Self::Logic { q, .. } | Self::Extract { q } | Self::Table { q } | Self::Dot { q, .. } => {
                (Some(Elem::B), q)
            }
            Self::MatMul { .. } => (Some(Elem::B), true),
            Self::Crypto(_) => (None, true),
        }
    }
}

impl fmt::Display for VecOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape() {
            (Some(e), q) => {
                let lanes = if q { 16 } else { 8 } / e.bytes();
                write!(f, "{}.{lanes}{}", self.name(), ["b", "h", "s", "d"][e as usize])
            }
            (None, _) => f.write_str(self.name()),
        }
    }
}

fn logic(op: LogicOp, q: bool) -> VecFn {
    macro_rules! logic {
        ($a:pat, $b:pat, $c:pat, $r:expr) => {
            if q { |_, _, $a, $b, $c| $r } else { |_, _, $a, $b, $c| ($r) & u64::MAX as u128 }
        };
    }
    match op {
        LogicOp::And => logic!(a, b, _, a & b),
        LogicOp::Or => logic!(a, b, _, a | b),
        LogicOp::Xor => logic!(a, b, _, a ^ b),
        LogicOp::AndNot => logic!(a, b, _, a & !b),
        LogicOp::OrNot => logic!(a, b, _, a | !b),
        LogicOp::Not => logic!(a, _, _, !a),
        LogicOp::Select => logic!(a, b, c, a & b | !a & c),
    }
}
