//! What is looked for in a frame that comes: its VLAN tag, checksums, and what it is hashed by.

use super::offload::sum;

/// Where the parts of a frame are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parts {
    /// First byte of an IP header, and whether it is one of IPv4.
    pub(crate) ip: Option<(usize, bool)>,
    /// First byte behind it, and the protocol there, if all of that is in this frame.
    pub(crate) transport: Option<(usize, u8)>,
    /// Where the datagram ends.
    pub(crate) end: usize,
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

fn half_at(frame: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*frame.get(at)?) << 8 | usize::from(*frame.get(at + 1)?))
}

/// The VLAN tag, if the frame has one with this type.
pub(crate) fn vlan(frame: &[u8], ether_type: u16) -> Option<u16> {
    (half_at(frame, 12) == Some(ether_type.into())).then(|| half_at(frame, 14).map(|tag| tag as u16))?
}

impl Parts {
    /// Finds them.
    pub(crate) fn of(frame: &[u8], vlan_type: u16) -> Self {
        let at = if vlan(frame, vlan_type).is_some() { 18 } else { 14 };
        Self::inside(frame, at).unwrap_or_default()
    }

    fn inside(frame: &[u8], at: usize) -> Option<Self> {
        match half_at(frame, at - 2)? {
            0x0800 => {
                let header = 4 * usize::from(*frame.get(at)? & 15);
                let end = at + half_at(frame, at + 2)?;
                if header < 20 || frame[at] >> 4 != 4 || end > frame.len() || end < at + header {
                    return None;
                }
                let fragment = half_at(frame, at + 6)? & 0x3fff != 0;
                let transport = (!fragment).then_some((at + header, frame[at + 9]));
                Some(Self { ip: Some((at, true)), transport, end })
            }
            0x86dd => {
                let end = at + 40 + half_at(frame, at + 4)?;
                if end > frame.len() {
                    return None;
                }
                Some(Self { ip: Some((at, false)), transport: Some((at + 40, frame[at + 6])), end })
            }
            _ => None,
        }
    }

    /// Whether the checksum of the IPv4 header is right, if there is one.
    pub(crate) fn ip_checksum(&self, frame: &[u8]) -> Option<bool> {
        let (at, _) = self.ip.filter(|(_, ipv4)| *ipv4)?;
        let header = 4 * usize::from(*frame.get(at)? & 15);
        Some(sum(frame.get(at..at + header)?, 0) == 0xffff)
    }

    /// Whether the checksum of TCP or UDP is right, if there is one, and which.
    pub(crate) fn transport_checksum(&self, frame: &[u8]) -> Option<(u8, bool)> {
        let ((ip, ipv4), (at, protocol)) = (self.ip?, self.transport?);
        let body = frame.get(at..self.end)?;
        match protocol {
            TCP if body.len() >= 20 => {}
            UDP if body.len() >= 8 && half_at(body, 6) != Some(0) => {}
            _ => return None,
        }
        let addresses = if ipv4 { frame.get(ip + 12..ip + 20)? } else { frame.get(ip + 8..ip + 40)? };
        let pseudo = u64::from(sum(addresses, u64::from(protocol) + body.len() as u64));
        Some((protocol, sum(body, pseudo) == 0xffff))
    }

    /// What a frame is hashed by with ports, and without them.
    pub(crate) fn hashed(&self, frame: &[u8]) -> Option<(Vec<u8>, Option<[u8; 4]>)> {
        let (ip, ipv4) = self.ip?;
        let addresses = if ipv4 { frame.get(ip + 12..ip + 20)? } else { frame.get(ip + 8..ip + 40)? };
        let ports = self.transport.filter(|t| t.1 == TCP).and_then(|(at, _)| frame.get(at..at + 4));
        Some((addresses.to_vec(), ports.and_then(|p| p.try_into().ok())))
    }
}

/// The hash of Microsoft's receive side scaling, of Toeplitz.
pub(crate) fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let bit = |at: usize| key.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 != 0);
    let mut window = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let mut hash = 0;
    for i in 0..8 * input.len() {
        if input[i / 8] >> (7 - i % 8) & 1 != 0 {
            hash ^= window;
        }
        window = window << 1 | u32::from(bit(i + 32));
    }
    hash
}

/// The frame check sequence (IEEE 802.3, 3.2.9), in the order of the wire.
pub(crate) fn check_sequence(frame: &[u8]) -> [u8; 4] {
    let crc = frame.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 * (crc & 1)))
    });
    (!crc).to_le_bytes()
}
