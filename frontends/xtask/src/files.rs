//! Reading and writing files; what goes wrong is a sentence that names the file.

use std::fs;
use std::path::Path;

use crate::process::Failure;

/// Makes a directory and those above it, unless they are there.
pub(crate) fn make_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|e| format!("cannot make the directory '{}': {e}", path.display()))
}

/// The contents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| format!("cannot read '{}': {e}", path.display()))
}

/// Writes a file under a temporary name first, so that an interrupted run leaves no half of one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    written.map_err(|e| format!("cannot write '{}': {e}", path.display()))
}
