//! Tests with a port that stalls what it is told to.

mod cache;

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::dma::DirectPorts;
use emu_core::irq::IrqSink;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;

const COMMAND: u64 = 0x04;
const STATUS: u64 = 0x08;
const INTERRUPT_ENABLE: u64 = 0x0c;
const INTERRUPT: u64 = 0x10;
const STREAM: u64 = 0x14;
const ATTRIBUTES: u64 = 0x1c;
const ADDRESS: u64 = 0x20;
const LENGTH: u64 = 0x28;
const LIST: u64 = 0x2c;
const WIDTH: u64 = 0x30;
const PLACE: u64 = 0x34;
const DONE: u64 = 0x38;
const ATOMIC: u64 = 0x78;
const BUFFER: u64 = 0x1000;

struct Rig {
    bus: Arc<Bus>,
    port: Arc<StallingPort>,
    wires: Arc<Wires>,
    master: Arc<TestMaster>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10000, Backing::Ram(GuestRam::new(0x10000).unwrap(), 0)).unwrap();
        let (port, wires) = (StallingPort::new(bus.clone()), Arc::<Wires>::default());
        let master = TestMaster::new(Config {
            name: "test-master",
            streams: &[7],
            may_stall: true,
            ports: &OnlyPort(port.clone()),
            irq: IrqLine::new(wires.clone() as Arc<dyn IrqSink>, 3),
            counters: Arc::default(),
        });
        Self { bus, port, wires, master }
    }

    fn get(&self, at: u64) -> u64 {
        self.master.read(at, Size::B4, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.master, at, Size::B4, value, CPU).unwrap();
    }
    fn set_double(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.master, at, Size::B8, value, CPU).unwrap();
    }
    fn poke(&self, at: u64, value: u64) {
        self.bus.write(Pa(at), Size::B8, value, CPU).unwrap();
    }
    fn peek(&self, at: u64) -> u64 {
        self.bus.read(Pa(at), Size::B8, CPU).unwrap()
    }

    /// Starts a transfer; gives the status and how many bytes it moved.
    fn go(&self, attributes: u64, address: u64, length: u64) -> (u64, u64) {
        self.set(ATTRIBUTES, attributes);
        self.set_double(ADDRESS, address);
        self.set(LENGTH, length);
        self.set(COMMAND, 1);
        (self.get(STATUS), self.get(DONE))
    }

    fn stalled(&self, address: u64) -> StallTag {
        self.port.arm(address);
        assert_eq!(self.go(1, address & !0xff, 0x200), (0b11, 0));
        self.port.stalled.lock().pop().unwrap()
    }
}

#[test]
fn bytes_go_both_ways() {
    let rig = Rig::new();
    rig.set_double(BUFFER + 8, 0x1122_3344_5566_7788);
    rig.set(PLACE, 8);
    assert_eq!(rig.go(1, RAM + 0x20, 8), (4, 8));
    assert_eq!(rig.peek(RAM + 0x20), 0x1122_3344_5566_7788);
    rig.poke(RAM + 0x28, 0x99);
    rig.set(PLACE, 0);
    assert_eq!(rig.go(0, RAM + 0x28, 2), (4, 2));
    assert_eq!((rig.get(BUFFER), rig.get(BUFFER + 12)), (0x99, 0x1122_3344));
    assert_eq!(rig.go(0, RAM, 0x5000), (4, 0x1000), "the buffer is at its end");
}

#[test]
fn a_scatter_list_is_read_from_memory() {
    let rig = Rig::new();
    for (n, (address, length)) in
        [(RAM + 0x1000, 3), (RAM + 0x2000, 0), (RAM + 0x3000, 5)].into_iter().enumerate()
    {
        rig.poke(RAM + 16 * n as u64, address);
        rig.poke(RAM + 16 * n as u64 + 8, length);
    }
    rig.set_double(BUFFER, 0x0807_0605_0403_0201);
    rig.set(LIST, 3);
    assert_eq!(rig.go(1, RAM, 0), (4, 8));
    assert_eq!((rig.peek(RAM + 0x1000), rig.peek(RAM + 0x3000)), (0x03_0201, 0x08_0706_0504));
    assert_eq!(rig.go(1, RAM - 16, 0), (8, 0), "there is no list");
    rig.poke(RAM + 32, 0x3000);
    assert_eq!(rig.go(1, RAM, 0), (8, 3), "the third segment is nowhere");
    rig.set(LIST, 0x1001);
    assert_eq!(rig.go(1, RAM, 0), (16, 0), "no buffer has so many");
}

#[test]
fn addresses_have_as_many_bits_as_is_said() {
    let rig = Rig::new();
    rig.poke(RAM, 0x77);
    assert_eq!(rig.go(0, 0xff00_0000_4000_0000, 1), (8, 0));
    rig.set(WIDTH, 32);
    assert_eq!(rig.go(0, 0xff00_0000_4000_0000, 1), (4, 1));
    assert_eq!(rig.get(BUFFER), 0x77);
    for width in [0, 31, 65] {
        rig.set(WIDTH, width);
        assert_eq!(rig.go(0, RAM, 1), (16, 0));
    }
}

#[test]
fn it_has_its_own_streams_alone() {
    let rig = Rig::new();
    assert_eq!(rig.get(STREAM), 7);
    rig.set(STREAM, 8);
    assert_eq!(rig.go(0, RAM, 1), (16, 0));
}

