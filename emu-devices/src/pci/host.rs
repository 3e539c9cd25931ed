//! The root complex: configuration accesses, address windows, and the functions on bus 0.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use emu_core::addr::Size;
use emu_core::bus::{BusFault, MmioDevice, Requester};
use emu_core::dma::{Master, Ports, Stalls};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source, prepare};
use emu_core::metrics::Counters;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::function::Ways;
use super::{Bdf, FunctionCore, HostBridge, IntxRouter, PciFunction, Space};

/// Bytes of the window onto PCI's I/O space.
pub const IO_WINDOW_SIZE: u64 = 64 << 10;

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
}

/// A BAR in the decode table.
struct Range {
    base: u64,
    size: u64,
    bar: u8,
    function: Arc<dyn PciFunction>,
}

/// What the BARs decode, sorted by address.
#[derive(Default)]
struct DecodeTable {
    memory: Vec<Range>,
    io: Vec<Range>,
}

impl DecodeTable {
    fn find(&self, space: Space, address: u64) -> Option<(&Range, u64)> {
        let ranges = match space {
            Space::Memory => &self.memory,
            Space::Io => &self.io,
        };
        let i = ranges.partition_point(|r| r.base <= address);
        let range = ranges[..i].last()?;
        let offset = address - range.base;
        (offset < range.size).then_some((range, offset))
    }
}

/// The root complex. Functions that are added belong to it: its [`Component`] calls reach them, and the board lists only
/// the host.
pub struct PciHost {
    functions: RwLock<BTreeMap<Bdf, Arc<dyn PciFunction>>>,
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
        let bridge: Arc<dyn PciFunction> = Arc::new(HostBridge::new(counters));
        let functions = RwLock::new(BTreeMap::from([(Bdf::new(0, 0, 0), bridge)]));
        Arc::new(Self { functions, decode: RwLock::default(), intx, ports, physical })
    }

    /// Puts `function` into `slot` of bus 0, or into the first free one.
    pub fn add(&self, slot: Option<u8>, function: Arc<dyn PciFunction>) -> Result<Bdf, PciError> {
        let mut functions = self.functions.write();
        let free = |d: &u8| !functions.contains_key(&Bdf::new(0, *d, 0));
        let device = match slot {
            Some(d) if d > 31 => return Err(PciError::NoSuchSlot(d)),
            Some(d) if !free(&d) => return Err(PciError::SlotTaken(d)),
            Some(d) => d,
            None => (1..32).find(free).ok_or(PciError::Full)?,
        };
        let bdf = Bdf::new(0, device, 0);
        let port = self.ports.port(Master::new(bdf.requester_id(), function.stalls()));
        let around = |ports: &Arc<dyn Ports>| ports.port(Master::new(bdf.requester_id(), Stalls::Never));
        let physical = self.physical.as_ref().map_or_else(|| port.clone(), around);
        function.core().attach(bdf, Ways { port, physical }, self.intx.clone());
        functions.insert(bdf, function);
        Ok(bdf)
    }

    /// The function at `bdf`.
    #[must_use]
    pub fn function(&self, bdf: Bdf) -> Option<Arc<dyn PciFunction>> {
        self.functions.read().get(&bdf).cloned()
    }

    /// Where functions are, in order.
    #[must_use]
    pub fn bdfs(&self) -> Vec<Bdf> {
        self.functions.read().keys().copied().collect()
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

    /// The window onto PCI's I/O space, [`IO_WINDOW_SIZE`] bytes from port 0 on.
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
        let Some(function) = self.function(bdf) else { return };
        let effect = function.config_write(offset, size, value);
        if effect.reset {
            function.reset();
        }
        if effect.decode_changed || effect.reset {
            self.rebuild();
        }
    }

    /// Asks every function anew what it decodes.
    fn rebuild(&self) {
        let functions = self.functions.read();
        let mut decode = self.decode.write();
        let mut table = DecodeTable::default();
        for function in functions.values() {
            for d in function.core().decoded() {
                let range = Range { base: d.base, size: d.size, bar: d.bar, function: function.clone() };
                match d.space {
                    Space::Memory => table.memory.push(range),
                    Space::Io => table.io.push(range),
                }
            }
        }
        table.memory.sort_by_key(|r| r.base);
        table.io.sort_by_key(|r| r.base);
        *decode = table;
    }

    /// The function that decodes an address: itself, its BAR, and the offset in it.
    fn find(&self, space: Space, address: u64) -> Option<(Arc<dyn PciFunction>, u8, u64)> {
        let decode = self.decode.read();
        decode.find(space, address).map(|(r, offset)| (r.function.clone(), r.bar, offset))
    }

    /// The function that decodes an address.
    #[must_use]
    pub fn decoder(&self, space: Space, address: u64) -> Option<Arc<dyn PciFunction>> {
        self.find(space, address).map(|(function, ..)| function)
    }

    fn slots(&self) -> Slots {
        let functions = self.functions.read();
        Slots { functions: functions.iter().map(|(bdf, f)| (bdf.0, f.name().to_owned())).collect() }
    }

    /// All functions in order of their addresses. No lock is held while they are called.
    fn all(&self) -> Vec<Arc<dyn PciFunction>> {
        self.functions.read().values().cloned().collect()
    }
}

