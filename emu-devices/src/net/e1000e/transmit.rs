//! The transmit queues (82574 datasheet, 7.2): legacy, context and data descriptors.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use emu_core::dma::{Aborted, Direction, Dma, Segment};

use super::interrupts::cause;
use super::registers::{at, statistic};
use super::state::{Ring, State};
use super::{Outgoing, Shared, control, receive_control};
use crate::net::intel::offload::{self, Context};

/// Bytes of a descriptor.
const SIZE: u32 = 16;
/// Bytes of the longest frame before it is cut.
const LONGEST: usize = 128 << 10;
/// Frames on their way out with which no more descriptors are read.
const MOST: usize = 64;
/// Bytes of the shortest frame, without its check sequence.
const SHORTEST: usize = 60;

/// TCTL: enable, pad short packets.
const ENABLE: u32 = 1 << 1;
const PAD: u32 = 1 << 3;

/// Bits of a descriptor's second doubleword.
mod bit {
    pub(super) const END: u64 = 1 << 24;
    /// Legacy: insert a checksum. Data: cut into segments.
    pub(super) const CHECKSUM_OR_CUT: u64 = 1 << 26;
    pub(super) const REPORT: u64 = 1 << 27;
    pub(super) const EXTENDED: u64 = 1 << 29;
    pub(super) const VLAN: u64 = 1 << 30;
    pub(super) const DATA: u64 = 1 << 20;
    pub(super) const IP_CHECKSUM: u64 = 1 << 40;
    pub(super) const TRANSPORT_CHECKSUM: u64 = 1 << 41;
    pub(super) const DONE: u64 = 1 << 32;
}

/// What the descriptors of one frame say.
#[derive(Default)]
struct Frame {
    bytes: Vec<u8>,
    /// The first descriptor's and the last one's second doublewords.
    first: Option<u64>,
    last: u64,
    /// The descriptors that are to be reported: which, and the second doubleword.
    reports: Vec<(u32, u64)>,
    /// It cannot be sent.
    broken: bool,
}

impl Frame {
    /// The frames that go out for it.
    fn finish(self, context: &Context, state: &State) -> Option<Vec<Vec<u8>>> {
        let first = self.first.filter(|_| !self.broken)?;
        let mut bytes = self.bytes;
        let (ip, transport) = (first & bit::IP_CHECKSUM != 0, first & bit::TRANSPORT_CHECKSUM != 0);
        let mut frames = if first & bit::EXTENDED == 0 {
            if first & bit::CHECKSUM_OR_CUT != 0 {
                let byte = |at: u32| (first >> at & 0xff) as usize;
                offload::insert(&mut bytes, (byte(40), byte(16), 0));
            }
            vec![bytes]
        } else if first & bit::CHECKSUM_OR_CUT != 0 {
            offload::segments(&bytes, context, ip, transport)?
        } else {
            offload::checksums(&mut bytes, context, ip, transport);
            vec![bytes]
        };
        if frames.iter().any(|f| f.len() < 14) {
            return None;
        }
        let tagged = self.last & bit::VLAN != 0 && state.has(at::CTRL, control::VLAN);
        for frame in &mut frames {
            if tagged {
                offload::tag(frame, state.get(at::VET) as u16, (self.last >> 48) as u16);
            }
            if state.has(at::TCTL, PAD) && frame.len() < SHORTEST {
                frame.resize(SHORTEST, 0);
            }
        }
        Some(frames)
    }
}

fn registers(queue: usize) -> u32 {
    at::TDBAL + at::QUEUE * queue as u32
}

async fn read(dma: &Dma, addr: u64, len: usize) -> Result<Vec<u8>, Aborted> {
    let segment = Segment { addr, len: len as u32 };
    dma.transfer(Direction::FromMemory, vec![segment], vec![0; len]).await
}

impl Shared {
    /// What is to be sent, if something may be.
    fn to_send(&self, queue: usize) -> Poll<Ring> {
        let state = self.state.lock();
        let ring = state.ring(registers(queue), SIZE);
        let may = state.has(at::TCTL, ENABLE) && state.is_master() && ring.ready() != 0;
        drop(state);
        if may && self.outgoing.lock().frames.len() < MOST { Poll::Ready(ring) } else { Poll::Pending }
    }

    /// Where the ring ends now; none if it is another one. Pending while that is `at`.
    fn more(&self, queue: usize, ring: &Ring, at: u32) -> Poll<Option<u32>> {
        let now = self.state.lock().ring(registers(queue), SIZE);
        match now.is(ring) {
            false => Poll::Ready(None),
            true if now.tail == at || now.ready() == 0 => Poll::Pending,
            true => Poll::Ready(Some(now.tail)),
        }
    }

