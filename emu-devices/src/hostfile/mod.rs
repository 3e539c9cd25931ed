//! Files of the host that hold what a machine has: disk images and the contents of flash.
//!
//! # Invariants
//! - Opening one never waits: what is neither a regular file nor a block device is refused, and a FIFO without a writer
//!   is not waited for.
//! - A file is locked for as long as it is open, in the way in which QEMU locks it, so that neither of the two programs
//!   writes what the other one uses.

mod lock;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

pub use lock::{Claim, lock};

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// Refuses what is not storage.
fn check_kind(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let name = match () {
        () if kind.is_file() || kind.is_block_device() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_char_device() => "a character device",
        () => "a socket",
    };
    let why = format!("it is {name}, and neither a regular file nor a block device");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// Opens a regular file or a block device for reading, and for writing with `write`.
pub fn open(path: &Path, write: bool) -> io::Result<(File, Identity)> {
    // Opening some devices has effects, so the name is looked at first; what it was then counts for nothing.
    check_kind(&std::fs::metadata(path)?)?;
    let no_wait = OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).write(write).custom_flags(no_wait).open(path)?;
    let metadata = file.metadata()?;
    check_kind(&metadata)?;
    let identity = if metadata.file_type().is_block_device() {
        // Several nodes may stand for one device.
        Identity { device: u64::MAX, inode: metadata.rdev() }
    } else {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    };
    Ok((file, identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_not_storage_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let expected = [
            (at("fifo"), "it is a FIFO"),
            (at("socket"), "it is a socket"),
            (dir.path().to_owned(), "it is a directory"),
            ("/dev/null".into(), "it is a character device"),
        ];
        for (path, why) in expected {
            for write in [false, true] {
                let e = open(&path, write).unwrap_err().to_string();
                assert!(e.starts_with(why), "{}: {e}", path.display());
            }
        }
    }

    #[test]
    fn identity_is_not_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, b"x").unwrap();
        std::os::unix::fs::symlink(&a, &b).unwrap();
        assert_eq!(open(&a, false).unwrap().1, open(&b, true).unwrap().1);
        std::fs::write(dir.path().join("c"), b"x").unwrap();
        assert_ne!(open(&a, false).unwrap().1, open(&dir.path().join("c"), false).unwrap().1);
    }
}
