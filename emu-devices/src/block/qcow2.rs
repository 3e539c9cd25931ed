//! QCOW2 images, through the crate `imago`.

use std::fs::File;
use std::io;
use std::path::Path;

use imago::file::File as ImagoFile;
use imago::qcow2::Qcow2;
use imago::{FormatAccess, FormatDriverBuilder, PermissiveImplicitOpenGate, StorageOpenOptions};
use parking_lot::RwLock;

use super::{BlockBackend, check_range, qcow2_check, refuse_write, whole_sectors};

/// A QCOW2 image with the backing files that its header names, which are opened read-only.
pub struct Qcow2Disk {
    name: String,
    /// Discarding breaks mappings and therefore excludes every other request.
    image: RwLock<FormatAccess<ImagoFile>>,
    len: u64,
    read_only: bool,
}

impl Qcow2Disk {
    /// Opens the image in `file`, which was opened from `path` (backing files are relative to it), with the right to
    /// write unless `read_only`.
    pub fn new(path: &Path, file: File, read_only: bool) -> io::Result<Self> {
        if !read_only {
            qcow2_check::check(&file)?;
        }
        let storage =
            ImagoFile::from_open_file(file, StorageOpenOptions::new().filename(path).write(!read_only))?;
        let qcow2 = Qcow2::<ImagoFile>::builder(storage)
            .write(!read_only)
            .open(PermissiveImplicitOpenGate::default())?;
        let image = FormatAccess::new(qcow2);
        let len = whole_sectors(image.size());
        Ok(Self { name: path.display().to_string(), image: RwLock::new(image), len, read_only })
    }

    fn check_write(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.read_only {
            return Err(refuse_write());
        }
        check_range(self.len, offset, len)
    }
}

impl BlockBackend for Qcow2Disk {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        self.image.read().read(buf, offset)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_write(offset, bytes.len() as u64)?;
        self.image.read().write(bytes, offset)
    }
    fn flush(&self) -> io::Result<()> {
        if self.read_only {
            return Ok(());
        }
        let image = self.image.read();
        // First the format's cached tables go to the file, then the file to the disk.
        image.flush()?;
        image.sync()
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        self.image.write().discard_to_any(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()> {
        self.check_write(offset, len)?;
        if may_unmap {
            self.image.write().discard_to_zero(offset, len)
        } else {
            self.image.read().write_zeroes(offset, len)
        }
    }
}
