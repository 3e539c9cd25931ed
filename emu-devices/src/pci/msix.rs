//! MSI-X: the table, the pending bits, and the sending of messages (PCIe 6.0, 6.1.4 and 7.7.2).

use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::dma::{DmaAttrs, DmaFault, DmaPort, StallTag};
use emu_core::metrics::{Counters, Metric};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::port::MasterPort;

/// Bytes of a table entry: address, address high, data, vector control.
const ENTRY: u64 = 16;
/// Vector control: masked.
const MASKED: u32 = 1;

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

struct Inner {
    state: MsixState,
    enabled: bool,
    function_masked: bool,
    /// Messages that wait for software to serve a translation fault.
    stalled: Vec<(StallTag, u16)>,
    /// How often anything was resumed.
    resumes: u64,
}

/// MSI-X of one function.
pub struct Msix {
    layout: MsixLayout,
    inner: Mutex<Inner>,
    counters: Arc<Counters>,
}

impl Msix {
    /// All vectors masked and nothing pending.
    #[must_use]
    pub(super) fn new(layout: MsixLayout, counters: Arc<Counters>) -> Self {
        let state = Self::reset_state(layout);
        let inner = Inner { state, enabled: false, function_masked: false, stalled: Vec::new(), resumes: 0 };
        Self { layout, inner: Mutex::new(inner), counters }
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
        inner.stalled.clear();
    }

    pub(super) fn save(&self) -> MsixState {
        let inner = self.inner.lock();
        let mut state = inner.state.clone();
        // A stalled message is sent anew after a restore.
        for (_, vector) in &inner.stalled {
            state.pending[usize::from(*vector)] = true;
        }
        state
    }

    pub(super) fn restore(&self, state: &MsixState) {
        let mut inner = self.inner.lock();
        inner.state = Self::reset_state(self.layout);
        inner.stalled.clear();
        for (to, from) in inner.state.table.iter_mut().zip(&state.table) {
            *to = *from;
        }
        for (to, from) in inner.state.pending.iter_mut().zip(&state.pending) {
            *to = *from;
        }
    }

    /// Reads the structures; `None` if `offset` is in neither.
    pub(super) fn read(&self, offset: u64, size: Size) -> Option<u64> {
        let inner = self.inner.lock();
        let n = usize::from(self.layout.vectors);
        let word = |at: u64| -> Option<u32> {
            if let Some(t) = at.checked_sub(self.layout.table_offset.into())
                && t < n as u64 * ENTRY
            {
                return Some(inner.state.table[(t / ENTRY) as usize][(t % ENTRY / 4) as usize]);
            }
            let p =
                at.checked_sub(self.layout.pba_offset.into()).filter(|p| *p < n.div_ceil(64) as u64 * 8)?;
            let bits = inner.state.pending.iter().skip(p as usize * 8).take(32);
            Some(bits.enumerate().fold(0, |w, (i, &b)| w | u32::from(b) << i))
        };
        let low = word(offset & !3)?;
        Some(match size {
            Size::B8 => u64::from(word((offset & !3) + 4).unwrap_or(0)) << 32 | u64::from(low),
            _ => u64::from(low) >> (8 * (offset & 3)) & size.mask(),
        })
    }

    /// Writes the table; false if `offset` is not in it. Only whole words are taken, as the specification demands of
    /// software; the pending bits are read-only.
    pub(super) fn write(&self, offset: u64, size: Size, value: u64, port: &MasterPort) -> bool {
        let Some(t) = offset.checked_sub(self.layout.table_offset.into()) else { return false };
        if t >= u64::from(self.layout.vectors) * ENTRY {
            return false;
        }
        if size < Size::B4 || t % size.bytes() != 0 {
            self.counters.add(Metric::Anomalies, 1);
            return true;
        }
        {
            let mut inner = self.inner.lock();
            let entry = &mut inner.state.table[(t / ENTRY) as usize];
            for i in 0..size.bytes() / 4 {
                let index = (t % ENTRY / 4 + i) as usize;
                // Address bits 1:0 are zero; of vector control only the mask bit exists.
                let writable = [!3, u32::MAX, u32::MAX, MASKED][index];
                entry[index] = (value >> (32 * i)) as u32 & writable;
            }
        }
        self.send_pending(port);
        true
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
        while let Some(message) = self.take(vector, port) {
            match port.write(DmaAttrs::default(), message.addr, &message.data.to_le_bytes()) {
                Ok(()) => return,
                Err(DmaFault::Stalled(tag)) => {
                    let mut inner = self.inner.lock();
                    if inner.resumes == message.resumes {
                        inner.stalled.push((tag, vector));
                        return;
                    }
                    // Perhaps it was this one that was resumed, before we could note it: try again.
                    inner.state.pending[usize::from(vector)] = true;
                }
                Err(DmaFault::Abort) => {
                    tracing::debug!(vector, addr = message.addr, "MSI-X message aborted");
                    self.counters.add(Metric::Anomalies, 1);
                    return;
                }
            }
        }
    }

    /// Takes the message of `vector` if it is to be sent now.
    fn take(&self, vector: u16, port: &MasterPort) -> Option<Message> {
        let mut inner = self.inner.lock();
        let i = usize::from(vector);
        let [low, high, data, control] = inner.state.table[i];
        let open = inner.enabled && !inner.function_masked && control & MASKED == 0 && port.is_open();
        let addr = u64::from(high) << 32 | u64::from(low);
        let message = Message { addr, data, resumes: inner.resumes };
        (open && std::mem::take(&mut inner.state.pending[i])).then_some(message)
    }

    /// A stalled message may be sent again, or is lost. False if `tag` is not one of this function's messages.
    pub fn resume(&self, tag: StallTag, retry: bool, port: &MasterPort) -> bool {
        let vector = {
            let mut inner = self.inner.lock();
            inner.resumes += 1;
            let Some(at) = inner.stalled.iter().position(|(t, _)| *t == tag) else { return false };
            let (_, vector) = inner.stalled.swap_remove(at);
            inner.state.pending[usize::from(vector)] |= retry;
            vector
        };
        self.send(vector, port);
        true
    }
}

/// One message to be sent.
struct Message {
    addr: u64,
    data: u32,
    /// [`Inner::resumes`] when it was taken.
    resumes: u64,
}
