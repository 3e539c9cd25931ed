//! The block device (virtio 1.2, 5.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use emu_core::dma::DmaFault;
use emu_core::host::reason;
use emu_core::lifecycle::{Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::device::copy_config;
use super::{Chain, DeviceHandle, DeviceKind, GuestMemory, Placement, QueueFault, Request, VirtioDevice};
use crate::block::{BlockBackend, DiskQueue, DiskRequest, SECTOR};

/// Feature bits (virtio 1.2, 5.2.3).
const SEG_MAX: u64 = 1 << 2;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const CONFIG_WCE: u64 = 1 << 11;
const MQ: u64 = 1 << 12;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Request types.
const T_IN: u32 = 0;
const T_OUT: u32 = 1;
const T_FLUSH: u32 = 4;
const T_GET_ID: u32 = 8;
const T_DISCARD: u32 = 11;
const T_WRITE_ZEROES: u32 = 13;

/// Offset of the `writeback` field in the configuration space.
const WRITEBACK: u64 = 32;
/// Bytes of the header before the data.
const HEADER: u64 = 16;
/// Bytes of a serial number.
const SERIAL: usize = 20;
/// Bytes that are copied at a time: a chain may name 4 GiB.
const PIECE: u64 = 256 << 10;
/// Bytes of a request that may be moved on the thread of the CPU that makes it.
const SHORT: u64 = 64 << 10;
/// Buffers of that size that are kept.
const MAX_BUFFERS: usize = 32;
/// Requests of one queue that are executed at a time.
const DEPTH: u16 = 64;
/// Ranges in one discard or write-zeroes request.
const MAX_RANGES: u32 = 32;
/// Sectors in one discarded range.
const MAX_DISCARD: u32 = 0x3f_ffff;
/// Sectors in one zeroed range; a backend may have to write them all.
const MAX_ZEROES: u32 = 0x8000;

/// What a board may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlkOptions {
    /// Size of each queue, a power of two from 4 to 1024.
    pub queue_size: u16,
    /// Number of queues, from 1 to [`BlkOptions::MAX_QUEUES`].
    pub queues: u16,
    /// Logical block size in bytes: 512 or 4096.
    pub block_size: u32,
    /// log2 of logical blocks per physical block; given to the driver if not 0.
    pub physical_block_exp: u8,
    /// Offer DISCARD and WRITE_ZEROES.
    pub discard: bool,
}

impl BlkOptions {
    /// The most queues.
    pub const MAX_QUEUES: u16 = 64;
}

impl Default for BlkOptions {
    fn default() -> Self {
        Self { queue_size: 256, queues: 1, block_size: 512, physical_block_exp: 0, discard: true }
    }
}

/// How a request failed.
enum Failure {
    /// Status IOERR.
    Io,
    /// Status UNSUPP.
    Unsupported,
    /// No status: the ring is broken.
    Fault(QueueFault),
}

