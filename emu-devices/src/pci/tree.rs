//! Where functions are: the root bus, a bus below each bridge, and the ways through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::decode::DecodeTable;
use super::{Bdf, Forwarding, IntxRouter, PciError, PciFunction, Space, Span};

/// A bus, whatever number software gives to it: the root bus, or the bus below the n-th bridge that was added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BusId(pub u16);

impl BusId {
    /// The root bus.
    pub const ROOT: Self = Self(0);
}

/// Where a function is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The bus.
    pub bus: BusId,
    /// Device number in bits 7:3, function number in bits 2:0.
    pub devfn: u8,
}

impl Position {
    /// The function `function` (0..=7) of `device` (0..=31) on `bus`; higher bits are dropped.
    #[must_use]
    pub const fn new(bus: BusId, device: u8, function: u8) -> Self {
        Self { bus, devfn: (device & 31) << 3 | function & 7 }
    }

    /// The device number.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.devfn >> 3
    }

    /// The function number.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.devfn & 7
    }

    /// What software calls it while its bus has the number `bus`.
    #[must_use]
    pub const fn on(self, bus: u8) -> Bdf {
        Bdf((bus as u16) << 8 | self.devfn as u16)
    }
}

/// The functions in their places.
pub(super) struct Tree {
    functions: BTreeMap<Position, Arc<dyn PciFunction>>,
    /// Where the bridge above each bus is, by the bus's number here; there is none above the root bus.
    above: Vec<Option<Position>>,
}

/// What gets through to the functions of a bus, and from them.
#[derive(Clone)]
struct Reach {
    memory: Vec<Span>,
    io: Vec<Span>,
    upwards: bool,
}

impl Reach {
    fn below(&self, bridge: &Forwarding) -> Self {
        let windows = |spans: &[Span], space| {
            let windows = bridge.spans(space).iter().filter(|_| bridge.link);
            windows.flat_map(|w| spans.iter().filter_map(|s| s.common(*w))).collect()
        };
        Self {
            memory: windows(&self.memory, Space::Memory),
            io: windows(&self.io, Space::Io),
            upwards: self.upwards && bridge.link && bridge.upwards,
        }
    }
}

impl Tree {
    /// A root bus with nothing on it.
    pub(super) fn new() -> Self {
        Self { functions: BTreeMap::new(), above: vec![None] }
    }

    /// Adds a function. One that is a bridge makes a bus, whose number is given.
    pub(super) fn insert(
        &mut self,
        at: Position,
        function: Arc<dyn PciFunction>,
    ) -> Result<Option<BusId>, PciError> {
        if usize::from(at.bus.0) >= self.above.len() {
            return Err(PciError::NoSuchBus(at.bus.0));
        }
        if self.functions.contains_key(&at) {
            return Err(PciError::SlotTaken(at.device()));
        }
        let below = match function.bridge() {
            Some(_) => {
                let id = u16::try_from(self.above.len()).map_err(|_| PciError::Full)?;
                self.above.push(Some(at));
                Some(BusId(id))
            }
            None => None,
        };
        self.functions.insert(at, function);
        Ok(below)
    }

    /// Takes a function out that is no bridge.
    pub(super) fn remove(&mut self, at: Position) -> Option<Arc<dyn PciFunction>> {
        if self.get(at)?.bridge().is_some() {
            return None;
        }
        self.functions.remove(&at)
    }

    pub(super) fn get(&self, at: Position) -> Option<&Arc<dyn PciFunction>> {
        self.functions.get(&at)
    }

