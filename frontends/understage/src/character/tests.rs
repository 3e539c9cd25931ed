//! Character devices with real sockets, pipes and terminals at their other ends.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::link::Link;
use super::mux::Mux;
use super::port::Port;
use super::pty::Pty;
use crate::config::{CharBackend, HostFile};
use crate::quit::{OnQuit, Quit};
use crate::terminal::InputQueue;
use crate::terminal::escape::HELP;

/// Waits for something that another thread does.
fn until(what: &str, f: impl Fn() -> bool) {
    let start = Instant::now();
    while !f() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not happen: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn nobody() -> OnQuit {
    Arc::new(|why| panic!("the machine is to end: {why:?}"))
}

fn port(text: &str) -> Arc<Port> {
    let backend = CharBackend::from_scheme("--serial", text).unwrap().unwrap();
    Arc::new(Port::open(&backend, nobody()).unwrap_or_else(|e| panic!("{e}")))
}

fn begun(text: &str) -> Arc<Port> {
    let port = port(text);
    port.begin("serial0").unwrap_or_else(|e| panic!("{e}"));
    port
}

fn refused(text: &str) -> String {
    let backend = CharBackend::from_scheme("--serial", text).unwrap().unwrap();
    match Port::open(&backend, nobody()) {
        Err(e) => e.to_string(),
        Ok(port) => port.begin("serial0").unwrap_err().to_string(),
    }
}

/// What has arrived, once it is `n` bytes.
fn arrived(queue: &InputQueue, n: usize) -> Vec<u8> {
    let got = Mutex::new(Vec::new());
    until("input arrives", || {
        let mut some = [0; 4096];
        let taken = queue.take(&mut some);
        got.lock().extend(&some[..taken]);
        got.lock().len() >= n
    });
    got.into_inner()
}

fn read(from: &mut impl Read, n: usize) -> Vec<u8> {
    let mut got = vec![0; n];
    from.read_exact(&mut got).unwrap();
    got
}

/// A port of this computer that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn one_after_the_other_connects() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let port = begun(&format!("unix:{},server,wait=off", path.display()));
    for round in 0..3 {
        port.write(b"to nobody");
        let mut peer = UnixStream::connect(&path).unwrap();
        until("it is open", || port.is_open());
        port.write(b"hello");
        assert_eq!(read(&mut peer, 5), b"hello", "what was sent to nobody is lost, in round {round}");
        peer.write_all(b"typed").unwrap();
        assert_eq!(arrived(port.input(), 5), b"typed");
        drop(peer);
        until("it is closed", || !port.is_open());
    }
}

#[test]
fn tcp_both_ways() {
    let number = free_port();
    let server = port(&format!("tcp:127.0.0.1:{number},server=on,wait=off"));
    assert!(refused(&format!("tcp:127.0.0.1:{number},server")).contains("Address already in use"));
    server.begin("serial0").unwrap();
    let client = begun(&format!("tcp:127.0.0.1:{number},nodelay=on"));
    until("both are open", || server.is_open() && client.is_open());
    let sent: Vec<u8> = (0..300_000_u32).map(|i| (i / 7) as u8).collect();
    let (from, bytes) = (server.clone(), sent.clone());
    let sender = std::thread::spawn(move || {
        for piece in bytes.chunks(1000) {
            until("there is room", || from.room());
            from.write(piece);
        }
    });
    assert!(arrived(client.input(), sent.len()) == sent);
    sender.join().unwrap();
    client.write(b"and back");
    assert_eq!(arrived(server.input(), 8), b"and back");
}

#[test]
fn a_server_that_waits_begins_with_its_first_client() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let port = port(&format!("unix:{},server", path.display()));
    let waiting = port.clone();
    let begin = std::thread::spawn(move || waiting.begin("serial0").is_ok());
    until("it listens", || path.exists());
    std::thread::sleep(Duration::from_millis(20));
    assert!(!begin.is_finished());
    let _peer = UnixStream::connect(&path).unwrap();
    assert!(begin.join().unwrap());
}

