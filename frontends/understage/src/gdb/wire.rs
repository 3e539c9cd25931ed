//! What goes to the debugger: whole packets, and the acknowledgements between them.

use std::cell::RefCell;
use std::io::{Error, Write};
use std::net::TcpStream;
use std::rc::Rc;

use gdbstub::conn::Connection;

/// Sends packets whole: one call of the host's for each, not one for each byte. Sending waits until the host takes the
/// bytes: a debugger that does not read is not read from either.
pub(super) struct Wire<W> {
    stream: W,
    /// A packet's bytes so far, from its `$` on.
    packet: Vec<u8>,
    /// The last packet that was sent.
    last: Vec<u8>,
    /// What is written goes nowhere: see [`Wire::mute`].
    muted: bool,
}

impl<W: Write> Wire<W> {
    /// Around a stream.
    pub(super) fn new(stream: W) -> Self {
        Self { stream, packet: Vec::new(), last: Vec::new(), muted: false }
    }

    /// A byte of a packet. The library acknowledges by itself; that has been done.
    fn put(&mut self, byte: u8) {
        if !self.packet.is_empty() || byte == b'$' {
            self.packet.push(byte);
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        if !self.muted {
            self.stream.write_all(&self.packet)?;
            self.stream.flush()?;
            std::mem::swap(&mut self.last, &mut self.packet);
        }
        self.packet.clear();
        Ok(())
    }

    /// Sends a packet with this body. Nothing is left of one that was begun.
    pub(super) fn answer(&mut self, body: &str) -> Result<(), Error> {
        self.packet = packet(body);
        self.send()
    }

    /// Sends an acknowledgement (`+`), or its opposite (`-`).
    pub(super) fn acknowledge(&mut self, byte: u8) -> Result<(), Error> {
        self.stream.write_all(&[byte])
    }

    /// Sends the last packet again.
    pub(super) fn again(&mut self) -> Result<(), Error> {
        self.stream.write_all(&self.last)
    }

    /// With `muted` what is answered is not sent.
    pub(super) fn mute(&mut self, muted: bool) {
        self.packet.clear();
        self.muted = muted;
    }
}

/// A packet on the wire.
pub(super) fn packet(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0u8, |a, b| a.wrapping_add(b));
    format!("${body}#{sum:02x}").into_bytes()
}

/// A wire that the library and the session share.
#[derive(Clone)]
pub(super) struct SharedWire(pub(super) Rc<RefCell<Wire<TcpStream>>>);

impl Connection for SharedWire {
    type Error = Error;

    fn write(&mut self, byte: u8) -> Result<(), Error> {
        self.0.borrow_mut().put(byte);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Error> {
        self.0.borrow_mut().send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(wire: &mut Wire<Vec<u8>>, bytes: &[u8]) {
        bytes.iter().for_each(|b| wire.put(*b));
    }

    #[test]
    fn packets_are_whole_and_can_be_had_again() {
        let mut wire = Wire::new(Vec::new());
        wire.acknowledge(b'+').unwrap();
        write(&mut wire, b"+$O");
        assert_eq!(wire.stream, b"+", "the library's acknowledgement is none");
        write(&mut wire, b"K#9a");
        wire.send().unwrap();
        assert_eq!(wire.stream, b"+$OK#9a");
        wire.again().unwrap();
        assert_eq!(wire.stream, b"+$OK#9a$OK#9a");
    }

    #[test]
    fn what_was_begun_or_is_muted_is_not_sent() {
        let mut wire = Wire::new(Vec::new());
        write(&mut wire, b"$ab");
        wire.answer("E01").unwrap();
        assert_eq!(wire.stream, b"$E01#a6");
        wire.mute(true);
        write(&mut wire, b"$OK#9a");
        wire.send().unwrap();
        wire.mute(false);
        wire.again().unwrap();
        assert_eq!(wire.stream, b"$E01#a6$E01#a6");
    }
}
