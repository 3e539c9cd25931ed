//! An NVMe controller in the hands of no driver: registers, queues, commands, PRPs and SGLs of any kind. All is done on the thread that
//! writes, so an input does the same every time.

use std::cell::OnceCell;
use std::sync::Arc;

use emu_core::Pa;
use emu_core::addr::Size;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::DirectPorts;
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::lifecycle::Component;
use emu_core::metrics::Counters;
use emu_core::ram::GuestRam;
use emu_devices::block::{BlockBackend, DiskQueue, MemoryDisk};
use emu_devices::nvme::{NamespaceOptions, Nvme, NvmeOptions};
use emu_devices::pci::{Bdf, PciHost};

use super::source::Source;

const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 18;
const BAR: u64 = 0x1000_0000;
const WINDOW_SIZE: u64 = 0x1000_0000;
const AT: Bdf = Bdf::new(0, 1, 0);
/// Most steps of an input.
const STEPS: usize = 300;
/// Bytes of a disk.
const DISK: usize = 64 << 10;
/// Queue pairs, that for administration included.
const QUEUES: u64 = 4;
/// Entries of the queues that are made well.
const ENTRIES: u64 = 16;

struct Rig {
    bus: Arc<Bus>,
    ram: &'static GuestRam,
    disks: [Arc<MemoryDisk>; 2],
    host: Arc<PciHost>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        let ram = GuestRam::new(RAM_SIZE).expect("the host has the address space");
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(ram, 0)).expect("nothing is there");
        let counters = Arc::new(Counters::default());
        let line = || IrqLine::new(Arc::new(Unconnected), 0);
        let ports = Arc::new(DirectPorts(bus.clone()));
        let host = PciHost::new([line(), line(), line(), line()], ports, &counters);
        let window = host.memory_window("window", BAR);
        bus.map(Pa(BAR), WINDOW_SIZE, Backing::Mmio(window)).expect("nothing is there");
        let disks = [0, 1].map(|_| Arc::new(MemoryDisk::new("disk", vec![0; DISK])));
        let namespaces = disks.iter().zip([(1, 512), (2, 4096)]).map(|(disk, (id, block_size))| {
            let disk: Arc<dyn BlockBackend> = disk.clone();
            let disk = DiskQueue::new(disk, 0).expect("it has no threads");
            NamespaceOptions { id, disk, block_size, eui64: 1, uuid: [0; 16] }
        });
        let options = NvmeOptions {
            serial: "serial".to_owned(),
            queues: QUEUES as u16 - 1,
            vectors: 3,
            mdts: 4,
            events: 3,
            inline: true,
        };
        let nvme = Nvme::new("nvme", options, namespaces.collect(), &counters);
        host.add(Some(1), nvme).expect("the slot is free");
        Self { bus, ram, disks, host }
    }

    fn reset(&self) {
        self.host.reset();
        self.ram.write(0, &vec![0; RAM_SIZE as usize]).expect("it is as large as RAM");
        for disk in &self.disks {
            disk.write_at(0, &vec![0x33; DISK]).expect("it is as large as the disk");
        }
        self.plug();
    }

    fn plug(&self) {
        self.host.config_write(AT, 0x10, Size::B4, BAR as u32);
        self.host.config_write(AT, 4, Size::B2, 6);
    }

    fn write(&self, at: u64, size: Size, value: u64) {
        let _ = self.bus.write(Pa(at), size, value, Requester::Cpu(0));
    }

    fn set(&self, at: u64, size: Size, value: u64) {
        self.write(BAR + at, size, value);
    }

    /// Enables it as a driver does, and makes the queues.
    fn enable(&self, tails: &mut [u64; QUEUES as usize]) {
        *tails = [0; QUEUES as usize];
        self.set(0x14, Size::B4, 0);
        self.set(0x24, Size::B4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
        self.set(0x28, Size::B8, queue(0));
        self.set(0x30, Size::B8, queue(0) + 0x1000);
        self.set(0x14, Size::B4, 0x46_0001);
        for n in 1..QUEUES {
            self.submit(tails, 0, &[5, 0, 0, queue(n) + 0x1000, 0, (ENTRIES - 1) << 16 | n, 3, 0]);
            self.submit(tails, 0, &[1, 0, 0, queue(n), 0, (ENTRIES - 1) << 16 | n, 0, 0]);
            self.write(queue(0) + 64 * (tails[0] - 1) + 44, Size::B4, 1 | n << 16);
            self.set(0x1000, Size::B4, tails[0]);
        }
        self.set(0x1004, Size::B4, tails[0]);
    }

    /// Puts the doublewords of a command into a queue. The admin queue is told of it later.
    fn submit(&self, tails: &mut [u64; QUEUES as usize], n: u64, command: &[u64; 8]) {
        let at = queue(n) + 64 * tails[n as usize];
        for (word, offset) in command.iter().zip((0..).step_by(8)) {
            self.write(at + offset, Size::B8, *word);
        }
        // Dwords 10 and 11 are halves of one doubleword: the second half is given alone.
        if command[5] >> 32 == 0 && command[6] >> 32 == 0 {
            self.write(at + 44, Size::B4, command[6]);
            self.write(at + 48, Size::B8, command[7]);
        }
        tails[n as usize] = (tails[n as usize] + 1) % ENTRIES;
    }
}

