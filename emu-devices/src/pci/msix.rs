//! MSI-X: the table, the pending bits, and the sending of messages (PCIe 6.0, 6.1.4 and 7.7.2).

use std::sync::Arc;
use std::task::Poll;

use emu_core::addr::Size;
use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, StallTable, StallTag};
use emu_core::metrics::{Counters, Metric};
use emu_core::registers::{self, Hit, Listed, Map, Row, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::port::MasterPort;

/// The most vectors that a function can have.
const MAX_VECTORS: u32 = 2048;
/// Bytes of a table entry.
const ENTRY: u64 = 16;
/// Vector control: masked.
const MASKED: u32 = 1;

/// The words of a table entry, by their places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Address = 0,
    UpperAddress = 1,
    Data = 2,
    Control = 3,
}

const fn table_row(name: &'static str, word: Word) -> Row<Word> {
    registers::word(name, 4 * word as u32, word).array(MAX_VECTORS).stride(ENTRY as u32)
}

/// The table. Address bits 1:0 are zero; of vector control only the mask bit exists.
pub(super) static TABLE: Map<Word> = Map {
    specification: "PCIe 6.0, 7.7.2 (MSI-X table)",
    window: MAX_VECTORS as u64 * ENTRY,
    rows: &[
        table_row("Message Address", Word::Address).bits(0xffff_fffc),
        table_row("Message Upper Address", Word::UpperAddress),
        table_row("Message Data", Word::Data),
        table_row("Vector Control", Word::Control).bits(MASKED as u64).reset(MASKED as u64),
    ],
};

/// The pending bit array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PendingBits;

/// The pending bits.
pub(super) static PENDING: Map<PendingBits> = Map {
    specification: "PCIe 6.0, 7.7.2 (MSI-X pending bit array)",
    window: MAX_VECTORS as u64 / 8,
    rows: &[registers::double("Pending Bits", 0, PendingBits).array(MAX_VECTORS / 64).read_only(u64::MAX)],
};

/// Where a function keeps its MSI-X structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsixLayout {
    /// Number of vectors, 1..=2048.
    pub vectors: u16,
    /// The BAR of both structures.
    pub bar: u8,
    /// Offset of the table in the BAR, a multiple of 8.
    pub table_offset: u32,
    /// Offset of the pending bits in the BAR, a multiple of 8.
    pub pba_offset: u32,
}

/// The state of a function's MSI-X.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MsixState {
    table: Vec<[u32; 4]>,
    pending: Vec<bool>,
}

impl MsixState {
    /// A word of the table; 0 where there is no such entry.
    fn word(&self, index: u32, word: Word) -> u64 {
        self.table.get(index as usize).map_or(0, |entry| entry[word as usize].into())
    }

    /// The n-th 64 pending bits.
    fn pending_bits(&self, n: u32) -> u64 {
        let bits = self.pending.iter().skip(64 * n as usize).take(64);
        bits.enumerate().fold(0, |v, (i, &b)| v | u64::from(b) << i)
    }
}

struct Inner {
    state: MsixState,
    enabled: bool,
    function_masked: bool,
}

/// MSI-X of one function.
pub struct Msix {
    layout: MsixLayout,
    inner: Mutex<Inner>,
    /// Messages that wait for software, by vector.
    stalls: StallTable,
    counters: Arc<Counters>,
}

impl Msix {
    /// All vectors masked and nothing pending.
    #[must_use]
    pub(super) fn new(layout: MsixLayout, counters: Arc<Counters>) -> Self {
        let state = Self::reset_state(layout);
        let inner = Inner { state, enabled: false, function_masked: false };
        Self { layout, inner: Mutex::new(inner), stalls: StallTable::default(), counters }
    }

    fn reset_state(layout: MsixLayout) -> MsixState {
        let n = usize::from(layout.vectors);
        MsixState { table: vec![[0, 0, 0, MASKED]; n], pending: vec![false; n] }
    }

    /// Where the structures are.
    #[must_use]
    pub fn layout(&self) -> MsixLayout {
        self.layout
    }

