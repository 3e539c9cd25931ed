//! TCP and Unix sockets.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::link::{Connector, Wire};
use crate::config::{Given, Socket, SocketPlace};
use crate::error::{UserError, reason, user_error};

/// How long a listener rests after it could not take a connection.
const REST: Duration = Duration::from_secs(1);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket that is not yet connected.
pub struct Opened {
    socket: Given<Socket>,
    /// A TCP port is ours from the beginning; a path is taken when the machine begins.
    listener: Option<Listener>,
}

fn refusal(socket: &Given<Socket>, what: &str, e: &io::Error) -> UserError {
    user_error!("cannot {what} '{}' given with {}: {}", socket.place, socket.option, reason(e))
}

impl Opened {
    /// Sees whether the socket can be had. Nothing that exists is changed.
    pub fn open(socket: &Given<Socket>) -> Result<Self, UserError> {
        let listener = match (&socket.place, socket.server) {
            (SocketPlace::Tcp { host, port }, true) => {
                let host = if host.is_empty() { "0.0.0.0" } else { host };
                let bound = TcpListener::bind((host, *port)).map_err(|e| refusal(socket, "listen at", &e))?;
                Some(Listener::Tcp(bound))
            }
            (SocketPlace::Unix(path), true) => {
                can_be_made(path).map_err(|e| refusal(socket, "listen at", &e))?;
                None
            }
            (SocketPlace::Inherited(_), true) => {
                return Err(user_error!("{} cannot listen at a connection that is there", socket.option));
            }
            (SocketPlace::Inherited(fd), false) => {
                inherited(*fd).map_err(|e| refusal(socket, "use the file descriptor", &e))?;
                None
            }
            (_, false) => None,
        };
        Ok(Self { socket: socket.clone(), listener })
    }

    /// The machine begins when somebody has connected.
    pub fn waits(&self) -> bool {
        self.socket.server && self.socket.wait
    }

    /// What the user is told: that the machine waits, and which port was chosen.
    pub fn announcement(&self) -> Option<String> {
        let mut place = self.socket.place.to_string();
        let mut chosen = false;
        if let (SocketPlace::Tcp { host, port: 0 }, Some(Listener::Tcp(l))) =
            (&self.socket.place, &self.listener)
        {
            let port = l.local_addr().ok()?.port();
            place = SocketPlace::Tcp { host: host.clone(), port }.to_string();
            chosen = true;
        }
        match (self.waits(), chosen) {
            (true, _) => Some(format!("waiting for a connection at {place} ({})", self.socket.option)),
            (false, true) => Some(format!("listening at {place} ({})", self.socket.option)),
            (false, false) => None,
        }
    }

    /// The machine begins: listens, or connects.
    pub fn begin(self) -> Result<Box<dyn Connector>, UserError> {
        let Self { socket, listener } = self;
        if !socket.server {
            let first = match connect(&socket) {
                Ok(wire) => Some(wire),
                Err(_) if socket.reconnect.is_some() => None,
                Err(e) => return Err(refusal(&socket, "connect to", &e)),
            };
            return Ok(Box::new(Client { socket, first, begun: false }));
        }
        let listener = match (listener, &socket.place) {
            (Some(listener), _) => listener,
            (None, SocketPlace::Unix(path)) => {
                Listener::Unix(listen_unix(path).map_err(|e| refusal(&socket, "listen at", &e))?)
            }
            (None, SocketPlace::Tcp { .. } | SocketPlace::Inherited(_)) => {
                return Err(user_error!("'{}' given with {} has no listener", socket.place, socket.option));
            }
        };
        Ok(Box::new(Server { socket, listener }))
    }
}

/// Only a socket may be at `path` already: one that an earlier machine left there.
fn can_be_made(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if meta.file_type().is_socket() => Ok(()),
        Ok(_) => Err(io::Error::other("there is something else")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            use nix::unistd::{AccessFlags, access};
            Ok(access(parent, AccessFlags::W_OK | AccessFlags::X_OK)?)
        }
        Err(e) => Err(e),
    }
}

fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    can_be_made(path)?;
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let path = path.to_owned();
    crate::end::at_end(move || {
        let _ = std::fs::remove_file(&path);
    });
    Ok(listener)
}

fn wire(stream: impl Into<OwnedFd>, telnet: bool) -> io::Result<Wire> {
    let output = File::from(stream.into());
    Wire::new(output.try_clone()?, output, telnet)
}

fn tcp_wire(stream: TcpStream, socket: &Socket) -> io::Result<Wire> {
    stream.set_nodelay(socket.nodelay)?;
    wire(stream, socket.telnet)
}

/// A duplicate of a file descriptor that the process was started with, which must be that of a socket.
pub fn inherited(fd: i32) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let file = File::from(pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?);
    match file.metadata()?.file_type().is_socket() {
        true => Ok(file.into()),
        false => Err(io::Error::other("it is not a socket")),
    }
}

fn connect(socket: &Socket) -> io::Result<Wire> {
    match &socket.place {
        SocketPlace::Tcp { host, port } => tcp_wire(TcpStream::connect((host.as_str(), *port))?, socket),
        SocketPlace::Unix(path) => wire(UnixStream::connect(path)?, socket.telnet),
        SocketPlace::Inherited(fd) => wire(inherited(*fd)?, socket.telnet),
    }
}

struct Server {
    socket: Given<Socket>,
    listener: Listener,
}

impl Connector for Server {
    fn next(&mut self) -> Option<Wire> {
        loop {
            let accepted = match &self.listener {
                Listener::Tcp(l) => l.accept().and_then(|(s, _)| tcp_wire(s, &self.socket)),
                Listener::Unix(l) => l.accept().and_then(|(s, _)| wire(s, self.socket.telnet)),
            };
            match accepted {
                Ok(wire) => return Some(wire),
                Err(e) => {
                    tracing::warn!("no connection at '{}': {}", self.socket.place, reason(&e));
                    thread::sleep(REST);
                }
            }
        }
    }
}

struct Client {
    socket: Given<Socket>,
    first: Option<Wire>,
    begun: bool,
}

impl Connector for Client {
    fn next(&mut self) -> Option<Wire> {
        if let Some(wire) = self.first.take() {
            self.begun = true;
            return Some(wire);
        }
        let pause = self.socket.reconnect?;
        loop {
            if std::mem::replace(&mut self.begun, true) {
                thread::sleep(pause);
            }
            if let Ok(wire) = connect(&self.socket) {
                return Some(wire);
            }
        }
    }
}
