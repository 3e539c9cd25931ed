//! The network: what is at the other ends of the cables of network devices.

use std::net::IpAddr;

use emu_devices::net::MacAddress;

use super::{Dgram, Given, MachineConfig, Socket, SocketPlace, user_network};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::parse_u64;
use crate::property::Value::{Number, Switch, Text};
use crate::property::{self, Property, property};

/// A back end, by the name that a device says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Netdev {
    /// Its name.
    pub id: String,
    /// What it is.
    pub kind: NetdevKind,
}

/// The name of a back end at a connection whose ends programs are told of.
pub const STREAM: &str = "stream";

/// What a back end is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetdevKind {
    /// Frames go over a connection, each behind its length in four bytes, the most significant first.
    Stream {
        /// Its name on the command line: there are two.
        called: &'static str,
        /// The connection.
        socket: Given<Socket>,
    },
    /// A network of the host's sockets.
    User(Box<emu_net::Config>),
    /// Frames are datagrams.
    Dgram(Dgram),
    /// A port of the hub of this number: all ports of a hub hear each other.
    Hub(u64),
}

impl NetdevKind {
    /// The name of its kind on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stream { called, .. } => called,
            Self::User(_) => "user",
            Self::Dgram(_) => "dgram",
            Self::Hub(_) => "hubport",
        }
    }
}

/// Reads what is behind `KIND,id=ID`.
type Read = fn(Parts) -> Result<NetdevKind, UserError>;

/// The kinds of back ends, what the help says of each, and how it is read.
const KINDS: &[(&str, &str, Read)] = &[
    ("user", user_network::ABOUT, user_network::read),
    (
        "socket",
        "fd=N or listen=[HOST]:PORT or connect=HOST:PORT: another machine, frames behind their lengths",
        socket,
    ),
    ("stream", "server=on|off,addr.type=inet|unix|fd,...[,reconnect-ms=N]: the same, also by paths", stream),
    (
        "dgram",
        "local.type=inet|unix,...,remote.type=...,... or local.type=fd,local.str=N: each frame is a datagram",
        |parts| Dgram::from_parts(parts).map(NetdevKind::Dgram),
    ),
    ("hubport", "hubid=N: a hub inside this machine", hubport),
];

/// The lines of the help.
#[must_use]
pub fn netdev_help() -> String {
    let line = |(name, about, _): &(&str, &str, Read)| format!("  {name:<9}{about}\n");
    format!("Back ends:\n{}", KINDS.iter().map(line).collect::<String>())
}

impl Netdev {
    /// Reads `KIND,id=ID,...`; without an id it is called `otherwise`, if there is such a name.
    pub fn from_parts(mut parts: Parts, otherwise: Option<String>) -> Result<Self, UserError> {
        let option = parts.option();
        let kinds = || KINDS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        let kind = parts
            .take_first("type")?
            .ok_or_else(|| user_error!("{option} needs a kind of back end: {}", kinds()))?;
        let id = match (parts.take("id")?, otherwise) {
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Err(user_error!("{option} needs 'id='")),
        };
        let row = KINDS.iter().find(|(name, ..)| *name == kind);
        let (_, _, read) =
            row.ok_or_else(|| user_error!("'{kind}' is not supported in {option} (there are {})", kinds()))?;
        Ok(Self { id, kind: read(parts)? })
    }
}

impl MachineConfig {
    /// Adds a back end.
    pub fn add_netdev(&mut self, option: &str, netdev: Netdev) -> Result<(), UserError> {
        if self.network.iter().any(|n| n.id == netdev.id) {
            return Err(user_error!("two back ends given with {option} have the id '{}'", netdev.id));
        }
        self.network.push(netdev);
        Ok(())
    }

    /// The device `user` has the back end `id`, which nobody else has.
    pub fn take_netdev(&self, id: &str, user: &str) -> Result<(), UserError> {
        if !self.network.iter().any(|n| n.id == id) {
            return Err(user_error!("there is no network back end '{id}' for {user}"));
        }
        match self.devices.iter().any(|device| device.settings.netdev() == Some(id)) {
            true => Err(user_error!("the network back end '{id}' of {user} has a device already")),
            false => Ok(()),
        }
    }
}

/// An end of a connection, with nothing between it and the frames.
fn plain(place: SocketPlace, server: bool) -> Socket {
    Socket { place, server, wait: false, nodelay: true, telnet: false, reconnect: None }
}

