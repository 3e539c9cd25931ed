//! A guest: a station that keeps what it receives, and a stack on it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use emu_devices::net::{NetBackend, NetClient, Receipt};
use parking_lot::{Condvar, Mutex};
use smoltcp::iface::{Config as Settings, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::{Config, UserNet};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const STATION: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// The guest's end of the cable.
#[derive(Default)]
pub(super) struct Cable {
    frames: Mutex<VecDeque<Vec<u8>>>,
    came: Condvar,
    /// Frames that there is room for, where that is not all.
    pub(super) room: Mutex<Option<usize>>,
}

impl NetClient for Cable {
    fn receive(&self, frame: &[u8]) -> Receipt {
        if let Some(room) = &mut *self.room.lock() {
            if *room == 0 {
                return Receipt::NoRoom;
            }
            *room -= 1;
        }
        self.frames.lock().push_back(frame.to_vec());
        self.came.notify_all();
        Receipt::Taken
    }
}

impl Cable {
    /// The next frame, if one comes soon.
    pub(super) fn next(&self, patience: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + patience;
        let mut frames = self.frames.lock();
        while frames.is_empty() && !self.came.wait_until(&mut frames, until).timed_out() {}
        frames.pop_front()
    }

    /// The next frame that this finds something in.
    pub(super) fn find<T>(&self, find: impl Fn(&[u8]) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(found) = self.next(PATIENCE).and_then(|frame| find(&frame)) {
                return found;
            }
        }
        panic!("it does not come");
    }
}

/// The network with a guest's end.
pub(super) fn plug(config: Config) -> (Arc<UserNet>, Arc<Cable>) {
    let net = UserNet::new("u0", config).unwrap();
    let cable = Arc::new(Cable::default());
    net.connect(Arc::downgrade(&cable) as Weak<dyn NetClient>);
    net.start().unwrap();
    (net, cable)
}

/// The network, a station, and its stack.
pub(super) struct Guest {
    pub(super) net: Arc<UserNet>,
    pub(super) cable: Arc<Cable>,
    iface: Interface,
    pub(super) sockets: SocketSet<'static>,
    began: Instant,
    next_port: u16,
}

struct Card<'a>(&'a UserNet, &'a Cable);
struct In(Vec<u8>);
struct Out<'a>(&'a UserNet);

impl Device for Card<'_> {
    type RxToken<'b>
        = In
    where
        Self: 'b;
    type TxToken<'b>
        = Out<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Moment) -> Option<(In, Out<'_>)> {
        let frame = self.1.frames.lock().pop_front()?;
        Some((In(frame), Out(self.0)))
    }
    fn transmit(&mut self, _: Moment) -> Option<Out<'_>> {
        Some(Out(self.0))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.send(&frame);
        result
    }
}

impl Guest {
    pub(super) fn new(config: Config) -> Self {
        let (net, cable) = plug(config);
        let settings = Settings::new(HardwareAddress::Ethernet(STATION));
        let mut iface = Interface::new(settings, &mut Card(&net, &cable), Moment::ZERO);
        iface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(ADDRESS.into(), 24)).unwrap());
        iface.routes_mut().add_default_ipv4_route(Ipv4Addr::new(10, 0, 2, 2)).unwrap();
        let (sockets, began) = (SocketSet::new(Vec::new()), Instant::now());
        Self { net, cable, iface, sockets, began, next_port: 40_000 }
    }

    /// Lets the stack work until this is so.
    pub(super) fn until(&mut self, what: &str, mut is: impl FnMut(&mut SocketSet<'static>) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = Moment::from_micros(self.began.elapsed().as_micros() as i64);
            let _ = self.iface.poll(now, &mut Card(&self.net, &self.cable), &mut self.sockets);
            if is(&mut self.sockets) {
                return;
            }
            assert!(Instant::now() < end, "it does not come to: {what}");
            let mut frames = self.cable.frames.lock();
            if frames.is_empty() {
                let _ = self.cable.came.wait_for(&mut frames, Duration::from_millis(5));
            }
        }
    }

    pub(super) fn stream() -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 1 << 16]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket
    }

    /// Begins to connect.
    pub(super) fn begin(&mut self, to: SocketAddrV4) -> SocketHandle {
        self.next_port += 1;
        let mut socket = Self::stream();
        socket.connect(self.iface.context(), (*to.ip(), to.port()), self.next_port).unwrap();
        self.sockets.add(socket)
    }

    /// Connects.
    pub(super) fn connect(&mut self, to: SocketAddrV4) -> SocketHandle {
        let socket = self.begin(to);
        self.state(socket, tcp::State::Established);
        socket
    }

    pub(super) fn state(&mut self, socket: SocketHandle, state: tcp::State) {
        self.until(&format!("{state:?}"), |sockets| sockets.get::<tcp::Socket<'_>>(socket).state() == state);
    }

    /// Sends all of it, until it is acknowledged.
    pub(super) fn send(&mut self, socket: SocketHandle, mut data: &[u8]) {
        self.until("all is sent", |sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(socket);
            let sent = socket.send_slice(data).unwrap();
            data = &data[sent..];
            data.is_empty() && socket.send_queue() == 0
        });
    }

    /// Receives so many bytes.
    pub(super) fn receive(&mut self, socket: SocketHandle, count: usize) -> Vec<u8> {
        let mut data = Vec::new();
        self.until("all is received", |sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(socket);
            while socket.can_recv() && data.len() < count {
                socket.recv(|bytes| (bytes.len(), data.extend_from_slice(bytes))).unwrap();
            }
            data.len() >= count
        });
        data
    }

    pub(super) fn close(&mut self, socket: SocketHandle) {
        self.sockets.get_mut::<tcp::Socket<'_>>(socket).close();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.net.halt();
    }
}

/// An address of the host's loopback interface as guests reach it.
pub(super) fn inside(at: std::net::SocketAddr) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), at.port())
}

/// Bytes that differ at each place.
pub(super) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i ^ (i >> 8) ^ (i >> 15)) as u8).collect()
}
