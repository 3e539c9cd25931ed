//! Tests of the root complex with a function that records what reaches it.

use std::sync::Arc;

use emu_core::addr::{Pa, Size};
use emu_core::bus::{Backing, Bus, BusFault, Requester};
use emu_core::dma::{DirectPorts, DmaAttrs, DmaFault, DmaPort, Ports, Stalls};
use emu_core::irq::IrqLine;
use emu_core::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};
use emu_core::metrics::{Counters, Metric};
use emu_core::ram::GuestRam;
use emu_core::registers::{Map, byte};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use test_kit::wires::Wires;

use super::*;

mod hotplug;
mod tree;

const ME: Requester = Requester::Cpu(0);
const ECAM: u64 = 0x40_1000_0000;
const MEM: u64 = 0x1000_0000;
const MEM64: u64 = 0x80_0000_0000;
const PIO: u64 = 0x3eff_0000;
const RAM: u64 = 0x4000_0000;

/// A vendor-specific capability of six bytes.
static VENDOR: Map<()> = Map {
    specification: "none",
    window: 6,
    rows: &[
        byte("ID", 0, ()).read_only(0xff).reset(9),
        byte("Next", 1, ()).read_only(0xff),
        byte("Length", 2, ()).read_only(0xff).varies(),
        byte("A", 3, ()).read_only(0xff).reset(1),
        byte("B", 4, ()).writes(0xf0).reset(2),
        byte("C", 5, ()).read_only(0xff).reset(3),
    ],
};

/// Remembers the last write behind its BARs and answers reads with it.
struct Probe {
    core: FunctionCore,
    last: Mutex<(u8, u64, u64)>,
}

impl Probe {
    fn new(counters: &Arc<Counters>) -> Arc<Self> {
        let id = Identity {
            vendor: 0x1234,
            device: 0x5678,
            class: 0x01_0802,
            revision: 3,
            subsystem_vendor: 0xaaaa,
            subsystem: 0xbbbb,
        };
        let mut vendor_at = 0;
        let core = FunctionBuilder::new(id)
            .bar(0, BarKind::Memory32, 0x1000)
            .bar(1, BarKind::Io, 0x20)
            .bar(4, BarKind::Memory64 { prefetchable: true }, 0x4000)
            .express()
            .msix(MsixLayout { vectors: 3, bar: 4, table_offset: 0, pba_offset: 0x800 })
            .capability(&VENDOR, |_| 6, &mut vendor_at)
            .intx_pin(1)
            .build(counters);
        Arc::new(Self { core, last: Mutex::default() })
    }
}

impl PciFunction for Probe {
    fn core(&self) -> &FunctionCore {
        &self.core
    }
    fn stalls(&self) -> Stalls {
        Stalls::Never
    }
    fn bar_read(&self, _: u8, _: u64, _: Size) -> u64 {
        self.last.lock().2
    }
    fn bar_write(&self, bar: u8, offset: u64, _: Size, value: u64) {
        *self.last.lock() = (bar, offset, value);
    }
}

impl Component for Probe {
    fn name(&self) -> &str {
        "probe"
    }
    fn reset(&self) {
        self.core.reset();
    }
    fn save(&self) -> Payload {
        Payload::new("probe", &Saved(self.core.save()))
    }
    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Saved(function) = saved.state()?;
        Ok(Restore::new(move || self.core.restore(&function)))
    }
}

#[derive(Serialize, Deserialize)]
struct Saved(FunctionState);

impl SavedState for Saved {
    const KIND: &'static str = "probe";
    const VERSION: u32 = 1;
}

struct Machine {
    bus: Arc<Bus>,
    host: Arc<PciHost>,
    probe: Arc<Probe>,
    wires: Arc<Wires>,
    counters: Arc<Counters>,
}

