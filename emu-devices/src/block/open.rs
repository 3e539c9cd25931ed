//! Opening an image by its path.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::{BlockBackend, Overlay, RawFile, Scratch, chain};
use crate::hostfile::{self, Claim};

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
    /// An image of a kind that is not read.
    #[error("the disk image '{path}' {what}, which is not supported")]
    Feature {
        /// The file.
        path: String,
        /// What it is, as a verb and its object.
        what: String,
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
    (0, b"QFI\xfb\0\0\0\x01", "qcow (version 1)", None),
    // Which of the later versions are read, the header's reader says.
    (0, b"QFI\xfb", "qcow2", Some(Format::Qcow2)),
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

/// Opens the image at `path`. The host's file, and each that it refers to, is locked for as long as the disk lives.
pub fn open(path: &Path, options: OpenOptions) -> Result<Arc<dyn BlockBackend>, OpenError> {
    let name = path.display().to_string();
    let read_only = options.read_only || options.snapshot;
    let refused = |source| OpenError::Open { path: name.clone(), source };

    let (mut file, identity) = hostfile::open(path, !read_only).map_err(refused)?;
    lock(&file, if read_only { Claim::Read } else { Claim::Write }, path)?;
    let format = match options.format {
        Some(f) => f,
        None => probe(&file, path)?,
    };
    let image: Arc<dyn BlockBackend> = match format {
        Format::Raw => {
            let len = file.seek(SeekFrom::End(0)).map_err(refused)?;
            let guessed = options.format.is_none();
            Arc::new(RawFile::new(&name, file, len, read_only, guessed))
        }
        Format::Qcow2 => {
            if !read_only {
                lock(&file, Claim::WriteAndGrow, path)?;
            }
            Arc::new(chain::open(path, file, identity, !read_only)?)
        }
    };
    if options.snapshot && !options.read_only {
        let scratch = Scratch::file().map_err(|source| OpenError::Scratch { path: name.clone(), source })?;
        return Ok(Arc::new(Overlay::new(image, scratch)));
    }
    Ok(image)
}

/// Claims a file, as long as it is open.
pub(super) fn lock(file: &File, claim: Claim, path: &Path) -> Result<(), OpenError> {
    let path = || path.display().to_string();
    match hostfile::lock(file, claim) {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::InUse { path: path() }),
        Err(source) => Err(OpenError::Open { path: path(), source }),
    }
}

/// The format that a file's magic number says.
pub(super) fn probe(file: &File, path: &Path) -> Result<Format, OpenError> {
    let path = || path.display().to_string();
    let mut head = [0; PROBE];
    let mut have = 0;
    while have < PROBE {
        match file.read_at(&mut head[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(OpenError::Open { path: path(), source }),
        }
    }
    match foreign_magic(&head[..have]) {
        None => Ok(Format::Raw),
        Some((_, Some(format))) => Ok(format),
        Some((format, None)) => Err(OpenError::Unsupported { path: path(), format }),
    }
}
