//! What users say of the network.

use std::net::Ipv4Addr;

use crate::forward_rule::{Forward, GuestForward};

/// A network for guests. [`Config::new`] has the addresses that QEMU's user-mode network has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The network's number.
    pub network: Ipv4Addr,
    /// Bits of the network's mask.
    pub prefix: u8,
    /// The router; packets to it reach the host's loopback interface.
    pub host: Ipv4Addr,
    /// The name server.
    pub dns: Ipv4Addr,
    /// The first address that the DHCP server gives.
    pub dhcp_start: Ipv4Addr,
    /// The name that the DHCP server gives to guests.
    pub hostname: Option<String>,
    /// The domain that it says.
    pub domain: Option<String>,
    /// The domains in which guests are to look names up.
    pub search: Vec<String>,
    /// Nothing leaves the network but what is forwarded.
    pub restrict: bool,
    /// The file that the DHCP server says is to be booted.
    pub boot_file: Option<String>,
    /// The name of the TFTP server that it says.
    pub tftp_name: Option<String>,
    /// Ports of the host that lead to a guest.
    pub forwards: Vec<Forward>,
    /// Ports in the network that lead to something of the host.
    pub guest_forwards: Vec<GuestForward>,
    /// The host's name servers, where they are not those of `/etc/resolv.conf`.
    pub resolvers: Option<Vec<std::net::SocketAddr>>,
}

/// What cannot be a network.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The mask leaves too few addresses, or the number has bits outside of it.
    #[error("{0}/{1} is not the number of a network with 4 to 24 bits for its hosts")]
    Network(Ipv4Addr, u8),
    /// An address is not one of the network's hosts.
    #[error("the {0} {1} is not an address in {2}/{3}")]
    Outside(&'static str, Ipv4Addr, Ipv4Addr, u8),
    /// Two things have one address.
    #[error("{0} cannot be the {1} and the {2}")]
    Same(Ipv4Addr, &'static str, &'static str),
    /// A text is too long for the option that carries it.
    #[error("the {0} is longer than {1} bytes, or empty")]
    Long(&'static str, usize),
    /// A domain is none.
    #[error("'{0}' is not a domain name")]
    Domain(String),
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Ipv4Addr::new(10, 0, 2, 0), 24)
    }
}

impl Config {
    /// A network with this number: hosts 2 (of the network 2 when there are 16 bits for hosts), 3 and 15 are the router, the
    /// name server and the first guest.
    #[must_use]
    pub fn new(network: Ipv4Addr, prefix: u8) -> Self {
        let hosts = !mask_of(prefix);
        let at = |number: u32| Ipv4Addr::from_bits(network.to_bits() | (number & hosts));
        Self {
            network,
            prefix,
            host: at(0x0202),
            dns: at(0x0203),
            dhcp_start: at(0x020f),
            hostname: None,
            domain: None,
            search: Vec::new(),
            restrict: false,
            boot_file: None,
            tftp_name: None,
            forwards: Vec::new(),
            guest_forwards: Vec::new(),
            resolvers: None,
        }
    }

    /// The network's mask.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask_of(self.prefix))
    }

    /// The address that reaches every station.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask_of(self.prefix))
    }

    /// Whether the address is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask_of(self.prefix) == self.network.to_bits()
    }

    /// Whether a station can have the address.
    #[must_use]
    pub fn is_station(&self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.network && address != self.broadcast()
    }

    /// Whether it can be a network.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let public =
            self.network.is_loopback() || self.network.is_multicast() || self.network.is_unspecified();
        if !(8..=28).contains(&self.prefix) || self.network.to_bits() & !mask_of(self.prefix) != 0 || public {
            return Err(ConfigError::Network(self.network, self.prefix));
        }
        for (what, address) in
            [("router", self.host), ("name server", self.dns), ("first DHCP address", self.dhcp_start)]
        {
            if !self.is_station(address) {
                return Err(ConfigError::Outside(what, address, self.network, self.prefix));
            }
        }
        for (what, address) in [("name server", self.dns), ("first DHCP address", self.dhcp_start)] {
            if address == self.host {
                return Err(ConfigError::Same(address, "router", what));
            }
        }
        if self.dns == self.dhcp_start {
            return Err(ConfigError::Same(self.dns, "name server", "first DHCP address"));
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let texts = [
            ("host name", &self.hostname, 255),
            ("domain name", &self.domain, 255),
            ("name of the TFTP server", &self.tftp_name, 255),
            ("boot file", &self.boot_file, 127),
        ];
        for (what, text, longest) in texts {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > longest) {
                return Err(ConfigError::Long(what, longest));
            }
        }
        crate::dhcp_options::search_list(&self.search).map(drop)
    }
}

fn mask_of(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ip(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
        Ipv4Addr::new(a, b, c, d)
    }

    #[test]
    fn the_usual_network() {
        let net = Config::default();
        assert_eq!((net.host, net.dns, net.dhcp_start), (ip(10, 0, 2, 2), ip(10, 0, 2, 3), ip(10, 0, 2, 15)));
        assert_eq!((net.mask(), net.broadcast()), (ip(255, 255, 255, 0), ip(10, 0, 2, 255)));
        assert_eq!(net.check(), Ok(()));
    }

    #[test]
    fn a_wide_network_has_its_stations_in_its_third_byte_too() {
        let net = Config::new(ip(10, 0, 0, 0), 8);
        assert_eq!((net.host, net.dhcp_start), (ip(10, 0, 2, 2), ip(10, 0, 2, 15)));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (number, prefix) in
            [(ip(10, 0, 2, 1), 24), (ip(10, 0, 2, 0), 29), (ip(0, 0, 0, 0), 8), (ip(127, 0, 0, 0), 8)]
        {
            assert_eq!(Config::new(number, prefix).check(), Err(ConfigError::Network(number, prefix)));
        }
        let with = |change: fn(&mut Config)| {
            let mut net = Config::default();
            change(&mut net);
            net.check().unwrap_err().to_string()
        };
        assert!(with(|net| net.host = ip(10, 0, 3, 2)).contains("router 10.0.3.2"));
        assert!(with(|net| net.dhcp_start = ip(10, 0, 2, 255)).contains("first DHCP address"));
        assert!(with(|net| net.dns = ip(10, 0, 2, 2)).contains("router and the name server"));
        assert!(with(|net| net.dns = net.dhcp_start).contains("name server and the first"));
        assert!(with(|net| net.hostname = Some("x".repeat(256))).contains("host name"));
        assert!(with(|net| net.boot_file = Some(String::new())).contains("boot file"));
        assert!(with(|net| net.search = vec!["a..b".into()]).contains("domain name"));
    }
}
