//! The terminal's raw mode: keys arrive one by one and unchanged, and are not echoed.

use std::io::{self, IsTerminal};
use std::sync::Once;

use nix::sys::termios::{
    self, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios,
};
use parking_lot::Mutex;

/// What is undone at the end, and done again when a stopped process goes on.
struct Modes {
    before: Termios,
    raw: Termios,
}

static MODES: Mutex<Option<Modes>> = Mutex::new(None);

/// The terminal is in raw mode until this is dropped.
pub struct RawMode(());

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal on standard input into raw mode; `None` if there is no terminal. With `signals`, Ctrl-C and
/// Ctrl-Z keep their meaning; without, they are keys like any other.
pub fn enter(signals: bool) -> io::Result<Option<RawMode>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let before = termios::tcgetattr(io::stdin())?;
    let raw = raw_of(&before, signals);
    termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
    *MODES.lock() = Some(Modes { before, raw });
    restore_on_panic();
    Ok(Some(RawMode(())))
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

/// Puts the terminal back as it was. May be called at any time, from any thread, any number of times.
pub fn restore() {
    if let Some(modes) = MODES.lock().take() {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &modes.before);
    }
}

/// Raw mode again, after the process was stopped and its shell has used the terminal.
pub fn reenter() {
    if let Some(modes) = &*MODES.lock() {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &modes.raw);
    }
}

/// A panic anywhere puts the terminal back before its message is printed.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            previous(info);
        }));
    });
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
