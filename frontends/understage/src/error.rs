//! What is told to the user: one sentence that names the option or the file, and the exit status.

use thiserror::Error;

/// Something that the user asked for cannot be done. Printed as `understage: <sentence>`; nothing was run or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UserError(String);

impl UserError {
    /// An error that reads `sentence`: lower case, no full stop.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Makes a [`UserError`] in the words of `format!`.
#[macro_export]
macro_rules! user_error {
    ($($arg:tt)*) => { $crate::error::UserError::new(format!($($arg)*)) };
}

/// The exit status of a command line or file that cannot be used.
pub const STATUS_USAGE: u8 = 2;

pub use emu_core::host::reason;
