//! A serial port's or console's other end.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::link::{Connector, Link, LinkOutput, Peer};
use super::pipe::Pipe;
use super::pty::Pty;
use super::ring::Ring;
use super::socket::Opened;
use super::testdev::TestDevice;
use crate::config::CharBackend;
use crate::error::{UserError, reason, user_error};
use crate::out;
use crate::quit::{OnQuit, Quit};
use crate::terminal::InputQueue;
use crate::terminal::keyboard::Keyboard;
use crate::terminal::output::{FileOutput, Output};
use crate::terminal::stream::Stream;

/// Sees what the guest sends.
pub type Watcher = Box<dyn Fn(&[u8]) + Send + Sync>;

/// What [`Port::begin`] has to do for a connection.
enum Beginning {
    Socket(Opened),
    Pty(Pty),
    Pipe(Pipe),
}

/// Where bytes go, and where they come from.
pub struct Port {
    output: Mutex<Box<dyn Output>>,
    input: Arc<InputQueue>,
    on_quit: OnQuit,
    watcher: OnceLock<Watcher>,
    /// Reads the input from [`Port::begin`] on.
    keyboard: Option<Keyboard>,
    /// What goes to somebody who may be slow, or not there.
    link: Option<Arc<Link>>,
    beginning: Mutex<Option<Beginning>>,
    /// Output may wait for the host.
    may_wait: bool,
    /// A copy of the output.
    log: Option<Mutex<FileOutput>>,
    /// The device that this one is a user of.
    below: Option<Arc<Port>>,
    ring: Option<Ring>,
}

impl Port {
    /// Opens a backend. All that can be refused is refused here, and nothing outside of this process has changed yet.
    pub fn open(backend: &CharBackend, on_quit: OnQuit) -> Result<Self, UserError> {
        let input = Arc::new(InputQueue::default());
        let simple = |output| Ok(Self::new(output, input.clone(), on_quit.clone(), None));
        match backend {
            CharBackend::Null => simple(Box::new(io::sink())),
            CharBackend::File(file) => simple(Box::new(FileOutput::open(file)?)),
            CharBackend::Append(file) => simple(Box::new(FileOutput::append(file)?)),
            CharBackend::TestDevice => {
                let device = Box::new(TestDevice::new(on_quit.clone()));
                let mut port = Self::new(device, input, on_quit, None);
                port.may_wait = false;
                Ok(port)
            }
            CharBackend::Ring { size } => {
                let ring = Ring::new(*size);
                let mut port = Self::new(Box::new(ring.clone()), input, on_quit, None);
                port.ring = Some(ring);
                Ok(port)
            }
            CharBackend::Stdio { escapes } => {
                let keyboard = Keyboard::start(!escapes, &input)?;
                let output = Stream::output();
                let output = output.map_err(|e| user_error!("cannot use standard output: {}", reason(&e)))?;
                Ok(Self::new(Box::new(output), input, on_quit, Some(keyboard)))
            }
            CharBackend::Socket(socket) => {
                Ok(Self::linked(Beginning::Socket(Opened::open(socket)?), input, on_quit))
            }
            CharBackend::Pty(given) => {
                let pty = Pty::open();
                let pty = pty.map_err(|e| {
                    user_error!("cannot make a terminal for {}: {}", given.option, reason(&e))
                })?;
                Ok(Self::linked(Beginning::Pty(pty), input, on_quit))
            }
            CharBackend::Pipe(path) => Ok(Self::linked(Beginning::Pipe(Pipe::open(path)?), input, on_quit)),
            CharBackend::Logged(inner, log) => {
                let copy =
                    if log.append { FileOutput::append(&log.file) } else { FileOutput::open(&log.file) };
                let mut port = Self::open(inner, on_quit)?;
                port.log = Some(Mutex::new(copy?));
                Ok(port)
            }
            CharBackend::Mux(_) => {
                Err(user_error!("a character device with several users is opened by its users"))
            }
        }
    }

    pub(super) fn new(
        output: Box<dyn Output>,
        input: Arc<InputQueue>,
        on_quit: OnQuit,
        keyboard: Option<Keyboard>,
    ) -> Self {
        Self {
            output: Mutex::new(output),
            input,
            on_quit,
            watcher: OnceLock::new(),
            keyboard,
            link: None,
            beginning: Mutex::new(None),
            may_wait: true,
            log: None,
            below: None,
            ring: None,
        }
    }

    fn linked(beginning: Beginning, input: Arc<InputQueue>, on_quit: OnQuit) -> Self {
        let link = Link::new(input.clone());
        let mut port = Self::new(Box::new(LinkOutput(link.clone())), input, on_quit, None);
        port.link = Some(link);
        port.beginning = Mutex::new(Some(beginning));
        port
    }

