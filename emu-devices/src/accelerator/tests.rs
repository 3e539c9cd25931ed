//! Commands as a driver makes them, in counted time; and a port that stalls what it is told to.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::Mode;
use emu_core::irq::IrqSink;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const RINGS: u64 = RAM + 0x2_0000;
const SIZE: u32 = 2;

const CONTROL: u64 = 0x1000;
const STATUS: u64 = 0x1004;
const PASID_: u64 = 0x1008;
const INTERRUPT: u64 = 0x1020;
const HEAD: u64 = 0x1028;
const ERROR_ADDRESS: u64 = 0x1038;
const TAIL_BELL: u64 = 0x8_0000;
const RELEASED_BELL: u64 = 0x8_0004;

struct Rig {
    bus: Arc<Bus>,
    port: Arc<StallingPort>,
    wires: Arc<Wires>,
    clock: Arc<Clock>,
    device: Arc<Accelerator>,
}

/// What a completion says: status, phase, done, result, address.
type Completion = (u8, bool, u64, u64, u64);

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x4_0000, Backing::Ram(GuestRam::new(0x4_0000).unwrap(), 0)).unwrap();
        let (port, wires) = (StallingPort::new(bus.clone()), Arc::<Wires>::default());
        let clock = Clock::new(Mode::Counted);
        let device = Accelerator::new(Config {
            name: "accelerator",
            stream: 7,
            may_stall: true,
            ports: &OnlyPort(port.clone()),
            irqs: std::array::from_fn(|n| IrqLine::new(wires.clone() as Arc<dyn IrqSink>, n as u32)),
            clock: &clock,
            counters: &Arc::default(),
        });
        let rig = Self { bus, port, wires, clock, device };
        (0..2).for_each(|n| rig.enable(n));
        rig
    }
    fn get(&self, at: u64) -> u64 {
        self.device.read(at, Size::B4, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.device, at, Size::B4, value, CPU).unwrap();
    }
    fn set_double(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.device, at, Size::B8, value, CPU).unwrap();
    }
    fn poke(&self, at: u64, value: u64) {
        self.bus.write(Pa(at), Size::B8, value, CPU).unwrap();
    }
    fn peek(&self, at: u64) -> u64 {
        self.bus.read(Pa(at), Size::B8, CPU).unwrap()
    }
    fn bytes(&self, at: u64, n: u64) -> Vec<u8> {
        (at..at + n).map(|at| self.bus.read(Pa(at), Size::B1, CPU).unwrap() as u8).collect()
    }
    fn pattern(&self, at: u64, n: u64) {
        (at..at + n).for_each(|a| {
            self.bus.write(Pa(a), Size::B1, (a * 7 + a / 256) & 0xff, CPU).unwrap();
        });
    }
    fn enable(&self, n: u64) {
        let block = 0x40 * n;
        self.set(0x100c + block, SIZE.into());
        self.set_double(0x1010 + block, RINGS + 0x1000 * n);
        self.set_double(0x1018 + block, RINGS + 0x1000 * n + 0x800);
        self.set(0x1024 + block, 1);
        self.set(CONTROL + block, 1);
    }
    /// Puts a command into a slot of the ring of queue `n`.
    fn command(&self, n: u64, index: u64, words: [u64; 4]) {
        let at = RINGS + 0x1000 * n + 64 * (index % (1 << SIZE));
        words.iter().zip(0..).for_each(|(word, i)| self.poke(at + 8 * i, *word));
        (4..8).for_each(|i| self.poke(at + 8 * i, 0));
    }
    fn pass(&self) {
        (0..40).for_each(|_| self.clock.advance(1000));
    }
    fn completion(&self, n: u64, index: u64) -> Completion {
        let at = RINGS + 0x1000 * n + 0x800 + 32 * (index % (1 << SIZE));
        let first = self.peek(at);
        ((first >> 16) as u8, first >> 24 & 1 != 0, self.peek(at + 8), self.peek(at + 16), self.peek(at + 24))
    }
    /// Executes one on queue 0, which has executed `index`.
    fn run(&self, index: u64, words: [u64; 4]) -> Completion {
        self.command(0, index, words);
        self.set(TAIL_BELL, index + 1);
        self.pass();
        assert_eq!(self.get(HEAD), index + 1);
        let done = self.completion(0, index);
        assert_eq!(done.1, (index / 4).is_multiple_of(2), "the phase changes each round");
        self.set(RELEASED_BELL, index + 1);
        done
    }
}

/// The first word: operation, flags, tag, length.
const fn first(operation: u64, flags: u64, length: u64) -> u64 {
    operation | flags << 8 | 0x55 << 16 | length << 32
}

