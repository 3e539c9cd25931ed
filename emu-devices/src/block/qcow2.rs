//! QCOW2 images, through the crate `imago`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use imago::file::File as ImagoFile;
use imago::{FormatAccess, ShallowMapping};
use parking_lot::{Mutex, RwLock};

use super::qcow2_header::{DIRTY, Header, INCOMPATIBLE};
use super::{BlockBackend, check_range, refuse_write, whole_sectors};

/// Bytes that one step of a discard covers: the tables for more may not exist yet, and are then written.
const DISCARD_STEP: u64 = 1 << 30;

/// What is in an image's tables and not yet on stable storage.
///
/// Tables and reference counts reach the host's disk in any order, so while they may differ the header says so (the dirty
/// bit of version 3): whoever opens the image next counts again. Version 2 has no such bit.
struct Unsettled {
    file: File,
    /// The incompatible features of a version 3 image.
    features: Option<u64>,
    is: Mutex<bool>,
}

impl Unsettled {
    fn new(file: File, header: &Header) -> Self {
        let features = (header.version >= 3).then_some(header.features & !DIRTY);
        Self { file, features, is: Mutex::new(false) }
    }

    /// Before tables change. Called with the image locked, so that no [`Unsettled::end`] comes between.
    fn begin(&self) -> io::Result<()> {
        let mut is = self.is.lock();
        if !*is {
            self.mark(DIRTY)?;
            // What follows must not overtake the mark.
            self.file.sync_data()?;
            *is = true;
        }
        Ok(())
    }

    /// All tables are on stable storage. That the mark goes there, too, is not waited for.
    fn end(&self) -> io::Result<()> {
        self.mark(0)?;
        *self.is.lock() = false;
        Ok(())
    }

    fn mark(&self, bit: u64) -> io::Result<()> {
        match self.features {
            Some(features) => self.file.write_all_at(&(features | bit).to_be_bytes(), INCOMPATIBLE),
            None => Ok(()),
        }
    }
}

/// A QCOW2 image with the files that it refers to.
pub struct Qcow2Disk {
    name: String,
    /// Discarding breaks mappings and therefore excludes every other request; so does writing back the tables.
    image: RwLock<FormatAccess<ImagoFile>>,
    len: u64,
    /// `None` if every write is refused.
    unsettled: Option<Unsettled>,
}

impl Qcow2Disk {
    /// The disk in `image`, which was opened from `path`; to be written if there is `file`, the same one, for the header.
    pub(super) fn new(
        path: &Path,
        image: FormatAccess<ImagoFile>,
        header: &Header,
        file: Option<File>,
    ) -> Self {
        let len = whole_sectors(image.size());
        let unsettled = file.map(|file| Unsettled::new(file, header));
        Self { name: path.display().to_string(), image: RwLock::new(image), len, unsettled }
    }

    fn check_write(&self, offset: u64, len: u64) -> io::Result<&Unsettled> {
        let unsettled = self.unsettled.as_ref().ok_or_else(refuse_write)?;
        check_range(self.len, offset, len)?;
        Ok(unsettled)
    }
}

/// True if the range can be written without a change of any table.
fn is_allocated(image: &FormatAccess<ImagoFile>, mut offset: u64, mut len: u64) -> io::Result<bool> {
    while len > 0 {
        match image.get_shallow_mapping(offset, len)? {
            (ShallowMapping::Raw { writable: true, .. }, n) if n > 0 => {
                offset += n;
                len -= n;
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

impl BlockBackend for Qcow2Disk {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_only(&self) -> bool {
        self.unsettled.is_none()
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        self.image.read().read(buf, offset)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let unsettled = self.check_write(offset, bytes.len() as u64)?;
        let image = self.image.read();
        if !is_allocated(&image, offset, bytes.len() as u64)? {
            unsettled.begin()?;
        }
        image.write(bytes, offset)
    }
    fn flush(&self) -> io::Result<()> {
        let Some(unsettled) = &self.unsettled else { return Ok(()) };
        let image = self.image.write();
        let changed = *unsettled.is.lock();
        if changed {
            // What the tables are going to refer to comes before them.
            image.sync()?;
        }
        // First the format's cached tables go to the file, then the file to the disk.
        image.flush()?;
        image.sync()?;
        if changed { unsettled.end() } else { Ok(()) }
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let unsettled = self.check_write(offset, len)?;
        let mut done = 0;
        while done < len {
            let n = (len - done).min(DISCARD_STEP);
            let mut image = self.image.write();
            unsettled.begin()?;
            image.discard_to_any(offset + done, n)?;
            done += n;
        }
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()> {
        let unsettled = self.check_write(offset, len)?;
        if may_unmap {
            let mut image = self.image.write();
            unsettled.begin()?;
            image.discard_to_zero(offset, len)
        } else {
            let image = self.image.read();
            unsettled.begin()?;
            image.write_zeroes(offset, len)
        }
    }
}

impl Drop for Qcow2Disk {
    fn drop(&mut self) {
        let changed = self.unsettled.as_ref().is_some_and(|u| *u.is.lock());
        if changed && let Err(e) = self.flush() {
            tracing::error!("cannot flush '{}': {e}", self.name);
        }
    }
}
