//! Finishes TCP segments: checksums, and long ones cut into what one frame carries.

use smoltcp::wire::{IPV4_HEADER_LEN, Ipv4Packet, TcpPacket};

use crate::packet::ETHERNET;
use crate::wire::Segment;

/// Frames with room for an Ethernet header, their checksums made. What is cut differs in its sequence numbers and lengths; FIN
/// and PSH are in the last one alone (RFC 9293, 3.4 and 3.9.1.2).
pub(crate) fn finish(segment: Segment) -> Vec<Vec<u8>> {
    let Segment { mut bytes, cut } = segment;
    let head = ETHERNET + IPV4_HEADER_LEN;
    let Ok(tcp) = TcpPacket::new_checked(bytes.get(head..).unwrap_or_default()) else { return Vec::new() };
    let (first, fin, psh) = (tcp.seq_number(), tcp.fin(), tcp.psh());
    let payload = head + usize::from(tcp.header_len());
    let Some(cut) = cut.map(|cut| usize::from(cut.get())) else {
        fill(&mut bytes);
        return vec![bytes];
    };
    let (header, data) = bytes.split_at(payload);
    let count = data.len().div_ceil(cut);
    let piece = |(index, piece): (usize, &[u8])| {
        let mut frame = [header, piece].concat();
        let last = index + 1 == count;
        let mut tcp = TcpPacket::new_unchecked(&mut frame[head..]);
        tcp.set_seq_number(first + index * cut);
        tcp.set_fin(fin && last);
        tcp.set_psh(psh && last);
        fill(&mut frame);
        frame
    };
    data.chunks(cut).enumerate().map(piece).collect()
}

/// Fills in the lengths and checksums.
fn fill(frame: &mut [u8]) {
    let length = frame.len() - ETHERNET;
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]);
    packet.set_total_len(u16::try_from(length).unwrap_or(u16::MAX));
    packet.fill_checksum();
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    TcpPacket::new_unchecked(packet.payload_mut()).fill_checksum(&source.into(), &destination.into());
}
