//! The thread, and what devices see of it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use emu_devices::net::{MAX_FRAME, NetBackend, NetClient, Receipt};
use parking_lot::{Condvar, Mutex};

use crate::config::Config;
use crate::counts::Counts;
use crate::engine::{Engine, Turn};
use crate::forward_rule::{Forward, Protocol};
use crate::packet::ETHERNET;
use crate::show;
use crate::watch::Watch;

/// Frames of the guest that wait for the thread; what comes after them is lost.
const FRAMES: usize = 4096;
/// Bytes of them.
const BYTES: usize = 16 << 20;

/// A network of the host's sockets. Connections do not survive that the machine is saved and restored: to the guest they are
/// then ones that nobody knows, and are reset.
pub struct UserNet {
    name: String,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    watch: Arc<Watch>,
    engine: Mutex<Engine>,
    state: Mutex<State>,
    changed: Condvar,
    client: OnceLock<Weak<dyn NetClient>>,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The bell was rung since the thread last took frames.
    rung: bool,
    running: bool,
    ended: bool,
    /// The thread does something that may end in a frame for the guest.
    busy: bool,
    /// The guest told of room since the last frame was begun.
    room: bool,
}

impl UserNet {
    /// A network, which listens at the ports that are to be forwarded.
    ///
    /// # Errors
    /// The configuration is none, or the host refuses a socket.
    pub fn new(name: &str, config: Config) -> io::Result<Arc<Self>> {
        config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let watch = Arc::new(Watch::new()?);
        let engine = Mutex::new(Engine::new(config, Arc::clone(&watch))?);
        let shared = Shared {
            watch,
            engine,
            state: Mutex::default(),
            changed: Condvar::new(),
            client: OnceLock::new(),
        };
        Ok(Arc::new(Self { name: name.to_owned(), shared: Arc::new(shared), thread: Mutex::new(None) }))
    }

    /// Forwards a port more. Says where it listens.
    ///
    /// # Errors
    /// The host refuses the socket.
    pub fn add_forward(&self, rule: Forward) -> io::Result<SocketAddrV4> {
        self.shared.engine.lock().add_forward(rule)
    }

    /// Forwards a port no more. Says whether it was.
    pub fn remove_forward(&self, protocol: Protocol, listen: SocketAddrV4) -> bool {
        self.shared.engine.lock().remove_forward(protocol, listen)
    }

    /// The connections that there are, for monitors.
    pub fn show(&self) -> String {
        show::table(&self.shared.engine.lock())
    }

    /// What happened to frames.
    pub fn counts(&self) -> Counts {
        self.shared.engine.lock().counts()
    }
}

impl NetBackend for UserNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn connect(&self, client: Weak<dyn NetClient>) {
        let again = self.shared.client.set(client).is_err();
        debug_assert!(!again, "a backend has one client");
    }

    fn start(&self) -> io::Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let run = move || shared.run();
            *thread = Some(std::thread::Builder::new().name(format!("net {}", self.name)).spawn(run)?);
        }
        self.shared.state.lock().running = true;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn pause(&self) {
        let mut state = self.shared.state.lock();
        state.running = false;
        self.shared.watch.ring();
        while state.busy {
            self.shared.changed.wait(&mut state);
        }
    }

    fn halt(&self) {
        self.pause();
        self.shared.state.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It has no way to panic that would be new to anybody.
            let _ = thread.join();
        }
    }

    fn send(&self, frame: &[u8]) {
        if !(ETHERNET..=MAX_FRAME).contains(&frame.len()) {
            return;
        }
        let mut state = self.shared.state.lock();
        if !state.running || state.frames.len() >= FRAMES || state.bytes + frame.len() > BYTES {
            return;
        }
        state.bytes += frame.len();
        state.frames.push_back(frame.to_vec());
        let rung = std::mem::replace(&mut state.rung, true);
        drop(state);
        if !rung {
            self.shared.watch.ring();
        }
    }

    fn room(&self) {
        let mut state = self.shared.state.lock();
        state.room = true;
        let rung = std::mem::replace(&mut state.rung, true);
        drop(state);
        if !rung {
            self.shared.watch.ring();
        }
    }
}

/// The host's time while the machine runs.
struct Time {
    before: Duration,
    since: Instant,
}

impl Time {
    fn now(&self) -> Duration {
        self.before + self.since.elapsed()
    }

    fn stand(&mut self) {
        self.before = self.now();
    }

    fn go_on(&mut self) {
        self.since = Instant::now();
    }
}

impl Shared {
    /// The thread.
    fn run(&self) {
        let mut time = Time { before: Duration::ZERO, since: Instant::now() };
        let mut waiting = VecDeque::new();
        let mut due = Duration::ZERO;
        // Whether the guest has no room for what waits.
        let mut full = false;
        loop {
            let ready = self.watch.wait(Some(millis(due)));
            let mut state = self.state.lock();
            if !state.running {
                state.busy = false;
                self.changed.notify_all();
                time.stand();
                while !state.running && !state.ended {
                    self.changed.wait(&mut state);
                }
                time.go_on();
            }
            if state.ended {
                return;
            }
            state.busy = true;
            state.rung = false;
            full &= !state.room;
            state.bytes = 0;
            let frames = std::mem::take(&mut state.frames);
            drop(state);
            let bytes = waiting.iter().map(Vec::len).sum();
            let turn = self.engine.lock().turn(time.now(), frames.into_iter(), &ready, bytes);
            let Turn { frames, more, due: next } = turn;
            waiting.extend(frames);
            full = full || self.deliver(&mut waiting);
            // While the guest takes nothing, its telling of room is what is waited for.
            due = if more && !full { Duration::ZERO } else { next };
            if full {
                due = due.max(PATIENCE);
            }
        }
    }

    /// Gives frames to the guest. Says whether it has no room.
    fn deliver(&self, waiting: &mut VecDeque<Vec<u8>>) -> bool {
        let client = self.client.get().and_then(Weak::upgrade);
        while let Some(frame) = waiting.front() {
            {
                let mut state = self.state.lock();
                if !state.running {
                    return false;
                }
                state.room = false;
            }
            let receipt = client.as_ref().map_or(Receipt::Taken, |client| client.receive(frame));
            if receipt == Receipt::NoRoom {
                if !self.state.lock().room {
                    return true;
                }
            } else {
                waiting.pop_front();
            }
        }
        false
    }
}

/// How often timers are looked at while the guest takes nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// Milliseconds to wait: not less than the time, and not for ever.
fn millis(time: Duration) -> u16 {
    u16::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u16::MAX)
}
