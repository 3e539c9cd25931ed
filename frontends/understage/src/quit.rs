//! Why a machine is asked to end, and the exit status of the process: the table is at the head of [`crate::end`].

use std::sync::Arc;

/// The machine ran, and something went wrong.
pub const STATUS_FAILED: u8 = 1;
/// It was not run: an option or a file cannot be used.
pub const STATUS_USAGE: u8 = 2;
/// The machine was stopped by what `--stop-on` names.
pub const STATUS_STOPPED: u8 = 3;
/// A defect of this program: what Rust programs give when they panic.
pub const STATUS_DEFECT: u8 = 101;
/// Above this is 128 plus the number of a signal, as shells show it.
pub const STATUS_SIGNALS: u8 = 128;
/// Nobody reads the output any more: SIGPIPE.
pub const STATUS_OUTPUT_CLOSED: u8 = STATUS_SIGNALS + 13;

/// Why the user wants the machine to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quit {
    /// The keys Ctrl-A x.
    Keys,
    /// A signal, by its number.
    Signal(i32),
    /// Nobody reads the output any more.
    OutputClosed,
    /// Something that the machine has says so, with this exit status: a monitor, or a test device.
    Status(u8),
}

impl Quit {
    /// The exit status that goes with it, as shells have it.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Keys => 0,
            Self::Status(status) => status,
            Self::Signal(n) => STATUS_SIGNALS.saturating_add(u8::try_from(n).unwrap_or(0)),
            Self::OutputClosed => STATUS_OUTPUT_CLOSED,
        }
    }
}

/// Asks the machine to end. May be called from any thread, more than once, and returns at once.
pub type OnQuit = Arc<dyn Fn(Quit) + Send + Sync>;
