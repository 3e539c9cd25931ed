//! Bytes on their way to the guest. A UART has a small FIFO and a guest may be slow, so whoever reads the host's input
//! waits here for room, and nothing is lost.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Bytes that wait at most before whoever reads a pipe waits, too.
const CAPACITY: usize = 4096;
/// Keys that wait at most. Their reader must not wait; this is more than anybody pastes.
const KEYS: usize = 1 << 20;

type Notify = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    closed: bool,
    notify: Option<Notify>,
}

/// A queue from the host's input to a device.
#[derive(Default)]
pub struct InputQueue {
    state: Mutex<State>,
    room: Condvar,
}

impl InputQueue {
    /// Whom to tell when bytes arrive; told at once if some are there. The callback takes them with
    /// [`InputQueue::take`], now or whenever the device has room.
    pub fn set_notify(&self, notify: Notify) {
        let mut state = self.state.lock();
        state.notify = Some(notify.clone());
        let waiting = !state.bytes.is_empty();
        drop(state);
        if waiting {
            notify();
        }
    }

    /// Adds bytes and waits while there is no room for them. False if the queue was closed.
    pub fn push(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let mut state = self.state.lock();
            while state.bytes.len() >= CAPACITY && !state.closed {
                self.room.wait(&mut state);
            }
            if state.closed {
                return false;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CAPACITY - state.bytes.len()));
            state.bytes.extend(now);
            bytes = later;
            let notify = state.notify.clone();
            drop(state);
            if let Some(notify) = notify {
                notify();
            }
        }
        true
    }

    /// Adds as many bytes as there is room for, without waiting; gives their number.
    pub fn offer(&self, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        let n = if state.closed { 0 } else { bytes.len().min(KEYS.saturating_sub(state.bytes.len())) };
        state.bytes.extend(&bytes[..n]);
        let notify = state.notify.clone();
        drop(state);
        if let (Some(notify), 1..) = (notify, n) {
            notify();
        }
        n
    }

    /// Takes up to `out.len()` bytes; gives their number.
    pub fn take(&self, out: &mut [u8]) -> usize {
        let mut state = self.state.lock();
        let n = out.len().min(state.bytes.len());
        for (slot, byte) in out.iter_mut().zip(state.bytes.drain(..n)) {
            *slot = byte;
        }
        if n > 0 {
            self.room.notify_all();
        }
        n
    }

    /// The device is gone: whoever waits for room gives up.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn more_than_fits_waits_and_arrives_in_order() {
        let queue = Arc::new(InputQueue::default());
        let sent: Vec<u8> = (0..3 * CAPACITY).map(|i| i as u8).collect();
        let (q, s) = (queue.clone(), sent.clone());
        let writer = std::thread::spawn(move || q.push(&s));
        let mut got: Vec<u8> = Vec::new();
        while got.len() < sent.len() {
            let mut part = [0; 700];
            let n = queue.take(&mut part);
            got.extend(&part[..n]);
            std::thread::yield_now();
        }
        assert!(writer.join().unwrap());
        assert_eq!(got, sent);
    }

    #[test]
    fn arrival_is_told_and_closing_ends_the_wait() {
        let queue = Arc::new(InputQueue::default());
        assert!(queue.push(b"early"));
        let told = Arc::new(AtomicU32::new(0));
        let t = told.clone();
        queue.set_notify(Arc::new(move || {
            t.fetch_add(1, Ordering::SeqCst);
        }));
        assert!(queue.push(b"late"));
        assert_eq!(told.load(Ordering::SeqCst), 2);
        let q = queue.clone();
        let writer = std::thread::spawn(move || q.push(&[0; 2 * CAPACITY]));
        queue.close();
        assert!(!writer.join().unwrap());
    }
}
