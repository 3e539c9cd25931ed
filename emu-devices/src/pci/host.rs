//! The root complex: configuration accesses, address windows, and the functions below it.

use std::io;
use std::sync::{Arc, OnceLock};

use emu_core::addr::Size;
use emu_core::bus::MmioDevice;
use emu_core::dma::{Master, Ports, Stalls};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source, prepare};
use emu_core::metrics::Counters;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::decode::DecodeTable;
use super::function::Ways;
use super::tree::Tree;
use super::window::{Ecam, Window};
use super::{Bdf, Bridge, BusId, HostBridge, IntxRouter, PciFunction, Position, Space};

/// A function cannot be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PciError {
    /// There is a function already.
    #[error("PCI slot {0} is taken")]
    SlotTaken(u8),
    /// A bus has 32 slots.
    #[error("PCI slot {0} does not exist; a bus has slots 0 to 31")]
    NoSuchSlot(u8),
    /// All slots are taken.
    #[error("the PCI bus is full: all 32 slots are taken")]
    Full,
    /// The bridge above it has no hot-plug.
    #[error("this PCI bus does not support hotplugging")]
    NotHotPluggable,
    /// No bridge has made it.
    #[error("there is no PCI bus {0}")]
    NoSuchBus(u16),
}

/// A function in its place.
#[derive(Clone)]
pub struct Placed {
    /// The place.
    pub position: Position,
    /// What software calls it now; its bus is 0 while that has no number.
    pub bdf: Bdf,
    /// The function.
    pub function: Arc<dyn PciFunction>,
    /// The bus below it, if it is a bridge.
    pub below: Option<BusId>,
}

/// Takes functions that are not on any bus any more. It is called by the thread of a CPU, and must not wait.
pub type Taker = Box<dyn Fn(Vec<Placed>) + Send + Sync>;

/// The root complex. Functions that are added belong to it: its [`Component`] calls reach them, and the board lists only
/// the host.
pub struct PciHost {
    tree: RwLock<Tree>,
    /// One at a time learns its bus number.
    capturing: Mutex<()>,
    /// Who takes functions that software has let go of.
    taker: OnceLock<Taker>,
    decode: RwLock<DecodeTable>,
    intx: Arc<IntxRouter>,
    ports: Arc<dyn Ports>,
    /// The way around an IOMMU, if `ports` is one.
    physical: Option<Arc<dyn Ports>>,
}

impl PciHost {
    /// A root complex with nothing but its host bridge. `ports` is what stands between the functions and memory, `intx` are
    /// the interrupt lines that the devicetree's `interrupt-map` gives for INTA# to INTD# of slot 0.
    #[must_use]
    pub fn new(intx: [IrqLine; 4], ports: Arc<dyn Ports>, counters: &Arc<Counters>) -> Arc<Self> {
        Self::behind(intx, ports, None, counters)
    }

    /// The same with an IOMMU in front of memory: `ports` are its own, and `physical` leads around it.
    #[must_use]
    pub fn behind(
        intx: [IrqLine; 4],
        ports: Arc<dyn Ports>,
        physical: Option<Arc<dyn Ports>>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let intx = Arc::new(IntxRouter::new(intx));
        let (tree, capturing) = (RwLock::new(Tree::new()), Mutex::default());
        let (decode, taker) = (RwLock::default(), OnceLock::new());
        let host = Arc::new(Self { tree, capturing, taker, decode, intx, ports, physical });
        // Nothing else is there yet. It sends nothing, and so has no way to memory.
        let bridge = Arc::new(HostBridge::new(counters));
        let _ = host.tree.write().insert(Position::new(BusId::ROOT, 0, 0), bridge);
        host
    }

