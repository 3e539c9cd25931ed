//! A hostile guest on a user-mode network: frames of any shape, and segments that belong to connections. Nothing leaves the
//! network but to a listener of this process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use emu_net::{Config, Served, Stepper};

use super::source::Source;

const STEPS: usize = 400;
const GUEST: [u8; 4] = [10, 0, 2, 15];
const SERVED: [u8; 4] = [10, 0, 2, 100];
const PORT: u16 = 80;
/// Bytes of the longest frame that the guest may get.
const LONGEST: usize = 1514;

/// The network, and what the guest knows of its connection.
struct Rig {
    net: Stepper,
    listener: TcpListener,
    now: Duration,
    sequence: u32,
    acknowledged: u32,
}

impl Rig {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the host has a port");
        listener.set_nonblocking(true).expect("it is a socket");
        let SocketAddr::V4(at) = listener.local_addr().expect("it is bound") else {
            unreachable!("it is IPv4")
        };
        let rule = emu_net::GuestForward {
            at: std::net::SocketAddrV4::new(SERVED.into(), PORT),
            served: Served::Tcp(at),
        };
        let config = Config { restrict: true, guest_forwards: vec![rule], ..Config::default() };
        let net = Stepper::new(config).expect("it is a network");
        Self { net, listener, now: Duration::ZERO, sequence: 0, acknowledged: 0 }
    }

    /// The guest sends a frame, and takes what comes.
    fn give(&mut self, frame: Vec<u8>) {
        for frame in self.net.step(self.now, [frame]) {
            assert!((60..=LONGEST).contains(&frame.len()), "{} bytes", frame.len());
            let is_tcp = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&6);
            if let (true, Some(&[a, b, c, d])) = (is_tcp, frame.get(38..42)) {
                let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
                let header = usize::from(frame[46] >> 4) * 4;
                let opens = u32::from(frame[47] & 3 != 0);
                let length = (total - 20 - header) as u32 + opens;
                self.acknowledged = u32::from_be_bytes([a, b, c, d]).wrapping_add(length);
            }
        }
    }
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
}

fn folded(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// A datagram in a frame for the router, its checksums right: `at` is where that of the payload is.
fn framed(to: [u8; 4], protocol: u8, mut payload: Vec<u8>, at: Option<usize>, pseudo: bool) -> Vec<u8> {
    let from = GUEST;
    if let Some(at) = at.filter(|at| at + 2 <= payload.len()) {
        payload[at..at + 2].fill(0);
        let header =
            if pseudo { sum(&from) + sum(&to) + u32::from(protocol) + payload.len() as u32 } else { 0 };
        let check = folded(header + sum(&payload));
        payload[at..at + 2].copy_from_slice(&check);
    }
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0]);
    ip.extend_from_slice(&from);
    ip.extend_from_slice(&to);
    let check = folded(sum(&ip));
    ip[10..12].copy_from_slice(&check);
    let mut frame = vec![0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0];
    frame.extend_from_slice(&ip);
    frame.extend_from_slice(&payload);
    frame
}

fn bytes(s: &mut Source<'_>, most: u64) -> Vec<u8> {
    let count = s.below(most);
    (0..count).map(|_| s.u8()).collect()
}