    /// All functions in order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Position, &Arc<dyn PciFunction>)> {
        self.functions.iter().map(|(at, function)| (*at, function))
    }

    /// Nothing is plugged into this device of a bus.
    pub(super) fn is_free(&self, bus: BusId, device: u8) -> bool {
        (0..8).all(|function| !self.functions.contains_key(&Position::new(bus, device, function)))
    }

    /// The bridges on a bus, and the buses below them.
    fn bridges(&self, bus: BusId) -> impl Iterator<Item = (BusId, Forwarding)> {
        let of = move |(n, above): (usize, &Option<Position>)| {
            let at = above.filter(|at| at.bus == bus)?;
            let forwarding = self.functions.get(&at)?.bridge()?.forwarding();
            Some((BusId(n as u16), forwarding))
        };
        self.above.iter().enumerate().filter_map(of)
    }

    /// Where configuration requests for `bdf` end, if they get anywhere. Each bridge on the way takes those for its own bus and
    /// for those below it (PCIe 6.0, 7.3.3).
    pub(super) fn locate(&self, bdf: Bdf) -> Option<Position> {
        let here = |bus| Position { bus, devfn: bdf.0 as u8 };
        let mut bus = BusId::ROOT;
        if bdf.bus() == 0 {
            return Some(here(bus));
        }
        loop {
            let (below, bridge) = self.bridges(bus).find(|(_, bridge)| bridge.takes(bdf.bus()))?;
            if bridge.secondary == bdf.bus() {
                return bridge.reaches(bdf.0 as u8).then(|| here(below));
            }
            bus = below;
        }
    }

    /// The number that a bus has: as the bridge above it says, and 0 as long as it says nothing.
    pub(super) fn number(&self, bus: BusId) -> u8 {
        let bridge =
            self.bridge_above(bus).and_then(|at| Some(self.get(at)?.bridge()?.forwarding().secondary));
        bridge.unwrap_or(0)
    }

    /// Where the bridge above a bus is.
    pub(super) fn bridge_above(&self, bus: BusId) -> Option<Position> {
        self.above.get(usize::from(bus.0)).copied().flatten()
    }

    /// The bus below a bridge.
    pub(super) fn bus_below(&self, at: Position) -> Option<BusId> {
        self.above.iter().position(|above| *above == Some(at)).map(|n| BusId(n as u16))
    }

    /// The line of the root complex that a pin of a function (1 for INTA#) is wired to. Each bridge turns the pins of the devices
    /// below it by their device numbers (PCIe 6.0, 2.2.8.1).
    pub(super) fn line(&self, at: Position, pin: u8) -> usize {
        let line = IntxRouter::line_of(at.device(), pin);
        match self.bridge_above(at.bus) {
            None => line,
            Some(bridge) => self.line(bridge, line as u8 + 1),
        }
    }

    /// A function's place is below the bridge at `bridge`.
    fn is_below(&self, at: Position, bridge: Position) -> bool {
        let mut next = self.bridge_above(at.bus);
        while let Some(above) = next {
            if above == bridge {
                return true;
            }
            next = self.bridge_above(above.bus);
        }
        false
    }

    /// All functions below a bridge.
    pub(super) fn below(&self, bridge: Position) -> Vec<(Position, Arc<dyn PciFunction>)> {
        let of = self.iter().filter(|(at, _)| self.is_below(*at, bridge));
        of.map(|(at, function)| (at, function.clone())).collect()
    }

    /// Asks every function anew what it decodes, and every bridge what it forwards.
    pub(super) fn routes(&self) -> DecodeTable {
        let root = Reach { memory: vec![Span::ALL], io: vec![Span::ALL], upwards: true };
        let nothing = Reach { memory: Vec::new(), io: Vec::new(), upwards: false };
        let mut buses: Vec<Reach> = vec![root];
        // A bus comes behind the one that its bridge is on.
        for above in self.above.iter().flatten() {
            let forwarding = self.get(*above).and_then(|f| Some(f.bridge()?.forwarding()));
            let reach = forwarding.zip(buses.get(usize::from(above.bus.0))).map(|(f, reach)| reach.below(&f));
            buses.push(reach.unwrap_or_else(|| nothing.clone()));
        }
        let mut table = DecodeTable::default();
        for (at, function) in self.iter() {
            let reach = buses.get(usize::from(at.bus.0)).unwrap_or(&nothing);
            function.core().set_forwarded(reach.upwards);
            for decoded in function.core().decoded() {
                let spans = if decoded.space == Space::Memory { &reach.memory } else { &reach.io };
                table.add(decoded, spans, function);
            }
        }
        table.sort();
        table
    }
}
