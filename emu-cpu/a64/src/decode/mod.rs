//! The table of A64 encodings.
//!
//! One row per encoding that this CPU knows: its name in Arm's machine-readable specification, its bits, the feature it
//! needs and the function that gives its meaning. Rows live beside each other by class (`table_*.rs`); [`find`] looks a
//! word up. What is not in the table, or whose feature the CPU model lacks, is UNDEFINED.

mod find;
pub mod table_fp;
pub mod table_int;
pub mod table_ldst;
pub mod table_mops;
pub mod table_pauth;
pub mod table_simd;
pub mod table_sys;

use crate::features::Feat;
use crate::lower::LowerFn;

pub use find::find;

/// All rows, class by class.
pub const TABLES: &[&[EncodingRow]] = &[
    table_int::ROWS,
    table_ldst::ROWS,
    table_sys::ROWS,
    table_fp::ROWS,
    table_simd::ROWS,
    table_pauth::ROWS,
    table_mops::ROWS,
];

/// One encoding.
#[derive(Clone, Copy)]
pub struct EncodingRow {
    /// Name in Arm's machine-readable specification, as `ADD_32_addsub_imm`; several encodings that differ only in a
    /// size bit may share a row, which then has the name of the first and a wider pattern.
    pub name: &'static str,
    /// Bits that are fixed.
    pub mask: u32,
    /// Their values.
    pub value: u32,
    /// The feature that the encoding belongs to.
    pub feat: Feat,
    /// True if the instruction uses the SIMD&FP registers (and so is trapped by CPACR_EL1 and CPTR_EL2).
    pub fp: bool,
    /// Its meaning.
    pub lower: LowerFn,
}

/// A row from a pattern of 32 characters `0`, `1` and (for variable bits) `x`; spaces and underscores are ignored.
#[must_use]
pub const fn row(name: &'static str, pattern: &str, feat: Feat, lower: LowerFn) -> EncodingRow {
    let (mask, value) = parse(pattern);
    EncodingRow { name, mask, value, feat, fp: false, lower }
}

/// As [`row`], for an instruction that uses the SIMD&FP registers.
#[must_use]
pub const fn fp_row(name: &'static str, pattern: &str, feat: Feat, lower: LowerFn) -> EncodingRow {
    let (mask, value) = parse(pattern);
    EncodingRow { name, mask, value, feat, fp: true, lower }
}

const fn parse(pattern: &str) -> (u32, u32) {
    let bytes = pattern.as_bytes();
    let (mut mask, mut value, mut n, mut i) = (0u32, 0u32, 0, 0);
    while i < bytes.len() {
        let (m, v) = match bytes[i] {
            b'0' => (1, 0),
            b'1' => (1, 1),
            b'x' => (0, 0),
            b' ' | b'_' => {
                i += 1;
                continue;
            }
            _ => panic!("a pattern is made of 0, 1, x, spaces and underscores"),
        };
        mask = mask << 1 | m;
        value = value << 1 | v;
        n += 1;
        i += 1;
    }
    assert!(n == 32, "a pattern has 32 bits");
    (mask, value)
}
