//! A disk without contents: zeroes are read, and what is written is lost. For tests of what is above it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BlockBackend, check_range, refuse_write, whole_sectors};

/// See the module's head.
pub struct NullDisk {
    size: AtomicU64,
    read_only: bool,
}

impl NullDisk {
    /// A disk of `size` bytes, rounded up to whole sectors.
    #[must_use]
    pub fn new(size: u64, read_only: bool) -> Self {
        Self { size: AtomicU64::new(whole_sectors(size)), read_only }
    }

    fn change(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.read_only {
            return Err(refuse_write());
        }
        check_range(self.len(), offset, len)
    }
}

impl BlockBackend for NullDisk {
    fn name(&self) -> &str {
        "null"
    }
    fn len(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        buf.fill(0);
        Ok(())
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(offset, bytes.len() as u64)
    }
    fn read_now(&self, offset: u64, buf: &mut [u8]) -> Option<io::Result<()>> {
        Some(self.read_at(offset, buf))
    }
    fn write_now(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<()>> {
        Some(self.write_at(offset, bytes))
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.change(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> io::Result<()> {
        self.change(offset, len)
    }
    fn resize(&self, len: u64) -> io::Result<()> {
        self.change(0, 0)?;
        self.size.store(len, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_lost_and_the_end_is_the_end() {
        let disk = NullDisk::new(1000, false);
        let mut bytes = [1; 4];
        assert_eq!(disk.len(), 1024);
        disk.write_at(1020, &[7; 4]).unwrap();
        disk.read_at(1020, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4]);
        assert!(disk.read_at(1021, &mut bytes).is_err() && disk.write_at(u64::MAX, &[0; 4]).is_err());
        assert!(disk.discard(1024, 1).is_err() && disk.write_zeroes(0, 1024, true).is_ok());
        let disk = NullDisk::new(512, true);
        assert!(disk.write_at(0, &[0]).is_err() && disk.discard(0, 512).is_err() && disk.flush().is_ok());
    }
}
