//! `/tmp/perf-PID.map`: a line for each piece of code, as perf's documentation has it (tools/perf/Documentation/jit-interface.txt).

use std::io;
use std::path::{Path, PathBuf};

use super::{Records, create, symbol};
use crate::jit::observe::{CodeOrigin, Listener};

/// The file that perf reads when it makes a report.
pub struct Map {
    records: Records,
}

impl Map {
    /// Where perf looks for this process's file.
    #[must_use]
    pub fn path() -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
    }

    /// Begins the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { records: Records::new(create(path)?) })
    }
}

impl Listener for Map {
    fn made(&self, at: u64, bytes: &[u8], what: CodeOrigin) {
        self.records.write(format!("{at:x} {:x} {}\n", bytes.len(), symbol(what)).as_bytes());
    }
}
