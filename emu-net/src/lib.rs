//! The network that is made of the host's sockets: `-netdev user`.
//!
//! A guest that is connected to it sees an Ethernet with a router, a DHCP server and a name server. Whatever it sends
//! beyond is taken apart here, and goes out through ordinary sockets of the host, so that no privileges are needed.
//!
//! | file | what it has |
//! |---|---|
//! | `config`, `forward_rule` | what users say: addresses, names, forwarded ports |
//! | `stepper` | the same without a thread |
//! | `backend` | the thread, and what devices see of it ([`emu_devices::net::NetBackend`]) |
//! | `engine` | what belongs together, one turn of it, and frames of the guest sorted by protocol |
//! | `link` | Ethernet and ARP: who is there, frames that wait for the guest |
//! | `packet` | IPv4 datagrams and what is in them, in bytes |
//! | `segment` | long TCP segments cut to the guest's size |
//! | `tcp`, `tcp_host`, `wire` | TCP: connections of the guest end here (smoltcp) and go on in a socket of the host |
//! | `udp`, `resolver` | UDP flows, and those to the name server |
//! | `icmp` | echo, and what could not be delivered |
//! | `dhcp`, `leases`, `dhcp_options` | the DHCP server |
//! | `forwards` | listeners of forwarded ports |
//! | `watch` | which sockets the thread waits for |
//! | `show` | the table for monitors |
//!
//! **Whatever the guest sends is bounded here**: connections, flows, neighbours, leases and bytes that wait have limits, and
//! what is malformed is dropped and counted ([`Counts`]).
//!
//! Time is the host's, because the peers live in it; it stands still while the machine is paused.

#![forbid(unsafe_code)]

mod backend;
mod config;
mod counts;
mod dhcp;
mod dhcp_options;
mod engine;
mod forward_rule;
mod forwards;
mod icmp;
mod leases;
mod link;
mod packet;
mod resolver;
mod segment;
mod show;
mod stepper;
mod tcp;
mod tcp_host;
mod udp;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use backend::UserNet;
pub use config::{Config, ConfigError};
pub use counts::Counts;
pub use forward_rule::{Forward, GuestForward, Protocol, RuleError, Served};
pub use stepper::Stepper;
