//! What is taken of the frames that come, and the receive queues (82574 datasheet, 7.1).

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use emu_core::dma::{Aborted, Direction, Dma, Segment};

use super::interrupts::cause;
use super::registers::{at, statistic};
use super::state::{Packet, Ring, State};
use super::{Shared, control, receive_control as rctl};
use crate::net::intel::frame::{self, Parts};

/// Bytes of the longest frame that can be taken.
pub(super) const LONGEST: usize = 16 << 10;
/// Bytes of the longest frame that is not a long one, but for a VLAN tag.
const USUAL: usize = 1514;

/// RXCSUM: IP and TCP/UDP checksums are looked at; the hash is in the place of the packet checksum.
const IP_CHECKSUM: u32 = 1 << 8;
const TRANSPORT_CHECKSUM: u32 = 1 << 9;
const HASH: u32 = 1 << 13;
/// RFCTL: extended descriptors.
const EXTENDED: u32 = 1 << 15;

/// Status and errors, as an extended descriptor has them.
mod status {
    pub(super) const DONE: u32 = 1;
    pub(super) const END: u32 = 1 << 1;
    pub(super) const VLAN: u32 = 1 << 3;
    pub(super) const UDP_CHECKED: u32 = 1 << 4;
    pub(super) const TCP_CHECKED: u32 = 1 << 5;
    pub(super) const IP_CHECKED: u32 = 1 << 6;
    pub(super) const INEXACT: u32 = 1 << 7;
    pub(super) const TRANSPORT_WRONG: u32 = 1 << 29;
    pub(super) const IP_WRONG: u32 = 1 << 30;
}

/// How descriptors look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Legacy,
    Extended,
    Split,
}

/// The form of descriptors, and the bytes of their buffers.
struct Layout {
    form: Form,
    buffers: Vec<usize>,
}

impl Layout {
    fn of(state: &State) -> Self {
        let control = state.get(at::RCTL);
        let extended = state.has(at::RFCTL, EXTENDED);
        if extended && control >> 10 & 3 == 1 {
            let sizes = state.get(at::PSRCTL);
            let kib = |at: u32| (sizes >> at & 0x3f) as usize * 1024;
            let first = (sizes & 0x7f) as usize * 128;
            return Self { form: Form::Split, buffers: vec![first, kib(8), kib(16), kib(24)] };
        }
        let size = match (control >> 16 & 3, control & rctl::BUFFERS_EXTENDED != 0) {
            (0, _) => 2048,
            (n, false) => 2048 >> n,
            (n, true) => 32768 >> n,
        };
        Self { form: if extended { Form::Extended } else { Form::Legacy }, buffers: vec![size] }
    }

    fn descriptor(&self) -> u32 {
        if self.form == Form::Split { 32 } else { 16 }
    }

    /// Descriptors that a frame takes; none if there are no buffers.
    fn needed(&self, bytes: usize) -> Option<u32> {
        let each: usize = self.buffers.iter().sum();
        (each != 0).then(|| bytes.div_ceil(each) as u32)
    }
}