    /// Puts `function` into `slot` of bus 0, or into the first free one.
    pub fn add(&self, slot: Option<u8>, function: Arc<dyn PciFunction>) -> Result<Bdf, PciError> {
        let device = match slot {
            Some(d) if d > 31 => return Err(PciError::NoSuchSlot(d)),
            Some(d) => d,
            None => {
                let tree = self.tree.read();
                (1..32).find(|d| tree.is_free(BusId::ROOT, *d)).ok_or(PciError::Full)?
            }
        };
        let at = Position::new(BusId::ROOT, device, 0);
        self.add_at(at, function).map(|_| at.on(0))
    }

    /// Puts `function` into a place. One that is a bridge makes a bus there, which is given.
    pub fn add_at(&self, at: Position, function: Arc<dyn PciFunction>) -> Result<Option<BusId>, PciError> {
        let mut tree = self.tree.write();
        let below = self.put(&mut tree, at, function)?;
        if let Some(above) = tree.bridge_above(at.bus).and_then(|above| tree.get(above)?.bridge()) {
            above.occupied_from_start();
        }
        Ok(below)
    }

    /// Puts `function`, which is reset and has started, into a place while the machine runs: below a bridge that has hot-plug.
    pub fn plug(&self, at: Position, function: Arc<dyn PciFunction>) -> Result<(), PciError> {
        let mut tree = self.tree.write();
        let above = tree.bridge_above(at.bus).and_then(|above| tree.get(above).cloned());
        let bridge = above.as_ref().and_then(|above| above.bridge()).filter(|b| b.is_hot_pluggable());
        let bridge = bridge.ok_or(PciError::NotHotPluggable)?;
        self.put(&mut tree, at, function)?;
        drop(tree);
        bridge.plugged();
        self.rebuild();
        Ok(())
    }

    /// Who is given functions that software has let go of. It is said once.
    pub fn give_released_to(&self, taker: Taker) {
        let _ = self.taker.set(taker);
    }

    /// Asks software to let go of what is on a bus, below a bridge that has hot-plug. What it does not use is taken at once.
    pub fn ask_to_release(&self, bus: BusId) -> Result<(), PciError> {
        let above = {
            let tree = self.tree.read();
            tree.bridge_above(bus).and_then(|at| Some((at, tree.get(at)?.clone())))
        };
        let (at, function) = above.ok_or(PciError::NotHotPluggable)?;
        let bridge = function.bridge().filter(|b| b.is_hot_pluggable()).ok_or(PciError::NotHotPluggable)?;
        if bridge.ask_to_release() {
            self.release(at);
        }
        Ok(())
    }

    /// Software was asked to let go of what is on a bus, and has not done so yet.
    #[must_use]
    pub fn is_asked(&self, bus: BusId) -> bool {
        let tree = self.tree.read();
        let above = tree.bridge_above(bus).and_then(|at| tree.get(at)?.bridge());
        above.is_some_and(Bridge::is_asked)
    }

    /// Takes out what is below a bridge.
    fn release(&self, bridge: Position) {
        let mut tree = self.tree.write();
        let taken: Vec<Placed> = tree
            .below(bridge)
            .into_iter()
            .filter_map(|(position, _)| {
                let (bdf, below) = (position.on(tree.number(position.bus)), None);
                Some(Placed { position, bdf, function: tree.remove(position)?, below })
            })
            .collect();
        let above = tree.get(bridge).cloned();
        drop(tree);
        for placed in &taken {
            placed.function.core().set_forwarded(false);
            placed.function.reset();
        }
        if let Some(above) = above.as_ref().and_then(|above| above.bridge()) {
            above.emptied();
        }
        self.rebuild();
        if let Some(take) = self.taker.get().filter(|_| !taken.is_empty()) {
            take(taken);
        }
    }

    /// Puts a function into its place, and connects it.
    fn put(
        &self,
        tree: &mut Tree,
        at: Position,
        function: Arc<dyn PciFunction>,
    ) -> Result<Option<BusId>, PciError> {
        let below = tree.insert(at, function.clone())?;
        let line = |pin| tree.line(at, pin);
        function.core().attach(at.bus == BusId::ROOT, self.intx.clone(), line);
        self.connect(&function, at.on(0));
        Ok(below)
    }

