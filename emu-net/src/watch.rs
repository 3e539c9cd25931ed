//! Which sockets the thread waits for: one epoll instance, level-triggered.

use std::io;
use std::os::fd::AsFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Whose socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Somebody rang [`Watch::ring`].
    Bell,
    /// The host's side of a TCP connection.
    Tcp(u64),
    /// The host's side of a UDP flow.
    Udp(u64),
    /// An echo socket.
    Echo(u64),
    /// A listener.
    Forward(u64),
}

impl Owner {
    const fn to_word(self) -> u64 {
        match self {
            Self::Bell => 0,
            Self::Tcp(id) => id << 3 | 1,
            Self::Udp(id) => id << 3 | 2,
            Self::Echo(id) => id << 3 | 3,
            Self::Forward(id) => id << 3 | 4,
        }
    }

    const fn of_word(word: u64) -> Self {
        match word & 7 {
            1 => Self::Tcp(word >> 3),
            2 => Self::Udp(word >> 3),
            3 => Self::Echo(word >> 3),
            4 => Self::Forward(word >> 3),
            _ => Self::Bell,
        }
    }
}

/// What is waited for. With neither, not even the end of a connection is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Self = Self { read: true, write: false };
    pub(crate) const WRITE: Self = Self { read: false, write: true };

    fn flags(self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.read);
        flags.set(EpollFlags::EPOLLOUT, self.write);
        flags
    }
}

/// See the module's head.
pub(crate) struct Watch {
    epoll: Epoll,
    bell: EventFd,
}

/// Events that one wait tells of.
const EVENTS: usize = 64;

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, Owner::Bell.to_word()))?;
        Ok(Self { epoll, bell })
    }

    /// Ends a wait, or the next one.
    pub(crate) fn ring(&self) {
        // It can only fail because the bell has been rung 2^64 - 1 times and nobody looked.
        let _ = self.bell.write(1);
    }

    /// Changes what is waited for.
    pub(crate) fn set(
        &self,
        socket: impl AsFd,
        owner: Owner,
        old: Interest,
        new: Interest,
    ) -> io::Result<()> {
        let mut event = EpollEvent::new(new.flags(), owner.to_word());
        if old == new {
            Ok(())
        } else if new == Interest::default() {
            Ok(self.epoll.delete(socket)?)
        } else if old == Interest::default() {
            Ok(self.epoll.add(socket, event)?)
        } else {
            Ok(self.epoll.modify(socket, &mut event)?)
        }
    }

    /// Waits; without milliseconds, until something is there.
    pub(crate) fn wait(&self, milliseconds: Option<u16>) -> Vec<Owner> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let timeout = milliseconds.map_or(EpollTimeout::NONE, EpollTimeout::from);
        // A signal that interrupts it is a wait that has seen nothing.
        let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        let owners: Vec<Owner> =
            events.iter().take(count).map(|event| Owner::of_word(event.data())).collect();
        if owners.contains(&Owner::Bell) {
            let _ = self.bell.read();
        }
        owners
    }
}
