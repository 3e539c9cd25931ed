//! The end of the process. Every way out leads through here: the guest's power-off, the user's word, a signal, an error, a
//! defect of this program.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | the guest turned the machine off, or Ctrl-A x did |
//! | 1 | it ran, and something went wrong: a check found a difference, output could not be written, the machine did not end |
//! | 2 | it was not run: an option or a file cannot be used |
//! | 3 | `--stop-on` has stopped it |
//! | 101 | a defect of this program |
//! | 128 + N | signal N ended it; 141 is for output that nobody reads any more |
//!
//! # Invariant
//! **What is due at the end is done here, by name, and nowhere in a destructor**: the terminal's mode is put back, files
//! get their last records ([`at_end`]), suppressed messages are counted. The machine's parts hold each other in cycles
//! and are not taken apart: the process leaves without dropping them. What must come before (disks flushed, threads
//! joined) is [`crate::board::run`]'s, in the order of the components.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{UserError, reason, user_error};
use crate::log;
use crate::out::{self, Writing};
use crate::power::Power;
use crate::quit::{OnQuit, Quit, STATUS_DEFECT, STATUS_FAILED};
use crate::terminal::raw;

/// How long a machine that was asked to end has if some output is not taken: nobody may be there to take it.
const GRACE: Duration = Duration::from_secs(3);
/// How long it has otherwise, to flush disks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long an end waits for the lock of what is due.
const LOCK: Duration = Duration::from_secs(1);

/// Something that is due at the end.
type Due = Box<dyn Fn() + Send + Sync>;

static DUE: Mutex<Vec<Due>> = Mutex::new(Vec::new());

/// Prepares the process for every kind of end. Called once, before anything else.
pub fn prepare() {
    std::panic::set_hook(Box::new(on_panic));
    if let Err(e) = terminal_guard::arm() {
        out::say(&format!("understage: cannot handle signals: {}\n", reason(&e)));
    }
}

/// `due` is called at the end, whatever its reason; it does not wait for long, for anything.
pub fn at_end(due: impl Fn() + Send + Sync + 'static) {
    DUE.lock().push(Box::new(due));
}

/// Does what is due, once.
fn close() {
    raw::restore();
    let due = DUE.try_lock_for(LOCK).map(|mut due| std::mem::take(&mut *due)).unwrap_or_default();
    due.iter().for_each(|due| due());
}

/// Ends the process, when the machine has ended or was never there.
pub fn leave(status: u8) -> ! {
    close();
    out::say(&log::suppressed());
    std::process::exit(status.into())
}

/// Ends the process now, whatever its other threads do.
pub fn leave_at_once(status: u8) -> ! {
    close();
    signal_hook::low_level::exit(status.into())
}

/// A panic in any thread is the end: a machine without one of its threads is not one.
fn on_panic(info: &PanicHookInfo<'_>) {
    static FIRST: AtomicBool = AtomicBool::new(true);
    if !FIRST.swap(false, Ordering::AcqRel) {
        loop {
            std::thread::park();
        }
    }
    raw::restore();
    out::try_say(&defect(info));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        out::try_say(&format!("{trace}\n"));
    }
    leave_at_once(STATUS_DEFECT)
}

fn defect(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message").replace('\n', " ");
    let thread = std::thread::current();
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let name = thread.name().unwrap_or("unnamed").to_owned();
    format!("understage: a defect of this program has ended it: {message} ({place}, thread {name})\n")
}

/// Asks a machine to end, and sees to it that the process does.
pub struct Ending {
    asked: Mutex<Option<(Quit, Instant)>>,
    changed: Condvar,
}

impl Ending {
    /// Starts the thread that waits for the machine.
    pub fn new() -> Result<Arc<Self>, UserError> {
        let ending = Arc::new(Self { asked: Mutex::new(None), changed: Condvar::new() });
        let own = ending.clone();
        std::thread::Builder::new()
            .name("end".into())
            .spawn(move || own.wait())
            .map_err(|e| user_error!("cannot start a thread for the end of the machine: {}", reason(&e)))?;
        Ok(ending)
    }

    /// What asks the machine of `power` to end.
    #[must_use]
    pub fn of(self: &Arc<Self>, power: Arc<Power>) -> OnQuit {
        let ending = self.clone();
        Arc::new(move |why| ending.ask(&power, why))
    }

    /// The user's second word does not wait for the machine.
    fn ask(&self, power: &Power, why: Quit) {
        let mut asked = self.asked.lock();
        match *asked {
            Some((Quit::Keys | Quit::Signal(_), _)) if matches!(why, Quit::Keys | Quit::Signal(_)) => {
                drop(asked);
                raw::restore();
                leave_at_once(forced_status(why));
            }
            Some(_) if matches!(why, Quit::OutputClosed | Quit::Status(_)) => return,
            _ => *asked = Some((why, Instant::now())),
        }
        self.changed.notify_all();
        drop(asked);
        power.quit(why.status());
    }

    fn wait(&self) {
        let mut asked = self.asked.lock();
        loop {
            let Some((why, since)) = *asked else {
                self.changed.wait(&mut asked);
                continue;
            };
            let waited = since.elapsed();
            if waited >= PATIENCE || waited >= GRACE && Writing::is_active() {
                raw::restore();
                out::try_say(&format!(
                    "understage: the machine has not ended in {} seconds, and is ended now\n",
                    waited.as_secs()
                ));
                leave_at_once(forced_status(why));
            }
            self.changed.wait_for(&mut asked, LOOK);
        }
    }
}

/// The exit status of a machine that did not end by itself.
fn forced_status(why: Quit) -> u8 {
    match why {
        Quit::Keys => STATUS_FAILED,
        why => why.status(),
    }
}
