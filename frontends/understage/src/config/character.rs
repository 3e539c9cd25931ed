//! What a character device is, as plain data, and its short form, which both command lines have:
//! `tcp:HOST:PORT,server`, `unix:PATH`, `pty`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Given, HostFile};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::parse_u64;

/// Where the bytes of a character device go and come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum CharBackend {
    /// The terminal, or whatever standard input and output are.
    Stdio {
        /// Ctrl-A is the escape key, and Ctrl-C goes to the guest; otherwise Ctrl-C ends the machine.
        escapes: bool,
    },
    /// Output is dropped; there is no input.
    #[default]
    Null,
    /// Output goes to a file, which is emptied first; there is no input.
    File(HostFile),
    /// Output goes behind what the file has.
    Append(HostFile),
    /// A connection.
    Socket(Given<Socket>),
    /// A terminal for another program, whose name is printed.
    Pty(Given<()>),
    /// Two named pipes, `PATH.in` and `PATH.out`, or one for both directions.
    Pipe(HostFile),
    /// Commands that end the machine: `<number>q` with the status `2 * number + 1`. Test suites for guests use it.
    TestDevice,
    /// The end of the output is kept for the monitor to look at.
    Ring {
        /// Bytes that are kept.
        size: usize,
    },
    /// One of [`Characters::muxes`], which has several users.
    Mux(usize),
    /// Output goes to a file as well.
    Logged(Box<CharBackend>, LogFile),
}

/// What there is beside the first serial port and the devices.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Characters {
    /// The other end of a second serial port, if there is to be one.
    pub second_serial: Option<CharBackend>,
    /// Devices with several users, one of whom gets the keys: [`CharBackend::Mux`] is an index.
    pub muxes: Vec<CharBackend>,
    /// Monitors. A terminal with escape keys has one of its own.
    pub monitors: Vec<CharBackend>,
    /// Monitors for programs (QMP), and whether their answers are to be pleasant to read, too.
    pub controls: Vec<(CharBackend, bool)>,
    /// What monitors show when they wait for a command.
    pub prompt: Prompt,
}

/// A monitor's prompt. Machines that differ in it are equal.
#[derive(Clone, Copy, Debug)]
pub struct Prompt(pub &'static str);

impl Default for Prompt {
    fn default() -> Self {
        Self("(understage) ")
    }
}

impl PartialEq for Prompt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Prompt {}

/// A copy of what the guest sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    /// The file.
    pub file: HostFile,
    /// Behind what it has, rather than in its place.
    pub append: bool,
}

/// An end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    /// Where.
    pub place: SocketPlace,
    /// We listen, and others connect. When one has left the next one may come.
    pub server: bool,
    /// The machine begins when somebody has connected.
    pub wait: bool,
    /// Small pieces are sent at once.
    pub nodelay: bool,
    /// Terminals are told to send keys one by one, and commands of the protocol are taken out.
    pub telnet: bool,
    /// How long after an end of the connection we connect again.
    pub reconnect: Option<Duration>,
}

/// Where a socket is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SocketPlace {
    /// A port of a host; no host means all addresses of this one.
    Tcp {
        /// Name or address.
        host: String,
        /// Port. With 0 a free one is chosen and printed.
        port: u16,
    },
    /// A path.
    Unix(PathBuf),
    /// A connection that the process was started with, by the number of its file descriptor.
    Inherited(i32),
}

impl std::fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Inherited(fd) => write!(f, "{fd}"),
        }
    }
}

/// The short forms, for messages and help.
pub const SHORT_FORMS: &str = "stdio, null, file:FILE, pty, pipe:PATH, tcp:HOST:PORT[,server=on][,wait=off], telnet:..., \
                               unix:PATH[,server=on]";

impl CharBackend {
    /// True for the backend that there can only be one of.
    #[must_use]
    pub fn is_stdio(&self) -> bool {
        match self {
            Self::Stdio { .. } => true,
            Self::Logged(inner, _) => inner.is_stdio(),
            _ => false,
        }
    }

    /// Whether bytes can come from it.
    #[must_use]
    pub fn has_input(&self) -> bool {
        match self {
            Self::Stdio { .. } | Self::Socket(_) | Self::Pty(_) | Self::Pipe(_) | Self::Mux(_) => true,
            Self::Null | Self::File(_) | Self::Append(_) | Self::TestDevice | Self::Ring { .. } => false,
            Self::Logged(inner, _) => inner.has_input(),
        }
    }