impl From<QueueFault> for Failure {
    fn from(fault: QueueFault) -> Self {
        match fault {
            // The data cannot be reached: this request fails, and the queue goes on.
            QueueFault::Dma(DmaFault::Abort) => Self::Io,
            _ => Self::Fault(fault),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    writeback: bool,
    sectors: u64,
}

impl SavedState for State {
    const KIND: &'static str = "virtio-blk";
    const VERSION: u32 = 1;
}

/// A disk.
pub struct Blk {
    disk: Arc<DiskQueue>,
    serial: [u8; SERIAL],
    options: BlkOptions,
    queues: Vec<u16>,
    counters: Arc<Counters>,
    features: AtomicU64,
    writeback: AtomicBool,
    /// For the next requests, so that they need not be made anew.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Blk {
    /// A disk whose requests go to `disk`; a serial number is cut at 20 bytes.
    #[must_use]
    pub fn new(
        disk: Arc<DiskQueue>,
        serial: &str,
        options: BlkOptions,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let mut id = [0; SERIAL];
        let n = serial.len().min(SERIAL);
        id[..n].copy_from_slice(&serial.as_bytes()[..n]);
        Arc::new(Self {
            disk,
            serial: id,
            options,
            queues: vec![options.queue_size; options.queues.into()],
            counters: counters.clone(),
            features: AtomicU64::new(0),
            writeback: AtomicBool::new(true),
            buffers: Mutex::default(),
        })
    }

    fn backend(&self) -> &dyn BlockBackend {
        &**self.disk.backend()
    }

    fn config(&self) -> [u8; 60] {
        let mut c = [0; 60];
        let mut put = |at: usize, bytes: &[u8]| c[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &(self.backend().len() / SECTOR).to_le_bytes());
        put(12, &u32::from(self.options.queue_size.saturating_sub(2)).to_le_bytes());
        put(20, &self.options.block_size.to_le_bytes());
        put(24, &[self.options.physical_block_exp, 0]);
        put(26, &1_u16.to_le_bytes());
        put(WRITEBACK as usize, &[self.writeback.load(Ordering::Relaxed).into()]);
        put(34, &self.options.queues.to_le_bytes());
        put(36, &MAX_DISCARD.to_le_bytes());
        put(40, &MAX_RANGES.to_le_bytes());
        put(44, &(self.options.block_size / SECTOR as u32).to_le_bytes());
        put(48, &MAX_ZEROES.to_le_bytes());
        put(52, &MAX_RANGES.to_le_bytes());
        put(56, &[1]);
        c
    }

    /// The byte range of `len` bytes from `sector` on, if the disk has it.
    fn range(&self, sector: u64, len: u64) -> Result<u64, Failure> {
        let offset = sector.checked_mul(SECTOR).ok_or(Failure::Io)?;
        let end = offset.checked_add(len).ok_or(Failure::Io)?;
        if len.is_multiple_of(SECTOR) && end <= self.backend().len() { Ok(offset) } else { Err(Failure::Io) }
    }

    fn report(&self, what: &str, result: std::io::Result<()>) -> Result<(), Failure> {
        result.map_err(|e| {
            tracing::warn!("cannot {what} '{}': {}", self.backend().name(), reason(&e));
            Failure::Io
        })
    }

    /// Has the host do something; gives the buffer that went with it.
    async fn host(&self, memory: &GuestMemory, what: &str, request: DiskRequest) -> Result<Vec<u8>, Failure> {
        let done = if memory.at_once() { self.disk.execute(request) } else { self.disk.run(request).await };
        self.report(what, done.result)?;
        Ok(done.buffer)
    }

    /// A buffer for the pieces of a request.
    fn buffer(&self) -> Vec<u8> {
        self.buffers.lock().pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock();
        if buffers.len() < MAX_BUFFERS {
            buffers.push(buffer);
        }
    }

    async fn read(&self, chain: &Chain, memory: &GuestMemory, sector: u64, len: u64) -> Result<(), Failure> {
        let offset = self.range(sector, len)?;
        if len > SHORT {
            memory.leave_cpu().await;
        }
        let mut buffer = self.buffer();
        let mut done = 0;
        while done < len {
            memory.yield_to_waiting_cpu().await;
            buffer.resize((len - done).min(PIECE) as usize, 0);
            buffer = self.host(memory, "read", DiskRequest::Read { offset: offset + done, buffer }).await?;
            buffer = chain.write(memory, done, buffer).await?;
            done += buffer.len() as u64;
        }
        self.give_back(buffer);
        self.counters.add(Metric::BlockBytesRead, len);
        Ok(())
    }

    async fn write(&self, chain: &Chain, memory: &GuestMemory, sector: u64, len: u64) -> Result<(), Failure> {
        self.writable()?;
        let offset = self.range(sector, len)?;
        if len > SHORT {
            memory.leave_cpu().await;
        }
        let mut buffer = self.buffer();
        let mut done = 0;
        while done < len {
            memory.yield_to_waiting_cpu().await;
            buffer.resize((len - done).min(PIECE) as usize, 0);
            buffer = chain.read(memory, HEADER + done, buffer).await?;
            let offset = offset + done;
            done += buffer.len() as u64;
            // With the last piece, all of the request is stable.
            let stable = done == len && self.is_write_through();
            buffer = self.host(memory, "write", DiskRequest::Write { offset, buffer, stable }).await?;
        }
        self.give_back(buffer);
        self.counters.add(Metric::BlockBytesWritten, len);
        Ok(())
    }

    fn writable(&self) -> Result<(), Failure> {
        if self.backend().read_only() { Err(Failure::Io) } else { Ok(()) }
    }

    async fn flush(&self, memory: &GuestMemory) -> Result<(), Failure> {
        self.host(memory, "flush", DiskRequest::Flush).await.map(|_| ())
    }

    /// Without a write-back cache, what is written is stable when the request completes (virtio 1.2, 5.2.6.2).
    fn is_write_through(&self) -> bool {
        let features = self.features.load(Ordering::Relaxed);
        match features & CONFIG_WCE != 0 {
            true => !self.writeback.load(Ordering::Relaxed),
            false => features & FLUSH == 0,
        }
    }

    /// Discards or zeroes the ranges that the request lists.
    async fn ranges(
        &self,
        chain: &Chain,
        memory: &GuestMemory,
        len: u64,
        discard: bool,
    ) -> Result<(), Failure> {
        if self.features.load(Ordering::Relaxed) & if discard { DISCARD } else { WRITE_ZEROES } == 0 {
            return Err(Failure::Unsupported);
        }
        self.writable()?;
        if len == 0 || !len.is_multiple_of(16) || len / 16 > MAX_RANGES.into() {
            return Err(Failure::Io);
        }
        for at in (0..len).step_by(16) {
            memory.yield_to_waiting_cpu().await;
            let raw = chain.read(memory, HEADER + at, vec![0; 16]).await?;
            let Some((sector, [sectors, flags])) = raw.first_chunk().map(parse) else {
                return Err(Failure::Io);
            };
            // Only "unmap" exists, and a discard may not carry it.
            if flags & !1 != 0 || discard && flags != 0 {
                return Err(Failure::Unsupported);
            }
            if sectors > if discard { MAX_DISCARD } else { MAX_ZEROES } {
                return Err(Failure::Io);
            }
            let bytes = u64::from(sectors) * SECTOR;
            let offset = self.range(sector, bytes)?;
            if discard {
                let request = DiskRequest::Discard { offset, len: bytes };
                self.host(memory, "discard a part of", request).await?;
            } else {
                let (may_unmap, stable) = (flags & 1 != 0, false);
                let request = DiskRequest::WriteZeroes { offset, len: bytes, may_unmap, stable };
                self.host(memory, "zero a part of", request).await?;
            }
        }
        if self.is_write_through() { self.flush(memory).await } else { Ok(()) }
    }

    /// Executes a request with `input` bytes of room for its data; gives how many it has filled.
    async fn execute(&self, chain: &Chain, memory: &GuestMemory, input: u64) -> Result<u64, Failure> {
        let raw = chain.read(memory, 0, vec![0; HEADER as usize]).await.map_err(Failure::Fault)?;
        let [kind, _, low, high] =
            std::array::from_fn(|n| raw[4 * n..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b)));
        let sector = u64::from(high) << 32 | u64::from(low);
        let output = chain.readable_len() - HEADER;
        match kind {
            T_IN => self.read(chain, memory, sector, input).await.map(|()| input),
            T_OUT => self.write(chain, memory, sector, output).await.map(|()| 0),
            T_FLUSH => self.flush(memory).await.map(|()| 0),
            T_GET_ID => {
                let n = input.min(SERIAL as u64);
                chain.write(memory, 0, self.serial[..n as usize].to_vec()).await?;
                Ok(n)
            }
            T_DISCARD | T_WRITE_ZEROES => {
                self.ranges(chain, memory, output, kind == T_DISCARD).await.map(|()| 0)
            }
            _ => Err(Failure::Unsupported),
        }
    }
}

impl Blk {
    /// Executes a request, and says how that went.
    async fn serve(&self, chain: &Chain, memory: &GuestMemory) -> Result<u32, QueueFault> {
        let Some(input) = chain.writable_len().checked_sub(1) else {
            return Err(QueueFault::Malformed("a block request without a status byte"));
        };
        if chain.readable_len() < HEADER {
            return Err(QueueFault::Malformed("a block request without a header"));
        }
        let (status, written) = match self.execute(chain, memory, input).await {
            Ok(n) => (0, n),
            Err(Failure::Io) => (1, 0),
            Err(Failure::Unsupported) => (2, 0),
            Err(Failure::Fault(fault)) => return Err(fault),
        };
        chain.write(memory, input, vec![status]).await?;
        Ok(written as u32 + 1)
    }
}

/// A range of a discard request: sector, then number of sectors and flags.
fn parse(raw: &[u8; 16]) -> (u64, [u32; 2]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *raw;
    let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (sector, [u32::from_le_bytes([i, j, k, l]), u32::from_le_bytes([m, n, o, p])])
}

impl VirtioDevice for Blk {
    fn kind(&self) -> DeviceKind {
        DeviceKind { id: 2, pci_class: 0x01_0000 }
    }

