//! The Ethernet: who is there, by ARP (RFC 826), and the frames that wait for the guest.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
};

use crate::config::Config;
use crate::counts::Counts;
use crate::packet::{ETHERNET, fragments};

/// Stations that are known at a time.
const NEIGHBOURS: usize = 256;
/// Frames that wait for the answer to an ARP request.
const HELD: usize = 64;
/// How long a station that does not answer is not asked again.
const ASKED: Duration = Duration::from_secs(1);
/// Bytes of frames that wait for the guest.
pub(crate) const WAITING: usize = 1 << 20;
/// Bytes of the shortest frame, without its check sequence (IEEE 802.3, 3.2.8).
const SHORTEST: usize = 60;

struct Neighbour {
    address: Ipv4Addr,
    station: EthernetAddress,
}

/// See the module's head.
pub(crate) struct Link {
    /// The router's own address.
    station: EthernetAddress,
    host: Ipv4Addr,
    /// Who was heard of last comes last.
    neighbours: Vec<Neighbour>,
    held: VecDeque<(Ipv4Addr, Vec<u8>)>,
    asked: VecDeque<(Ipv4Addr, Duration)>,
    out: VecDeque<Vec<u8>>,
    /// Bytes in `out`, and of frames that the guest had no room for.
    waiting: usize,
    number: u16,
    pub(crate) now: Duration,
    pub(crate) counts: Counts,
}

impl Link {
    pub(crate) fn new(config: &Config) -> Self {
        let [a, b, c, d] = config.host.octets();
        Self {
            // Locally administered, as that of QEMU's user-mode network.
            station: EthernetAddress([0x52, 0x55, a, b, c, d]),
            host: config.host,
            neighbours: Vec::new(),
            held: VecDeque::new(),
            asked: VecDeque::new(),
            out: VecDeque::new(),
            waiting: 0,
            number: 0,
            now: Duration::ZERO,
            counts: Counts::default(),
        }
    }

    /// Whether a frame is for the router.
    pub(crate) fn is_for_us(&self, destination: EthernetAddress) -> bool {
        destination == self.station || destination.is_broadcast() || destination.is_multicast()
    }

    /// Remembers who has an address.
    pub(crate) fn learn(&mut self, address: Ipv4Addr, station: EthernetAddress) {
        if !station.is_unicast() {
            return;
        }
        if self.neighbours.last().is_some_and(|last| last.address == address && last.station == station) {
            return;
        }
        self.neighbours.retain(|neighbour| neighbour.address != address);
        if self.neighbours.len() >= NEIGHBOURS {
            self.neighbours.remove(0);
        }
        self.neighbours.push(Neighbour { address, station });
        self.asked.retain(|&(asked, _)| asked != address);
        let (known, held) = self.held.drain(..).partition(|&(held, _)| held == address);
        self.held = held;
        let known: VecDeque<(Ipv4Addr, Vec<u8>)> = known;
        for (_, frame) in known {
            self.send_to(station, frame);
        }
    }

    /// Bytes that may be sent until the guest has to take some.
    pub(crate) fn room(&self) -> usize {
        WAITING.saturating_sub(self.waiting)
    }

    /// Takes what is to be given to the guest.
    pub(crate) fn take(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    /// So many bytes of what was taken are still there.
    pub(crate) fn still_waiting(&mut self, bytes: usize) {
        self.waiting = bytes;
    }

    /// Sends a datagram to a station of the network, in several frames if it is long.
    pub(crate) fn send_datagram(&mut self, datagram: Vec<u8>, destination: Ipv4Addr) {
        self.number = self.number.wrapping_add(1);
        for frame in fragments(datagram, self.number) {
            self.send(frame, destination);
        }
    }

    /// Sends an IPv4 frame to a station of the network.
    pub(crate) fn send(&mut self, frame: Vec<u8>, destination: Ipv4Addr) {
        let known = self.neighbours.iter().rev().find(|neighbour| neighbour.address == destination);
        if let Some(station) = known.map(|neighbour| neighbour.station) {
            self.send_to(station, frame);
            return;
        }
        if self.held.len() >= HELD {
            self.held.pop_front();
            self.counts.limited += 1;
        }
        self.held.push_back((destination, frame));
        self.ask(destination);
    }

    /// Sends an IPv4 frame to this Ethernet address.
    pub(crate) fn send_to(&mut self, station: EthernetAddress, mut frame: Vec<u8>) {
        let header =
            EthernetRepr { src_addr: self.station, dst_addr: station, ethertype: EthernetProtocol::Ipv4 };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        self.push(frame);
    }

    fn push(&mut self, mut frame: Vec<u8>) {
        if self.waiting >= WAITING {
            self.counts.limited += 1;
            return;
        }
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        self.waiting += frame.len();
        self.counts.sent += 1;
        self.out.push_back(frame);
    }

    fn ask(&mut self, address: Ipv4Addr) {
        let now = self.now;
        self.asked.retain(|&(_, at)| now < at + ASKED);
        if self.asked.len() >= HELD || self.asked.iter().any(|&(asked, _)| asked == address) {
            return;
        }
        self.asked.push_back((address, now));
        self.send_arp(ArpOperation::Request, EthernetAddress::BROADCAST, address, self.host);
    }

    fn send_arp(&mut self, operation: ArpOperation, to: EthernetAddress, address: Ipv4Addr, from: Ipv4Addr) {
        let target = if operation == ArpOperation::Request { EthernetAddress([0; 6]) } else { to };
        let message = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.station,
            source_protocol_addr: from,
            target_hardware_addr: target,
            target_protocol_addr: address,
        };
        let mut frame = vec![0; ETHERNET + message.buffer_len()];
        let header = EthernetRepr { src_addr: self.station, dst_addr: to, ethertype: EthernetProtocol::Arp };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        message.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
        self.push(frame);
    }

    /// An ARP message of a guest.
    pub(crate) fn arp(&mut self, config: &Config, payload: &[u8]) {
        let message = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet));
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = message
        else {
            self.counts.malformed += 1;
            return;
        };
        let ours = |address| {
            address == config.host
                || address == config.dns
                || config.guest_forwards.iter().any(|rule| *rule.at.ip() == address)
        };
        if config.is_station(source_protocol_addr) && !ours(source_protocol_addr) {
            self.learn(source_protocol_addr, source_hardware_addr);
        }
        if operation == ArpOperation::Request
            && ours(target_protocol_addr)
            && source_hardware_addr.is_unicast()
        {
            self.send_arp(
                ArpOperation::Reply,
                source_hardware_addr,
                source_protocol_addr,
                target_protocol_addr,
            );
        }
    }
}
