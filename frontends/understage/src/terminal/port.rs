//! A serial port's or console's other end.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::escape::{Escape, Event, HELP};
use super::raw::{self, RawMode};
use super::{InputQueue, OnQuit, Quit};
use crate::config::CharBackend;
use crate::error::{UserError, reason};
use crate::user_error;

/// Sees what the guest sends.
pub type Watcher = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Where bytes go, and where they come from.
pub struct Port {
    output: Mutex<Box<dyn Write + Send>>,
    input: Arc<InputQueue>,
    on_quit: OnQuit,
    watcher: OnceLock<Watcher>,
    /// The terminal stays in raw mode as long as its port lives.
    _raw: Option<RawMode>,
}

impl Port {
    /// Opens a backend. For stdio this puts a terminal into raw mode; its input is read from now on.
    pub fn open(backend: &CharBackend, on_quit: OnQuit) -> Result<Self, UserError> {
        let input = Arc::new(InputQueue::default());
        let (output, raw): (Box<dyn Write + Send>, _) = match backend {
            CharBackend::Null => (Box::new(io::sink()), None),
            CharBackend::File(file) => {
                let opened = File::create(&file.value);
                let opened =
                    opened.map_err(|e| user_error!("cannot create {}: {}", file.describe(), reason(&e)))?;
                (Box::new(opened), None)
            }
            CharBackend::Stdio { escapes } => {
                let raw = raw::enter(!escapes)
                    .map_err(|e| user_error!("cannot put the terminal into raw mode: {}", reason(&e)))?;
                // Keys are only special when somebody types them.
                let escape = (*escapes && io::stdin().is_terminal()).then(Escape::default);
                read_stdin(&input, escape, on_quit.clone())
                    .map_err(|e| user_error!("cannot start a thread: {}", reason(&e)))?;
                (Box::new(io::stdout()), raw)
            }
        };
        Ok(Self { output: Mutex::new(output), input, on_quit, watcher: OnceLock::new(), _raw: raw })
    }

    /// What the user types.
    #[must_use]
    pub fn input(&self) -> &Arc<InputQueue> {
        &self.input
    }

    /// From now on `watcher` sees what the guest sends, before it is put out and in the thread of the device or CPU that
    /// sends it. There can be one.
    pub fn watch(&self, watcher: Watcher) {
        // The first one stays.
        let _ = self.watcher.set(watcher);
    }

    /// Puts out what the guest sends, at once. If nobody can read it any more, the machine is asked to end; a full
    /// disk only loses output, as a disconnected wire would.
    pub fn write(&self, bytes: &[u8]) {
        if let Some(watcher) = self.watcher.get() {
            watcher(bytes);
        }
        let mut out = self.output.lock();
        if let Err(e) = out.write_all(bytes).and_then(|()| out.flush()) {
            match e.kind() {
                ErrorKind::BrokenPipe => (self.on_quit)(Quit::OutputClosed),
                _ => tracing::warn!("output of the guest is lost: {e}"),
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.input.close();
    }
}

/// Reads standard input in a thread of its own, which ends with the input or with the process.
fn read_stdin(queue: &Arc<InputQueue>, escape: Option<Escape>, on_quit: OnQuit) -> io::Result<()> {
    let queue = queue.clone();
    let body = move || pump(&mut io::stdin().lock(), &queue, escape, &on_quit, &mut io::stdout());
    std::thread::Builder::new().name("stdin".into()).spawn(body).map(drop)
}

/// Carries bytes from `source` to `queue` until one of them ends.
fn pump(
    source: &mut dyn Read,
    queue: &InputQueue,
    mut escape: Option<Escape>,
    on_quit: &OnQuit,
    help: &mut dyn Write,
) {
    let mut buffer = [0; 1024];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut bytes = Vec::with_capacity(n);
        for byte in &buffer[..n] {
            match escape.as_mut().map_or(Some(Event::Byte(*byte)), |e| e.feed(*byte)) {
                Some(Event::Byte(b)) => bytes.push(b),
                // Quitting must work even when the guest takes no input.
                Some(Event::Quit) => return on_quit(Quit::Keys),
                Some(Event::Help) => {
                    let _ = help.write_all(HELP.as_bytes()).and_then(|()| help.flush());
                }
                None => {}
            }
        }
        if !queue.push(&bytes) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostFile;

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
        let mut keys: &[u8] = b"ab\x01hc\x01x";
        pump(&mut keys, &queue, Some(Escape::default()), &quit, &mut help);
        assert_eq!(*seen.lock(), [Quit::Keys]);
        assert_eq!(help, HELP.as_bytes());
    }

    #[test]
    fn piped_input_has_none_and_its_end_is_not_the_machines() {
        let (quit, seen) = collect();
        let queue = InputQueue::default();
        pump(&mut &b"a\x01x"[..], &queue, None, &quit, &mut Vec::new());
        assert_eq!(taken(&queue), b"a\x01x");
        assert!(seen.lock().is_empty());
    }

    #[test]
    fn files_and_null() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = CharBackend::File(HostFile::new("--serial", path.clone()));
        let (quit, _) = collect();
        let port = Port::open(&file, quit.clone()).unwrap();
        port.write(b"hello");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        let gone = CharBackend::File(HostFile::new("--serial", "/no/such/log"));
        let e = Port::open(&gone, quit.clone()).err().unwrap().to_string();
        assert_eq!(e, "cannot create '/no/such/log' given with --serial: No such file or directory");
        Port::open(&CharBackend::Null, quit).unwrap().write(b"x");
    }

    #[test]
    fn a_reader_that_left_ends_the_machine() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (on_quit, seen) = collect();
        let input = Arc::new(InputQueue::default());
        let port = Port {
            output: Mutex::new(Box::new(Broken)),
            input,
            on_quit,
            watcher: OnceLock::new(),
            _raw: None,
        };
        port.write(b"x");
        assert_eq!(*seen.lock(), [Quit::OutputClosed]);
        assert_eq!(Quit::OutputClosed.status(), 141);
        assert_eq!(Quit::Signal(15).status(), 143);
    }
}
