//! Standard input: a thread reads it and queues it.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use super::stream::Stream;
use super::{InputQueue, raw};
use crate::error::{UserError, reason, user_error};

/// How often a process in the background looks whether the terminal is its own again.
const BACKGROUND: Duration = Duration::from_millis(200);

/// The reader of standard input.
pub struct Keyboard {
    /// Ctrl-C and Ctrl-Z keep their meaning.
    signals: bool,
    /// A word here and the thread begins.
    begin: SyncSender<()>,
}

impl Keyboard {
    /// Starts the thread, which reads nothing before [`Keyboard::begin`]. It ends with the input, or with the process.
    pub(crate) fn start(signals: bool, queue: &Arc<InputQueue>) -> Result<Self, UserError> {
        let mut source =
            Stream::input().map_err(|e| user_error!("cannot use standard input: {}", reason(&e)))?;
        let (queue, (begin, begun)) = (queue.clone(), sync_channel(1));
        let body = move || {
            // Whoever reads the terminal from the background gets an error, and is not stopped.
            let signals: SigSet = [Signal::SIGTTIN, Signal::SIGTTOU].into_iter().collect();
            if begun.recv().is_ok() && signals.thread_block().is_ok() {
                read_on(&mut source, &queue);
            }
        };
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(body)
            .map_err(|e| user_error!("cannot start a thread for standard input: {}", reason(&e)))?;
        Ok(Self { signals, begin })
    }

    /// Puts a terminal into raw mode and begins to read.
    pub(crate) fn begin(&self) -> Result<(), UserError> {
        raw::enter(self.signals)
            .map_err(|e| user_error!("cannot put the terminal into raw mode: {}", reason(&e)))?;
        // If it has begun already, it goes on.
        let _ = self.begin.try_send(());
        Ok(())
    }
}

/// Reads until the input ends. While another process has the terminal, waits for its return.
fn read_on(source: &mut dyn Read, queue: &InputQueue) {
    while let Err(e) = pump(source, queue) {
        if e.raw_os_error() != Some(nix::errno::Errno::EIO as i32) || !raw::is_in_background() {
            return;
        }
        while raw::is_in_background() {
            std::thread::sleep(BACKGROUND);
        }
        raw::reenter();
    }
}

/// Carries bytes from `source` to `queue` until one of them ends, or the source fails.
fn pump(source: &mut dyn Read, queue: &InputQueue) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) if queue.push(&buffer[..n]) => {}
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_arrive() {
        let queue = InputQueue::default();
        pump(&mut &b"a\x01x"[..], &queue).unwrap();
        let mut out = [0; 100];
        let n = queue.take(&mut out);
        assert_eq!(out[..n], *b"a\x01x");
    }
}
