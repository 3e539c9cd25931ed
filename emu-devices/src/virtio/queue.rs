//! Split virtqueues, the device's side (virtio 1.2, 2.7).

use std::collections::VecDeque;

use emu_core::dma::Segment;
use serde::{Deserialize, Serialize};

use super::memory::Rings;
use super::{Chain, QueueFault, feature};

/// The longest chain that is followed, indirect or not.
const MAX_CHAIN: u16 = 1024;
/// Bytes of a descriptor.
const DESCRIPTOR: u64 = 16;
/// Alignment of the used ring, where a legacy driver cannot choose it or does not.
const LEGACY_ALIGN: u64 = 4096;

/// Descriptor flag: `next` is valid.
const NEXT: u16 = 1;
/// Descriptor flag: the device writes the buffer.
const WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors.
const INDIRECT: u16 = 4;
/// Flag of the available ring: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;

/// Where the driver has put a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QueueConfig {
    /// Number of descriptors, a power of two.
    pub size: u16,
    /// The driver has enabled the queue.
    pub enabled: bool,
    /// Address of the descriptor table.
    pub desc: u64,
    /// Address of the available ring ("driver area").
    pub avail: u64,
    /// Address of the used ring ("device area").
    pub used: u64,
    /// What a legacy driver aligns the used ring to; 0 until it has said so.
    pub legacy_align: u32,
}

impl QueueConfig {
    /// False of a configuration that was not saved by a device with queues of this size.
    pub(super) fn is_possible(&self, max: u16) -> bool {
        let aligned = self.legacy_align == 0 || self.legacy_align.is_power_of_two();
        (self.size == 0 || self.size.is_power_of_two()) && self.size <= max && aligned
    }

    /// The rings of a queue at `base`, one behind the other as the legacy interface has them (virtio 1.2, 2.7.2).
    pub(super) fn place_legacy(&mut self, base: u64) {
        let size = u64::from(self.size);
        let align = if self.legacy_align == 0 { LEGACY_ALIGN } else { u64::from(self.legacy_align) };
        self.desc = base;
        self.avail = base.wrapping_add(DESCRIPTOR * size);
        // Flags, index and used_event beside the ring itself.
        let end = self.avail.wrapping_add(2 * (3 + size));
        self.used = end.wrapping_add(align - 1) & !(align - 1);
    }
}

#[derive(Clone, Copy)]
struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

impl Descriptor {
    fn parse(b: &[u8; 16]) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, l0, l1, l2, l3, f0, f1, n0, n1] = *b;
        Self {
            addr: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            flags: u16::from_le_bytes([f0, f1]),
            next: u16::from_le_bytes([n0, n1]),
        }
    }
}

/// A virtqueue in use.
///
/// [`Queue::take`] gives the next request, which is in flight from then on; [`Queue::complete`] and [`Queue::publish`] put it
/// into the used ring, in any order. Which requests are in flight is a part of the state: after a restore they begin again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    config: QueueConfig,
    event_idx: bool,
    indirect: bool,
    next_avail: u16,
    next_used: u16,
    /// `next_used` when the driver was last considered for an interrupt.
    signalled: u16,
    /// The heads of requests that were taken and are not in the used ring, the oldest first.
    in_flight: Vec<u16>,
    /// Those of them that are executed: head and bytes written.
    done: VecDeque<(u16, u32)>,
    /// Those of them that begin again.
    #[serde(skip)]
    again: VecDeque<u16>,
}

impl Queue {
    /// A queue at its beginning, with the negotiated `features`.
    #[must_use]
    pub fn new(config: QueueConfig, features: u64) -> Self {
        let has = |f| features & f != 0;
        Self {
            config,
            event_idx: has(feature::EVENT_IDX),
            indirect: has(feature::INDIRECT_DESC),
            ..Self::default()
        }
    }

    /// Takes the features, which may be negotiated after the queue was set up.
    pub(super) fn set_features(&mut self, features: u64) {
        self.event_idx = features & feature::EVENT_IDX != 0;
        self.indirect = features & feature::INDIRECT_DESC != 0;
    }

