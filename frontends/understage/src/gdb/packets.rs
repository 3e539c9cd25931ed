//! The packets of QEMU's own that its users type (`maintenance packet ...`): they are answered before the rest of the
//! protocol sees them.

/// A packet longer than this is none of ours, and goes on as it comes.
const LONGEST: usize = 64;

/// A question or an order of QEMU's making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QemuPacket {
    /// `qqemu.Supported`.
    Supported,
    /// `qqemu.PhyMemMode`: do memory accesses take physical addresses?
    AskPhysical,
    /// `Qqemu.PhyMemMode:0` or `:1`.
    SetPhysical(bool),
}

impl QemuPacket {
    fn of(body: &[u8]) -> Option<Self> {
        Some(match body {
            b"qqemu.Supported" => Self::Supported,
            b"qqemu.PhyMemMode" => Self::AskPhysical,
            b"Qqemu.PhyMemMode:0" => Self::SetPhysical(false),
            b"Qqemu.PhyMemMode:1" => Self::SetPhysical(true),
            _ => return None,
        })
    }
}

/// What becomes of a byte that came in.
#[derive(PartialEq, Eq, Debug)]
pub enum Sorted {
    /// It is kept until more is known.
    Kept,
    /// These bytes are for the protocol.
    Pass(Vec<u8>),
    /// A whole packet for us.
    Qemu(QemuPacket),
}

/// Tells our packets from the others.
#[derive(Default)]
pub struct Sorter {
    /// A packet's bytes so far, from its `$` on; empty outside a packet.
    packet: Vec<u8>,
    /// In the middle of a packet that is not ours: bytes of it that are left to pass after its `#`.
    passing: Option<usize>,
    no_acks: bool,
}

impl Sorter {
    /// Sorts the next byte.
    pub fn sort(&mut self, byte: u8) -> Sorted {
        if let Some(left) = self.passing {
            self.passing = match (left, byte) {
                (0, b'#') => Some(2),
                (0, _) => Some(0),
                (1, _) => None,
                (n, _) => Some(n - 1),
            };
            return Sorted::Pass(vec![byte]);
        }
        if self.packet.is_empty() && byte != b'$' {
            return Sorted::Pass(vec![byte]);
        }
        self.packet.push(byte);
        match self.packet.iter().position(|b| *b == b'#') {
            Some(end) if self.packet.len() == end + 3 => self.complete(end),
            None if self.packet.len() > LONGEST => {
                self.passing = Some(0);
                Sorted::Pass(std::mem::take(&mut self.packet))
            }
            _ => Sorted::Kept,
        }
    }

    fn complete(&mut self, end: usize) -> Sorted {
        let packet = std::mem::take(&mut self.packet);
        let body = &packet[1..end];
        self.no_acks |= body == b"QStartNoAckMode";
        let sum = body.iter().fold(0u8, |a, b| a.wrapping_add(*b));
        match QemuPacket::of(body) {
            Some(ours) if packet[end + 1..].eq_ignore_ascii_case(format!("{sum:02x}").as_bytes()) => {
                Sorted::Qemu(ours)
            }
            _ => Sorted::Pass(packet),
        }
    }

    /// The bytes that answer one of our packets.
    #[must_use]
    pub fn answer(&self, text: &str) -> Vec<u8> {
        let ack: &[u8] = if self.no_acks { b"" } else { b"+" };
        [ack, &packet(text)].concat()
    }
}

/// A packet on the wire.
#[must_use]
pub fn packet(text: &str) -> Vec<u8> {
    let sum = text.bytes().fold(0u8, |a, b| a.wrapping_add(b));
    format!("${text}#{sum:02x}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(sorter: &mut Sorter, bytes: &[u8]) -> (Vec<u8>, Vec<QemuPacket>) {
        let (mut passed, mut ours) = (Vec::new(), Vec::new());
        for b in bytes {
            match sorter.sort(*b) {
                Sorted::Kept => {}
                Sorted::Pass(bytes) => passed.extend(bytes),
                Sorted::Qemu(p) => ours.push(p),
            }
        }
        (passed, ours)
    }

    #[test]
    fn only_ours_are_taken() {
        let mut s = Sorter::default();
        let mut bytes = b"+$?#3f".to_vec();
        bytes.extend(packet("Qqemu.PhyMemMode:1"));
        bytes.extend(b"\x03$qqemu.PhyMemMode#00$g#67");
        let (passed, ours) = sort(&mut s, &bytes);
        assert_eq!(passed, b"+$?#3f\x03$qqemu.PhyMemMode#00$g#67", "a wrong sum is the protocol's to refuse");
        assert_eq!(ours, [QemuPacket::SetPhysical(true)]);
        assert_eq!(s.answer("OK"), b"+$OK#9a");
        sort(&mut s, &packet("QStartNoAckMode"));
        assert_eq!(s.answer("OK"), b"$OK#9a");
    }

    #[test]
    fn long_packets_pass() {
        let mut s = Sorter::default();
        let mut bytes = vec![b'$'];
        bytes.extend([b'a'; 3 * LONGEST]);
        bytes.extend(b"#00$g#67");
        assert_eq!(sort(&mut s, &bytes), (bytes.clone(), vec![]));
    }
}
