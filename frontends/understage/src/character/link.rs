//! A connection to somebody outside, who may come, go and come again.
//!
//! What the machine sends waits in a queue of bounded length for a thread that puts it out, so that a vCPU never waits for
//! the other side. While nobody is there it is dropped, as on a wire that is not plugged in.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::{Condvar, Mutex};

use super::telnet::{self, Telnet};
use crate::error::reason;
use crate::terminal::InputQueue;
use crate::terminal::output::Output;

/// Bytes that wait at most before the sender is told to wait; a console may then add one more request.
const FULL: usize = 64 << 10;
/// Bytes that wait at all: what a sender that does not look whether there is room sends beyond them is lost.
const MOST: usize = FULL + (4 << 20);
/// There is room again when no more than this is left.
const ROOM: usize = FULL / 2;
/// How often a thread looks whether its connection has ended elsewhere, in milliseconds.
const LOOK: u16 = 250;
/// POLLRDHUP: the other side sends no more.
const HUNG_UP: PollFlags = PollFlags::from_bits_retain(0x2000);

/// One connection: where bytes come from and where they go.
pub struct Wire {
    input: File,
    output: File,
    telnet: bool,
}

impl Wire {
    /// A connection of which both ends are ours alone: they do not block from now on.
    pub fn new(input: File, output: File, telnet: bool) -> io::Result<Self> {
        for file in [&input, &output] {
            set_nonblocking(file)?;
        }
        Ok(Self { input, output, telnet })
    }
}