    /// The work of a queue, for ever.
    pub(super) async fn transmit(self: Arc<Self>, queue: usize) {
        let dma = self.dma(queue as u16);
        loop {
            let ring = poll_fn(|_| self.to_send(queue)).await;
            let (frame, end) = self.gather(&dma, queue, &ring).await;
            let mut reported = false;
            for (index, high) in &frame.reports {
                let bytes = ((high | bit::DONE) >> 32) as u32;
                let segment = Segment { addr: ring.addr(*index).wrapping_add(12), len: 4 };
                let bytes = bytes.to_le_bytes().to_vec();
                reported = true;
                if dma.transfer(Direction::ToMemory, vec![segment], bytes).await.is_err() {
                    self.anomaly("a descriptor cannot be written back:", u64::from(*index));
                }
            }
            self.sent(queue, &ring, end, frame, reported);
        }
    }

    /// Reads the descriptors of one frame, and its bytes. Gives the first descriptor behind them.
    async fn gather(&self, dma: &Dma, queue: usize, ring: &Ring) -> (Frame, u32) {
        let (mut frame, mut index) = (Frame::default(), ring.head);
        loop {
            let Some(tail) = poll_fn(|_| self.more(queue, ring, index)).await else {
                return (Frame::default(), ring.head);
            };
            let Ok(descriptor) = read(dma, ring.addr(index), SIZE as usize).await else {
                self.anomaly("a transmit descriptor cannot be read at", ring.addr(index));
                return (Frame::default(), tail);
            };
            let [low, high] = doublewords(&descriptor);
            if high & bit::REPORT != 0 {
                frame.reports.push((index, high));
            }
            index = ring.next(index);
            if high & (bit::EXTENDED | bit::DATA) == bit::EXTENDED {
                self.state.lock().contexts[queue] = Context::of(low, high);
                return (frame, index);
            }
            frame.first.get_or_insert(high);
            frame.last = high;
            let mask = if high & bit::EXTENDED == 0 { 0xffff } else { 0xf_ffff };
            let len = (high & mask) as usize;
            if frame.bytes.len() + len > LONGEST {
                self.anomaly("a frame is too long:", (frame.bytes.len() + len) as u64);
                frame.broken = true;
            } else if let Ok(bytes) = read(dma, low, len).await {
                frame.bytes.extend(bytes);
            } else {
                self.anomaly("a frame cannot be read at", low);
                frame.broken = true;
            }
            if high & bit::END != 0 || index == ring.head {
                return (frame, index);
            }
        }
    }

    /// The descriptors up to `end` are done with.
    fn sent(&self, queue: usize, ring: &Ring, end: u32, frame: Frame, reported: bool) {
        let state = &mut *self.state.lock();
        if !state.ring(registers(queue), SIZE).is(ring) {
            return;
        }
        state.set(registers(queue) + 0x10, end);
        let whole = frame.first.is_some() && !frame.broken;
        if frame.first.is_some_and(|f| f & bit::EXTENDED != 0 && f & bit::CHECKSUM_OR_CUT != 0) {
            state.count(statistic::TSCTC, 1);
        }
        let context = state.contexts[queue];
        match frame.finish(&context, state) {
            Some(frames) => self.put_out(state, frames),
            None if whole => self.anomaly("a frame makes no sense in queue", queue as u64),
            None => {}
        }
        let empty = state.ring(registers(queue), SIZE).ready() == 0;
        let mut causes = if empty { cause::TXQE } else { 0 };
        if reported {
            causes |= cause::TXDW | cause::TXQ0 << queue;
        }
        self.raise(state, causes);
    }

    /// Frames go out, or come back.
    fn put_out(&self, state: &mut State, frames: Vec<Vec<u8>>) {
        let back = state.phy.loops() || state.has(at::RCTL, receive_control::LOOPBACK);
        if !back && !state.link {
            return;
        }
        let mut outgoing = self.outgoing.lock();
        for bytes in frames {
            state.count_frame(true, &bytes);
            outgoing.frames.push_back(Outgoing { bytes, back });
        }
    }
}

/// The doublewords of a descriptor.
pub(super) fn doublewords(descriptor: &[u8]) -> [u64; 2] {
    let word = |at: usize| {
        descriptor.get(at..at + 8).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap_or([0; 8])))
    };
    [word(0), word(8)]
}
