//! Where frames for a device arrive, and wait for it.

use std::collections::VecDeque;
use std::sync::{OnceLock, Weak};

use parking_lot::{Condvar, Mutex};

use super::{MAX_FRAME, NetClient, Receipt};

/// Frames that wait for a device that has no room; what comes after them is lost.
const WAITING: usize = 256;

/// The part of a back end that gives frames to its device, without a thread: on the thread that brings a frame, or on the one
/// that tells of room. [`Inbox::pause`] waits until the device has taken the frame that is being given to it, so it is not
/// called from [`NetClient::receive`].
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    idle: Condvar,
    client: OnceLock<Weak<dyn NetClient>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    running: bool,
    /// A thread gives frames to the device: it gives those, too, that come meanwhile, so that two devices that answer
    /// each other do not nest.
    delivering: bool,
    /// The device has no room, and has not told of any since.
    full: bool,
    /// The device told of room since the last frame was begun.
    room: bool,
}

impl Inbox {
    /// Who takes the frames; said once.
    pub fn connect(&self, client: Weak<dyn NetClient>) {
        let again = self.client.set(client).is_err();
        debug_assert!(!again, "a backend has one client");
    }

    /// Tells the device that there is a connection now, or that there is none.
    pub fn link(&self, up: bool) {
        if let Some(client) = self.client.get().and_then(Weak::upgrade) {
            client.link(up);
        }
    }

    /// A frame has come. One that is none, or that comes while the device is paused, is lost.
    pub fn take(&self, frame: &[u8]) {
        if !(1..=MAX_FRAME).contains(&frame.len()) {
            return;
        }
        let mut state = self.state.lock();
        if !state.running || state.waiting.len() >= WAITING {
            return;
        }
        state.waiting.push_back(frame.to_vec());
        drop(state);
        self.deliver();
    }

    /// So many frames wait that it is time not to bring more of them, for who can leave them where they are.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.running && state.waiting.len() >= WAITING / 2
    }

    fn deliver(&self) {
        let mut state = self.state.lock();
        if state.delivering {
            return;
        }
        state.delivering = true;
        while state.running && !state.full {
            let Some(frame) = state.waiting.pop_front() else { break };
            state.room = false;
            drop(state);
            let client = self.client.get().and_then(Weak::upgrade);
            let receipt = client.map_or(Receipt::Taken, |client| client.receive(&frame));
            state = self.state.lock();
            if receipt == Receipt::NoRoom {
                state.full = !state.room;
                state.waiting.push_front(frame);
            }
        }
        state.delivering = false;
        self.idle.notify_all();
    }

    /// See [`super::NetBackend::start`].
    pub fn start(&self) {
        self.state.lock().running = true;
        self.deliver();
    }

    /// See [`super::NetBackend::pause`].
    pub fn pause(&self) {
        let mut state = self.state.lock();
        state.running = false;
        while state.delivering {
            self.idle.wait(&mut state);
        }
    }

    /// The end: what waits is dropped.
    pub fn halt(&self) {
        self.pause();
        self.state.lock().waiting.clear();
    }

    /// See [`super::NetBackend::room`].
    pub fn room(&self) {
        let mut state = self.state.lock();
        state.full = false;
        state.room = true;
        drop(state);
        self.deliver();
    }
}
