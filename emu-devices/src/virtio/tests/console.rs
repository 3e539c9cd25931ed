//! Consoles with several ports (virtio 1.2, 5.3.6).

use super::driver::*;
use super::*;
use crate::virtio::{Console, ConsoleBackend, Placement, PortOptions, VirtioDevice, VirtioOptions};

#[derive(Default)]
struct Paper {
    text: Mutex<Vec<u8>>,
    full: Mutex<bool>,
}
impl ConsoleBackend for Paper {
    fn write(&self, bytes: &[u8]) {
        self.text.lock().extend(bytes);
    }
    fn ready(&self) -> bool {
        !*self.full.lock()
    }
}

const MULTIPORT: u64 = 1 << 1;
const CONTROL_IN: usize = 2;
const CONTROL_OUT: usize = 3;
/// Receive and transmit queues of port 2.
const RX2: usize = 6;
const TX2: usize = 7;

/// Port 0 is a console, port 2 is called "agent" and has nobody at its end.
fn console() -> (Arc<Console>, [Arc<Paper>; 2]) {
    let papers = [Arc::new(Paper::default()), Arc::new(Paper::default())];
    let port = |number, console, name: &str, host_open, backend: &Arc<Paper>| PortOptions {
        number,
        console,
        name: name.to_owned(),
        host_open,
        backend: backend.clone(),
    };
    let ports = vec![port(0, true, "", true, &papers[0]), port(2, false, "agent", false, &papers[1])];
    (Console::with_ports(3, ports), papers)
}

fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat()
}

fn say(rig: &Rig, rings: &mut [Ring], bytes: &[u8]) {
    rig.set_bytes(DATA, bytes);
    rig.request(&mut rings[CONTROL_OUT], &[(DATA, bytes.len() as u32, false)]);
}

fn hear(rig: &Rig, rings: &mut [Ring]) -> Vec<u8> {
    let n = rig.request(&mut rings[CONTROL_IN], &[(BUFFER, 64, true)]);
    rig.bytes(BUFFER, n as usize)
}

#[test]
fn ports_are_announced_named_and_opened() {
    for transport in ALL {
        let (console, papers) = console();
        let rig = Rig::new(transport, console.clone(), VirtioOptions::default());
        rig.enumerate();
        assert_eq!(rig.features() & 7, MULTIPORT | 4);
        let rings = &mut rig.initialise(8, u64::MAX);
        assert_eq!(rig.config(4, Size::B4), 3);
        say(&rig, rings, &message(0, 0, 1));
        assert_eq!([hear(&rig, rings), hear(&rig, rings)], [message(0, 1, 1), message(2, 1, 1)]);
        say(&rig, rings, &message(0, 3, 1));
        assert_eq!([hear(&rig, rings), hear(&rig, rings)], [message(0, 4, 1), message(0, 6, 1)]);
        say(&rig, rings, &message(2, 3, 1));
        assert_eq!(hear(&rig, rings), [&message(2, 7, 1)[..], b"agent"].concat(), "{transport:?}");
        console.set_host_open(2, true);
        assert_eq!(hear(&rig, rings), message(2, 6, 1));
        console.set_host_open(2, true);
        console.set_host_open(2, false);
        assert_eq!(hear(&rig, rings), message(2, 6, 0), "said once");
        // Input waits until the guest has opened the port.
        console.input(2, b"hello");
        rig.chain(Rig::rings(RX2 as u16)[0], 0, &[(BUFFER, 64, true)]);
        rig.publish(&mut rings[RX2], 0);
        rig.notify(RX2 as u16);
        say(&rig, rings, &message(1, 6, 1));
        assert_eq!(rig.used_index(&rings[RX2]), 0);
        say(&rig, rings, &message(2, 6, 1));
        assert_eq!(rig.wait_used(&mut rings[RX2]), (0, 5));
        assert_eq!(rig.bytes(BUFFER, 5), b"hello");
        // Each port has its own other end.
        rig.set_bytes(DATA, b"to port 2");
        rig.request(&mut rings[TX2], &[(DATA, 9, false)]);
        rig.set_bytes(DATA, b"to port 0");
        rig.request(&mut rings[1], &[(DATA, 9, false)]);
        assert_eq!(
            (&**papers[0].text.lock(), &**papers[1].text.lock()),
            (&b"to port 0"[..], &b"to port 2"[..])
        );
    }
}

