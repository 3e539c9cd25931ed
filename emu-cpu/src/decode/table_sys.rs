//! System, hint, barrier and exception-generating encodings.

use super::Row;

/// The rows.
pub const ROWS: &[Row] = &[];
