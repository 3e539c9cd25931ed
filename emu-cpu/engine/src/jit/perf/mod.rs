//! The files from which Linux's `perf` knows translated code.
//!
//! A [`Map`] is enough to see names in a report. A [`Dump`] also has the code itself, and times: what stood at an
//! address when a sample was taken, though the code cache was emptied since.
//!
//! What cannot be written is logged once: an observer that fails is no reason to end the machine.

mod dump;
mod map;

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::observe::CodeOrigin;

pub use dump::Dump;
pub use map::Map;

/// How a report calls a piece of code.
fn symbol(what: CodeOrigin) -> String {
    match what {
        CodeOrigin::Shared => "understage:shared".to_owned(),
        CodeOrigin::Block { pc, el } => format!("el{}:{pc:016x}", u8::from(el)),
    }
}

/// A file that is written whole records at a time, by several threads.
struct Records {
    file: File,
    failed: AtomicBool,
}

impl Records {
    fn new(file: File) -> Self {
        Self { file, failed: AtomicBool::new(false) }
    }

    fn write(&self, record: &[u8]) {
        if self.failed.load(Relaxed) {
            return;
        }
        // One system call for each record (files are opened for appending), so that records of two threads never mix.
        if let Err(e) = (&self.file).write_all(record)
            && !self.failed.swap(true, Relaxed)
        {
            tracing::warn!("the file for perf is incomplete from here on: {}", emu_core::host::reason(&e));
        }
    }
}

/// A new file, or an old one emptied.
fn create(path: &std::path::Path) -> io::Result<File> {
    // Appending cannot be combined with emptying by one call.
    File::create(path)?;
    File::options().read(true).append(true).open(path)
}

#[cfg(test)]
mod tests;