    /// Gives a function the requester ID of `bdf`.
    fn connect(&self, function: &Arc<dyn PciFunction>, bdf: Bdf) {
        let port = self.ports.port(Master::new(bdf.requester_id(), function.stalls()));
        let around = |ports: &Arc<dyn Ports>| ports.port(Master::new(bdf.requester_id(), Stalls::Never));
        let physical = self.physical.as_ref().map_or_else(|| port.clone(), around);
        function.core().connect(bdf, Ways { port, physical });
    }

    /// A function that is not on the root bus learns its bus number from each configuration write (PCIe 6.0, 2.2.9).
    fn capture(&self, function: &Arc<dyn PciFunction>, bdf: Bdf) {
        let _one = self.capturing.lock();
        if function.core().requester() != bdf {
            self.connect(function, bdf);
        }
    }

    /// The place that configuration requests for `bdf` get to, with the function there.
    fn locate(&self, bdf: Bdf) -> Option<(Position, Arc<dyn PciFunction>)> {
        let tree = self.tree.read();
        let at = tree.locate(bdf)?;
        Some((at, tree.get(at)?.clone()))
    }

    /// The function that software calls `bdf` now.
    #[must_use]
    pub fn function(&self, bdf: Bdf) -> Option<Arc<dyn PciFunction>> {
        self.locate(bdf).map(|(_, function)| function)
    }

    /// All functions, also those that software cannot reach now, in order of their places.
    #[must_use]
    pub fn functions(&self) -> Vec<Placed> {
        let tree = self.tree.read();
        let placed = |(position, function): (Position, &Arc<dyn PciFunction>)| Placed {
            position,
            bdf: position.on(tree.number(position.bus)),
            function: function.clone(),
            below: tree.bus_below(position),
        };
        tree.iter().map(placed).collect()
    }

    /// The enhanced configuration access window (PCIe 6.0, 7.2.2), [`super::ECAM_SIZE`] bytes.
    #[must_use]
    pub fn ecam(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Ecam(self.clone()))
    }

    /// A window onto PCI's memory space whose first byte is PCI address `pci_base`.
    #[must_use]
    pub fn memory_window(self: &Arc<Self>, name: &str, pci_base: u64) -> Arc<dyn MmioDevice> {
        Arc::new(Window { host: self.clone(), name: name.to_owned(), space: Space::Memory, pci_base })
    }

    /// The window onto PCI's I/O space, [`super::IO_WINDOW_SIZE`] bytes from port 0 on.
    #[must_use]
    pub fn io_window(self: &Arc<Self>) -> Arc<dyn MmioDevice> {
        Arc::new(Window { host: self.clone(), name: "pcie-pio".to_owned(), space: Space::Io, pci_base: 0 })
    }

    /// Reads configuration space as software does; all ones where there is no function.
    #[must_use]
    pub fn config_read(&self, bdf: Bdf, offset: u16, size: Size) -> u32 {
        self.function(bdf).map_or(size.mask() as u32, |f| f.config_read(offset, size))
    }

    /// Writes configuration space as software does.
    pub fn config_write(&self, bdf: Bdf, offset: u16, size: Size, value: u32) {
        let Some((at, function)) = self.locate(bdf) else { return };
        if at.bus != BusId::ROOT {
            self.capture(&function, bdf);
        }
        let effect = function.config_write(offset, size, value);
        if effect.reset {
            function.reset();
        }
        if effect.reset_below {
            self.reset_below(at);
        }
        if effect.decode_changed || effect.reset || effect.reset_below {
            self.rebuild();
        }
        if effect.released {
            self.release(at);
        }
    }

    /// Hot reset (PCIe 6.0, 6.6.1) of everything below a bridge: bus numbers are forgotten, too.
    fn reset_below(&self, bridge: Position) {
        let below = self.tree.read().below(bridge);
        for (at, function) in below {
            function.reset();
            self.capture(&function, at.on(0));
        }
    }

    /// Asks every function anew what it decodes, and every bridge what it forwards.
    fn rebuild(&self) {
        let tree = self.tree.read();
        let mut decode = self.decode.write();
        *decode = tree.routes();
    }

    /// The function that decodes an address: itself, its BAR, and the offset in it.
    pub(super) fn find(&self, space: Space, address: u64) -> Option<(Arc<dyn PciFunction>, u8, u64)> {
        self.decode.read().find(space, address)
    }

    /// The function that decodes an address.
    #[must_use]
    pub fn decoder(&self, space: Space, address: u64) -> Option<Arc<dyn PciFunction>> {
        self.find(space, address).map(|(function, ..)| function)
    }

    fn slots(&self) -> Slots {
        let slot = |(at, function): (Position, &Arc<dyn PciFunction>)| Slot {
            at,
            requester: function.core().requester().0,
            name: function.name().to_owned(),
        };
        Slots { functions: self.tree.read().iter().map(slot).collect() }
    }

    /// All functions in order of their places. No lock is held while they are called.
    fn all(&self) -> Vec<Arc<dyn PciFunction>> {
        self.tree.read().iter().map(|(_, function)| function.clone()).collect()
    }
}

