//! A wild driver of bridges: bus numbers, windows, resets and power as no software writes them, with devices below. Nothing gets
//! through a bridge that its registers do not let through, as a slow look at them says.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::{DirectPorts, DmaAttrs, DmaPort};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use emu_devices::pci::{
    Bdf, BusId, DEFAULT_DMA_MASK, Edu, PciFunction, PciHost, Placed, Position, RootPort, RootPortOptions,
    Space,
};

use super::source::Source;

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const WINDOW: u64 = 0x1000_0000;
const WINDOW_SIZE: u64 = 0x1000_0000;
const STEPS: usize = 300;
const BUS_MASTER: u32 = 1 << 2;

/// Two ports on the root bus, of which the second has hot-plug, and one below the first.
struct Rig {
    bus: Arc<Bus>,
    host: Arc<PciHost>,
    counters: Arc<Counters>,
    /// The bus below the port with hot-plug.
    slot: BusId,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(0x1000).expect("the host has the address space");
        let map = |base, size, backing| bus.map(Pa(base), size, backing).expect("the regions do not overlap");
        map(RAM, 0x1000, Backing::Ram(ram, 0));
        let line = || IrqLine::new(Arc::new(Unconnected), 0);
        let counters: Arc<Counters> = Arc::default();
        let ports = Arc::new(DirectPorts(bus.clone()));
        let host = PciHost::new([line(), line(), line(), line()], ports, &counters);
        map(WINDOW, WINDOW_SIZE, Backing::Mmio(host.memory_window("window", WINDOW)));
        let port = |name: &str, at, hotplug| {
            let options = RootPortOptions { slot: 1, port: 0, hotplug };
            let port = RootPort::new(name, options, &counters);
            host.add_at(at, port).expect("the place is free").expect("it is a bridge")
        };
        let first = port("a", Position::new(BusId::ROOT, 1, 0), false);
        let slot = port("b", Position::new(BusId::ROOT, 2, 0), true);
        let nested = port("c", Position::new(first, 0, 1), false);
        for (name, bus) in [("edu@a", first), ("edu@c", nested)] {
            let edu = Edu::new(name, DEFAULT_DMA_MASK, &counters);
            host.add_at(Position::new(bus, 0, 0), edu).expect("the place is free");
        }
        Self { bus, host, counters, slot }
    }

    /// A device comes, if the slot is empty.
    fn plug(&self) {
        let edu = Edu::new("edu@b", DEFAULT_DMA_MASK, &self.counters);
        // It may be there already.
        let _ = self.host.plug(Position::new(self.slot, 0, 0), edu);
    }

    /// Like a tree that software has set up: buses 1 and 3 below it, 4 with hot-plug; windows, addresses, everything is enabled.
    fn set_up(&self) {
        let write = |bdf, at, value| self.host.config_write(bdf, at, Size::B4, value);
        let (first, slot, nested) = (Bdf::new(0, 1, 0), Bdf::new(0, 2, 0), Bdf::new(1, 0, 1));
        for (port, numbers, window) in [
            (first, 0x0003_0100, 0x1030_1010),
            (slot, 0x0004_0400, 0x1040_1040),
            (nested, 0x0003_0301, 0x1030_1030),
        ] {
            write(port, 0x18, numbers);
            write(port, 0x20, window);
            write(port, 4, 6);
        }
        for (bus, bar) in [(1, 0x1010_0000), (3, 0x1030_0000), (4, 0x1040_0000)] {
            write(Bdf::new(bus, 0, 0), 0x10, bar);
            write(Bdf::new(bus, 0, 0), 4, 6);
        }
    }

    /// The bridges above a function, the nearest first.
    fn above(functions: &[Placed], of: &Placed) -> Vec<Arc<dyn PciFunction>> {
        let (mut bus, mut above) = (of.position.bus, Vec::new());
        while let Some(bridge) = functions.iter().find(|f| f.below == Some(bus)) {
            above.push(bridge.function.clone());
            bus = bridge.position.bus;
        }
        above
    }

    /// What gets through is what all bridges on the way let through.
    fn check(&self, address: u64) {
        let functions = self.host.functions();
        let decoder = self.host.decoder(Space::Memory, address);
        for placed in &functions {
            let above = Self::above(&functions, placed);
            let core = placed.function.core();
            let is_master = |f: &Arc<dyn PciFunction>| f.core().config_read(4, Size::B2) & BUS_MASTER != 0;
            let link = |f: &Arc<dyn PciFunction>| f.bridge().is_some_and(|b| b.forwarding().link);
            let open = is_master(&placed.function) && above.iter().all(|f| is_master(f) && link(f));
            let read = core.port().read(DmaAttrs::default(), RAM, &mut [0; 4]);
            // The host bridge sends nothing, and has no way to memory.
            let sends = placed.position != Position::new(BusId::ROOT, 0, 0);
            assert_eq!(read.is_ok(), open && sends, "DMA of {}", placed.function.name());
            if decoder.as_ref().is_some_and(|f| f.name() == placed.function.name()) {
                let has = |f: &Arc<dyn PciFunction>| {
                    let spans = f.bridge().map(|b| b.forwarding().memory).unwrap_or_default();
                    spans.iter().any(|s| (s.first..=s.last).contains(&address))
                };
                assert!(
                    above.iter().all(|f| has(f) && link(f)),
                    "{address:#x} gets to {}",
                    placed.function.name()
                );
                assert!(core.decoded().iter().any(|d| d.base <= address && address - d.base < d.size));
            }
            if placed.position.bus == BusId::ROOT {
                assert_eq!(core.requester(), placed.bdf);
            }
        }
    }
}

