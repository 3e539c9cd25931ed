//! Who has which address of the DHCP server's.

use std::net::Ipv4Addr;

use smoltcp::wire::EthernetAddress;

use crate::config::Config;

/// Addresses that are given away.
const ADDRESSES: usize = 256;

struct Lease {
    station: EthernetAddress,
    address: Ipv4Addr,
}

/// The leases; who was last heard of comes last.
#[derive(Default)]
pub(crate) struct Leases {
    leases: Vec<Lease>,
    /// Addresses that somebody else was found to have.
    declined: Vec<Ipv4Addr>,
}

fn pool(config: &Config) -> impl Iterator<Item = Ipv4Addr> {
    let first = config.dhcp_start.to_bits();
    let last = config.broadcast().to_bits();
    let ours = move |address: &Ipv4Addr| {
        *address != config.host
            && *address != config.dns
            && !config.guest_forwards.iter().any(|rule| rule.at.ip() == address)
    };
    (first..last).map(Ipv4Addr::from_bits).filter(ours).take(ADDRESSES)
}

impl Leases {
    /// The address that a station has.
    pub(crate) fn of(&self, station: EthernetAddress) -> Option<Ipv4Addr> {
        self.leases.iter().find(|lease| lease.station == station).map(|lease| lease.address)
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        !self.declined.contains(&address) && self.leases.iter().all(|lease| lease.address != address)
    }

    /// An address for a station: its own, the one it wants, a free one, or that of who was silent longest.
    pub(crate) fn choose(
        &mut self,
        config: &Config,
        station: EthernetAddress,
        wanted: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let free = |leases: &Self| {
            let wanted = wanted.filter(|&wanted| leases.is_free(wanted) && pool(config).any(|a| a == wanted));
            wanted.or_else(|| pool(config).find(|&address| leases.is_free(address)))
        };
        let oldest = |leases: &Self| leases.leases.first().map(|lease| lease.address);
        let address = self.of(station).or_else(|| free(self)).or_else(|| oldest(self))?;
        self.leases.retain(|lease| lease.address != address && lease.station != station);
        self.leases.push(Lease { station, address });
        Some(address)
    }

    /// Whether the station may have this address: it is its own, or free. Then it has it.
    pub(crate) fn claim(&mut self, config: &Config, station: EthernetAddress, address: Ipv4Addr) -> bool {
        let mine = self.of(station) == Some(address);
        let free = || self.is_free(address) && pool(config).any(|a| a == address);
        if !mine && !free() {
            return false;
        }
        self.leases.retain(|lease| lease.station != station);
        self.leases.push(Lease { station, address });
        true
    }

    /// The station does not need it any more.
    pub(crate) fn release(&mut self, station: EthernetAddress) {
        self.leases.retain(|lease| lease.station != station);
    }

    /// The station found that somebody else has it.
    pub(crate) fn decline(&mut self, station: EthernetAddress, address: Ipv4Addr) {
        if self.of(station) == Some(address) {
            self.release(station);
            // When all of them were declined, the first one may be right again.
            if self.declined.len() >= ADDRESSES / 2 {
                self.declined.remove(0);
            }
            self.declined.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn station(number: u8) -> EthernetAddress {
        EthernetAddress([2, 0, 0, 0, 0, number])
    }
    const fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 2, last)
    }

    #[test]
    fn addresses_are_kept_wanted_and_free() {
        let config = Config::default();
        let mut leases = Leases::default();
        assert_eq!(leases.choose(&config, station(1), None), Some(ip(15)));
        assert_eq!(leases.choose(&config, station(2), Some(ip(15))), Some(ip(16)), "it is taken");
        assert_eq!(leases.choose(&config, station(3), Some(ip(40))), Some(ip(40)));
        assert_eq!(leases.choose(&config, station(1), Some(ip(50))), Some(ip(15)), "it has one");
        assert!(!leases.claim(&config, station(4), ip(16)) && leases.claim(&config, station(4), ip(17)));
        assert!(!leases.claim(&config, station(4), ip(2)) && !leases.claim(&config, station(4), ip(255)));
        leases.release(station(2));
        assert!(leases.claim(&config, station(5), ip(16)));
        leases.decline(station(5), ip(16));
        assert_eq!(leases.choose(&config, station(5), Some(ip(16))), Some(ip(18)));
    }

    #[test]
    fn who_was_silent_longest_loses_its_address() {
        let config = Config { dhcp_start: ip(253), ..Config::default() };
        let mut leases = Leases::default();
        for number in 1..=2 {
            leases.choose(&config, station(number), None);
        }
        assert_eq!(leases.choose(&config, station(1), None), Some(ip(253)));
        assert_eq!(leases.choose(&config, station(3), None), Some(ip(254)), "that of the second");
        assert_eq!(leases.of(station(2)), None);
    }
}
