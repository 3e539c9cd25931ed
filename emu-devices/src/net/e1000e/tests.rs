//! Tests with the driver that the datasheet describes.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::clock::Mode;
use emu_core::dma::Ports;
use emu_core::irq::IrqLine;
use emu_core::ram::GuestRam;
use test_kit::wires::Wires;

use super::*;
use crate::net::intel::frame::check_sequence;
use crate::net::intel::tests::{context, tcp};
use crate::pci::{Bdf, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};

mod life;
mod queues;

const CPU: Requester = Requester::Cpu(0);
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 0x20_0000;
/// Where its registers and the MSI-X structures are put.
const BAR: u64 = 0x1000_0000;
const TABLE: u64 = 0x1010_0000;
const AT: Bdf = Bdf::new(0, 1, 0);
/// Where the INTA# of device 1 ends.
const INTX: u32 = 4;
/// Offsets in RAM: the rings, buffers of frames, where messages go.
const TX: u64 = 0x1000;
const RX: u64 = 0x2000;
const TX_BUFFERS: u64 = 0x4_0000;
const RX_BUFFERS: u64 = 0x8_0000;
const MESSAGES: u64 = 0x1_0000;
/// Descriptors of each ring.
const RING: u64 = 16;
const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// A cable that keeps what is sent.
#[derive(Default)]
struct Cable {
    sent: Mutex<Vec<Vec<u8>>>,
    rooms: Mutex<u32>,
}

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
        self.sent.lock().push(frame.to_vec());
    }
    fn room(&self) {
        *self.rooms.lock() += 1;
    }
}

struct Rig {
    bus: Arc<Bus>,
    host: Arc<PciHost>,
    nic: Arc<E1000e>,
    cable: Arc<Cable>,
    port: Arc<StallingPort>,
    wires: Arc<Wires>,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl Rig {
    fn new() -> Self {
        let cable = Arc::<Cable>::default();
        Self { cable: cable.clone(), ..Self::on(cable) }
    }

    /// With its cable in `backend`.
    fn on(backend: Arc<dyn NetBackend>) -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), RAM_SIZE, Backing::Ram(GuestRam::new(RAM_SIZE).unwrap(), 0)).unwrap();
        let (wires, counters) = (Arc::new(Wires::default()), Arc::new(Counters::default()));
        let (clock, cable) = (Clock::new(Mode::Counted), Arc::default());
        let port = StallingPort::new(bus.clone());
        let ports: Arc<dyn Ports> = Arc::new(OnlyPort(port.clone()));
        let host = PciHost::new([3, 4, 5, 6].map(|l| IrqLine::new(wires.clone(), l)), ports, &counters);
        bus.map(Pa(BAR), 0x1000_0000, Backing::Mmio(host.memory_window("window", BAR))).unwrap();
        let nic = E1000e::new("nic", MAC, Some(backend), &clock, &counters);
        assert_eq!(host.add(Some(1), nic.clone()), Ok(AT));
        let rig = Self { bus, host, nic, cable, port, wires, clock, counters };
        rig.enable();
        rig
    }

    /// The BARs have their places, and the function may be a master.
    fn enable(&self) {
        self.host.config_write(AT, 0x10, Size::B4, BAR as u32);
        self.host.config_write(AT, 0x1c, Size::B4, TABLE as u32);
        self.host.config_write(AT, 4, Size::B2, 6);
    }

    fn get(&self, at: u64) -> u64 {
        self.bus.read(Pa(BAR + at), Size::B4, CPU).unwrap()
    }
    fn set(&self, at: u64, value: u64) {
        self.bus.write(Pa(BAR + at), Size::B4, value, CPU).unwrap();
    }
    fn ram(&self, at: u64) -> u64 {
        self.bus.read(Pa(RAM + at), Size::B8, CPU).unwrap()
    }
    fn set_ram(&self, at: u64, value: u64) {
        self.bus.write(Pa(RAM + at), Size::B8, value, CPU).unwrap();
    }
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let byte = |i| self.bus.read(Pa(RAM + at + i), Size::B1, CPU).unwrap() as u8;
        (0..len as u64).map(byte).collect()
    }
    fn set_bytes(&self, at: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.bus.write(Pa(RAM + at + i as u64), Size::B1, (*byte).into(), CPU).unwrap();
        }
    }
    fn anomalies(&self) -> u64 {
        self.counters.get(Metric::Anomalies)
    }
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.cable.sent.lock())
    }

    /// A link, and both rings of queue 0, with all of the receive ring's buffers but one.
    fn up(&self, receive: u64) {
        self.set(0, 0x41);
        for (registers, ring) in [(0x2800, RX), (0x3800, TX)] {
            self.set(registers, RAM + ring);
            self.set(registers + 8, 16 * RING);
        }
        for i in 0..RING {
            self.set_ram(RX + 16 * i, RAM + RX_BUFFERS + 0x1000 * i);
            self.set_ram(RX + 16 * i + 8, 0);
        }
        self.set(0x100, receive);
        self.set(0x400, 0xa);
        self.set(0x2818, RING - 1);
    }

    /// Puts descriptors into the transmit ring behind the others, and tells of them.
    fn transmit(&self, descriptors: &[(u64, u64)]) {
        let mut tail = self.get(0x3818);
        for (low, high) in descriptors {
            self.set_ram(TX + 16 * tail, *low);
            self.set_ram(TX + 16 * tail + 8, *high);
            tail = (tail + 1) % RING;
        }
        self.set(0x3818, tail);
    }

    /// MSI-X, with a message for each vector.
    fn use_msix(&self) {
        let mut at = self.host.config_read(AT, 0x34, Size::B1) as u16;
        while self.host.config_read(AT, at, Size::B1) != 0x11 {
            at = self.host.config_read(AT, at + 1, Size::B1) as u16;
        }
        for v in 0..5 {
            let words = [RAM + MESSAGES + 4 * v, 0, 0x100 + v, 0];
            for (i, word) in words.into_iter().enumerate() {
                self.bus.write(Pa(TABLE + 16 * v + 4 * i as u64), Size::B4, word, CPU).unwrap();
            }
        }
        self.host.config_write(AT, at + 2, Size::B2, 0x8000);
    }

    /// Whether the message of a vector has come; it is taken away.
    fn message(&self, vector: u64) -> bool {
        let at = Pa(RAM + MESSAGES + 4 * vector);
        let message = self.bus.read(at, Size::B4, CPU).unwrap();
        self.bus.write(at, Size::B4, 0, CPU).unwrap();
        message == 0x100 + vector
    }
}

