//! The connection as the protocol's library writes to it: byte by byte.

use std::io::{Error, Write};
use std::net::TcpStream;

use gdbstub::conn::Connection;

/// Sends packets whole: one call of the host's for each, not one for each byte.
pub struct Wire<W> {
    stream: W,
    /// A packet's bytes so far, from its `$` on.
    packet: Vec<u8>,
}

impl<W> Wire<W> {
    /// Around a stream.
    pub fn new(stream: W) -> Self {
        Self { stream, packet: Vec::new() }
    }
}

impl<W: Write> Wire<W> {
    fn put(&mut self, byte: u8) -> Result<(), Error> {
        // An acknowledgement is followed by no flush if the answer is to come later.
        if self.packet.is_empty() && byte != b'$' {
            return self.stream.write_all(&[byte]);
        }
        self.packet.push(byte);
        Ok(())
    }

    fn send(&mut self) -> Result<(), Error> {
        self.stream.write_all(&self.packet)?;
        self.packet.clear();
        self.stream.flush()
    }
}

impl Connection for Wire<TcpStream> {
    type Error = Error;

    fn write(&mut self, byte: u8) -> Result<(), Error> {
        self.put(byte)
    }
    fn flush(&mut self) -> Result<(), Error> {
        self.send()
    }
    fn on_session_start(&mut self) -> Result<(), Error> {
        self.stream.set_nodelay(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_do_not_wait() {
        let mut wire = Wire::new(Vec::new());
        b"+$OK+#".iter().for_each(|b| wire.put(*b).unwrap());
        assert_eq!(wire.stream, b"+");
        wire.send().unwrap();
        assert_eq!(wire.stream, b"+$OK+#");
        wire.put(b'+').unwrap();
        assert_eq!(wire.stream, b"+$OK+#+");
    }
}
