//! TCP: a connection of a guest ends here, in a socket of smoltcp's, and goes on in one of the host's.
//!
//! A guest's SYN waits until the host is connected; only then is there a socket that answers it. If the host cannot be
//! connected, the SYN finds no socket and is reset, or gets an ICMP message that says why. Then bytes are carried both ways,
//! each end and each reset for itself. Nobody's bytes are taken before there is room for them on the other side, so that
//! windows do what they are for.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Child;
use std::time::Duration;

use smoltcp::iface::{self, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State as TcpState};
use smoltcp::time::{Duration as Span, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpListenEndpoint};

use crate::config::Config;
use crate::forward_rule::Served;
use crate::icmp::{self, Unreachable};
use crate::link::Link;
use crate::packet::Datagram;
use crate::resolver;
use crate::segment::finish;
use crate::tcp_host::{Destination, Stream, destination, open};
use crate::watch::{Interest, Owner, Watch};
use crate::wire::{Segment, Wire};

/// Connections at a time.
const CONNECTIONS: usize = 512;
/// Commands that run at a time.
const COMMANDS: usize = 64;
/// Bytes that wait in a connection, in each direction.
const BUFFER: usize = 256 << 10;
/// How often a guest is asked whether it still knows a connection that is silent, and how long it may not answer.
const KEEP_ALIVE: (Span, Span) = (Span::from_secs(60), Span::from_secs(300));

/// The two ends as the guest sees them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) guest: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) key: Key,
    /// Who began it.
    pub(crate) forwarded: bool,
    /// Gone when both sides have ended, or when one was reset.
    host: Option<Stream>,
    interest: Interest,
    state: State,
}

enum State {
    /// The host is connecting; the guest's SYN waits.
    Connecting { syn: Vec<u8> },
    /// There is a socket. `from_host`, `from_guest`: nothing more comes from there.
    Open { socket: SocketHandle, from_host: bool, from_guest: bool },
}

/// See the module's head.
pub(crate) struct Tcp {
    iface: Interface,
    sockets: SocketSet<'static>,
    connections: HashMap<u64, Connection>,
    ids: HashMap<Key, u64>,
    next: u64,
    /// Connections to look after in this turn.
    touched: Vec<u64>,
    /// Connections that are over when what they have to say is said.
    over: Vec<u64>,
    out: Vec<Segment>,
    children: Vec<Child>,
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

impl Tcp {
    pub(crate) fn new(config: &Config, seed: u64) -> Self {
        let mut out = Vec::new();
        let mut wire = Wire { given: None, out: &mut out, room: &mut 0 };
        let mut settings = iface::Config::new(HardwareAddress::Ip);
        settings.random_seed = seed;
        let mut iface = Interface::new(settings, &mut wire, Instant::ZERO);
        iface.update_ip_addrs(|addresses| {
            let full = addresses.push(IpCidr::new(config.host.into(), config.prefix)).is_err();
            debug_assert!(!full, "an interface has room for one address");
        });
        iface.set_any_ip(true);
        Self {
            iface,
            sockets: SocketSet::new(Vec::new()),
            connections: HashMap::new(),
            ids: HashMap::new(),
            next: 0,
            touched: Vec::new(),
            over: Vec::new(),
            out,
            children: Vec::new(),
        }
    }

    /// A segment of a guest.
    pub(crate) fn segment(
        &mut self,
        config: &Config,
        link: &mut Link,
        watch: &Watch,
        datagram: &Datagram<'_>,
        finished: bool,
    ) {
        let Some(tcp) = datagram.tcp(finished) else {
            link.counts.malformed += 1;
            return;
        };
        if tcp.src_port() == 0 || tcp.dst_port() == 0 {
            link.counts.malformed += 1;
            return;
        }
        let key = Key {
            guest: SocketAddrV4::new(datagram.source, tcp.src_port()),
            peer: SocketAddrV4::new(datagram.destination, tcp.dst_port()),
        };
        let opens = tcp.syn() && !tcp.ack() && !tcp.rst();
        if let Some(&id) = self.ids.get(&key) {
            let past = opens && self.state_of(id) == Some(TcpState::TimeWait);
            if !past {
                self.belongs(id, link, datagram, tcp.rst());
                return;
            }
            self.remove(id, watch);
        }
        if opens {
            self.begin(config, link, watch, key, datagram);
        } else if config.restrict {
            link.counts.restricted += 1;
        } else {
            // No socket has it: it is reset.
            self.feed(link, datagram.whole);
        }
    }

