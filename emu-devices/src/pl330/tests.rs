//! Programs as a driver makes them, in counted time; and a port that stalls what it is told to.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus};
use emu_core::clock::Mode;
use emu_core::irq::IrqSink;
use emu_core::metrics::Metric;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::stalling_port::{OnlyPort, StallingPort};

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const PROGRAM: u64 = RAM + 0x1_0000;

const INTEN: u64 = 0x20;
const RIS: u64 = 0x24;
const INTCLR: u64 = 0x2c;
const FSRD: u64 = 0x30;
const FSRC: u64 = 0x34;
const FTRD: u64 = 0x38;
const FTR0: u64 = 0x40;
const CSR0: u64 = 0x100;
const CPC0: u64 = 0x104;
const SAR0: u64 = 0x400;
const DAR0: u64 = 0x404;
const WD: u64 = 0xe80;

const STOPPED: u64 = 1 << 21;
const EXECUTING: u64 = 1 << 21 | 1;
const WAITING: u64 = 1 << 21 | 4;
const FAULTING: u64 = 1 << 21 | 15;

/// Both sides increment by bursts of 16 beats of 8 bytes, Non-secure and cacheable.
const CONTROL: u32 = side(3, 16) | side(3, 16) << 14;
const fn side(size: u32, beats: u32) -> u32 {
    1 | size << 1 | (beats - 1) << 4 | 1 << 9 | 7 << 11
}
const END: u8 = 0;
const LOAD: u8 = 4;
const STORE: u8 = 8;
const ZEROS: u8 = 0xc;

fn moves(control: u32, from: u32, to: u32) -> Vec<u8> {
    let one = |place: u8, value: u32| [&[0xbc, place][..], &value.to_le_bytes()].concat();
    [one(1, control), one(0, from), one(2, to)].concat()
}

struct Rig {
    bus: Arc<Bus>,
    port: Arc<StallingPort>,
    wires: Arc<Wires>,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
    dmac: Arc<Pl330>,
}

impl Rig {
    fn new(mode: Mode) -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x2_0000, Backing::Ram(GuestRam::new(0x2_0000).unwrap(), 0)).unwrap();
        let (port, wires) = (StallingPort::new(bus.clone()), Arc::<Wires>::default());
        let (clock, counters) = (Clock::new(mode), Arc::default());
        let dmac = Pl330::new(Config {
            name: "pl330",
            stream: 7,
            ports: &OnlyPort(port.clone()),
            irq: IrqLine::new(wires.clone() as Arc<dyn IrqSink>, 3),
            clock: &clock,
            counters: &counters,
        });
        Self { bus, port, wires, clock, counters, dmac }
    }

    fn get(&self, at: u64) -> u64 {
        self.dmac.read(at, Size::B4, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        MmioDevice::write(&*self.dmac, at, Size::B4, value, CPU).unwrap();
    }
    fn poke(&self, at: u64, bytes: &[u8]) {
        bytes
            .iter()
            .zip(at..)
            .for_each(|(b, at)| self.bus.write(Pa(at), Size::B1, (*b).into(), CPU).unwrap());
    }
    fn peek(&self, at: u64, n: u64) -> Vec<u8> {
        (at..at + n).map(|at| self.bus.read(Pa(at), Size::B1, CPU).unwrap() as u8).collect()
    }

    /// By the debug registers, for the manager or a channel.
    fn debug(&self, channel: Option<u64>, bytes: [u8; 6]) {
        let whose = channel.map_or(0, |n| 1 | n << 8);
        self.set(0xd08, whose | u64::from(bytes[0]) << 16 | u64::from(bytes[1]) << 24);
        self.set(0xd0c, u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]).into());
        assert_eq!(self.get(0xd00), 0);
        self.set(0xd04, 0);
    }
    fn go(&self, channel: u8, pc: u64) {
        let [a, b, c, d] = (pc as u32).to_le_bytes();
        self.debug(None, [0xa2, channel, a, b, c, d]);
    }
    fn kill(&self, channel: Option<u64>) {
        self.debug(channel, [1, 0, 0, 0, 0, 0]);
    }
    /// Lets so many turns pass.
    fn pass(&self, turns: u64) {
        (0..turns).for_each(|_| self.clock.advance(1000));
    }
    /// Runs a program on channel 0.
    fn run(&self, program: &[u8]) {
        self.poke(PROGRAM, program);
        self.go(0, PROGRAM);
        self.pass(20);
    }
    fn pattern(&self, at: u64, n: u64) -> Vec<u8> {
        let bytes: Vec<u8> = (0..n).map(|i| (i * 7 + 3) as u8).collect();
        self.poke(at, &bytes);
        bytes
    }
}

