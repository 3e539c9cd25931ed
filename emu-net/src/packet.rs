//! IPv4 datagrams (RFC 791) and what is in them, as bytes.
//!
//! A datagram for a guest is made with room for the Ethernet header in front of it, so that it is written once.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IPV4_HEADER_LEN, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, TcpPacket, UDP_HEADER_LEN, UdpPacket,
    UdpRepr,
};

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Bytes of the longest datagram that is one frame.
pub(crate) const MTU: usize = 1500;
/// How many routers a datagram may go through from here.
const HOPS: u8 = 64;

/// A datagram of a guest.
#[derive(Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: IpProtocol,
    pub(crate) hops: u8,
    /// All of it, without padding.
    pub(crate) whole: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// What became of bytes that should be a datagram.
pub(crate) enum Parsed<'a> {
    Whole(Datagram<'a>),
    Fragment,
    Malformed,
}

/// Takes an Ethernet frame's payload apart.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Ok(packet) = Ipv4Packet::new_checked(bytes) else { return Parsed::Malformed };
    let header = usize::from(packet.header_len());
    if packet.version() != 4 || header < IPV4_HEADER_LEN || !packet.verify_checksum() {
        return Parsed::Malformed;
    }
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Parsed::Fragment;
    }
    let Some(whole) = bytes.get(..usize::from(packet.total_len())) else { return Parsed::Malformed };
    let Some(payload) = whole.get(header..) else { return Parsed::Malformed };
    Parsed::Whole(Datagram {
        source: packet.src_addr(),
        destination: packet.dst_addr(),
        protocol: packet.next_header(),
        hops: packet.hop_limit(),
        whole,
        payload,
    })
}

impl<'a> Datagram<'a> {
    /// The TCP segment in it, if it is whole. `finished`: its checksum is.
    pub(crate) fn tcp(&self, finished: bool) -> Option<TcpPacket<&'a [u8]>> {
        let segment = TcpPacket::new_checked(self.payload).ok()?;
        let right = !finished || segment.verify_checksum(&self.source.into(), &self.destination.into());
        right.then_some(segment)
    }

    /// The UDP datagram in it, if it is whole.
    pub(crate) fn udp(&self, finished: bool) -> Option<UdpPacket<&'a [u8]>> {
        let datagram = UdpPacket::new_checked(self.payload).ok()?;
        let right = !finished || datagram.verify_checksum(&self.source.into(), &self.destination.into());
        right.then_some(datagram)
    }

    /// The ICMP message in it, if it is whole.
    pub(crate) fn icmp(&self) -> Option<Icmpv4Packet<&'a [u8]>> {
        let message = Icmpv4Packet::new_checked(self.payload).ok()?;
        message.verify_checksum().then_some(message)
    }
}

/// A datagram with room for an Ethernet header, whose payload is written by the function.
fn datagram(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: IpProtocol,
    length: usize,
    write: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET + IPV4_HEADER_LEN + length];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[ETHERNET..]);
    packet.set_version(4);
    packet.set_header_len(IPV4_HEADER_LEN as u8);
    packet.set_total_len(u16::try_from(IPV4_HEADER_LEN + length).unwrap_or(u16::MAX));
    packet.set_hop_limit(HOPS);
    packet.set_next_header(protocol);
    packet.set_src_addr(source);
    packet.set_dst_addr(destination);
    packet.fill_checksum();
    write(packet.payload_mut());
    bytes
}

/// A UDP datagram; none if it is longer than one can be.
pub(crate) fn udp(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    let repr = UdpRepr { src_port: source.port(), dst_port: destination.port() };
    let (from, to) = (*source.ip(), *destination.ip());
    let length = UDP_HEADER_LEN + payload.len();
    if IPV4_HEADER_LEN + length > usize::from(u16::MAX) {
        return None;
    }
    Some(datagram(from, to, IpProtocol::Udp, length, |bytes| {
        let mut packet = UdpPacket::new_unchecked(bytes);
        let copy = |room: &mut [u8]| room.copy_from_slice(payload);
        repr.emit(
            &mut packet,
            &from.into(),
            &to.into(),
            payload.len(),
            copy,
            &ChecksumCapabilities::default(),
        );
    }))
}

/// An ICMP message (RFC 792).
pub(crate) fn icmp(source: Ipv4Addr, destination: Ipv4Addr, message: &Icmpv4Repr<'_>) -> Vec<u8> {
    datagram(source, destination, IpProtocol::Icmp, message.buffer_len(), |bytes| {
        message.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    })
}

/// A datagram as frames of at most [`MTU`] bytes (RFC 791, 3.2); `number` tells its fragments from those of others.
pub(crate) fn fragments(bytes: Vec<u8>, number: u16) -> Vec<Vec<u8>> {
    const PIECE: usize = (MTU - IPV4_HEADER_LEN) & !7;
    if bytes.len() <= ETHERNET + MTU {
        return vec![bytes];
    }
    let (head, payload) = bytes.split_at(ETHERNET + IPV4_HEADER_LEN);
    let count = payload.len().div_ceil(PIECE);
    let piece = |(index, piece): (usize, &[u8])| {
        let mut fragment = [head, piece].concat();
        let mut packet = Ipv4Packet::new_unchecked(&mut fragment[ETHERNET..]);
        packet.set_ident(number);
        packet.set_total_len((IPV4_HEADER_LEN + piece.len()) as u16);
        packet.set_frag_offset((index * PIECE) as u16);
        packet.set_more_frags(index + 1 < count);
        packet.fill_checksum();
        fragment
    };
    payload.chunks(PIECE).enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 53);
    const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 4000);

    #[test]
    fn what_is_made_can_be_parsed() {
        let bytes = udp(A, B, b"hello").unwrap();
        let Parsed::Whole(datagram) = parse(&bytes[ETHERNET..]) else { panic!() };
        assert_eq!((datagram.source, datagram.destination), (*A.ip(), *B.ip()));
        let packet = datagram.udp(true).unwrap();
        assert_eq!((packet.src_port(), packet.dst_port(), packet.payload()), (53, 4000, &b"hello"[..]));
        assert!(udp(A, B, &[0; 65_508]).is_none());
    }

    #[test]
    fn damage_is_seen() {
        let bytes = udp(A, B, b"hello").unwrap();
        for at in ETHERNET..ETHERNET + IPV4_HEADER_LEN {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(!matches!(parse(&bytes[ETHERNET..]), Parsed::Whole(_)), "{at}");
        }
        let mut bytes = bytes;
        *bytes.last_mut().unwrap() ^= 1;
        let Parsed::Whole(datagram) = parse(&bytes[ETHERNET..]) else { panic!() };
        assert!(datagram.udp(true).is_none());
        assert!(datagram.udp(false).is_some(), "a checksum that is not finished is not looked at");
    }

    #[test]
    fn long_datagrams_are_cut_at_multiples_of_eight() {
        let payload: Vec<u8> = (0..4000).map(|i| i as u8).collect();
        let frames = fragments(udp(A, B, &payload).unwrap(), 7);
        assert_eq!(frames.len(), 3);
        let mut joined = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            assert!(matches!(parse(&frame[ETHERNET..]), Parsed::Fragment));
            let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).unwrap();
            assert_eq!((packet.ident(), usize::from(packet.frag_offset())), (7, joined.len()));
            assert_eq!(packet.more_frags(), index < 2);
            joined.extend_from_slice(packet.payload());
        }
        assert_eq!(joined[UDP_HEADER_LEN..], payload);
    }
}
