//! ICMP (RFC 792): echo, and messages about what could not be delivered.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv4TimeExceeded, IpProtocol, Ipv4Packet, Ipv4Repr,
};

use crate::config::Config;
use crate::link::Link;
use crate::packet::{self, Datagram};
use crate::tcp_host::{Destination, destination};
use crate::watch::{Interest, Owner, Watch};

/// Echo sockets at a time.
const ECHOES: usize = 64;
/// How long a socket without an answer stays.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a datagram that a message about it repeats, beside its header.
const REPEATED: usize = 8;
/// Answers that are taken at a time.
const BATCH: usize = 16;

/// Why something could not be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreachable {
    Network,
    Host,
    Port,
    Protocol,
    Prohibited,
}

impl Unreachable {
    /// What an error of the host's means to the guest. None: somebody refused it.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.raw_os_error() {
            Some(libc::ENETUNREACH | libc::ENETDOWN) => Some(Self::Network),
            Some(libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::ETIMEDOUT | libc::EADDRNOTAVAIL) => {
                Some(Self::Host)
            }
            Some(libc::EACCES | libc::EPERM) => Some(Self::Prohibited),
            _ => None,
        }
    }

    const fn reason(self) -> Icmpv4DstUnreachable {
        match self {
            Self::Network => Icmpv4DstUnreachable::NetUnreachable,
            Self::Host => Icmpv4DstUnreachable::HostUnreachable,
            Self::Port => Icmpv4DstUnreachable::PortUnreachable,
            Self::Protocol => Icmpv4DstUnreachable::ProtoUnreachable,
            Self::Prohibited => Icmpv4DstUnreachable::CommProhibited,
        }
    }
}

/// The header of a datagram and the first bytes behind it, if there may be a message about it (RFC 1122, 3.2.2).
fn quoted(config: &Config, original: &[u8]) -> Option<(Ipv4Repr, Vec<u8>)> {
    let packet = Ipv4Packet::new_checked(original).ok()?;
    let header = Ipv4Repr::parse(&packet, &ChecksumCapabilities::ignored()).ok()?;
    let single = |address: Ipv4Addr| {
        !address.is_multicast()
            && !address.is_broadcast()
            && !address.is_unspecified()
            && !address.is_loopback()
    };
    if !single(header.dst_addr)
        || !config.is_station(header.src_addr)
        || header.dst_addr == config.broadcast()
    {
        return None;
    }
    let payload = packet.payload();
    Some((header, payload.get(..REPEATED).unwrap_or(payload).to_vec()))
}

/// Tells the guest that a datagram could not be delivered.
pub(crate) fn unreachable(config: &Config, link: &mut Link, why: Unreachable, original: &[u8]) {
    let Some((header, data)) = quoted(config, original) else { return };
    let message = Icmpv4Repr::DstUnreachable { reason: why.reason(), header, data: &data };
    link.send(packet::icmp(config.host, header.src_addr, &message), header.src_addr);
}

/// Tells the guest that a datagram has come to the end of its hops.
pub(crate) fn expired(config: &Config, link: &mut Link, original: &[u8]) {
    let Some((header, data)) = quoted(config, original) else { return };
    if header.next_header == IpProtocol::Icmp && !matches!(data.first(), Some(8)) {
        return;
    }
    let message = Icmpv4Repr::TimeExceeded { reason: Icmpv4TimeExceeded::TtlExpired, header, data: &data };
    link.send(packet::icmp(config.host, header.src_addr, &message), header.src_addr);
}

/// A guest that asks others for an echo.
struct Echo {
    guest: Ipv4Addr,
    identifier: u16,
    socket: UdpSocket,
    last: Duration,
}

/// The echo sockets.
#[derive(Default)]
pub(crate) struct Icmp {
    echoes: HashMap<u64, Echo>,
    next: u64,
}

impl Icmp {
    /// A message of a guest.
    pub(crate) fn message(
        &mut self,
        config: &Config,
        link: &mut Link,
        watch: &Watch,
        datagram: &Datagram<'_>,
    ) {
        let Some(message) = datagram.icmp() else {
            link.counts.malformed += 1;
            return;
        };
        // All but requests concern what the host's own stack takes care of.
        let Ok(Icmpv4Repr::EchoRequest { ident, seq_no, data }) =
            Icmpv4Repr::parse(&message, &ChecksumCapabilities::ignored())
        else {
            link.counts.unwanted += 1;
            return;
        };
        let ours = datagram.destination == config.host || datagram.destination == config.dns;
        if ours {
            let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
            let reply = packet::icmp(datagram.destination, datagram.source, &reply);
            link.send_datagram(reply, datagram.source);
            return;
        }
        if config.restrict {
            link.counts.restricted += 1;
            return;
        }
        // The port is of no meaning here.
        match destination(config, SocketAddrV4::new(datagram.destination, 1)) {
            Destination::Host(to) => {
                if let Err(error) = self.ask(link, watch, (datagram.source, ident), message.into_inner(), to)
                {
                    let why = Unreachable::of(&error).unwrap_or(Unreachable::Host);
                    unreachable(config, link, why, datagram.whole);
                }
            }
            Destination::Nothing => unreachable(config, link, Unreachable::Host, datagram.whole),
            Destination::NameServer | Destination::Nowhere => link.counts.unwanted += 1,
        }
    }

    /// Sends the request by a socket whose identifier the host chooses.
    fn ask(
        &mut self,
        link: &mut Link,
        watch: &Watch,
        (guest, identifier): (Ipv4Addr, u16),
        message: &[u8],
        to: SocketAddr,
    ) -> io::Result<()> {
        let found =
            self.echoes.values_mut().find(|echo| echo.guest == guest && echo.identifier == identifier);
        if let Some(echo) = found {
            echo.last = link.now;
            return echo.socket.send_to(message, to).map(drop);
        }
        if self.echoes.len() >= ECHOES {
            let oldest = self.echoes.iter().min_by_key(|(_, echo)| echo.last).map(|(&id, _)| id);
            oldest.into_iter().for_each(|id| drop(self.echoes.remove(&id)));
            link.counts.limited += 1;
        }
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, flags, SockProtocol::Icmp)?;
        let socket = UdpSocket::from(socket);
        self.next += 1;
        watch.set(&socket, Owner::Echo(self.next), Interest::default(), Interest::READ)?;
        socket.send_to(message, to)?;
        self.echoes.insert(self.next, Echo { guest, identifier, socket, last: link.now });
        Ok(())
    }

    /// There is an answer.
    pub(crate) fn ready(&mut self, link: &mut Link, id: u64) {
        let Some(echo) = self.echoes.get(&id) else { return };
        let mut room = [0; 1 << 16];
        for _ in 0..BATCH {
            let Ok((count, SocketAddr::V4(from))) = echo.socket.recv_from(&mut room) else { return };
            let Some(message) = room.get(..count).and_then(|bytes| Icmpv4Packet::new_checked(bytes).ok())
            else {
                continue;
            };
            let parsed = Icmpv4Repr::parse(&message, &ChecksumCapabilities::ignored());
            if let Ok(Icmpv4Repr::EchoReply { seq_no, data, .. }) = parsed {
                let reply = Icmpv4Repr::EchoReply { ident: echo.identifier, seq_no, data };
                link.send_datagram(packet::icmp(*from.ip(), echo.guest, &reply), echo.guest);
            }
        }
    }

    /// Closes what nobody uses. Called about once a second.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.echoes.retain(|_, echo| now < echo.last + IDLE);
    }
}
