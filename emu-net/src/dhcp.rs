//! The DHCP server (RFC 2131).

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{DhcpFlags, DhcpMessageType as Type, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};

use crate::config::Config;
use crate::dhcp_options::{chosen, search_list};
use crate::leases::Leases;
use crate::link::Link;
use crate::packet;

/// The server's port.
pub(crate) const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// Seconds that an address is given for.
const LEASE: u32 = 86_400;
/// Bytes of the shortest message (RFC 1542, 2.1).
const SHORTEST: usize = 300;
/// Where the name of the boot file is in a message.
const FILE: usize = 108;

/// See the module's head.
#[derive(Default)]
pub(crate) struct Dhcp {
    leases: Leases,
}

impl Dhcp {
    /// A message of a client.
    pub(crate) fn message(&mut self, config: &Config, link: &mut Link, payload: &[u8]) {
        let Ok(packet) = DhcpPacket::new_checked(payload) else {
            link.counts.malformed += 1;
            return;
        };
        let Ok(message) = DhcpRepr::parse(&packet) else {
            link.counts.malformed += 1;
            return;
        };
        if !message.client_hardware_address.is_unicast() {
            link.counts.malformed += 1;
            return;
        }
        if let Some((kind, address)) = self.answer(config, &message) {
            reply(config, link, &message, packet.flags(), kind, address);
        }
    }

    /// What is answered, and the address that the client gets (RFC 2131, 4.3).
    fn answer(&mut self, config: &Config, message: &DhcpRepr<'_>) -> Option<(Type, Ipv4Addr)> {
        const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
        let station = message.client_hardware_address;
        match message.message_type {
            Type::Discover => Some((Type::Offer, self.leases.choose(config, station, message.requested_ip)?)),
            Type::Request => {
                if message.server_identifier.is_some_and(|server| server != config.host) {
                    // It has taken another server's offer.
                    self.leases.release(station);
                    return None;
                }
                let wanted = message.requested_ip.unwrap_or(message.client_ip);
                let right = self.leases.claim(config, station, wanted);
                Some(if right { (Type::Ack, wanted) } else { (Type::Nak, NONE) })
            }
            Type::Inform => Some((Type::Ack, NONE)),
            Type::Decline => {
                self.leases.decline(station, message.requested_ip?);
                None
            }
            Type::Release => {
                self.leases.release(station);
                None
            }
            _ => None,
        }
    }
}

/// Sends an answer to a client (RFC 2131, 4.1 and table 3).
fn reply(
    config: &Config,
    link: &mut Link,
    message: &DhcpRepr<'_>,
    flags: DhcpFlags,
    kind: Type,
    address: Ipv4Addr,
) {
    let station = message.client_hardware_address;
    let search = search_list(&config.search).unwrap_or_default();
    let options = if kind == Type::Nak { Vec::new() } else { chosen(config, &search) };
    let answer = answer_of(config, message, kind, address, &options);
    let length = answer.buffer_len().max(SHORTEST);
    let mut bytes = vec![0; length];
    if answer.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).is_err() {
        link.counts.limited += 1;
        return;
    }
    if let (Some(file), Some(room)) = (&config.boot_file, bytes.get_mut(FILE..FILE + 128))
        && kind != Type::Nak
    {
        room.iter_mut().zip(file.as_bytes()).for_each(|(to, from)| *to = *from);
    }
    let (ip, hardware) = if kind == Type::Nak {
        (Ipv4Addr::BROADCAST, EthernetAddress::BROADCAST)
    } else if !message.client_ip.is_unspecified() {
        (message.client_ip, station)
    } else if flags.contains(DhcpFlags::BROADCAST) {
        (Ipv4Addr::BROADCAST, EthernetAddress::BROADCAST)
    } else {
        (address, station)
    };
    let source = SocketAddrV4::new(config.host, SERVER);
    if let Some(frame) = packet::udp(source, SocketAddrV4::new(ip, CLIENT), &bytes) {
        if kind == Type::Ack && !address.is_unspecified() {
            link.learn(address, station);
        }
        link.send_to(hardware, frame);
    }
}

fn answer_of<'a>(
    config: &Config,
    message: &DhcpRepr<'a>,
    kind: Type,
    address: Ipv4Addr,
    options: &'a [DhcpOption<'a>],
) -> DhcpRepr<'a> {
    let told = kind != Type::Nak;
    // Where nothing leaves the network, there is no router and nobody who knows names.
    let outside = told && !config.restrict;
    let lease = (told && !address.is_unspecified()).then_some(LEASE);
    DhcpRepr {
        message_type: kind,
        transaction_id: message.transaction_id,
        secs: 0,
        client_hardware_address: message.client_hardware_address,
        client_ip: if told { message.client_ip } else { Ipv4Addr::UNSPECIFIED },
        your_ip: address,
        server_ip: config.host,
        router: outside.then_some(config.host),
        subnet_mask: told.then(|| config.mask()),
        relay_agent_ip: message.relay_agent_ip,
        broadcast: message.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(config.host),
        parameter_request_list: None,
        dns_servers: outside.then(|| [config.dns].into_iter().collect()),
        max_size: None,
        lease_duration: lease,
        renew_duration: None,
        rebind_duration: None,
        additional_options: options,
    }
}
