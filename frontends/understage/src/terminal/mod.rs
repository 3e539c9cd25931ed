//! The user's terminal, and how bytes come from and go to streams and files of the host.
//!
//! | module | what lives there |
//! |---|---|
//! | [`escape`] | the keys that mean something to the machine and not to the guest |
//! | [`input`] | bytes on their way to the guest, with room for only so many |
//! | [`keyboard`] | the thread that reads standard input |
//! | [`output`] | where bytes of the guest go |
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
pub mod raw;
pub mod signals;
pub mod stream;

pub use input::InputQueue;