fn machine() -> Machine {
    let bus = Arc::new(Bus::new());
    let wires = Arc::new(Wires::default());
    let counters = Arc::new(Counters::default());
    bus.map(Pa(RAM), 0x10000, Backing::Ram(GuestRam::new(0x10000).unwrap(), 0)).unwrap();
    let ports = Arc::new(DirectPorts(bus.clone()));
    let lines = [3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l));
    let host = PciHost::new(lines, ports, &counters);
    bus.map(Pa(ECAM), ECAM_SIZE, Backing::Mmio(host.ecam())).unwrap();
    bus.map(Pa(MEM), 0x2eff_0000, Backing::Mmio(host.memory_window("pcie-mmio", MEM))).unwrap();
    bus.map(Pa(PIO), IO_WINDOW_SIZE, Backing::Mmio(host.io_window())).unwrap();
    bus.map(Pa(MEM64), 512 << 30, Backing::Mmio(host.memory_window("pcie-mmio-high", MEM64))).unwrap();
    let probe = Probe::new(&counters);
    assert_eq!(host.add(Some(2), probe.clone()), Ok(Bdf::new(0, 2, 0)));
    Machine { bus, host, probe, wires, counters }
}

impl Machine {
    fn cfg(&self, at: u64, size: Size) -> u64 {
        self.bus.read(Pa(ECAM + (2 << 15) + at), size, ME).unwrap()
    }
    fn set_cfg(&self, at: u64, size: Size, v: u64) {
        self.bus.write(Pa(ECAM + (2 << 15) + at), size, v, ME).unwrap();
    }
    fn capability(&self, id: u64) -> u64 {
        let mut at = self.cfg(0x34, Size::B1);
        while at != 0 && self.cfg(at, Size::B1) != id {
            at = self.cfg(at + 1, Size::B1);
        }
        at
    }
    fn place_bars(&self) {
        self.set_cfg(0x10, Size::B4, 0x1000_4000);
        self.set_cfg(0x14, Size::B4, 0x40);
        self.set_cfg(0x20, Size::B8, MEM64 + 0x8000);
        self.set_cfg(4, Size::B2, 0x7);
    }
}

#[test]
fn enumeration() {
    let m = machine();
    assert_eq!(m.bus.read(Pa(ECAM), Size::B4, ME), Ok(0x0008_1b36));
    assert_eq!(m.bus.read(Pa(ECAM + 8), Size::B4, ME), Ok(0x0600_0000));
    assert_eq!(m.cfg(0, Size::B8), 0x0010_0000_5678_1234);
    assert_eq!((m.cfg(8, Size::B4), m.cfg(0x2c, Size::B4)), (0x0108_0203, 0xbbbb_aaaa));
    for nobody in [1 << 15, 1 << 12 | 2 << 15, 1 << 20, 255 << 20] {
        assert_eq!(m.bus.read(Pa(ECAM + nobody), Size::B2, ME), Ok(0xffff));
    }
    let express = m.capability(0x10);
    assert_eq!(m.cfg(express + 2, Size::B2), 0x92);
    let msix = m.capability(0x11);
    assert_eq!(
        (m.cfg(msix + 2, Size::B2), m.cfg(msix + 4, Size::B4), m.cfg(msix + 8, Size::B4)),
        (2, 4, 0x804)
    );
    assert_eq!(m.cfg(m.capability(9) + 2, Size::B4), 0x0302_0106);
    assert_eq!(m.cfg(0x100, Size::B4), 0);
}

#[test]
fn bars_have_sizes_and_read_only_bits_stay() {
    let m = machine();
    for (bar, size) in
        [(0x10, 0xffff_f000), (0x14, 0xffff_ffe1), (0x18, 0), (0x20, 0xffff_c00c), (0x24, 0xffff_ffff)]
    {
        m.set_cfg(bar, Size::B4, 0xffff_ffff);
        assert_eq!(m.cfg(bar, Size::B4), size, "BAR at {bar:#x}");
    }
    m.set_cfg(0, Size::B4, 0);
    m.set_cfg(4, Size::B4, 0xffff_ffff);
    assert_eq!((m.cfg(0, Size::B2), m.cfg(4, Size::B4)), (0x1234, 0x0010_0547));
    let vendor = m.capability(9);
    m.set_cfg(vendor + 3, Size::B2, 0xffff);
    assert_eq!(m.cfg(vendor + 3, Size::B2), 0xf201);
}