/// Receive: enable, broadcast, strip the check sequence.
const RECEIVE: u64 = 0x0400_8002;
/// Transmit commands: a frame's end, reported.
const END: u64 = 9 << 24;

/// A frame to `to` with `len` bytes.
fn frame(to: [u8; 6], len: usize) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame.extend((14..len).map(|i| i as u8));
    frame
}

#[test]
fn it_says_what_it_is() {
    let rig = Rig::new();
    assert_eq!(rig.host.config_read(AT, 0, Size::B4), 0x10d3_8086);
    assert_eq!(rig.host.config_read(AT, 8, Size::B4), 0x0200_0000);
    assert_eq!((rig.get(0x5400), rig.get(0x5404)), (0x1200_5452, 0x8000_5634), "its address");
    rig.set(0x14, 0x0d << 2 | 1);
    assert_eq!(rig.get(0x14), 0x10d3_0036, "EERD: a device's identity");
    rig.set(0x20, 2 << 26 | 1 << 21 | 2 << 16);
    assert_eq!(rig.get(0x20) & 0x1000_ffff, 0x1000_0141, "MDIC: a PHY's identifier");
    assert_eq!(rig.get(0x5b50) & 1, 0);
    assert_eq!(rig.get(0x5b50) & 1, 1, "SWSM: who reads it first has it");
    rig.set(0x5b50, 0);
    assert_eq!(rig.get(0x5b50) & 1, 0);
    assert_eq!((rig.get(0x4), rig.anomalies()), (0, 0));
    rig.set(0x4, 1);
    assert_eq!(rig.anomalies(), 1);
}

