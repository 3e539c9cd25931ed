//! Buses below bridges: numbers, windows, requester IDs, interrupts and reset.

use super::*;

/// A root port in slot 3, and a probe in it.
struct Below {
    m: Machine,
    port: Position,
    bus: BusId,
    probe: Arc<Probe>,
}

const OPTIONS: RootPortOptions = RootPortOptions { slot: 7, port: 2, hotplug: true };
/// Where the root port is.
const PORT: Bdf = Bdf::new(0, 3, 0);
const BRIDGE_CONTROL: u16 = 0x3e;

fn root_port(m: &Machine, at: Position) -> BusId {
    let name = format!("root-port@{}", at.devfn);
    m.host.add_at(at, RootPort::new(&name, OPTIONS, &m.counters)).unwrap().unwrap()
}

fn below() -> Below {
    let m = machine();
    let port = Position::new(BusId::ROOT, 3, 0);
    let bus = root_port(&m, port);
    let probe = Probe::new(&m.counters);
    assert_eq!(m.host.add_at(Position::new(bus, 0, 0), probe.clone()), Ok(None));
    Below { m, port, bus, probe }
}

impl Below {
    fn read(&self, bdf: Bdf, at: u16, size: Size) -> u32 {
        self.m.host.config_read(bdf, at, size)
    }
    fn write(&self, bdf: Bdf, at: u16, size: Size, value: u32) {
        self.m.host.config_write(bdf, at, size, value);
    }
    /// Primary, secondary, subordinate bus number of a bridge.
    fn number(&self, bridge: Bdf, secondary: u8, subordinate: u8) {
        self.write(bridge, 0x18, Size::B4, u32::from(subordinate) << 16 | u32::from(secondary) << 8);
    }
    /// The memory window, by the values of Memory Base and Limit.
    fn window(&self, base: u32, limit: u32) {
        self.write(PORT, 0x20, Size::B4, limit << 16 | base);
    }
    fn at(&self, at: u64) -> u64 {
        self.m.bus.read(Pa(at), Size::B4, ME).unwrap()
    }
    /// The PCI Express capability of what is at `bdf`.
    fn express(&self, bdf: Bdf) -> u16 {
        let mut at = self.read(bdf, 0x34, Size::B1) as u16;
        while self.read(bdf, at, Size::B1) != 0x10 {
            at = self.read(bdf, at + 1, Size::B1) as u16;
        }
        at
    }
}

#[test]
fn a_root_port_says_that_it_is_one() {
    let b = below();
    assert_eq!(b.read(PORT, 0, Size::B4), 0x000c_1b36);
    assert_eq!((b.read(PORT, 8, Size::B4), b.read(PORT, 0x0e, Size::B1)), (0x0604_0000, 1));
    let at = b.express(PORT);
    // Version 2, root port, slot implemented; hot-plug with button, power controller, indicators; slot 7; port 2.
    assert_eq!(b.read(PORT, at + 2, Size::B2), 0x0142);
    assert_eq!(b.read(PORT, at + 0x14, Size::B4), 0x0038_005b);
    assert_eq!(b.read(PORT, at + 0x0c, Size::B4), 0x0250_0011);
    // Occupied; the link is active; power and its indicator are on, the attention indicator is off.
    assert_eq!((b.read(PORT, at + 0x1a, Size::B2), b.read(PORT, at + 0x12, Size::B2)), (0x40, 0x2011));
    assert_eq!(b.read(PORT, at + 0x18, Size::B2), 0x01c0);
    // What is below it is an endpoint with a link of its own, and what is beside it has none.
    b.number(PORT, 1, 1);
    let device = Bdf::new(1, 0, 0);
    let at = b.express(device);
    assert_eq!((b.read(device, at + 2, Size::B2), b.read(device, at + 0x12, Size::B2)), (0x02, 0x11));
    assert_eq!(b.m.cfg(b.m.capability(0x10) + 2, Size::B2), 0x92);
}

