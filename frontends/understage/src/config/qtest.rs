//! Devices that are driven from outside.

use super::{CharBackend, HostFile};

/// Who drives them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qtest {
    /// Where commands come from.
    pub client: CharBackend,
    /// Where it is written what was said.
    pub log: QtestLog,
}

/// Where it is written what a client and the machine said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum QtestLog {
    /// Standard error.
    #[default]
    StandardError,
    /// Nowhere.
    Nowhere,
    /// A file, which is emptied first.
    File(HostFile),
}
