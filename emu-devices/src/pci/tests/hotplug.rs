//! Hot-plug of a root port's slot, as a driver sees it (PCIe 6.0, 6.7.3 and 7.5.3.10).

use super::*;

const PORT: Bdf = Bdf::new(0, 3, 0);
const DEVICE: Bdf = Bdf::new(1, 0, 0);
/// Slot Status: attention button pressed, presence detect changed, command completed, presence detect state, link changed.
const ABP: u32 = 1 << 0;
const PDC: u32 = 1 << 3;
const CC: u32 = 1 << 4;
const PDS: u32 = 1 << 6;
const DLLSC: u32 = 1 << 8;

struct Slot {
    m: Machine,
    bus: BusId,
    express: u16,
    taken: Arc<Mutex<Vec<Bdf>>>,
}

fn slot(hotplug: bool) -> Slot {
    let m = machine();
    let options = RootPortOptions { slot: 1, port: 0, hotplug };
    let port = RootPort::new("root-port", options, &m.counters);
    let bus = m.host.add_at(Position::new(BusId::ROOT, 3, 0), port).unwrap().unwrap();
    let taken: Arc<Mutex<Vec<Bdf>>> = Arc::default();
    let told = taken.clone();
    m.host.give_released_to(Box::new(move |gone| told.lock().extend(gone.iter().map(|p| p.bdf))));
    let read = |at| m.host.config_read(PORT, at, Size::B1) as u16;
    let mut express = read(0x34);
    while read(express) != 0x10 {
        express = read(express + 1);
    }
    m.host.config_write(PORT, 0x18, Size::B4, 0x0001_0100);
    Slot { m, bus, express, taken }
}

impl Slot {
    fn plug(&self) -> Result<Arc<Probe>, PciError> {
        let probe = Probe::new(&self.m.counters);
        self.m.host.plug(Position::new(self.bus, 0, 0), probe.clone()).map(|()| probe)
    }
    fn status(&self) -> u32 {
        self.m.host.config_read(PORT, self.express + 0x1a, Size::B2)
    }
    fn clear(&self, bits: u32) {
        self.m.host.config_write(PORT, self.express + 0x1a, Size::B2, bits);
    }
    fn control(&self, value: u32) {
        self.m.host.config_write(PORT, self.express + 0x18, Size::B2, value);
    }
    fn id(&self) -> u32 {
        self.m.host.config_read(DEVICE, 0, Size::B4)
    }
    fn link(&self) -> bool {
        self.m.host.config_read(PORT, self.express + 0x12, Size::B2) & 1 << 13 != 0
    }
}

/// Power on, its indicator on, attention indicator off, all notifications.
const ON: u32 = 0x11f9;
/// The same with power and its indicator off.
const OFF: u32 = 0x17f9;

#[test]
fn a_device_comes_and_goes() {
    let s = slot(true);
    assert_eq!((s.status(), s.link()), (0, false));
    s.plug().unwrap();
    // The slot has no power yet.
    assert_eq!((s.status(), s.link(), s.id()), (ABP | PDC | PDS, false, 0xffff_ffff));
    s.clear(ABP | PDC);
    assert_eq!(s.status(), PDS);
    s.control(ON);
    assert_eq!((s.status(), s.link(), s.id()), (PDS | CC | DLLSC, true, 0x5678_1234));
    s.clear(CC | DLLSC);
    // It is in use: software is asked, and nothing is taken.
    s.m.host.ask_to_release(s.bus).unwrap();
    assert_eq!((s.status(), s.m.host.is_asked(s.bus), s.id()), (ABP | PDS, true, 0x5678_1234));
    s.clear(ABP);
    // The power indicator blinks for five seconds; then the power is turned off.
    s.control(OFF & !0x400 & !0x300 | 0x200);
    assert!(s.taken.lock().is_empty());
    s.control(OFF);
    assert_eq!((s.status(), s.link(), s.id()), (CC | PDC | DLLSC, false, 0xffff_ffff));
    assert_eq!(*s.taken.lock(), [DEVICE]);
    assert!(!s.m.host.is_asked(s.bus) && s.m.host.functions().iter().all(|f| f.position.bus == BusId::ROOT));
    // Another one.
    s.clear(CC | PDC | DLLSC);
    s.plug().unwrap();
    s.control(ON);
    assert_eq!(s.id(), 0x5678_1234);
    // What nobody asked for stays in its slot while the power is off, and is reset by that.
    s.m.host.config_write(DEVICE, 4, Size::B2, 4);
    s.control(OFF);
    s.control(ON);
    assert_eq!(
        (s.id(), s.m.host.config_read(DEVICE, 4, Size::B2), s.taken.lock().len()),
        (0x5678_1234, 0, 1)
    );
    // Without power it is taken at once.
    s.control(OFF);
    s.m.host.ask_to_release(s.bus).unwrap();
    assert_eq!((s.status() & PDS, s.taken.lock().len()), (0, 2));
}

