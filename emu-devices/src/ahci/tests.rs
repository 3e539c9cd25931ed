//! Tests with a driver's view of the HBA: lists, tables and FISes in memory.

use emu_core::addr::{Pa, Size};
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::clock::{Clock, Mode};
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::lifecycle::Component;
use emu_core::metrics::{Counters, Metric};
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::ata::DiskOptions;
use crate::block::{BlockBackend, DiskQueue, MemoryDisk};
use crate::pci::{Bdf, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const BAR: u64 = 0x1000_0000;
const AT: Bdf = Bdf::new(0, 1, 0);
const INTX: u32 = 4;
const LIST: u64 = RAM;
const FISES: u64 = RAM + 0x1000;
const TABLES: u64 = RAM + 0x2000;
const DATA: u64 = RAM + 0x1_0000;
const SECTORS: u64 = 4096;

struct Rig {
    bus: Arc<Bus>,
    hba: Arc<AhciFunction>,
    disk: Arc<MemoryDisk>,
    port: Arc<StallingPort>,
    clock: Arc<Clock>,
    wires: Arc<Wires>,
    counters: Arc<Counters>,
}

impl Rig {
    /// Port 0 has a disk, and runs.
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10_0000, Backing::Ram(GuestRam::new(0x10_0000).unwrap(), 0)).unwrap();
        let (wires, counters) = (Arc::new(Wires::default()), Arc::<Counters>::default());
        let port = StallingPort::new(bus.clone());
        let ports: Arc<dyn Ports> = Arc::new(OnlyPort(port.clone()));
        let host = PciHost::new([3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l)), ports, &counters);
        bus.map(Pa(BAR), 0x1000_0000, Backing::Mmio(host.memory_window("window", BAR))).unwrap();
        let bytes = (0..SECTORS * 512).map(|n| (n / 512) as u8).collect();
        let disk = Arc::new(MemoryDisk::new("memory", bytes));
        let options = DiskOptions { serial: "S1".into(), model: "M1".into() };
        let mut disks = Disks::default();
        disks[0] = Some(Disk::new(DiskQueue::new(disk.clone(), 0).unwrap(), options, &counters));
        let clock = Clock::new(Mode::Counted);
        let hba = AhciFunction::new("ahci", disks, &clock, &counters);
        assert_eq!(host.add(Some(1), hba.clone()), Ok(AT));
        host.config_write(AT, 0x24, Size::B4, BAR as u32);
        host.config_write(AT, 4, Size::B2, 6);
        let rig = Self { bus, hba, disk, port, clock, wires, counters };
        rig.bring_up();
        rig
    }

    fn bring_up(&self) {
        self.set(0x04, 2);
        self.set(0x100, LIST);
        self.set(0x108, FISES);
        self.set(0x114, 0xffff_ffff);
        self.set(0x118, 0x10);
        self.set(0x12c, 1);
        self.set(0x12c, 0);
        self.pass();
        self.set(0x130, 0xffff_ffff);
        self.set(0x118, 0x11);
        self.acknowledge();
    }

    fn pass(&self) {
        (0..50).for_each(|_| self.clock.advance(1000));
    }
    fn get(&self, at: u64) -> u64 {
        self.bus.read(Pa(BAR + at), Size::B4, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        self.bus.write(Pa(BAR + at), Size::B4, value, CPU).unwrap();
    }
    fn put(&self, at: u64, bytes: &[u8]) {
        self.bus.write_bytes(Pa(at), bytes, CPU).unwrap();
    }
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bus.read_bytes(Pa(at), &mut bytes, CPU).unwrap();
        bytes
    }
    fn acknowledge(&self) {
        self.set(0x110, 0xffff_ffff);
        self.set(0x08, 0x3f);
    }

    /// Puts a command into a slot, with one segment.
    fn prepare(&self, slot: u64, fis: &[u8; 20], (data, len): (u64, u32)) {
        let table = TABLES + 0x100 * slot;
        self.put(table, fis);
        let prd = [data as u32, (data >> 32) as u32, 0, (len - 1) | 1 << 31];
        self.put(table + 0x80, &prd.map(u32::to_le_bytes).concat());
        let header = [5 | 1 << 16, 0, table as u32, 0];
        self.put(LIST + 32 * slot, &header.map(u32::to_le_bytes).concat());
    }

    fn run(&self, fis: &[u8; 20], buffer: (u64, u32)) {
        self.prepare(0, fis, buffer);
        self.set(0x138, 1);
        self.pass();
    }
}

/// A register FIS for a command with an address of 48 bits.
fn fis(code: u8, lba: u64, count: u16, features: u16) -> [u8; 20] {
    let [a, b, c, d, e, f, ..] = lba.to_le_bytes();
    let ([low, high], [feature, more]) = (count.to_le_bytes(), features.to_le_bytes());
    [0x27, 0x80, code, feature, a, b, c, 0x40, d, e, f, more, low, high, 0, 0, 0, 0, 0, 0]
}

