//! The part of the telnet protocol that a terminal at a serial port needs (RFC 854 to 858).

/// Begins a command.
const IAC: u8 = 255;
const DONT: u8 = 254;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
/// Begins the parameters of an option, and ends them.
const SB: u8 = 250;
const SE: u8 = 240;
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// What we say first: we echo (the guest does), keys come one by one, and all bytes are allowed both ways.
pub const GREETING: &[u8] =
    &[IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, WILL, BINARY, IAC, DO, BINARY];

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Data,
    /// Behind a carriage return.
    Return,
    Command,
    /// The option of WILL, WONT, DO or DONT comes next.
    Option(u8),
    Parameters,
    ParametersCommand,
}

/// Takes commands out of what is received.
#[derive(Debug, Default)]
pub struct Telnet {
    state: State,
    /// The other side sends all bytes as they are.
    binary: bool,
}

impl Telnet {
    /// The data in `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().filter_map(|b| self.feed(*b)).collect()
    }

    fn feed(&mut self, byte: u8) -> Option<u8> {
        match (self.state, byte) {
            (State::Data | State::Return, IAC) => self.state = State::Command,
            // Outside of binary transmission, a carriage return alone is sent as CR NUL (RFC 854).
            (State::Return, 0) if !self.binary => self.state = State::Data,
            (State::Data | State::Return, _) => {
                self.state = if byte == b'\r' { State::Return } else { State::Data };
                return Some(byte);
            }
            (State::Command, IAC) => {
                self.state = State::Data;
                return Some(IAC);
            }
            (State::Command, WILL..=DONT) => self.state = State::Option(byte),
            (State::Command, SB) => self.state = State::Parameters,
            (State::Command, _) => self.state = State::Data,
            (State::Option(verb), option) => {
                if option == BINARY && matches!(verb, WILL | WONT) {
                    self.binary = verb == WILL;
                }
                self.state = State::Data;
            }
            (State::Parameters, IAC) => self.state = State::ParametersCommand,
            (State::Parameters, _) => {}
            (State::ParametersCommand, SE) => self.state = State::Data,
            (State::ParametersCommand, _) => self.state = State::Parameters,
        }
        None
    }
}

/// `bytes` as they are sent.
pub fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        out.push(*byte);
        if *byte == IAC {
            out.push(IAC);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_out_wherever_they_are_cut() {
        let sent =
            b"a\xff\xfd\x01b\xff\xffc\xff\xfa\x18\x00vt100\xff\xf0d\xff\xf1e\r\0f\r\ng\xff\xfb\0h\r\0i";
        let whole = Telnet::default().receive(sent);
        let mut filter = Telnet::default();
        let bytewise: Vec<u8> = sent.iter().flat_map(|b| filter.receive(&[*b])).collect();
        assert_eq!(whole, bytewise);
        // The NUL is data once the other side sends all bytes.
        assert_eq!(whole, b"ab\xffcde\rf\r\ngh\r\0i");
    }

    #[test]
    fn all_bytes_can_be_sent() {
        assert_eq!(escaped(b"a\xffb"), b"a\xff\xffb");
        assert_eq!(Telnet::default().receive(&escaped(&[1, 255, 255, 2])), [1, 255, 255, 2]);
    }
}