    fn state_of(&self, id: u64) -> Option<TcpState> {
        match self.connections.get(&id)?.state {
            State::Connecting { .. } => None,
            State::Open { socket, .. } => Some(self.sockets.get::<Socket<'_>>(socket).state()),
        }
    }

    /// A segment of a connection that there is.
    fn belongs(&mut self, id: u64, link: &mut Link, datagram: &Datagram<'_>, reset: bool) {
        match self.connections.get(&id).map(|connection| &connection.state) {
            // The SYN again; or the guest does not want to wait any longer.
            Some(State::Connecting { .. }) if reset => self.over.push(id),
            Some(State::Connecting { .. }) | None => {}
            Some(State::Open { .. }) => {
                self.feed(link, datagram.whole);
                self.touched.push(id);
            }
        }
    }

    /// Gives a datagram to smoltcp.
    fn feed(&mut self, link: &mut Link, datagram: &[u8]) {
        let mut room = link.room();
        let mut wire = Wire { given: Some(datagram), out: &mut self.out, room: &mut room };
        let _ = self.iface.poll_ingress_single(instant(link.now), &mut wire, &mut self.sockets);
        self.flush(link);
    }

    /// Hands over what smoltcp has to say.
    fn flush(&mut self, link: &mut Link) {
        for segment in self.out.drain(..) {
            let destination = segment.bytes.get(crate::packet::ETHERNET + 16..crate::packet::ETHERNET + 20);
            let Some(&[a, b, c, d]) = destination else { continue };
            for frame in finish(segment) {
                link.send(frame, Ipv4Addr::new(a, b, c, d));
            }
        }
    }

    /// The guest wants a connection.
    fn begin(&mut self, config: &Config, link: &mut Link, watch: &Watch, key: Key, datagram: &Datagram<'_>) {
        let served = config.guest_forwards.iter().find(|rule| rule.at == key.peer).map(|rule| &rule.served);
        if served.is_none() && config.restrict {
            link.counts.restricted += 1;
            return;
        }
        if !self.make_room(watch)
            || (matches!(served, Some(Served::Command(_))) && self.children.len() >= COMMANDS)
        {
            link.counts.limited += 1;
            self.feed(link, datagram.whole);
            return;
        }
        let opened = match (served, destination(config, key.peer)) {
            (Some(served), _) => open(served),
            (None, Destination::Host(to)) => Stream::connect(to).map(|stream| (stream, None)),
            (None, Destination::NameServer) => {
                Stream::connect(resolver::first(config)).map(|stream| (stream, None))
            }
            (None, Destination::Nothing) => Err(io::ErrorKind::ConnectionRefused.into()),
            (None, Destination::Nowhere) => {
                link.counts.unwanted += 1;
                return;
            }
        };
        match opened {
            Ok((stream, child)) => {
                self.children.extend(child);
                let id = self.insert(Connection {
                    key,
                    forwarded: false,
                    host: Some(stream),
                    interest: Interest::default(),
                    state: State::Connecting { syn: datagram.whole.to_vec() },
                });
                self.want(id, Interest::WRITE, watch);
            }
            Err(error) => self.refuse(config, link, datagram.whole, &error),
        }
    }

    /// Tells the guest why there is no connection.
    fn refuse(&mut self, config: &Config, link: &mut Link, syn: &[u8], error: &io::Error) {
        match Unreachable::of(error) {
            Some(why) => icmp::unreachable(config, link, why, syn),
            None => self.feed(link, syn),
        }
    }

    fn insert(&mut self, connection: Connection) -> u64 {
        self.next += 1;
        self.ids.insert(connection.key, self.next);
        self.connections.insert(self.next, connection);
        self.next
    }

    /// Whether there may be one connection more.
    fn make_room(&mut self, watch: &Watch) -> bool {
        if self.connections.len() < CONNECTIONS {
            return true;
        }
        let past = self.connections.keys().copied().find(|&id| self.state_of(id) == Some(TcpState::TimeWait));
        if let Some(id) = past {
            self.remove(id, watch);
        }
        past.is_some()
    }

    fn socket() -> Socket<'static> {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(Some(KEEP_ALIVE.0));
        socket.set_timeout(Some(KEEP_ALIVE.1));
        socket
    }

