//! The host's name servers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::Config;

/// The port of name servers (RFC 1035, 4.2).
pub(crate) const PORT: u16 = 53;
/// What says which they are (resolv.conf(5)).
const FILE: &str = "/etc/resolv.conf";
/// Bytes of the longest one that is read.
const LONGEST: usize = 1 << 16;

/// The name server that is asked now. Where none is said it is the host itself, as the host's own resolver has it.
pub(crate) fn first(config: &Config) -> SocketAddr {
    let said = match &config.resolvers {
        Some(said) => said.first().copied(),
        None => std::fs::read(FILE).ok().and_then(|bytes| {
            let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(&bytes)).into_owned();
            parse(&text).next()
        }),
    };
    said.unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT))
}

/// The servers in such a file that can be asked without saying through which interface.
fn parse(text: &str) -> impl Iterator<Item = SocketAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
        address.filter(|_| is_server).map(|address| SocketAddr::new(address, PORT))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_in_the_file() {
        let text = "# nameserver 1.1.1.1\nsearch example.org\nnameserver\tfe80::1%eth0\nnameserver 192.0.2.53 # x\n\
                    nameserver 2001:db8::53\n";
        let found: Vec<_> = parse(text).map(|server| server.to_string()).collect();
        assert_eq!(found, ["192.0.2.53:53", "[2001:db8::53]:53"]);
    }

    #[test]
    fn without_any_it_is_the_host() {
        let config = Config { resolvers: Some(Vec::new()), ..Config::default() };
        assert_eq!(first(&config), "127.0.0.1:53".parse().unwrap());
    }
}