    /// What a list of devices shows.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Stdio { .. } => "stdio".to_owned(),
            Self::Null => "null".to_owned(),
            Self::File(file) | Self::Append(file) => format!("file:{}", file.display()),
            Self::Socket(socket) => {
                let scheme = match (&socket.place, socket.telnet) {
                    (SocketPlace::Unix(_), _) => "unix",
                    (SocketPlace::Inherited(_), _) => "fd",
                    (_, true) => "telnet",
                    (_, false) => "tcp",
                };
                format!("{scheme}:{}{}", socket.place, if socket.server { ",server=on" } else { "" })
            }
            Self::Pty(_) => "pty".to_owned(),
            Self::Pipe(path) => format!("pipe:{}", path.display()),
            Self::TestDevice => "testdev".to_owned(),
            Self::Ring { .. } => "ringbuf".to_owned(),
            Self::Mux(_) => "mux".to_owned(),
            Self::Logged(inner, _) => inner.describe(),
        }
    }

    /// Reads the forms that `understage run` takes.
    pub fn from_text(option: &'static str, text: &str) -> Result<Self, UserError> {
        if text == "stdio" {
            // A terminal that is the monitor's alone needs no escape keys.
            return Ok(Self::Stdio { escapes: option != "--monitor" });
        }
        let read = Self::from_scheme(option, text)?;
        read.ok_or_else(|| user_error!("'{text}' given with {option} is none of {SHORT_FORMS}"))
    }

    /// Reads the forms that begin with a scheme, as `tcp:`; `None` if `text` is none of them.
    pub fn from_scheme(option: &'static str, text: &str) -> Result<Option<Self>, UserError> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let path = |what| match rest {
            "" => Err(user_error!("'{option} {text}' needs {what}")),
            _ => Ok(HostFile::new(option, rest)),
        };
        Ok(Some(match scheme {
            "null" if rest.is_empty() => Self::Null,
            "pty" if rest.is_empty() => Self::Pty(Given::new(option, ())),
            "file" => Self::File(path("a file")?),
            "pipe" => Self::Pipe(path("a path")?),
            "tcp" | "telnet" | "unix" => Self::Socket(socket(option, scheme, rest)?),
            _ => return Ok(None),
        }))
    }
}

fn socket(option: &'static str, scheme: &str, text: &str) -> Result<Given<Socket>, UserError> {
    let mut parts = Parts::split(option, text);
    let first = parts.take_first("path")?.unwrap_or_default();
    let place = match scheme {
        "unix" if first.is_empty() || text.starts_with(',') => {
            return Err(user_error!("'unix:' in {option} needs a path"));
        }
        "unix" => SocketPlace::Unix(first.into()),
        _ => {
            let parsed = first.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse::<u16>().ok()?)));
            let (host, port) = parsed
                .ok_or_else(|| user_error!("'{scheme}:{first}' in {option} is not {scheme}:HOST:PORT"))?;
            SocketPlace::Tcp { host: unbracketed(host), port }
        }
    };
    let socket = Socket::from_parts(&mut parts, place, scheme == "telnet")?;
    parts.finish("a socket")?;
    Ok(Given::new(option, socket))
}

/// The address in `[ADDRESS]`, which may have colons.
fn unbracketed(host: &str) -> String {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned()
}