/// `socket`: one of three ways to a connection.
fn socket(mut parts: Parts) -> Result<NetdevKind, UserError> {
    let option = parts.option();
    for what in ["mcast", "udp", "localaddr"] {
        if parts.take(what)?.is_some() {
            return Err(user_error!(
                "'{what}=' in {option} is not supported: there are fd, listen and connect"
            ));
        }
    }
    let fd = parts.take("fd")?;
    let (listen, connect) = (parts.take("listen")?, parts.take("connect")?);
    parts.finish("a socket")?;
    let socket = match (fd, listen, connect) {
        (Some(fd), None, None) => plain(inherited(option, &fd)?, false),
        (None, Some(at), None) => plain(host_and_port(option, &at)?, true),
        (None, None, Some(to)) => plain(host_and_port(option, &to)?, false),
        _ => return Err(user_error!("a socket in {option} needs one of 'fd=', 'listen=' and 'connect='")),
    };
    Ok(NetdevKind::Stream { called: "socket", socket: Given::new(option, socket) })
}

fn inherited(option: &str, fd: &str) -> Result<SocketPlace, UserError> {
    let number = fd.parse().ok().filter(|n| *n >= 0);
    number
        .map(SocketPlace::Inherited)
        .ok_or_else(|| user_error!("'{fd}' in {option} is not the number of an open file"))
}

fn host_and_port(option: &str, text: &str) -> Result<SocketPlace, UserError> {
    let wrong = || user_error!("'{text}' in {option} is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    Ok(SocketPlace::Tcp { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
}

/// What `stream` is told.
#[derive(Default)]
struct Stream {
    server: bool,
    kind: String,
    host: String,
    port: String,
    path: String,
    fd: String,
    reconnect: u64,
    /// Families that are not wanted.
    not_ipv4: bool,
    not_ipv6: bool,
}

fn keep(slot: &mut String, value: &str) -> Result<(), UserError> {
    value.clone_into(slot);
    Ok(())
}

const STREAM_PROPERTIES: &[Property<Stream>] = &[
    property("server", Switch(|s, on| s.server = on), "it listens"),
    property("addr.type", Text(|s, v| keep(&mut s.kind, v)), "inet, unix or fd"),
    property("addr.host", Text(|s, v| keep(&mut s.host, v)), "inet: the host"),
    property("addr.port", Text(|s, v| keep(&mut s.port, v)), "inet: the port"),
    property("addr.ipv4", Switch(|s, on| s.not_ipv4 = !on), "inet: the address may be one of IPv4"),
    property("addr.ipv6", Switch(|s, on| s.not_ipv6 = !on), "inet: the address may be one of IPv6"),
    property("addr.path", Text(|s, v| keep(&mut s.path, v)), "unix: the path"),
    property("addr.str", Text(|s, v| keep(&mut s.fd, v)), "fd: the number of the open file"),
    property(
        "reconnect-ms",
        Number(|s, n| {
            s.reconnect = n;
            Ok(())
        }),
        "how long after an end it connects again",
    ),
];

impl Stream {
    /// Of a name nobody knows the family before it is looked up.
    fn check_family(&self, host: &str, option: &str) -> Result<(), UserError> {
        let fits = match host.parse::<IpAddr>() {
            Ok(address) => !(address.is_ipv4() && self.not_ipv4 || address.is_ipv6() && self.not_ipv6),
            Err(_) => !self.not_ipv4 && !self.not_ipv6,
        };
        match fits {
            true => Ok(()),
            false => Err(user_error!(
                "'addr.host={host}' in {option} is not an address of the family that is wanted"
            )),
        }
    }
}

/// `stream`: a connection by its address.
fn stream(parts: Parts) -> Result<NetdevKind, UserError> {
    let option = parts.option();
    let mut told = Stream::default();
    property::read(parts, &[STREAM_PROPERTIES], "a stream", &mut told)?;
    let needs = |what: &str, value: &str| match value {
        "" => Err(user_error!("a stream in {option} needs '{what}='")),
        value => Ok(value.to_owned()),
    };
    let place = match &*told.kind {
        "inet" => {
            let port = needs("addr.port", &told.port)?;
            let port = port.parse().map_err(|_| user_error!("in {option}, '{port}' is no port"))?;
            let host = needs("addr.host", &told.host)?;
            told.check_family(&host, option)?;
            SocketPlace::Tcp { host, port }
        }
        "unix" => SocketPlace::Unix(needs("addr.path", &told.path)?.into()),
        "fd" if !told.server => inherited(option, &needs("addr.str", &told.fd)?)?,
        "" => return Err(user_error!("a stream in {option} needs 'addr.type='")),
        other => {
            return Err(user_error!(
                "'addr.type={other}' in {option} is not supported: a stream is at inet or unix, or connected at fd"
            ));
        }
    };
    if told.server && told.reconnect != 0 {
        return Err(user_error!("'reconnect-ms=' in {option} is for who connects, and this one listens"));
    }
    let reconnect = (told.reconnect != 0).then(|| std::time::Duration::from_millis(told.reconnect));
    let socket = Socket { reconnect, ..plain(place, told.server) };
    Ok(NetdevKind::Stream { called: STREAM, socket: Given::new(option, socket) })
}

fn hubport(mut parts: Parts) -> Result<NetdevKind, UserError> {
    let option = parts.option();
    let hub = parts.take_with("hubid", parse_u64)?;
    parts.finish("a port of a hub")?;
    hub.map(NetdevKind::Hub).ok_or_else(|| user_error!("a port of a hub in {option} needs 'hubid='"))
}

/// An address of one station, as six numbers of two hexadecimal digits.
pub fn station(text: &str) -> Result<MacAddress, UserError> {
    let wrong =
        || user_error!("'{text}' is not the Ethernet address of one station, such as 52:54:00:12:34:56");
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| digits(part));
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    let mac = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()).ok_or_else(wrong)?;
    if mac[0] & 1 == 0 { Ok(MacAddress(mac)) } else { Err(wrong()) }
}

