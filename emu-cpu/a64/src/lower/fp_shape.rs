//! Which elements an FP encoding works on: the fields `ftype`, `sz`, `size`, `Q` and `immh`.

use super::{Lower, Undefined};
use crate::fp::{Fmt, Lanes};

/// Reads the fields of one class of encodings.
pub(crate) type Shape = fn(&Lower<'_>) -> Result<Lanes, Undefined>;

/// Scalar floating point: `ftype` in bits 23:22.
pub(crate) fn ftype(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    match l.bits(23, 22) {
        0 => Ok(Lanes::S1),
        1 => Ok(Lanes::D1),
        3 => Ok(Lanes::H1),
        _ => Err(Undefined),
    }
}

/// Advanced SIMD scalar, single or double by bit 22.
pub(crate) fn scalar_sd(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(if l.bit(22) { Lanes::D1 } else { Lanes::S1 })
}

/// Advanced SIMD scalar, half precision.
pub(crate) fn scalar_h(_: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(Lanes::H1)
}

/// Advanced SIMD scalar pairwise, single or double by bit 22.
pub(crate) fn pair_sd(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(if l.bit(22) { Lanes::D2 } else { Lanes::S2 })
}

/// Advanced SIMD scalar pairwise, half precision.
pub(crate) fn pair_h(_: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(Lanes::H2)
}

/// Vector, single or double by bit 22, and Q.
pub(crate) fn vector_sd(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    match (l.bit(22), l.bit(30)) {
        (false, false) => Ok(Lanes::S2),
        (false, true) => Ok(Lanes::S4),
        (true, true) => Ok(Lanes::D2),
        (true, false) => Err(Undefined),
    }
}

/// Vector, half precision, and Q.
pub(crate) fn vector_h(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(if l.bit(30) { Lanes::H8 } else { Lanes::H4 })
}

/// Across all single-precision elements of a whole register.
pub(crate) fn across_s(_: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(Lanes::S4)
}

/// Vector of `fmt`, and Q.
pub(crate) fn vector_of(l: &Lower<'_>, fmt: Fmt) -> Result<Lanes, Undefined> {
    match (fmt, l.bit(30)) {
        (Fmt::H, false) => Ok(Lanes::H4),
        (Fmt::H, true) => Ok(Lanes::H8),
        (Fmt::S, false) => Ok(Lanes::S2),
        (Fmt::S, true) => Ok(Lanes::S4),
        (Fmt::D, true) => Ok(Lanes::D2),
        (Fmt::D, false) => Err(Undefined),
    }
}

/// Shift by immediate: the format is the highest set bit of `immh` (bits 22:19).
fn immh_fmt(l: &Lower<'_>) -> Result<Fmt, Undefined> {
    match l.bits(22, 19) {
        0 | 1 => Err(Undefined),
        2 | 3 => Ok(Fmt::H),
        4..=7 => Ok(Fmt::S),
        _ => Ok(Fmt::D),
    }
}

/// Scalar shift by immediate.
pub(crate) fn scalar_immh(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    Ok(immh_fmt(l)?.scalar())
}

/// Vector shift by immediate.
pub(crate) fn vector_immh(l: &Lower<'_>) -> Result<Lanes, Undefined> {
    vector_of(l, immh_fmt(l)?)
}
