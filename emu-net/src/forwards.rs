//! Ports of the host that lead to a guest.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use crate::config::Config;
use crate::forward_rule::{Forward, Protocol};
use crate::link::Link;
use crate::packet;
use crate::tcp::{Key, Tcp, v4};
use crate::tcp_host::{Stream, seen_as};
use crate::watch::{Interest, Owner, Watch};

/// Ports that are forwarded at a time.
const FORWARDS: usize = 1024;
/// Peers of a UDP port that are answered.
const PEERS: usize = 256;
/// Connections or datagrams that are taken at a time.
const BATCH: usize = 32;

enum Socket {
    Tcp(TcpListener),
    /// With the peers that a guest may answer, the last one last.
    Udp(UdpSocket, VecDeque<SocketAddrV4>),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Udp(socket, _) => socket.as_fd(),
        }
    }
}

/// A rule with its socket.
pub(crate) struct Listener {
    pub(crate) rule: Forward,
    /// Where it listens.
    pub(crate) at: SocketAddrV4,
    pub(crate) guest: SocketAddrV4,
    socket: Socket,
    interest: Interest,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Forwards {
    listeners: HashMap<u64, Listener>,
    next: u64,
}

impl Forwards {
    /// Listens. Says where.
    pub(crate) fn add(&mut self, config: &Config, watch: &Watch, rule: Forward) -> io::Result<SocketAddrV4> {
        if self.listeners.len() >= FORWARDS {
            return Err(io::Error::other("so many ports cannot be forwarded"));
        }
        let (socket, at) = match rule.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(rule.listen)?;
                listener.set_nonblocking(true)?;
                let at = listener.local_addr()?;
                (Socket::Tcp(listener), at)
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(rule.listen)?;
                socket.set_nonblocking(true)?;
                let at = socket.local_addr()?;
                (Socket::Udp(socket, VecDeque::new()), at)
            }
        };
        let at = v4(at).ok_or(ErrorKind::AddrNotAvailable)?;
        self.next += 1;
        watch.set(&socket, Owner::Forward(self.next), Interest::default(), Interest::READ)?;
        let guest = SocketAddrV4::new(rule.guest.unwrap_or(config.dhcp_start), rule.port);
        self.listeners.insert(self.next, Listener { rule, at, guest, socket, interest: Interest::READ });
        Ok(at)
    }

    /// Does not listen there any more; connections that there are go on.
    pub(crate) fn remove(&mut self, protocol: Protocol, listen: SocketAddrV4) -> bool {
        let found = self.listeners.iter().find(|(_, listener)| {
            listener.rule.protocol == protocol && (listener.at == listen || listener.rule.listen == listen)
        });
        found.map(|(&id, _)| id).is_some_and(|id| self.listeners.remove(&id).is_some())
    }

    /// Somebody has come.
    pub(crate) fn ready(&mut self, config: &Config, link: &mut Link, tcp: &mut Tcp, watch: &Watch, id: u64) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        let guest = listener.guest;
        for _ in 0..BATCH {
            let result = match &mut listener.socket {
                Socket::Tcp(socket) => accept(socket, guest, config, link, tcp, watch),
                Socket::Udp(socket, peers) => receive(socket, peers, guest, config, link),
            };
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // The host has no file left, or the like: the next look is that of the next sweep.
                Err(_) => {
                    listener.watch(watch, id, Interest::default());
                    return;
                }
            }
        }
    }

    /// A datagram of a guest: is it the answer to one that came by a forwarded port?
    pub(crate) fn answer(
        &self,
        config: &Config,
        guest: SocketAddrV4,
        to: SocketAddrV4,
        payload: &[u8],
    ) -> bool {
        self.listeners.values().filter(|listener| listener.guest == guest).any(|listener| {
            let Socket::Udp(socket, peers) = &listener.socket else { return false };
            let Some(peer) = peers.iter().rev().find(|peer| seen_as(config, **peer) == to) else {
                return false;
            };
            // What the host does not take is lost, as datagrams may be.
            let _ = socket.send_to(payload, peer);
            true
        })
    }

    /// Looks again at listeners that the host had no room for. Called about once a second.
    pub(crate) fn sweep(&mut self, watch: &Watch) {
        for (&id, listener) in &mut self.listeners {
            listener.watch(watch, id, Interest::READ);
        }
    }

    /// The listeners, for monitors.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.values()
    }
}

impl Listener {
    fn watch(&mut self, watch: &Watch, id: u64, interest: Interest) {
        if watch.set(&self.socket, Owner::Forward(id), self.interest, interest).is_ok() {
            self.interest = interest;
        }
    }
}

fn accept(
    listener: &TcpListener,
    guest: SocketAddrV4,
    config: &Config,
    link: &mut Link,
    tcp: &mut Tcp,
    watch: &Watch,
) -> io::Result<()> {
    let (stream, peer) = listener.accept()?;
    let Some(peer) = v4(peer) else { return Ok(()) };
    let stream = Stream::accepted(stream)?;
    tcp.forward(link, watch, stream, Key { guest, peer: seen_as(config, peer) });
    Ok(())
}

fn receive(
    socket: &UdpSocket,
    peers: &mut VecDeque<SocketAddrV4>,
    guest: SocketAddrV4,
    config: &Config,
    link: &mut Link,
) -> io::Result<()> {
    let mut room = vec![0; 1 << 16];
    let (count, from) = socket.recv_from(&mut room)?;
    let SocketAddr::V4(from) = from else { return Ok(()) };
    if peers.back() != Some(&from) {
        peers.retain(|peer| *peer != from);
        if peers.len() >= PEERS {
            peers.pop_front();
        }
        peers.push_back(from);
    }
    let payload = room.get(..count).unwrap_or_default();
    if let Some(datagram) = packet::udp(seen_as(config, from), guest, payload) {
        link.send_datagram(datagram, *guest.ip());
    }
    Ok(())
}