#[test]
fn the_link_follows_the_driver_the_phy_and_the_cable() {
    let rig = Rig::new();
    assert_eq!((rig.get(8) & 2, rig.get(0xc0)), (2, 0), "the EEPROM wants a link");
    rig.set(0xd0, 4);
    rig.set(0, 1);
    assert_eq!((rig.get(8) & 2, rig.get(0xc0)), (0, 0x8000_0004), "the driver does not");
    rig.set(0, 0x41);
    assert_eq!((rig.get(8) & 0xc3, rig.wires.level(INTX)), (0x83, true), "1000 Mb/s, full duplex");
    assert_eq!(rig.get(0xc0), 0x8000_0004);
    assert_eq!((rig.get(0xc0), rig.wires.level(INTX)), (0, false));
    rig.nic.link(false);
    assert_eq!((rig.get(8) & 2, rig.get(0xc0)), (0, 0x8000_0004));
    rig.nic.link(true);
    rig.set(0x20, 1 << 26 | 1 << 21 | 0x0800);
    assert_eq!(rig.get(8) & 2, 0, "the PHY is powered down");
    rig.set(0, 0x8000_0041);
    assert_eq!(rig.get(8) & 2, 2, "and is reset");
    rig.set(0, 0x45);
    assert_eq!(rig.get(8) & 0x8_0000, 0, "it is no master");
}

#[test]
fn causes_are_set_masked_and_cleared() {
    let rig = Rig::new();
    rig.set(0xc8, 0x80);
    assert!(!rig.wires.level(INTX));
    rig.set(0xd0, 0x80);
    assert!(rig.wires.level(INTX));
    rig.set(0xd8, 0x80);
    assert!(!rig.wires.level(INTX));
    assert_eq!((rig.get(0xc0), rig.get(0xc0)), (0x80, 0), "with all masked, a read clears");
    rig.set(0xd0, 4);
    rig.set(0xc8, 0x80);
    assert_eq!(
        (rig.get(0xc0), rig.get(0xc0)),
        (0x80, 0x80),
        "with nothing unmasked that has happened, it does not"
    );
    rig.set(0xc0, 0x80);
    assert_eq!(rig.get(0xc0), 0, "but a write does");
    // IAME: what IAM says is masked by a read.
    rig.set(0x18, 1 << 27);
    rig.set(0xe0, 4);
    rig.set(0xc8, 4);
    assert_eq!((rig.get(0xc0), rig.get(0xd0)), (0x8000_0004, 0));
}

#[test]
fn msix_vectors_clear_and_mask_themselves() {
    let rig = Rig::new();
    rig.use_msix();
    // RXQ0: vector 0, TXQ0: vector 1, other: vector 2.
    rig.set(0xe4, 0x000a_0908);
    rig.set(0xdc, 0x0150_0000);
    rig.set(0xe0, 0xffff_ffff);
    rig.set(0x18, 1 << 24);
    rig.set(0xd0, 0x0150_0004);
    rig.set(0xc8, 1 << 20);
    assert!(rig.message(0) && !rig.message(1) && !rig.message(2));
    assert_eq!(rig.get(0xd0), 0x0140_0004, "masked by itself");
    rig.set(0xc8, 1 << 20);
    assert!(!rig.message(0));
    rig.set(0xd0, 1 << 20);
    assert!(rig.message(0), "it has happened meanwhile");
    rig.set(0xc8, 4);
    assert!(rig.message(2));
    assert_eq!(rig.get(0xc0), 0x8000_0004, "the cause itself stays");
    rig.set(0xe4, 0x0008_080f);
    rig.set(0xd0, 1 << 20);
    rig.set(0xc8, 1 << 20);
    assert!((0..5).all(|v| !rig.message(v)), "there is no vector 7");
}

#[test]
fn messages_are_moderated() {
    let rig = Rig::new();
    rig.use_msix();
    rig.set(0xe4, 8);
    rig.set(0xdc, 1 << 20);
    rig.set(0xe8, 100);
    rig.set(0xd0, 1 << 20);
    rig.set(0xc8, 1 << 20);
    assert!(rig.message(0));
    rig.set(0xc8, 1 << 20);
    rig.set(0xc8, 1 << 20);
    rig.clock.advance(25_599);
    assert!(!rig.message(0), "units of 256 ns");
    rig.clock.advance(1);
    assert!(rig.message(0));
    rig.clock.advance(1_000_000);
    assert!(!rig.message(0), "one for both");
}

#[test]
fn its_clock_grows_as_it_is_told() {
    let rig = Rig::new();
    rig.clock.advance(1000);
    assert_eq!(rig.get(0xb600), 0);
    rig.set(0xb600, 0xffff_ff00);
    rig.set(0xb608, 2 << 24 | 0x100);
    rig.clock.advance(79);
    assert_eq!((rig.get(0xb600), rig.get(0xb604)), (0xffff_ff00, 0));
    rig.clock.advance(1);
    assert_eq!((rig.get(0xb600), rig.get(0xb604)), (0, 1));
}
