//! The network device, with another one's end of the cable in the tests' hands.

use std::sync::Weak;

use emu_core::metrics::{Counters, Metric};

use super::driver::*;
use super::*;
use crate::net::{MacAddress, NetBackend, NetClient, Receipt, pair};
use crate::virtio::{Net, VirtioDevice, VirtioOptions};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// The other end of the cable: keeps what comes.
#[derive(Default)]
struct Peer(Mutex<Vec<Vec<u8>>>);

impl NetClient for Peer {
    fn receive(&self, frame: &[u8]) -> Receipt {
        self.0.lock().push(frame.to_vec());
        Receipt::Taken
    }
}

struct Cabled {
    rig: Rig,
    far: Arc<dyn NetBackend>,
    peer: Arc<Peer>,
    counters: Arc<Counters>,
    net: Arc<Net>,
    rings: Vec<Ring>,
}

impl Cabled {
    fn new(transport: Transport, mask: u64) -> Self {
        let (near, far) = pair();
        let (peer, counters) = (Arc::<Peer>::default(), Arc::<Counters>::default());
        far.connect(Arc::downgrade(&peer) as Weak<dyn NetClient>);
        far.start().unwrap();
        let net = Net::new(MacAddress(MAC), Some(1400), Some(near), &counters);
        let rig = Rig::new(transport, net.clone(), VirtioOptions::default());
        net.start().unwrap();
        let rings = rig.initialise(3, mask);
        Self { rig, far, peer, counters, net, rings }
    }

    /// Bytes of the header in front of each frame.
    fn header(&self, transport: Transport) -> u32 {
        match transport {
            Transport::LegacyMmio | Transport::LegacyPci { .. } => 10,
            Transport::Mmio | Transport::Pci { .. } => 12,
        }
    }

    /// Makes a buffer for a frame known to the device.
    fn offer(&mut self, index: u16, at: u64, length: u32) {
        let ring = &mut self.rings[0];
        self.rig.chain(Rig::rings(ring.queue)[0], index, &[(at, length, true)]);
        self.rig.publish(ring, index);
        self.rig.notify(0);
    }

    fn command(&mut self, command: &[u8]) -> u64 {
        self.rig.set_bytes(HEADER, command);
        self.rig.put(STATUS, Size::B1, 0xff);
        self.rig.request(&mut self.rings[2], &[(HEADER, command.len() as u32, false), (STATUS, 1, true)]);
        self.rig.get(STATUS, Size::B1)
    }
}

fn frame(to: [u8; 6], fill: u8) -> Vec<u8> {
    [&to[..], &MAC, &[8, 0], &[fill; 86]].concat()
}

#[test]
fn frames_go_both_ways_on_every_transport() {
    for transport in ALL {
        let mut c = Cabled::new(transport, u64::MAX);
        let header = c.header(transport);
        assert_eq!(c.rig.config(0, Size::B4) as u32, u32::from_le_bytes([0x52, 0x54, 0, 0x12]));
        assert_eq!((c.rig.config(6, Size::B2), c.rig.config(10, Size::B2)), (1, 1400), "{transport:?}");
        // Out: the header may be a buffer of its own.
        let sent = frame([0xff; 6], 1);
        c.rig.set_bytes(HEADER, &[0; 12]);
        c.rig.set_bytes(BUFFER, &sent);
        c.rig.request(&mut c.rings[1], &[(HEADER, header, false), (BUFFER, 100, false)]);
        assert_eq!(*c.peer.0.lock(), std::slice::from_ref(&sent), "{transport:?}");
        // In: one that comes before there is a buffer, and one after.
        c.far.send(&frame(MAC, 2));
        c.offer(0, BUFFER, 1600);
        assert_eq!(c.rig.wait_used(&mut c.rings[0]), (0, header + 100));
        let came = c.rig.bytes(BUFFER, header as usize + 100);
        assert_eq!(came[header as usize..], frame(MAC, 2));
        assert_eq!(came.get(10).filter(|_| header == 12).copied().unwrap_or(1), 1, "buffers");
        c.offer(1, BUFFER, 1600);
        c.far.send(&frame(MAC, 3));
        assert_eq!(c.rig.wait_used(&mut c.rings[0]), (1, header + 100));
        assert!(c.rig.interrupted(Some(0)));
    }
}