#[test]
fn a_client_connects_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peer");
    let port = begun(&format!("unix:{},reconnect-ms=5", path.display()));
    // It may be open again before anybody looks.
    let changes = Arc::<Mutex<Vec<bool>>>::default();
    let told = changes.clone();
    port.on_open(Box::new(move |open| told.lock().push(open)));
    let listener = UnixListener::bind(&path).unwrap();
    for n in 1..=2 {
        let (mut peer, _) = listener.accept().unwrap();
        until("it is open", || port.is_open());
        port.write(b"x");
        assert_eq!(read(&mut peer, 1), b"x");
        drop(peer);
        until("it is closed", || changes.lock().iter().filter(|open| !**open).count() == n);
    }
    assert!(changes.lock().starts_with(&[true, false, true, false]));
}

#[test]
fn refusals_name_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let at = |what: &str| format!("unix:{}{what}", file.display());
    assert_eq!(
        refused(&at(",server")),
        format!("cannot listen at '{}' given with --serial: there is something else", file.display())
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert!(refused(&at("")).contains("cannot connect to"));
    assert!(refused("unix:/no/such/place,server").contains("No such file or directory"));
    assert!(
        refused("pipe:/no/such/pipe").contains("cannot open the pipe '/no/such/pipe' given with --serial")
    );
    assert!(refused(&format!("pipe:{}", file.display())).contains("it is not a named pipe"));
    // A socket that an earlier machine left is replaced.
    let old = dir.path().join("old");
    drop(UnixListener::bind(&old).unwrap());
    begun(&format!("unix:{},server,wait=off", old.display()));
    UnixStream::connect(&old).unwrap();
}

