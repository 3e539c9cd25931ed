//! Tests with the driver that the function's specification describes.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::pci::{Bdf, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
/// Where its registers are put.
const BAR: u64 = 0x1000_0000;
/// An address in its buffer.
const INSIDE: u64 = 0x4_0100;
/// Where the INTA# of device 1 ends.
const INTX: u32 = 4;

struct Rig {
    bus: Arc<Bus>,
    host: Arc<PciHost>,
    edu: Arc<Edu>,
    port: Arc<StallingPort>,
    wires: Arc<Wires>,
    counters: Arc<Counters>,
}

impl Rig {
    fn new(dma_mask: u64) -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10000, Backing::Ram(GuestRam::new(0x10000).unwrap(), 0)).unwrap();
        let (wires, counters) = (Arc::new(Wires::default()), Arc::new(Counters::default()));
        let port = StallingPort::new(bus.clone());
        let ports: Arc<dyn Ports> = Arc::new(OnlyPort(port.clone()));
        let host = PciHost::new([3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l)), ports, &counters);
        bus.map(Pa(BAR), 0x1000_0000, Backing::Mmio(host.memory_window("window", BAR))).unwrap();
        let edu = Edu::new("edu", dma_mask, &counters);
        assert_eq!(host.add(Some(1), edu.clone()), Ok(AT));
        let rig = Self { bus, host, edu, port, wires, counters };
        rig.enable();
        rig
    }

    /// The BAR has its place, and the function may be a master.
    fn enable(&self) {
        self.host.config_write(AT, 0x10, Size::B4, BAR as u32);
        self.host.config_write(AT, 4, Size::B2, 6);
    }

    fn get(&self, at: u64, size: Size) -> u64 {
        self.bus.read(Pa(BAR + at), size, CPU).unwrap()
    }
    fn word(&self, at: u64) -> u64 {
        self.get(at, Size::B4)
    }
    fn set(&self, at: u64, size: Size, value: u64) {
        self.bus.write(Pa(BAR + at), size, value, CPU).unwrap();
    }
    fn set_word(&self, at: u64, value: u64) {
        self.set(at, Size::B4, value);
    }
    fn ram(&self, at: u64) -> u64 {
        self.bus.read(Pa(RAM + at), Size::B8, CPU).unwrap()
    }
    fn set_ram(&self, at: u64, value: u64) {
        self.bus.write(Pa(RAM + at), Size::B8, value, CPU).unwrap();
    }
    fn anomalies(&self) -> u64 {
        self.counters.get(Metric::Anomalies)
    }

    fn transfer(&self, source: u64, destination: u64, count: u64, command: u64) {
        for (at, value) in [(0x80, source), (0x88, destination), (0x90, count), (0x98, command)] {
            self.set(at, Size::B8, value);
        }
    }

    /// MSI goes to this offset of RAM.
    fn use_msi(&self, to: u64) {
        let at = self.host.config_read(AT, 0x34, Size::B1) as u16;
        assert_eq!(self.host.config_read(AT, at, Size::B1), 5, "MSI is the first capability");
        self.host.config_write(AT, at + 4, Size::B4, (RAM + to) as u32);
        self.host.config_write(AT, at + 8, Size::B4, 0);
        self.host.config_write(AT, at + 12, Size::B2, 0x1234);
        self.host.config_write(AT, at + 2, Size::B2, 1);
    }
}

const AT: Bdf = Bdf::new(0, 1, 0);
const ALL: u64 = u64::MAX;

#[test]
fn it_says_what_it_is() {
    let rig = Rig::new(DEFAULT_DMA_MASK);
    assert_eq!(rig.host.config_read(AT, 0, Size::B4), 0x11e8_1234);
    assert_eq!(rig.host.config_read(AT, 8, Size::B4), 0x00ff_0010);
    assert_eq!(rig.host.config_read(AT, 0x3d, Size::B1), 1, "INTA#");
    let msi = rig.host.config_read(AT, 0x34, Size::B1) as u16;
    assert_eq!(rig.host.config_read(AT, msi, Size::B4), 0x0080_0005, "64-bit addresses, and the last one");
    assert_eq!(rig.word(0), 0x0100_00ed);
}