/// A function that is often there.
fn bdf(s: &mut Source) -> Bdf {
    let device = if s.one_in(8) { s.u8() & 31 } else { s.below(3) as u8 };
    let bus = if s.one_in(16) { s.u8() } else { s.below(5) as u8 };
    let device = if bus == 0 { device } else { s.pick(&[0, 0, 0, device]) };
    Bdf::new(bus, device, s.pick(&[0, 0, 1, 7]))
}

/// An offset that often is of a register that matters.
fn offset(s: &mut Source) -> u16 {
    match s.u8() % 8 {
        0 => s.u16() & 0xfff,
        1 => 4,
        2 => 0x10,
        3 => 0x18 + s.below(4) as u16,
        4 => 0x20 + 2 * s.below(8) as u16,
        5 => 0x3e,
        // The PCI Express capability of a port: link control, slot control and status, device control 2.
        6 => 0x40 + s.pick(&[0x10, 0x18, 0x18, 0x1a, 0x28]),
        _ => 0x40 + s.below(0x60) as u16,
    }
}

/// A value that often makes sense somewhere.
fn value(s: &mut Source) -> u32 {
    match s.u8() % 6 {
        0 => s.u32(),
        1 => 0x0007,
        2 => s.below(4) as u32 | (s.below(4) as u32) << 8 | (s.below(6) as u32) << 16,
        3 => 0x1010_1010 + 0x10 * s.below(4) as u32,
        4 => WINDOW as u32 + 0x10_0000 * s.below(8) as u32,
        _ => s.pick(&[0, 0x40, 0x01f9, 0x07f9, 0x011f]),
    }
}

fn step(rig: &Rig, s: &mut Source) {
    let size = s.pick(&[Size::B1, Size::B2, Size::B4]);
    match s.u8() % 16 {
        0..=8 => {
            let (at, offset, value) = (bdf(s), offset(s), value(s));
            let reached = rig.host.function(at);
            rig.host.config_write(at, offset, size, value & size.mask() as u32);
            if let Some(function) = reached {
                assert_eq!(function.core().requester(), at, "it has learnt its number");
            }
        }
        9 => {
            let _ = rig.host.config_read(bdf(s), offset(s), size);
        }
        10 | 11 => {
            let at = WINDOW + (s.below(WINDOW_SIZE / 0x10_0000) << 20 | s.below(0x100) & !7);
            // Interrupts and DMA of the device are among what this does.
            let _ = rig.bus.write(Pa(at), size, s.value() & size.mask(), CPU);
            let _ = rig.bus.read(Pa(at), size, CPU);
        }
        12 => rig.plug(),
        13 => {
            let _ = rig.host.ask_to_release(BusId(s.below(5) as u16));
        }
        14 => {
            rig.host.pause();
            let saved = rig.host.save();
            rig.host.restore(saved.clone()).unwrap_or_else(|e| panic!("{e}"));
            assert!(rig.host.save() == saved);
            Component::resume(&*rig.host);
        }
        _ if s.one_in(8) => rig.host.reset(),
        _ => {}
    }
    rig.check(WINDOW + (s.below(0x80) << 20));
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for bridges.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.plug();
        rig.host.reset();
        let s = &mut Source::new(data);
        if !s.one_in(4) {
            rig.set_up();
        }
        for _ in 0..STEPS {
            if s.is_empty() {
                return;
            }
            step(rig, s);
        }
    });
}
