//! Raw images: the file is the disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use rustix::io::ReadWriteFlags;

use super::open::foreign_magic;
use super::{BlockBackend, check_range, refuse_write, whole_sectors};

/// Zeros are written in pieces of this many bytes.
const ZERO_PIECE: usize = 64 << 10;
/// Bytes of a page of the host's cache, or a multiple of it.
const PAGE: u64 = 4096;
/// The largest write that is made on the thread that asks.
const SHORT: usize = 256 << 10;

/// An image file whose byte *n* is the disk's byte *n*. A last sector that the file holds in part reads as if filled
/// up with zeros.
pub struct RawFile {
    name: String,
    file: File,
    len: AtomicU64,
    read_only: bool,
    guard_magic: bool,
}

impl RawFile {
    /// The disk in `file`, which holds `file_len` bytes.
    ///
    /// With `guard_magic` the guest may not write the magic number of another image format at the start of the disk:
    /// for images whose format was guessed, because the next guess would then take the guest's word for what the image
    /// is, and for which files of the host it refers to.
    #[must_use]
    pub fn new(name: &str, file: File, file_len: u64, read_only: bool, guard_magic: bool) -> Self {
        let len = AtomicU64::new(whole_sectors(file_len));
        Self { name: name.to_owned(), file, len, read_only, guard_magic }
    }

    /// Changes how a range is stored; false if the host cannot do that to this file.
    fn allocate(&self, how: FallocateFlags, offset: u64, len: u64) -> io::Result<bool> {
        if len == 0 {
            return Ok(true);
        }
        // Where the file ends in the middle of a sector, it stays as long as it is.
        let how = how | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        loop {
            match fallocate(&self.file, how, offset as i64, len as i64) {
                Ok(()) => return Ok(true),
                Err(Errno::EINTR) => {}
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::ENODEV | Errno::EINVAL) => return Ok(false),
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn check_write(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.read_only {
            return Err(refuse_write());
        }
        check_range(self.len(), offset, len)
    }
}

impl BlockBackend for RawFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => {
                    buf[done..].fill(0);
                    break;
                }
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
    fn read_now(&self, offset: u64, buf: &mut [u8]) -> Option<io::Result<()>> {
        if let Err(e) = check_range(self.len(), offset, buf.len() as u64) {
            return Some(Err(e));
        }
        // What the host's cache holds; whatever else comes of it is for who can wait.
        let all = &mut [IoSliceMut::new(buf)];
        let read = rustix::io::preadv2(&self.file, all, offset, ReadWriteFlags::NOWAIT);
        (read.ok()? == buf.len()).then_some(Ok(()))
    }
    fn write_now(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<()>> {
        // Whole pages go to the host's cache, which reads nothing for them; it makes writers wait only when it is full.
        let whole = offset.is_multiple_of(PAGE) && (bytes.len() as u64).is_multiple_of(PAGE);
        (whole && bytes.len() <= SHORT).then(|| self.write_at(offset, bytes))
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_write(offset, bytes.len() as u64)?;
        if self.guard_magic && offset == 0 && foreign_magic(bytes).is_some() {
            let why =
                "the guest writes another image format's magic number; name the format as raw to allow it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        self.file.write_all_at(bytes, offset)
    }
    fn flush(&self) -> io::Result<()> {
        if self.read_only { Ok(()) } else { self.file.sync_data() }
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_write(offset, len)?;
        // Discarding is a hint (virtio 1.2, 5.2.6.2): where files have no holes the old contents stay.
        self.allocate(FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len).map(|_| ())
    }
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()> {
        self.check_write(offset, len)?;
        // A hole reads as zeros; what must not be a hole is zeroed in place.
        let holes = FallocateFlags::FALLOC_FL_PUNCH_HOLE;
        let ways = [may_unmap.then_some(holes), Some(FallocateFlags::FALLOC_FL_ZERO_RANGE)];
        for way in ways.into_iter().flatten() {
            if self.allocate(way, offset, len)? {
                return Ok(());
            }
        }
        let zeros = vec![0; ZERO_PIECE.min(len as usize)];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(ZERO_PIECE as u64);
            self.file.write_all_at(&zeros[..n as usize], offset + done)?;
            done += n;
        }
        Ok(())
    }
    fn resize(&self, len: u64) -> io::Result<()> {
        if self.read_only {
            return Err(refuse_write());
        }
        self.file.set_len(len)?;
        self.len.store(len, Ordering::Relaxed);
        Ok(())
    }
}
