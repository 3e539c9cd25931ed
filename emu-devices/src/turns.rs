//! Work that a device does in turns: short pieces, one after the other, until there is nothing to do. In real time they are those of
//! a thread of its own; in counted time the clock calls for each, so that a run is the same every time.

use std::io;
use std::sync::{Arc, Weak};

use emu_core::clock::{Clock, Mode, Timer};

use crate::worker::Worker;

/// Time between two turns in counted time.
const TURN_NS: u64 = 1000;

/// One turn; true if there is more to do.
type Turn = Arc<dyn Fn() -> bool + Send + Sync>;

/// Who calls for the turns.
pub(crate) enum Turns {
    Thread(Worker, Turn),
    Clock(Arc<Clock>, Arc<Timer>),
}

impl Turns {
    /// `turn` does a bounded piece of work.
    pub(crate) fn new(clock: &Arc<Clock>, turn: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        if clock.mode() != Mode::Counted {
            return Self::Thread(Worker::default(), Arc::new(turn));
        }
        let timer = Arc::new_cyclic(|this: &Weak<Timer>| {
            let (this, time) = (this.clone(), clock.clone());
            Timer::new(clock, move || {
                if turn()
                    && let Some(timer) = this.upgrade()
                {
                    timer.set(time.now_ns() + TURN_NS);
                }
            })
        });
        Self::Clock(clock.clone(), timer)
    }

    /// The thread starts, if it is one.
    pub(crate) fn start(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Thread(worker, turn) => {
                let turn = turn.clone();
                worker.start(name, move |interrupted| while !interrupted() && turn() {})
            }
            Self::Clock(..) => Ok(()),
        }
    }

    /// There is something to do.
    pub(crate) fn wake(&self) {
        match self {
            Self::Thread(worker, _) => worker.wake(),
            Self::Clock(clock, timer) => timer.set(clock.now_ns() + TURN_NS),
        }
    }

    /// Waits for the end of the turn under way; none begins until [`Turns::resume`]. (The clock stands still by itself.)
    pub(crate) fn pause(&self) {
        if let Self::Thread(worker, _) = self {
            worker.pause();
        }
    }

    /// Turns may begin again.
    pub(crate) fn resume(&self) {
        match self {
            Self::Thread(worker, _) => worker.resume(),
            Self::Clock(..) => self.wake(),
        }
    }

    /// The end.
    pub(crate) fn stop(&self) {
        match self {
            Self::Thread(worker, _) => worker.stop(),
            Self::Clock(_, timer) => timer.clear(),
        }
    }
}
