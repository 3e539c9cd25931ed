//! Virtio queues that no driver would make, by all transports and interfaces. Devices work on the thread that notifies them, so an
//! input does the same every time.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::{DirectPorts, Ports};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use emu_devices::block::{BlockBackend, DiskQueue, MemoryDisk};
use emu_devices::pci::{ECAM_SIZE, PciHost};
use emu_devices::virtio::{
    Blk, BlkOptions, Console, ConsoleBackend, Interfaces, PortOptions, Rng, SeededEntropy, VirtioDevice,
    VirtioMmio, VirtioOptions, VirtioPci,
};

use super::source::Source;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 18;
const MMIO: u64 = 0x0a00_0000;
const ECAM: u64 = 0x40_1000_0000;
const WINDOW: u64 = 0x1000_0000;
const WINDOW_SIZE: u64 = 0x1000_0000;
/// Where the rig puts BAR 4 of function *n*.
const fn bar4(n: u64) -> u64 {
    WINDOW + 0x10_0000 * (n + 1)
}
/// The window onto I/O space, and where the rig puts the legacy registers of function *n*.
const PORTS: u64 = 0x3eff_0000;
const fn legacy_bar(n: u64) -> u64 {
    0x1000 * (n + 1)
}
/// Devices of each transport. Those of MMIO are there twice, the second time with the legacy interface.
const DEVICES: u64 = 4;
/// Most steps of an input.
const STEPS: usize = 300;

struct Silent;
impl ConsoleBackend for Silent {
    fn write(&self, _: &[u8]) {}
}

/// Where devices execute requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// On the thread that notifies.
    Inline,
    /// Those that can, on a thread of their own.
    OnThreads,
}

pub(super) struct Rig {
    bus: Arc<Bus>,
    ram: &'static GuestRam,
    disks: Vec<Arc<MemoryDisk>>,
    consoles: Vec<Arc<Console>>,
    components: Vec<Arc<dyn Component>>,
}

impl Rig {
    pub(super) fn new(work: Work) -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has the address space");
        let map = |base, size, backing| bus.map(Pa(base), size, backing).expect("the regions do not overlap");
        map(RAM, RAM_SIZE, Backing::Ram(ram, 0));
        let counters = Arc::new(Counters::default());
        let options = VirtioOptions { deterministic: work == Work::Inline, ..VirtioOptions::default() };
        let (mut disks, mut consoles) = (Vec::new(), Vec::new());
        let mut devices = || -> [Arc<dyn VirtioDevice>; DEVICES as usize] {
            let disk = Arc::new(MemoryDisk::new("disk", vec![0; 32 << 10]));
            disks.push(disk.clone());
            let console = Console::new(Arc::new(Silent));
            let port = |number, name: &str| PortOptions {
                number,
                console: number == 0,
                name: name.to_owned(),
                host_open: true,
                backend: Arc::new(Silent),
            };
            let ports = Console::with_ports(2, vec![port(0, ""), port(1, "name")]);
            consoles.extend([console.clone(), ports.clone()]);
            let disk = DiskQueue::new(disk, 2).expect("the host can start threads");
            [
                Blk::new(disk, "serial", BlkOptions { queue_size: 16, ..BlkOptions::default() }, &counters),
                Rng::new(Arc::new(SeededEntropy::new(1))),
                console,
                ports,
            ]
        };
        let mut components: Vec<Arc<dyn Component>> = Vec::new();
        let line = || IrqLine::new(Arc::new(Unconnected), 0);
        let ports = Arc::new(DirectPorts(bus.clone()));
        let interfaces = [Interfaces::Modern, Interfaces::Legacy];
        let slots = interfaces.into_iter().flat_map(|i| devices().map(|device| (device, i)));
        for ((device, interfaces), n) in slots.zip(0..) {
            let options = VirtioOptions { interfaces, ..options };
            let master = (&*ports as &dyn Ports, 0x1_0000 + n as u32);
            let slot = VirtioMmio::new("mmio", Some(device), line(), master, options, &counters);
            map(MMIO + 0x200 * n, 0x200, Backing::Mmio(slot.clone()));
            components.push(slot);
        }
        let host = PciHost::new([line(), line(), line(), line()], ports, &counters);
        let options = VirtioOptions { interfaces: Interfaces::Transitional, ..options };
        for device in devices() {
            host.add(None, VirtioPci::new("pci", device, options, &counters)).expect("the bus has room");
        }
        map(ECAM, ECAM_SIZE, Backing::Mmio(host.ecam()));
        map(PORTS, 1 << 16, Backing::Mmio(host.io_window()));
        map(WINDOW, WINDOW_SIZE, Backing::Mmio(host.memory_window("window", WINDOW)));
        components.push(host);
        components.iter().for_each(|c| c.start().expect("the host can start a thread"));
        Self { bus, ram, disks, consoles, components }
    }

    pub(super) fn reset(&self) {
        self.components.iter().for_each(|c| c.reset());
        self.ram.write(0, &vec![0; RAM_SIZE as usize]).expect("it is as large as RAM");
        for disk in &self.disks {
            disk.write_at(0, &vec![0x33; 32 << 10]).expect("it is as large as the disk");
        }
        for n in 0..DEVICES {
            let config = ECAM + ((n + 1) << 15);
            self.write(config + 0x10, Size::B4, legacy_bar(n));
            self.write(config + 0x14, Size::B4, bar4(n) + 0x8_0000);
            self.write(config + 0x20, Size::B4, bar4(n));
            self.write(config + 0x24, Size::B4, 0);
            self.write(config + 4, Size::B2, 7);
        }
    }

    /// What a snapshot does.
    pub(super) fn save_and_restore(&self) {
        self.components.iter().rev().for_each(|c| c.pause());
        for c in &self.components {
            let saved = c.save();
            c.restore(saved).unwrap_or_else(|e| panic!("{e}"));
        }
        self.components.iter().for_each(|c| c.resume());
    }

    fn read(&self, pa: u64, size: Size) -> u64 {
        self.bus.read(Pa(pa), size, Requester::Cpu(0)).unwrap_or(0)
    }
    fn write(&self, pa: u64, size: Size, value: u64) {
        let _ = self.bus.write(Pa(pa), size, value, Requester::Cpu(0));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.components.iter().rev().for_each(|c| c.halt());
    }
}