#[test]
fn each_operation() {
    let rig = Rig::new();
    rig.pattern(RAM, 10_000);
    let (from, to) = (RAM + 5, RAM + 0x4003);
    assert_eq!(rig.run(0, [first(1, 0, 9000), from, to, 0]), (0, true, 9000, 0, 0));
    assert_eq!(rig.bytes(to, 9000), rig.bytes(from, 9000));
    assert_eq!(rig.run(1, [first(4, 0, 9000), from, to, 0]).3, 9000, "they are the same");
    assert_eq!(rig.run(2, [first(2, 0, 12), 0, to + 5000, 0x8877_6655_4433_2211]).2, 12);
    assert_eq!(rig.bytes(to + 5004, 8), 0x4433_2211_8877_6655_u64.to_le_bytes());
    assert_eq!(rig.run(3, [first(4, 0, 9000), from, to, 0]), (0, true, 5000, 5000, 0));
    "123456789".bytes().zip(RAM..).for_each(|(b, at)| {
        rig.bus.write(Pa(at), Size::B1, b.into(), CPU).unwrap();
    });
    assert_eq!(rig.run(4, [first(3, 0, 9), RAM, 0, 0]).3, 0xcbf4_3926);
    assert_eq!(rig.run(5, [first(0, 0, 77), 0, 0, 0]), (0, false, 0, 0, 0));
    assert!(!rig.wires.level(0));
    rig.run(6, [first(0, 1, 0), 0, 0, 0]);
    assert_eq!((rig.get(INTERRUPT), rig.wires.level(0), rig.wires.level(1)), (1, true, false));
    rig.set(INTERRUPT, 1);
    assert!(!rig.wires.level(0));
}

#[test]
fn lists_are_followed_to_other_lists() {
    let rig = Rig::new();
    rig.pattern(RAM, 64);
    let entry = |at: u64, addr: u64, length: u64, flags: u64| {
        rig.poke(at, addr);
        rig.poke(at + 8, length | flags << 32);
    };
    entry(RAM + 0x100, RAM, 10, 0);
    entry(RAM + 0x110, RAM + 0x200, 0, 1);
    entry(RAM + 0x200, RAM + 30, 20, 0);
    assert_eq!(rig.run(0, [first(1, 2, 25), RAM + 0x100, RAM + 0x1000, 0]).0, 0);
    assert_eq!(rig.bytes(RAM + 0x1000, 25), [rig.bytes(RAM, 10), rig.bytes(RAM + 30, 15)].concat());
    // A chain that is a circle; a flag that is none.
    entry(RAM + 0x100, RAM + 0x100, 0, 1);
    assert_eq!(rig.run(1, [first(1, 2, 25), RAM + 0x100, RAM, 0]), (4, true, 0, 0, RAM + 0x100));
    entry(RAM + 0x100, RAM, 0, 2);
    assert_eq!(rig.run(2, [first(2, 4, 1), 0, RAM + 0x100, 0]).0, 4);
}

#[test]
fn a_fault_ends_its_command_alone() {
    let rig = Rig::new();
    rig.pattern(RAM, 0x1000);
    let end = RAM + 0x4_0000;
    assert_eq!(rig.run(0, [first(1, 0, 8192), end - 4096, RAM, 0]), (2, true, 4096, 0, end));
    assert_eq!(rig.run(1, [first(2, 0, 8), 0, 0x1000, 0]), (3, true, 0, 0, 0x1000));
    assert_eq!(rig.run(2, [first(9, 0, 8), 0, 0, 0]).0, 1);
    assert_eq!(rig.run(3, [first(1, 0x10, 8), RAM, RAM, 0]).0, 1);
    assert_eq!(rig.run(4, [first(0, 0, 0), 0, 0, 0]).0, 0, "the queue goes on");
    assert!(rig.wires.level(0), "a fault interrupts");
    assert_eq!(rig.get(STATUS), 1);
}

