//! The host's errors in words.

use std::fmt::Display;

/// What went wrong, without the numbers in parentheses that Rust adds to the host's errors, wherever in the text they are.
#[must_use]
pub fn reason(error: &impl Display) -> String {
    const OPENING: &str = " (os error ";
    let (text, mut out) = (error.to_string(), String::new());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(OPENING) {
        out.push_str(before);
        rest = after
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')
            .strip_prefix(')')
            .unwrap_or_else(|| {
                out.push_str(OPENING);
                after
            });
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_reason_has_no_number() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(reason(&io::Error::other("odd")), "odd");
        let nested = format!("cannot open 'a (os error x)': {}", io::Error::from_raw_os_error(13));
        assert_eq!(reason(&nested), "cannot open 'a (os error x)': Permission denied", "only numbers");
        let two = format!("{}; {}!", io::Error::from_raw_os_error(2), io::Error::from_raw_os_error(28));
        assert_eq!(reason(&two), "No such file or directory; No space left on device!");
    }
}
