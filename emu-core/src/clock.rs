//! One virtual clock for the whole machine, and timers on it.
//!
//! In [`Mode::RealTime`] virtual nanoseconds follow the host's monotonic clock, except while the machine is paused. In
//! [`Mode::Counted`] they follow the number of instructions that the machine executed, so a run can be repeated.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use crate::lifecycle::{Component, Payload, Restore, RestoreError, SavedState, Source};

/// How virtual time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// With the host's monotonic clock.
    RealTime,
    /// By [`Clock::advance`]: so many nanoseconds for so many instructions.
    Counted,
}

type Callback = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Queue {
    /// Armed timers by (deadline, id).
    armed: BTreeMap<(u64, u64), Callback>,
    stop: bool,
}

/// Who makes time stand still.
#[derive(Clone, Copy)]
enum Stopper {
    /// [`Clock::pause`].
    Observer = 1,
    /// [`Component::pause`].
    Machine = 2,
}

/// Since when time stands still, and for whom: a bit for each [`Stopper`].
#[derive(Default)]
struct Paused {
    at: Option<u64>,
    stoppers: u8,
}

/// The virtual clock. Shared by every component through an `Arc`.
pub struct Clock {
    mode: Mode,
    start: Instant,
    /// Real time: nanoseconds to subtract (time spent paused). Counted: the time itself.
    base: AtomicU64,
    paused: Mutex<Paused>,
    queue: Mutex<Queue>,
    changed: Condvar,
    next_id: AtomicU64,
    this: Weak<Self>,
}

impl Clock {
    /// A clock at zero. The timers of a real-time clock fire from [`Clock::fire_timers`] on.
    #[must_use]
    pub fn new(mode: Mode) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            mode,
            start: Instant::now(),
            base: AtomicU64::new(0),
            paused: Mutex::default(),
            queue: Mutex::default(),
            changed: Condvar::new(),
            next_id: AtomicU64::new(1),
            this: this.clone(),
        })
    }

    /// Starts the thread in which the timers of a real-time clock fire; it ends when the clock is dropped. Called once.
    pub fn fire_timers(self: &Arc<Self>) -> io::Result<()> {
        if self.mode == Mode::Counted {
            return Ok(());
        }
        let weak = Arc::downgrade(self);
        let body = move || {
            while let Some(clock) = weak.upgrade() {
                if !clock.serve() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("clock".into()).spawn(body).map(drop)
    }

    /// How time passes.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Virtual nanoseconds since the machine was made.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        match self.mode {
            Mode::Counted => self.base.load(Ordering::Acquire),
            Mode::RealTime => {
                if let Some(t) = self.paused.lock().at {
                    return t;
                }
                (self.start.elapsed().as_nanos() as u64).wrapping_sub(self.base.load(Ordering::Acquire))
            }
        }
    }

    /// Counted mode: lets `ns` pass and fires what is due, in order of deadline, on this thread. Time ends at the greatest
    /// number: a guest can ask for a timer there.
    pub fn advance(&self, ns: u64) {
        if self.mode == Mode::Counted {
            let later = |now: u64| Some(now.saturating_add(ns));
            let before = self.base.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
            self.fire_until(before.unwrap_or_else(|now| now).saturating_add(ns));
        }
    }

    /// The earliest deadline of any armed timer: where an idle machine in counted mode jumps to.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.queue.lock().armed.keys().next().map(|k| k.0)
    }

    /// Stops time for somebody who looks at the machine.
    pub fn pause(&self) {
        self.stop(Stopper::Observer);
    }

    /// Takes [`Clock::pause`] back: time goes on from where it stopped, unless the machine itself is paused.
    pub fn resume(&self) {
        self.go_on(Stopper::Observer);
    }

    fn stop(&self, who: Stopper) {
        let now = self.now_ns();
        let mut paused = self.paused.lock();
        paused.stoppers |= who as u8;
        paused.at.get_or_insert(now);
    }

    fn go_on(&self, who: Stopper) {
        let mut paused = self.paused.lock();
        paused.stoppers &= !(who as u8);
        if paused.stoppers == 0
            && let Some(t) = paused.at.take()
        {
            self.set_base(t);
        }
        drop(paused);
        self.changed.notify_all();
    }

    fn set_base(&self, ns: u64) {
        match self.mode {
            Mode::Counted => self.base.store(ns, Ordering::Release),
            Mode::RealTime => {
                self.base.store((self.start.elapsed().as_nanos() as u64).wrapping_sub(ns), Ordering::Release);
            }
        }
    }

    /// Sets the time. Timers that are armed stay so.
    pub fn set_now(&self, ns: u64) {
        let mut paused = self.paused.lock();
        if let Some(at) = &mut paused.at {
            *at = ns;
        }
        self.set_base(ns);
        drop(paused);
        self.changed.notify_all();
    }

    fn fire_until(&self, now: u64) {
        loop {
            let due = {
                let mut q = self.queue.lock();
                match q.armed.first_entry() {
                    Some(e) if e.key().0 <= now => e.remove(),
                    _ => return,
                }
            };
            due();
        }
    }

    /// One round of the timer thread: false when the clock is being dropped.
    fn serve(&self) -> bool {
        let now = self.now_ns();
        self.fire_until(now);
        let mut q = self.queue.lock();
        if q.stop {
            return false;
        }
        // Bounded waits let the thread see that it holds the last reference.
        let longest = Duration::from_millis(500);
        let wait = match q.armed.keys().next() {
            Some(&(deadline, _)) if self.paused.lock().at.is_none() => {
                Duration::from_nanos(deadline.saturating_sub(now)).min(longest)
            }
            _ => longest,
        };
        if !wait.is_zero() {
            self.changed.wait_for(&mut q, wait);
        }
        true
    }
}

