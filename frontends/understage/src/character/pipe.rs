//! Named pipes.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::link::{Connector, Wire};
use crate::config::HostFile;
use crate::error::{UserError, reason, user_error};

/// Two pipes, or one for both directions. Somebody is always there: what nobody reads waits in the pipe.
pub struct Pipe(Option<Wire>);

/// Opens a pipe for both directions, so that neither opening nor reading depends on the other side.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    match file.metadata()?.file_type().is_fifo() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a named pipe")),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Pipe {
    /// Opens `PATH.in` and `PATH.out` if there are both, and `PATH` otherwise.
    pub fn open(path: &HostFile) -> Result<Self, UserError> {
        let pair = open(&with_suffix(&path.value, ".in"))
            .and_then(|i| Ok((i, open(&with_suffix(&path.value, ".out"))?)));
        let ends = match pair {
            Ok(pair) => Ok(pair),
            Err(_) => open(&path.value).and_then(|both| Ok((both.try_clone()?, both))),
        };
        let wire = ends.and_then(|(input, output)| Wire::new(input, output, false));
        let wire =
            wire.map_err(|e| user_error!("cannot open the pipe {}: {}", path.describe(), reason(&e)))?;
        Ok(Self(Some(wire)))
    }
}

impl Connector for Pipe {
    fn next(&mut self) -> Option<Wire> {
        self.0.take()
    }
}
