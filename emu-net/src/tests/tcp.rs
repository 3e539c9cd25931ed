//! Connections of the guest to servers at the host's loopback interface.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, State};

use super::guest::{Guest, inside, pattern};
use crate::Config;

fn server() -> (TcpListener, SocketAddrV4) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = inside(listener.local_addr().unwrap());
    (listener, at)
}

/// A guest connected to a server.
fn connected() -> (Guest, SocketHandle, TcpStream) {
    let (listener, at) = server();
    let mut guest = Guest::new(Config::default());
    let socket = guest.connect(at);
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (guest, socket, stream)
}

#[test]
fn bytes_go_both_ways_in_their_order() {
    let (mut guest, socket, stream) = connected();
    let data = pattern(3 << 20);
    let expected = data.clone();
    let peer = thread::spawn(move || {
        let mut stream = stream;
        let mut got = vec![0; expected.len()];
        stream.read_exact(&mut got).unwrap();
        assert!(got == expected, "what came is not what was sent");
        stream.write_all(&got).unwrap();
        stream
    });
    guest.send(socket, &data);
    let back = guest.receive(socket, data.len());
    assert!(back == data);
    assert_eq!(guest.net.counts().malformed, 0);
    drop(peer.join().unwrap());
}

#[test]
fn each_side_ends_for_itself() {
    let (mut guest, socket, mut stream) = connected();
    guest.send(socket, b"question");
    guest.close(socket);
    guest.state(socket, State::FinWait2);
    let mut question = String::new();
    stream.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    stream.write_all(b"answer").unwrap();
    assert_eq!(guest.receive(socket, 6), b"answer");
    drop(stream);
    guest.state(socket, State::TimeWait);

    let (mut guest, socket, mut stream) = connected();
    stream.write_all(b"banner").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.receive(socket, 6), b"banner");
    guest.state(socket, State::CloseWait);
    guest.send(socket, b"still here");
    guest.close(socket);
    guest.state(socket, State::Closed);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "still here");
}

#[test]
fn a_port_where_nobody_listens_resets() {
    let (listener, at) = server();
    drop(listener);
    let mut guest = Guest::new(Config::default());
    let socket = guest.begin(at);
    guest.state(socket, State::Closed);
}

#[test]
fn a_reset_arrives_at_the_other_side() {
    let (mut guest, socket, mut stream) = connected();
    guest.sockets.get_mut::<Socket<'_>>(socket).abort();
    guest.until("the reset is sent", |sockets| sockets.get::<Socket<'_>>(socket).remote_endpoint().is_none());
    assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);

    let (mut guest, socket, stream) = connected();
    guest.send(socket, b"nobody reads this");
    while stream.peek(&mut [0; 32]).unwrap() < 17 {}
    // Closing with unread bytes is a reset (RFC 2525, 2.17).
    drop(stream);
    guest.state(socket, State::Closed);
}

#[test]
fn who_does_not_read_stops_the_other_side() {
    let (mut guest, socket, stream) = connected();
    stream.set_nonblocking(true).unwrap();
    // More than all buffers on the way have.
    let data = pattern(64 << 20);
    let mut sent = 0;
    let mut quiet = 0;
    guest.until("the host can send no more", |_| {
        match (&stream).write(&data[sent..]) {
            Ok(count) => (sent, quiet) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                quiet += 1;
            }
        }
        quiet == 20
    });
    assert!(sent < data.len());
    let got = guest.receive(socket, sent);
    assert!(got == data[..sent]);
}

#[test]
fn a_guest_without_room_gets_all_of_it_later() {
    let (mut guest, socket, mut stream) = connected();
    *guest.cable.room.lock() = Some(3);
    let data = pattern(200_000);
    let expected = data.clone();
    let peer = thread::spawn(move || {
        stream.write_all(&data).unwrap();
        stream
    });
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let enough = got.len() + 1000;
        let net = guest.net.clone();
        let cable = guest.cable.clone();
        guest.until("some come", |sockets| {
            *cable.room.lock() = Some(3);
            emu_devices::net::NetBackend::room(&*net);
            let socket = sockets.get_mut::<Socket<'_>>(socket);
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).unwrap();
            }
            got.len() >= enough.min(expected.len())
        });
    }
    assert!(got == expected);
    drop(peer.join().unwrap());
}

#[test]
fn with_restrict_nothing_arrives() {
    let (listener, at) = server();
    listener.set_nonblocking(true).unwrap();
    let mut guest = Guest::new(Config { restrict: true, ..Config::default() });
    let _socket = guest.begin(at);
    let net = guest.net.clone();
    guest.until("it was seen", |_| net.counts().restricted > 0);
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn questions_to_the_name_server_reach_that_of_the_host() {
    let (listener, at) = server();
    let resolver = listener.local_addr().unwrap();
    assert_eq!(resolver.port(), at.port());
    let mut guest = Guest::new(Config { resolvers: Some(vec![resolver]), ..Config::default() });
    let socket = guest.connect("10.0.2.3:53".parse().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"answer").unwrap();
    assert_eq!(guest.receive(socket, 6), b"answer");
}
