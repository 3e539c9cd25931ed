//! What the controller has: its registers, and the frames in its packet buffer.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::control;
use super::registers::{MAP, at, statistic};
use crate::net::intel::nvm::Nvm;
use crate::net::intel::offload::Context;
use crate::net::intel::phy::Phy;

/// Queues of each direction.
pub(super) const QUEUES: usize = 2;
/// Vectors of MSI-X.
pub(super) const VECTORS: usize = 5;
/// Words behind which there is no register.
const WORDS: usize = 0xb60c / 4;
/// Nanoseconds of the clock behind SYSTIM.
const TICK: u64 = 40;
/// Frames that the packet buffer has room for.
const ROOM: usize = 64;

/// A frame that is to be given to software.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Packet {
    /// Its bytes, as they go to memory.
    pub(super) bytes: Vec<u8>,
    /// Status and errors of an extended descriptor, without those that all frames have.
    pub(super) status: u32,
    /// The VLAN tag that was taken away.
    pub(super) vlan: u16,
    /// The hash, and what it is of.
    pub(super) hash: u32,
    /// See [`Packet::hash`].
    pub(super) hash_type: u32,
}

impl Packet {
    fn is_possible(&self) -> bool {
        (1..=super::receive::LONGEST + 4).contains(&self.bytes.len())
    }
}

/// The moderation of one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moderation {
    /// No message before this time.
    pub(super) open_at: u64,
    /// The causes that wait for it.
    pub(super) waiting: u32,
}

/// A ring of descriptors, as its registers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ring {
    /// Where it is.
    base: u64,
    /// Bytes of a descriptor, and how many there are.
    size: u32,
    pub(super) len: u32,
    /// The first one that is the controller's.
    pub(super) head: u32,
    /// The first one that is not.
    pub(super) tail: u32,
}

impl Ring {
    /// How many are the controller's. None in a ring that cannot be.
    pub(super) fn ready(&self) -> u32 {
        let possible = self.head < self.len && self.tail < self.len;
        if possible { (self.tail + self.len - self.head) % self.len } else { 0 }
    }
    /// Where one is.
    pub(super) fn addr(&self, index: u32) -> u64 {
        self.base.wrapping_add(u64::from(index) * u64::from(self.size))
    }
    /// The one behind `index`.
    pub(super) fn next(&self, index: u32) -> u32 {
        if index + 1 >= self.len { 0 } else { index + 1 }
    }
    /// The same ring, whatever was added to it.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.base, self.size, self.len, self.head) == (other.base, other.size, other.len, other.head)
    }
}

/// See the module's head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(skip)]
    words: Vec<u32>,
    pub(super) phy: Phy,
    pub(super) nvm: Nvm,
    pub(super) contexts: [Context; QUEUES],
    pub(super) backlog: [VecDeque<Packet>; QUEUES],
    pub(super) moderation: [Moderation; VECTORS],
    /// There is a link.
    pub(super) link: bool,
    /// There is somebody at the other end of the cable.
    pub(super) cable: bool,
    /// The backend was told that there is no room.
    pub(super) refused: bool,
    /// What the pin has.
    pub(super) pin: bool,
    /// When SYSTIM had the value that its registers keep.
    pub(super) timed_at: u64,
    /// The port that the I/O BAR shows.
    pub(super) io_address: u32,
}

impl State {
    /// After power-on.
    pub(super) fn new(phy: Phy, nvm: Nvm, cable: bool) -> Self {
        let mut state = Self {
            words: vec![0; WORDS],
            phy,
            nvm,
            contexts: Default::default(),
            backlog: Default::default(),
            moderation: Default::default(),
            link: false,
            cable,
            refused: false,
            pin: false,
            timed_at: 0,
            io_address: 0,
        };
        for row in MAP.rows {
            for i in 0..row.count {
                state.set(row.offset + i * row.stride, row.reset.unwrap_or(0) as u32);
            }
        }
        state.load_address();
        state.link = state.has_partner();
        state
    }

    /// There is somebody to have a link with, and the controller wants one.
    pub(super) fn has_partner(&self) -> bool {
        let wanted = self.has(at::CTRL, control::SET_LINK_UP) && self.phy.is_awake();
        wanted && (self.cable || self.phy.loops())
    }

    /// The first receive address is the EEPROM's.
    pub(super) fn load_address(&mut self) {
        let [a, b, c, d, e, f] = self.nvm.mac().0;
        self.set(at::RAL, u32::from_le_bytes([a, b, c, d]));
        self.set(at::RAL + 4, u32::from_le_bytes([e, f, 0, 0x80]));
    }

