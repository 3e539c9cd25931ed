//! Tests with an IOMMU that stalls what it is told to, and passes on the rest.

use emu_core::addr::Pa;
use emu_core::bus::{Backing, Bus, Requester};
use emu_core::dma::{DirectPorts, Ports};
use emu_core::irq::{IrqLine, Unconnected};
use emu_core::ram::GuestRam;

use super::*;
use crate::pci::{Bdf, PciHost};
use crate::stalling_port::{OnlyPort, StallingPort};

const RAM: u64 = 0x4000_0000;
const AT: Bdf = Bdf::new(0, 1, 0);

struct Rig {
    device: Arc<IommuTestDevice>,
    port: Arc<StallingPort>,
    bus: Arc<Bus>,
    host: Arc<PciHost>,
}

impl Rig {
    fn new() -> Self {
        let bus = Arc::new(Bus::new());
        bus.map(Pa(RAM), 0x10000, Backing::Ram(GuestRam::new(0x10000).unwrap(), 0)).unwrap();
        let counters = Arc::new(Counters::default());
        let port = StallingPort::new(bus.clone());
        let through: Arc<dyn Ports> = Arc::new(OnlyPort(port.clone()));
        let around: Arc<dyn Ports> = Arc::new(DirectPorts(bus.clone()));
        let line = IrqLine::new(Arc::new(Unconnected), 0);
        let lines = [line.clone(), line.clone(), line.clone(), line];
        let host = PciHost::behind(lines, through, Some(around), &counters);
        let device = IommuTestDevice::new("iommu-testdev", &counters);
        host.add(Some(1), device.clone()).unwrap();
        host.config_write(AT, 4, Size::B2, 6);
        Self { device, port, bus, host }
    }

    fn get(&self, at: u64) -> u64 {
        self.device.bar_read(0, at, Size::B4)
    }
    fn set(&self, at: u64, value: u64) {
        self.device.bar_write(0, at, Size::B4, value);
    }

    /// Describes a transfer.
    fn describe(&self, to: u64, from: u64, length: u64, attributes: u64) {
        let registers =
            [(4, to), (8, to >> 32), (0x1c, from), (0x20, from >> 32), (0xc, length), (0x18, attributes)];
        registers.into_iter().for_each(|(at, value)| self.set(at, value & 0xffff_ffff));
    }

    /// Arms the function and reads the register that begins a transfer; gives the result.
    fn go(&self) -> u64 {
        self.set(0x14, 1);
        assert_eq!((self.get(0x10), self.get(0x14)), (0xffff_fffe, 1));
        assert_eq!(self.get(0), 0);
        self.get(0x10)
    }
}

#[test]
fn the_pattern_is_written_and_read_back() {
    let rig = Rig::new();
    assert_eq!(rig.get(0x10), 0xffff_ffff, "idle");
    rig.describe(RAM, RAM, 6, 0);
    assert_eq!((rig.go(), rig.get(0x14)), (0, 0));
    assert_eq!(rig.bus.read(Pa(RAM), Size::B8, Requester::Cpu(0)), Ok(0x5678_1234_5678));
    rig.describe(RAM, RAM + 0x100, 4, 0b1010);
    assert_eq!(rig.go(), 0xdead_0004, "it is somewhere else");
}

#[test]
fn what_is_wrong_is_said() {
    let rig = Rig::new();
    rig.describe(RAM, RAM, 4, 0);
    rig.get(0);
    assert_eq!(rig.get(0x10), 0xdead_0005, "not armed");
    rig.set(0x14, 1);
    rig.set(0x14, 0);
    assert_eq!(rig.get(0x10), 0xffff_ffff, "disarmed");
    for (to, from, length, attributes, result) in [
        (RAM, RAM, 0, 0, 0xdead_0001),
        (RAM, RAM, 0x10_0001, 0, 0xdead_0001),
        (RAM - 8, RAM, 4, 0, 0xdead_0002),
        (RAM, RAM - 8, 4, 0, 0xdead_0003),
        (RAM, RAM, 4, 0b1000, 0xdead_0006),
        (RAM, RAM, 4, 0b1011, 0xdead_0006),
        // Nothing of the machine is in the Secure physical address space.
        (RAM, RAM, 4, 0b1001, 0xdead_0002),
    ] {
        rig.describe(to, from, length, attributes);
        assert_eq!(rig.go(), result, "{to:#x} {from:#x} {length} {attributes:#b}");
    }
}

#[test]
fn a_transfer_that_stalled_goes_on_or_is_given_up() {
    let rig = Rig::new();
    rig.describe(RAM, RAM, 4, 0);
    let stalled = || {
        rig.port.arm(RAM);
        assert_eq!(rig.go(), 0xffff_fffe);
        rig.port.stalled.lock().pop().unwrap()
    };
    let tag = stalled();
    rig.get(0);
    assert_eq!(rig.get(0x10), 0xffff_fffe, "it is under way");
    rig.port.answer_to(tag, true);
    assert_eq!(rig.get(0x10), 0);
    rig.port.answer_to(stalled(), false);
    assert_eq!(rig.get(0x10), 0xdead_0002);
    let tag = stalled();
    rig.set(0x14, 0);
    rig.port.answer_to(tag, true);
    assert_eq!(rig.get(0x10), 0xffff_ffff);
    // One that is saved begins again.
    let _ = stalled();
    let saved = rig.device.save();
    rig.host.reset();
    assert_eq!(rig.get(0x10), 0xffff_ffff);
    rig.device.restore(saved).unwrap();
    Component::resume(&*rig.device);
    assert_eq!(rig.get(0x10), 0);
}
