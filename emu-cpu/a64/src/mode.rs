//! What translated code depends on beside its instructions.

use crate::level::El;

/// What the code of a block depends on beside its instructions. Part of the key that blocks are cached under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mode {
    /// Current Exception level.
    pub el: El,
    /// The SIMD&FP registers may be used; else each such instruction ends the block with [`crate::ir::ExcOp::FpAccess`].
    pub fp_enabled: bool,
    /// FPCR asks for nothing but the defaults: round to nearest even, no flushing, NaNs propagated.
    pub fp_plain: bool,
    /// The code is in a guarded page (FEAT_BTI). Known when the code is fetched.
    pub guarded: bool,
    /// PSTATE.BTYPE before the first instruction.
    pub btype: u8,
    /// The instructions of FEAT_MOPS are not UNDEFINED (HCRX_EL2.MSCEn, SCTLR_ELx.MSCEn).
    pub mops: bool,
    /// `btype` is 0b11 and SCTLR_ELx.BT0 or BT1 says that PACIASP and PACIBSP do not expect that.
    pub strict: bool,
    /// Every access must be aligned to its elements (SCTLR_ELx.A).
    pub aligned: bool,
    /// Memory accesses are counted, for an event of the performance monitors.
    pub counts_accesses: bool,
}
