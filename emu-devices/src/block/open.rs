//! Opening an image by its path.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::{BlockBackend, Overlay, Qcow2Disk, RawFile, Scratch};

/// The format of an image file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The file is the disk.
    Raw,
    /// QEMU's copy-on-write format, versions 2 and 3.
    Qcow2,
}

/// How to open an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenOptions {
    /// The format; `None` looks at the file's magic number and takes a file without one as raw.
    pub format: Option<Format>,
    /// Refuse every write.
    pub read_only: bool,
    /// Let the guest write, but keep the changes apart and drop them at the end. The image is opened read-only.
    pub snapshot: bool,
}

/// Why an image could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The host refused.
    #[error("cannot open the disk image '{path}': {source}")]
    Open {
        /// The file.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// A format that is known by its magic number, but not read.
    #[error(
        "the disk image '{path}' is in {format} format, which is not supported; convert it to qcow2 or raw"
    )]
    Unsupported {
        /// The file.
        path: String,
        /// Name of the format.
        format: &'static str,
    },
    /// Another process writes to it, or uses it while we want to write.
    #[error(
        "the disk image '{path}' is in use by another process; open it read-only or as a snapshot, or stop that one"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// The image contradicts itself.
    #[error("cannot use '{path}' as a {format} disk image: {source}")]
    Broken {
        /// The file.
        path: String,
        /// Name of the format.
        format: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// No place for the changes of a snapshot.
    #[error("cannot make a temporary file for the changes to '{path}': {source}")]
    Scratch {
        /// The file.
        path: String,
        /// What the host said.
        source: io::Error,
    },
}

/// Magic numbers: offset in the file, bytes, name of the format, the format if we read it.
const MAGIC: &[(usize, &[u8], &str, Option<Format>)] = &[
    (0, b"QFI\xfb\0\0\0\x02", "qcow2", Some(Format::Qcow2)),
    (0, b"QFI\xfb\0\0\0\x03", "qcow2", Some(Format::Qcow2)),
    (0, b"QFI\xfb", "qcow (version 1)", None),
    (0, b"QED\0", "QED", None),
    (0, b"KDMV", "VMDK", None),
    (0, b"COWD", "VMDK", None),
    (0, b"# Disk DescriptorFile", "VMDK", None),
    (0, b"conectix", "VPC/VHD", None),
    (0, b"vhdxfile", "VHDX", None),
    (0, b"LUKS\xba\xbe", "LUKS", None),
    (0x40, b"\x7f\x10\xda\xbe", "VDI", None),
];

/// How much of a file is needed to see every magic number.
const PROBE: usize = 0x48;

/// The image format whose magic number `head` carries: its name, and the format if we read it.
pub(super) fn foreign_magic(head: &[u8]) -> Option<(&'static str, Option<Format>)> {
    let fits = |(at, magic): (usize, &[u8])| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    MAGIC.iter().find(|row| fits((row.0, row.1))).map(|row| (row.2, row.3))
}

/// Opens the image at `path`. The host's file is locked against other writers for as long as the disk lives.
pub fn open(path: &Path, options: OpenOptions) -> Result<Arc<dyn BlockBackend>, OpenError> {
    let name = path.display().to_string();
    let read_only = options.read_only || options.snapshot;
    let broken = |format| {
        let path = name.clone();
        move |source| OpenError::Broken { path, format, source }
    };
    let refused = |source| OpenError::Open { path: name.clone(), source };

    let mut file = File::options().read(true).write(!read_only).open(path).map_err(refused)?;
    if file.metadata().map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::IsADirectory.into()));
    }
    lock(&file, read_only).map_err(|()| OpenError::InUse { path: name.clone() })?;
    let len = file.seek(SeekFrom::End(0)).map_err(refused)?;
    let format = match options.format {
        Some(f) => f,
        None => probe(&file, &name)?,
    };
    let image: Arc<dyn BlockBackend> = match format {
        Format::Raw => {
            let guessed = options.format.is_none();
            Arc::new(RawFile::new(&name, file, len, read_only, guessed))
        }
        Format::Qcow2 => Arc::new(Qcow2Disk::new(path, file, read_only).map_err(broken("qcow2"))?),
    };
    if options.snapshot && !options.read_only {
        let scratch = Scratch::file().map_err(|source| OpenError::Scratch { path: name.clone(), source })?;
        return Ok(Arc::new(Overlay::new(image, scratch)));
    }
    Ok(image)
}

/// Takes the host's advisory lock: shared to read, exclusive to write. A file system without locks is used unlocked.
fn lock(file: &File, read_only: bool) -> Result<(), ()> {
    let taken = if read_only { file.try_lock_shared() } else { file.try_lock() };
    match taken {
        Err(TryLockError::WouldBlock) => Err(()),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn probe(file: &File, name: &str) -> Result<Format, OpenError> {
    let mut head = [0; PROBE];
    let mut have = 0;
    while have < PROBE {
        match file.read_at(&mut head[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(OpenError::Open { path: name.to_owned(), source }),
        }
    }
    match foreign_magic(&head[..have]) {
        None => Ok(Format::Raw),
        Some((_, Some(format))) => Ok(format),
        Some((format, None)) => Err(OpenError::Unsupported { path: name.to_owned(), format }),
    }
}