impl State {
    /// Whether a frame to `address` is for this station; true in it if that is known by the hash alone.
    fn is_for_us(&self, address: [u8; 6]) -> Option<bool> {
        let [a, b, c, d, e, f] = address;
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from(e) | u32::from(f) << 8);
        let exact = (0..16).any(|i| {
            let (l, h) = (self.get(at::RAL + 8 * i), self.get(at::RAL + 8 * i + 4));
            h >> 31 != 0 && (l, h & 0xffff) == (low, high)
        });
        let broadcast = address == [0xff; 6] && self.has(at::RCTL, rctl::BROADCAST);
        if exact || broadcast {
            return Some(false);
        }
        if a & 1 == 0 {
            return self.has(at::RCTL, rctl::UNICAST).then_some(false);
        }
        let shift = [4, 5, 6, 8][(self.get(at::RCTL) >> 12 & 3) as usize];
        let hash = (u32::from(e) >> (8 - shift) | u32::from(f) << shift) & 0xfff;
        let listed = self.has(at::MTA + 4 * (hash >> 5), 1 << (hash & 31));
        match self.has(at::RCTL, rctl::MULTICAST) {
            true => Some(false),
            false => listed.then_some(true),
        }
    }

    /// Whether the VLAN is one that software listens to.
    fn is_our_vlan(&self, tag: u16) -> bool {
        let id = u32::from(tag) & 0xfff;
        !self.has(at::RCTL, rctl::VLAN_FILTER) || self.has(at::VFTA + 4 * (id >> 5), 1 << (id & 31))
    }

    /// Takes a frame that has come, and says for which queue it is; none if it is not wanted.
    pub(super) fn accept(&mut self, bytes: &[u8]) -> Option<(usize, Packet)> {
        if !self.has(at::RCTL, rctl::ENABLE) {
            return None;
        }
        let mut bytes = bytes.to_vec();
        // On the wire no frame is shorter.
        bytes.resize(bytes.len().max(60), 0);
        let vlan_type = self.get(at::VET) as u16;
        let tag = frame::vlan(&bytes, vlan_type);
        let usual = if tag.is_some() { USUAL + 4 } else { USUAL };
        if bytes.len() > LONGEST || bytes.len() > usual && !self.has(at::RCTL, rctl::LONG) {
            self.count(statistic::ROC, 1);
            return None;
        }
        let address = bytes.first_chunk::<6>()?;
        let inexact = self.is_for_us(*address)?;
        if tag.is_some_and(|tag| !self.is_our_vlan(tag)) {
            return None;
        }
        self.count_frame(false, &bytes);
        let mut packet = Packet { status: self.checked(&bytes), ..Packet::default() };
        if inexact {
            packet.status |= status::INEXACT;
        }
        let queue = self.hash(&bytes, &mut packet);
        if !self.has(at::RCTL, rctl::STRIP_CHECK_SEQUENCE) {
            bytes.extend(frame::check_sequence(&bytes));
        }
        if let Some(tag) = tag.filter(|_| self.has(at::CTRL, control::VLAN)) {
            bytes.drain(12..16);
            packet.status |= status::VLAN;
            packet.vlan = tag;
        }
        packet.bytes = bytes;
        Some((queue, packet))
    }

    /// What looking at the checksums gives.
    fn checked(&self, bytes: &[u8]) -> u32 {
        let parts = Parts::of(bytes, self.get(at::VET) as u16);
        let mut found = 0;
        if self.has(at::RXCSUM, IP_CHECKSUM)
            && let Some(right) = parts.ip_checksum(bytes)
        {
            found |= status::IP_CHECKED | if right { 0 } else { status::IP_WRONG };
        }
        if self.has(at::RXCSUM, TRANSPORT_CHECKSUM)
            && let Some((protocol, right)) = parts.transport_checksum(bytes)
        {
            let udp = if protocol == frame::UDP { status::UDP_CHECKED } else { 0 };
            found |= status::TCP_CHECKED | udp | if right { 0 } else { status::TRANSPORT_WRONG };
        }
        found
    }

    /// The hash of a frame, if software wants one, and the queue that it is for.
    fn hash(&self, bytes: &[u8], packet: &mut Packet) -> usize {
        let control = self.get(at::MRQC);
        let parts = Parts::of(bytes, self.get(at::VET) as u16);
        let Some((addresses, ports)) = parts.hashed(bytes).filter(|_| control >> 16 != 0) else { return 0 };
        let ipv4 = addresses.len() == 8;
        // The fields' bits, and the types with ports and without.
        let (with, without) = if ipv4 { ((16, 1), (17, 2)) } else { ((21, 3), (20, 5)) };
        let has = |bit: u32| control >> bit & 1 != 0;
        let (input, hash_type) = match ports {
            Some(ports) if has(with.0) => ([&addresses[..], &ports].concat(), with.1),
            _ if has(without.0) => (addresses, without.1),
            _ => return 0,
        };
        let mut key = [0; 40];
        for (i, word) in key.chunks_exact_mut(4).enumerate() {
            word.copy_from_slice(&self.get(at::RSSRK + 4 * i as u32).to_le_bytes());
        }
        packet.hash = frame::toeplitz(&key, &input);
        packet.hash_type = hash_type;
        let entry = self.get(at::RETA + (packet.hash & 0x7c)) >> (8 * (packet.hash & 3));
        if control & 3 == 1 { (entry >> 7 & 1) as usize } else { 0 }
    }
}

fn registers(queue: usize) -> u32 {
    at::RDBAL + at::QUEUE * queue as u32
}

impl Shared {
    /// The next frame, if there is one, and room for it in memory.
    fn to_receive(&self, queue: usize) -> Poll<(Ring, Layout, Packet)> {
        let state = &mut *self.state.lock();
        if !state.has(at::RCTL, rctl::ENABLE) || !state.is_master() {
            return Poll::Pending;
        }
        let layout = Layout::of(state);
        let ring = state.ring(registers(queue), layout.descriptor());
        while let Some(packet) = state.backlog[queue].front() {
            let needed = layout.needed(packet.bytes.len()).filter(|n| *n < ring.len.max(1));
            match needed {
                Some(needed) if needed <= ring.ready() => {
                    return Poll::Ready((ring, layout, packet.clone()));
                }
                Some(_) => return Poll::Pending,
                None if ring.len == 0 => return Poll::Pending,
                None => {
                    self.anomaly("no ring of this size takes a frame in queue", queue as u64);
                    state.backlog[queue].pop_front();
                }
            }
        }
        Poll::Pending
    }

