//! The fields of PSTATE that MSR (immediate) writes (Arm ARM, C6.2, MSR (immediate)): one row for each.

use super::text::words;
use crate::features::Feat;

words! {
    /// A field of MSR (immediate).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    #[allow(missing_docs, reason = "the architecture's names")]
    pub enum PstateField {
        SpSel,
        DaifSet,
        DaifClr,
        Pan,
        Uao,
        Dit,
        Ssbs,
    }
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub struct PstateRow {
    /// The field.
    pub field: PstateField,
    /// op1 of its encoding.
    pub op1: u32,
    /// op2 of its encoding.
    pub op2: u32,
    /// Needed; else UNDEFINED.
    pub feat: Feat,
    /// It can be named at EL0; else UNDEFINED there.
    pub el0: bool,
    /// Code behind a write is translated differently, or may take an interrupt: a block ends.
    pub ends_block: bool,
    /// A write can be done a second time with the same result, after registers are put back.
    pub repeatable: bool,
}

/// The rows, in the order of the fields.
pub const PSTATE_FIELDS: [PstateRow; 7] = [
    row(PstateField::SpSel, 0, 5, Feat::Base),
    // At EL0 SCTLR_EL1.UMA decides: the PE checks it. Masking more lets nothing happen.
    row(PstateField::DaifSet, 3, 6, Feat::Base).el0().no_effect().repeatable(),
    row(PstateField::DaifClr, 3, 7, Feat::Base).el0().repeatable(),
    row(PstateField::Pan, 0, 4, Feat::Pan),
    row(PstateField::Uao, 0, 3, Feat::Uao),
    row(PstateField::Dit, 3, 2, Feat::Dit).el0().no_effect(),
    row(PstateField::Ssbs, 3, 1, Feat::Ssbs2).el0().no_effect(),
];

const _: () = {
    let mut i = 0;
    while i < PSTATE_FIELDS.len() {
        assert!(PSTATE_FIELDS[i].field as usize == i, "the rows are in the order of the fields");
        i += 1;
    }
};

const fn row(field: PstateField, op1: u32, op2: u32, feat: Feat) -> PstateRow {
    PstateRow { field, op1, op2, feat, el0: false, ends_block: true, repeatable: false }
}

impl PstateRow {
    const fn el0(self) -> Self {
        Self { el0: true, ..self }
    }
    /// A write changes nothing for running code.
    const fn no_effect(self) -> Self {
        Self { ends_block: false, ..self }
    }
    const fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }
}

impl PstateField {
    /// What is known of it.
    #[must_use]
    pub const fn row(self) -> &'static PstateRow {
        const ROWS: &[PstateRow; 7] = &PSTATE_FIELDS;
        &ROWS[self as usize]
    }
}
