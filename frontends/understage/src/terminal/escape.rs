//! Keys that mean something to the machine and not to the guest: they follow Ctrl-A.

/// Ctrl-A.
pub const ESCAPE: u8 = 0x01;

/// What the help key prints.
pub const HELP: &str = "\r\n\
    Ctrl-A h       this help\r\n\
    Ctrl-A x       end the machine\r\n\
    Ctrl-A c       turn to the monitor, and back\r\n\
    Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

/// What a byte from the keyboard turns into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A byte for the guest.
    Byte(u8),
    /// End the machine.
    Quit,
    /// Print [`HELP`].
    Help,
    /// The next user of the terminal gets the keys.
    Switch,
}

/// Remembers whether the last byte was the escape key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Escape {
    pending: bool,
}

impl Escape {
    /// Takes one byte. After the escape key, a key without a meaning is dropped.
    pub fn feed(&mut self, byte: u8) -> Option<Event> {
        if !std::mem::take(&mut self.pending) {
            self.pending = byte == ESCAPE;
            return (!self.pending).then_some(Event::Byte(byte));
        }
        match byte {
            ESCAPE => Some(Event::Byte(ESCAPE)),
            b'x' | b'X' => Some(Event::Quit),
            b'h' | b'H' | b'?' => Some(Event::Help),
            b'c' | b'C' => Some(Event::Switch),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(bytes: &[u8]) -> Vec<Event> {
        let mut escape = Escape::default();
        bytes.iter().filter_map(|b| escape.feed(*b)).collect()
    }

    #[test]
    fn bytes_pass() {
        assert_eq!(events(b"a\x03\xff"), [Event::Byte(b'a'), Event::Byte(3), Event::Byte(0xff)]);
    }

    #[test]
    fn escapes() {
        assert_eq!(events(b"\x01x"), [Event::Quit]);
        assert_eq!(events(b"\x01hx"), [Event::Help, Event::Byte(b'x')]);
        assert_eq!(events(b"\x01c"), [Event::Switch]);
        assert_eq!(events(b"\x01\x01x"), [Event::Byte(1), Event::Byte(b'x')]);
        assert_eq!(events(b"\x01qa"), [Event::Byte(b'a')]);
        assert_eq!(events(b"\x01"), []);
    }
}