#[test]
fn registers_below_0x80_take_words_and_those_behind_also_doublewords() {
    let rig = Rig::new(DEFAULT_DMA_MASK);
    rig.set_word(4, 0x1234_5678);
    assert_eq!(rig.word(4), !0x1234_5678 & 0xffff_ffff);
    assert_eq!((rig.get(4, Size::B2), rig.get(0, Size::B8)), (0xffff, u64::MAX));
    assert_eq!((rig.word(0xc), rig.word(0x4_0000)), (0xffff_ffff, 0xffff_ffff), "nothing is there");
    rig.set(0x80, Size::B8, 0x1_2345_6789);
    assert_eq!((rig.get(0x80, Size::B8), rig.word(0x80)), (0x1_2345_6789, 0x2345_6789));
    rig.set_word(0x80, 7);
    assert_eq!(rig.get(0x80, Size::B8), 7, "a word is all of it");
    assert_eq!(rig.word(0x84), 0xffff_ffff);
    assert_eq!(rig.anomalies(), 0);
    rig.set_word(0x84, 1);
    rig.set(4, Size::B1, 1);
    rig.set_word(0x24, 1);
    assert_eq!(rig.anomalies(), 3);
}

#[test]
fn factorials() {
    let rig = Rig::new(DEFAULT_DMA_MASK);
    for (n, factorial) in [(0, 1), (1, 1), (5, 120), (12, 479_001_600), (13, 0x7328_cc00), (34, 0), (ALL, 0)]
    {
        rig.set_word(8, n & 0xffff_ffff);
        assert_eq!(rig.word(8), factorial, "{n}!");
    }
    assert_eq!(rig.word(0x24), 0);
    rig.set_word(0x20, 0xff);
    assert_eq!(rig.word(0x20), 0x80);
    rig.set_word(8, 3);
    assert_eq!((rig.word(0x24), rig.wires.level(INTX)), (1, true));
}

#[test]
fn interrupts_stay_until_they_are_acknowledged() {
    let rig = Rig::new(DEFAULT_DMA_MASK);
    rig.set_word(0x60, 0x30);
    assert_eq!((rig.word(0x24), rig.wires.level(INTX)), (0x30, true));
    rig.set_word(0x64, 0x10);
    assert_eq!((rig.word(0x24), rig.wires.level(INTX)), (0x20, true));
    rig.set_word(0x64, 0x20);
    assert_eq!((rig.word(0x24), rig.wires.level(INTX)), (0, false));
    // With MSI there is a message for each, and no wire.
    rig.use_msi(0x40);
    rig.set_word(0x60, 1);
    assert_eq!((rig.ram(0x40), rig.wires.level(INTX)), (0x1234, false));
    rig.set_ram(0x40, 0);
    rig.set_word(0x60, 1);
    assert_eq!(rig.ram(0x40), 0x1234, "also while the last one is not acknowledged");
}

#[test]
fn bytes_go_to_the_buffer_and_back() {
    let rig = Rig::new(ALL);
    rig.set_ram(0x100, 0x0123_4567_89ab_cdef);
    rig.transfer(RAM + 0x100, INSIDE, 8, 1);
    assert_eq!((rig.word(0x98), rig.word(0x24)), (0, 0), "it is done, and nobody asked for an interrupt");
    rig.transfer(INSIDE, RAM + 0x204, 4, 7);
    assert_eq!((rig.ram(0x200), rig.ram(0x208)), (0x89ab_cdef << 32, 0));
    assert_eq!((rig.word(0x98), rig.word(0x24), rig.wires.level(INTX)), (6, 0x100, true));
    assert_eq!(rig.anomalies(), 0);
}

#[test]
fn addresses_have_28_bits_unless_it_is_told() {
    let rig = Rig::new(DEFAULT_DMA_MASK);
    rig.bus.map(Pa(0), 0x1000, Backing::Ram(GuestRam::new(0x1000).unwrap(), 0)).unwrap();
    rig.transfer(0x4_0000, RAM + 0x80, 8, 3);
    assert_eq!(*rig.port.done.lock(), [(0x80, 8)]);
    assert_eq!(rig.anomalies(), 1);
}