fn queued(write: bool, lba: u64, sectors: u16, tag: u16) -> [u8; 20] {
    fis(if write { 0x61 } else { 0x60 }, lba, tag << 3, sectors)
}

/// After COMRESET the device says what it is.
#[test]
fn a_port_comes_up_with_the_signature_of_a_disk() {
    let rig = Rig::new();
    assert_eq!((rig.get(0x128), rig.get(0x124), rig.get(0x120)), (0x113, 0x0000_0101, 0x150));
    assert_eq!(rig.bytes(FISES + 0x40, 8), [0x34, 0, 0x50, 1, 1, 0, 0, 0]);
    assert_eq!((rig.get(0x1a8), rig.get(0x1a0)), (0, 0x7f), "nothing is at port 1");
    assert_eq!(rig.get(0x118) & 0xc010, 0xc010);
}

#[test]
fn identify_is_pio_with_its_checksum() {
    let rig = Rig::new();
    rig.run(&fis(0xec, 0, 0, 0), (DATA, 512));
    let id = rig.bytes(DATA, 512);
    assert_eq!(id.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    assert_eq!((&id[20..24], &id[54..58]), (&b"1S  "[..], &b"1M  "[..]), "words are text from above");
    assert_eq!(u32::from_le_bytes([id[120], id[121], id[122], id[123]]), SECTORS as u32);
    let pio = rig.bytes(FISES + 0x20, 18);
    assert_eq!((&pio[..3], pio[15], &pio[16..]), (&[0x5f, 0x60, 0x58][..], 0x50, &[0, 2][..]));
    assert_eq!((rig.get(0x138), rig.get(0x120), rig.get(0x110)), (0, 0x50, 0x22), "PSS, DPS");
    assert!(rig.wires.level(INTX));
    rig.acknowledge();
    assert!(!rig.wires.level(INTX));
}

#[test]
fn dma_reads_and_writes_and_flushes() {
    let rig = Rig::new();
    rig.run(&fis(0x25, 7, 2, 0), (DATA, 1024));
    assert_eq!(rig.bytes(DATA, 1024), [vec![7; 512], vec![8; 512]].concat());
    assert_eq!(rig.bytes(LIST + 4, 4), 1024_u32.to_le_bytes(), "PRDBC");
    assert_eq!((rig.get(0x110), rig.get(0x138)), (0x21, 0), "DHRS, DPS");
    rig.put(DATA, &[0xab; 512]);
    rig.run(&fis(0x35, 100, 1, 0), (DATA, 512));
    let mut sector = [0; 512];
    rig.disk.read_at(100 * 512, &mut sector).unwrap();
    assert_eq!(sector, [0xab; 512]);
    assert_eq!(rig.disk.flushes(), 0);
    rig.run(&fis(0xea, 0, 0, 0), (DATA, 2));
    rig.run(&fis(0x3d, 101, 1, 0), (DATA, 512));
    assert_eq!(rig.disk.flushes(), 2, "FLUSH CACHE EXT, and WRITE DMA FUA EXT");
    for (code, sectors) in [(0x24, 3_u16), (0x34, 3)] {
        rig.run(&fis(code, 8, sectors, 0), (DATA, 1536));
        assert_eq!((rig.get(0x120), rig.get(0x138)), (0x50, 0));
    }
}

/// Beyond the end: IDNF, and the port stands still with the command issued until it is started again (6.2.2).
#[test]
fn an_error_halts_the_port() {
    let rig = Rig::new();
    rig.run(&fis(0x25, SECTORS, 1, 0), (DATA, 512));
    assert_eq!((rig.get(0x120), rig.get(0x138)), (0x1051, 1));
    assert_ne!(rig.get(0x110) & 1 << 30, 0, "TFES");
    rig.prepare(1, &fis(0x25, 0, 1, 0), (DATA, 512));
    rig.set(0x138, 2);
    rig.pass();
    assert_eq!(rig.get(0x138), 3, "nothing is begun");
    rig.set(0x118, 0x10);
    rig.pass();
    assert_eq!((rig.get(0x118) & 0x8000, rig.get(0x138)), (0, 0));
    rig.set(0x118, 0x11);
    rig.run(&fis(0x25, 9, 1, 0), (DATA, 512));
    assert_eq!(rig.bytes(DATA, 2), [9, 9]);
    rig.run(&fis(0xb0, 0, 0, 0), (DATA, 512));
    assert_eq!(rig.get(0x120), 0x0451, "SMART is not supported: ABRT");
}

/// Two queued commands, of which the first stalls: the second one ends before it.
#[test]
fn queued_commands_end_out_of_order() {
    let rig = Rig::new();
    rig.port.arm(DATA);
    rig.prepare(0, &queued(false, 1, 1, 0), (DATA, 512));
    rig.prepare(1, &queued(false, 2, 1, 1), (DATA + 512, 512));
    rig.set(0x134, 3);
    rig.set(0x138, 3);
    rig.pass();
    assert_eq!((rig.get(0x138), rig.get(0x134)), (0, 1), "both are accepted, the second has ended");
    assert_eq!(rig.bytes(FISES + 0x58, 8), [0xa1, 0x40, 0x50, 0, 2, 0, 0, 0]);
    assert_eq!((rig.bytes(DATA, 1), rig.bytes(DATA + 512, 1)), (vec![0], vec![2]));
    let tag = rig.port.stalled.lock()[0];
    rig.port.answer_to(tag, true);
    rig.pass();
    assert_eq!((rig.get(0x134), rig.bytes(DATA, 1)), (0, vec![1]));
    assert_eq!(rig.get(0x110), 0x28, "SDBS, DPS");
}

/// The log says which queued command failed, once.
#[test]
fn the_log_names_the_queued_command_that_failed() {
    let rig = Rig::new();
    rig.prepare(5, &queued(true, SECTORS, 1, 5), (DATA, 512));
    rig.set(0x134, 1 << 5);
    rig.set(0x138, 1 << 5);
    rig.pass();
    assert_eq!((rig.get(0x134), rig.get(0x120)), (1 << 5, 0x1051));
    rig.set(0x118, 0x10);
    rig.pass();
    rig.set(0x118, 0x11);
    rig.run(&fis(0x2f, 0x10, 1, 0), (DATA, 512));
    let log = rig.bytes(DATA, 512);
    assert_eq!((log[0], log[2], log[3], &log[4..6]), (5, 0x51, 0x10, &[0, 0x10][..]));
    rig.run(&fis(0x2f, 0x10, 1, 0), (DATA, 512));
    assert_eq!(rig.bytes(DATA, 1), [0x80]);
}

/// Nothing of the old life reaches memory, by whichever reset.
#[test]
fn a_reset_forgets_what_is_stalled() {
    for reset in 0..3 {
        let rig = Rig::new();
        rig.port.arm(DATA);
        rig.run(&fis(0x25, 1, 1, 0), (DATA, 512));
        assert_eq!((rig.get(0x138), rig.get(0x120) & 0x80), (1, 0x80));
        match reset {
            0 => rig.set(0x118, 0x10),
            1 => rig.set(0x04, 1),
            _ => rig.hba.reset(),
        }
        rig.pass();
        let tag = rig.port.stalled.lock()[0];
        rig.port.answer_to(tag, true);
        rig.pass();
        assert_eq!(rig.bytes(DATA, 1), [0]);
        if reset == 1 {
            assert_eq!((rig.get(0x04), rig.get(0x100)), (0x8000_0000, LIST), "addresses stay (10.4.3)");
        }
        if reset < 2 {
            rig.bring_up();
            rig.run(&fis(0x25, 1, 1, 0), (DATA, 512));
            assert_eq!(rig.bytes(DATA, 1), [1]);
        }
    }
}

/// A command that is under way when the state is saved begins again.
#[test]
fn a_saved_state_has_the_commands_under_way() {
    let rig = Rig::new();
    rig.port.arm(DATA);
    rig.prepare(3, &queued(false, 4, 1, 3), (DATA, 512));
    rig.set(0x134, 8);
    rig.set(0x138, 8);
    rig.pass();
    rig.hba.pause();
    let saved = rig.hba.save();
    let other = Rig::new();
    other.put(LIST, &rig.bytes(LIST, 0x4000));
    other.hba.pause();
    other.hba.restore(saved.clone()).unwrap();
    assert_eq!(other.hba.save(), saved);
    other.hba.resume();
    other.pass();
    assert_eq!((other.get(0x134), other.bytes(DATA, 1)), (0, vec![4]));
}

/// What no driver does: tables nowhere, lists in the HBA's own registers, FISes that are none, no room for the data.
#[test]
fn hostile_commands_halt_the_port_and_no_more() {
    let good = fis(0x25, 0, 2, 0);
    let cases: [(&[u8; 20], u64, u64); 4] = [
        (&[0; 20], DATA, 1 << 27),
        (&good, 0, 1 << 29),
        (&good, BAR + 0x100, 1 << 29),
        (&good, DATA, 1 << 24),
    ];
    for (fis, data, bit) in cases {
        let rig = Rig::new();
        let len = if bit == 1 << 24 { 512 } else { 1024 };
        let before = rig.counters.get(Metric::Anomalies);
        rig.run(fis, (data, len));
        assert_ne!(rig.get(0x110) & bit, 0, "{data:#x}");
        assert!(rig.counters.get(Metric::Anomalies) > before);
        rig.bring_up();
        rig.run(&good, (DATA, 1024));
        assert_eq!((rig.get(0x138), rig.bytes(DATA + 512, 1)), (0, vec![1]));
    }
}
