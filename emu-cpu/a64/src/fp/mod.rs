//! Exact floating point, behind the operations [`FpOp`] of the IR.
//!
//! | module | what lives there |
//! |---|---|
//! | `format` | the formats: half, single, double, BFloat16 |
//! | `soft` | taking numbers apart, rounding, NaN rules: the shared pseudocode functions of the Arm ARM |
//! | `soft_arith`, `soft_compare`, `soft_convert`, `soft_estimate` | the operations on one element |
//! | `bf16` | the BFloat16 dot product with its own arithmetic |
//! | `host` | the same results from the host's FPU where no flag or special value can be involved |
//! | `lanes` | loops over the elements of a vector |
//! | `op` | [`FpOp`] and the function behind each of its values |
//!
//! FEAT_AFP and FEAT_EBF16 are not implemented: FPCR.{AH, FIZ, NEP, EBF} are RES0. The trap enables of FPCR are RAZ/WI.

mod bf16;
mod format;
mod host;
mod lanes;
mod op;
mod soft;
mod soft_arith;
mod soft_compare;
mod soft_convert;
mod soft_estimate;

#[cfg(test)]
mod tests;

pub use op::{BinFp, Fmt, FoldFp, FpOp, FusedFp, IntFmt, Lanes, UnFp};

/// Bits of FPCR (Arm ARM, C5.2.8) that have an effect here.
pub mod fpcr {
    /// Half precision without infinities and NaNs in conversions.
    pub const AHP: u32 = 1 << 26;
    /// Every NaN result is the default NaN.
    pub const DN: u32 = 1 << 25;
    /// Denormal single and double operands and results are flushed to zero.
    pub const FZ: u32 = 1 << 24;
    /// Rounding mode, 2 bits.
    pub const RMODE: u32 = 3 << 22;
    /// Position of the rounding mode.
    pub const RMODE_SHIFT: u32 = 22;
    /// Denormal half-precision operands and results are flushed to zero.
    pub const FZ16: u32 = 1 << 19;
    /// All that makes single or double precision differ from IEEE 754 with its default rounding.
    pub const NOT_PLAIN: u32 = DN | FZ | RMODE;
}

/// Cumulative exception bits of FPSR (Arm ARM, C5.2.10).
pub mod fpsr {
    /// Invalid operation.
    pub const IOC: u32 = 1 << 0;
    /// Division by zero.
    pub const DZC: u32 = 1 << 1;
    /// Overflow.
    pub const OFC: u32 = 1 << 2;
    /// Underflow.
    pub const UFC: u32 = 1 << 3;
    /// Inexact.
    pub const IXC: u32 = 1 << 4;
    /// Input denormal.
    pub const IDC: u32 = 1 << 7;
}

/// How a value between two representable ones is rounded (Arm ARM, shared pseudocode `FPRounding`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even.
    TieEven = 0,
    /// Towards plus infinity.
    PlusInf = 1,
    /// Towards minus infinity.
    MinusInf = 2,
    /// Towards zero.
    Zero = 3,
    /// To nearest, ties away from zero.
    TieAway = 4,
    /// To odd: the last bit is set if anything was lost (FCVTXN).
    Odd = 5,
    /// To odd, but overflow gives infinity (BFDOT and BFMMLA).
    OddInf = 6,
}

impl Rounding {
    /// The immediate that stands for "what FPCR.RMode says".
    pub const BY_FPCR: u32 = 7;

    /// From the immediate of an operation: one of the modes, or [`Rounding::BY_FPCR`].
    #[must_use]
    pub const fn from_imm(imm: u32, env: &FpEnv) -> Self {
        match imm & 7 {
            0 => Self::TieEven,
            1 => Self::PlusInf,
            2 => Self::MinusInf,
            3 => Self::Zero,
            4 => Self::TieAway,
            5 => Self::Odd,
            6 => Self::OddInf,
            _ => env.rounding(),
        }
    }
}

/// What floating-point operations read and accumulate into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FpEnv {
    /// FPCR (Arm ARM, C5.2.8).
    pub fpcr: u32,
    /// FPSR (Arm ARM, C5.2.10): cumulative bits are only ever set.
    pub fpsr: u32,
}

impl FpEnv {
    /// FPCR.RMode.
    #[inline]
    #[must_use]
    pub const fn rounding(&self) -> Rounding {
        match self.fpcr & fpcr::RMODE {
            0 => Rounding::TieEven,
            m if m == 1 << fpcr::RMODE_SHIFT => Rounding::PlusInf,
            m if m == 2 << fpcr::RMODE_SHIFT => Rounding::MinusInf,
            _ => Rounding::Zero,
        }
    }

    /// Sets cumulative exception bits of FPSR.
    #[inline]
    pub(crate) const fn raise(&mut self, flags: u32) {
        self.fpsr |= flags;
    }

    /// True if all these FPCR bits are set.
    #[inline]
    pub(crate) const fn is(&self, bit: u32) -> bool {
        self.fpcr & bit != 0
    }
}

/// The exact function behind an [`FpOp`] or a [`crate::simd::VecOp`]: environment, immediate, operands (unused ones 0).
pub type VecFn = fn(&mut FpEnv, u32, u128, u128, u128) -> u128;
