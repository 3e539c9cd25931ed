//! The words of commands: numbers as C writes them, bytes in hexadecimal and base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes that a command reads or writes at most.
pub(super) const MOST: u64 = 8 << 20;

/// A number: decimal, or hexadecimal behind `0x`, or octal behind `0`.
pub(super) fn number(word: &str) -> Result<u64, String> {
    let parsed = match (word.strip_prefix("0x").or(word.strip_prefix("0X")), word.strip_prefix('0')) {
        (Some(digits), _) => u64::from_str_radix(digits, 16),
        (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8),
        _ => word.parse(),
    };
    // What the standard library takes beside digits is a sign.
    let signed = word.starts_with(['+', '-']) || word.contains("x+");
    parsed.ok().filter(|_| !signed).ok_or_else(|| format!("'{word}' is no number of 64 bits"))
}

/// A number of bytes that a command may have.
pub(super) fn length(word: &str) -> Result<usize, String> {
    match number(word)? {
        n @ 0..=MOST => Ok(n as usize),
        n => Err(format!("{n} bytes are more than the {MOST} of one command")),
    }
}

/// Bytes behind `0x`, two digits each: `len` of them, zeros behind those that are given.
pub(super) fn bytes(word: &str, len: usize) -> Result<Vec<u8>, String> {
    let digits = word.strip_prefix("0x").ok_or_else(|| "data begins with 0x".to_owned())?;
    let wrong = || "data is pairs of hexadecimal digits".to_owned();
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8).ok_or_else(wrong);
    if digits.len() % 2 != 0 {
        return Err(wrong());
    }
    let mut out = Vec::with_capacity(len);
    for pair in digits.as_bytes().chunks_exact(2).take(len) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    out.resize(len, 0);
    Ok(out)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| DIGITS[usize::from(d)] as char);
    "0x".chars().chain(digits).collect()
}

/// As many bytes as are said, in base64; zeros behind those that are given.
pub(super) fn base64(word: &str, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = STANDARD.decode(word).map_err(|e| format!("data is not base64: {e}"))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Bytes in base64.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_c_writes_them() {
        for (word, n) in [("0", 0), ("10", 10), ("0x10", 16), ("0XfF", 255), ("010", 8)] {
            assert_eq!(number(word), Ok(n));
        }
        assert_eq!(number("0xffffffffffffffff"), Ok(u64::MAX));
        for word in ["", "x", "0x", "-1", "+1", "0x+1", "08", "1 ", "0x10000000000000000"] {
            assert_eq!(number(word), Err(format!("'{word}' is no number of 64 bits")));
        }
        assert_eq!((length("0x800000"), length("0x800001").is_err()), (Ok(8 << 20), true));
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes("0x0aFf", 4), Ok(vec![10, 255, 0, 0]));
        assert_eq!(bytes("0x0aFf", 1), Ok(vec![10]));
        assert_eq!((bytes("0x", 0), hex(&[])), (Ok(vec![]), "0x".to_owned()));
        assert_eq!(hex(&[0, 0x1f, 0xe0]), "0x001fe0");
        for wrong in ["", "0aff", "0x1", "0xgg", "0x\u{e4}"] {
            assert!(bytes(wrong, 4).is_err(), "{wrong}");
        }
        assert_eq!((to_base64(b"abc"), base64("YWJj", 5)), ("YWJj".to_owned(), Ok(b"abc\0\0".to_vec())));
        assert!(base64("Y", 4).is_err());
    }
}
