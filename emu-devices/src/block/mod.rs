//! What stands behind a disk of the guest: image files and memory, one trait.
//!
//! # Invariants
//! - An image is written only where the guest writes; a read-only or snapshot image is opened without the right to
//!   write at all.
//! - A write that has returned is seen by every later read. What was written before a `flush` that returned without
//!   an error is on stable storage.
//! - The files behind a disk are opened by [`crate::hostfile`], which locks them; `chain` opens those that an image names,
//!   and nothing else does.
//! - Requests are executed when they are called, several at a time if several threads call; no cache of ours holds data back.

mod accounted;
mod chain;
mod memory;
mod null;
mod open;
mod overlay;
mod qcow2;
mod qcow2_check;
mod qcow2_header;
mod queue;
mod ranges;
mod raw;
#[cfg(test)]
mod tests;

use std::io;

pub use accounted::Accounted;
pub use memory::MemoryDisk;
pub use null::NullDisk;
pub use open::{Format, OpenError, OpenOptions, open};
pub use overlay::{Overlay, Scratch};
pub use qcow2::Qcow2Disk;
pub use queue::{DiskDone, DiskQueue, DiskRequest, WhenDone};
pub use raw::RawFile;

/// Bytes in a sector, the unit of disk addresses in every guest interface.
pub const SECTOR: u64 = 512;

/// The storage of one disk. Called from the device's worker thread, or from several.
///
/// A range outside `0..len()` is refused with [`io::ErrorKind::InvalidInput`].
pub trait BlockBackend: Send + Sync {
    /// What errors name: the file.
    fn name(&self) -> &str;
    /// Size in bytes; a multiple of [`SECTOR`].
    fn len(&self) -> u64;
    /// True if there is not one sector.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// True if every write is refused.
    fn read_only(&self) -> bool;
    /// Fills `buf` from `offset` on.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Writes `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// The same as [`BlockBackend::read_at`] if it can be done without waiting for storage; `None` if not, or if that is not known.
    fn read_now(&self, _offset: u64, _buf: &mut [u8]) -> Option<io::Result<()>> {
        None
    }
    /// The same as [`BlockBackend::write_at`] if it can be done without waiting for storage; `None` if not, or if that is not known.
    fn write_now(&self, _offset: u64, _bytes: &[u8]) -> Option<io::Result<()>> {
        None
    }
    /// All completed writes are on stable storage when this returns.
    fn flush(&self) -> io::Result<()>;
    /// The contents are no longer needed; reads give the old contents or zeros.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;
    /// The range reads as zeros; with `may_unmap` its storage may be given back.
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()>;
    /// Gives the disk another size, a multiple of [`SECTOR`]; what is new reads as zeros.
    fn resize(&self, _len: u64) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a disk in this format keeps its size"))
    }
}

/// Refuses a range that is not inside a disk of `disk_len` bytes.
fn check_range(disk_len: u64, offset: u64, len: u64) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= disk_len => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the range is beyond the end of the disk")),
    }
}

/// The error of a write to a read-only disk.
fn refuse_write() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the disk is read-only")
}

/// A file's length as a whole number of sectors.
fn whole_sectors(len: u64) -> u64 {
    len.div_ceil(SECTOR).saturating_mul(SECTOR)
}

/// A disk that refuses every write.
pub struct ReadOnly<B>(pub B);

impl<B: BlockBackend> BlockBackend for ReadOnly<B> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_only(&self) -> bool {
        true
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }
    fn read_now(&self, offset: u64, buf: &mut [u8]) -> Option<io::Result<()>> {
        self.0.read_now(offset, buf)
    }
    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(refuse_write())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> io::Result<()> {
        Err(refuse_write())
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> io::Result<()> {
        Err(refuse_write())
    }
}
