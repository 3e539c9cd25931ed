//! What is told to the user: one sentence that names the option or the file.

use thiserror::Error;

/// Something that the user asked for cannot be done. Printed as `understage: <sentence>`; nothing was run or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UserError(String);

impl UserError {
    /// An error that reads `sentence`: lower case, no full stop. What is quoted in it may have any characters, and the
    /// sentence has one line and does nothing to a terminal.
    pub fn new(sentence: impl Into<String>) -> Self {
        let mut shown = String::new();
        for c in sentence.into().chars() {
            match c.is_control() {
                true => shown.extend(c.escape_default()),
                false => shown.push(c),
            }
        }
        Self(shown)
    }
}

/// Makes a [`UserError`] in the words of `format!`.
macro_rules! user_error {
    ($($arg:tt)*) => { $crate::error::UserError::new(format!($($arg)*)) };
}
pub(crate) use user_error;

pub use emu_core::host::reason;

#[cfg(test)]
mod tests {
    #[test]
    fn a_sentence_is_one_line_whatever_it_quotes() {
        let e = user_error!("cannot open '{}'", "a\nb\x1b[31m\u{85}\u{e9}");
        assert_eq!(e.to_string(), "cannot open 'a\\nb\\u{1b}[31m\\u{85}\u{e9}'");
    }
}
