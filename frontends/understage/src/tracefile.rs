//! Where the lines go that are told of what a machine does.

use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Tracing;
use crate::error::{UserError, reason, user_error};
use crate::out::Stderr;

/// The file, from the moment at which the machine is put together.
static FILE: OnceLock<File> = OnceLock::new();

/// Makes the file of `wanted`, which may stay empty. Not before all that can be refused has been looked at.
pub fn open(wanted: &Tracing) -> Result<(), UserError> {
    let Some(file) = &wanted.file else { return Ok(()) };
    let made = File::create(&file.value)
        .map_err(|e| user_error!("cannot write {}: {}", file.describe(), reason(&e)))?;
    // A second machine in one process writes where the first one does.
    let _ = FILE.set(made);
    Ok(())
}

/// Writes lines to the file. Nobody is told if they cannot be written.
#[derive(Clone, Copy)]
struct ToFile;

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // One write for each line: lines of several threads do not mix, and none is lost at an abrupt end.
        if let Some(mut file) = FILE.get() {
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What of `wanted` is told, as a part of the log; `None` if there is nothing.
#[must_use]
pub fn layer<S>(wanted: &Tracing) -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if wanted.categories.is_empty() {
        return None;
    }
    let to_file = wanted.file.is_some();
    let writer = move || -> Box<dyn Write> { if to_file { Box::new(ToFile) } else { Box::new(Stderr) } };
    let targets = wanted.categories.iter().map(|c| (c.name(), LevelFilter::TRACE));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .without_time()
        .with_level(false)
        .log_internal_errors(false)
        .with_filter(targets.collect::<Targets>());
    Some(Box::new(lines))
}
