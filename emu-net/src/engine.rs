//! What belongs together, and one turn of it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol};

use crate::config::Config;
use crate::counts::Counts;
use crate::dhcp::{self, Dhcp};
use crate::forward_rule::{Forward, Protocol};
use crate::forwards::Forwards;
use crate::icmp::{self, Icmp, Unreachable};
use crate::link::Link;
use crate::packet::{Datagram, Parsed, parse};
use crate::tcp::Tcp;
use crate::udp::Udp;
use crate::watch::{Owner, Watch};

/// How often what ended by itself is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// See the module's head.
pub(crate) struct Engine {
    pub(crate) config: Config,
    watch: Arc<Watch>,
    pub(crate) link: Link,
    pub(crate) tcp: Tcp,
    pub(crate) udp: Udp,
    icmp: Icmp,
    dhcp: Dhcp,
    pub(crate) forwards: Forwards,
    swept: Duration,
}

/// What a turn leaves.
pub(crate) struct Turn {
    /// Frames for the guest.
    pub(crate) frames: VecDeque<Vec<u8>>,
    /// There is more, for which there was no room.
    pub(crate) more: bool,
    /// When the next turn is due, if nothing happens.
    pub(crate) due: Duration,
}

impl Engine {
    /// A network whose ports are forwarded from now on.
    pub(crate) fn new(config: Config, watch: Arc<Watch>) -> io::Result<Self> {
        let mut forwards = Forwards::default();
        for rule in &config.forwards {
            forwards.add(&config, &watch, *rule).map_err(|error| {
                let said = format!("the port '{rule}' cannot be forwarded: {error}");
                io::Error::new(error.kind(), said)
            })?;
        }
        Ok(Self {
            link: Link::new(&config),
            // What a peer must not be able to guess: initial sequence numbers (RFC 9293, 3.4.1).
            tcp: Tcp::new(&config, RandomState::new().build_hasher().finish()),
            udp: Udp::default(),
            icmp: Icmp::default(),
            dhcp: Dhcp::default(),
            forwards,
            swept: Duration::ZERO,
            config,
            watch,
        })
    }

    /// One turn, at this time: what the guest has sent, what the sockets have. Of what was given to the guest before, so many
    /// bytes still wait.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        frames: impl Iterator<Item = Vec<u8>>,
        ready: &[Owner],
        waiting: usize,
    ) -> Turn {
        self.link.now = now;
        self.link.still_waiting(waiting);
        for frame in frames {
            self.frame(&frame);
        }
        for owner in ready {
            self.ready(*owner);
        }
        if now >= self.swept + SWEEP {
            self.swept = now;
            self.tcp.sweep();
            self.udp.sweep(now);
            self.icmp.sweep(now);
            self.forwards.sweep(&self.watch);
        }
        let more = self.tcp.turn(&self.config, &mut self.link, &self.watch);
        let due = self.tcp.due(now).map_or(SWEEP, |due| due.min(SWEEP));
        Turn { frames: self.link.take(), more, due }
    }

    fn ready(&mut self, owner: Owner) {
        match owner {
            Owner::Bell => {}
            Owner::Tcp(id) => self.tcp.touch(id),
            Owner::Udp(id) => self.udp.ready(&self.config, &mut self.link, id),
            Owner::Echo(id) => self.icmp.ready(&mut self.link, id),
            Owner::Forward(id) => {
                self.forwards.ready(&self.config, &mut self.link, &mut self.tcp, &self.watch, id);
            }
        }
    }

    /// A frame of a guest.
    fn frame(&mut self, bytes: &[u8]) {
        self.link.counts.received += 1;
        let Ok(frame) = EthernetFrame::new_checked(bytes) else {
            self.link.counts.malformed += 1;
            return;
        };
        if !self.link.is_for_us(frame.dst_addr()) || !frame.src_addr().is_unicast() {
            self.link.counts.unwanted += 1;
            return;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => self.link.arp(&self.config, frame.payload()),
            EthernetProtocol::Ipv4 => match parse(frame.payload()) {
                Parsed::Whole(datagram) => {
                    if self.config.is_station(datagram.source) && !self.is_ours(datagram.source) {
                        self.link.learn(datagram.source, frame.src_addr());
                    }
                    self.datagram(&datagram, true);
                }
                Parsed::Fragment => self.link.counts.unwanted += 1,
                Parsed::Malformed => self.link.counts.malformed += 1,
            },
            EthernetProtocol::Ipv6 | EthernetProtocol::Unknown(_) => self.link.counts.unwanted += 1,
        }
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        address == self.config.host || address == self.config.dns
    }

    /// A datagram of a guest. `finished`: its checksums are.
    fn datagram(&mut self, datagram: &Datagram<'_>, finished: bool) {
        if datagram.protocol == IpProtocol::Udp && self.dhcp(datagram, finished) {
            return;
        }
        // A guest that has no address yet has nothing else to say.
        if !self.config.is_station(datagram.source) || self.is_ours(datagram.source) {
            self.link.counts.unwanted += 1;
            return;
        }
        let inside = self.config.contains(datagram.destination);
        if datagram.hops <= 1 && !inside && !self.config.restrict {
            icmp::expired(&self.config, &mut self.link, datagram.whole);
            return;
        }
        let (config, link, watch) = (&self.config, &mut self.link, &self.watch);
        match datagram.protocol {
            IpProtocol::Tcp => self.tcp.segment(config, link, watch, datagram, finished),
            IpProtocol::Udp => self.udp(datagram, finished),
            IpProtocol::Icmp => self.icmp.message(config, link, watch, datagram),
            _ if config.restrict => link.counts.restricted += 1,
            _ => icmp::unreachable(config, link, Unreachable::Protocol, datagram.whole),
        }
    }

    /// Whether it was for the DHCP server.
    fn dhcp(&mut self, datagram: &Datagram<'_>, finished: bool) -> bool {
        let to = datagram.destination;
        let ours = to.is_broadcast() || to == self.config.host || to == self.config.broadcast();
        let message = if ours { datagram.udp(finished) } else { None };
        let Some(message) = message.filter(|message| message.dst_port() == dhcp::SERVER) else {
            return false;
        };
        self.dhcp.message(&self.config, &mut self.link, message.payload());
        true
    }

    fn udp(&mut self, datagram: &Datagram<'_>, finished: bool) {
        let Some(message) = datagram.udp(finished).filter(|message| message.dst_port() != 0) else {
            self.link.counts.malformed += 1;
            return;
        };
        let ports = (message.src_port(), message.dst_port());
        let guest = SocketAddrV4::new(datagram.source, ports.0);
        let to = SocketAddrV4::new(datagram.destination, ports.1);
        if self.forwards.answer(&self.config, guest, to, message.payload()) {
            return;
        }
        if self.config.restrict {
            self.link.counts.restricted += 1;
            return;
        }
        let (config, link, watch) = (&self.config, &mut self.link, &self.watch);
        self.udp.datagram(config, link, watch, datagram, ports, message.payload());
    }

    /// Forwards a port more.
    pub(crate) fn add_forward(&mut self, rule: Forward) -> io::Result<SocketAddrV4> {
        self.forwards.add(&self.config, &self.watch, rule)
    }

    /// Forwards a port no more.
    pub(crate) fn remove_forward(&mut self, protocol: Protocol, listen: SocketAddrV4) -> bool {
        self.forwards.remove(protocol, listen)
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.link.counts
    }
}
