//! The program's console: a port of its own if it was given one, else the standard streams.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Once};
use std::time::Duration;

use emu_pe::doorbell::{Doorbell, reason};
use nix::errno::Errno;
use parking_lot::{Condvar, Mutex};

use crate::character::Port;
use crate::config::{CharBackend, MachineConfig};
use crate::out::Writing;
use crate::quit::{OnQuit, Quit};
use crate::terminal::stream as standard;

/// Keys that wait at most.
const CAPACITY: usize = 4096;
/// How often who waits for a key looks whether somebody wants the CPU.
const LOOK: Duration = Duration::from_millis(20);

/// Which stream a handle of ":tt" is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    Input,
    Output,
    Error,
}

/// See the module's head.
pub struct Console {
    port: Option<Arc<Port>>,
    keys: Arc<Keys>,
    /// Standard input is read from when the first key is wanted.
    reading: Once,
    on_quit: OnQuit,
}

#[derive(Default)]
struct Keys {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Keys {
    /// Adds bytes, and waits while there is no room. What was read at once is seen at once: a program that reads a line
    /// gets the line and not its first key.
    fn push(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut state = self.state.lock();
            while state.bytes.len() >= CAPACITY {
                self.changed.wait(&mut state);
            }
            let (now, later) = bytes.split_at(bytes.len().min(CAPACITY - state.bytes.len()));
            state.bytes.extend(now);
            bytes = later;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }

    /// Takes what there is, and waits for at least one byte; 0 at the end, `None` if somebody wants the CPU.
    fn take(&self, out: &mut [u8], bell: &Doorbell) -> Option<usize> {
        let mut state = self.state.lock();
        while state.bytes.is_empty() && !state.ended {
            if bell.is_rung_for(reason::CONTROL) {
                return None;
            }
            self.changed.wait_for(&mut state, LOOK);
        }
        let n = out.len().min(state.bytes.len());
        for (slot, byte) in out.iter_mut().zip(state.bytes.drain(..n)) {
            *slot = byte;
        }
        self.changed.notify_all();
        Some(n)
    }
}

impl Console {
    /// For the machine of `config`. Without a port of its own, input is standard input if no port reads that; else it is at
    /// its end.
    #[must_use]
    pub fn new(config: &MachineConfig, port: Option<Arc<Port>>, on_quit: OnQuit) -> Self {
        let keys = Arc::<Keys>::default();
        let reading = Once::new();
        let typed =
            config.semihosting.as_ref().and_then(|s| s.console.as_ref()).is_some_and(CharBackend::has_input);
        match &port {
            Some(port) if typed => feed(port, &keys),
            None if !config.backends().any(CharBackend::is_stdio) => {
                return Self { port, keys, reading, on_quit };
            }
            _ => keys.end(),
        }
        reading.call_once(|| ());
        Self { port, keys, reading, on_quit }
    }

    /// SYS_WRITEC and SYS_WRITE0: what a program says that has opened nothing. It does not mix with its output.
    pub(super) fn debug(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.write(Stream::Error, bytes)
    }

    /// Writes to a stream; all of it, or it is an error.
    pub(super) fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), Errno> {
        if let Some(port) = &self.port {
            port.write(bytes);
            return Ok(());
        }
        let written = match stream {
            Stream::Input => return Err(Errno::EBADF),
            Stream::Output => put(standard::Stream::output(), bytes),
            Stream::Error => put(standard::Stream::of(io::stderr().as_fd()), bytes),
        };
        written.map_err(|e| {
            if e.kind() == ErrorKind::BrokenPipe {
                (self.on_quit)(Quit::OutputClosed);
            }
            number(&e)
        })
    }

    /// Reads what there is, and waits for at least one byte; 0 at the end, `None` if somebody wants the CPU.
    pub(super) fn read(&self, out: &mut [u8], bell: &Doorbell) -> Option<usize> {
        self.reading.call_once(|| {
            let keys = self.keys.clone();
            let body = move || read_stdin(&keys);
            if let Err(e) = std::thread::Builder::new().name("semihosting".into()).spawn(body) {
                tracing::warn!("standard input cannot be read for the guest: {e}");
                self.keys.end();
            }
        });
        self.keys.take(out, bell)
    }

    /// Somebody sits at it.
    pub(super) fn is_terminal(&self, stream: Stream) -> bool {
        self.port.is_some()
            || match stream {
                Stream::Input => io::stdin().is_terminal(),
                Stream::Output => io::stdout().is_terminal(),
                Stream::Error => io::stderr().is_terminal(),
            }
    }
}

fn put(to: io::Result<standard::Stream>, bytes: &[u8]) -> io::Result<()> {
    let _writing = Writing::begin();
    to?.write_all(bytes)
}

/// The number of a host's error.
pub(super) fn number(e: &io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Carries what a port's user types.
fn feed(port: &Arc<Port>, keys: &Arc<Keys>) {
    let (queue, keys) = (port.input().clone(), keys.clone());
    port.input().set_notify(Arc::new(move || {
        let mut some = [0; 64];
        loop {
            match queue.take(&mut some) {
                0 => return,
                n => keys.push(&some[..n]),
            }
        }
    }));
}

fn read_stdin(keys: &Keys) {
    let mut buffer = [0; 1024];
    let Ok(mut input) = standard::Stream::input() else { return keys.end() };
    loop {
        match input.read(&mut buffer) {
            Ok(n @ 1..) => keys.push(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            _ => return keys.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waits is woken by the whole of what was read, and not by its first byte.
    #[test]
    fn what_was_read_at_once_is_taken_at_once() {
        let (keys, bell) = (Keys::default(), Doorbell::default());
        let line = [b'x'; 400];
        std::thread::scope(|s| {
            for _ in 0..100 {
                let pushed = s.spawn(|| keys.push(&line));
                assert_eq!(keys.take(&mut [0; 512], &bell), Some(line.len()));
                pushed.join().unwrap();
            }
        });
    }

    /// More than there is room for comes in order as it is taken.
    #[test]
    fn more_than_there_is_room_for() {
        let (keys, bell) = (Keys::default(), Doorbell::default());
        let text: Vec<u8> = (0..3 * CAPACITY).map(|n| n as u8).collect();
        let mut taken = Vec::new();
        std::thread::scope(|s| {
            s.spawn(|| {
                keys.push(&text);
                keys.end();
            });
            let mut some = [0; 300];
            while let Some(n @ 1..) = keys.take(&mut some, &bell) {
                taken.extend_from_slice(&some[..n]);
            }
        });
        assert!(taken == text);
    }
}