#[test]
fn windows_follow_bars_and_command() {
    let m = machine();
    assert_eq!(m.bus.read(Pa(MEM + 0x4010), Size::B4, ME), Ok(0xffff_ffff));
    m.place_bars();
    m.bus.write(Pa(MEM + 0x4010), Size::B4, 77, ME).unwrap();
    assert_eq!(*m.probe.last.lock(), (0, 0x10, 77));
    m.bus.write(Pa(PIO + 0x44), Size::B2, 78, ME).unwrap();
    assert_eq!(*m.probe.last.lock(), (1, 4, 78));
    m.bus.write(Pa(MEM64 + 0xb000), Size::B8, 79, ME).unwrap();
    assert_eq!(*m.probe.last.lock(), (4, 0x3000, 79));
    assert_eq!(m.bus.read(Pa(MEM64 + 0xc000), Size::B8, ME), Ok(u64::MAX));
    // A 64-bit BAR may be placed in the low window; I/O decoding can be switched off alone.
    m.set_cfg(0x20, Size::B8, MEM + 0x10_0000);
    m.set_cfg(4, Size::B2, 0x6);
    assert_eq!(m.bus.read(Pa(MEM + 0x10_1000), Size::B4, ME), Ok(79));
    assert_eq!(m.bus.read(Pa(PIO + 0x44), Size::B1, ME), Ok(0xff));
    assert_eq!(m.bus.read(Pa(MEM + 0x4000), Size::B4, Requester::Device(8)), Err(BusFault::Refused));
    assert_eq!(m.bus.read(Pa(ECAM), Size::B4, Requester::Device(8)), Err(BusFault::Refused));
}

#[test]
fn dma_needs_bus_mastering() {
    let m = machine();
    let port = m.probe.core.port();
    let read = || port.read(DmaAttrs::default(), RAM, &mut [0; 4]);
    assert_eq!(read(), Err(DmaFault::Abort));
    m.set_cfg(4, Size::B2, 4);
    assert_eq!((read(), port.stream_id()), (Ok(()), 0x10));
    m.set_cfg(4, Size::B2, 0);
    assert_eq!(read(), Err(DmaFault::Abort));
    assert_eq!(m.counters.get(Metric::DmaBytesRead), 4);
}

#[test]
fn msix_masks_and_pending_bits() {
    let m = machine();
    m.place_bars();
    let (table, pba) = (MEM64 + 0x8000, MEM64 + 0x8800);
    let control = m.capability(0x11) + 2;
    let ram = |at| m.bus.read(Pa(RAM + at), Size::B4, ME).unwrap();
    m.probe.core.raise_msix(1);
    assert_eq!(m.bus.read(Pa(pba), Size::B8, ME), Ok(0), "not enabled: nothing is kept");
    m.set_cfg(control, Size::B2, 0xc000);
    m.bus.write(Pa(table + 16), Size::B8, RAM + 0x100, ME).unwrap();
    m.bus.write(Pa(table + 24), Size::B4, 0xcafe, ME).unwrap();
    assert_eq!(m.bus.read(Pa(table + 28), Size::B4, ME), Ok(1));
    m.probe.core.raise_msix(1);
    m.probe.core.raise_msix(99);
    assert_eq!(m.bus.read(Pa(pba), Size::B8, ME), Ok(2));
    m.bus.write(Pa(table + 28), Size::B4, 0, ME).unwrap();
    assert_eq!((m.bus.read(Pa(pba), Size::B8, ME), ram(0x100)), (Ok(2), 0), "the function is masked");
    m.set_cfg(control, Size::B2, 0x8000);
    assert_eq!((m.bus.read(Pa(pba), Size::B8, ME), ram(0x100)), (Ok(0), 0xcafe));
    // Without bus mastering a message waits; it goes out with it.
    m.bus.write(Pa(RAM + 0x100), Size::B4, 0, ME).unwrap();
    m.set_cfg(4, Size::B2, 0x2);
    m.probe.core.raise_msix(1);
    assert_eq!(ram(0x100), 0);
    m.set_cfg(4, Size::B2, 0x6);
    assert_eq!(ram(0x100), 0xcafe);
}

