//! A device's own thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct State {
    wanted: bool,
    busy: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Changed only with `state` locked; read without, between two requests.
    paused: AtomicBool,
    stopping: AtomicBool,
}

impl Shared {
    fn interrupted(&self) -> bool {
        self.paused.load(Ordering::Acquire) || self.stopping.load(Ordering::Acquire)
    }

    fn run(&self, work: impl Fn(&dyn Fn() -> bool)) {
        let mut state = self.state.lock();
        while !self.stopping.load(Ordering::Acquire) {
            if !state.wanted || self.interrupted() {
                self.changed.wait(&mut state);
                continue;
            }
            state.wanted = false;
            state.busy = true;
            drop(state);
            work(&|| self.interrupted());
            state = self.state.lock();
            state.busy = false;
            self.changed.notify_all();
        }
    }
}

/// A thread that works when it is woken, and not while it is paused.
#[derive(Default)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts the thread, unless it runs. `work` is called when there is something to do; it looks often at what it is
    /// given and returns when that says so.
    pub(crate) fn start(
        &self,
        name: &str,
        work: impl Fn(&dyn Fn() -> bool) + Send + 'static,
    ) -> io::Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = self.shared.clone();
            shared.stopping.store(false, Ordering::Release);
            *thread = Some(thread::Builder::new().name(name.to_owned()).spawn(move || shared.run(work))?);
        }
        Ok(())
    }

    /// There is something to do.
    pub(crate) fn wake(&self) {
        self.shared.state.lock().wanted = true;
        self.shared.changed.notify_all();
    }

    /// Waits until the work at hand is interrupted or done; none is begun until [`Worker::resume`].
    pub(crate) fn pause(&self) {
        let mut state = self.shared.state.lock();
        self.shared.paused.store(true, Ordering::Release);
        while state.busy {
            self.shared.changed.wait(&mut state);
        }
    }

    /// Work may go on; what was interrupted is taken up again.
    pub(crate) fn resume(&self) {
        let mut state = self.shared.state.lock();
        self.shared.paused.store(false, Ordering::Release);
        state.wanted = true;
        self.shared.changed.notify_all();
    }

    /// Ends the thread after the request at hand and waits for it.
    pub(crate) fn stop(&self) {
        {
            let _state = self.shared.state.lock();
            self.shared.stopping.store(true, Ordering::Release);
            self.shared.changed.notify_all();
        }
        if let Some(handle) = self.thread.lock().take()
            && handle.join().is_err()
        {
            tracing::error!("a device's thread has panicked");
        }
    }
}