/// Where the rig puts a pair of queues.
const fn queue(n: u64) -> u64 {
    RAM + 0x1_0000 + 0x2000 * n
}

fn pointer(s: &mut Source) -> u64 {
    match s.u8() % 8 {
        0 => s.value(),
        1 => RAM + RAM_SIZE - u64::from(s.u8()),
        2 => BAR + s.below(0x4000),
        3 => queue(s.below(QUEUES)) + (s.below(0x2000) & !3),
        _ => RAM + (s.below(RAM_SIZE) & !0xfff),
    }
}

/// A command with one of the opcodes that there are, or another.
fn command(s: &mut Source) -> [u64; 8] {
    let any = s.u8();
    let opcode = s.pick(&[0, 1, 2, 4, 5, 6, 8, 9, 10, 12, any]);
    let flags = if s.one_in(3) { s.pick(&[0x40_u64, 0x80, 0xc0, 1]) } else { 0 };
    let id = u64::from(s.u16());
    let any = u64::from(s.u32());
    let nsid = s.pick(&[1, 1, 2, 0, 0xffff_ffff, any]);
    let first = u64::from(opcode) | flags << 8 | id << 16 | nsid << 32;
    let second =
        if s.one_in(2) { pointer(s) } else { u64::from(s.u32()) | s.pick(&[0, 0x20, 0x30, 0x10]) << 56 };
    let lba = if s.one_in(4) { s.value() } else { s.below(150) };
    let last = if s.one_in(4) { s.value() } else { s.below(70) };
    [first, 0, 0, pointer(s), second, lba, 1 << 32 | lba, last]
}

fn steps(rig: &Rig, s: &mut Source) {
    let mut tails = [0; QUEUES as usize];
    rig.enable(&mut tails);
    for _ in 0..STEPS {
        if s.is_empty() {
            return;
        }
        let n = s.below(QUEUES);
        match s.u8() % 12 {
            0 => rig.enable(&mut tails),
            1..=5 => {
                rig.submit(&mut tails, n, &command(s));
                rig.set(0x1000 + 8 * n, Size::B4, tails[n as usize]);
                if !s.one_in(4) {
                    let head = s.below(ENTRIES);
                    rig.set(0x1004 + 8 * n, Size::B4, head);
                }
            }
            6 => {
                // Something in a list.
                let at = pointer(s);
                let value = pointer(s);
                rig.write(at, Size::B8, value);
                rig.write(at.wrapping_add(8), Size::B8, s.below(0x3000) | s.pick(&[0, 0x20, 0x30]) << 56);
            }
            7 => {
                let value = if s.one_in(2) { s.value() } else { s.below(ENTRIES) };
                rig.set(0x1000 + 4 * s.below(2 * QUEUES + 2), Size::B4, value);
            }
            8 => {
                let size = s.pick(&[Size::B1, Size::B2, Size::B4, Size::B8]);
                let at = s.pick(&[0x0c, 0x10, 0x14, 0x24, 0x28, 0x30]);
                let value = s.value();
                rig.set(at, size, value);
            }
            9 => {
                let _ = rig.bus.read(Pa(BAR + s.below(0x4000)), Size::B4, Requester::Cpu(0));
            }
            10 => {
                // MSI-X messages to anywhere.
                let value = pointer(s);
                rig.set(0x2000 + 16 * s.below(3), Size::B8, value);
                rig.set(0x2008 + 16 * s.below(3), Size::B8, u64::from(s.u8()));
            }
            _ => {
                rig.host.config_write(AT, (s.below(0x100) & !3) as u16, Size::B4, s.u32());
                rig.plug();
            }
        }
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Commands of any kind, then a snapshot.
pub(super) fn run(data: &[u8]) {
    RIG.with(|cell| {
        let rig = cell.get_or_init(Rig::new);
        rig.reset();
        steps(rig, &mut Source::new(data));
        rig.host.pause();
        let saved = rig.host.save();
        rig.host.restore(saved).unwrap_or_else(|e| panic!("{e}"));
        rig.host.resume();
    });
}
