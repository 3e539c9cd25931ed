//! Signals that ask the machine to end, and the one that says that a stopped process goes on.
//!
//! Those that end the process by themselves, and the one that stops it, are the crate `terminal-guard`'s.

use std::io;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::raw;
use crate::quit::{OnQuit, Quit};

/// Watches for signals from now on. One that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored.
pub fn watch(on_quit: OnQuit) -> io::Result<()> {
    let ends = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|s| !terminal_guard::is_ignored(*s));
    let mut signals = Signals::new(ends.chain([SIGCONT]))?;
    let body = move || {
        for signal in &mut signals {
            match signal {
                SIGCONT => raw::reenter(),
                _ => on_quit(Quit::Signal(signal)),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(body).map(drop)
}
