//! The user's terminal, and the other ends of serial ports and consoles.
//!
//! | module | what lives there |
//! |---|---|
//! | [`escape`] | the keys that mean something to the machine and not to the guest |
//! | [`input`] | bytes on their way to the guest, with room for only so many |
//! | [`keyboard`] | the thread that reads standard input |
//! | [`output`] | where bytes of the guest go |
//! | [`port`] | every kind of character device as one thing with an output and an input |
//! | [`raw`] | the terminal's raw mode, and undoing it |
//! | [`signals`] | what ends, stops and continues the process from outside |
//! | [`stream`] | standard input and output without buffers |
//!
//! # Invariant
//! Whoever changes the terminal's mode does it through [`raw`]; [`crate::end`] puts the saved mode back at every end of the
//! process, and the crate `terminal-guard` does where a signal leaves no time for it.

pub mod escape;
pub mod input;
pub mod keyboard;
pub mod output;
pub mod port;
pub mod raw;
pub mod signals;
pub mod stream;

pub use input::InputQueue;
pub use port::Port;

use std::sync::Arc;

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
            Self::Signal(n) => 128u8.saturating_add(u8::try_from(n).unwrap_or(0)),
            // SIGPIPE, which would have ended a program that does not handle it.
            Self::OutputClosed => 128 + 13,
        }
    }
}

/// Asks the machine to end. May be called from any thread, more than once, and returns at once.
pub type OnQuit = Arc<dyn Fn(Quit) + Send + Sync>;