/// The address of the device number `n` of those that were given none: as on other machines, so that scripts find it.
#[must_use]
pub fn default_station(n: u8) -> MacAddress {
    MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56_u8.wrapping_add(n)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Netdev, String> {
        Netdev::from_parts(Parts::split("-netdev", text), None).map_err(|e| e.to_string())
    }

    fn place(text: &str) -> (SocketPlace, bool) {
        match read(text).unwrap().kind {
            NetdevKind::Stream { socket, .. } => (socket.place.clone(), socket.server),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn connections_are_described_in_two_ways() {
        let tcp = |host: &str, port| SocketPlace::Tcp { host: host.to_owned(), port };
        assert_eq!(place("socket,id=a,fd=7"), (SocketPlace::Inherited(7), false));
        assert_eq!(place("socket,id=a,listen=:1234"), (tcp("", 1234), true));
        assert_eq!(place("socket,id=a,connect=[::1]:5"), (tcp("::1", 5), false));
        let inet = "stream,id=a,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=9";
        assert_eq!(place(inet), (tcp("127.0.0.1", 9), true));
        assert_eq!(place("stream,id=a,addr.type=unix,addr.path=/x"), (SocketPlace::Unix("/x".into()), false));
        assert_eq!(place("stream,id=a,addr.type=fd,addr.str=4"), (SocketPlace::Inherited(4), false));
        assert_eq!(read("hubport,id=a,hubid=3").unwrap().kind, NetdevKind::Hub(3));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "needs a kind of back end: user, socket, stream"),
            ("socket", "needs 'id='"),
            ("vde,id=a", "'vde' is not supported in -netdev"),
            ("socket,id=a", "needs one of 'fd='"),
            ("socket,id=a,fd=1,listen=:2", "needs one of 'fd='"),
            ("socket,id=a,fd=-1", "not the number of an open file"),
            ("socket,id=a,listen=x", "is not HOST:PORT"),
            ("socket,id=a,mcast=230.0.0.1:1234", "'mcast=' in -netdev is not supported"),
            ("stream,id=a", "needs 'addr.type='"),
            ("stream,id=a,addr.type=unix", "needs 'addr.path='"),
            ("stream,id=a,addr.type=fd,server=on,addr.str=3", "'addr.type=fd' in -netdev is not supported"),
            ("stream,id=a,server=on,reconnect-ms=5,addr.type=unix,addr.path=/x", "this one listens"),
            (
                "stream,id=a,addr.type=inet,addr.host=::1,addr.port=1,addr.ipv6=off",
                "not an address of the family",
            ),
            ("hubport,id=a", "needs 'hubid='"),
            ("hubport,id=a,hubid=0,netdev=b", "'netdev=b' is not supported"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn addresses_of_stations() {
        assert_eq!(station("52:54:00:aB:cd:ef").unwrap().to_string(), "52:54:00:ab:cd:ef");
        for wrong in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:0:12:34:56",
            "01:00:5e:00:00:01",
            "+2:54:00:12:34:56",
        ] {
            assert!(station(wrong).unwrap_err().to_string().contains("Ethernet address"), "{wrong}");
        }
        assert_eq!(default_station(2).to_string(), "52:54:00:12:34:58");
    }
}
