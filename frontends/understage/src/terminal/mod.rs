//! The user's terminal, and the other ends of serial ports and consoles.
//!
//! | module | what lives there |
//! |---|---|
//! | [`escape`] | the keys that mean something to the machine and not to the guest |
//! | [`input`] | bytes on their way to the guest, with room for only so many |
//! | [`port`] | stdio, null and file as one thing with an output and an input |
//! | [`raw`] | the terminal's raw mode, and undoing it whatever happens |
//! | [`signals`] | what ends the process from outside |
//!
//! # Invariant
//! Whoever changes the terminal's mode does it through [`raw`]; its saved mode is put back at the end, on a signal and
//! when a thread panics.

pub mod escape;
pub mod input;
pub mod port;
pub mod raw;
pub mod signals;

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
}

impl Quit {
    /// The exit status that goes with it, as shells have it.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Keys => 0,
            Self::Signal(n) => 128u8.saturating_add(u8::try_from(n).unwrap_or(0)),
            // SIGPIPE, which would have ended a program that does not handle it.
            Self::OutputClosed => 128 + 13,
        }
    }
}

/// Asks the machine to end. May be called from any thread, more than once, and returns at once.
pub type OnQuit = Arc<dyn Fn(Quit) + Send + Sync>;