fn rig() -> Rig {
    Rig::new(Mode::Counted)
}

/// As Linux's driver has it: bursts in a loop, barriers, an event.
fn copy(bursts: u8, from: u32, to: u32) -> Vec<u8> {
    let rest = [0x20, bursts - 1, LOAD, 0x12, STORE, 0x13, 0x38, 4, 0x34, 2 << 3, END];
    [moves(CONTROL, from, to), rest.to_vec()].concat()
}

#[test]
fn a_program_copies_and_interrupts() {
    let rig = rig();
    let bytes = rig.pattern(RAM, 512);
    rig.set(INTEN, 1 << 2);
    rig.run(&copy(4, RAM as u32, RAM as u32 + 0x1000));
    assert_eq!(rig.peek(RAM + 0x1000, 512), bytes);
    assert_eq!(rig.peek(RAM + 0x1200, 1), [0]);
    assert_eq!((rig.get(CSR0), rig.get(SAR0), rig.get(DAR0)), (STOPPED, RAM + 512, RAM + 0x1200));
    assert_eq!((rig.get(RIS), rig.wires.level(3)), (4, true));
    rig.set(INTCLR, 4);
    assert_eq!((rig.get(RIS), rig.wires.level(3)), (0, false));
    assert_eq!(rig.counters.get(Metric::Anomalies), 0);
}

/// The identification that Linux's AMBA bus looks for: part 0x330, designer 0x41.
#[test]
fn it_says_what_it_is() {
    let rig = rig();
    let ids = (0..4).fold(0, |id, n| id | rig.get(0xfe0 + 4 * n) << (8 * n));
    assert_eq!(ids & 0xf_ffff, 0x4_1330);
    let cr0 = rig.get(0xe00);
    assert_eq!((cr0 >> 4 & 7, cr0 >> 17 & 31, cr0 & 7), (7, 31, 0b100));
    assert_eq!((rig.get(0), rig.get(0xe14) & 7, rig.get(0xe14) >> 20), (1 << 9, 4, 255));
}

#[test]
fn bursts_of_all_shapes() {
    let rig = rig();
    let bytes = rig.pattern(RAM, 64);
    let (from, to) = (RAM as u32, RAM as u32 + 0x1000);
    // From an address that is not aligned the first beat is shorter.
    rig.run(&[moves(side(3, 2) | side(0, 13) << 14, from + 3, to), vec![LOAD, STORE, END]].concat());
    assert_eq!((rig.peek(RAM + 0x1000, 14), rig.get(SAR0)), ([&bytes[3..16], &[0]].concat(), RAM + 16));
    // Fixed addresses: each beat reads the same, and writes over the last one.
    let fixed = (side(2, 2) & !1) | side(2, 2) << 14;
    rig.run(&[moves(fixed, from, to), vec![LOAD, STORE, END]].concat());
    assert_eq!(rig.peek(RAM + 0x1000, 8), [&bytes[..4], &bytes[..4]].concat());
    assert_eq!(rig.get(SAR0), RAM);
    // Single transfers, whatever CCR says of the length; DMALDB does nothing, for there is no request.
    rig.run(&[moves(CONTROL, from, to), vec![5, 7, 9, END]].concat());
    assert_eq!((rig.get(SAR0), rig.get(DAR0)), (RAM + 8, RAM + 0x1008));
    // Zeros, without a load; and bytes that change their order.
    rig.run(&[moves(side(0, 4) << 14 | side(2, 1), from, to), vec![ZEROS, END]].concat());
    assert_eq!(rig.peek(RAM + 0x1000, 5), [0, 0, 0, 0, bytes[4]]);
    rig.run(&[moves(2 << 28 | side(2, 2) << 14 | side(2, 2), from, to), vec![LOAD, STORE, END]].concat());
    let swapped: Vec<u8> = bytes[..8].chunks(4).flat_map(|w| w.iter().rev().copied()).collect();
    assert_eq!(rig.peek(RAM + 0x1000, 8), swapped);
    // DMAADDH and DMAADNH.
    rig.run(&[moves(CONTROL, 0x10, 0x20), vec![0x54, 4, 1, 0x5e, 0xff, 0xff, END]].concat());
    assert_eq!((rig.get(SAR0), rig.get(DAR0)), (0x114, 0x1f));
}

