//! `user`: a network of the host's sockets.

use std::net::Ipv4Addr;

use emu_net::Config;

use super::NetdevKind;
use crate::error::{UserError, user_error};
use crate::keyval::Parts;

/// What the help says of it.
pub(super) const ABOUT: &str = "[net=ADDRESS[/MASK]][,host=][,dns=][,dhcpstart=][,hostname=][,domainname=][,dnssearch=]\
     [,bootfile=][,tftp-server-name=][,restrict=on|off][,hostfwd=[tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT]\
     [,guestfwd=tcp:ADDRESS:PORT-cmd:COMMAND]: the host's sockets";

/// Reads it.
pub(super) fn read(mut parts: Parts) -> Result<NetdevKind, UserError> {
    let network = user(&mut parts)?;
    parts.finish("a user-mode network")?;
    Ok(NetdevKind::User(Box::new(network)))
}

/// The properties of a user-mode network.
fn user(parts: &mut Parts) -> Result<Config, UserError> {
    let option = parts.option();
    let mut network = match parts.take_with("net", network)? {
        Some((number, prefix)) => Config::new(number, prefix),
        None => Config::default(),
    };
    if parts.take_switch("ipv4")? == Some(false) {
        return Err(user_error!("'ipv4=off' in {option} is not supported: the network has IPv4 alone"));
    }
    if parts.take_switch("ipv6")? == Some(true) {
        return Err(user_error!("'ipv6=on' in {option} is not supported: the network has IPv4 alone"));
    }
    let unsupported = [
        ("tftp", "there is no TFTP server"),
        ("smb", "there is no file server"),
        ("smbserver", "there is no file server"),
        ("ipv6-net", "the network has IPv4 alone"),
        ("ipv6-prefix", "the network has IPv4 alone"),
        ("ipv6-prefixlen", "the network has IPv4 alone"),
        ("ipv6-host", "the network has IPv4 alone"),
        ("ipv6-dns", "the network has IPv4 alone"),
    ];
    for (key, why) in unsupported {
        if parts.take(key)?.is_some() {
            return Err(user_error!("'{key}=' in {option} is not supported: {why}"));
        }
    }
    for (key, to) in
        [("host", &mut network.host), ("dns", &mut network.dns), ("dhcpstart", &mut network.dhcp_start)]
    {
        if let Some(address) = parts.take_with(key, address)? {
            *to = address;
        }
    }
    network.hostname = parts.take("hostname")?;
    network.domain = parts.take("domainname")?;
    network.boot_file = parts.take("bootfile")?;
    network.tftp_name = parts.take("tftp-server-name")?;
    network.restrict = parts.take_switch("restrict")?.unwrap_or(false);
    while let Some(domain) = several(parts, "dnssearch")? {
        network.search.push(domain);
    }
    while let Some(rule) = several(parts, "hostfwd")? {
        network.forwards.push(rule.parse().map_err(|e| user_error!("{e}, given as 'hostfwd' in {option}"))?);
    }
    while let Some(rule) = several(parts, "guestfwd")? {
        let rule = rule.parse().map_err(|e| user_error!("{e}, given as 'guestfwd' in {option}"))?;
        network.guest_forwards.push(rule);
    }
    network.check().map_err(|e| user_error!("{option}: {e}"))?;
    Ok(network)
}

/// The next value of what may be given several times.
fn several(parts: &mut Parts, key: &str) -> Result<Option<String>, UserError> {
    let Some(part) = parts.take_one(|name| name == key) else { return Ok(None) };
    part.value.map(Some).ok_or_else(|| user_error!("'{key}' in {} needs a value", parts.option()))
}

fn address(text: &str) -> Result<Ipv4Addr, UserError> {
    text.parse().map_err(|_| user_error!("'{text}' is not an IPv4 address"))
}

/// `ADDRESS[/MASK]`; the mask as bits or as an address, and the network's number.
fn network(text: &str) -> Result<(Ipv4Addr, u8), UserError> {
    let (number, mask) = match text.split_once('/') {
        Some((number, mask)) => (address(number)?, Some(mask)),
        None => (address(text)?, None),
    };
    let wrong = || user_error!("'{text}' is not ADDRESS[/MASK]");
    let prefix = match mask {
        None => usual_prefix(number),
        Some(mask) => match mask.parse::<Ipv4Addr>() {
            Ok(mask) if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() == 32 => {
                mask.to_bits().leading_ones() as u8
            }
            Ok(_) => return Err(wrong()),
            Err(_) => mask.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(wrong)?,
        },
    };
    let bits = u64::from(number.to_bits()) & (u64::from(u32::MAX) << (32 - u32::from(prefix)));
    Ok((Ipv4Addr::from_bits(bits as u32), prefix))
}

/// Bits of the mask of a network that is given without one: those of its class (RFC 790), or of the block for private use
/// (RFC 1918) or for tests (RFC 2544) that it is in.
const fn usual_prefix(number: Ipv4Addr) -> u8 {
    match number.octets() {
        [0..=127, ..] => 8,
        [172, 16..=31, ..] => 12,
        [192, 168, ..] | [128..=191, ..] => 16,
        [198, 18..=19, ..] => 15,
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        match super::read(Parts::split("-netdev", text)).map_err(|e| e.to_string())? {
            NetdevKind::User(network) => Ok(*network),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_properties_of_a_user_mode_network() {
        assert_eq!(read("").unwrap(), Config::default());
        let network = read(
            "net=192.168.76.0/24,dhcpstart=192.168.76.9,restrict=on,hostname=h,dnssearch=a.org,dnssearch=b.org,ipv6=off,\
             hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-192.168.76.20:53,guestfwd=tcp:192.168.76.100:1-cmd:cat",
        )
        .unwrap();
        assert_eq!((network.prefix, network.host.to_string()), (24, "192.168.76.2".into()));
        assert_eq!(network.dhcp_start.to_string(), "192.168.76.9");
        assert_eq!((network.restrict, network.search.len()), (true, 2));
        assert_eq!((network.forwards.len(), network.guest_forwards.len()), (2, 1));
    }

    #[test]
    fn masks_are_bits_addresses_or_those_of_the_class() {
        let net = |text: &str| network(text).map(|(number, prefix)| format!("{number}/{prefix}")).ok();
        assert_eq!(net("10.0.3.0/24").unwrap(), "10.0.3.0/24");
        assert_eq!(net("10.0.3.77/255.255.255.0").unwrap(), "10.0.3.0/24");
        assert_eq!(net("10.0.3.0").unwrap(), "10.0.0.0/8");
        assert_eq!(net("192.168.5.0").unwrap(), "192.168.0.0/16");
        assert_eq!(net("0.0.0.0/0").unwrap(), "0.0.0.0/0", "it is refused as a network");
        for wrong in ["x", "10.0.2.0/33", "10.0.2.0/255.0.255.0", "10.0.2.0/", "10.0.2/24"] {
            assert_eq!(net(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (text, why) in [
            ("ipv6=on", "'ipv6=on' in -netdev is not supported"),
            ("ipv4=off", "'ipv4=off' in -netdev is not supported"),
            ("tftp=/srv", "'tftp=' in -netdev is not supported: there is no TFTP server"),
            ("smb=/srv", "'smb=' in -netdev is not supported"),
            ("hostfwd=tcp::1", "given as 'hostfwd' in -netdev"),
            ("guestfwd=tcp:10.0.2.9:1-chr", "given as 'guestfwd' in -netdev"),
            ("host=10.0.3.2", "-netdev: the router 10.0.3.2 is not an address in 10.0.2.0/24"),
            ("x=1", "'x=1' is not supported for a user-mode network in -netdev"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