    fn features(&self) -> u64 {
        let option = |on, bits| if on { bits } else { 0 };
        SEG_MAX
            | BLK_SIZE
            | FLUSH
            | CONFIG_WCE
            | option(self.backend().read_only(), RO)
            | option(self.options.queues > 1, MQ)
            | option(self.options.physical_block_exp != 0, TOPOLOGY)
            | option(self.options.discard && !self.backend().read_only(), DISCARD | WRITE_ZEROES)
    }

    fn attach(&self, handle: DeviceHandle) {
        self.disk.on_resize(Box::new(move || handle.config_changed()));
    }
    fn queue_sizes(&self) -> &[u16] {
        &self.queues
    }

    fn config_read(&self, offset: u64, out: &mut [u8]) {
        copy_config(&self.config(), offset, out);
    }

    fn config_write(&self, offset: u64, bytes: &[u8]) {
        if let (WRITEBACK, [value]) = (offset, bytes) {
            self.writeback.store(value & 1 != 0, Ordering::Relaxed);
        }
    }

    fn placement(&self) -> Placement {
        Placement::Worker
    }

    fn depth(&self) -> u16 {
        DEPTH
    }

    fn drain(&self) {
        self.disk.drain();
    }

    fn activate(&self, features: u64) {
        self.features.store(features, Ordering::Relaxed);
    }

    fn process(self: Arc<Self>, _: u16, chain: Chain, memory: GuestMemory) -> Request {
        Request::new(async move { self.serve(&chain, &memory).await })
    }

    fn reset(&self) {
        self.disk.drain();
        self.features.store(0, Ordering::Relaxed);
        self.writeback.store(true, Ordering::Relaxed);
    }

    fn halt(&self) {
        self.disk.drain();
        if let Err(e) = self.backend().flush() {
            tracing::error!("cannot flush '{}': {}", self.backend().name(), reason(&e));
        }
    }

    fn save(&self, name: &str) -> Payload {
        let writeback = self.writeback.load(Ordering::Relaxed);
        Payload::new(name, &State { writeback, sectors: self.backend().len() / SECTOR })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let State { writeback, sectors } = saved.state()?;
        if sectors != self.backend().len() / SECTOR {
            return Err(saved.unfit(format!(
                "its disk has {sectors} sectors, '{}' has another size",
                self.backend().name()
            )));
        }
        Ok(Restore::new(move || {
            self.features.store(0, Ordering::Relaxed);
            self.writeback.store(writeback, Ordering::Relaxed);
        }))
    }
}
