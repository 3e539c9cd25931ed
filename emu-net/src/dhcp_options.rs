//! Options of the DHCP server's answers (RFC 2132, 3397) that users choose.

use smoltcp::wire::DhcpOption;

use crate::config::{Config, ConfigError};

const HOST_NAME: u8 = 12;
const DOMAIN_NAME: u8 = 15;
const TFTP_SERVER: u8 = 66;
const BOOT_FILE: u8 = 67;
const DOMAIN_SEARCH: u8 = 119;
/// Bytes that one option carries.
const LONGEST: usize = 255;
/// Bytes of domains in all: what is left of a message beside them.
const SEARCH: usize = 512;

/// Domains as they are in messages: labels with their lengths in front, in pieces that one option can carry (RFC 3396).
pub(crate) fn search_list(domains: &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let mut bytes = Vec::new();
    for domain in domains {
        let wrong = || ConfigError::Domain(domain.clone());
        let name = domain.strip_suffix('.').unwrap_or(domain);
        if name.len() > 253 {
            return Err(wrong());
        }
        for label in name.split('.') {
            let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
            bytes.push(length.ok_or_else(wrong)?);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
    }
    if bytes.len() > SEARCH {
        return Err(ConfigError::Long("list of domains to search", SEARCH));
    }
    Ok(bytes.chunks(LONGEST).map(<[u8]>::to_vec).collect())
}

/// The options that the configuration asks for.
pub(crate) fn chosen<'a>(config: &'a Config, search: &'a [Vec<u8>]) -> Vec<DhcpOption<'a>> {
    let texts = [
        (HOST_NAME, &config.hostname),
        (DOMAIN_NAME, &config.domain),
        (TFTP_SERVER, &config.tftp_name),
        (BOOT_FILE, &config.boot_file),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(kind, text)| Some(DhcpOption { kind, data: text.as_ref()?.as_bytes() }));
    texts.chain(search.iter().map(|data| DhcpOption { kind: DOMAIN_SEARCH, data })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_labels() {
        let list = search_list(&["eng.example.com".into(), "x.".into()]).unwrap();
        assert_eq!(list, [b"\x03eng\x07example\x03com\0\x01x\0".to_vec()]);
        assert!(search_list(&["a..b".into()]).is_err() && search_list(&["x".repeat(64)]).is_err());
        let many: Vec<String> = (0..8).map(|_| "y".repeat(50)).collect();
        assert_eq!(search_list(&many).unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [255, 161]);
        assert!(search_list(&vec!["y".repeat(50); 10]).is_err());
    }
}
