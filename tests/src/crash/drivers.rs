//! Drivers of the disks that a machine can be killed with.

use std::thread;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::Requester;
use understage::board::build::Board;

use super::workload::Write;

/// A disk's driver.
pub(super) trait Driver {
    /// Makes the writes, all of them in flight at a time, and waits until they have ended.
    fn write_all(&mut self, writes: &[Write]) -> Result<(), String>;
    /// Has what was written put on stable storage.
    fn flush(&mut self) -> Result<(), String>;
}

/// Which kind of disk the machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// virtio-blk on the system bus.
    Virtio,
}

impl Device {
    /// All.
    pub const ALL: [Self; 1] = [Self::Virtio];

    /// What command lines call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name() == name)
    }

    /// What makes one with the drive `disk`.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-blk-device,drive=disk",
        }
    }

    pub(super) fn drive(self, board: &Board) -> Box<dyn Driver + '_> {
        match self {
            Self::Virtio => Box::new(Virtio::new(board)),
        }
    }
}

const RAM: u64 = 0x4000_0000;
/// The transport that the first device gets.
const TRANSPORT: u64 = 0x0a00_3e00;
/// Descriptors of the queue; the rings; headers, status bytes and data of the requests, by request.
const QUEUE: u64 = 64;
const TABLE: u64 = RAM;
const AVAILABLE: u64 = RAM + 0x1000;
const USED: u64 = RAM + 0x2000;
const HEADERS: u64 = RAM + 0x3000;
const DATA: u64 = RAM + 0x10_0000;
/// Room of one request for each of these.
const HEADER_ROOM: u64 = 0x40;
const DATA_ROOM: u64 = 0x1_0000;

/// Requests (virtio 1.2, 5.2.6).
const OUT: u64 = 1;
const FLUSH: u64 = 4;
const WRITE_ZEROES: u64 = 13;

/// virtio-blk through a modern virtio-mmio transport.
struct Virtio<'a> {
    board: &'a Board,
    /// Requests that were ever made.
    made: u16,
}

impl<'a> Virtio<'a> {
    fn new(board: &'a Board) -> Self {
        let this = Self { board, made: 0 };
        // ACKNOWLEDGE, DRIVER; VIRTIO_BLK_F_FLUSH, _WRITE_ZEROES; VIRTIO_F_VERSION_1; FEATURES_OK; the queue; DRIVER_OK.
        let registers = [
            (0x70, 3),
            (0x24, 0),
            (0x20, 1 << 9 | 1 << 14),
            (0x24, 1),
            (0x20, 1),
            (0x70, 11),
            (0x30, 0),
            (0x38, QUEUE),
            (0x80, TABLE),
            (0x90, AVAILABLE),
            (0xa0, USED),
            (0x44, 1),
            (0x70, 15),
        ];
        registers.into_iter().for_each(|(at, value)| this.put(TRANSPORT + at, Size::B4, value));
        this
    }

    fn get(&self, at: u64, size: Size) -> u64 {
        self.board.bus.read(Pa(at), size, Requester::Cpu(0)).unwrap_or(u64::MAX)
    }

    /// What cannot be written is seen by what does not happen.
    fn put(&self, at: u64, size: Size, value: u64) {
        let _ = self.board.bus.write(Pa(at), size, value, Requester::Cpu(0));
    }

    /// Makes a request number `n` available; `data` are bytes of its data part.
    fn request(&mut self, n: u64, kind: u64, sector: u64, data: u64) {
        let header = HEADERS + HEADER_ROOM * n;
        self.put(header, Size::B8, kind);
        self.put(header + 8, Size::B8, sector);
        self.put(header + 16, Size::B1, 0xff);
        let parts = [(header, 16, 0), (DATA + DATA_ROOM * n, data, 0), (header + 16, 1, 2)];
        let parts: Vec<_> = parts.into_iter().filter(|(_, len, _)| *len != 0).collect();
        for (i, (address, len, flags)) in parts.iter().enumerate() {
            let descriptor = TABLE + 16 * (3 * n + i as u64);
            let next = if i + 1 < parts.len() { 1 | (3 * n + i as u64 + 1) << 16 } else { 0 };
            self.put(descriptor, Size::B8, *address);
            self.put(descriptor + 8, Size::B8, len | (flags | next) << 32);
        }
        let slot = u64::from(self.made) % QUEUE;
        self.put(AVAILABLE + 4 + 2 * slot, Size::B2, 3 * n);
        self.made = self.made.wrapping_add(1);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.put(AVAILABLE + 2, Size::B2, self.made.into());
    }

    /// Tells the device of `requests`, and waits for all.
    fn finish(&self, requests: u64) -> Result<(), String> {
        self.put(TRANSPORT + 0x50, Size::B4, 0);
        while self.get(USED + 2, Size::B2) != u64::from(self.made) {
            if self.get(TRANSPORT + 0x70, Size::B4) & 64 != 0 {
                return Err("the device needs a reset".into());
            }
            thread::yield_now();
        }
        match (0..requests).find(|n| self.get(HEADERS + HEADER_ROOM * n + 16, Size::B1) != 0) {
            Some(n) => Err(format!("request {n} has failed")),
            None => Ok(()),
        }
    }
}

impl Driver for Virtio<'_> {
    fn write_all(&mut self, writes: &[Write]) -> Result<(), String> {
        for (write, n) in writes.iter().zip(0..) {
            let data = DATA + DATA_ROOM * n;
            let (kind, sector, len) = if write.stamp == 0 {
                self.put(data, Size::B8, write.sector);
                // The storage of every other one may be given back.
                self.put(data + 8, Size::B8, write.sectors | (write.sector & 1) << 32);
                (WRITE_ZEROES, 0, 16)
            } else {
                let len = 512 * write.sectors;
                let bytes = write.stamp.to_le_bytes().repeat(len as usize / 8);
                let _ = self.board.bus.write_bytes(Pa(data), &bytes, Requester::Cpu(0));
                (OUT, write.sector, len)
            };
            self.request(n, kind, sector, len);
        }
        self.finish(writes.len() as u64)
    }

    fn flush(&mut self) -> Result<(), String> {
        self.request(0, FLUSH, 0, 0);
        self.finish(1)
    }
}
