//! QEMU's firmware configuration device, as firmware and Linux know it (docs/specs/fw_cfg of QEMU): items that firmware
//! selects by key and reads byte by byte or by DMA. The board adds the items before the machine starts.

mod items;

use std::sync::{Arc, Weak};

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::{
    Aborted, Direction, Dma, DmaAttrs, DmaClient, Master, Ports, Segment, StallTable, StallTag, Stalls, Task,
};
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{Content, Listed, Map, Target, double, half};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use items::Items;
pub use items::{ItemError, WriteHook, key};

/// The registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// The next bytes of the selected item.
    Data,
    /// Selects an item.
    Selector,
    /// The address of a DMA request, whose lower half starts it.
    Dma,
}

/// What the DMA register reads as: "QEMU CFG", in the order of bytes.
const DMA_SIGNATURE: u64 = u64::from_le_bytes(*b"QEMU CFG");

/// Offset of the DMA address.
const DMA_OFFSET: u64 = 0x10;

/// The registers. Data keeps the order of bytes in memory; the others are big-endian. The sizes are those of writes; a read
/// may have any. (Writing items through the data register went away with QEMU 2.4.)
pub static MAP: Map<Reg> = Map {
    specification: "QEMU docs/specs/fw_cfg",
    window: 0x18,
    rows: &[
        double("Data", 0x00, Reg::Data).read_only(u64::MAX).read_has_effect(),
        half("Selector", 0x08, Reg::Selector).write_only(0xffff),
        double("DMA address", DMA_OFFSET as u32, Reg::Dma).reset(DMA_SIGNATURE),
    ],
};

/// Bits of the control word of a DMA request; the key to select is in its upper half.
mod control {
    pub(super) const ERROR: u32 = 1;
    pub(super) const READ: u32 = 1 << 1;
    pub(super) const SKIP: u32 = 1 << 2;
    pub(super) const SELECT: u32 = 1 << 3;
    pub(super) const WRITE: u32 = 1 << 4;
}

/// One DMA request runs at a time.
const SLOT: u16 = 0;
/// How much is copied at a time.
const CHUNK: usize = 64 << 10;
/// How far a request may read beyond the end of an item, where there are zeros. The CPU that makes the request waits for
/// it: its cost is bounded by what the board has put into the device, not by what the guest asks for.
const MAX_BEYOND: usize = 1 << 20;

#[derive(Default)]
struct State {
    items: Items,
    selected: u16,
    /// The next byte of the selected item.
    position: u32,
    /// Upper half of the DMA address, written first.
    dma_high: u32,
}

/// What is saved beside the contents of the writable items.
#[derive(Serialize, Deserialize)]
struct Position {
    selected: u16,
    position: u32,
    dma_high: u32,
    /// The DMA request that was stalled.
    stalled: Option<Begun>,
}

impl SavedState for Position {
    const KIND: &'static str = "fw_cfg";
    const VERSION: u32 = 2;
}

/// What the contents of an item are called in a saved state.
fn blob(key: u16) -> String {
    format!("item {key:#06x}")
}

/// The device.
pub struct FwCfg {
    name: String,
    dma: Dma,
    stalls: Arc<StallTable>,
    counters: Arc<Counters>,
    state: Mutex<State>,
    /// The DMA request under way. Locked while it runs; the state is not: the request may be aimed at the device's own registers.
    running: Mutex<Option<Running>>,
    this: Weak<Self>,
}

/// A DMA request under way.
struct Running {
    /// What it began with, for a machine that is saved meanwhile: there it begins again.
    begun: Begun,
    task: Task<()>,
}

/// A DMA request before it began.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Begun {
    address: u64,
    selected: u16,
    position: u32,
}

impl FwCfg {
    /// A device with the signature, the feature word and an empty file directory: the master with this StreamID.
    #[must_use]
    pub fn new(name: &str, ports: &dyn Ports, stream_id: u32, counters: &Arc<Counters>) -> Arc<Self> {
        let mut items = Items::default();
        items.set(key::SIGNATURE, b"QEMU".to_vec());
        // The traditional interface, and DMA.
        items.set(key::ID, 3u32.to_le_bytes().to_vec());
        items.update_directory();
        let state = Mutex::new(State { items, ..State::default() });
        Arc::new_cyclic(|this: &Weak<Self>| {
            let port = ports.port(Master::new(stream_id, Stalls::Notify(this.clone())));
            let stalls = Arc::<StallTable>::default();
            Self {
                name: name.to_owned(),
                dma: Dma::new(port, stalls.clone(), SLOT, DmaAttrs::default()),
                stalls,
                counters: counters.clone(),
                state,
                running: Mutex::new(None),
                this: this.clone(),
            }
        })
    }