/// One device, by any transport.
#[derive(Clone, Copy)]
enum Device {
    Mmio(u64),
    Pci(u64),
    LegacyMmio(u64),
    LegacyPci(u64),
}

impl Device {
    fn status(self, rig: &Rig, value: u64) {
        match self {
            Self::Mmio(at) | Self::LegacyMmio(at) => rig.write(at + 0x70, Size::B4, value),
            Self::Pci(at) => rig.write(at + 20, Size::B1, value),
            Self::LegacyPci(at) => rig.write(at + 18, Size::B1, value),
        }
    }

    /// Takes the features that are offered and in `mask`.
    fn features(self, rig: &Rig, mask: u64) {
        for half in 0..2 {
            let mask = mask >> (32 * half) & 0xffff_ffff;
            match self {
                Self::Mmio(at) | Self::LegacyMmio(at) => {
                    rig.write(at + 0x14, Size::B4, half);
                    let offered = rig.read(at + 0x10, Size::B4);
                    rig.write(at + 0x24, Size::B4, half);
                    rig.write(at + 0x20, Size::B4, offered & mask);
                }
                Self::Pci(at) => {
                    rig.write(at, Size::B4, half);
                    let offered = rig.read(at + 4, Size::B4);
                    rig.write(at + 8, Size::B4, half);
                    rig.write(at + 12, Size::B4, offered & mask);
                }
                Self::LegacyPci(at) => {
                    let offered = rig.read(at, Size::B4);
                    rig.write(at + 4, Size::B4, offered & mask);
                }
            }
        }
    }

    fn queue(self, rig: &Rig, n: u64, size: u64, parts: [u64; 3]) {
        match self {
            Self::Mmio(at) => {
                rig.write(at + 0x30, Size::B4, n);
                rig.write(at + 0x38, Size::B4, size);
                for (part, offset) in parts.into_iter().zip([0x80, 0x90, 0xa0]) {
                    rig.write(at + offset, Size::B4, part & 0xffff_ffff);
                    rig.write(at + offset + 4, Size::B4, part >> 32);
                }
                rig.write(at + 0x44, Size::B4, 1);
            }
            Self::Pci(at) => {
                rig.write(at + 22, Size::B2, n);
                rig.write(at + 24, Size::B2, size);
                for (part, offset) in parts.into_iter().zip([32, 40, 48]) {
                    rig.write(at + offset, Size::B8, part);
                }
                rig.write(at + 28, Size::B2, 1);
            }
            Self::LegacyMmio(at) => {
                rig.write(at + 0x28, Size::B4, 0x1000);
                rig.write(at + 0x30, Size::B4, n);
                rig.write(at + 0x38, Size::B4, size);
                rig.write(at + 0x3c, Size::B4, if size < 0x1000 { 0x1000 } else { parts[1] });
                rig.write(at + 0x40, Size::B4, parts[0] >> 12 & 0xffff_ffff);
            }
            Self::LegacyPci(at) => {
                rig.write(at + 14, Size::B2, n);
                rig.write(at + 8, Size::B4, parts[0] >> 12 & 0xffff_ffff);
            }
        }
    }

