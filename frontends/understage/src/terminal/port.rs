//! A serial port's or console's other end.

use std::io::{self, IsTerminal};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::escape::Escape;
use super::keyboard::Keyboard;
use super::output::{FileOutput, Output};
use super::stream::Stream;
use super::{InputQueue, OnQuit, Quit};
use crate::config::CharBackend;
use crate::error::{UserError, reason};
use crate::out::Writing;
use crate::user_error;

/// Sees what the guest sends.
pub type Watcher = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Where bytes go, and where they come from.
pub struct Port {
    output: Mutex<Box<dyn Output>>,
    input: Arc<InputQueue>,
    on_quit: OnQuit,
    watcher: OnceLock<Watcher>,
    /// Reads the input from [`Port::begin`] on.
    keyboard: Option<Keyboard>,
}

impl Port {
    /// Opens a backend. All that can be refused is refused here, and nothing outside of this process has changed yet.
    pub fn open(backend: &CharBackend, on_quit: OnQuit) -> Result<Self, UserError> {
        let input = Arc::new(InputQueue::default());
        let mut keyboard = None;
        let output: Box<dyn Output> = match backend {
            CharBackend::Null => Box::new(io::sink()),
            CharBackend::File(file) => Box::new(FileOutput::open(file)?),
            CharBackend::Stdio { escapes } => {
                // Keys are only special when somebody types them.
                let escape = (*escapes && io::stdin().is_terminal()).then(Escape::default);
                keyboard = Some(Keyboard::start(!escapes, escape, &input, on_quit.clone())?);
                let output = Stream::output();
                Box::new(output.map_err(|e| user_error!("cannot use standard output: {}", reason(&e)))?)
            }
        };
        Ok(Self::new(output, input, on_quit, keyboard))
    }

    fn new(
        output: Box<dyn Output>,
        input: Arc<InputQueue>,
        on_quit: OnQuit,
        keyboard: Option<Keyboard>,
    ) -> Self {
        Self { output: Mutex::new(output), input, on_quit, watcher: OnceLock::new(), keyboard }
    }

    /// The machine begins: files are emptied, a terminal goes into raw mode, input is read.
    pub fn begin(&self) -> Result<(), UserError> {
        self.output.lock().begin()?;
        self.keyboard.as_ref().map_or(Ok(()), Keyboard::begin)
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
        let _writing = Writing::begin();
        let mut out = self.output.lock();
        if let Err(e) = out.write_all(bytes).and_then(|()| out.flush()) {
            match e.kind() {
                io::ErrorKind::BrokenPipe => (self.on_quit)(Quit::OutputClosed),
                _ => tracing::warn!("output of the guest is lost: {}", reason(&e)),
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.input.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostFile;
    use std::io::Write;

    fn collect() -> (OnQuit, Arc<Mutex<Vec<Quit>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let s = seen.clone();
        (Arc::new(move |q| s.lock().push(q)), seen)
    }

    #[test]
    fn files_and_null() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = CharBackend::File(HostFile::new("--serial", path.clone()));
        let (quit, _) = collect();
        let port = Port::open(&file, quit.clone()).unwrap();
        port.begin().unwrap();
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
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Output for Broken {}
        let (on_quit, seen) = collect();
        Port::new(Box::new(Broken), Arc::default(), on_quit, None).write(b"x");
        assert_eq!(*seen.lock(), [Quit::OutputClosed]);
        assert_eq!(Quit::OutputClosed.status(), 141);
        assert_eq!(Quit::Signal(15).status(), 143);
    }
}