/// The time. What is armed belongs to those who armed it.
#[derive(Serialize, Deserialize)]
struct Now {
    ns: u64,
}

impl SavedState for Now {
    const KIND: &'static str = "clock";
    const VERSION: u32 = 1;
}

impl Component for Clock {
    fn name(&self) -> &str {
        "clock"
    }

    /// Time goes on through a reset of the machine.
    fn reset(&self) {}

    fn start(&self) -> io::Result<()> {
        self.this.upgrade().map_or(Ok(()), |clock| clock.fire_timers())
    }

    fn pause(&self) {
        self.stop(Stopper::Machine);
    }

    fn resume(&self) {
        self.go_on(Stopper::Machine);
    }

    fn save(&self) -> Payload {
        Payload::new(Component::name(self), &Now { ns: self.now_ns() })
    }

    fn check<'a>(&'a self, saved: &mut Source) -> Result<Restore<'a>, RestoreError> {
        let Now { ns } = saved.state()?;
        Ok(Restore::new(move || self.set_now(ns)))
    }
}

/// A one-shot timer. Its callback runs on the clock's thread (real time) or on the thread that advances the clock
/// (counted); it must be quick and must not take locks that are held while a timer is set.
pub struct Timer {
    clock: Arc<Clock>,
    id: u64,
    callback: Callback,
    armed_at: Mutex<Option<u64>>,
}

impl Timer {
    /// A timer that is not armed.
    #[must_use]
    pub fn new(clock: &Arc<Clock>, callback: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            clock: clock.clone(),
            id: clock.next_id.fetch_add(1, Ordering::Relaxed),
            callback: Arc::new(callback),
            armed_at: Mutex::new(None),
        }
    }

    /// Arms the timer for `deadline` in virtual nanoseconds, in place of any earlier deadline. A deadline in the past
    /// fires as soon as possible.
    pub fn set(&self, deadline: u64) {
        let mut armed = self.armed_at.lock();
        if *armed == Some(deadline) {
            // Re-arming for the same moment is common; insert again only if it has fired.
            let q = self.clock.queue.lock();
            if q.armed.contains_key(&(deadline, self.id)) {
                return;
            }
        }
        let mut q = self.clock.queue.lock();
        if let Some(old) = armed.replace(deadline) {
            q.armed.remove(&(old, self.id));
        }
        q.armed.insert((deadline, self.id), self.callback.clone());
        let first = q.armed.keys().next().is_some_and(|k| k.1 == self.id);
        drop(q);
        if first {
            self.clock.changed.notify_one();
        }
    }

    /// Disarms the timer.
    pub fn clear(&self) {
        if let Some(old) = self.armed_at.lock().take() {
            self.clock.queue.lock().armed.remove(&(old, self.id));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn counted_time_fires_in_order() {
        let clock = Clock::new(Mode::Counted);
        let log = Arc::new(Mutex::new(Vec::new()));
        let timer = |n: u32| {
            let log = log.clone();
            Timer::new(&clock, move || log.lock().push(n))
        };
        let (a, b, c) = (timer(1), timer(2), timer(3));
        a.set(300);
        b.set(200);
        c.set(250);
        c.clear();
        assert_eq!(clock.next_deadline(), Some(200));
        clock.advance(250);
        assert_eq!(*log.lock(), [2]);
        clock.advance(100);
        assert_eq!(*log.lock(), [2, 1]);
        assert_eq!(clock.now_ns(), 350);
        clock.advance(u64::MAX);
        assert_eq!(clock.now_ns(), u64::MAX, "the end of time");
    }

    #[test]
    fn time_stands_still_until_everybody_lets_it_go() {
        let clock = Clock::new(Mode::RealTime);
        clock.pause();
        Component::pause(&*clock);
        clock.pause();
        let payload = Payload::new("clock", &Now { ns: 5_000_000_000 });
        clock.restore(payload).unwrap();
        clock.resume();
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(clock.now_ns(), 5_000_000_000, "the machine is paused");
        Component::resume(&*clock);
        std::thread::sleep(Duration::from_millis(3));
        let now = clock.now_ns();
        assert!((5_003_000_000..6_000_000_000).contains(&now), "{now}");
    }

    #[test]
    fn real_time_fires_and_pauses() {
        let clock = Clock::new(Mode::RealTime);
        clock.fire_timers().unwrap();
        let hits = Arc::new(AtomicU32::new(0));
        let h = hits.clone();
        let t = Timer::new(&clock, move || {
            h.fetch_add(1, Ordering::SeqCst);
        });
        t.set(clock.now_ns() + 2_000_000);
        let begun = Instant::now();
        while hits.load(Ordering::SeqCst) == 0 && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(hits.load(Ordering::SeqCst), 1);
        clock.pause();
        let stopped = clock.now_ns();
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(clock.now_ns(), stopped);
        clock.resume();
        assert!(clock.now_ns() < stopped + 1_000_000_000);
    }
}