#[test]
fn the_end_of_a_transfer_interrupts() {
    let rig = Rig::new();
    rig.go(0, RAM, 1);
    assert_eq!((rig.get(INTERRUPT), rig.wires.level(3)), (1, false));
    rig.set(INTERRUPT_ENABLE, 1);
    assert!(rig.wires.level(3));
    rig.set(INTERRUPT, 1);
    assert_eq!((rig.get(INTERRUPT), rig.wires.level(3)), (0, false));
    rig.go(0, 0, 1);
    assert!(rig.wires.level(3), "an abort is an end, too");
}

#[test]
fn a_transfer_that_stalled_goes_on_from_there_or_ends() {
    let rig = Rig::new();
    let tag = rig.stalled(RAM + 0x100);
    rig.set(LENGTH, 1);
    rig.set(COMMAND, 1);
    assert_eq!(rig.get(LENGTH), 0x200, "it is under way");
    rig.port.answer_to(tag, true);
    assert_eq!((rig.get(STATUS), rig.get(DONE)), (4, 0x200));
    rig.port.answer_to(rig.stalled(RAM + 0x100), false);
    assert_eq!((rig.get(STATUS), rig.get(DONE)), (8, 0));
    let tag = rig.stalled(RAM + 0x100);
    rig.set(COMMAND, 2);
    assert_eq!(rig.get(STATUS), 0, "given up");
    rig.port.answer_to(tag, true);
    assert_eq!(rig.get(STATUS), 0);
}

#[test]
fn an_atomic_access_leaves_what_was_there_in_the_buffer() {
    let rig = Rig::new();
    rig.set(PLACE, 8);
    rig.poke(RAM, 0x1_0000_0005);
    for (code, length, [first, second], old, new) in [
        (1, 4, [0xffff_ffff, 0], 5, 0x1_0000_0004),
        (1, 8, [2, 0], 0x1_0000_0004, 0x1_0000_0006),
        (2, 8, [9, 0], 0x1_0000_0006, 9),
        (3, 8, [8, 7], 9, 9),
        (3, 8, [9, 7], 9, 7),
        // The second operand follows the first one.
        (3, 4, [3_u64 << 32 | 7, 0], 3 << 32 | 7, 3),
    ] {
        rig.set(ATOMIC, code);
        rig.set_double(BUFFER + 8, first);
        rig.set_double(BUFFER + 16, second);
        assert_eq!(rig.go(0, RAM, length), (4, length), "{code}");
        let found = rig.master.read(BUFFER + 8, Size::B8, CPU).unwrap();
        assert_eq!((found, rig.peek(RAM)), (old, new), "{code}");
    }
    // No such length, no list, no room for the operands; what is not aligned, and what is no RAM.
    assert_eq!([0, 1, 12].map(|length| rig.go(0, RAM, length)), [(16, 0); 3]);
    rig.set(LIST, 1);
    assert_eq!(rig.go(0, RAM, 8), (16, 0));
    rig.set(LIST, 0);
    rig.set(PLACE, 0xff8);
    assert_eq!(rig.go(0, RAM, 8), (16, 0));
    assert_eq!([RAM + 2, 0x1000].map(|at| rig.go(0, at, 4)), [(8, 0); 2]);
    assert_eq!(rig.peek(RAM), 3);
}

#[test]
fn an_atomic_access_that_stalled_is_made_once() {
    let rig = Rig::new();
    rig.set_double(BUFFER, 5);
    rig.poke(RAM, 10);
    rig.set(ATOMIC, 1);
    let stall = || {
        rig.port.arm(RAM);
        assert_eq!((rig.go(0, RAM, 8), rig.get(BUFFER)), ((0b11, 0), 5));
        rig.port.stalled.lock().pop().unwrap()
    };
    let tag = stall();
    // It sees what is there when it is made, not when it stalled.
    rig.poke(RAM, 20);
    rig.port.answer_to(tag, true);
    rig.port.answer_to(tag, true);
    assert_eq!((rig.get(STATUS), rig.get(BUFFER), rig.peek(RAM)), (4, 20, 25));
    rig.set_double(BUFFER, 5);
    rig.port.answer_to(stall(), false);
    assert_eq!((rig.get(STATUS), rig.get(BUFFER), rig.peek(RAM)), (8, 5, 25));
    let _ = stall();
    let saved = rig.master.save();
    rig.master.reset();
    assert_eq!(rig.get(ATOMIC), 0);
    rig.master.restore(saved).unwrap();
    Component::resume(&*rig.master);
    assert_eq!((rig.get(STATUS), rig.get(BUFFER), rig.peek(RAM)), (4, 25, 30));
}

#[test]
fn reset_and_a_saved_state() {
    let rig = Rig::new();
    rig.set_double(BUFFER, 0xabcd);
    let _ = rig.stalled(RAM + 0x100);
    let saved = rig.master.save();
    rig.master.reset();
    assert_eq!((rig.get(STATUS), rig.get(BUFFER), rig.get(STREAM)), (0, 0, 7));
    rig.master.restore(saved).unwrap();
    assert_eq!(rig.get(STATUS), 1);
    Component::resume(&*rig.master);
    assert_eq!((rig.get(STATUS), rig.get(DONE)), (4, 0x200), "it began again");
    assert_eq!(rig.peek(RAM + 0x100), 0xabcd);
}

#[test]
fn a_master_that_cannot_wait_has_a_port_that_says_so() {
    let bus = Arc::new(Bus::new());
    let master = TestMaster::new(Config {
        name: "test-master",
        streams: &[1, 2],
        may_stall: false,
        ports: &DirectPorts(bus),
        irq: IrqLine::new(Arc::<Wires>::default(), 0),
        counters: Arc::default(),
    });
    assert_eq!(master.read(0, Size::B4, CPU), Ok(0x544d_0003));
    assert!(master.cpu_only());
}