#[test]
fn a_transfer_outside_of_the_buffer_moves_nothing() {
    let rig = Rig::new(ALL);
    for (at, count) in
        [(0x4_0000, 4097), (0x4_0fff, 2), (0x3_ffff, 1), (0x4_1000, 1), (ALL, 1), (0x4_0000, ALL)]
    {
        rig.transfer(RAM, at, count, 5);
        assert_eq!((rig.word(0x98), rig.word(0x24)), (4, 0x100), "it is over all the same");
    }
    rig.transfer(RAM, 0x4_0000, 4096, 1);
    rig.transfer(RAM, 0x4_1000, 0, 1);
    assert_eq!((rig.anomalies(), rig.port.done.lock().len()), (6, 1));
}

#[test]
fn a_transfer_goes_on_where_it_stalled() {
    let rig = Rig::new(ALL);
    rig.set_ram(0x100, 0xfeed);
    rig.port.arm(RAM + 0x100);
    rig.transfer(RAM + 0x100, INSIDE, 8, 5);
    assert_eq!((rig.word(0x98), rig.word(0x24)), (5, 0), "it is under way");
    rig.transfer(0, 0, 0, 0);
    assert_eq!((rig.get(0x80, Size::B8), rig.anomalies()), (RAM + 0x100, 4), "and cannot be changed");
    let tag = rig.port.stalled.lock()[0];
    rig.port.answer_to(tag, true);
    assert_eq!((rig.word(0x98), rig.word(0x24)), (4, 0x100));
    rig.transfer(INSIDE, RAM, 8, 3);
    assert_eq!(rig.ram(0), 0xfeed);
}

#[test]
fn a_transfer_that_is_terminated_moves_nothing_and_is_over() {
    let rig = Rig::new(ALL);
    rig.set_ram(0, 0xfeed);
    rig.port.arm(RAM);
    rig.transfer(RAM, INSIDE, 8, 5);
    let tag = rig.port.stalled.lock()[0];
    rig.port.answer_to(tag, false);
    assert_eq!((rig.word(0x98), rig.word(0x24), rig.anomalies()), (4, 0x100, 1));
    rig.transfer(INSIDE, RAM, 8, 3);
    assert_eq!(rig.ram(0), 0);
}

#[test]
fn a_message_that_stalled_is_sent_when_it_may_be() {
    let rig = Rig::new(ALL);
    rig.use_msi(0x40);
    rig.port.arm(RAM + 0x40);
    rig.set_word(0x60, 1);
    rig.set_word(0x60, 2);
    assert_eq!(rig.ram(0x40), 0);
    let saved = rig.edu.save();
    let tag = rig.port.stalled.lock()[0];
    rig.port.answer_to(tag, true);
    assert_eq!(rig.ram(0x40), 0x1234);
    assert_eq!(rig.port.stalled.lock().len(), 1);
    // It is part of the state.
    rig.set_ram(0x40, 0);
    rig.edu.reset();
    rig.edu.restore(saved).unwrap();
    Component::resume(&*rig.edu);
    assert_eq!(rig.ram(0x40), 0x1234);
}

#[test]
fn a_reset_drops_what_is_stalled_and_a_restore_begins_it_again() {
    let rig = Rig::new(ALL);
    rig.set_ram(0x100, 0xfeed);
    rig.port.arm(RAM + 0x100);
    rig.transfer(RAM + 0x100, INSIDE, 8, 5);
    let tag = rig.port.stalled.lock()[0];
    let saved = rig.edu.save();
    rig.edu.reset();
    rig.port.answer_to(tag, true);
    rig.enable();
    assert_eq!((rig.word(0x98), rig.word(0x24), rig.port.done.lock().len()), (0, 0, 0));
    rig.host.reset();
    rig.edu.restore(saved.clone()).unwrap();
    assert!(rig.edu.save() == saved);
    Component::resume(&*rig.edu);
    rig.enable();
    assert_eq!((rig.word(0x98), rig.word(0x24)), (4, 0x100));
}