    /// The host has a connection for a guest, which sees it come from `key.peer`.
    pub(crate) fn forward(&mut self, link: &mut Link, watch: &Watch, stream: Stream, key: Key) {
        if self.ids.contains_key(&key) || !self.make_room(watch) {
            link.counts.limited += 1;
            stream.reset_when_closed();
            return;
        }
        let mut socket = Self::socket();
        let to = (*key.guest.ip(), key.guest.port());
        let from = IpListenEndpoint { addr: Some((*key.peer.ip()).into()), port: key.peer.port() };
        if socket.connect(self.iface.context(), to, from).is_err() {
            stream.reset_when_closed();
            return;
        }
        let socket = self.sockets.add(socket);
        let state = State::Open { socket, from_host: false, from_guest: false };
        let interest = Interest::default();
        let id = self.insert(Connection { key, forwarded: true, host: Some(stream), interest, state });
        self.touched.push(id);
    }

    /// Something happened at the host's side.
    pub(crate) fn touch(&mut self, id: u64) {
        self.touched.push(id);
    }

    /// Looks after the connections that something happened to, and sends what is to be sent. Says whether there was too
    /// little room for that.
    pub(crate) fn turn(&mut self, config: &Config, link: &mut Link, watch: &Watch) -> bool {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            self.serve(id, config, link, watch);
        }
        let mut room = link.room();
        let mut wire = Wire { given: None, out: &mut self.out, room: &mut room };
        let now = instant(link.now);
        while self.iface.poll_egress(now, &mut wire, &mut self.sockets) == PollResult::SocketStateChanged {}
        self.flush(link);
        for id in std::mem::take(&mut self.over) {
            self.remove(id, watch);
        }
        room == 0
    }

    fn serve(&mut self, id: u64, config: &Config, link: &mut Link, watch: &Watch) {
        let Some(connection) = self.connections.get(&id) else { return };
        let State::Connecting { syn } = &connection.state else {
            self.carry(id, watch);
            return;
        };
        let Some(stream) = &connection.host else { return };
        if let Err(error) = stream.error() {
            let syn = syn.clone();
            self.refuse(config, link, &syn, &error);
            self.over.push(id);
        } else {
            self.answer(id, link, watch);
        }
    }

    /// The host is connected: a socket takes the guest's SYN.
    fn answer(&mut self, id: u64, link: &mut Link, watch: &Watch) {
        let mut socket = Self::socket();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let peer = connection.key.peer;
        let listens = socket.listen((*peer.ip(), peer.port())).is_ok();
        let socket = self.sockets.add(socket);
        let open = State::Open { socket, from_host: false, from_guest: false };
        let State::Connecting { syn } = std::mem::replace(&mut connection.state, open) else { return };
        self.feed(link, &syn);
        let state = self.sockets.get::<Socket<'_>>(socket).state();
        if listens && state == TcpState::SynReceived {
            self.want(id, Interest::default(), watch);
        } else {
            // The SYN is one that smoltcp does not take.
            self.close(id, true);
        }
    }

