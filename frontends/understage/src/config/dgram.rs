//! `dgram`: a back end whose frames are datagrams, each one frame.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::property::Value::Text;
use crate::property::{self, Property, property};

/// Where datagrams come from and go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dgram {
    /// UDP: our address, and the only one that we send to and hear.
    Udp(SocketAddr, SocketAddr),
    /// The paths of sockets, ours first.
    Unix(PathBuf, PathBuf),
    /// A connected socket that the process was started with.
    Inherited(i32),
}

/// What an end is told.
#[derive(Default)]
struct End {
    kind: String,
    host: String,
    port: String,
    path: String,
    fd: String,
}

#[derive(Default)]
struct Told {
    local: End,
    remote: End,
}

fn keep(slot: &mut String, value: &str) -> Result<(), UserError> {
    value.clone_into(slot);
    Ok(())
}

const PROPERTIES: &[Property<Told>] = &[
    property("local.type", Text(|t, v| keep(&mut t.local.kind, v)), "inet, unix or fd"),
    property("local.host", Text(|t, v| keep(&mut t.local.host, v)), "inet: our address"),
    property("local.port", Text(|t, v| keep(&mut t.local.port, v)), "inet: our port"),
    property("local.path", Text(|t, v| keep(&mut t.local.path, v)), "unix: our path"),
    property("local.str", Text(|t, v| keep(&mut t.local.fd, v)), "fd: the number of the open file"),
    property("remote.type", Text(|t, v| keep(&mut t.remote.kind, v)), "inet or unix, as local.type"),
    property("remote.host", Text(|t, v| keep(&mut t.remote.host, v)), "inet: the other's address"),
    property("remote.port", Text(|t, v| keep(&mut t.remote.port, v)), "inet: the other's port"),
    property("remote.path", Text(|t, v| keep(&mut t.remote.path, v)), "unix: the other's path"),
];

impl End {
    fn address(&self, which: &str, option: &str) -> Result<SocketAddr, UserError> {
        let host: IpAddr = self
            .host
            .parse()
            .map_err(|_| user_error!("'{which}.host={}' in {option} is not an IP address", self.host))?;
        if host.is_multicast() {
            return Err(user_error!(
                "'{which}.host={}' in {option} is not supported: datagrams have one receiver",
                self.host
            ));
        }
        let port = self.port.parse();
        let port = port.map_err(|_| user_error!("'{which}.port={}' in {option} is no port", self.port))?;
        Ok(SocketAddr::new(host, port))
    }

    fn path(&self, which: &str, option: &str) -> Result<PathBuf, UserError> {
        match &*self.path {
            "" => Err(user_error!("datagrams in {option} need '{which}.path='")),
            path => Ok(path.into()),
        }
    }
}

impl Dgram {
    /// Reads what is behind `dgram,id=ID`.
    pub(super) fn from_parts(parts: Parts) -> Result<Self, UserError> {
        let option = parts.option();
        let mut told = Told::default();
        property::read(parts, &[PROPERTIES], "datagrams", &mut told)?;
        let Told { local, remote } = &told;
        match (&*local.kind, &*remote.kind) {
            ("inet", "inet") => {
                let (own, other) = (local.address("local", option)?, remote.address("remote", option)?);
                match own.is_ipv4() == other.is_ipv4() {
                    true => Ok(Self::Udp(own, other)),
                    false => Err(user_error!("the two addresses in {option} are of two families")),
                }
            }
            ("unix", "unix") => Ok(Self::Unix(local.path("local", option)?, remote.path("remote", option)?)),
            ("fd", "") => local.fd.parse().ok().filter(|fd| *fd >= 0).map(Self::Inherited).ok_or_else(|| {
                user_error!("'local.str={}' in {option} is not the number of an open file", local.fd)
            }),
            ("", "inet") => remote
                .address("remote", option)
                .and_then(|_| Err(user_error!("datagrams in {option} need 'local.type='"))),
            (own, other) => Err(user_error!(
                "datagrams in {option} have 'local.type=' and 'remote.type=', both inet or both unix, or 'local.type=fd' (given are '{own}' and '{other}')"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dgram, String> {
        Dgram::from_parts(Parts::split("-netdev", text)).map_err(|e| e.to_string())
    }

    #[test]
    fn both_ends_are_of_one_kind() {
        let udp = "local.type=inet,local.host=127.0.0.1,local.port=1,remote.type=inet,remote.host=127.0.0.2,remote.port=2";
        let expected = Dgram::Udp("127.0.0.1:1".parse().unwrap(), "127.0.0.2:2".parse().unwrap());
        assert_eq!(read(udp), Ok(expected));
        let unix = "local.type=unix,local.path=/a,remote.type=unix,remote.path=/b";
        assert_eq!(read(unix), Ok(Dgram::Unix("/a".into(), "/b".into())));
        assert_eq!(read("local.type=fd,local.str=5"), Ok(Dgram::Inherited(5)));
        for (text, words) in [
            ("", "'local.type=' and 'remote.type='"),
            ("remote.type=inet,remote.host=230.0.0.1,remote.port=1", "datagrams have one receiver"),
            ("local.type=unix,local.path=/a,remote.type=inet", "both inet or both unix"),
            ("local.type=unix,remote.type=unix,remote.path=/b", "need 'local.path='"),
            ("local.type=fd,local.str=x", "'local.str=x'"),
            (&udp.replace("127.0.0.2", "::1"), "of two families"),
            (&udp.replace("127.0.0.2", "localhost"), "not an IP address"),
            (&udp.replace("local.port=1,", "local.port=70000,"), "'local.port=70000'"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
