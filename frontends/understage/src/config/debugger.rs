//! Where a debugger connects.

use super::Given;
use crate::error::{UserError, user_error};

/// Where to listen for a debugger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Name or number of a host's interface.
    pub host: String,
    /// TCP port; 0 for one that is free, which is then printed.
    pub port: u16,
}

/// Reads `HOST:PORT`, given with `option`. Without a host it is the machine itself that may connect, and nobody else.
pub fn address(option: &'static str, text: &str) -> Result<Given<Address>, UserError> {
    let bad = || user_error!("'{text}' given with {option} is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().map_err(|_| bad())?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(Given::new(option, Address { host: host.to_owned(), port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read =
            |text| address("--gdb", text).map(|a| (a.value.host, a.value.port)).map_err(|e| e.to_string());
        assert_eq!(read("127.0.0.1:1234"), Ok(("127.0.0.1".into(), 1234)));
        assert_eq!(read("[::1]:0"), Ok(("::1".into(), 0)));
        assert_eq!(read(":1234"), Ok(("localhost".into(), 1234)));
        for bad in ["1234", "host:", "host:70000", ""] {
            assert_eq!(read(bad), Err(format!("'{bad}' given with --gdb is not HOST:PORT")));
        }
    }
}