fn set_nonblocking(file: &File) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Who is at the other end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// By its address.
    Tcp(net::SocketAddr),
    /// By the path of the socket, if it has one.
    Unix(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{}:{}", address.ip(), address.port()),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Where connections come from.
pub trait Connector: Send {
    /// Waits for the next connection; `None` if there will be none.
    fn next(&mut self) -> Option<Wire>;
}

/// Told of room for output, or of somebody's coming and going. No lock of the link's is held.
type Told = Box<dyn Fn() + Send + Sync>;
type ToldOpen = Box<dyn Fn(bool) + Send + Sync>;

#[derive(Default)]
struct State {
    output: VecDeque<u8>,
    /// Somebody is there.
    open: bool,
    /// They speak the telnet protocol.
    telnet: bool,
    /// Somebody was there at least once, or nobody will ever be.
    settled: bool,
    /// The sender was told to wait.
    wanted: bool,
    /// Some of the output is on its way.
    sending: bool,
}

/// See the module's head.
pub struct Link {
    state: Mutex<State>,
    changed: Condvar,
    input: Arc<InputQueue>,
    on_room: Mutex<Vec<Told>>,
    on_open: Mutex<Vec<ToldOpen>>,
    /// Where input comes from, for a look whether there is some.
    source: Mutex<Option<File>>,
    /// Input is on its way from there to the machine.
    taking: AtomicBool,
}

impl Link {
    /// A link with nobody at its other end, whose input goes to `input`.
    pub fn new(input: Arc<InputQueue>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            input,
            on_room: Mutex::default(),
            on_open: Mutex::default(),
            source: Mutex::default(),
            taking: AtomicBool::new(false),
        })
    }

    /// Whether there is room for output. After a no, those who want to know are told when there is.
    pub fn room(&self) -> bool {
        let mut state = self.state.lock();
        let room = state.output.len() < FULL;
        state.wanted |= !room;
        room
    }

    /// Whether somebody is there.
    pub fn is_open(&self) -> bool {
        self.state.lock().open
    }

    /// Whom to tell when there is room again.
    pub fn on_room(&self, told: Told) {
        self.on_room.lock().push(told);
    }

    /// Whom to tell when somebody comes or goes.
    pub fn on_open(&self, told: ToldOpen) {
        self.on_open.lock().push(told);
    }

    /// Whether all input that has arrived is in the machine's hands.
    pub fn is_settled(&self) -> bool {
        let arrived = |source: &File| {
            let mut fds = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
        };
        // In this order: what is no longer there is on its way, and what is not on its way has arrived.
        !self.source.lock().as_ref().is_some_and(arrived) && !self.taking.load(Ordering::Acquire)
    }

    /// The address of who is there; of two paths the one that is not empty.
    pub fn peer(&self) -> Option<Peer> {
        let fd = || Some(OwnedFd::from(self.source.lock().as_ref()?.try_clone().ok()?));
        if let Ok(address) = TcpStream::from(fd()?).peer_addr() {
            return Some(Peer::Tcp(address));
        }
        let unix = UnixStream::from(fd()?);
        let path = |address: io::Result<SocketAddr>| Some(address.ok()?.as_pathname()?.display().to_string());
        let path = path(unix.peer_addr()).or_else(|| path(unix.local_addr()));
        Some(Peer::Unix(path.unwrap_or_default()))
    }

    /// Sends `bytes`, if somebody is there.
    pub fn send(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        if state.open && state.output.len() < MOST {
            if state.telnet {
                state.output.extend(telnet::escaped(bytes));
            } else {
                state.output.extend(bytes);
            }
            self.changed.notify_all();
        }
    }

    /// Waits until all output is out, or nobody is there, or for so long.
    pub fn drain(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        while state.open && (state.sending || !state.output.is_empty()) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// Waits until somebody is there for the first time.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while !state.settled {
            self.changed.wait(&mut state);
        }
    }

    /// Starts the thread that serves one connection after the other.
    pub fn serve(self: &Arc<Self>, name: &str, mut connector: Box<dyn Connector>) -> io::Result<()> {
        let link = self.clone();
        let body = move || {
            while let Some(mut wire) = connector.next() {
                link.carry(&mut wire);
            }
            link.state.lock().settled = true;
            link.changed.notify_all();
        };
        thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
    }

    /// Carries bytes both ways until the connection ends.
    fn carry(&self, wire: &mut Wire) {
        let telnet = wire.telnet;
        *self.source.lock() = wire.input.try_clone().ok();
        self.set_open(true, telnet);
        let Wire { input, output, .. } = wire;
        thread::scope(|scope| {
            let sender = thread::Builder::new().name("link-out".to_owned());
            let sender = sender.spawn_scoped(scope, || {
                self.put_out(output);
                self.set_open(false, false);
            });
            match sender {
                Ok(_) => self.take_in(input, telnet),
                Err(e) => tracing::warn!("a connection is closed: {}", reason(&e)),
            }
            self.set_open(false, false);
        });
        *self.source.lock() = None;
        self.taking.store(false, Ordering::Release);
    }

    fn set_open(&self, open: bool, telnet: bool) {
        let changed = {
            let mut state = self.state.lock();
            state.output.clear();
            state.telnet = telnet;
            if telnet {
                state.output.extend(telnet::GREETING);
            }
            state.settled |= open;
            self.changed.notify_all();
            std::mem::replace(&mut state.open, open) != open
        };
        if changed {
            self.on_open.lock().iter().for_each(|told| told(open));
            self.notify_writers();
        }
    }

    /// Notifies writers that were told to wait: there is room, or nobody to send to.
    fn notify_writers(&self) {
        let wanted = std::mem::take(&mut self.state.lock().wanted);
        if wanted {
            self.on_room.lock().iter().for_each(|told| told());
        }
    }

    fn take_in(&self, source: &mut File, telnet: bool) {
        let mut filter = telnet.then(Telnet::default);
        let mut buffer = [0; 4096];
        self.take_all(source, &mut filter, &mut buffer);
    }

    fn take_all(&self, source: &mut File, filter: &mut Option<Telnet>, buffer: &mut [u8]) {
        while self.is_open() {
            self.taking.store(true, Ordering::Release);
            let n = match source.read(buffer) {
                Ok(0) => return,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.taking.store(false, Ordering::Release);
                    look(source, PollFlags::POLLIN);
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let received = &buffer[..n];
            let filtered = filter.as_mut().map(|f| f.receive(received));
            if !self.give(source, filtered.as_deref().unwrap_or(received)) {
                return;
            }
        }
    }

    /// Gives input to the machine, and waits while that takes none. False if the other side left meanwhile.
    fn give(&self, source: &File, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let taken = self.input.offer(bytes);
            bytes = &bytes[taken..];
            if taken == 0 {
                let events = look(source, HUNG_UP);
                if !self.is_open() || events.intersects(HUNG_UP | PollFlags::POLLHUP | PollFlags::POLLERR) {
                    return false;
                }
            }
        }
        true
    }

    fn put_out(&self, sink: &mut File) {
        let mut some = Vec::new();
        loop {
            let has_room;
            {
                let mut state = self.state.lock();
                state.sending = false;
                self.changed.notify_all();
                while state.output.is_empty() && state.open {
                    self.changed.wait(&mut state);
                }
                if !state.open {
                    return;
                }
                let n = state.output.len().min(4096);
                some.extend(state.output.drain(..n));
                state.sending = true;
                has_room = state.output.len() <= ROOM;
            }
            if has_room {
                self.notify_writers();
            }
            if !self.write_all(sink, &some) {
                return;
            }
            some.clear();
        }
    }

    /// False if the connection has ended.
    fn write_all(&self, sink: &mut File, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match sink.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    look(sink, PollFlags::POLLOUT);
                    if !self.is_open() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }
}

/// Waits for an event, or until it is time to look at other things.
fn look(file: &File, events: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(file.as_fd(), events)];
    match poll(&mut fds, PollTimeout::from(LOOK)) {
        Ok(_) => fds[0].revents().unwrap_or(PollFlags::empty()),
        Err(_) => PollFlags::empty(),
    }
}

/// What is written goes to a link.
pub struct LinkOutput(pub Arc<Link>);

impl Write for LinkOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Output for LinkOutput {}