#[test]
fn bridge_registers_have_the_bits_of_pci_express() {
    let b = below();
    for at in (0x10..0x40).step_by(4) {
        b.write(PORT, at, Size::B4, 0xffff_ffff);
    }
    let words = [
        // Bus numbers, no secondary latency timer; I/O windows of 16 bits.
        (0x18, 0x00ff_ffff),
        (0x1c, 0x0000_f0f0),
        (0x20, 0xfff0_fff0),
        (0x24, 0xfff1_fff1),
        (0x28, 0xffff_ffff),
        (0x2c, 0xffff_ffff),
        (0x30, 0),
        (0x38, 0),
        // Parity, SERR#, ISA and reset; neither VGA nor discard timers nor fast back-to-back. INTA#.
        (0x3c, 0x0047_01ff),
    ];
    for (at, value) in words {
        assert_eq!(b.read(PORT, at, Size::B4), value, "{at:#x}");
    }
}

#[test]
fn configuration_requests_go_by_the_numbers_that_software_wrote() {
    let b = below();
    // Another port at the end of the link is a bridge on that bus, and has a bus of its own.
    let second = root_port(&b.m, Position::new(b.bus, 0, 1));
    b.m.host.add_at(Position::new(second, 0, 0), Probe::new(&b.m.counters)).unwrap();
    let id = |bus, device, function| b.read(Bdf::new(bus, device, function), 0, Size::B4);
    for bus in 1..=255 {
        assert_eq!(id(bus, 0, 0), 0xffff_ffff, "bus {bus} before there are numbers");
    }
    b.number(PORT, 5, 9);
    assert_eq!((id(5, 0, 0), id(5, 0, 1)), (0x5678_1234, 0x000c_1b36));
    assert_eq!([id(4, 0, 0), id(6, 0, 0), id(10, 0, 0)], [0xffff_ffff; 3]);
    // There is device 0 only at a link.
    assert_eq!(id(5, 1, 0), 0xffff_ffff);
    b.number(Bdf::new(5, 0, 1), 9, 9);
    assert_eq!(id(9, 0, 0), 0x5678_1234);
    // Not forwarded by the first one any more.
    b.number(PORT, 5, 8);
    assert_eq!((id(9, 0, 0), id(5, 0, 0)), (0xffff_ffff, 0x5678_1234));
    let bdfs: Vec<String> = b.m.host.functions().iter().map(|f| f.bdf.to_string()).collect();
    assert_eq!(bdfs, ["00:00.0", "00:02.0", "00:03.0", "05:00.0", "05:00.1", "09:00.0"]);
}

#[test]
fn with_ari_forwarding_all_eight_bits_are_the_function() {
    let b = below();
    b.m.host.add_at(Position::new(b.bus, 1, 2), Probe::new(&b.m.counters)).unwrap();
    b.number(PORT, 1, 1);
    let tenth = Bdf::new(1, 1, 2);
    assert_eq!(b.read(tenth, 0, Size::B4), 0xffff_ffff);
    b.write(PORT, b.express(PORT) + 0x28, Size::B2, 0x20);
    assert_eq!(b.read(tenth, 0, Size::B4), 0x5678_1234);
}

