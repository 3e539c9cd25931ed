//! Rules of forwarded ports, as users write them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

/// What is carried over IP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the host that leads to a guest: `[tcp|udp]:[address]:port-[address]:port`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Forward {
    /// What is forwarded.
    pub protocol: Protocol,
    /// Where the host listens. Without an address that is every one; port 0 is any that is free.
    pub listen: SocketAddrV4,
    /// The guest; the first address of the DHCP server, if none is said.
    pub guest: Option<Ipv4Addr>,
    /// The port there.
    pub port: u16,
}

/// A port in the network that leads to something of the host: `[tcp]:address:port-target`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestForward {
    /// The address that guests see.
    pub at: SocketAddrV4,
    /// What is there.
    pub served: Served,
}

/// What serves a connection of the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// A command, started by the shell for each connection: the connection is its standard input and output.
    Command(String),
    /// A TCP server.
    Tcp(SocketAddrV4),
    /// A server at a socket of the file system.
    Unix(PathBuf),
}

/// Why a text is no rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleError {
    /// It has not the parts that a rule has.
    #[error("'{0}' is not '{1}'")]
    Form(String, &'static str),
    /// Another protocol.
    #[error("'{0}' is neither tcp nor udp")]
    Protocol(String),
    /// No address.
    #[error("'{0}' is not an IPv4 address")]
    Address(String),
    /// No port.
    #[error("'{0}' is not a port")]
    Port(String),
    /// A device of another kind behind a guest's port.
    #[error("'{0}' is not what a guest's port can lead to: cmd:COMMAND, tcp:ADDRESS:PORT or unix:PATH")]
    Served(String),
}

const FORWARD: &str = "[tcp|udp]:[address]:port-[address]:port";
const LISTENER: &str = "[tcp|udp]:[address]:port";
const GUEST: &str = "[tcp]:address:port-target";

fn protocol(text: &str) -> Result<Protocol, RuleError> {
    match text {
        "" | "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err(RuleError::Protocol(text.to_owned())),
    }
}

fn address(text: &str) -> Result<Option<Ipv4Addr>, RuleError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| RuleError::Address(text.to_owned()))
}

fn port(text: &str) -> Result<u16, RuleError> {
    let wrong = || RuleError::Port(text.to_owned());
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

fn nonzero(text: &str) -> Result<u16, RuleError> {
    port(text).and_then(|port| if port == 0 { Err(RuleError::Port(text.to_owned())) } else { Ok(port) })
}

/// The host's side of a rule, which is what names it when it is to be removed.
fn listener(text: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = text.split_once(':')?;
    let (address, port) = rest.split_once(':')?;
    Some((kind, address, port))
}

impl Forward {
    /// What `hostfwd_remove` says: the host's side alone.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_listener(text: &str) -> Result<(Protocol, SocketAddrV4), RuleError> {
        let (kind, at, number) = listener(text).ok_or_else(|| RuleError::Form(text.to_owned(), LISTENER))?;
        let at = address(at)?.unwrap_or(Ipv4Addr::UNSPECIFIED);
        Ok((protocol(kind)?, SocketAddrV4::new(at, port(number)?)))
    }
}

impl FromStr for Forward {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Form(text.to_owned(), FORWARD);
        let (host, inside) = text.split_once('-').ok_or_else(wrong)?;
        listener(host).ok_or_else(wrong)?;
        let (protocol, listen) = Self::parse_listener(host)?;
        let (guest, port) = inside.split_once(':').ok_or_else(wrong)?;
        Ok(Self { protocol, listen, guest: address(guest)?, port: nonzero(port)? })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guest = self.guest.map_or_else(String::new, |guest| guest.to_string());
        write!(f, "{}:{}-{guest}:{}", self.protocol, self.listen, self.port)
    }
}

impl FromStr for GuestForward {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Form(text.to_owned(), GUEST);
        let (seen, target) = text.split_once('-').ok_or_else(wrong)?;
        let (kind, at, number) = listener(seen).ok_or_else(wrong)?;
        if protocol(kind)? != Protocol::Tcp {
            return Err(wrong());
        }
        let at = SocketAddrV4::new(address(at)?.ok_or_else(wrong)?, nonzero(number)?);
        Ok(Self { at, served: target.parse()? })
    }
}

impl FromStr for Served {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Served(text.to_owned());
        match text.split_once(':') {
            Some(("cmd", command)) if !command.is_empty() => Ok(Self::Command(command.to_owned())),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", at)) => at.parse().map(Self::Tcp).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_ports() {
        let rule: Forward = "tcp:127.0.0.1:2222-10.0.2.20:22".parse().unwrap();
        assert_eq!(rule.listen, "127.0.0.1:2222".parse().unwrap());
        assert_eq!(
            (rule.protocol, rule.guest, rule.port),
            (Protocol::Tcp, Some(Ipv4Addr::new(10, 0, 2, 20)), 22)
        );
        assert_eq!(rule.to_string(), "tcp:127.0.0.1:2222-10.0.2.20:22");
        let rule: Forward = "::8080-:80".parse().unwrap();
        assert_eq!((rule.protocol, rule.listen), (Protocol::Tcp, "0.0.0.0:8080".parse().unwrap()));
        assert_eq!((rule.guest, rule.port), (None, 80));
        assert_eq!("udp::53-:53".parse::<Forward>().unwrap().protocol, Protocol::Udp);
        assert_eq!(Forward::parse_listener("udp::53"), Ok((Protocol::Udp, "0.0.0.0:53".parse().unwrap())));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let why = |text: &str| text.parse::<Forward>().unwrap_err().to_string();
        for text in ["", "tcp", "tcp:1-2", "tcp::22", "2222-:22", "tcp::22-22"] {
            assert!(why(text).contains("port-[address]:port"), "{text}");
        }
        assert_eq!(why("sctp::1-:1"), "'sctp' is neither tcp nor udp");
        assert_eq!(why("tcp:host:1-:1"), "'host' is not an IPv4 address");
        for port in ["", "+1", "65536", "x"] {
            assert_eq!(why(&format!("tcp::{port}-:1")), format!("'{port}' is not a port"));
        }
        assert_eq!(why("tcp::1-:0"), "'0' is not a port");
    }

    #[test]
    fn ports_of_guests() {
        let rule: GuestForward = "tcp:10.0.2.100:1234-cmd:netcat -l".parse().unwrap();
        assert_eq!(rule.at, "10.0.2.100:1234".parse().unwrap());
        assert_eq!(rule.served, Served::Command("netcat -l".into()));
        let served = |text: &str| text.parse::<GuestForward>().map(|rule| rule.served);
        assert_eq!(served(":10.0.2.9:1-tcp:127.0.0.1:5"), Ok(Served::Tcp("127.0.0.1:5".parse().unwrap())));
        assert_eq!(served(":10.0.2.9:1-unix:/a-b"), Ok(Served::Unix("/a-b".into())));
        for wrong in ["udp:10.0.2.9:1-cmd:x", "tcp::1-cmd:x", "tcp:10.0.2.9:1", "tcp:10.0.2.9:1-chr0"] {
            assert!(served(wrong).is_err(), "{wrong}");
        }
    }
}