    /// True if the driver has enabled the queue.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.config.enabled
    }

    /// False of a state that no queue can have had.
    pub(super) fn is_possible(&self, max: u16) -> bool {
        let in_flight = |head: &u16| self.in_flight.contains(head);
        self.config.is_possible(max)
            && self.in_flight.len() <= usize::from(max)
            && self.done.len() <= self.in_flight.len()
            && self.done.iter().all(|(head, _)| in_flight(head))
    }

    /// What was in flight when the state was saved begins again, unless only its end is missing.
    pub(super) fn begin_again(&mut self) {
        let mut done: Vec<u16> = self.done.iter().map(|(head, _)| *head).collect();
        let is_done = |head: &u16| match done.iter().position(|d| d == head) {
            Some(at) => {
                done.swap_remove(at);
                true
            }
            None => false,
        };
        let (_, again) = self.in_flight.iter().copied().partition::<Vec<u16>, _>(is_done);
        self.again = again.into();
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index & self.config.size.wrapping_sub(1))
    }

    /// How many requests wait. When there is none, the driver is asked to notify for the next one.
    fn waiting(&self, rings: &Rings<'_>) -> Result<u16, QueueFault> {
        let index = self.config.avail.wrapping_add(2);
        let mut waiting = rings.read_u16(index)?.wrapping_sub(self.next_avail);
        if waiting == 0 && self.event_idx {
            let avail_event = self.config.used.wrapping_add(4 + 8 * u64::from(self.config.size));
            rings.write_u16(avail_event, self.next_avail)?;
            // The driver publishes and then looks at avail_event; we write avail_event and then look again.
            rings.fence();
            waiting = rings.read_u16(index)?.wrapping_sub(self.next_avail);
        }
        if waiting > self.config.size {
            return Err(QueueFault::Malformed("the available index is too far ahead"));
        }
        Ok(waiting)
    }

    /// Takes the oldest request that waits; it is in flight until it is published.
    pub fn take(&mut self, rings: &Rings<'_>) -> Result<Option<Chain>, QueueFault> {
        if let Some(head) = self.again.front() {
            let chain = self.find(rings, *head)?;
            self.again.pop_front();
            return Ok(Some(chain));
        }
        if self.waiting(rings)? == 0 {
            return Ok(None);
        }
        if self.in_flight.len() >= usize::from(self.config.size) {
            return Err(QueueFault::Malformed("more requests are available than the queue has descriptors"));
        }
        // What the driver wrote before it moved the index is read after the index.
        rings.fence();
        let entry = self.config.avail.wrapping_add(4 + 2 * self.slot(self.next_avail));
        let head = rings.read_u16(entry)?;
        let chain = self.find(rings, head)?;
        self.next_avail = self.next_avail.wrapping_add(1);
        self.in_flight.push(head);
        Ok(Some(chain))
    }

    fn find(&self, rings: &Rings<'_>, head: u16) -> Result<Chain, QueueFault> {
        if head >= self.config.size {
            return Err(QueueFault::Malformed("the available ring names a descriptor that does not exist"));
        }
        self.follow(rings, head)
    }

    fn descriptor(&self, rings: &Rings<'_>, index: u16) -> Result<Descriptor, QueueFault> {
        let mut bytes = [0; 16];
        rings.read(self.config.desc.wrapping_add(DESCRIPTOR * u64::from(index)), &mut bytes)?;
        Ok(Descriptor::parse(&bytes))
    }

    fn follow(&self, rings: &Rings<'_>, head: u16) -> Result<Chain, QueueFault> {
        let mut chain = Chain { head, ..Chain::default() };
        let mut total = 0;
        let mut index = head;
        // A chain that is longer than the queue has a loop.
        for _ in 0..self.config.size {
            let d = self.descriptor(rings, index)?;
            if d.flags & INDIRECT != 0 {
                if !self.indirect || d.flags & NEXT != 0 {
                    return Err(QueueFault::Malformed("an indirect descriptor is not allowed here"));
                }
                return follow_table(rings, &d, chain, total);
            }
            append(&mut chain, &mut total, &d)?;
            if d.flags & NEXT == 0 {
                return Ok(chain);
            }
            index = d.next;
            if index >= self.config.size {
                return Err(QueueFault::Malformed("a chain leads to a descriptor that does not exist"));
            }
        }
        Err(QueueFault::Malformed("a chain of descriptors has a loop"))
    }

    /// The request `head` is executed and has written `len` bytes; [`Queue::publish`] tells the driver.
    pub fn complete(&mut self, head: u16, len: u32) {
        self.done.push_back((head, len));
    }

    /// Puts the oldest completed request into the used ring; false if there is none.
    pub fn publish(&mut self, rings: &Rings<'_>) -> Result<bool, QueueFault> {
        let Some((head, len)) = self.done.front().copied() else { return Ok(false) };
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(head).to_le_bytes());
        element[4..].copy_from_slice(&len.to_le_bytes());
        rings.write(self.config.used.wrapping_add(4 + 8 * self.slot(self.next_used)), &element)?;
        // The element, and all that the request has written, is seen before the index.
        rings.fence();
        rings.write_u16(self.config.used.wrapping_add(2), self.next_used.wrapping_add(1))?;
        self.next_used = self.next_used.wrapping_add(1);
        self.done.pop_front();
        if let Some(at) = self.in_flight.iter().position(|h| *h == head) {
            self.in_flight.remove(at);
        }
        Ok(true)
    }

    /// True if something was published since the driver was last considered for an interrupt.
    #[must_use]
    pub fn is_unsignalled(&self) -> bool {
        self.signalled != self.next_used
    }

    /// Whether the driver wants an interrupt for what was published since the last call. If its wish cannot be read it
    /// gets one: a spurious interrupt does no harm.
    pub fn needs_signal(&mut self, rings: &Rings<'_>) -> bool {
        // The driver enables interrupts and then looks at the used index; we wrote the index and look now.
        rings.fence();
        let old = std::mem::replace(&mut self.signalled, self.next_used);
        if self.event_idx {
            let used_event = self.config.avail.wrapping_add(4 + 2 * u64::from(self.config.size));
            rings.read_u16(used_event).map_or(true, |event| {
                self.next_used.wrapping_sub(event).wrapping_sub(1) < self.next_used.wrapping_sub(old)
            })
        } else {
            rings.read_u16(self.config.avail).map_or(true, |flags| flags & NO_INTERRUPT == 0)
        }
    }
}

