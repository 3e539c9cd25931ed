//! Packets out of the bytes that a debugger sends (gdb's manual, "Remote Protocol", "Overview").

/// Characters of the longest packet that is taken, without `$`, `#` and the sum: what is announced as PacketSize is for
/// a whole one.
const LONGEST: usize = super::PACKET_BYTES - 4;

/// What came in.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    /// A packet with the right sum.
    Packet(Vec<u8>),
    /// A packet with a wrong one.
    Damaged,
    /// A packet that is too long. It was not kept.
    TooLong,
    /// `-`: the last packet is to be sent again.
    Again,
    /// Ctrl-C.
    Interrupt,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Between,
    Body,
    /// The sum follows; its first digit, if that has come.
    Sum(Option<u8>),
}

/// Puts packets together. Keeps one at most, and no more than [`LONGEST`] of it.
#[derive(Default)]
pub(super) struct Assembler {
    state: State,
    body: Vec<u8>,
    too_long: bool,
}

impl Assembler {
    /// Takes the next byte; gives what it completes.
    pub(super) fn take(&mut self, byte: u8) -> Option<Incoming> {
        match (self.state, byte) {
            (State::Between, b'-') => return Some(Incoming::Again),
            (State::Between, 3) => return Some(Incoming::Interrupt),
            (State::Between | State::Body, b'$') => {
                // Within a packet it is the start of the next one: the end of the first is lost.
                self.body.clear();
                self.too_long = false;
                self.state = State::Body;
            }
            // Acknowledgements, and noise.
            (State::Between, _) => {}
            (State::Body, b'#') => self.state = State::Sum(None),
            (State::Body, _) if self.body.len() == LONGEST => self.too_long = true,
            (State::Body, _) => self.body.push(byte),
            (State::Sum(None), _) => self.state = State::Sum(Some(byte)),
            (State::Sum(Some(first)), _) => {
                self.state = State::Between;
                return Some(self.complete([first, byte]));
            }
        }
        None
    }

    fn complete(&mut self, digits: [u8; 2]) -> Incoming {
        let body = std::mem::take(&mut self.body);
        if self.too_long {
            return Incoming::TooLong;
        }
        let sum = body.iter().fold(0u8, |a, b| a.wrapping_add(*b));
        let said = str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
        if said == Some(sum) { Incoming::Packet(body) } else { Incoming::Damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::packet;
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Incoming> {
        let mut assembler = Assembler::default();
        bytes.iter().filter_map(|b| assembler.take(*b)).collect()
    }

    fn whole(body: &str) -> Incoming {
        Incoming::Packet(body.into())
    }

    #[test]
    fn packets_and_what_is_between() {
        assert_eq!(
            all(b"+$?#3f\x03-noise$g#67"),
            [whole("?"), Incoming::Interrupt, Incoming::Again, whole("g")]
        );
        assert_eq!(all(&packet("m0,\x03-4")), [whole("m0,\x03-4")], "within a packet they are its bytes");
        assert_eq!(all(b"$qSup$?#3f"), [whole("?")], "a packet that was cut off");
        assert_eq!(all(b"$?#3"), []);
    }

    #[test]
    fn sums_are_looked_at() {
        assert_eq!(
            all(b"$?#3F$?#3e$?#+f$?##3"),
            [whole("?"), Incoming::Damaged, Incoming::Damaged, Incoming::Damaged]
        );
    }

    #[test]
    fn the_longest_packet() {
        let text = "a".repeat(LONGEST);
        assert_eq!(all(&packet(&text)), [whole(&text)]);
        let longer = [&packet(&(text.clone() + "a"))[..], b"$?#3f"].concat();
        assert_eq!(all(&longer), [Incoming::TooLong, whole("?")]);
        let mut assembler = Assembler::default();
        (0..10 * LONGEST).for_each(|_| assert_eq!(assembler.take(b'$').or(assembler.take(b'a')), None));
        std::iter::repeat_n(b'a', 10 * LONGEST).for_each(|b| assert_eq!(assembler.take(b), None));
        assert_eq!(assembler.body.len(), LONGEST);
    }
}
