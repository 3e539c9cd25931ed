//! AdvSIMD integer, structure load/store and cryptographic encodings.

use super::Row;

/// The rows.
pub const ROWS: &[Row] = &[];