    /// Carries bytes both ways.
    fn carry(&mut self, id: u64, watch: &Watch) {
        let Some(Connection { host, state: State::Open { socket, from_host, from_guest }, .. }) =
            self.connections.get_mut(&id)
        else {
            return;
        };
        let socket = self.sockets.get_mut::<Socket<'_>>(*socket);
        let Some(stream) = host else {
            if socket.state() == TcpState::Closed {
                self.over.push(id);
            }
            return;
        };
        let carried = to_host(socket, stream).and_then(|()| from_guest_ended(socket, stream, from_guest));
        let carried =
            carried.and_then(|()| if *from_host { Ok(()) } else { to_guest(socket, stream, from_host) });
        if carried.is_err() {
            socket.abort();
        }
        let ended = *from_host && *from_guest;
        let interest = Interest { read: !*from_host && socket.can_send(), write: socket.can_recv() };
        if socket.state() == TcpState::Closed {
            self.close(id, !ended);
        } else if ended {
            self.want(id, Interest::default(), watch);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.host = None;
            }
        } else {
            self.want(id, interest, watch);
        }
    }

    /// The connection is over; `reset`: before its time.
    fn close(&mut self, id: u64, reset: bool) {
        if let Some(stream) = self.connections.get(&id).and_then(|connection| connection.host.as_ref())
            && reset
        {
            stream.reset_when_closed();
        }
        self.over.push(id);
    }

    fn want(&mut self, id: u64, interest: Interest, watch: &Watch) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(stream) = &connection.host else { return };
        match watch.set(stream, Owner::Tcp(id), connection.interest, interest) {
            Ok(()) => connection.interest = interest,
            // The host has no memory for it: nobody would ever look after the connection again.
            Err(_) => self.over.push(id),
        }
    }

    fn remove(&mut self, id: u64, watch: &Watch) {
        self.want(id, Interest::default(), watch);
        let Some(connection) = self.connections.remove(&id) else { return };
        self.ids.remove(&connection.key);
        if let State::Open { socket, .. } = connection.state {
            self.sockets.remove(socket);
        }
    }

    /// Looks for connections that ended by themselves, and commands that did. Called about once a second.
    pub(crate) fn sweep(&mut self) {
        self.touched.extend(
            self.connections
                .iter()
                .filter_map(|(&id, connection)| matches!(connection.state, State::Open { .. }).then_some(id)),
        );
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// When smoltcp wants to be called again.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Duration> {
        let delay = self.iface.poll_delay(instant(now), &self.sockets)?;
        Some(Duration::from_micros(delay.total_micros()))
    }

    /// The connections, for monitors: with what waits for the host and for the guest.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&Connection, &'static str, usize, usize)> {
        self.connections.values().map(|connection| match connection.state {
            State::Connecting { .. } => (connection, "SYN_SENT", 0, 0),
            State::Open { socket, .. } => {
                let socket = self.sockets.get::<Socket<'_>>(socket);
                (connection, name_of(socket.state()), socket.recv_queue(), socket.send_queue())
            }
        })
    }
}

/// What the guest has sent goes to the host, as far as that takes it.
fn to_host(socket: &mut Socket<'_>, stream: &Stream) -> io::Result<()> {
    while socket.can_recv() {
        let written = socket.recv(|data| match stream.write(data) {
            Ok(count) => (count, Ok(count)),
            Err(error) => (0, Err(error)),
        });
        match written {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

/// If the guest has ended its side and the host has all of it, the host is told.
#[allow(clippy::unnecessary_wraps, reason = "one of three steps that are tried in turn")]
fn from_guest_ended(socket: &Socket<'_>, stream: &Stream, ended: &mut bool) -> io::Result<()> {
    let all = matches!(
        socket.state(),
        TcpState::CloseWait | TcpState::LastAck | TcpState::Closing | TcpState::TimeWait
    );
    if all && !socket.can_recv() && !*ended {
        stream.end();
        *ended = true;
    }
    Ok(())
}

/// What the host has goes to the guest, as far as there is room.
fn to_guest(socket: &mut Socket<'_>, stream: &Stream, ended: &mut bool) -> io::Result<()> {
    while socket.can_send() {
        let read = socket.send(|room| match stream.read(room) {
            Ok(count) => (count, Ok(count)),
            Err(error) => (0, Err(error)),
        });
        match read {
            Err(_) => break,
            Ok(Ok(0)) => {
                *ended = true;
                socket.close();
                break;
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

const fn name_of(state: TcpState) -> &'static str {
    match state {
        TcpState::Closed => "CLOSED",
        TcpState::Listen => "LISTEN",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynReceived => "SYN_RCVD",
        TcpState::Established => "ESTABLISHED",
        TcpState::FinWait1 => "FIN_WAIT_1",
        TcpState::FinWait2 => "FIN_WAIT_2",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::Closing => "CLOSING",
        TcpState::LastAck => "LAST_ACK",
        TcpState::TimeWait => "TIME_WAIT",
    }
}

/// The host's address of a peer that connected to a forwarded port.
pub(crate) const fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}
