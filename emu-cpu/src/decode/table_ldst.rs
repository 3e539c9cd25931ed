//! Load and store encodings.

use super::Row;

/// The rows.
pub const ROWS: &[Row] = &[];
