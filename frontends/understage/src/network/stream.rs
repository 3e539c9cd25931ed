//! Frames over a connection, each behind its length: four bytes, the most significant first. QEMU's `socket` and `stream` back
//! ends and several switches speak so.

use std::io;
use std::sync::{Arc, Weak};

use emu_devices::net::{Inbox, MAX_FRAME, NetBackend, NetClient};
use parking_lot::Mutex;

use super::Described;
use crate::board::characters::Characters;
use crate::character::Port;
use crate::config::{CharBackend, Given, Socket};
use crate::error::UserError;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

/// Frames out of bytes.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Bytes of a frame that is too long which are still to come: it is dropped.
    over: usize,
}

impl Frames {
    /// Adds bytes, and gives `found` the frames that they end.
    fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.over > 0 {
                let dropped = self.over.min(bytes.len());
                self.over -= dropped;
                bytes = &bytes[dropped..];
                continue;
            }
            let wanted = self.wanted() - self.bytes.len();
            let (some, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.bytes.extend_from_slice(some);
            bytes = rest;
            if self.bytes.len() == LENGTH && self.length() > MAX_FRAME {
                self.over = self.length();
                self.bytes.clear();
            } else if self.bytes.len() >= LENGTH && self.bytes.len() == self.wanted() {
                found(&self.bytes[LENGTH..]);
                self.bytes.clear();
            }
        }
    }

    /// How long the length, or the length and the frame are.
    fn wanted(&self) -> usize {
        if self.bytes.len() < LENGTH { LENGTH } else { LENGTH + self.length() }
    }

    fn length(&self) -> usize {
        let bytes = self.bytes.first_chunk().copied().unwrap_or_default();
        usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
    }
}

/// See the module's head.
pub(super) struct Stream {
    name: String,
    /// Which of the options that have such back ends has this one.
    called: &'static str,
    server: bool,
    port: Arc<Port>,
    inbox: Inbox,
    frames: Mutex<Frames>,
}

impl Stream {
    /// At `socket`, with nobody at its other end yet.
    pub(super) fn open(
        id: &str,
        called: &'static str,
        socket: &Given<Socket>,
        characters: &mut Characters,
    ) -> Result<Arc<Self>, UserError> {
        let port = characters.open(&CharBackend::Socket(socket.clone()), id)?;
        let this = Arc::new(Self {
            name: id.to_owned(),
            called,
            server: socket.server,
            port: port.clone(),
            inbox: Inbox::default(),
            frames: Mutex::default(),
        });
        let (comes, opens) = (Arc::downgrade(&this), Arc::downgrade(&this));
        port.input().set_notify(Arc::new(move || {
            if let Some(this) = comes.upgrade() {
                this.receive();
            }
        }));
        port.on_open(Box::new(move |open| {
            if let Some(this) = opens.upgrade() {
                // Half a frame of somebody who has left is none.
                *this.frames.lock() = Frames::default();
                this.inbox.link(open);
            }
        }));
        Ok(this)
    }

    /// The connection.
    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// Takes what has come, as long as the device keeps up: what it has no room for stays in the connection, where it stops
    /// the sender.
    fn receive(&self) {
        let mut bytes = [0; 4096];
        let mut frames = self.frames.lock();
        while !self.inbox.is_full() {
            let n = self.port.input().take(&mut bytes);
            if n == 0 {
                return;
            }
            let mut whole = Vec::new();
            frames.feed(&bytes[..n], |frame| whole.push(frame.to_vec()));
            whole.iter().for_each(|frame| self.inbox.take(frame));
        }
    }
}

impl Described for Stream {
    fn describe(&self) -> String {
        let state = match (self.port.peer(), self.server) {
            (Some(peer), _) => peer.to_string(),
            (None, true) => "listening".to_owned(),
            (None, false) => "connecting".to_owned(),
        };
        format!("type={},{state}", self.called)
    }
}

impl NetBackend for Stream {
    fn name(&self) -> &str {
        &self.name
    }
    fn connect(&self, client: Weak<dyn NetClient>) {
        self.inbox.connect(client);
    }
    fn start(&self) -> io::Result<()> {
        self.inbox.start();
        self.receive();
        Ok(())
    }
    fn pause(&self) {
        self.inbox.pause();
    }
    fn halt(&self) {
        self.inbox.halt();
    }
    fn send(&self, frame: &[u8]) {
        if self.port.room() && (1..=MAX_FRAME).contains(&frame.len()) {
            let length = (frame.len() as u32).to_be_bytes();
            self.port.write(&[&length, frame].concat());
        }
    }
    fn room(&self) {
        self.inbox.room();
        self.receive();
    }
    fn link(&self) -> bool {
        self.port.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frame: &[u8]) -> Vec<u8> {
        [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let sent = [framed(&[1; 60]), framed(&[]), framed(&[2; MAX_FRAME]), framed(&[3; 14])].concat();
        for piece in [1, 3, 64, 4096, sent.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in sent.chunks(piece) {
                frames.feed(bytes, |frame| seen.push((frame.first().copied(), frame.len())));
            }
            assert_eq!(seen, [(Some(1), 60), (None, 0), (Some(2), MAX_FRAME), (Some(3), 14)], "{piece}");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_dropped_and_takes_no_memory() {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        let mut sent = framed(&vec![9; MAX_FRAME + 1]);
        sent.extend(framed(&[5; 20]));
        sent.extend(u32::MAX.to_be_bytes());
        for bytes in sent.chunks(1000) {
            frames.feed(bytes, |frame| seen.push(frame.to_vec()));
        }
        assert_eq!(seen, [vec![5; 20]]);
        frames.feed(&[0; 1000], |_| panic!("it is a part of the long one"));
        assert_eq!((frames.bytes.len(), frames.over), (0, u32::MAX as usize - 1000));
    }
}