impl Component for PciHost {
    fn name(&self) -> &str {
        "pcie"
    }
    fn reset(&self) {
        self.all().iter().for_each(|f| f.reset());
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
        if let Some(n) = (0..own.len().max(functions.len())).find(|&n| own.get(n) != functions.get(n)) {
            let (bdf, name) = functions.get(n).or(own.get(n)).cloned().unwrap_or_default();
            return Err(
                saved.unfit(format!("it has other functions than this machine: see {name} at {}", Bdf(bdf)))
            );
        }
        let mut checked = Vec::with_capacity(own.len());
        for function in self.all() {
            let payload = saved.part(function.name())?;
            let _ = prepare(&*function, payload.clone())?;
            checked.push((function, payload));
        }
        Ok(Restore::new(move || {
            for (function, payload) in checked {
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
    functions: Vec<(u16, String)>,
}

impl SavedState for Slots {
    const KIND: &'static str = "pcie";
    const VERSION: u32 = 2;
}

struct Ecam(Arc<PciHost>);

impl Ecam {
    fn decode(offset: u64) -> (Bdf, u16) {
        (Bdf((offset >> 12) as u16), (offset & 0xfff) as u16)
    }
}

impl MmioDevice for Ecam {
    fn name(&self) -> &str {
        "pcie-ecam"
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let (bdf, at) = Self::decode(offset);
        let read = |at, size| u64::from(self.0.config_read(bdf, at, size));
        Ok(match size {
            Size::B8 => read(at, Size::B4) | read(at.wrapping_add(4), Size::B4) << 32,
            _ => read(at, size),
        })
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        let (bdf, at) = Self::decode(offset);
        match size {
            Size::B8 => {
                self.0.config_write(bdf, at, Size::B4, value as u32);
                self.0.config_write(bdf, at.wrapping_add(4), Size::B4, (value >> 32) as u32);
            }
            _ => self.0.config_write(bdf, at, size, value as u32),
        }
        Ok(())
    }

    /// Behind it are functions that would wait for themselves.
    fn cpu_only(&self) -> bool {
        true
    }
}

struct Window {
    host: Arc<PciHost>,
    name: String,
    space: Space,
    pci_base: u64,
}

impl MmioDevice for Window {
    fn name(&self) -> &str {
        &self.name
    }
    fn read(&self, offset: u64, size: Size, _: Requester) -> Result<u64, BusFault> {
        let found = self.host.find(self.space, self.pci_base.wrapping_add(offset));
        // Nobody answers: the root complex returns all ones (PCIe 6.0, 2.3.2).
        let Some((f, bar, at)) = found else { return Ok(size.mask()) };
        let core: &FunctionCore = f.core();
        Ok(core.msix_read(bar, at, size).unwrap_or_else(|| f.bar_read(bar, at, size)) & size.mask())
    }
    fn write(&self, offset: u64, size: Size, value: u64, _: Requester) -> Result<(), BusFault> {
        if let Some((f, bar, at)) = self.host.find(self.space, self.pci_base.wrapping_add(offset))
            && !f.core().msix_write(bar, at, size, value)
        {
            f.bar_write(bar, at, size, value);
        }
        Ok(())
    }

    /// Behind it are functions that would wait for themselves.
    fn cpu_only(&self) -> bool {
        true
    }
}
