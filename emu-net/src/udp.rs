//! UDP: each port of a guest that sends is a socket of the host (RFC 4787: endpoint-independent mapping, address-dependent
//! filtering).

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};

use crate::config::Config;
use crate::icmp::{self, Unreachable};
use crate::link::Link;
use crate::packet::{self, Datagram, ETHERNET};
use crate::resolver;
use crate::tcp_host::{Destination, destination, seen_as};
use crate::watch::{Interest, Owner, Watch};

/// Flows at a time.
const FLOWS: usize = 512;
/// Peers of one flow whose answers are taken.
const PEERS: usize = 64;
/// How long a flow that is silent stays (RFC 4787, REQ-5).
const IDLE: Duration = Duration::from_secs(300);
/// The same for one to the name server.
const IDLE_QUESTION: Duration = Duration::from_secs(30);
/// Datagrams that are taken of one flow at a time.
const BATCH: usize = 32;

/// A port of a guest, and what it is in touch with.
pub(crate) struct Flow {
    pub(crate) guest: SocketAddrV4,
    /// The name server, or else anybody.
    pub(crate) question: bool,
    pub(crate) socket: UdpSocket,
    peers: VecDeque<SocketAddr>,
    pub(crate) last: Duration,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Udp {
    flows: HashMap<u64, Flow>,
    ids: HashMap<(SocketAddrV4, bool), u64>,
    next: u64,
}

impl Udp {
    /// A datagram of a guest, which has passed the checks.
    pub(crate) fn datagram(
        &mut self,
        config: &Config,
        link: &mut Link,
        watch: &Watch,
        datagram: &Datagram<'_>,
        (source, to): (u16, u16),
        payload: &[u8],
    ) {
        let guest = SocketAddrV4::new(datagram.source, source);
        let (question, to) = match destination(config, SocketAddrV4::new(datagram.destination, to)) {
            Destination::Host(to) => (false, to),
            Destination::NameServer => (true, resolver::first(config)),
            Destination::Nothing => {
                icmp::unreachable(config, link, Unreachable::Port, datagram.whole);
                return;
            }
            Destination::Nowhere => {
                link.counts.unwanted += 1;
                return;
            }
        };
        let sent = self.flow(link, watch, guest, question, to).and_then(|flow| flow.send(payload, to));
        if let Err(error) = sent
            && error.kind() != ErrorKind::WouldBlock
        {
            // A refusal is one of an earlier datagram: the queue of errors tells of it.
            if let Some(why) = Unreachable::of(&error) {
                icmp::unreachable(config, link, why, datagram.whole);
            }
        }
    }

    /// The guest's flow, which is new if there is none.
    fn flow(
        &mut self,
        link: &mut Link,
        watch: &Watch,
        guest: SocketAddrV4,
        question: bool,
        to: SocketAddr,
    ) -> io::Result<&mut Flow> {
        let now = link.now;
        let known = self.ids.get(&(guest, question)).copied();
        let id = match known {
            Some(id) => id,
            None => {
                if self.flows.len() >= FLOWS {
                    let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(&id, _)| id);
                    oldest.into_iter().for_each(|id| self.remove(id));
                    link.counts.limited += 1;
                }
                self.next += 1;
                let socket = open(to)?;
                watch.set(&socket, Owner::Udp(self.next), Interest::default(), Interest::READ)?;
                let flow = Flow { guest, question, socket, peers: VecDeque::new(), last: now };
                self.flows.insert(self.next, flow);
                self.ids.insert((guest, question), self.next);
                self.next
            }
        };
        let flow = self.flows.get_mut(&id).ok_or(ErrorKind::NotFound)?;
        flow.last = now;
        Ok(flow)
    }

    fn remove(&mut self, id: u64) {
        if let Some(flow) = self.flows.remove(&id) {
            self.ids.remove(&(flow.guest, flow.question));
        }
    }

    /// Something has come for a flow.
    pub(crate) fn ready(&mut self, config: &Config, link: &mut Link, id: u64) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let mut room = vec![0; 1 << 16];
        for _ in 0..BATCH {
            match flow.socket.recv_from(&mut room) {
                Ok((count, from)) => flow.answer(config, link, from, room.get(..count).unwrap_or_default()),
                Err(_) => {
                    flow.errors(config, link);
                    return;
                }
            }
        }
    }

    /// Closes what nobody uses. Called about once a second.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.flows.retain(|_, flow| now < flow.last + if flow.question { IDLE_QUESTION } else { IDLE });
        let flows = &self.flows;
        self.ids.retain(|_, id| flows.contains_key(id));
    }

    /// The flows, for monitors.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }
}

/// A socket that can send there.
fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(false)?;
    if to.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    }
    Ok(socket)
}

impl Flow {
    fn send(&mut self, payload: &[u8], to: SocketAddr) -> io::Result<()> {
        if !self.peers.contains(&to) {
            if self.peers.len() >= PEERS {
                self.peers.pop_front();
            }
            self.peers.push_back(to);
        }
        match self.socket.send_to(payload, to) {
            // It reports an earlier datagram, and was not sent.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.socket.send_to(payload, to).map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// A datagram for the guest.
    fn answer(&mut self, config: &Config, link: &mut Link, from: SocketAddr, payload: &[u8]) {
        if !self.peers.iter().any(|peer| peer.ip() == from.ip()) {
            return;
        }
        let source = match from {
            _ if self.question => SocketAddrV4::new(config.dns, resolver::PORT),
            SocketAddr::V4(from) => seen_as(config, from),
            SocketAddr::V6(_) => return,
        };
        self.last = link.now;
        if let Some(datagram) = packet::udp(source, self.guest, payload) {
            link.send_datagram(datagram, *self.guest.ip());
        }
    }

    /// Takes what the host has queued about datagrams that were not delivered.
    fn errors(&self, config: &Config, link: &mut Link) {
        for _ in 0..BATCH {
            let Some((to, number)) = next_error(&self.socket) else { return };
            let why = Unreachable::of(&io::Error::from_raw_os_error(number)).unwrap_or(Unreachable::Port);
            let to = if self.question {
                SocketAddrV4::new(config.dns, resolver::PORT)
            } else {
                seen_as(config, to)
            };
            if let Some(original) = packet::udp(self.guest, to, &[]) {
                icmp::unreachable(config, link, why, original.get(ETHERNET..).unwrap_or_default());
            }
        }
    }
}

/// Where a datagram went that was not delivered, and the number of the error (ip(7), `IP_RECVERR`).
fn next_error(socket: &UdpSocket) -> Option<(SocketAddrV4, i32)> {
    let mut payload = [0; 64];
    let mut room = [IoSliceMut::new(&mut payload)];
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut room, Some(&mut control), flags).ok()?;
    let to = message.address.map(SocketAddrV4::from)?;
    let number = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) => i32::try_from(error.ee_errno).ok(),
        _ => None,
    });
    number.map(|number| (to, number))
}