#[test]
fn addresses_get_through_the_windows_of_the_bridge() {
    let b = below();
    b.number(PORT, 1, 1);
    let device = Bdf::new(1, 0, 0);
    b.write(device, 0x10, Size::B4, 0x1010_0000);
    b.write(device, 0x14, Size::B4, 0x2040);
    b.write(device, 0x20, Size::B4, MEM64 as u32);
    b.write(device, 0x24, Size::B4, (MEM64 >> 32) as u32);
    b.write(device, 4, Size::B2, 7);
    b.probe.last.lock().2 = 0x77;
    // After reset the window is the first MiB, and closed.
    assert_eq!(b.at(MEM + 0x10_0000), 0xffff_ffff);
    b.window(0x1010, 0x1010);
    assert_eq!(b.at(MEM + 0x10_0000), 0xffff_ffff, "Memory Space Enable of the bridge is clear");
    b.write(PORT, 4, Size::B2, 2);
    assert_eq!(b.at(MEM + 0x10_0000), 0x77);
    b.window(0x1020, 0x10f0);
    assert_eq!(b.at(MEM + 0x10_0000), 0xffff_ffff);
    // Base above limit: there is no window.
    b.window(0x1020, 0x1000);
    assert_eq!(b.at(MEM + 0x10_0000), 0xffff_ffff);
    // The prefetchable window, 64 bits; and what has a 32-bit BAR may be in it.
    let high = b.m.bus.read(Pa(MEM64 + 0x1000), Size::B4, ME);
    assert_eq!(high, Ok(0xffff_ffff));
    b.write(PORT, 0x24, Size::B4, 0);
    b.write(PORT, 0x28, Size::B4, 0x80);
    b.write(PORT, 0x2c, Size::B4, 0x80);
    assert_eq!(b.at(MEM64 + 0x1000), 0x77);
    // I/O, with its own enable, in units of 4 KiB.
    assert_eq!(b.m.bus.read(Pa(PIO + 0x2040), Size::B1, ME), Ok(0xff));
    b.write(PORT, 0x1c, Size::B2, 0x2020);
    b.write(PORT, 4, Size::B2, 3);
    assert_eq!(b.m.bus.read(Pa(PIO + 0x2040), Size::B1, ME), Ok(0x77));
    // With ISA Enable the last 768 of each 1024 ports are those of ISA cards.
    b.write(device, 0x14, Size::B4, 0x2140);
    b.write(PORT, BRIDGE_CONTROL, Size::B2, 4);
    assert_eq!(b.m.bus.read(Pa(PIO + 0x2140), Size::B1, ME), Ok(0xff));
    b.write(device, 0x14, Size::B4, 0x2440);
    assert_eq!(b.m.bus.read(Pa(PIO + 0x2440), Size::B1, ME), Ok(0x77));
}

#[test]
fn a_window_that_covers_a_part_of_a_bar_forwards_that_part() {
    let b = below();
    let window = |base, limit| Span::new(base, limit).unwrap();
    b.write(PORT, 4, Size::B2, 2);
    b.window(0x1020, 0x1030);
    b.write(PORT, 0x24, Size::B4, 0x1010_1010);
    let forwarding = b.m.host.function(PORT).unwrap().bridge().unwrap().forwarding();
    assert_eq!(forwarding.memory, [window(0x1010_0000, 0x101f_ffff), window(0x1020_0000, 0x103f_ffff)]);
    b.write(PORT, 0x24, Size::B4, 0x1020_1010);
    let forwarding = b.m.host.function(PORT).unwrap().bridge().unwrap().forwarding();
    assert_eq!(forwarding.memory, [window(0x1010_0000, 0x103f_ffff)]);
    assert_eq!(Span::ALL.common(window(3, 4)), Some(window(3, 4)));
    assert_eq!((window(1, 2).common(window(3, 4)), Span::new(2, 1)), (None, None));
}

#[test]
fn the_requester_id_is_of_the_bus_that_configuration_writes_come_on() {
    let b = below();
    let stream = || b.probe.core.port().stream_id();
    b.number(PORT, 5, 5);
    b.read(Bdf::new(5, 0, 0), 0, Size::B4);
    assert_eq!(stream(), 0, "nothing was written");
    b.write(Bdf::new(5, 0, 0), 4, Size::B2, 4);
    assert_eq!((stream(), b.probe.core.physical_port().stream_id()), (0x500, 0x500));
    b.number(PORT, 6, 6);
    assert_eq!(stream(), 0x500);
    b.write(Bdf::new(6, 0, 0), 0x0c, Size::B1, 0);
    assert_eq!(stream(), 0x600);
}

#[test]
fn requests_need_bus_mastering_of_all_bridges_on_their_way() {
    let b = below();
    let (m, core) = (&b.m, &b.probe.core);
    b.number(PORT, 1, 1);
    b.window(0x1000, 0x1000);
    let device = Bdf::new(1, 0, 0);
    b.write(device, 0x20, Size::B4, 0x1000_8000);
    b.write(device, 4, Size::B2, 6);
    b.write(PORT, 4, Size::B2, 2);
    let read = || core.port().read(DmaAttrs::default(), RAM, &mut [0; 4]);
    assert_eq!((read(), core.port().is_open()), (Err(DmaFault::Abort), true));
    // A message is a request, too: it is an unsupported one at the root port, and lost.
    let mut msix = b.read(device, 0x34, Size::B1) as u16;
    while b.read(device, msix, Size::B1) != 0x11 {
        msix = b.read(device, msix + 1, Size::B1) as u16;
    }
    b.write(device, msix + 2, Size::B2, 0x8000);
    m.bus.write(Pa(MEM + 0x8000), Size::B8, RAM + 0x100, ME).unwrap();
    m.bus.write(Pa(MEM + 0x8008), Size::B8, 0xcafe, ME).unwrap();
    core.raise_msix(0);
    b.write(PORT, 4, Size::B2, 6);
    assert_eq!((read(), b.at(RAM + 0x100)), (Ok(()), 0));
    core.raise_msix(0);
    assert_eq!(b.at(RAM + 0x100), 0xcafe);
}