#[test]
fn who_does_not_read_holds_the_sender_up_and_costs_little() {
    let number = free_port();
    let port = begun(&format!("tcp:127.0.0.1:{number},server,wait=off"));
    let told = Arc::new(AtomicUsize::new(0));
    let t = told.clone();
    port.on_room(Box::new(move || {
        t.fetch_add(1, Ordering::SeqCst);
    }));
    let mut peer = TcpStream::connect(("127.0.0.1", number)).unwrap();
    until("it is open", || port.is_open());
    let mut sent = 0;
    let start = Instant::now();
    // The host's own buffers take some megabytes first.
    while port.room() || start.elapsed() < Duration::from_millis(200) {
        if port.room() {
            port.write(&[7; 4096]);
            sent += 4096;
            assert!(sent < 64 << 20, "it takes everything");
        } else {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let before = told.load(Ordering::SeqCst);
    let got = read(&mut peer, sent);
    assert!(got.iter().all(|b| *b == 7));
    until("there is room", || port.room() && told.load(Ordering::SeqCst) > before);
    // Who leaves without reading frees the sender as well.
    let before = told.load(Ordering::SeqCst);
    while port.room() {
        port.write(&[7; 1 << 16]);
    }
    drop(peer);
    until("there is room again", || port.room() && told.load(Ordering::SeqCst) > before);
    port.write(b"to nobody");
}

#[test]
fn telnet_greets_and_takes_commands_out() {
    let number = free_port();
    let port = begun(&format!("telnet:127.0.0.1:{number},server,wait=off"));
    let mut peer = TcpStream::connect(("127.0.0.1", number)).unwrap();
    assert_eq!(read(&mut peer, 12), [255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0]);
    port.write(&[1, 255, 2]);
    assert_eq!(read(&mut peer, 4), [1, 255, 255, 2]);
    peer.write_all(b"\xff\xfd\x01ls\r\0").unwrap();
    assert_eq!(arrived(port.input(), 3), b"ls\r");
}

#[test]
fn a_terminal_for_another_program() {
    let pty = Pty::open().unwrap();
    let name = pty.name.clone();
    let queue = Arc::new(InputQueue::default());
    let link = Link::new(queue.clone());
    link.serve("pty", Box::new(pty)).unwrap();
    for _ in 0..2 {
        link.send(b"to nobody");
        let mut other = File::options().read(true).write(true).open(&name).unwrap();
        until("it is open", || link.is_open());
        link.send(b"a\r\nb\x03");
        assert_eq!(read(&mut other, 5), b"a\r\nb\x03", "the terminal is in raw mode");
        other.write_all(b"keys\r").unwrap();
        assert_eq!(arrived(&queue, 5), b"keys\r");
        drop(other);
        until("it is closed", || !link.is_open());
    }
}

#[test]
fn named_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let suffixed = |suffix: &str| dir.path().join(format!("p.{suffix}"));
    for suffix in ["in", "out"] {
        nix::unistd::mkfifo(&suffixed(suffix), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let port = begun(&format!("pipe:{}", path.display()));
    until("it is open", || port.is_open());
    port.write(b"out");
    assert_eq!(read(&mut File::open(suffixed("out")).unwrap(), 3), b"out");
    for text in [b"one", b"two"] {
        // Whoever writes may come and go.
        File::options().write(true).open(suffixed("in")).unwrap().write_all(text).unwrap();
        assert_eq!(arrived(port.input(), 3), text);
    }
}

#[test]
fn a_log_has_what_the_guest_sends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    std::fs::write(&path, "before ").unwrap();
    for (append, expected) in [(true, "before text"), (false, "text")] {
        let file = HostFile::new("-chardev", path.clone());
        let log = crate::config::LogFile { file, append };
        let backend = CharBackend::Logged(Box::new(CharBackend::Null), log);
        let port = Port::open(&backend, nobody()).unwrap();
        port.begin("serial0").unwrap();
        port.write(b"text");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
}

/// A device with two users.
struct Shared {
    below: Arc<Port>,
    monitor: Arc<Port>,
    serial: Arc<Port>,
    quits: Arc<Mutex<Vec<Quit>>>,
    /// How often the monitor got the keys.
    focused: Arc<AtomicUsize>,
}

fn shared() -> Shared {
    let quits = Arc::new(Mutex::new(Vec::new()));
    let seen = quits.clone();
    let on_quit: OnQuit = Arc::new(move |why| seen.lock().push(why));
    let below = Arc::new(Port::open(&CharBackend::Ring { size: 1 << 16 }, on_quit.clone()).unwrap());
    let mux = Mux::new(below.clone(), on_quit);
    let focused = Arc::new(AtomicUsize::new(0));
    let f = focused.clone();
    let monitor = mux.user(Box::new(move || {
        f.fetch_add(1, Ordering::SeqCst);
    }));
    let serial = mux.user(Box::new(|| ()));
    Shared { below, monitor, serial, quits, focused }
}

fn taken(port: &Port) -> Vec<u8> {
    let mut out = [0; 100];
    let n = port.input().take(&mut out);
    out[..n].to_vec()
}

#[test]
fn keys_go_to_one_user_at_a_time() {
    let Shared { below, monitor, serial, quits, focused } = shared();
    below.input().offer(b"ls\x01cinfo\x01c\x01\x01x");
    assert_eq!((taken(&serial), taken(&monitor)), (b"ls\x01x".to_vec(), b"info".to_vec()));
    assert_eq!(focused.load(Ordering::SeqCst), 1);
    serial.write(b"from the guest ");
    monitor.write(b"from the monitor");
    let ring = below.ring().unwrap();
    assert_eq!(ring.take(100), b"from the guest from the monitor");
    below.input().offer(b"\x01h\x01x");
    assert_eq!((ring.take(1000), &**quits.lock()), (HELP.as_bytes().to_vec(), &[Quit::Keys][..]));
}

#[test]
fn quitting_works_when_the_guest_takes_no_input() {
    let Shared { below, monitor: _m, serial: _s, quits, .. } = shared();
    for _ in 0..3 {
        below.input().offer(&vec![b'k'; 1 << 20]);
    }
    below.input().offer(b"\x01x");
    assert_eq!(*quits.lock(), [Quit::Keys]);
}