#[test]
fn rings_that_cannot_be_reached_and_doorbells_without_sense() {
    for ring in [0x1010, 0x1018] {
        let rig = Rig::new();
        rig.set(CONTROL, 0);
        rig.set_double(ring, 0x1000);
        rig.set(CONTROL, 1);
        rig.set(TAIL_BELL, 1);
        rig.pass();
        let at = if ring == 0x1010 { 0x1000 } else { 0x1008 } & !8;
        assert_eq!((rig.get(STATUS), rig.get(ERROR_ADDRESS), rig.get(HEAD)), (9, at, 0));
        assert!(rig.wires.level(0));
        // The other queue goes on, and this one when it is enabled again.
        rig.command(1, 0, [first(0, 0, 0), 0, 0, 0]);
        rig.set(TAIL_BELL + 0x1_0000, 1);
        rig.pass();
        assert_eq!(rig.get(HEAD + 0x40), 1);
        rig.set(CONTROL, 0);
        rig.enable(0);
        assert_eq!(rig.run(0, [first(0, 0, 0), 0, 0, 0]).0, 0);
    }
    for (bell, value) in [(TAIL_BELL, 5), (TAIL_BELL, 0xffff_ffff), (RELEASED_BELL, 1)] {
        let rig = Rig::new();
        rig.set(bell, value);
        assert_eq!((rig.get(STATUS), rig.get(ERROR_ADDRESS)), (9, value));
    }
    let rig = Rig::new();
    rig.set(0x1008, 3);
    assert_eq!(rig.get(0x1008), 0, "it is enabled");
    rig.set(CONTROL, 0);
    rig.set(TAIL_BELL, 1);
    assert_eq!(rig.get(0x102c), 0);
    rig.set(0x100c, 13);
    rig.set(CONTROL, 1);
    assert_eq!(rig.get(CONTROL), 0, "no ring has so many entries");
}

#[test]
fn completions_wait_for_room() {
    let rig = Rig::new();
    (0..4).for_each(|i| rig.command(0, i, [first(0, 0, 0), 0, 0, 0]));
    rig.set(TAIL_BELL, 4);
    rig.pass();
    rig.set(TAIL_BELL, 6);
    rig.pass();
    assert_eq!((rig.get(HEAD), rig.get(STATUS)), (4, 1));
    rig.set(RELEASED_BELL, 1);
    rig.pass();
    assert_eq!(rig.get(HEAD), 5);
}

#[test]
fn a_stalled_queue_waits_and_the_other_does_not() {
    for retry in [true, false] {
        let rig = Rig::new();
        rig.pattern(RAM, 0x3000);
        rig.command(0, 0, [first(1, 0, 0x3000), RAM, RAM + 0x4000, 0]);
        rig.port.arm(RAM + 0x5000);
        rig.set(TAIL_BELL, 1);
        rig.pass();
        assert_eq!((rig.get(STATUS), rig.get(HEAD)), (7, 0));
        rig.command(1, 0, [first(0, 0, 0), 0, 0, 0]);
        rig.set(TAIL_BELL + 0x1_0000, 1);
        rig.pass();
        assert_eq!(rig.get(HEAD + 0x40), 1);
        let tag = rig.port.stalled.lock().pop().unwrap();
        rig.port.answer_to(tag, retry);
        rig.pass();
        let expected = if retry { (0, true, 0x3000, 0, 0) } else { (3, true, 0x1000, 0, RAM + 0x5000) };
        assert_eq!((rig.get(STATUS), rig.completion(0, 0)), (1, expected));
    }
}

#[test]
fn a_queue_that_is_disabled_gives_its_command_up() {
    let rig = Rig::new();
    rig.command(0, 0, [first(2, 0, 8), 0, RAM, 1]);
    rig.port.arm(RAM);
    rig.set(TAIL_BELL, 1);
    rig.pass();
    assert_eq!(rig.get(STATUS), 7);
    rig.set(CONTROL, 0);
    assert_eq!(rig.get(STATUS), 0);
    let tag = rig.port.stalled.lock().pop().unwrap();
    rig.port.answer_to(tag, true);
    rig.pass();
    assert_eq!(rig.peek(RAM), 0);
}

#[test]
fn reset_and_a_saved_state() {
    let rig = Rig::new();
    rig.command(0, 0, [first(2, 1, 0x2000), 0, RAM, 0x11]);
    rig.port.arm(RAM + 0x1000);
    rig.set(TAIL_BELL, 1);
    rig.pass();
    assert_eq!(rig.get(STATUS), 7);
    let saved = rig.device.save();
    rig.device.reset();
    assert_eq!((rig.get(STATUS), rig.get(0x100c), rig.get(PASID_)), (0, 0, 0));
    rig.device.restore(saved).unwrap();
    Component::resume(&*rig.device);
    rig.pass();
    assert_eq!((rig.get(STATUS), rig.completion(0, 0)), (1, (0, true, 0x2000, 0, 0)));
    assert_eq!((rig.peek(RAM + 0x1ff8), rig.wires.level(0)), (0x11, true));
    let mut state = State::default();
    state.queues[0].tail = 5;
    assert!(rig.device.restore(Payload::new("accelerator", &state)).is_err());
}
