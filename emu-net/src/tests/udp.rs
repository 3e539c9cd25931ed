//! Datagrams of the guest, as frames.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use emu_devices::net::NetBackend;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4DstUnreachable, Icmpv4Message,
    Icmpv4Packet, IpProtocol, Ipv4Packet, UdpPacket,
};

use super::guest::{ADDRESS, Cable, STATION, inside, plug};
use crate::packet::{self, ETHERNET};
use crate::{Config, UserNet};

/// A datagram of the guest's in a frame for the router.
pub(super) fn framed(mut datagram: Vec<u8>) -> Vec<u8> {
    let router = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);
    let header = EthernetRepr { src_addr: STATION, dst_addr: router, ethertype: EthernetProtocol::Ipv4 };
    header.emit(&mut EthernetFrame::new_unchecked(&mut datagram));
    datagram
}

fn send(net: &UserNet, port: u16, to: SocketAddrV4, payload: &[u8]) {
    net.send(&framed(packet::udp(SocketAddrV4::new(ADDRESS, port), to, payload).unwrap()));
}

/// The next datagram for this port of the guest: where it comes from, and what it says.
fn received(cable: &Cable, port: u16) -> (SocketAddrV4, Vec<u8>) {
    cable.find(|frame| {
        let packet = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
        assert_eq!(frame[..6], STATION.0);
        if packet.next_header() != IpProtocol::Udp {
            return None;
        }
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        assert!(datagram.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into()));
        let from = SocketAddrV4::new(packet.src_addr(), datagram.src_port());
        (datagram.dst_port() == port).then(|| (from, datagram.payload().to_vec()))
    })
}

fn server() -> (UdpSocket, SocketAddrV4) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let at = inside(socket.local_addr().unwrap());
    (socket, at)
}

#[test]
fn a_datagram_is_answered() {
    let (server, at) = server();
    let (net, cable) = plug(Config::default());
    for question in [&b"one"[..], b"", b"three"] {
        send(&net, 5000, at, question);
        let mut room = [0; 100];
        let (count, from) = server.recv_from(&mut room).unwrap();
        assert_eq!(&room[..count], question);
        server.send_to(b"answer", from).unwrap();
        assert_eq!(received(&cable, 5000), (at, b"answer".to_vec()));
    }
    net.halt();
}

#[test]
fn only_who_was_asked_may_answer() {
    let (server, at) = server();
    let (net, cable) = plug(Config::default());
    send(&net, 5000, at, b"x");
    let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"stranger", from).unwrap();
    server.send_to(b"friend", from).unwrap();
    assert_eq!(received(&cable, 5000).1, b"friend");
    net.halt();
}

#[test]
fn questions_to_the_name_server_reach_that_of_the_host() {
    let (server, _) = server();
    let (net, cable) =
        plug(Config { resolvers: Some(vec![server.local_addr().unwrap()]), ..Config::default() });
    let dns = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 3), 53);
    send(&net, 5353, dns, b"question");
    let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
    server.send_to(b"answer", from).unwrap();
    assert_eq!(received(&cable, 5353), (dns, b"answer".to_vec()));
    net.halt();
}

#[test]
fn what_is_longer_than_a_frame_comes_in_fragments() {
    let (server, at) = server();
    let (net, cable) = plug(Config::default());
    send(&net, 5000, at, b"x");
    let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
    server.send_to(&[7; 4000], from).unwrap();
    let mut joined = Vec::new();
    while joined.len() < 4008 {
        cable
            .find(|frame| {
                let packet = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
                assert!(frame.len() <= ETHERNET + 1500);
                assert_eq!(usize::from(packet.frag_offset()), joined.len());
                Some(packet.payload().to_vec())
            })
            .iter()
            .for_each(|byte| joined.push(*byte));
    }
    assert_eq!(joined[8..], [7; 4000]);
    net.halt();
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
    let (server, at) = server();
    drop(server);
    let (net, cable) = plug(Config::default());
    for to in [at, SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 77), 99)] {
        send(&net, 5000, to, b"x");
        let (reason, about) = cable.find(|frame| {
            let packet = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
            let message = Icmpv4Packet::new_checked(packet.payload()).ok()?;
            if packet.next_header() != IpProtocol::Icmp || message.msg_type() != Icmpv4Message::DstUnreachable
            {
                return None;
            }
            assert!(message.verify_checksum() && packet.verify_checksum());
            let about = Ipv4Packet::new_unchecked(message.data());
            let ports = UdpPacket::new_unchecked(&message.data()[20..]);
            let from = SocketAddrV4::new(about.src_addr(), ports.src_port());
            Some((message.msg_code(), (from, SocketAddrV4::new(about.dst_addr(), ports.dst_port()))))
        });
        assert_eq!(reason, u8::from(Icmpv4DstUnreachable::PortUnreachable));
        assert_eq!(about, (SocketAddrV4::new(ADDRESS, 5000), to));
    }
    net.halt();
}

#[test]
fn with_restrict_nothing_leaves() {
    let (server, at) = server();
    let (net, _cable) = plug(Config { restrict: true, ..Config::default() });
    send(&net, 5000, at, b"x");
    while net.counts().restricted == 0 {
        std::thread::yield_now();
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.recv_from(&mut [0; 8]).is_err());
    net.halt();
}