#[test]
fn intx_is_swizzled_and_can_be_disabled() {
    // Rows of the interrupt-map: slot 0 INTA# is the first line, slot 1 INTB# the third, slot 3 INTB# the first.
    assert_eq!([(0, 1), (1, 2), (3, 2), (4, 1)].map(|(d, p)| IntxRouter::line_of(d, p)), [0, 2, 0, 0]);
    let m = machine();
    let other = Probe::new(&m.counters);
    m.host.add(Some(6), other.clone()).unwrap();
    m.probe.core.set_intx(true);
    other.core.set_intx(true);
    assert_eq!((m.wires.level(5), m.cfg(6, Size::B2) & 8), (true, 8));
    m.set_cfg(4, Size::B2, 0x400);
    assert!(m.wires.level(5), "the other function still asserts it");
    other.core.set_intx(false);
    assert!(!m.wires.level(5));
    m.set_cfg(4, Size::B2, 0);
    assert!(m.wires.level(5));
    m.host.reset();
    assert!(!m.wires.level(5));
}

#[test]
fn slots() {
    let m = machine();
    let add = |slot| m.host.add(slot, Probe::new(&m.counters)).map(|b| b.to_string());
    assert_eq!(add(Some(2)), Err(PciError::SlotTaken(2)));
    assert_eq!(add(Some(0)), Err(PciError::SlotTaken(0)));
    assert_eq!(add(Some(32)), Err(PciError::NoSuchSlot(32)));
    assert_eq!((add(None).unwrap(), add(None).unwrap()), ("00:01.0".to_owned(), "00:03.0".to_owned()));
    while add(None).is_ok() {}
    assert_eq!(m.host.functions().len(), 32);
    assert_eq!(add(None), Err(PciError::Full));
}

#[test]
fn function_level_reset_and_snapshot() {
    let m = machine();
    m.place_bars();
    let control = m.capability(0x11) + 2;
    m.set_cfg(control, Size::B2, 0x8000);
    let saved = m.host.save();
    let flr = m.capability(0x10) + 8;
    m.set_cfg(flr, Size::B4, 0x8000);
    assert_eq!((m.cfg(4, Size::B2), m.cfg(control, Size::B2), m.cfg(flr, Size::B2)), (0, 2, 0x2810));
    assert_eq!(m.bus.read(Pa(MEM + 0x4010), Size::B4, ME), Ok(0xffff_ffff));
    m.host.restore(saved.clone()).unwrap();
    assert_eq!((m.cfg(4, Size::B2), m.cfg(control, Size::B2)), (7, 0x8002));
    m.bus.write(Pa(MEM + 0x4010), Size::B4, 5, ME).unwrap();
    assert_eq!(m.bus.read(Pa(MEM + 0x4010), Size::B4, ME), Ok(5));
    assert_eq!(m.host.save(), saved);
}

#[test]
fn a_function_has_a_way_through_the_iommu_and_one_around_it() {
    let (through, around) = (Arc::new(Bus::new()), Arc::new(Bus::new()));
    let rams = [&through, &around].map(|bus| {
        let ram = GuestRam::new(0x1000).unwrap();
        bus.map(Pa(RAM), 0x1000, Backing::Ram(ram, 0)).unwrap();
        ram
    });
    let counters = Arc::new(Counters::default());
    let wires = Arc::new(Wires::default());
    let lines = [3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l));
    let physical = Some(Arc::new(DirectPorts(around)) as Arc<dyn Ports>);
    let host = PciHost::behind(lines, Arc::new(DirectPorts(through)), physical, &counters);
    let probe = Probe::new(&counters);
    let at = host.add(Some(2), probe.clone()).unwrap();
    let write = |port: &MasterPort, byte| port.write(DmaAttrs::default(), RAM, &[byte]);
    let both = || [(probe.core.port(), 1), (probe.core.physical_port(), 2)].map(|(port, b)| write(port, b));
    assert_eq!(both(), [Err(DmaFault::Abort); 2], "it is no bus master yet");
    host.config_write(at, 4, Size::B2, 4);
    assert_eq!((both(), rams.map(|ram| ram.load_u32(0))), ([Ok(()); 2], [Some(1), Some(2)]));
    assert_eq!([probe.core.port().stream_id(), probe.core.physical_port().stream_id()], [0x10; 2]);
    host.reset();
    assert_eq!(both(), [Err(DmaFault::Abort); 2]);
}