    /// Adds or replaces the item of a fixed key.
    pub fn set_key(&self, key: u16, contents: Vec<u8>) -> Result<(), ItemError> {
        self.state.lock().items.set_fixed(key, contents)
    }

    /// Adds a file, or replaces the contents of the one with this name (which keeps its key); gives the key.
    pub fn set_file(&self, name: &str, contents: Vec<u8>) -> Result<u16, ItemError> {
        self.state.lock().items.set_file(name, contents, None)
    }

    /// Adds a file that the guest may write by DMA; `hook` is told the new contents, with the device locked.
    pub fn set_writable_file(
        &self,
        name: &str,
        contents: Vec<u8>,
        hook: WriteHook,
    ) -> Result<u16, ItemError> {
        self.state.lock().items.set_file(name, contents, Some(hook))
    }

    /// The contents of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state.lock().items.file(name).map(<[u8]>::to_vec)
    }

    fn anomaly(&self, offset: u64, what: &str) {
        self.counters.add(Metric::Anomalies, 1);
        tracing::debug!(target: crate::GUEST_ERRORS, "{}: {what} at offset {offset:#x}", self.name);
    }

    /// Begins the request whose 16-byte descriptor is at `address`. A request made while another one runs (by that one, or by
    /// another CPU) is dropped, as is one made while another one is stalled.
    fn begin(&self, address: u64) {
        let Some(mut running) = self.running.try_lock().filter(|running| running.is_none()) else {
            return self.anomaly(DMA_OFFSET, "DMA request during another one");
        };
        let Some(this) = self.this.upgrade() else { return };
        let begun = {
            let s = self.state.lock();
            Begun { address, selected: s.selected, position: s.position }
        };
        *running = Some(Running { begun, task: Task::new(async move { this.execute(address).await }) });
        Self::go_on(&mut running);
    }

    /// Goes on with the request under way, to its end or until it stalls.
    fn go_on(running: &mut Option<Running>) {
        if running.as_mut().is_some_and(|r| r.task.poll().is_ready()) {
            *running = None;
        }
    }

    async fn load(&self, addr: u64, buf: Vec<u8>) -> Result<Vec<u8>, Aborted> {
        let segment = Segment { addr, len: buf.len() as u32 };
        self.dma.transfer(Direction::FromMemory, vec![segment], buf).await
    }

    async fn store(&self, addr: u64, bytes: Vec<u8>) -> Result<Vec<u8>, Aborted> {
        let segment = Segment { addr, len: bytes.len() as u32 };
        self.dma.transfer(Direction::ToMemory, vec![segment], bytes).await
    }

    /// Executes the request whose descriptor is at `address`, and writes the outcome into its control word.
    async fn execute(&self, address: u64) {
        let Ok(request) = self.load(address, vec![0; 16]).await else {
            return self.anomaly(DMA_OFFSET, "DMA request outside of memory");
        };
        let Some(&[c0, c1, c2, c3, l0, l1, l2, l3, ref target @ ..]) = request.first_chunk::<16>() else {
            return;
        };
        let control = u32::from_be_bytes([c0, c1, c2, c3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if control & control::SELECT != 0 {
            self.state.lock().select((control >> 16) as u16);
        }
        let target = u64::from_be_bytes(*target);
        let done = if control & control::READ != 0 {
            let may = self.state.lock().may_read(length);
            may && self.read_item(target, length).await.is_ok()
        } else if control & control::WRITE != 0 {
            self.write_item(target, length).await.is_some()
        } else {
            if control & control::SKIP != 0 {
                self.state.lock().skip(length);
            }
            true
        };
        let status = if done { 0 } else { control::ERROR };
        // The descriptor was just read; if it has no memory behind it now, there is nobody to tell.
        let _ = self.store(address, status.to_be_bytes().to_vec()).await;
    }

    /// Copies the item to memory, zeros after its end.
    async fn read_item(&self, mut target: u64, length: u32) -> Result<(), Aborted> {
        let mut left = length as usize;
        let mut chunk = vec![0; left.min(CHUNK)];
        while left > 0 {
            chunk.truncate(left);
            self.state.lock().take(&mut chunk);
            chunk = self.store(target, chunk).await?;
            target = target.wrapping_add(chunk.len() as u64);
            left -= chunk.len();
        }
        Ok(())
    }

    /// Copies memory into a writable item; `None` if it is not one, the bytes do not fit, or memory aborts.
    async fn write_item(&self, source: u64, length: u32) -> Option<()> {
        let (start, selected, size) = {
            let mut s = self.state.lock();
            let (start, selected) = (s.position as usize, s.selected);
            let size = s.items.writable(selected)?.0.len();
            (start, selected, size)
        };
        let end = start.checked_add(length as usize).filter(|&end| end <= size)?;
        let bytes = self.load(source, vec![0; length as usize]).await.ok()?;
        let mut s = self.state.lock();
        let (item, hook) = s.items.writable(selected)?;
        item.get_mut(start..end)?.copy_from_slice(&bytes);
        hook(item);
        s.skip(length);
        Some(())
    }
}

impl DmaClient for FwCfg {
    fn resume(&self, tag: StallTag, retry: bool) {
        // Who has the lock is at the end of what it can do: its transaction has stalled, and nothing else of it runs.
        if self.stalls.resume(tag, retry).is_some() {
            Self::go_on(&mut self.running.lock());
        }
    }
}

impl State {
    fn select(&mut self, key: u16) {
        self.selected = key;
        self.position = 0;
    }

    fn skip(&mut self, length: u32) {
        self.position = self.position.saturating_add(length);
    }

    /// A request of this length ends soon enough behind the selected item.
    fn may_read(&self, length: u32) -> bool {
        let rest = self.items.get(self.selected).and_then(|i| i.get(self.position as usize..));
        length as usize <= rest.map_or(0, <[u8]>::len) + MAX_BEYOND
    }

    /// The next bytes of the selected item, zeros after its end.
    fn take(&mut self, out: &mut [u8]) {
        let item = self.items.get(self.selected).unwrap_or(&[]);
        let rest = item.get(self.position as usize..).unwrap_or(&[]);
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        out[n..].fill(0);
        self.skip(out.len() as u32);
    }
}

impl MmioDevice for FwCfg {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let Some(hit) = MAP.at(offset).filter(|hit| hit.row.readable != 0) else {
            self.anomaly(offset, "read of nothing");
            return Ok(0);
        };
        if hit.row.content == Content::Register(Reg::Data) {
            let mut bytes = [0; 8];
            self.state.lock().take(&mut bytes[..size.bytes() as usize]);
            return Ok(u64::from_le_bytes(bytes));
        }
        Ok(hit.read(size, |_| DMA_SIGNATURE))
    }

    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let hit = MAP.find(offset, size);
        match hit.map(|hit| (hit.target(), hit.byte)) {
            Some((Target::Register(Reg::Selector), _)) => {
                self.state.lock().select((value as u16).swap_bytes());
            }
            Some((Target::Register(Reg::Dma), 0)) if size == Size::B8 => {
                self.state.lock().dma_high = 0;
                self.begin(value.swap_bytes());
            }
            Some((Target::Register(Reg::Dma), 0)) => {
                self.state.lock().dma_high = (value as u32).swap_bytes();
            }
            Some((Target::Register(Reg::Dma), _)) => {
                let high = u64::from(std::mem::take(&mut self.state.lock().dma_high));
                self.begin(high << 32 | u64::from((value as u32).swap_bytes()));
            }
            Some((Target::Register(Reg::Data) | Target::ReadOnly | Target::Ignored, _)) | None => {
                self.anomaly(offset, "write of nothing");
            }
        }
        Ok(())
    }

    fn registers(&self, _: Requester) -> Vec<Listed> {
        MAP.list(0, |reg, _| (reg == Reg::Dma).then_some(DMA_SIGNATURE))
    }
}