#[test]
fn faults_say_why_and_end_with_a_kill() {
    let (ram, there) = (RAM as u32, RAM as u32 + 0x1000);
    let copying = |control, from, to| [moves(control, from, to), vec![LOAD, STORE, END]].concat();
    for (program, at, why) in [
        (vec![0xff], 0, 1 << 0),
        // DMAGO is the manager's.
        (vec![0xa2, 0, 0, 0, 0, 0], 0, 1 << 0),
        // No peripherals: DMAWFP.
        (vec![0x30, 0], 0, 1 << 1),
        // Beats of 32 bytes.
        (moves(side(5, 1) | side(3, 1) << 14, 0, 0), 0, 1 << 1),
        // A Secure read.
        (moves(CONTROL & !(1 << 9), 0, 0), 0, 1 << 7),
        (vec![STORE], 0, 1 << 13),
        (copying(CONTROL, 0x1000, there), 18, 1 << 18),
        (copying(CONTROL, ram, 0x1000), 19, 1 << 17),
    ] {
        let rig = rig();
        rig.run(&program);
        assert_eq!((rig.get(CSR0), rig.get(FSRC), rig.get(FTR0)), (FAULTING, 1, why), "{program:x?}");
        assert_eq!((rig.get(CPC0), rig.wires.level(3)), (PROGRAM + at, true));
        assert_ne!(rig.counters.get(Metric::Anomalies), 0);
        rig.go(0, PROGRAM);
        assert_eq!(rig.get(CSR0), FAULTING, "it is not Stopped");
        rig.kill(Some(0));
        assert_eq!((rig.get(CSR0), rig.get(FSRC), rig.get(FTR0)), (STOPPED, 0, 0));
        assert!(!rig.wires.level(3));
    }
    let rig = rig();
    rig.go(0, 0x1000);
    rig.pass(2);
    assert_eq!((rig.get(CSR0), rig.get(FTR0)), (FAULTING, 1 << 16), "there is no program");
}

#[test]
fn the_manager_faults() {
    let rig = rig();
    // A Secure channel; an instruction that is not for the debug registers.
    for (bytes, why) in [([0xa0, 0, 0, 0, 0, 0], 1 << 4), ([0x18, 0, 0, 0, 0, 0], 1)] {
        rig.debug(None, bytes);
        assert_eq!((rig.get(0) & 15, rig.get(FSRD), rig.get(FTRD)), (15, 1, why | 1 << 30));
        assert!(rig.wires.level(3));
        rig.go(0, PROGRAM);
        assert_eq!(rig.get(CSR0), STOPPED);
        rig.kill(None);
        assert_eq!((rig.get(0) & 15, rig.get(FSRD), rig.wires.level(3)), (0, 0, false));
    }
    rig.debug(Some(1), [LOAD, 0, 0, 0, 0, 0]);
    assert_eq!((rig.get(FSRC), rig.get(FTR0 + 4)), (2, 1 | 1 << 30));
}

#[test]
fn events_join_threads() {
    let rig = rig();
    // Channel 0 waits for event 5, which channel 1 sends.
    rig.run(&[0x36, 5 << 3, END]);
    assert_eq!(rig.get(CSR0), WAITING | 5 << 4);
    rig.poke(PROGRAM + 0x100, &[0x34, 5 << 3, 0x34, 6 << 3, END]);
    rig.go(1, PROGRAM + 0x100);
    rig.pass(4);
    assert_eq!((rig.get(CSR0), rig.get(RIS), rig.wires.level(3)), (STOPPED, 1 << 6, false));
    // Event 6 is left, and taken.
    rig.run(&[0x36, 6 << 3, END]);
    assert_eq!((rig.get(CSR0), rig.get(RIS)), (STOPPED, 0));
    // By debug; as an interrupt it wakes nobody.
    rig.run(&[0x36, 5 << 3, END]);
    rig.set(INTEN, 1 << 5);
    rig.debug(None, [0x34, 5 << 3, 0, 0, 0, 0]);
    rig.pass(2);
    assert_eq!((rig.get(CSR0), rig.get(RIS), rig.wires.level(3)), (WAITING | 5 << 4, 1 << 5, true));
}

