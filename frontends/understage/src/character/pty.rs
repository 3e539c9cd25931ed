//! A terminal for another program.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{self, SetArg};

use super::link::{Connector, Wire};

/// How often it is looked whether somebody has opened the terminal.
const LOOK: Duration = Duration::from_millis(100);

/// The master of a pair. Somebody is there while the other end is open.
pub struct Pty {
    master: File,
    /// Path of the other end.
    pub name: String,
}

impl Pty {
    /// A new pair, in raw mode.
    pub fn open() -> io::Result<Self> {
        let pair = openpty(None, None)?;
        let mut mode = termios::tcgetattr(&pair.slave)?;
        termios::cfmakeraw(&mut mode);
        termios::tcsetattr(&pair.slave, SetArg::TCSANOW, &mode)?;
        let name = nix::unistd::ttyname(&pair.slave)?.display().to_string();
        Ok(Self { master: pair.master.into(), name })
    }

    fn somebody_is_there(&self) -> bool {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLOUT)];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        polled.is_ok() && fds[0].revents().is_some_and(|events| !events.contains(PollFlags::POLLHUP))
    }
}

impl Connector for Pty {
    fn next(&mut self) -> Option<Wire> {
        loop {
            if self.somebody_is_there() {
                let ends = self.master.try_clone().and_then(|a| Ok((a, self.master.try_clone()?)));
                if let Ok(wire) = ends.and_then(|(input, output)| Wire::new(input, output, false)) {
                    return Some(wire);
                }
            }
            thread::sleep(LOOK);
        }
    }
}