    /// The work of a queue, for ever.
    pub(super) async fn receive_queue(self: Arc<Self>, queue: usize) {
        let dma = self.dma((super::QUEUES + queue) as u16);
        loop {
            let (ring, layout, packet) = poll_fn(|_| self.to_receive(queue)).await;
            let end = match self.deliver_packet(&dma, &ring, &layout, &packet).await {
                Ok(end) => end,
                Err(Aborted) => {
                    self.anomaly("a frame cannot be given to software in queue", queue as u64);
                    ring.next(ring.head)
                }
            };
            self.received(queue, &ring, &layout, end);
        }
    }

    /// Writes a frame and its descriptors to memory. Gives the first descriptor behind them.
    async fn deliver_packet(
        &self,
        dma: &Dma,
        ring: &Ring,
        layout: &Layout,
        packet: &Packet,
    ) -> Result<u32, Aborted> {
        let (mut index, mut done) = (ring.head, 0);
        let mut reports = Vec::new();
        let legacy_hash = !self.state.lock().has(at::RXCSUM, HASH);
        while done < packet.bytes.len() {
            let segment = |addr, len| vec![Segment { addr, len: len as u32 }];
            let size = layout.descriptor() as usize;
            let addr = ring.addr(index);
            let descriptor = dma.transfer(Direction::FromMemory, segment(addr, size), vec![0; size]).await?;
            let mut lengths = Vec::new();
            for (buffer, size) in descriptor.chunks_exact(8).zip(&layout.buffers) {
                let part = &packet.bytes[done..packet.bytes.len().min(done + size)];
                let to = u64::from_le_bytes(buffer.try_into().unwrap_or([0; 8]));
                if !part.is_empty() {
                    dma.transfer(Direction::ToMemory, segment(to, part.len()), part.to_vec()).await?;
                }
                lengths.push(part.len() as u64);
                done += part.len();
            }
            let last = done == packet.bytes.len();
            // In a legacy descriptor the buffer's address stays.
            let to = if layout.form == Form::Legacy { addr.wrapping_add(8) } else { addr };
            reports.push((to, report(layout.form, packet, &lengths, last, legacy_hash)));
            index = ring.next(index);
        }
        for (addr, bytes) in reports {
            let segment = Segment { addr, len: bytes.len() as u32 };
            dma.transfer(Direction::ToMemory, vec![segment], bytes).await?;
        }
        Ok(index)
    }

    /// The descriptors up to `end` are software's.
    fn received(&self, queue: usize, ring: &Ring, layout: &Layout, end: u32) {
        let state = &mut *self.state.lock();
        if !state.ring(registers(queue), layout.descriptor()).is(ring) {
            return;
        }
        state.backlog[queue].pop_front();
        state.set(registers(queue) + 0x10, end);
        let left = state.ring(registers(queue), layout.descriptor()).ready();
        let threshold = ring.len >> (1 + (state.get(at::RCTL) >> 8 & 3).min(2));
        let few = if left <= threshold { cause::RXDMT0 } else { 0 };
        self.raise(state, cause::RXT0 | cause::RXQ0 << queue | few);
    }
}

/// A descriptor as it is written back.
fn report(form: Form, packet: &Packet, lengths: &[u64], last: bool, checksum: bool) -> Vec<u8> {
    let (end, vlan) = match last {
        true => (packet.status | status::DONE | status::END, u64::from(packet.vlan) << 48),
        false => (status::DONE, 0),
    };
    let len = lengths.first().copied().unwrap_or(0);
    if form == Form::Legacy {
        let (low, errors) = (u64::from(end & 0xff), u64::from(end >> 24));
        return (len | low << 32 | errors << 40 | vlan).to_le_bytes().to_vec();
    }
    let hash = if checksum { 0 } else { u64::from(packet.hash) << 32 | u64::from(packet.hash_type) };
    let mut doublewords = vec![hash, u64::from(end) | len << 32 | vlan];
    if form == Form::Split {
        let rest = lengths.iter().skip(1).zip([16, 32, 48]);
        doublewords.extend([rest.fold(0, |word, (len, at)| word | len << at), 0]);
    }
    doublewords.iter().flat_map(|d| d.to_le_bytes()).collect()
}