impl Socket {
    /// Reads the parts that all sockets have.
    pub fn from_parts(parts: &mut Parts, place: SocketPlace, telnet: bool) -> Result<Self, UserError> {
        let option = parts.option();
        let server = parts.take_switch("server")?.unwrap_or(false);
        // `nowait` is how older scripts say wait=off.
        let nowait = parts.take_switch("nowait")?.unwrap_or(false);
        let wait = parts.take_switch("wait")?;
        let delay = parts.take_switch("delay")?;
        let nodelay = parts.take_switch("nodelay")?.or(delay.map(|d| !d));
        let millis = match parts.take_with("reconnect-ms", parse_u64)? {
            Some(ms) => Some(ms),
            None => parts.take_with("reconnect", parse_u64)?.map(|s| s.saturating_mul(1000)),
        };
        let telnet = telnet || parts.take_switch("telnet")?.unwrap_or(false);
        if !server && (wait.is_some() || nowait) {
            return Err(user_error!("in {option}, wait= is for a socket with server=on"));
        }
        if nodelay.is_some() && matches!(place, SocketPlace::Unix(_)) {
            return Err(user_error!("in {option}, nodelay= is for TCP"));
        }
        let reconnect = millis.filter(|ms| *ms != 0).map(Duration::from_millis);
        if server && reconnect.is_some() {
            return Err(user_error!("in {option}, reconnect= is for a socket without server=on"));
        }
        if let SocketPlace::Tcp { host, .. } = &place
            && host.is_empty()
            && !server
        {
            return Err(user_error!("in {option}, a socket that connects needs a host"));
        }
        Ok(Self {
            place,
            server,
            wait: server && wait.unwrap_or(!nowait),
            nodelay: nodelay.unwrap_or(false),
            telnet,
            reconnect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CharBackend, String> {
        match CharBackend::from_scheme("-serial", text) {
            Ok(Some(b)) => Ok(b),
            Ok(None) => Err("no such scheme".into()),
            Err(e) => Err(e.to_string()),
        }
    }

    fn socket(place: SocketPlace) -> Socket {
        Socket { place, server: false, wait: false, nodelay: false, telnet: false, reconnect: None }
    }

    fn tcp(host: &str, port: u16) -> SocketPlace {
        SocketPlace::Tcp { host: host.into(), port }
    }

    #[test]
    fn short_forms() {
        let given = |s| Ok(CharBackend::Socket(Given::new("", s)));
        assert_eq!(read("tcp:localhost:4444"), given(socket(tcp("localhost", 4444))));
        let server = |wait| Socket { server: true, wait, ..socket(tcp("", 4444)) };
        for (text, wait) in [
            ("tcp::4444,server", true),
            ("tcp::4444,server=on,wait=off", false),
            ("tcp::4444,server,nowait", false),
            ("tcp::4444,server=on,wait=on", true),
        ] {
            assert_eq!(read(text), given(server(wait)), "{text}");
        }
        let telnet = Socket { telnet: true, ..server(false) };
        assert_eq!(read("telnet::4444,server,nowait"), given(telnet.clone()));
        assert_eq!(read("tcp::4444,server,nowait,telnet=on"), given(telnet));
        let unix = SocketPlace::Unix("/tmp/a,b".into());
        let again = Some(Duration::from_secs(2));
        assert_eq!(read("unix:/tmp/a,,b,reconnect=2"), given(Socket { reconnect: again, ..socket(unix) }));
        let v6 = Socket { nodelay: true, ..socket(tcp("::1", 1)) };
        assert_eq!(read("tcp:[::1]:1,nodelay=on"), given(v6.clone()));
        assert_eq!(v6.place.to_string(), "[::1]:1");
        assert_eq!(read("pipe:/tmp/p"), Ok(CharBackend::Pipe(HostFile::new("", "/tmp/p"))));
        assert_eq!(read("pty"), Ok(CharBackend::Pty(Given::new("", ()))));
        assert_eq!(read("file:log"), Ok(CharBackend::File(HostFile::new("", "log"))));
    }

    #[test]
    fn refusals() {
        for (text, expected) in [
            ("tcp:4444", "'tcp:4444' in -serial is not tcp:HOST:PORT"),
            ("tcp:a:99999", "'tcp:a:99999' in -serial is not tcp:HOST:PORT"),
            ("tcp::1", "in -serial, a socket that connects needs a host"),
            ("tcp:a:1,wait=on", "in -serial, wait= is for a socket with server=on"),
            ("tcp:a:1,server,reconnect=1", "in -serial, reconnect= is for a socket without server=on"),
            ("tcp:a:1,tls-creds=x", "'tls-creds=x' is not supported for a socket in -serial"),
            ("unix:,server", "'unix:' in -serial needs a path"),
            ("unix:a,nodelay=on", "in -serial, nodelay= is for TCP"),
            ("file:", "'-serial file:' needs a file"),
            ("udp:a:1", "no such scheme"),
            ("pty:x", "no such scheme"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
    }
}