/// Follows a chain in an indirect table (virtio 1.2, 2.7.5.3).
fn follow_table(
    rings: &Rings<'_>,
    table: &Descriptor,
    mut chain: Chain,
    mut total: u64,
) -> Result<Chain, QueueFault> {
    let len = u64::from(table.len);
    let count = len / DESCRIPTOR;
    if count == 0 || len % DESCRIPTOR != 0 || count > u64::from(MAX_CHAIN) {
        return Err(QueueFault::Malformed("an indirect table has an impossible length"));
    }
    let mut bytes = vec![0; len as usize];
    rings.read(table.addr, &mut bytes)?;
    let (descriptors, _) = bytes.as_chunks::<16>();
    let mut index = 0;
    for _ in 0..count {
        let Some(raw) = descriptors.get(index) else {
            return Err(QueueFault::Malformed("an indirect chain leaves its table"));
        };
        let d = Descriptor::parse(raw);
        if d.flags & INDIRECT != 0 {
            return Err(QueueFault::Malformed("an indirect table inside an indirect table"));
        }
        append(&mut chain, &mut total, &d)?;
        if d.flags & NEXT == 0 {
            return Ok(chain);
        }
        index = usize::from(d.next);
    }
    Err(QueueFault::Malformed("a chain of descriptors has a loop"))
}

/// Adds a buffer to the chain, after checking it.
fn append(chain: &mut Chain, total: &mut u64, d: &Descriptor) -> Result<(), QueueFault> {
    if d.len == 0 {
        return Err(QueueFault::Malformed("a descriptor has no bytes"));
    }
    *total += u64::from(d.len);
    if *total > u64::from(u32::MAX) {
        return Err(QueueFault::Malformed("a request of 2^32 bytes or more"));
    }
    if d.addr.checked_add(u64::from(d.len)).is_none() {
        return Err(QueueFault::Malformed("a buffer wraps around the address space"));
    }
    let segment = Segment { addr: d.addr, len: d.len };
    if d.flags & WRITE != 0 {
        chain.writable.push(segment);
    } else if chain.writable.is_empty() {
        chain.readable.push(segment);
    } else {
        return Err(QueueFault::Malformed("a readable buffer behind a writable one"));
    }
    Ok(())
}