#[test]
fn interrupts_are_told_as_software_wants_it() {
    let s = slot(true);
    let wire = || s.m.wires.level(6);
    // Hot-plug interrupts are enabled, and no event is.
    s.control(0x07e0);
    s.clear(CC);
    s.plug().unwrap();
    assert!(!wire());
    s.control(0x07e8);
    assert!(wire(), "presence changed");
    s.clear(PDC);
    assert!(!wire());
    s.control(0x07f0);
    assert!(wire(), "command completed");
    s.control(0x07d0);
    assert!(!wire(), "hot-plug interrupts are not enabled");
    s.clear(CC | ABP);
    // By MSI-X: one message each time the condition becomes true, and no pin.
    let read = |at| s.m.host.config_read(PORT, at, Size::B1) as u16;
    let mut msix = read(0x34);
    while read(msix) != 0x11 {
        msix = read(msix + 1);
    }
    s.m.host.config_write(PORT, 0x10, Size::B4, 0x1000_0000);
    s.m.host.config_write(PORT, 4, Size::B2, 6);
    s.m.host.config_write(PORT, msix + 2, Size::B2, 0x8000);
    s.m.bus.write(Pa(MEM), Size::B8, RAM + 0x200, ME).unwrap();
    s.m.bus.write(Pa(MEM + 8), Size::B8, 0xbeef, ME).unwrap();
    let sent = || {
        let was = s.m.bus.read(Pa(RAM + 0x200), Size::B4, ME).unwrap();
        s.m.bus.write(Pa(RAM + 0x200), Size::B4, 0, ME).unwrap();
        was
    };
    s.control(0x07f0);
    assert_eq!((sent(), wire()), (0xbeef, false));
    s.control(0x07f0);
    assert_eq!(sent(), 0, "it is true already");
    s.clear(CC);
    s.control(0x07f0);
    assert_eq!(sent(), 0xbeef);
}

#[test]
fn what_cannot_be_exchanged_says_so() {
    let s = slot(false);
    assert_eq!(s.plug().err(), Some(PciError::NotHotPluggable));
    assert_eq!(s.m.host.ask_to_release(s.bus), Err(PciError::NotHotPluggable));
    assert_eq!(s.m.host.ask_to_release(BusId::ROOT), Err(PciError::NotHotPluggable));
    let root = s.m.host.plug(Position::new(BusId::ROOT, 9, 0), Probe::new(&s.m.counters));
    assert_eq!(root, Err(PciError::NotHotPluggable));
    // No hot-plug in Slot Capabilities, and nothing to be controlled.
    assert_eq!(s.m.host.config_read(PORT, s.express + 0x14, Size::B4), 1 << 19);
    s.control(0xffff);
    assert_eq!(s.m.host.config_read(PORT, s.express + 0x18, Size::B4), 0);
}

#[test]
fn a_reset_ends_what_software_was_asked_for() {
    let s = slot(true);
    s.plug().unwrap();
    s.control(ON);
    s.m.host.ask_to_release(s.bus).unwrap();
    s.m.host.reset();
    assert_eq!((s.taken.lock().len(), s.status() & PDS), (1, 0));
    // What is in a slot at reset has power.
    s.plug().unwrap();
    s.m.host.reset();
    s.m.host.config_write(PORT, 0x18, Size::B4, 0x0001_0100);
    assert_eq!((s.link(), s.id()), (true, 0x5678_1234));
}
