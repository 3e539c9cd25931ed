//! What the program itself says, on standard output and standard error. Nothing here panics: a full disk, a closed pipe or a
//! terminal that is gone concern the one who reads, not the machine.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::reason;
use crate::quit::{STATUS_FAILED, STATUS_OUTPUT_CLOSED};

/// What the user calls the machine.
static MACHINE: OnceLock<String> = OnceLock::new();

/// From now on messages say which machine they are about. The first name stays.
pub fn call_machine(name: &str) {
    let _ = MACHINE.set(name.to_owned());
}

/// What the machine is called, if it has a name.
#[must_use]
pub fn machine() -> Option<&'static str> {
    MACHINE.get().map(String::as_str)
}

/// Who speaks in messages: the program, and the machine's name if it has one.
#[must_use]
pub fn speaker() -> String {
    machine().map_or_else(|| "understage".to_owned(), |name| format!("understage ({name})"))
}

/// Threads that write to a stream of the host's now. If they do not come back, nobody reads it.
static WRITING: AtomicUsize = AtomicUsize::new(0);

/// A thread writes to the host for as long as this lives.
pub struct Writing(());

impl Writing {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        WRITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// True while any thread writes.
    #[must_use]
    pub fn is_active() -> bool {
        WRITING.load(Ordering::Relaxed) != 0
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until `fd` takes bytes, or for so long; false if it does not.
fn takes(fd: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], timeout) {
            Err(Errno::EINTR) => {}
            done => return done.is_ok_and(|n| n != 0),
        }
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    let _writing = Writing::begin();
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            // Somebody has made the stream non-blocking.
            Err(Errno::EAGAIN) if takes(fd, PollTimeout::NONE) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Says `text` on standard error.
pub fn say(text: &str) {
    // There is nowhere to say that it could not be said.
    let _ = write_all(io::stderr().as_fd(), text.as_bytes());
}

/// Says a line on standard error if it takes one soon: at an end that waits for nobody.
pub fn try_say(line: &str) {
    let stderr = io::stderr();
    if takes(stderr.as_fd(), PollTimeout::from(200u8)) {
        let _ = nix::unistd::write(&stderr, line.as_bytes());
    }
}

/// Prints `text`, which is all that was asked for, on standard output. Gives the exit status: a reader that has left is no
/// mistake, and it is told nothing.
#[must_use]
pub fn print(text: &str) -> u8 {
    match write_all(io::stdout().as_fd(), text.as_bytes()) {
        Ok(()) => 0,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => STATUS_OUTPUT_CLOSED,
        Err(e) => {
            say(&format!("understage: cannot write to standard output: {}\n", reason(&e)));
            STATUS_FAILED
        }
    }
}

/// Standard error for those who want a writer. Always succeeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = write_all(io::stderr().as_fd(), bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