    fn notify(self, rig: &Rig, n: u64) {
        match self {
            Self::Mmio(at) | Self::LegacyMmio(at) => rig.write(at + 0x50, Size::B4, n),
            Self::LegacyPci(at) => rig.write(at + 16, Size::B2, n),
            Self::Pci(at) => rig.write(at + 0x3000 + 4 * n, Size::B2, n),
        }
    }

    /// An access somewhere in its registers, the configuration space among them.
    fn poke(self, rig: &Rig, s: &mut Source) {
        let size = s.pick(&[Size::B1, Size::B2, Size::B4, Size::B8]);
        let at = match self {
            Self::Mmio(at) | Self::LegacyMmio(at) => at + s.below(0x200),
            Self::LegacyPci(at) => at + s.below(0x80),
            Self::Pci(at) => at + (s.below(5) << 12) + s.below(0x80),
        };
        if s.one_in(2) {
            rig.read(at, size);
        } else {
            rig.write(at, size, s.value());
        }
    }
}

const TABLE: u64 = RAM + 0x1000;
/// As the legacy interface has them behind a table of 16 descriptors.
const AVAILABLE: u64 = TABLE + 0x100;
const USED: u64 = TABLE + 0x1000;
const BUFFERS: u64 = RAM + 0x8000;

fn pointer(s: &mut Source) -> u64 {
    match s.u8() % 8 {
        0 => s.value(),
        1 => RAM + RAM_SIZE - u64::from(s.u8()),
        2 => s.pick(&[TABLE, AVAILABLE, USED, MMIO, WINDOW, ECAM]) + u64::from(s.u8()),
        _ => BUFFERS + s.below(0x4000),
    }
}

fn descriptor(s: &mut Source, rig: &Rig) {
    let table = if s.one_in(4) { BUFFERS } else { TABLE };
    let at = table + 16 * s.below(16);
    let length = match s.u8() % 8 {
        0 => s.u32(),
        1 => u32::MAX - u32::from(s.u8()),
        2 => 16,
        3 => 1,
        _ => u32::from(s.u16() & 0x7ff),
    };
    rig.write(at, Size::B8, pointer(s));
    let flags = u64::from(s.u8() & 7);
    let next = s.below(18);
    rig.write(at + 8, Size::B8, u64::from(length) | flags << 32 | next << 48);
}

/// Steps: set-up, descriptors, rings, requests, notifications, and accesses of all kinds.
pub(super) fn steps(rig: &Rig, s: &mut Source) {
    let mut available = 0_u64;
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        let n = s.below(DEVICES);
        let device = match s.below(4) {
            0 => Device::Mmio(MMIO + 0x200 * n),
            1 => Device::LegacyMmio(MMIO + 0x200 * (DEVICES + n)),
            2 => Device::LegacyPci(PORTS + legacy_bar(n)),
            _ => Device::Pci(bar4(n)),
        };
        let queue = s.below(7);
        match s.u8() % 12 {
            0 => {
                for value in [0, 1, 3] {
                    device.status(rig, value);
                }
                device.features(rig, if s.one_in(3) { s.u64() } else { u64::MAX });
                device.status(rig, 11);
                let size = s.pick(&[16, 16, 16, 1, 2, 256, 1024, 0x8000, 5]);
                let sane = [TABLE, AVAILABLE, USED];
                let parts = if s.one_in(4) { sane.map(|_| pointer(s) & !0xf) } else { sane };
                device.queue(rig, queue, size, parts);
                device.status(rig, if s.one_in(8) { s.u8().into() } else { 15 });
                available = 0;
            }
            1..=4 => descriptor(s, rig),
            5 => {
                // The header of a block request.
                let at = BUFFERS + (s.below(0x4000) & !15);
                let any = s.u8().into();
                rig.write(at, Size::B8, s.pick(&[0, 1, 4, 8, 11, 13, any]));
                rig.write(at + 8, Size::B8, if s.one_in(4) { s.value() } else { s.below(70) });
            }
            6 | 7 => {
                // One more entry in the available ring.
                rig.write(AVAILABLE + 4 + 2 * (available % 16), Size::B2, s.below(17));
                available = available.wrapping_add(1);
                rig.write(AVAILABLE + 2, Size::B2, available & 0xffff);
                device.notify(rig, queue);
            }
            8 => {
                rig.write(AVAILABLE + 2, Size::B2, s.u16().into());
                rig.write(AVAILABLE, Size::B2, u64::from(s.u8() & 1));
            }
            9 => device.notify(rig, if s.one_in(4) { s.value() & 0xffff } else { queue }),
            10 => rig.consoles.iter().for_each(|c| {
                // What does not fit is lost.
                let _ = c.input(0, b"input");
            }),
            _ => device.poke(rig, s),
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Queues of garbage for every device.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(|| Rig::new(Work::Inline));
        rig.reset();
        steps(rig, &mut Source::new(data));
        rig.save_and_restore();
    });
}
