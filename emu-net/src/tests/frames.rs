//! Ethernet, ARP and echo, and frames that are none.

use std::net::Ipv4Addr;
use std::time::Duration;

use emu_devices::net::NetBackend;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv4Message, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet,
};

use super::guest::{ADDRESS, Cable, STATION, plug};
use super::udp::framed;
use crate::packet::{self, ETHERNET};
use crate::{Config, UserNet};

const ROUTER: EthernetAddress = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);

fn ask_arp(net: &UserNet, address: Ipv4Addr) {
    let message = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: STATION,
        source_protocol_addr: ADDRESS,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: address,
    };
    let mut frame = vec![0; ETHERNET + message.buffer_len()];
    let header = EthernetRepr {
        src_addr: STATION,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    message.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
    net.send(&frame);
}

#[test]
fn the_router_and_the_name_server_answer_arp_and_nobody_else() {
    let rule = "tcp:10.0.2.100:1-cmd:true".parse().unwrap();
    let (net, cable) = plug(Config { guest_forwards: vec![rule], ..Config::default() });
    for last in [2, 3, 100] {
        let address = Ipv4Addr::new(10, 0, 2, last);
        ask_arp(&net, address);
        let frame = cable.next(Duration::from_secs(20)).unwrap();
        assert_eq!(frame.len(), 60, "a short frame is padded");
        let message = ArpRepr::parse(&ArpPacket::new_checked(&frame[ETHERNET..]).unwrap()).unwrap();
        assert_eq!(
            message,
            ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: ROUTER,
                source_protocol_addr: address,
                target_hardware_addr: STATION,
                target_protocol_addr: ADDRESS,
            }
        );
    }
    ask_arp(&net, Ipv4Addr::new(10, 0, 2, 15));
    ask_arp(&net, Ipv4Addr::new(192, 168, 0, 1));
    assert_eq!(cable.next(Duration::from_millis(50)), None);
    net.halt();
}

fn echo(cable: &Cable) -> Option<(Ipv4Addr, u16, Vec<u8>)> {
    let frame = cable.next(Duration::from_secs(20))?;
    let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).unwrap();
    assert_eq!(packet.next_header(), IpProtocol::Icmp);
    let message = Icmpv4Packet::new_checked(packet.payload()).unwrap();
    assert!(message.verify_checksum());
    assert_eq!(message.msg_type(), Icmpv4Message::EchoReply);
    Some((packet.src_addr(), message.echo_ident(), message.data().to_vec()))
}

#[test]
fn the_router_and_the_name_server_echo() {
    for restrict in [false, true] {
        let (net, cable) = plug(Config { restrict, ..Config::default() });
        for last in [2, 3] {
            let to = Ipv4Addr::new(10, 0, 2, last);
            let request = Icmpv4Repr::EchoRequest { ident: 77, seq_no: 1, data: b"abcdef" };
            net.send(&framed(packet::icmp(ADDRESS, to, &request)));
            assert_eq!(echo(&cable), Some((to, 77, b"abcdef".to_vec())));
        }
        net.halt();
    }
}

#[test]
fn what_is_malformed_is_dropped_and_counted() {
    let (net, cable) = plug(Config::default());
    let request = Icmpv4Repr::EchoRequest { ident: 77, seq_no: 1, data: b"abcdef" };
    let good = framed(packet::icmp(ADDRESS, Ipv4Addr::new(10, 0, 2, 2), &request));
    let mut sent = 0;
    for at in ETHERNET..good.len() {
        // Flags and fragment offset make a fragment of it, which is no error.
        if (ETHERNET + 6..ETHERNET + 8).contains(&at) {
            continue;
        }
        let mut frame = good.clone();
        frame[at] ^= 0x11;
        net.send(&frame);
        sent += 1;
    }
    for length in ETHERNET..good.len() {
        net.send(&good[..length]);
        sent += 1;
    }
    while net.counts().received < sent {
        std::thread::yield_now();
    }
    assert_eq!(net.counts().malformed, sent);
    assert_eq!(cable.next(Duration::from_millis(20)), None);
    net.halt();
}

#[test]
fn who_claims_to_be_the_router_is_not_believed() {
    let (net, cable) = plug(Config::default());
    let request = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 1, data: b"" };
    for from in [
        Ipv4Addr::new(10, 0, 2, 2),
        Ipv4Addr::new(10, 0, 2, 3),
        Ipv4Addr::new(8, 8, 8, 8),
        Ipv4Addr::BROADCAST,
    ] {
        net.send(&framed(packet::icmp(from, Ipv4Addr::new(10, 0, 2, 2), &request)));
    }
    while net.counts().received < 4 {
        std::thread::yield_now();
    }
    assert_eq!((net.counts().unwanted, cable.next(Duration::from_millis(20))), (4, None));
    net.halt();
}

#[test]
fn the_last_hop_is_told() {
    let (net, cable) = plug(Config::default());
    let request = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 1, data: b"" };
    let mut frame = framed(packet::icmp(ADDRESS, Ipv4Addr::new(192, 0, 2, 1), &request));
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]);
    packet.set_hop_limit(1);
    packet.fill_checksum();
    net.send(&frame);
    let frame = cable.next(Duration::from_secs(20)).unwrap();
    let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).unwrap();
    let message = Icmpv4Packet::new_checked(packet.payload()).unwrap();
    assert_eq!(
        (packet.src_addr(), message.msg_type()),
        (Ipv4Addr::new(10, 0, 2, 2), Icmpv4Message::TimeExceeded)
    );
    net.halt();
}
