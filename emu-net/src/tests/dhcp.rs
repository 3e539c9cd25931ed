//! The DHCP server, asked as RFC 2131 says.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use emu_devices::net::NetBackend;
use smoltcp::wire::{
    DhcpMessageType as Type, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Ipv4Packet, UdpPacket,
};

use super::guest::{Cable, STATION, plug};
use crate::packet::{self, ETHERNET};
use crate::{Config, UserNet};

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

fn question(kind: Type) -> DhcpRepr<'static> {
    DhcpRepr {
        message_type: kind,
        transaction_id: 0x1234_5678,
        secs: 0,
        client_hardware_address: STATION,
        client_ip: NONE,
        your_ip: NONE,
        server_ip: NONE,
        router: None,
        subnet_mask: None,
        relay_agent_ip: NONE,
        broadcast: true,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

fn ask(net: &UserNet, question: &DhcpRepr<'_>) {
    let mut bytes = vec![0; question.buffer_len()];
    question.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let mut frame = packet::udp(SocketAddrV4::new(question.client_ip, 68), to, &bytes).unwrap();
    let header = EthernetRepr {
        src_addr: STATION,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Ipv4,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    net.send(&frame);
}

/// The server's answer, as bytes, and the station and address that it goes to.
fn answer(cable: &Cable) -> (EthernetAddress, Ipv4Addr, Vec<u8>) {
    cable.find(|frame| {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).ok()?;
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        assert_eq!((datagram.src_port(), datagram.dst_port(), packet.src_addr()), (67, 68, SERVER));
        Some((ethernet.dst_addr(), packet.dst_addr(), datagram.payload().to_vec()))
    })
}

fn option(bytes: &[u8], kind: u8) -> Option<Vec<u8>> {
    let packet = DhcpPacket::new_checked(bytes).unwrap();
    packet.options().find(|option| option.kind == kind).map(|option| option.data.to_vec())
}

fn parsed<T>(bytes: &[u8], look: impl Fn(&DhcpRepr<'_>) -> T) -> T {
    let packet = DhcpPacket::new_checked(bytes).unwrap();
    look(&DhcpRepr::parse(&packet).unwrap())
}

#[test]
fn an_address_is_offered_requested_and_renewed() {
    let (net, cable) = plug(Config::default());
    ask(&net, &question(Type::Discover));
    let (station, ip, bytes) = answer(&cable);
    assert_eq!((station, ip), (EthernetAddress::BROADCAST, Ipv4Addr::BROADCAST), "as the flag says");
    let offered = Ipv4Addr::new(10, 0, 2, 15);
    parsed(&bytes, |offer| {
        assert_eq!((offer.message_type, offer.your_ip), (Type::Offer, offered));
        assert_eq!((offer.transaction_id, offer.server_identifier), (0x1234_5678, Some(SERVER)));
        assert_eq!((offer.router, offer.subnet_mask), (Some(SERVER), Some(Ipv4Addr::new(255, 255, 255, 0))));
        assert_eq!(offer.dns_servers.as_ref().unwrap()[..], [Ipv4Addr::new(10, 0, 2, 3)]);
        assert_eq!(offer.lease_duration, Some(86_400));
    });
    let mut request = question(Type::Request);
    (request.requested_ip, request.server_identifier, request.broadcast) =
        (Some(offered), Some(SERVER), false);
    ask(&net, &request);
    let (station, ip, bytes) = answer(&cable);
    assert_eq!((station, ip), (STATION, offered), "to the client alone, without the flag");
    assert_eq!(parsed(&bytes, |answer| (answer.message_type, answer.your_ip)), (Type::Ack, offered));
    let mut renewal = question(Type::Request);
    renewal.client_ip = offered;
    ask(&net, &renewal);
    let (_, ip, bytes) = answer(&cable);
    assert_eq!((ip, parsed(&bytes, |answer| answer.message_type)), (offered, Type::Ack));
    net.halt();
}

#[test]
fn what_is_not_the_clients_is_refused() {
    let (net, cable) = plug(Config::default());
    for wrong in
        [Ipv4Addr::new(192, 168, 1, 5), SERVER, Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(10, 0, 2, 255)]
    {
        let mut request = question(Type::Request);
        request.requested_ip = Some(wrong);
        ask(&net, &request);
        let (station, ip, bytes) = answer(&cable);
        assert_eq!((station, ip), (EthernetAddress::BROADCAST, Ipv4Addr::BROADCAST));
        parsed(&bytes, |answer| {
            assert_eq!((answer.message_type, answer.your_ip, answer.router), (Type::Nak, NONE, None));
        });
    }
    let mut other = question(Type::Request);
    (other.requested_ip, other.server_identifier) =
        (Some(Ipv4Addr::new(10, 0, 2, 15)), Some(Ipv4Addr::new(10, 0, 2, 9)));
    ask(&net, &other);
    assert_eq!(cable.next(Duration::from_millis(50)), None, "it is said to another server");
    net.halt();
}

#[test]
fn names_are_told() {
    let config = Config {
        hostname: Some("guest".into()),
        domain: Some("example.org".into()),
        search: vec!["a.org".into(), "b.org".into()],
        boot_file: Some("boot/linux".into()),
        tftp_name: Some("tftp.example.org".into()),
        ..Config::default()
    };
    let (net, cable) = plug(config);
    ask(&net, &question(Type::Discover));
    let (_, _, bytes) = answer(&cable);
    assert_eq!(option(&bytes, 12).unwrap(), b"guest");
    assert_eq!(option(&bytes, 15).unwrap(), b"example.org");
    assert_eq!(option(&bytes, 119).unwrap(), b"\x01a\x03org\0\x01b\x03org\0");
    assert_eq!(
        (option(&bytes, 66).unwrap(), option(&bytes, 67).unwrap()),
        (b"tftp.example.org".into(), b"boot/linux".into())
    );
    assert_eq!(&bytes[108..119], b"boot/linux\0");
    net.halt();
}

#[test]
fn a_restricted_network_has_no_router() {
    let (net, cable) = plug(Config { restrict: true, ..Config::default() });
    ask(&net, &question(Type::Discover));
    let (_, _, bytes) = answer(&cable);
    assert_eq!(parsed(&bytes, |offer| (offer.router, offer.dns_servers.is_none())), (None, true));
    let mut inform = question(Type::Inform);
    inform.client_ip = Ipv4Addr::new(10, 0, 2, 50);
    ask(&net, &inform);
    let (_, ip, bytes) = answer(&cable);
    assert_eq!(ip, Ipv4Addr::new(10, 0, 2, 50));
    assert_eq!(parsed(&bytes, |answer| (answer.your_ip, answer.lease_duration)), (NONE, None));
    net.halt();
}
