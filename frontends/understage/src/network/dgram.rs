//! Frames as datagrams: each is one.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;

use emu_devices::net::{Inbox, MAX_FRAME, NetBackend, NetClient};
use nix::poll::{PollFd, PollFlags, poll};

use super::Described;
use crate::character::inherited;
use crate::config;
use crate::error::{UserError, reason, user_error};

/// How often a thread sees whether its device is still there, in milliseconds.
const LOOK: u16 = 1000;

/// A socket of one of the two families.
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    fn receive(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.recv(bytes),
            Self::Unix(socket) => socket.recv(bytes),
        }
    }

    /// Until there is a frame, or it is time to see whether anybody wants one.
    fn wait(&self) {
        let file = match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        };
        // Whatever comes of it is found by the next receive.
        let _ = poll(&mut [PollFd::new(file, PollFlags::POLLIN)], LOOK);
    }

    /// What cannot be sent at once, or to nobody, is lost.
    fn send(&self, frame: &[u8], place: &config::Dgram) {
        let sent = match (self, place) {
            (Self::Udp(socket), _) => socket.send(frame),
            (Self::Unix(socket), config::Dgram::Unix(_, other)) => socket.send_to(frame, other),
            (Self::Unix(socket), _) => socket.send(frame),
        };
        if let Err(e) = sent {
            tracing::debug!("a frame is lost: {}", reason(&e));
        }
    }
}

/// See the module's head.
pub(super) struct Dgram {
    name: String,
    place: config::Dgram,
    /// For frames that go.
    out: Socket,
    inbox: Inbox,
}

fn open(place: &config::Dgram) -> io::Result<Socket> {
    let unix = match place {
        config::Dgram::Udp(own, other) => {
            let socket = UdpSocket::bind(own)?;
            socket.connect(other)?;
            socket.set_nonblocking(true)?;
            return Ok(Socket::Udp(socket));
        }
        config::Dgram::Unix(own, _) => bind(own)?,
        config::Dgram::Inherited(fd) => UnixDatagram::from(inherited(*fd)?),
    };
    unix.set_nonblocking(true)?;
    Ok(Socket::Unix(unix))
}

/// At `path`, where an earlier machine may have left a socket.
fn bind(path: &Path) -> io::Result<UnixDatagram> {
    use std::os::unix::fs::FileTypeExt;
    if path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = UnixDatagram::bind(path)?;
    let path = path.to_owned();
    crate::end::at_end(move || {
        let _ = std::fs::remove_file(&path);
    });
    Ok(socket)
}

impl Dgram {
    /// At `place`; frames are received from now on, by a thread.
    pub(super) fn open(id: &str, place: &config::Dgram) -> Result<Arc<Self>, UserError> {
        let failed = |e: io::Error| user_error!("cannot open the network back end '{id}': {}", reason(&e));
        let incoming = open(place).map_err(failed)?;
        let out = match &incoming {
            Socket::Udp(socket) => Socket::Udp(socket.try_clone().map_err(failed)?),
            Socket::Unix(socket) => Socket::Unix(socket.try_clone().map_err(failed)?),
        };
        let this = Arc::new(Self { name: id.to_owned(), place: place.clone(), out, inbox: Inbox::default() });
        let to = Arc::downgrade(&this);
        thread::Builder::new().name(id.to_owned()).spawn(move || receive(&incoming, &to)).map_err(failed)?;
        Ok(this)
    }
}

/// Until nobody wants frames any more, or the socket is no good.
fn receive(socket: &Socket, to: &Weak<Dgram>) {
    let mut bytes = vec![0; MAX_FRAME];
    loop {
        match socket.receive(&mut bytes) {
            Ok(n) => match to.upgrade() {
                Some(to) => to.inbox.take(&bytes[..n]),
                None => return,
            },
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => socket.wait(),
            // Nobody was there for what we sent: somebody may be later.
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted) => {}
            Err(e) => return tracing::warn!("no more frames are received: {}", reason(&e)),
        }
    }
}

impl Described for Dgram {
    fn describe(&self) -> String {
        match &self.place {
            config::Dgram::Udp(own, other) => format!("type=dgram,udp={own}/{other}"),
            config::Dgram::Unix(own, other) => {
                format!("type=dgram,udp={}:{}", own.display(), other.display())
            }
            config::Dgram::Inherited(fd) => format!("type=dgram,fd={fd} unix"),
        }
    }
}

impl NetBackend for Dgram {
    fn name(&self) -> &str {
        &self.name
    }
    fn connect(&self, client: Weak<dyn NetClient>) {
        self.inbox.connect(client);
    }
    fn start(&self) -> io::Result<()> {
        self.inbox.start();
        Ok(())
    }
    fn pause(&self) {
        self.inbox.pause();
    }
    fn halt(&self) {
        self.inbox.halt();
    }
    fn send(&self, frame: &[u8]) {
        self.out.send(frame, &self.place);
    }
    fn room(&self) {
        self.inbox.room();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use emu_devices::net::Receipt;
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Card(Mutex<Vec<Vec<u8>>>);

    impl NetClient for Card {
        fn receive(&self, frame: &[u8]) -> Receipt {
            self.0.lock().push(frame.to_vec());
            Receipt::Taken
        }
    }

    /// Frames go both ways, whoever of the two was there first.
    fn joined(places: [config::Dgram; 2]) {
        let ends = places.map(|place| {
            let (end, card) = (Dgram::open("n", &place).unwrap(), Arc::<Card>::default());
            end.connect(Arc::downgrade(&card) as Weak<dyn NetClient>);
            end.start().unwrap();
            (end, card)
        });
        for (from, to) in [(0, 1), (1, 0)] {
            let begin = Instant::now();
            while ends[to].1.0.lock().is_empty() {
                ends[from].0.send(&[from as u8; 60]);
                assert!(begin.elapsed() < Duration::from_secs(20), "no frame comes");
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(ends[to].1.0.lock()[0], [from as u8; 60]);
        }
    }

    #[test]
    fn frames_go_from_path_to_path() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        joined([config::Dgram::Unix(a.clone(), b.clone()), config::Dgram::Unix(b, a)]);
    }

    #[test]
    fn frames_go_from_port_to_port() {
        // Ports that are free now.
        let [a, b] =
            [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap()).map(|s| s.local_addr().unwrap());
        joined([config::Dgram::Udp(a, b), config::Dgram::Udp(b, a)]);
    }

    #[test]
    fn a_place_that_cannot_be_had_is_refused() {
        let nowhere = config::Dgram::Unix("/nowhere/a".into(), "/nowhere/b".into());
        let said = Dgram::open("n1", &nowhere).err().unwrap().to_string();
        assert!(said.contains("cannot open the network back end 'n1'"), "{said}");
        assert!(Dgram::open("n1", &config::Dgram::Inherited(12345)).is_err());
    }
}