impl Component for PciHost {
    fn name(&self) -> &str {
        "pcie"
    }
    fn reset(&self) {
        let all: Vec<_> = self.tree.read().iter().map(|(at, function)| (at, function.clone())).collect();
        for (at, function) in all {
            function.reset();
            // Nobody uses any more what was to be let go of.
            if function.bridge().is_some_and(Bridge::is_asked) {
                self.release(at);
            }
            self.capture(&function, at.on(0));
        }
        self.rebuild();
    }
    fn start(&self) -> io::Result<()> {
        self.all().iter().try_for_each(|f| f.start())
    }
    fn pause(&self) {
        self.all().iter().rev().for_each(|f| f.pause());
    }
    fn resume(&self) {
        self.all().iter().for_each(|f| f.resume());
    }
    fn halt(&self) {
        self.all().iter().rev().for_each(|f| f.halt());
    }
    fn save(&self) -> Payload {
        let payload = Payload::new(self.name(), &self.slots());
        self.all().iter().fold(payload, |p, f| p.part(f.save()))
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Slots { functions } = saved.state()?;
        let own = self.slots().functions;
        let place = |slot: Option<&Slot>| slot.map(|s| (s.at, s.name.clone()));
        let differs = |n: &usize| place(own.get(*n)) != place(functions.get(*n));
        if let Some(n) = (0..own.len().max(functions.len())).find(differs) {
            let name = functions.get(n).or(own.get(n)).map_or("", |slot| &slot.name);
            return Err(saved.unfit(format!("it has other functions than this machine: see {name}")));
        }
        let mut checked = Vec::with_capacity(own.len());
        for (function, slot) in self.all().into_iter().zip(functions) {
            let is_root = slot.at.bus == BusId::ROOT;
            let bus = if is_root { 0 } else { Bdf(slot.requester).bus() };
            if slot.requester != slot.at.on(bus).0 {
                return Err(saved.unfit(format!("{} has a requester ID of another function", slot.name)));
            }
            let payload = saved.part(function.name())?;
            let _ = prepare(&*function, payload.clone())?;
            checked.push((function, payload, Bdf(slot.requester)));
        }
        Ok(Restore::new(move || {
            for (function, payload, requester) in checked {
                self.capture(&function, requester);
                // It has just been found to fit.
                let _ = function.restore(payload);
            }
            self.rebuild();
        }))
    }
}

/// Where which function is.
#[derive(Serialize, Deserialize)]
struct Slots {
    functions: Vec<Slot>,
}

/// A function, its place, and the requester ID that it has.
#[derive(Serialize, Deserialize)]
struct Slot {
    at: Position,
    requester: u16,
    name: String,
}

impl SavedState for Slots {
    const KIND: &'static str = "pcie";
    const VERSION: u32 = 3;
}
