//! What is done to frames that are sent: checksums, and cutting one into segments (82574 datasheet, 7.2 and 7.3).

use serde::{Deserialize, Serialize};

/// A context descriptor: where the headers are, and how a frame is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// IP: first byte summed, place of the sum, last byte summed.
    pub(crate) ip: (usize, usize, usize),
    /// The same of TCP or UDP; 0 for the last byte is the frame's end.
    pub(crate) transport: (usize, usize, usize),
    /// TCP rather than UDP.
    pub(crate) tcp: bool,
    /// IPv4 rather than IPv6.
    pub(crate) ipv4: bool,
    /// Bytes of all headers.
    pub(crate) header: usize,
    /// Bytes of payload in a segment.
    pub(crate) mss: usize,
}

impl Context {
    /// The context that the two doublewords of a descriptor are.
    pub(crate) fn of(low: u64, high: u64) -> Self {
        let byte = |at: u32| (low >> at & 0xff) as usize;
        let half = |at: u32| (low >> at & 0xffff) as usize;
        Self {
            ip: (byte(0), byte(8), half(16)),
            transport: (byte(32), byte(40), half(48)),
            tcp: high >> 24 & 1 != 0,
            ipv4: high >> 25 & 1 != 0,
            header: (high >> 40 & 0xff) as usize,
            mss: (high >> 48) as usize,
        }
    }

    /// True if a descriptor can be this context.
    pub(crate) fn is_possible(&self) -> bool {
        let (ip, transport) = (self.ip, self.transport);
        let bytes = [ip.0, ip.1, transport.0, transport.1, self.header];
        let halves = [ip.2, transport.2, self.mss];
        bytes.iter().all(|b| *b <= 0xff) && halves.iter().all(|h| *h <= 0xffff)
    }
}

/// The ones' complement sum of `bytes` (RFC 1071), in 16 bits.
pub(crate) fn sum(bytes: &[u8], start: u64) -> u16 {
    let pairs =
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u64::from(*b)));
    let mut sum = pairs.fold(start, |sum, pair| sum + pair);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn half_at(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn set_half(frame: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = frame.get_mut(at..at + 2) {
        bytes.copy_from_slice(&value.to_be_bytes());
    }
}

/// Puts the checksum of the bytes from `start` to `last` (0: the end) at `place`. What is outside of the frame is left alone.
pub(crate) fn insert(frame: &mut [u8], (start, place, last): (usize, usize, usize)) {
    let end = if last == 0 { frame.len() } else { frame.len().min(last + 1) };
    if let Some(bytes) = frame.get(start..end) {
        let checksum = !sum(bytes, 0);
        set_half(frame, place, checksum);
    }
}

/// Puts the checksums in that a data descriptor asks for.
pub(crate) fn checksums(frame: &mut [u8], context: &Context, ip: bool, transport: bool) {
    if ip {
        insert(frame, context.ip);
    }
    if transport {
        insert(frame, context.transport);
        let place = context.transport.1;
        // A datagram whose checksum is zero has none (RFC 768).
        if !context.tcp && half_at(frame, place) == Some(0) {
            set_half(frame, place, 0xffff);
        }
    }
}

/// Cuts a frame into segments with headers and checksums of their own. None if the context makes no sense for it.
pub(crate) fn segments(frame: &[u8], context: &Context, ip: bool, transport: bool) -> Option<Vec<Vec<u8>>> {
    let (headers, payload) = frame.split_at_checked(context.header)?;
    let header_end = if context.tcp { context.transport.0 + 20 } else { context.transport.0 + 8 };
    if context.mss == 0
        || payload.is_empty()
        || headers.len() < header_end
        || headers.len() < context.ip.0 + 20
    {
        return None;
    }
    let count = payload.len().div_ceil(context.mss);
    let one = |(i, part): (usize, &[u8])| {
        let mut segment = [headers, part].concat();
        number(&mut segment, context, i, i + 1 == count);
        checksums(&mut segment, context, ip, transport);
        segment
    };
    Some(payload.chunks(context.mss).enumerate().map(one).collect())
}

/// Makes the headers of a segment right, all but their checksums.
fn number(segment: &mut [u8], context: &Context, index: usize, last: bool) {
    let (ip, transport, len) = (context.ip.0, context.transport.0, segment.len());
    if context.ipv4 {
        set_half(segment, ip + 2, (len - ip) as u16);
        let id = half_at(segment, ip + 4).unwrap_or(0);
        set_half(segment, ip + 4, id.wrapping_add(index as u16));
    } else {
        set_half(segment, ip + 4, len.saturating_sub(ip + 40) as u16);
    }
    if context.tcp {
        let high = u32::from(half_at(segment, transport + 4).unwrap_or(0));
        let low = u32::from(half_at(segment, transport + 6).unwrap_or(0));
        let sequence = (high << 16 | low).wrapping_add((index * context.mss) as u32);
        set_half(segment, transport + 4, (sequence >> 16) as u16);
        set_half(segment, transport + 6, sequence as u16);
        // FIN and PSH are the last one's.
        if let Some(flags) = segment.get_mut(transport + 13).filter(|_| !last) {
            *flags &= !0x09;
        }
    } else {
        set_half(segment, transport + 4, (len - transport) as u16);
    }
    // Software has summed the pseudo header without the length.
    let place = context.transport.1;
    let pseudo = half_at(segment, place).unwrap_or(0);
    let with_length = sum(&[], u64::from(pseudo) + (len - transport) as u64);
    set_half(segment, place, with_length);
}

/// Puts a VLAN tag behind the addresses.
pub(crate) fn tag(frame: &mut Vec<u8>, ether_type: u16, tag: u16) {
    if frame.len() >= 12 {
        let bytes = [ether_type.to_be_bytes(), tag.to_be_bytes()].concat();
        frame.splice(12..12, bytes);
    }
}
