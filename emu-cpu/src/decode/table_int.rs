//! Data-processing and branch encodings.

use super::Row;

/// The rows.
pub const ROWS: &[Row] = &[];
