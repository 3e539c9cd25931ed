//! Numbers and sizes as people write them on a command line.

use crate::error::{UserError, user_error};

/// An address or count: decimal, or hexadecimal after `0x`; `_` may separate digits.
pub fn parse_u64(text: &str) -> Result<u64, UserError> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    match parsed {
        // `from_str_radix` would also take a sign.
        Ok(n) if !digits.contains(['+', '-']) => Ok(n),
        _ => Err(user_error!("'{text}' is not a number (say 4096 or 0x1000)")),
    }
}

/// A size: a number with K, M, G or T for powers of 1024 (`512M`, `2G`, also `2GiB`), or with `B` or nothing for bytes.
/// `bare_unit` is what a number without a suffix counts in, where a bare number is allowed.
pub fn parse_size(text: &str, bare_unit: Option<u64>) -> Result<u64, UserError> {
    let wrong = || user_error!("'{text}' is not a size (say 512M or 2G)");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let unit = match suffix.to_ascii_uppercase().as_str() {
        "" => bare_unit.ok_or_else(|| user_error!("'{text}' needs a unit (say {text}M or {text}G)"))?,
        "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    match number.split_once('.') {
        None => number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong),
        Some((whole, fraction)) => fractional(whole, fraction, unit).ok_or_else(wrong),
    }
}

/// `whole.fraction` units, if that is a whole number of bytes.
fn fractional(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let scale = 10u64.checked_pow(fraction.len().try_into().ok()?)?;
    let part = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    (part % scale == 0).then_some(())?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(part / scale)
}

/// A size in the unit that reads best: `64 MiB`, `1.5 GiB`, `100 bytes`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = (u128::from(bytes) * 10 / u128::from(unit)) as u64;
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                t => format!("{}.{t} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(parse_u64("0x4000_0000"), Ok(0x4000_0000));
        assert_eq!(parse_u64("12"), Ok(12));
        for bad in ["", "0x", "-1", "+1", "0x+1", "12k", "0x1_0000_0000_0000_0000"] {
            assert!(parse_u64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("512M", None), Ok(512 << 20));
        assert_eq!(parse_size("2g", None), Ok(2 << 30));
        assert_eq!(parse_size("1.5GiB", None), Ok(3 << 29));
        assert_eq!(parse_size("4096B", None), Ok(4096));
        assert_eq!(parse_size("128", Some(1 << 20)), Ok(128 << 20));
        assert_eq!(parse_size("128", None), Err(user_error!("'128' needs a unit (say 128M or 128G)")));
        for bad in ["", "G", "1X", "99999999999T", "1.0000000001K", "-1G", "1..5G", ".G", "1.G"] {
            assert!(parse_size(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(show_size(100), "100 bytes");
        assert_eq!(show_size(64 << 20), "64 MiB");
        assert_eq!(show_size(3 << 29), "1.5 GiB");
    }
}
