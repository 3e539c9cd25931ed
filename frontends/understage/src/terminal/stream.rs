//! The process's standard streams, without buffers or locks of their own: what is written is out when the call returns, and
//! a thread that waits for one of them keeps nobody else from it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Standard input or output. Waits also where somebody has made it non-blocking, which concerns everybody who has the same
/// terminal or pipe.
pub struct Stream(File);

impl Stream {
    /// Standard input.
    pub fn input() -> io::Result<Self> {
        Self::of(io::stdin().as_fd())
    }

    /// Standard output.
    pub fn output() -> io::Result<Self> {
        Self::of(io::stdout().as_fd())
    }

    /// What `fd` refers to.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(fd.try_clone_to_owned()?.into()))
    }

    fn wait(&self, events: PollFlags) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.0.as_fd(), events)], PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::POLLIN)?,
                done => return done,
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT)?,
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    #[test]
    fn a_stream_that_does_not_block_is_waited_for() {
        let (reader, writer) = pipe2(OFlag::O_NONBLOCK).unwrap();
        let (mut reader, mut writer) =
            (Stream::of(reader.as_fd()).unwrap(), Stream::of(writer.as_fd()).unwrap());
        let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 3) as u8).collect();
        let expected = sent.clone();
        let thread = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut got = vec![0; expected.len()];
        reader.read_exact(&mut got).unwrap();
        thread.join().unwrap();
        assert!(got == expected);
    }
}
