//! Ports of the host that lead to the guest, and ports of the network that lead to something of the host.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use emu_devices::net::NetBackend;
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::wire::{Ipv4Packet, UdpPacket};

use super::guest::{ADDRESS, Guest, plug};
use super::udp::framed;
use crate::packet::{self, ETHERNET};
use crate::{Config, Protocol};

#[test]
fn a_forwarded_port_leads_to_the_guest() {
    for restrict in [false, true] {
        let mut guest = Guest::new(Config { restrict, ..Config::default() });
        let at = guest.net.add_forward("tcp:127.0.0.1:0-:22".parse().unwrap()).unwrap();
        let mut listening = Guest::stream();
        listening.listen(22).unwrap();
        let socket = guest.sockets.add(listening);
        let mut stream = TcpStream::connect(at).unwrap();
        guest.state(socket, State::Established);
        let peer = guest.sockets.get::<Socket<'_>>(socket).remote_endpoint().unwrap();
        assert_eq!(peer.addr, Ipv4Addr::new(10, 0, 2, 2).into(), "the host is seen as the router");
        stream.write_all(b"hello").unwrap();
        assert_eq!(guest.receive(socket, 5), b"hello");
        guest.send(socket, b"welcome");
        let mut room = [0; 7];
        stream.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"welcome");
        assert!(guest.net.show().contains("TCP[ESTABLISHED]"), "{}", guest.net.show());
        assert!(guest.net.show().contains("TCP[HOST_FORWARD]"), "{}", guest.net.show());
    }
}

#[test]
fn a_guest_that_does_not_listen_resets() {
    let mut guest = Guest::new(Config::default());
    let at = guest.net.add_forward("tcp:127.0.0.1:0-:22".parse().unwrap()).unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_nonblocking(true).unwrap();
    guest.until("the reset comes", |_| match stream.read(&mut [0; 8]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        Ok(count) => panic!("{count} bytes"),
    });
}

#[test]
fn a_port_is_forwarded_until_it_is_removed() {
    let guest = Guest::new(Config::default());
    let at = guest.net.add_forward("tcp:127.0.0.1:0-:22".parse().unwrap()).unwrap();
    let again = format!("tcp:{at}-:23").parse().unwrap();
    assert_eq!(guest.net.add_forward(again).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(!guest.net.remove_forward(Protocol::Udp, at));
    assert!(guest.net.remove_forward(Protocol::Tcp, at));
    assert!(!guest.net.remove_forward(Protocol::Tcp, at));
    assert_eq!(TcpStream::connect(at).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn datagrams_are_forwarded_and_answered_where_nothing_else_leaves() {
    let (net, cable) = plug(Config { restrict: true, ..Config::default() });
    let at = net.add_forward("udp:127.0.0.1:0-10.0.2.15:69".parse().unwrap()).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    peer.send_to(b"question", at).unwrap();
    // The guest is asked for its Ethernet address first.
    let who = cable.next(Duration::from_secs(20)).unwrap();
    assert_eq!((who[12], who[13]), (8, 6));
    let to = SocketAddrV4::new(ADDRESS, 69);
    net.send(&framed(packet::udp(to, SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 1), b"?").unwrap()));
    let from = cable.find(|frame| {
        let packet = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        assert_eq!((datagram.dst_port(), datagram.payload()), (69, &b"question"[..]));
        Some(SocketAddrV4::new(packet.src_addr(), datagram.src_port()))
    });
    let SocketAddr::V4(own) = peer.local_addr().unwrap() else { panic!() };
    assert_eq!(from, SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), own.port()));
    net.send(&framed(packet::udp(to, from, b"answer").unwrap()));
    let mut room = [0; 100];
    let (count, from) = peer.recv_from(&mut room).unwrap();
    assert_eq!((&room[..count], from), (&b"answer"[..], at.into()));
    net.halt();
}

#[test]
fn a_port_of_the_network_leads_to_a_command() {
    let rule = "tcp:10.0.2.100:1234-cmd:tr a-z A-Z".parse().unwrap();
    let mut guest = Guest::new(Config { restrict: true, guest_forwards: vec![rule], ..Config::default() });
    let socket = guest.connect("10.0.2.100:1234".parse().unwrap());
    guest.send(socket, b"hello");
    guest.close(socket);
    assert_eq!(guest.receive(socket, 5), b"HELLO");
    guest.state(socket, State::TimeWait);
}

#[test]
fn a_port_of_the_network_leads_to_a_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rule = format!("tcp:10.0.2.100:1234-tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut guest = Guest::new(Config { restrict: true, guest_forwards: vec![rule], ..Config::default() });
    let socket = guest.connect("10.0.2.100:1234".parse().unwrap());
    listener.accept().unwrap().0.write_all(b"hello").unwrap();
    assert_eq!(guest.receive(socket, 5), b"hello");
}