    /// True if software uses MSI-X rather than INTx.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.inner.lock().enabled
    }

    /// Follows Message Control.
    pub(super) fn set_control(&self, control: u16) {
        let mut inner = self.inner.lock();
        inner.enabled = control & 1 << 15 != 0;
        inner.function_masked = control & 1 << 14 != 0;
    }

    pub(super) fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.state = Self::reset_state(self.layout);
        inner.enabled = false;
        inner.function_masked = false;
        self.stalls.cancel_all();
    }

    pub(super) fn save(&self) -> MsixState {
        let inner = self.inner.lock();
        let mut state = inner.state.clone();
        // A stalled message is sent anew after a restore.
        for vector in self.stalls.slots() {
            state.pending[usize::from(vector)] = true;
        }
        state
    }

    /// True if a saved state is one of a function like this.
    pub(super) fn fits(&self, state: &MsixState) -> bool {
        let n = usize::from(self.layout.vectors);
        let there = |index: u32| index < self.layout.vectors.into();
        state.table.len() == n
            && state.pending.len() == n
            && TABLE.holds(|word, index| there(index).then(|| state.word(index, word)))
    }

    pub(super) fn restore(&self, state: &MsixState) {
        let mut inner = self.inner.lock();
        inner.state = Self::reset_state(self.layout);
        self.stalls.cancel_all();
        for (to, from) in inner.state.table.iter_mut().zip(&state.table) {
            *to = *from;
        }
        for (to, from) in inner.state.pending.iter_mut().zip(&state.pending) {
            *to = *from;
        }
    }

    /// The table's register at `offset` of the BAR, if the function has so many.
    fn in_table(&self, offset: u64) -> Option<Hit<Word>> {
        let at = offset.checked_sub(self.layout.table_offset.into())?;
        TABLE.at(at).filter(|hit| hit.index < self.layout.vectors.into())
    }

    /// The pending bits at `offset` of the BAR.
    fn in_pending(&self, offset: u64) -> Option<Hit<PendingBits>> {
        let at = offset.checked_sub(self.layout.pba_offset.into())?;
        PENDING.at(at).filter(|hit| hit.index * 64 < self.layout.vectors.into())
    }

    /// Reads the structures; `None` if `offset` is in neither.
    pub(super) fn read(&self, offset: u64, size: Size) -> Option<u64> {
        let inner = self.inner.lock();
        let word = |at: u64| -> Option<u64> {
            if let Some(hit) = self.in_table(at) {
                return Some(hit.value(|word| inner.state.word(hit.index, word)));
            }
            let hit = self.in_pending(at)?;
            Some(hit.read(Size::B4, |_| inner.state.pending_bits(hit.index)))
        };
        let low = word(offset & !3)?;
        Some(match size {
            Size::B8 => word((offset & !3) + 4).unwrap_or(0) << 32 | low,
            _ => low >> (8 * (offset & 3)) & size.mask(),
        })
    }

    /// Writes the table; false if `offset` is not in it. Only whole words are taken, as the specification demands of
    /// software; the pending bits are read-only.
    pub(super) fn write(&self, offset: u64, size: Size, value: u64, port: &MasterPort) -> bool {
        if self.in_table(offset).is_none() {
            return false;
        }
        let at = offset - u64::from(self.layout.table_offset);
        if size < Size::B4 || !at.is_multiple_of(size.bytes()) {
            self.counters.add(Metric::Anomalies, 1);
            return true;
        }
        {
            let mut inner = self.inner.lock();
            for i in 0..size.bytes() / 4 {
                if let Some(hit) = self.in_table(offset + 4 * i)
                    && let Target::Register(word) = hit.target()
                {
                    let value = hit.written(Size::B4, value >> (32 * i)) as u32;
                    inner.state.table[hit.index as usize][word as usize] = value;
                }
            }
        }
        self.send_pending(port);
        true
    }

    /// The registers with their values, by their offsets in the BAR.
    pub(super) fn list(&self) -> Vec<Listed> {
        let (state, vectors) = (&self.inner.lock().state, u32::from(self.layout.vectors));
        let table = TABLE.list(self.layout.table_offset.into(), |word, index| {
            (index < vectors).then(|| state.word(index, word))
        });
        let pending = PENDING.list(self.layout.pba_offset.into(), |PendingBits, index| {
            (index * 64 < vectors).then(|| state.pending_bits(index))
        });
        table.into_iter().chain(pending).collect()
    }

    /// The function wants to send `vector`. A vector that does not exist sends nothing.
    pub fn raise(&self, vector: u16, port: &MasterPort) {
        {
            let mut inner = self.inner.lock();
            let enabled = inner.enabled;
            match inner.state.pending.get_mut(usize::from(vector)) {
                Some(pending) if enabled => *pending = true,
                _ => return,
            }
        }
        self.send(vector, port);
    }

    /// Sends everything that is pending and not masked.
    pub(super) fn send_pending(&self, port: &MasterPort) {
        for vector in 0..self.layout.vectors {
            self.send(vector, port);
        }
    }

    /// Sends `vector` if it is pending and not masked.
    fn send(&self, vector: u16, port: &MasterPort) {
        loop {
            let ticket = self.stalls.ticket();
            let Some(message) = self.take(vector, port) else { return };
            match port.write(DmaAttrs::default(), message.addr, &message.data.to_le_bytes()) {
                Ok(()) => return,
                Err(DmaFault::Stalled(tag)) => {
                    if self.stalls.park(vector, tag, ticket)
                        || self.stalls.answer(vector) == Poll::Ready(false)
                    {
                        return;
                    }
                    self.inner.lock().state.pending[usize::from(vector)] = true;
                }
                Err(DmaFault::Abort) => {
                    tracing::debug!(vector, addr = message.addr, "MSI-X message aborted");
                    self.counters.add(Metric::Anomalies, 1);
                    return;
                }
            }
        }
    }

    /// Takes the message of `vector` if it is to be sent now: not while one of the same vector is stalled, with which it is
    /// one.
    fn take(&self, vector: u16, port: &MasterPort) -> Option<Message> {
        let mut inner = self.inner.lock();
        let i = usize::from(vector);
        let [low, high, data, control] = inner.state.table[i];
        let open = inner.enabled && !inner.function_masked && control & MASKED == 0 && port.is_open();
        let addr = u64::from(high) << 32 | u64::from(low);
        let message = Message { addr, data };
        (open && !self.stalls.is_waiting(vector) && std::mem::take(&mut inner.state.pending[i]))
            .then_some(message)
    }

    /// A stalled message may be sent again, or is lost. False if `tag` is not one of this function's messages.
    pub fn resume(&self, tag: StallTag, retry: bool, port: &MasterPort) -> bool {
        let Some(vector) = self.stalls.resume(tag, retry) else { return false };
        self.stalls.cancel(vector);
        self.inner.lock().state.pending[usize::from(vector)] |= retry;
        self.send(vector, port);
        true
    }
}

/// One message to be sent.
struct Message {
    addr: u64,
    data: u32,
}
