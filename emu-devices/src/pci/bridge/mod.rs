//! What bridges have in common: the type 1 header (PCIe 6.0, 7.5.1.3), and what its registers let through.

mod header;

use emu_core::addr::Size;

#[cfg(test)]
pub(super) use header::HEADER;
pub(super) use header::header;
pub(crate) use header::{reg, touches_forwarding};

use super::config::reg as common;
use super::{FunctionCore, Space};

/// Addresses of memory or I/O space, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Span {
    /// All there are.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// Those from `first` to `last`, if there are any.
    #[must_use]
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }
}

/// A function that has a bus below it.
pub trait Bridge {
    /// What it forwards at present.
    fn forwarding(&self) -> Forwarding;
    /// A function was put below it before the machine starts.
    fn occupied_from_start(&self);
    /// What is below it can be exchanged while the machine runs.
    fn is_hot_pluggable(&self) -> bool;
    /// A function was put below it while the machine runs.
    fn plugged(&self);
    /// Software is asked to let go of what is below it; true if it does not use it anyway.
    fn ask_to_release(&self) -> bool;
    /// Software was asked, and has not let go yet.
    fn is_asked(&self) -> bool;
    /// What was below it is gone.
    fn emptied(&self);
}

/// What a bridge forwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forwarding {
    /// The number of the bus below it; 0 if it has none yet.
    pub secondary: u8,
    /// The greatest number of a bus below it.
    pub subordinate: u8,
    /// Addresses in memory space that it forwards downwards, in order, and with no address twice.
    pub memory: Vec<Span>,
    /// The window for memory that cannot be prefetched, which is in `memory`.
    pub plain: Option<Span>,
    /// The one for memory that can be.
    pub prefetchable: Option<Span>,
    /// The same in I/O space.
    pub io: Vec<Span>,
    /// It forwards requests upwards.
    pub upwards: bool,
    /// What is below can be reached at all.
    pub link: bool,
    /// All eight bits of what numbers device and function below it are the function (ARI forwarding, PCIe 6.0, 6.13).
    pub ari: bool,
}

impl Forwarding {
    /// As the registers of the header say, of a bridge with a link that is up.
    #[must_use]
    pub fn of(core: &FunctionCore) -> Self {
        let byte = |at| core.config_read(at, Size::B1) as u8;
        let command = core.config_read(common::COMMAND, Size::B2) as u16;
        let has = |bit: u16| command & bit != 0;
        let [plain, prefetchable] = memory(core).map(|window| window.filter(|_| has(common::COMMAND_MEMORY)));
        Self {
            secondary: byte(reg::SECONDARY_BUS),
            subordinate: byte(reg::SUBORDINATE_BUS),
            memory: joined(plain, prefetchable),
            plain,
            prefetchable,
            io: if has(common::COMMAND_IO) { io(core) } else { Vec::new() },
            upwards: has(common::COMMAND_MASTER),
            link: true,
            ari: false,
        }
    }

    /// It takes configuration requests for this bus. A bridge whose bus has no number yet takes none.
    #[must_use]
    pub fn takes(&self, bus: u8) -> bool {
        self.link && self.secondary != 0 && (self.secondary..=self.subordinate).contains(&bus)
    }

    /// A configuration request for its own bus gets to what has this number: at a link there is device 0 only (PCIe 6.0,
    /// 7.3.1).
    #[must_use]
    pub fn reaches(&self, devfn: u8) -> bool {
        self.ari || devfn < 8
    }

    /// The addresses of a space that it forwards downwards.
    #[must_use]
    pub fn spans(&self, space: Space) -> &[Span] {
        match space {
            Space::Memory => &self.memory,
            Space::Io => &self.io,
        }
    }
}

/// The two windows of memory space: for memory that cannot be prefetched, and for memory that can be.
fn memory(core: &FunctionCore) -> [Option<Span>; 2] {
    let half = |at| core.config_read(at, Size::B2);
    let upper = |at| u64::from(core.config_read(at, Size::B4)) << 32;
    // The low four bits say whether there are upper registers; addresses are in units of 1 MiB.
    let base = |at| u64::from(half(at) & 0xfff0) << 16;
    let limit = |at| u64::from(half(at) & 0xfff0) << 16 | 0xf_ffff;
    let plain = Span::new(base(reg::MEMORY_BASE), limit(reg::MEMORY_LIMIT));
    let prefetchable = Span::new(
        upper(reg::PREFETCHABLE_BASE_UPPER) | base(reg::PREFETCHABLE_BASE),
        upper(reg::PREFETCHABLE_LIMIT_UPPER) | limit(reg::PREFETCHABLE_LIMIT),
    );
    [plain, prefetchable]
}

/// Two windows as one list.
fn joined(a: Option<Span>, b: Option<Span>) -> Vec<Span> {
    match (a, b) {
        (Some(a), Some(b)) if a.common(b).is_some() => {
            vec![Span { first: a.first.min(b.first), last: a.last.max(b.last) }]
        }
        (Some(a), Some(b)) if a.first > b.first => vec![b, a],
        (a, b) => a.into_iter().chain(b).collect(),
    }
}

/// The window of I/O space; with ISA Enable, only the first 256 of each 1024 ports of it (PCI-to-PCI bridge architecture 1.2,
/// 3.2.5.18).
fn io(core: &FunctionCore) -> Vec<Span> {
    let byte = |at| u64::from(core.config_read(at, Size::B1));
    let (base, limit) = (byte(reg::IO_BASE) & 0xf0, byte(reg::IO_LIMIT) & 0xf0);
    let Some(window) = Span::new(base << 8, limit << 8 | 0xfff) else { return Vec::new() };
    let control = core.config_read(reg::BRIDGE_CONTROL, Size::B2) as u16;
    if control & reg::CONTROL_ISA == 0 {
        return vec![window];
    }
    let blocks = (window.first..=window.last).step_by(0x400);
    blocks.filter_map(|first| Span::new(first, first | 0xff)).collect()
}