/// A segment near what the connection is at.
fn segment(s: &mut Source<'_>, rig: &mut Rig) -> Vec<u8> {
    let flags = s.pick(&[0x02, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x29, 0, 0x3f]);
    let port = 1000 + u16::from(s.u8() % 4);
    let near = |s: &mut Source<'_>, value: u32| match s.u8() % 6 {
        0 => value.wrapping_add(s.value() as u32),
        1 => value.wrapping_sub(1),
        _ => value,
    };
    let mut tcp = port.to_be_bytes().to_vec();
    tcp.extend_from_slice(&PORT.to_be_bytes());
    tcp.extend_from_slice(&near(s, rig.sequence).to_be_bytes());
    tcp.extend_from_slice(&near(s, rig.acknowledged).to_be_bytes());
    let options = bytes(s, 12);
    let words = 5 + options.len().div_ceil(4);
    let said = if s.one_in(8) { s.u8() & 0xf0 } else { (words as u8) << 4 };
    tcp.extend_from_slice(&[said, flags]);
    tcp.extend_from_slice(&s.pick(&[0_u16, 1, 1460, 0xffff]).to_be_bytes());
    tcp.extend_from_slice(&[0, 0, 0, 0]);
    tcp.extend_from_slice(&options);
    tcp.resize(words * 4, 0);
    let payload = vec![7; s.pick(&[0, 0, 1, 100, 1460, 20_000])];
    rig.sequence = rig.sequence.wrapping_add(payload.len() as u32 + u32::from(flags & 3 != 0));
    tcp.extend_from_slice(&payload);
    framed(SERVED, 6, tcp, Some(16), true)
}

/// A message to the DHCP server.
fn dhcp(s: &mut Source<'_>) -> Vec<u8> {
    let mut udp = vec![0, 68, 0, 67, 0, 0, 0, 0];
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, s.u8(), s.u8()]);
    message[236..240].copy_from_slice(&[99, 130, 83, 99]);
    message.extend_from_slice(&[53, 1, s.u8() % 10]);
    if s.one_in(2) {
        message.extend_from_slice(&[50, 4, 10, 0, 2, s.u8()]);
    }
    message.extend(bytes(s, 40));
    udp.extend_from_slice(&message);
    let length = udp.len() as u16;
    udp[4..6].copy_from_slice(&length.to_be_bytes());
    framed(s.pick(&[[255; 4], [10, 0, 2, 2]]), 17, udp, Some(6), true)
}

fn other(s: &mut Source<'_>) -> Vec<u8> {
    let to = s.pick(&[[10, 0, 2, 2], [10, 0, 2, 3], [10, 0, 2, 255], [192, 0, 2, 1], [127, 0, 0, 1], [0; 4]]);
    let protocol = s.pick(&[1, 6, 17, 2, 255]);
    let payload = bytes(s, 64);
    let at = match protocol {
        1 => Some(2),
        6 => Some(16),
        17 => Some(6),
        _ => None,
    };
    framed(to, protocol, payload, at, protocol != 1)
}

fn arp(s: &mut Source<'_>) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6];
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1 + s.u8() % 2, 0x52, 0x54, 0, 0x12, 0x34, s.u8()]);
    frame.extend_from_slice(&[10, 0, 2, s.u8(), 0, 0, 0, 0, 0, 0, 10, 0, 2, s.u8() % 5]);
    frame
}

/// One input.
pub(super) fn run(data: &[u8]) {
    let mut s = Source::new(data);
    let mut rig = Rig::new();
    let mut peers = Vec::new();
    for _ in 0..STEPS {
        if s.is_empty() {
            break;
        }
        let mut frame = match s.u8() % 8 {
            0 => bytes(&mut s, 80),
            1 => dhcp(&mut s),
            2 => arp(&mut s),
            3 => other(&mut s),
            _ => segment(&mut s, &mut rig),
        };
        if s.one_in(6) && !frame.is_empty() {
            let at = s.below(frame.len() as u64) as usize;
            frame[at] = s.u8();
        }
        if s.one_in(12) {
            frame.truncate(s.below(frame.len() as u64 + 1) as usize);
        }
        rig.give(frame);
        if s.one_in(4) {
            rig.now += Duration::from_millis(s.value() % 100_000);
        }
        if let Ok((stream, _)) = rig.listener.accept() {
            peers.push(stream);
        }
        if s.one_in(8) {
            peers.pop();
        }
    }
    let counts = rig.net.counts();
    assert!(counts.malformed + counts.unwanted + counts.restricted <= counts.received, "{counts:?}");
}