    /// One of several users of `below`, whose output goes there by `output`.
    #[must_use]
    pub fn on_top(
        below: Arc<Self>,
        output: Box<dyn Output>,
        input: Arc<InputQueue>,
        on_quit: OnQuit,
    ) -> Self {
        let mut port = Self::new(output, input, on_quit, None);
        port.below = Some(below);
        port
    }

    /// The machine begins: files are emptied, a terminal goes into raw mode, input is read, connections are made. `label`
    /// says in messages which port it is.
    pub fn begin(&self, label: &str) -> Result<(), UserError> {
        if let Some(log) = &self.log {
            log.lock().begin()?;
        }
        self.output.lock().begin()?;
        if let (Some(link), Some(beginning)) = (&self.link, self.beginning.lock().take()) {
            connect(link, beginning, label)?;
        }
        self.keyboard.as_ref().map_or(Ok(()), Keyboard::begin)
    }

    /// What the user types.
    #[must_use]
    pub fn input(&self) -> &Arc<InputQueue> {
        &self.input
    }

    /// The output that is kept, if that is what the backend does.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// From now on `watcher` sees what the guest sends, before it is put out and in the thread of the device or CPU that
    /// sends it. There can be one.
    pub fn watch(&self, watcher: Watcher) {
        // The first one stays.
        let _ = self.watcher.set(watcher);
    }

    fn link(&self) -> Option<&Link> {
        match &self.below {
            Some(below) => below.link(),
            None => self.link.as_deref(),
        }
    }

    /// Whether there is room for output. After a no, those of [`Port::on_room`] are told when there is.
    #[must_use]
    pub fn room(&self) -> bool {
        self.link().is_none_or(Link::room)
    }

    /// Whom to tell when there is room again.
    pub fn on_room(&self, told: Box<dyn Fn() + Send + Sync>) {
        if let Some(link) = self.link() {
            link.on_room(told);
        }
    }

    /// The address of who is at the other end of a connection.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.link().and_then(Link::peer)
    }

    /// Whether all that somebody has sent is in the machine's hands.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.link().is_none_or(Link::is_settled)
    }

    /// Waits until what was written is out, or for so long.
    pub fn drain(&self, limit: std::time::Duration) {
        if let Some(link) = self.link() {
            link.drain(limit);
        }
    }

    /// Whether somebody is at the other end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link().is_none_or(Link::is_open)
    }

    /// Whom to tell when somebody comes to the other end, or leaves it.
    pub fn on_open(&self, told: Box<dyn Fn(bool) + Send + Sync>) {
        if let Some(link) = self.link() {
            link.on_open(told);
        }
    }

    /// Whether [`Port::write`] may wait for the host.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.may_wait || self.log.is_some()
    }

    /// Puts out what the guest sends. If nobody can read standard output any more, the machine is asked to end; a full
    /// disk only loses output, as a disconnected wire would. What goes to a connection does not wait for it.
    pub fn write(&self, bytes: &[u8]) {
        if let Some(watcher) = self.watcher.get() {
            watcher(bytes);
        }
        if let Some(log) = &self.log {
            // The log of a disk that is full has gaps.
            lost(log.lock().write_all(bytes));
        }
        let mut out = self.output.lock();
        if let Err(e) = out.write_all(bytes).and_then(|()| out.flush()) {
            match e.kind() {
                io::ErrorKind::BrokenPipe => (self.on_quit)(Quit::OutputClosed),
                _ => lost(Err(e)),
            }
        }
    }
}

fn lost(written: io::Result<()>) {
    if let Err(e) = written {
        tracing::warn!("output of the guest is lost: {}", reason(&e));
    }
}

/// Makes the connection, or lets others make it.
fn connect(link: &Arc<Link>, beginning: Beginning, label: &str) -> Result<(), UserError> {
    let mut wait = false;
    let connector: Box<dyn Connector> = match beginning {
        Beginning::Pipe(pipe) => Box::new(pipe),
        Beginning::Pty(pty) => {
            // Scripts look for this line on standard output.
            let _ = out::print(&format!("char device redirected to {} (label {label})\n", pty.name));
            Box::new(pty)
        }
        Beginning::Socket(socket) => {
            wait = socket.waits();
            if let Some(line) = socket.announcement() {
                out::say(&format!("understage: {line}\n"));
            }
            socket.begin()?
        }
    };
    link.serve(label, connector)
        .map_err(|e| user_error!("cannot start a thread for {label}: {}", reason(&e)))?;
    if wait {
        link.wait();
    }
    Ok(())
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
        port.begin("serial0").unwrap();
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
