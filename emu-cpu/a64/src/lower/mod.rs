//! The meaning of every instruction, written once, as a lowering from its encoding to IR.
//!
//! One file per encoding class. A lowering function reads the fields of `l.word`, emits operations through `l.b`, and
//! returns [`Flow::Next`], or the way the block ends. It returns [`Undefined`] for values of the fields that are not
//! allocated; what it had emitted is then taken back.

pub(crate) mod addsub;
pub(crate) mod atomic;
pub(crate) mod bitfield;
pub(crate) mod branch;
pub(crate) mod cond;
pub(crate) mod crypto;
pub(crate) mod dp;
pub(crate) mod exclusive;
pub(crate) mod flagm;
pub(crate) mod fp_convert;
pub(crate) mod fp_scalar;
pub(crate) mod fp_shape;
pub(crate) mod fp_vector;
mod landing;
pub(crate) mod ldst;
pub(crate) mod logical;
pub(crate) mod mops;
mod operand;
pub(crate) mod pair;
pub(crate) mod pauth;
pub(crate) mod simd_copy;
pub(crate) mod simd_mem;
pub(crate) mod simd_misc;
pub(crate) mod simd_same;
pub(crate) mod simd_shape;
pub(crate) mod simd_shift;
pub(crate) mod system;
#[cfg(test)]
mod tests;
mod translate;
mod vreg;

use crate::features::FeatureSet;
use crate::ir::{Builder, SysEnc, Term, Ty};
use crate::mode::Mode;

pub use translate::translate;

/// The encoding has field values that are UNDEFINED (or UNPREDICTABLE, which we make UNDEFINED too).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undefined;

/// What follows an instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Flow {
    /// The next instruction in the same block.
    Next,
    /// The block ends here.
    End(Term),
}

/// The result of a lowering.
pub type Lowered = Result<Flow, Undefined>;

/// A lowering function.
pub type LowerFn = fn(&mut Lower<'_>) -> Lowered;

/// What a block is made for, beside its mode: what the PE has.
#[derive(Clone, Copy)]
pub struct Implementation {
    /// Its features.
    pub features: FeatureSet,
    /// True if a block ends behind a read of a system register, or else behind a write or a system instruction.
    pub ends_block: fn(enc: SysEnc, read: bool) -> bool,
}

impl Implementation {
    /// One with these features, of whose registers nothing is known but that they can be read: for tests of lowerings.
    #[must_use]
    pub const fn cautious(features: FeatureSet) -> Self {
        Self { features, ends_block: |_, read| !read }
    }
}

/// The context of one lowering.
pub struct Lower<'a> {
    /// Takes the operations.
    pub b: &'a mut Builder,
    /// The instruction.
    pub word: u32,
    /// Its address relative to the block's first instruction.
    pub rel: i64,
    /// What the PE has.
    pub pe: Implementation,
    /// What the block depends on.
    pub mode: Mode,
}

impl Lower<'_> {
    /// Bits `hi:lo` of the instruction.
    #[must_use]
    pub const fn bits(&self, hi: u32, lo: u32) -> u32 {
        self.word >> lo & (u32::MAX >> (31 - (hi - lo)))
    }
    /// Bit `n` of the instruction.
    #[must_use]
    pub const fn bit(&self, n: u32) -> bool {
        self.word >> n & 1 != 0
    }
    /// Bits `hi:lo` as a signed number.
    #[must_use]
    pub const fn signed(&self, hi: u32, lo: u32) -> i64 {
        let width = hi - lo + 1;
        (((self.bits(hi, lo) as u64) << (64 - width)) as i64) >> (64 - width)
    }
    /// Register field at bits 4:0.
    #[must_use]
    pub const fn rd(&self) -> u32 {
        self.bits(4, 0)
    }
    /// Register field at bits 9:5.
    #[must_use]
    pub const fn rn(&self) -> u32 {
        self.bits(9, 5)
    }
    /// Register field at bits 20:16.
    #[must_use]
    pub const fn rm(&self) -> u32 {
        self.bits(20, 16)
    }
    /// Register field at bits 14:10.
    #[must_use]
    pub const fn ra(&self) -> u32 {
        self.bits(14, 10)
    }
    /// The operand type that `sf`, bit 31, chooses: I64 if set, else I32.
    #[must_use]
    pub const fn sf_ty(&self) -> Ty {
        if self.bit(31) { Ty::I64 } else { Ty::I32 }
    }
    /// The relative address of the next instruction.
    #[must_use]
    pub const fn next_rel(&self) -> i64 {
        self.rel + 4
    }
}