#[test]
fn a_stalled_channel_waits_and_the_others_do_not() {
    for retry in [true, false] {
        let rig = rig();
        let bytes = rig.pattern(RAM, 128);
        rig.port.arm(RAM + 64);
        rig.run(&copy(1, RAM as u32, RAM as u32 + 0x1000));
        assert_eq!((rig.get(CSR0), rig.get(SAR0)), (EXECUTING, RAM));
        rig.poke(PROGRAM + 0x100, &copy(1, RAM as u32 + 0x8000, RAM as u32 + 0x9000));
        rig.go(1, PROGRAM + 0x100);
        rig.pass(10);
        assert_eq!(rig.get(CSR0 + 8), STOPPED);
        let tag = rig.port.stalled.lock().pop().unwrap();
        rig.port.answer_to(tag, retry);
        rig.pass(10);
        match retry {
            true => assert_eq!((rig.get(CSR0), rig.peek(RAM + 0x1000, 128)), (STOPPED, bytes)),
            false => assert_eq!((rig.get(CSR0), rig.get(FTR0)), (FAULTING, 1 << 18)),
        }
    }
    // A fetch that stalls is a cache miss; it is never answered, and killed.
    let rig = rig();
    rig.port.arm(PROGRAM);
    rig.run(&[END]);
    assert_eq!(rig.get(CSR0), 1 << 21 | 2);
    rig.kill(Some(0));
    let tag = rig.port.stalled.lock().pop().unwrap();
    rig.port.answer_to(tag, true);
    rig.pass(10);
    assert_eq!((rig.get(CSR0), rig.get(FSRC)), (STOPPED, 0));
}

#[test]
fn loads_without_room_lock_up() {
    for irq_only in [false, true] {
        let rig = rig();
        rig.set(WD, irq_only.into());
        // 33 loads of 128 bytes; the MFIFO has 4096.
        rig.run(&[moves(CONTROL, RAM as u32, RAM as u32), vec![0x20, 32, LOAD, 0x38, 1, END]].concat());
        let (status, why) = if irq_only { (EXECUTING, 0) } else { (FAULTING, 1 << 31) };
        assert_eq!((rig.get(CSR0), rig.get(FTR0), rig.wires.level(3)), (status, why, true));
        rig.kill(Some(0));
        rig.pass(2);
        assert!(!rig.wires.level(3));
    }
}

#[test]
fn a_program_without_an_end_does_not_hold_anything_up() {
    let rig = Rig::new(Mode::RealTime);
    rig.dmac.start().unwrap();
    // DMALPFE: for ever.
    // Of three instructions: a turn does not end at the same one each time.
    rig.poke(PROGRAM, &[0x18, 0x18, 0x28, 2]);
    rig.go(0, PROGRAM);
    let bytes = rig.pattern(RAM, 256);
    rig.poke(PROGRAM + 0x100, &copy(2, RAM as u32, RAM as u32 + 0x1000));
    rig.go(3, PROGRAM + 0x100);
    while rig.get(CSR0 + 24) != STOPPED {
        std::thread::yield_now();
    }
    assert_eq!((rig.get(CSR0), rig.peek(RAM + 0x1000, 256)), (EXECUTING, bytes));
    Component::pause(&*rig.dmac);
    let pc = rig.get(CPC0);
    assert_eq!(rig.get(CPC0), pc, "it stands still");
    Component::resume(&*rig.dmac);
    while rig.get(CPC0) == pc {
        std::thread::yield_now();
    }
    rig.kill(Some(0));
    assert_eq!(rig.get(CSR0), STOPPED);
    rig.dmac.halt();
}

#[test]
fn reset_and_a_saved_state() {
    let rig = rig();
    let bytes = rig.pattern(RAM, 512);
    rig.set(INTEN, 4);
    rig.port.arm(RAM + 0x1080);
    rig.run(&copy(4, RAM as u32, RAM as u32 + 0x1000));
    assert_eq!((rig.get(CSR0), rig.get(DAR0)), (EXECUTING, RAM + 0x1080));
    let saved = rig.dmac.save();
    rig.dmac.reset();
    rig.pass(4);
    assert_eq!((rig.get(CSR0), rig.get(DAR0), rig.get(INTEN)), (STOPPED, 0, 0));
    rig.dmac.restore(saved).unwrap();
    Component::resume(&*rig.dmac);
    rig.pass(20);
    assert_eq!((rig.get(CSR0), rig.get(RIS), rig.peek(RAM + 0x1000, 512)), (STOPPED, 4, bytes));
}

#[test]
fn states_that_cannot_be_are_refused() {
    let rig = rig();
    let bad = |change: fn(&mut State)| {
        let mut state = State::default();
        change(&mut state);
        rig.dmac.restore(Payload::new("pl330", &state)).is_err()
    };
    assert!(!bad(|_| {}));
    assert!(bad(|s| s.channels[0].control = 0));
    assert!(bad(|s| s.channels[0].event = 32));
    assert!(bad(|s| s.channels[0].fifo = vec![0; FIFO_BYTES + 1]));
    assert!(bad(|s| s.channels.iter_mut().for_each(|c| c.fifo = vec![0; FIFO_BYTES / 2])));
    assert!(bad(|s| s.channels[0].status = Status::Faulting));
    assert!(bad(|s| s.watchdog = 2));
}