#[test]
fn frames_wait_in_order_for_buffers() {
    let mut c = Cabled::new(Transport::Mmio, u64::MAX);
    // More than the device keeps: the rest waits in the back end.
    for n in 0..100 {
        c.far.send(&frame(MAC, n));
    }
    for n in 0..100_u8 {
        c.offer(0, BUFFER, 1600);
        c.rig.wait_used(&mut c.rings[0]);
        assert_eq!(c.rig.get(BUFFER + 12 + 20, Size::B1), u64::from(n));
    }
}

#[test]
fn what_does_not_fit_or_is_no_frame_is_lost_and_counted() {
    let mut c = Cabled::new(Transport::Mmio, u64::MAX);
    c.offer(0, BUFFER, 80);
    c.far.send(&frame(MAC, 1));
    c.far.send(&frame(MAC, 2)[..60]);
    assert_eq!(c.rig.wait_used(&mut c.rings[0]), (0, 72));
    c.rig.request(&mut c.rings[1], &[(BUFFER, 12, false)]);
    c.rig.request(&mut c.rings[1], &[(BUFFER, 12 + 70_000, false)]);
    assert!(c.peer.0.lock().is_empty());
    assert_eq!(c.counters.get(Metric::Anomalies), 3);
}

#[test]
fn the_driver_chooses_what_it_receives() {
    let mut c = Cabled::new(Transport::Pci { msix: true }, u64::MAX);
    let other = [2, 0, 0, 0, 0, 9];
    assert_eq!(c.command(&[0, 0, 0]), 0, "not promiscuous");
    c.far.send(&frame(other, 1));
    assert_eq!(c.command(&[1, 1, 2, 0, 0, 0, 0, 9]), 0, "another address");
    c.far.send(&frame(MAC, 2));
    c.far.send(&frame(other, 3));
    c.offer(0, BUFFER, 1600);
    c.rig.wait_used(&mut c.rings[0]);
    assert_eq!(c.rig.get(BUFFER + 12 + 20, Size::B1), 3);
    assert_eq!(c.rig.config(0, Size::B1), 2);
    assert_eq!(c.command(&[7, 0]), 1, "there is no such command");
}

#[test]
fn a_reset_forgets_what_came_and_what_was_said() {
    let mut c = Cabled::new(Transport::Mmio, u64::MAX);
    c.command(&[1, 1, 2, 0, 0, 0, 0, 9]);
    c.offer(0, BUFFER, 1600);
    c.rig.set_status(0);
    for n in 0..100 {
        c.far.send(&frame(MAC, n));
    }
    assert_eq!(c.rig.config(0, Size::B1), 0x52);
    c.rings = c.rig.initialise(3, u64::MAX);
    c.far.send(&frame(MAC, 200));
    c.offer(0, BUFFER, 1600);
    c.rig.wait_used(&mut c.rings[0]);
    assert_eq!(c.rig.get(BUFFER + 12 + 20, Size::B1), 200);
}

#[test]
fn a_cable_that_is_pulled_is_told() {
    let mut c = Cabled::new(Transport::Mmio, u64::MAX);
    c.net.link(false);
    assert_eq!((c.rig.config(6, Size::B2), c.rig.interrupted(None)), (0, true));
    c.rig.set_bytes(BUFFER, &[0; 200]);
    c.rig.request(&mut c.rings[1], &[(BUFFER, 112, false)]);
    assert!(c.peer.0.lock().is_empty());
    c.net.link(true);
    assert_eq!(c.rig.config(6, Size::B2), 1);
}