#[test]
fn a_driver_without_multiport_has_port_0() {
    let (console, papers) = console();
    let rig = Rig::new(Transport::LegacyMmio, console.clone(), VirtioOptions::default());
    let rings = &mut rig.initialise(2, !MULTIPORT);
    console.input(0, b"in");
    assert_eq!(rig.request(&mut rings[0], &[(BUFFER, 64, true)]), 2);
    rig.set_bytes(DATA, b"out");
    rig.request(&mut rings[1], &[(DATA, 3, false)]);
    assert_eq!(*papers[0].text.lock(), b"out");
}

#[test]
fn a_port_whose_other_end_is_full_holds_up_nobody_else() {
    let (console, papers) = console();
    let rig = Rig::new(Transport::Mmio, console.clone(), VirtioOptions::default());
    let rings = &mut rig.initialise(8, u64::MAX);
    *papers[1].full.lock() = true;
    rig.set_bytes(DATA, b"later");
    rig.chain(Rig::rings(TX2 as u16)[0], 0, &[(DATA, 5, false)]);
    rig.publish(&mut rings[TX2], 0);
    rig.notify(TX2 as u16);
    rig.request(&mut rings[1], &[(DATA, 5, false)]);
    assert_eq!((rig.used_index(&rings[TX2]), papers[1].text.lock().len()), (0, 0));
    *papers[1].full.lock() = false;
    console.output_ready(2);
    rig.wait_used(&mut rings[TX2]);
    assert_eq!(*papers[1].text.lock(), b"later");
}

#[test]
fn a_driver_that_asks_and_does_not_listen_costs_little() {
    let (console, _) = console();
    let rig = Rig::new(Transport::Mmio, console.clone(), VirtioOptions::default());
    let rings = &mut rig.initialise(8, u64::MAX);
    say(&rig, rings, b"short");
    say(&rig, rings, &message(0, 77, 1));
    say(&rig, rings, &message(9, 3, 1));
    for _ in 0..1000 {
        say(&rig, rings, &message(0, 0, 1));
    }
    let state: serde_json::Value = serde_json::from_str(&console.save("console").state).unwrap();
    assert_eq!(state["state"]["control"].as_array().map(Vec::len), Some(256));
    assert_eq!(hear(&rig, rings), message(0, 1, 1));
    // A reset forgets what was on its way.
    let rings = &mut rig.initialise(8, u64::MAX);
    say(&rig, rings, &message(2, 3, 1));
    assert_eq!(hear(&rig, rings)[..8], message(2, 7, 1));
}

#[test]
fn ports_that_are_not_there() {
    let (console, _) = console();
    let rig = Rig::new(Transport::Mmio, console.clone(), VirtioOptions::default());
    let rings = &mut rig.initialise(8, u64::MAX);
    // Port 1 swallows output and never has input.
    rig.request(&mut rings[5], &[(DATA, 5, false)]);
    assert_eq!((console.input(1, b"x"), console.ready(4)), (0, false));
    let other = Rig::new(Transport::Mmio, Console::with_ports(3, Vec::new()), VirtioOptions::default());
    let refused = other.component.restore(rig.component.save()).unwrap_err();
    assert_eq!(refused.to_string(), "the state of virtio-mmio, device does not fit: it has other ports");
}

/// A program that asks for the end of the machine by a port, and then turns the machine off, means the former.
#[test]
fn what_never_waits_is_done_before_the_guest_goes_on() {
    struct Obeyed;
    impl ConsoleBackend for Obeyed {
        fn write(&self, _: &[u8]) {}
        fn may_wait(&self) -> bool {
            false
        }
    }
    let port = |number, backend| PortOptions {
        number,
        console: true,
        name: String::new(),
        host_open: true,
        backend,
    };
    let alone = Console::with_ports(1, vec![port(0, Arc::new(Obeyed) as Arc<dyn ConsoleBackend>)]);
    assert_eq!(alone.placement(), Placement::Inline);
    let both =
        vec![port(0, Arc::new(Obeyed) as Arc<dyn ConsoleBackend>), port(1, Arc::new(Paper::default()))];
    assert_eq!(Console::with_ports(2, both).placement(), Placement::Worker);
}