#[test]
fn pins_are_turned_at_each_bridge() {
    let b = below();
    // INTA# of device 0 below device 3 is INTA# at the port, which is the fourth line.
    b.probe.core.set_intx(true);
    assert!(b.m.wires.level(6));
    // Interrupt Disable of a bridge is about its own interrupts only (7.5.1.1.3).
    b.write(PORT, 4, Size::B2, 0x400);
    assert!(b.m.wires.level(6));
    // Device 5 on such a bus: INTB# there, and one further than INTA# of the port.
    let other = Probe::new(&b.m.counters);
    b.m.host.add_at(Position::new(b.bus, 5, 0), other.clone()).unwrap();
    other.core.set_intx(true);
    assert!(b.m.wires.level(3));
}

#[test]
fn what_is_below_is_held_in_reset_by_bridge_control() {
    let b = below();
    b.number(PORT, 5, 5);
    let device = Bdf::new(5, 0, 0);
    b.write(device, 4, Size::B2, 4);
    b.probe.core.set_intx(true);
    let at = b.express(PORT);
    let (link, slot) = (at + 0x12, at + 0x1a);
    b.write(PORT, BRIDGE_CONTROL, Size::B2, 0x40);
    assert!(!b.m.wires.level(6));
    assert_eq!(b.read(device, 0, Size::B4), 0xffff_ffff);
    // The data link layer is not active, and has changed.
    assert_eq!((b.read(PORT, link, Size::B2), b.read(PORT, slot, Size::B2)), (0x11, 0x140));
    b.write(PORT, slot, Size::B2, 0x100);
    b.write(PORT, BRIDGE_CONTROL, Size::B2, 0);
    assert_eq!((b.read(PORT, link, Size::B2), b.read(PORT, slot, Size::B2)), (0x2011, 0x140));
    assert_eq!((b.read(device, 4, Size::B2), b.probe.core.requester()), (0, Bdf(0)));
    // The port itself has kept its registers.
    assert_eq!(b.read(PORT, 0x19, Size::B1), 5);
    // The same by disabling the link.
    b.write(device, 4, Size::B2, 4);
    b.write(PORT, at + 0x10, Size::B2, 0x10);
    assert_eq!(b.read(device, 0, Size::B4), 0xffff_ffff);
    b.write(PORT, at + 0x10, Size::B2, 0);
    assert_eq!(b.read(device, 4, Size::B2), 0);
}

#[test]
fn places_and_what_is_saved_of_them() {
    let b = below();
    let again = b.m.host.add_at(Position::new(b.bus, 0, 0), Probe::new(&b.m.counters));
    assert_eq!(again, Err(PciError::SlotTaken(0)));
    let nowhere = b.m.host.add_at(Position::new(BusId(9), 0, 0), Probe::new(&b.m.counters));
    assert_eq!(nowhere, Err(PciError::NoSuchBus(9)));
    let ports: Vec<_> = b.m.host.functions().into_iter().filter(|f| f.below.is_some()).collect();
    assert_eq!(ports.iter().map(|f| (f.position, f.below)).collect::<Vec<_>>(), [(b.port, Some(b.bus))]);
    let fresh = b.m.host.save();
    b.number(PORT, 5, 5);
    b.write(Bdf::new(5, 0, 0), 4, Size::B2, 4);
    let saved = b.m.host.save();
    b.m.host.reset();
    assert!(b.m.host.save() == fresh && fresh != saved);
    b.m.host.restore(saved.clone()).unwrap();
    assert!(b.m.host.save() == saved);
    assert_eq!(b.probe.core.port().stream_id(), 0x500);
    assert_eq!(b.read(Bdf::new(5, 0, 0), 4, Size::B2), 4);
}
