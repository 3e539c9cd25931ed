//! Garbage for network controllers: registers of any value, rings of any contents, frames of any shape, and their life.

use std::cell::OnceCell;
use std::io;
use std::sync::{Arc, Weak};

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::DirectPorts;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::ram::GuestRam;
use emu_devices::net::{E1000e, MAX_FRAME, MacAddress, NetBackend, NetClient};
use emu_devices::pci::{Bdf, PciFunction, PciHost};

use super::source::Source;

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 18;
const WINDOW: u64 = 0x1000_0000;
const WINDOW_SIZE: u64 = 0x1000_0000;
const STEPS: usize = 300;
const AT: Bdf = Bdf::new(0, 1, 0);

/// A cable that says whether what is sent can be a frame.
struct Cable;

impl NetBackend for Cable {
    fn name(&self) -> &str {
        "cable"
    }
    fn connect(&self, _: Weak<dyn NetClient>) {}
    fn start(&self) -> io::Result<()> {
        Ok(())
    }
    fn pause(&self) {}
    fn halt(&self) {}
    fn send(&self, frame: &[u8]) {
        assert!((14..=2 * MAX_FRAME).contains(&frame.len()), "{}", frame.len());
    }
    fn room(&self) {}
}

struct Rig {
    bus: Arc<Bus>,
    host: Arc<PciHost>,
    nic: Arc<E1000e>,
    clock: Arc<Clock>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has the address space");
        let map = |base, size, backing| bus.map(Pa(base), size, backing).expect("the regions do not overlap");
        map(RAM, RAM_SIZE, Backing::Ram(ram, 0));
        let line = || IrqLine::new(Arc::new(Unconnected), 0);
        let (counters, clock) = (Arc::default(), Clock::new(Mode::Counted));
        let ports = Arc::new(DirectPorts(bus.clone()));
        let host = PciHost::new([line(), line(), line(), line()], ports, &counters);
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        let nic = E1000e::new("e1000e", mac, Some(Arc::new(Cable)), &clock, &counters);
        host.add(Some(1), nic.clone()).expect("the bus has room");
        map(WINDOW, WINDOW_SIZE, Backing::Mmio(host.memory_window("window", WINDOW)));
        Self { bus, host, nic, clock }
    }

    /// Like one that a driver has set up: a link, rings, everything is taken.
    fn set_up(&self) {
        self.nic.reset();
        self.host.config_write(AT, 0x10, Size::B4, WINDOW as u32);
        self.host.config_write(AT, 0x1c, Size::B4, WINDOW as u32 + 0x10_0000);
        self.host.config_write(AT, 4, Size::B2, 6);
        for queue in [0, 0x100] {
            for (ring, base) in [(0x2800, RAM), (0x3800, RAM + 0x1000)] {
                self.set(ring + queue, base + 0x10 * queue);
                self.set(ring + queue + 8, 0x100);
            }
        }
        for (at, value) in [(0, 0x41), (0x400, 0xa), (0xd0, u64::MAX >> 33), (0x100, 0x0400_803a)] {
            self.set(at, value);
        }
    }

    fn set(&self, at: u64, value: u64) {
        self.bus.write(Pa(WINDOW + at), Size::B4, value, CPU).expect("a register can be written");
    }
}

/// An offset that mostly is one of a register that matters.
fn offset(s: &mut Source) -> u64 {
    let queue = if s.one_in(4) { 0x100 } else { 0 };
    match s.u8() % 8 {
        0 => s.below(0x2_0000),
        1 => 4 * s.below(0x40),
        2 => s.pick(&[0x100, 0x400, 0x2170, 0x5000, 0x5008, 0x5818]),
        3 => 0x5400 + 4 * s.below(0x220),
        4 | 5 => 0x2800 + queue + s.pick(&[0, 4, 8, 0x10, 0x18]),
        _ => 0x3800 + queue + s.pick(&[0, 4, 8, 0x10, 0x18]),
    }
}

/// A descriptor that mostly makes sense.
fn descriptor(rig: &Rig, s: &mut Source) {
    let at = RAM + 16 * s.below(0x400);
    let buffer = if s.one_in(8) { s.value() } else { RAM + s.below(RAM_SIZE) };
    let len = if s.one_in(8) { s.below(0x10_0000) } else { s.below(2000) };
    let kind = s.pick(&[0, 1 << 29, 1 << 29 | 1 << 20]);
    let high = len
        | kind
        | u64::from(s.u8()) << 24 & 0xdf << 24
        | u64::from(s.u16()) << 40
        | u64::from(s.u8()) << 48;
    let low = if kind == 1 << 29 { s.u64() } else { buffer };
    for (i, value) in [low, high].into_iter().enumerate() {
        rig.bus.write(Pa(at + 8 * i as u64), Size::B8, value, CPU).expect("memory can be written");
    }
}

fn frame(rig: &Rig, s: &mut Source) {
    let len = if s.one_in(8) { s.below(MAX_FRAME as u64 - 14) } else { s.below(1600) } as usize + 14;
    let mut frame = vec![s.u8(); len];
    let to = s.pick(&[[0xff; 6], [2, 0, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]]);
    frame[..6].copy_from_slice(&to);
    frame[12..14].copy_from_slice(&s.pick(&[[8, 0], [0x86, 0xdd], [0x81, 0]]));
    let headers = 14 + s.below(50) as usize;
    for byte in frame.iter_mut().take(headers).skip(14) {
        *byte = s.u8();
    }
    let _ = rig.nic.receive(&frame);
}

fn step(rig: &Rig, s: &mut Source) {
    match s.u8() % 16 {
        0..=4 => rig.set(offset(s) & !3, s.value()),
        5 => {
            let size = s.pick(&[Size::B1, Size::B2, Size::B4, Size::B8]);
            let (bar, at) = (s.below(4) as u8, offset(s));
            if s.one_in(2) {
                rig.nic.bar_write(bar, at, size, s.value() & size.mask());
            } else {
                assert!(rig.nic.bar_read(bar, at, size) <= size.mask());
            }
        }
        6..=8 => descriptor(rig, s),
        9 | 10 => rig.set(0x3818 + 0x100 * s.below(2), s.below(16)),
        11 => rig.set(0x2818 + 0x100 * s.below(2), s.below(16)),
        12 | 13 => frame(rig, s),
        14 => rig.clock.advance(s.u16().into()),
        _ if s.one_in(4) => rig.nic.link(s.one_in(2)),
        _ => {
            rig.nic.pause();
            let saved = rig.nic.save();
            rig.nic.restore(saved).unwrap_or_else(|e| panic!("{e}"));
            Component::resume(&*rig.nic);
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Garbage for network controllers.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.set_up();
        let s = &mut Source::new(data);
        for _ in 0..STEPS {
            if s.is_empty() {
                return;
            }
            step(rig, s);
        }
    });
}
