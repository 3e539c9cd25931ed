//! The terminal's raw mode: keys arrive one by one and unchanged, and are not echoed.
//!
//! What is put back at the end is the crate `terminal-guard`'s to know, so that a signal handler can do it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use nix::sys::termios::{
    self, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios,
};
use parking_lot::Mutex;

pub use terminal_guard::is_in_background;

/// The raw mode, for as long as it is wanted.
static RAW: Mutex<Option<Termios>> = Mutex::new(None);
/// How long the end waits for a thread that is just changing the mode.
const PATIENCE: Duration = Duration::from_millis(100);

/// Puts the terminal on standard input into raw mode, if there is one. With `signals`, Ctrl-C and Ctrl-Z keep their
/// meaning; without, they are keys like any other. In the background the mode changes when the terminal is given to this
/// process ([`reenter`]).
pub fn enter(signals: bool) -> io::Result<()> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    let before = termios::tcgetattr(io::stdin())?;
    let raw = raw_of(&before, signals);
    let mut wanted = RAW.lock();
    terminal_guard::keep(before.into());
    set(&raw)?;
    *wanted = Some(raw);
    Ok(())
}

fn set(mode: &Termios) -> io::Result<()> {
    if !is_in_background() {
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, mode)?;
    }
    Ok(())
}

/// Raw input. Output processing stays on, so that log lines look right between those of the guest.
fn raw_of(before: &Termios, signals: bool) -> Termios {
    let mut raw = before.clone();
    raw.input_flags -= InputFlags::IGNBRK
        | InputFlags::BRKINT
        | InputFlags::PARMRK
        | InputFlags::ISTRIP
        | InputFlags::INLCR
        | InputFlags::IGNCR
        | InputFlags::ICRNL
        | InputFlags::IXON;
    raw.output_flags |= OutputFlags::OPOST;
    raw.local_flags -= LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::IEXTEN;
    if !signals {
        raw.local_flags -= LocalFlags::ISIG;
    }
    raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    raw
}

/// Puts the terminal back as it was, for good. May be called at any time, from any thread, any number of times.
pub fn restore() {
    let mut wanted = RAW.try_lock_for(PATIENCE);
    if let Some(wanted) = &mut wanted {
        **wanted = None;
    }
    terminal_guard::restore();
}

/// Raw mode again, if the terminal is this process's: after it was stopped, or in the background, others have used it.
pub fn reenter() {
    if let Some(raw) = &*RAW.lock() {
        // A terminal that is gone needs no mode.
        let _ = set(raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;

    #[test]
    fn raw_flags() {
        let pty = openpty(None, None).unwrap();
        let before = termios::tcgetattr(&pty.slave).unwrap();
        let raw = raw_of(&before, false);
        assert!(!raw.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
        assert!(!raw.input_flags.contains(InputFlags::ICRNL));
        assert!(raw.output_flags.contains(OutputFlags::OPOST));
        assert!(raw_of(&before, true).local_flags.contains(LocalFlags::ISIG));
    }
}