impl Component for FwCfg {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&self) {
        *self.running.lock() = None;
        let mut s = self.state.lock();
        s.select(0);
        s.dma_high = 0;
        s.items.reset();
    }

    fn save(&self) -> Payload {
        let stalled = self.running.lock().as_ref().map(|r| r.begun);
        let s = self.state.lock();
        let state = Position {
            selected: stalled.map_or(s.selected, |b| b.selected),
            position: stalled.map_or(s.position, |b| b.position),
            dma_high: s.dma_high,
            stalled,
        };
        let written = s.items.written().into_iter();
        written.fold(Payload::new(&self.name, &state), |p, (key, bytes)| p.blob(&blob(key), bytes))
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let state: Position = saved.state()?;
        let mut written = Vec::new();
        for (key, now) in self.state.lock().items.written() {
            let bytes = saved.blob(&blob(key))?;
            if bytes.len() != now.len() {
                return Err(saved.unfit(format!("the item {key:#x} has another length")));
            }
            written.push((key, bytes));
        }
        Ok(Restore::new(move || {
            *self.running.lock() = None;
            let mut s = self.state.lock();
            for (key, bytes) in written {
                if let Some((item, hook)) = s.items.writable(key) {
                    item.copy_from_slice(&bytes);
                    hook(item);
                }
            }
            (s.selected, s.position, s.dma_high) = (state.selected, state.position, state.dma_high);
            drop(s);
            if let Some(stalled) = state.stalled {
                self.begin(stalled.address);
            }
        }))
    }
}

#[cfg(test)]
mod tests;
