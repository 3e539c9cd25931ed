//! Tests of the queues, transports and devices with a small driver.

mod console;
mod devices;
mod driver;
mod legacy;
mod malformed;
mod network;
mod transports;

use std::io;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::metrics::Counters;
use parking_lot::Mutex;

use self::driver::{DATA, Rig, Ring};
use super::{Blk, BlkOptions};
use crate::block::{BlockBackend, DiskQueue, MemoryDisk};

/// A disk of 64 KiB whose sector *n* is filled with *n*.
fn disk() -> Arc<MemoryDisk> {
    Arc::new(MemoryDisk::new("disk", (0..128_u8).flat_map(|n| [n; 512]).collect()))
}

fn blk(backend: Arc<dyn BlockBackend>) -> Arc<Blk> {
    blk_with(backend, BlkOptions::default())
}

fn blk_with(backend: Arc<dyn BlockBackend>, options: BlkOptions) -> Arc<Blk> {
    let queue = DiskQueue::new(backend, 3).unwrap();
    Blk::new(queue, "serial-0123456789-too-long", options, &Arc::new(Counters::default()))
}

/// Where tests put header, status and data of a block request.
const HEADER: u64 = DATA;
const STATUS: u64 = DATA + 0x100;
const BUFFER: u64 = DATA + 0x1000;

fn header(rig: &Rig, kind: u32, sector: u64) {
    rig.put(HEADER, Size::B8, kind.into());
    rig.put(HEADER + 8, Size::B8, sector);
    rig.put(STATUS, Size::B1, 0xff);
}

/// A block request with `len` bytes of data at `BUFFER`; gives the status.
fn block(rig: &Rig, ring: &mut Ring, kind: u32, sector: u64, len: u32, write: bool) -> u8 {
    header(rig, kind, sector);
    let mut buffers = vec![(HEADER, 16, false)];
    if len != 0 {
        buffers.push((BUFFER, len, write));
    }
    buffers.push((STATUS, 1, true));
    rig.request(ring, &buffers);
    rig.get(STATUS, Size::B1) as u8
}

/// A disk that waits for a permit before each request.
struct Gate {
    disk: Arc<MemoryDisk>,
    permits: Mutex<u32>,
    waiting: Mutex<u32>,
}

impl Gate {
    fn new(permits: u32) -> Arc<Self> {
        Arc::new(Self { disk: disk(), permits: Mutex::new(permits), waiting: Mutex::new(0) })
    }
    fn open(&self, permits: u32) {
        *self.permits.lock() += permits;
    }
    fn pass(&self) {
        *self.waiting.lock() += 1;
        driver::until(|| {
            let mut p = self.permits.lock();
            let open = *p > 0;
            *p = p.saturating_sub(1);
            open
        });
        *self.waiting.lock() -= 1;
    }
}

impl BlockBackend for Gate {
    fn name(&self) -> &str {
        "gate"
    }
    fn len(&self) -> u64 {
        self.disk.len()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.pass();
        self.disk.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.pass();
        self.disk.write_at(offset, bytes)
    }
    fn flush(&self) -> io::Result<()> {
        self.disk.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.discard(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, may_unmap: bool) -> io::Result<()> {
        self.disk.write_zeroes(offset, len, may_unmap)
    }
}
