//! A predecoded block.

use super::uop::{Call, SpecialAccess, Uop};

/// Where a block may go on, and the block that was last found there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exit {
    /// Relative to the block's first instruction.
    pub rel: i64,
    /// The context serial under which `block` was found; 0 for none.
    pub serial: u64,
    /// Index of the block there.
    pub block: u32,
}

/// A predecoded block of the interpreter.
#[derive(Default)]
#[repr(C)]
pub struct Code {
    /// Up to two known continuations.
    pub exits: [Exit; 2],
    /// Operations; the last one ends the block.
    pub uops: Vec<Uop>,
    /// For each operation, the guest instruction that it belongs to (instruction n is at relative address 4 n).
    pub insn_of: Vec<u16>,
    /// Words of the guest instructions.
    pub words: Vec<u32>,
    /// Accesses that are not plain.
    pub accesses: Vec<SpecialAccess>,
    /// Exact functions.
    pub calls: Vec<Call>,
}

impl Code {
    /// The guest instruction of the operation before the last `rest` ones.
    #[cold]
    pub(super) fn insn_before(&self, rest: usize) -> u16 {
        let at = self.uops.len().saturating_sub(rest + 1);
        self.insn_of.get(at).copied().unwrap_or(0)
    }
}
