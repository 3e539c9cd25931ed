//! Values that remember which option gave them, for messages.

use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A value and the option that gave it, which is only for messages: two are equal if their values are.
#[derive(Clone, Copy, Debug)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// The option's name, as `--disk`.
    pub option: &'static str,
}

impl<T> Given<T> {
    /// `value`, given with `option`.
    pub fn new(option: &'static str, value: impl Into<T>) -> Self {
        Self { value: value.into(), option }
    }
}

impl<T: PartialEq> PartialEq for Given<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Given<T> {}

impl<T> Deref for Given<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A file of the host.
pub type HostFile = Given<PathBuf>;

impl HostFile {
    /// How messages call the file: `'x.img' given with --disk`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("'{}' given with {}", self.value.display(), self.option)
    }
    /// The path as messages show it.
    #[must_use]
    pub fn shown(&self) -> impl std::fmt::Display + '_ {
        Path::display(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_only_for_messages() {
        assert_eq!(HostFile::new("--disk", "a"), HostFile::new("-drive", "a"));
        assert_eq!(HostFile::new("--disk", "a").describe(), "'a' given with --disk");
    }
}