    /// The words, for a saved state.
    pub(super) fn words(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Takes the words of a saved state; false if they, or the rest of it, are not possible.
    pub(super) fn take_words(&mut self, bytes: &[u8]) -> bool {
        self.words = bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        let possible = MAP.rows.iter().all(|row| {
            let others = !(row.readable | row.writable) as u32;
            (0..row.count).all(|i| self.get(row.offset + i * row.stride) & others == 0)
        });
        let backlog = self.backlog.iter().all(|b| b.len() <= ROOM && b.iter().all(Packet::is_possible));
        let contexts = self.contexts.iter().all(Context::is_possible);
        bytes.len() == 4 * WORDS && possible && backlog && contexts && self.nvm.is_possible()
    }

    /// The register at `offset`.
    pub(super) fn get(&self, offset: u32) -> u32 {
        self.words.get(offset as usize / 4).copied().unwrap_or(0)
    }
    pub(super) fn set(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get_mut(offset as usize / 4) {
            *word = value;
        }
    }
    pub(super) fn has(&self, offset: u32, bits: u32) -> bool {
        self.get(offset) & bits != 0
    }

    /// Counts in a statistic, which stays at its greatest value.
    pub(super) fn count(&mut self, offset: u32, more: u32) {
        self.set(offset, self.get(offset).saturating_add(more));
    }
    /// The same of one with 64 bits.
    pub(super) fn count_wide(&mut self, offset: u32, more: u64) {
        let sum = (u64::from(self.get(offset + 4)) << 32 | u64::from(self.get(offset))).saturating_add(more);
        self.set(offset, sum as u32);
        self.set(offset + 4, (sum >> 32) as u32);
    }

    /// Counts a good frame of `len` bytes with its check sequence, and to whom it is.
    pub(super) fn count_frame(&mut self, sent: bool, frame: &[u8]) {
        let len = frame.len() as u64 + 4;
        let class = match len {
            0..=64 => 0,
            65..=127 => 1,
            128..=255 => 2,
            256..=511 => 3,
            512..=1023 => 4,
            _ => 5,
        };
        use statistic as s;
        let [sizes, good, total, octets, all_octets, broadcast, multicast] = match sent {
            true => [s::PTC64, s::GPTC, s::TPT, s::GOTC, s::TOT, s::BPTC, s::MPTC],
            false => [s::PRC64, s::GPRC, s::TPR, s::GORC, s::TOR, s::BPRC, s::MPRC],
        };
        self.count(sizes + 4 * class, 1);
        self.count(good, 1);
        self.count(total, 1);
        self.count_wide(octets, len);
        self.count_wide(all_octets, len);
        if frame.starts_with(&[0xff; 6]) {
            self.count(broadcast, 1);
        } else if frame.first().is_some_and(|b| b & 1 != 0) {
            self.count(multicast, 1);
        }
    }

    /// SYSTIM: every so many periods of 40 ns it grows as TIMINCA says (82574 datasheet, 10.2.10).
    pub(super) fn time(&self, now: u64) -> u64 {
        let kept = u64::from(self.get(at::SYSTIML + 4)) << 32 | u64::from(self.get(at::SYSTIML));
        let (period, increment) = (u64::from(self.get(at::TIMINCA) >> 24), self.get(at::TIMINCA) & 0xff_ffff);
        let ticks = now.saturating_sub(self.timed_at) / TICK;
        ticks.checked_div(period).map_or(kept, |n| kept.wrapping_add(n.wrapping_mul(increment.into())))
    }
    /// Goes on with SYSTIM from `value`, from now on.
    pub(super) fn set_time(&mut self, value: u64, now: u64) {
        self.set(at::SYSTIML, value as u32);
        self.set(at::SYSTIML + 4, (value >> 32) as u32);
        self.timed_at = now;
    }

    /// The ring whose registers begin at `at`, with descriptors of `size` bytes.
    pub(super) fn ring(&self, at: u32, size: u32) -> Ring {
        Ring {
            base: u64::from(self.get(at + 4)) << 32 | u64::from(self.get(at)),
            size,
            len: self.get(at + 8) / size,
            head: self.get(at + 0x10),
            tail: self.get(at + 0x18),
        }
    }

    /// There is room for one frame more for `queue`.
    pub(super) fn has_room(&self, queue: usize) -> bool {
        self.backlog.get(queue).is_some_and(|b| b.len() < ROOM)
    }

    /// The controller may read and write memory.
    pub(super) fn is_master(&self) -> bool {
        !self.has(at::CTRL, super::control::MASTER_DISABLE)
    }
}
