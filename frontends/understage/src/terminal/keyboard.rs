//! Standard input: a thread reads it, looks for the keys that mean something to the machine, and queues the rest.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use super::escape::{Escape, Event, HELP};
use super::stream::Stream;
use super::{InputQueue, OnQuit, Quit, raw};
use crate::error::{UserError, reason};
use crate::user_error;

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
    pub(super) fn start(
        signals: bool,
        escape: Option<Escape>,
        queue: &Arc<InputQueue>,
        on_quit: OnQuit,
    ) -> Result<Self, UserError> {
        let standard = |e: &io::Error| user_error!("cannot use standard input and output: {}", reason(e));
        let (mut source, mut help) =
            (Stream::input().map_err(|e| standard(&e))?, Stream::output().map_err(|e| standard(&e))?);
        let (queue, (begin, begun)) = (queue.clone(), sync_channel(1));
        let body = move || {
            // Whoever reads the terminal from the background gets an error, and is not stopped.
            let signals: SigSet = [Signal::SIGTTIN, Signal::SIGTTOU].into_iter().collect();
            if begun.recv().is_ok() && signals.thread_block().is_ok() {
                read_on(&mut source, &queue, escape, &on_quit, &mut help);
            }
        };
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(body)
            .map_err(|e| user_error!("cannot start a thread for standard input: {}", reason(&e)))?;
        Ok(Self { signals, begin })
    }

    /// Puts a terminal into raw mode and begins to read.
    pub(super) fn begin(&self) -> Result<(), UserError> {
        raw::enter(self.signals)
            .map_err(|e| user_error!("cannot put the terminal into raw mode: {}", reason(&e)))?;
        // If it has begun already, it goes on.
        let _ = self.begin.try_send(());
        Ok(())
    }
}

/// Reads until the input ends. While another process has the terminal, waits for its return.
fn read_on(
    source: &mut dyn Read,
    queue: &InputQueue,
    mut escape: Option<Escape>,
    on_quit: &OnQuit,
    help: &mut dyn Write,
) {
    while let Err(e) = pump(source, queue, &mut escape, on_quit, help) {
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
pub fn pump(
    source: &mut dyn Read,
    queue: &InputQueue,
    escape: &mut Option<Escape>,
    on_quit: &OnQuit,
    help: &mut dyn Write,
) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let Some(escape) = escape else {
            if queue.push(&buffer[..n]) {
                continue;
            }
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(n);
        for event in buffer[..n].iter().filter_map(|byte| escape.feed(*byte)) {
            match event {
                Event::Byte(b) => bytes.push(b),
                Event::Quit => on_quit(Quit::Keys),
                Event::Help => {
                    let _ = help.write_all(HELP.as_bytes()).and_then(|()| help.flush());
                }
            }
        }
        // The keys for the machine must be read even when the guest takes no input.
        if queue.offer(&bytes) < bytes.len() {
            tracing::warn!("keys are lost: the guest has not taken those before them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    fn collect() -> (OnQuit, Arc<Mutex<Vec<Quit>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let s = seen.clone();
        (Arc::new(move |q| s.lock().push(q)), seen)
    }

    fn taken(queue: &InputQueue) -> Vec<u8> {
        let mut out = [0; 100];
        let n = queue.take(&mut out);
        out[..n].to_vec()
    }

    #[test]
    fn typed_input_has_escapes() {
        let (quit, seen) = collect();
        let (queue, mut help) = (InputQueue::default(), Vec::new());
        let mut keys: &[u8] = b"ab\x01hc\x01xd";
        pump(&mut keys, &queue, &mut Some(Escape::default()), &quit, &mut help).unwrap();
        assert_eq!(*seen.lock(), [Quit::Keys]);
        assert_eq!(help, HELP.as_bytes());
        assert_eq!(taken(&queue), b"abcd");
    }

    #[test]
    fn piped_input_has_none_and_its_end_is_not_the_machines() {
        let (quit, seen) = collect();
        let queue = InputQueue::default();
        pump(&mut &b"a\x01x"[..], &queue, &mut None, &quit, &mut Vec::new()).unwrap();
        assert_eq!(taken(&queue), b"a\x01x");
        assert!(seen.lock().is_empty());
    }

    #[test]
    fn quitting_works_when_the_guest_takes_no_input() {
        let (quit, seen) = collect();
        let mut keys = vec![b'k'; 3 << 20];
        keys.extend(b"\x01x");
        let queue = InputQueue::default();
        pump(&mut &keys[..], &queue, &mut Some(Escape::default()), &quit, &mut Vec::new()).unwrap();
        assert_eq!(*seen.lock(), [Quit::Keys]);
    }
}
