//! The host's side of a connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, connect, setsockopt, socket, sockopt,
};

use crate::config::Config;
use crate::forward_rule::Served;

/// A stream of the host that does not wait.
pub(crate) enum Stream {
    Tcp(TcpStream),
    /// A server at a socket of the file system, or a command.
    Unix(UnixStream),
}

impl Stream {
    /// A connection that was accepted.
    pub(crate) fn accepted(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Begins to connect; the socket can be written when that has come to an end.
    pub(crate) fn connect(to: SocketAddr) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket: OwnedFd = socket(family, SockType::Stream, flags, None)?;
        begin(&socket, &SockaddrStorage::from(to))?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Why it could not be connected, if that is so.
    pub(crate) fn error(&self) -> io::Result<()> {
        let error = match self {
            Self::Tcp(stream) => stream.take_error()?,
            Self::Unix(stream) => stream.take_error()?,
        };
        error.map_or(Ok(()), Err)
    }

    pub(crate) fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(room),
            Self::Unix(stream) => (&*stream).read(room),
        }
    }

    pub(crate) fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(data),
            Self::Unix(stream) => (&*stream).write(data),
        }
    }

    /// No more comes from the guest.
    pub(crate) fn end(&self) {
        // The peer may have gone: then there is nobody to tell.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Makes closing it a reset: what was not sent is lost, and the peer is told so.
    pub(crate) fn reset_when_closed(&self) {
        if let Self::Tcp(stream) = self {
            let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            // Without it the peer sees an end in place of a reset.
            let _ = setsockopt(stream, sockopt::Linger, &at_once);
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

fn begin(socket: &OwnedFd, to: &impl SockaddrLike) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    match connect(socket.as_raw_fd(), to) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens what a rule says; a command is started.
pub(crate) fn open(served: &Served) -> io::Result<(Stream, Option<Child>)> {
    match served {
        Served::Tcp(at) => Ok((Stream::connect(SocketAddr::V4(*at))?, None)),
        Served::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            Ok((Stream::Unix(stream), None))
        }
        Served::Command(line) => {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let input = Stdio::from(OwnedFd::from(theirs.try_clone()?));
            let output = Stdio::from(OwnedFd::from(theirs));
            let child = Command::new("/bin/sh").args(["-c", line]).stdin(input).stdout(output).spawn()?;
            Ok((Stream::Unix(ours), Some(child)))
        }
    }
}

/// Where a guest's packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    /// There.
    Host(SocketAddr),
    /// To the name server's port.
    NameServer,
    /// It is the network's own, and nothing is there.
    Nothing,
    /// It is an address that nothing is sent to.
    Nowhere,
}

/// Finds out where a packet to this address goes.
pub(crate) fn destination(config: &Config, to: SocketAddrV4) -> Destination {
    let address = *to.ip();
    if address == config.host {
        return Destination::Host(SocketAddrV4::new(Ipv4Addr::LOCALHOST, to.port()).into());
    }
    if address == config.dns && to.port() == crate::resolver::PORT {
        return Destination::NameServer;
    }
    if config.contains(address) {
        return if config.is_station(address) { Destination::Nothing } else { Destination::Nowhere };
    }
    // Loopback never goes over a cable (RFC 1122, 3.2.1.3); 0/8 and 240/4 are no addresses of hosts.
    let first = address.octets()[0];
    if address.is_loopback() || first == 0 || first >= 224 || to.port() == 0 {
        return Destination::Nowhere;
    }
    Destination::Host(to.into())
}

/// An address of the host's side as guests see it.
pub(crate) fn seen_as(config: &Config, from: SocketAddrV4) -> SocketAddrV4 {
    if from.ip().is_loopback() { SocketAddrV4::new(config.host, from.port()) } else { from }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_packets_go() {
        let config = Config::default();
        let to = |text: &str| destination(&config, text.parse().unwrap());
        let host = |text: &str| Destination::Host(text.parse().unwrap());
        assert_eq!(to("10.0.2.2:80"), host("127.0.0.1:80"));
        assert_eq!(to("192.0.2.1:80"), host("192.0.2.1:80"));
        assert_eq!(to("10.0.2.3:53"), Destination::NameServer);
        assert_eq!((to("10.0.2.3:80"), to("10.0.2.77:80")), (Destination::Nothing, Destination::Nothing));
        for nowhere in [
            "127.0.0.1:80",
            "0.1.2.3:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "10.0.2.255:80",
            "10.0.2.0:80",
        ] {
            assert_eq!(to(nowhere), Destination::Nowhere, "{nowhere}");
        }
    }
}
