//! Scalar and vector floating-point encodings.

use super::Row;

/// The rows.
pub const ROWS: &[Row] = &[];
