//! Where a port's bytes go.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use crate::config::HostFile;
use crate::error::{UserError, reason, user_error};

/// Takes what the guest sends.
///
/// # Invariant
/// Nobody notices an output before [`Output::begin`]: a command line that is refused has changed nothing.
pub trait Output: Write + Send {
    /// The machine begins.
    fn begin(&mut self) -> Result<(), UserError> {
        Ok(())
    }
}

impl Output for io::Sink {}
impl Output for super::stream::Stream {}

/// A file, which is emptied or made when the machine begins.
pub struct FileOutput {
    name: HostFile,
    /// What it has stays, and output goes behind it.
    append: bool,
    /// None until there is one.
    file: Option<File>,
}

fn refusal(name: &HostFile, e: &io::Error) -> UserError {
    user_error!("cannot create {}: {}", name.describe(), reason(e))
}

impl FileOutput {
    /// Sees whether the file can be written.
    pub fn open(name: &HostFile) -> Result<Self, UserError> {
        Self::of(name, false)
    }

    /// The same for output that goes behind what the file has.
    pub fn append(name: &HostFile) -> Result<Self, UserError> {
        Self::of(name, true)
    }

    fn of(name: &HostFile, append: bool) -> Result<Self, UserError> {
        let path = name.value.as_path();
        let file = match File::options().write(true).append(append).open(path) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                can_be_made(path).map_err(|e| refusal(name, &e))?;
                None
            }
            Err(e) => return Err(refusal(name, &e)),
        };
        Ok(Self { name: name.clone(), append, file })
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

/// Whether a file can be made at `path`, where there is none.
fn can_be_made(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(access(parent, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

impl Write for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl Output for FileOutput {
    fn begin(&mut self) -> Result<(), UserError> {
        let begun = match &self.file {
            Some(_) if self.append => Ok(()),
            // Terminals, pipes and other devices have nothing to empty.
            Some(file) => file.metadata().and_then(|m| if m.is_file() { file.set_len(0) } else { Ok(()) }),
            None => File::create(&self.name.value).map(|file| self.file = Some(file)),
        };
        begun.map_err(|e| refusal(&self.name, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_emptied_when_the_machine_begins_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "of an earlier run").unwrap();
        let mut output = FileOutput::open(&HostFile::new("--serial", path.clone())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"of an earlier run");
        output.begin().unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn output_goes_behind_what_a_file_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for run in [&b"first "[..], b"second"] {
            let mut output = FileOutput::append(&HostFile::new("--serial", path.clone())).unwrap();
            output.begin().unwrap();
            output.write_all(run).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"first second");
    }

    #[test]
    fn a_file_is_made_when_the_machine_begins_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut output = FileOutput::open(&HostFile::new("--serial", path.clone())).unwrap();
        assert!(!path.exists());
        output.begin().unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_cannot_be_made_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| {
            let e = FileOutput::open(&HostFile::new("--serial", path)).err().unwrap();
            e.to_string().replace(&format!("'{}'", path.display()), "it")
        };
        assert_eq!(
            refused(&dir.path().join("no/log")),
            "cannot create it given with --serial: No such file or directory"
        );
        assert_eq!(refused(dir.path()), "cannot create it given with --serial: Is a directory");
    }
}
