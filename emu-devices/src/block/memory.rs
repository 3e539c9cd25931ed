//! A disk in host memory, for tests and scratch disks.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::{BlockBackend, check_range, whole_sectors};

/// A disk in memory; its contents go with it.
pub struct MemoryDisk {
    name: String,
    data: RwLock<Vec<u8>>,
    flushes: AtomicU64,
}

impl MemoryDisk {
    /// A disk that holds `data`, filled up with zeros to whole sectors.
    #[must_use]
    pub fn new(name: &str, mut data: Vec<u8>) -> Self {
        let len = whole_sectors(data.len() as u64) as usize;
        data.resize(len, 0);
        Self { name: name.to_owned(), data: RwLock::new(data), flushes: AtomicU64::new(0) }
    }

    /// How often the disk was flushed.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }
}

impl BlockBackend for MemoryDisk {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.data.read().len() as u64
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let data = self.data.read();
        check_range(data.len() as u64, offset, buf.len() as u64)?;
        buf.copy_from_slice(&data[offset as usize..][..buf.len()]);
        Ok(())
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut data = self.data.write();
        check_range(data.len() as u64, offset, bytes.len() as u64)?;
        data[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn read_now(&self, offset: u64, buf: &mut [u8]) -> Option<io::Result<()>> {
        Some(self.read_at(offset, buf))
    }
    fn write_now(&self, offset: u64, bytes: &[u8]) -> Option<io::Result<()>> {
        Some(self.write_at(offset, bytes))
    }
    fn flush(&self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.write_zeroes(offset, len, true)
    }
    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> io::Result<()> {
        let mut data = self.data.write();
        check_range(data.len() as u64, offset, len)?;
        data[offset as usize..][..len as usize].fill(0);
        Ok(())
    }
}
