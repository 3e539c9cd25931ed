//! What is at the other ends of the cables of network devices: the back ends that [`crate::config::NetdevKind`] names.
//!
//! | module | what lives there |
//! |---|---|
//! | [`stream`] | frames over a connection |
//! | [`dgram`] | frames as datagrams |
//! | [`hub`] | hubs inside this machine |
//! | [`user`] | networks of the host's sockets |

mod dgram;
mod hub;
mod stream;
pub mod user;

use std::sync::Arc;

use emu_devices::net::{MacAddress, NetBackend};

use self::dgram::Dgram;
use self::hub::Hub;
use self::stream::Stream;
use self::user::UserNetworks;
use crate::board::characters::Characters;
use crate::character::Port;
use crate::config::{MachineConfig, Netdev, NetdevKind, STREAM, default_station};
use crate::error::{UserError, user_error};

/// A back end as `info network` shows it.
pub trait Described: Send + Sync {
    /// Its kind, and where it leads.
    fn describe(&self) -> String;
}

/// The back ends as monitors see them.
#[derive(Clone, Default)]
pub struct Shown {
    /// The networks of the host's sockets.
    pub user: UserNetworks,
    all: Vec<(String, Arc<dyn Described>)>,
    /// The `stream`s among them.
    streams: Vec<(String, Arc<Port>)>,
}

impl Shown {
    /// The names and connections of all `stream`s.
    pub fn streams(&self) -> &[(String, Arc<Port>)] {
        &self.streams
    }

    /// A line for each back end, behind one for its device: `device_of` gives that one's name and model.
    pub fn list(&self, device_of: impl Fn(&str) -> Option<(String, &'static str)>) -> String {
        let line = |(id, what): &(String, Arc<dyn Described>)| {
            let own = format!("{id}: index=0,{}\n", what.describe());
            match device_of(id) {
                Some((name, model)) => format!("{name}: index=0,type=nic,model={model}\n \\ {own}"),
                None => own,
            }
        };
        self.all.iter().map(line).collect()
    }
}

/// One that is always the same.
struct Fixed(String);

impl Described for Fixed {
    fn describe(&self) -> String {
        self.0.clone()
    }
}

/// The back ends of a machine, until devices take them.
pub struct Networks {
    /// By the names that devices say.
    free: Vec<(String, Arc<dyn NetBackend>)>,
    /// All of them, for monitors.
    pub shown: Shown,
    /// The connections among them.
    pub ports: Vec<Arc<Port>>,
    /// Devices that were given no address of their own.
    stations: u8,
}

impl Networks {
    /// Opens all that `config` names. Nothing outside of this process has changed yet.
    pub fn open(config: &MachineConfig, characters: &mut Characters) -> Result<Self, UserError> {
        let mut hubs: Vec<(u64, Arc<Hub>)> = Vec::new();
        let mut free: Vec<(String, Arc<dyn NetBackend>)> = Vec::new();
        let mut ports = Vec::new();
        let mut shown = Shown::default();
        for Netdev { id, kind } in &config.network {
            let (backend, described): (Arc<dyn NetBackend>, Arc<dyn Described>) = match kind {
                NetdevKind::Stream { called, socket } => {
                    let stream = Stream::open(id, called, socket, characters)?;
                    ports.push(stream.port().clone());
                    if *called == STREAM {
                        shown.streams.push((id.clone(), stream.port().clone()));
                    }
                    (stream.clone(), stream)
                }
                NetdevKind::Dgram(place) => {
                    let dgram = Dgram::open(id, place)?;
                    (dgram.clone(), dgram)
                }
                NetdevKind::User(config) => {
                    let user = shown.user.open(id, config)?;
                    let restrict = if config.restrict { "on" } else { "off" };
                    let text = format!("type=user,net={},restrict={restrict}", config.network);
                    (user, Arc::new(Fixed(text)))
                }
                NetdevKind::Hub(number) => {
                    let found = hubs.iter().find(|(n, _)| n == number).map(|(_, hub)| hub.clone());
                    let hub = found.unwrap_or_else(|| {
                        let hub = Arc::<Hub>::default();
                        hubs.push((*number, hub.clone()));
                        hub
                    });
                    (hub.port(id), Arc::new(Fixed(format!("type=hubport,hubid={number}"))))
                }
            };
            free.push((id.clone(), backend));
            shown.all.push((id.clone(), described));
        }
        Ok(Self { free, shown, ports, stations: 0 })
    }

    /// The back end `id`, for the one device that has it.
    pub fn take(&mut self, id: &str) -> Result<Arc<dyn NetBackend>, UserError> {
        let found = self.free.iter().position(|(name, _)| name == id);
        found
            .map(|n| self.free.swap_remove(n).1)
            .ok_or_else(|| user_error!("there is no free network back end '{id}'"))
    }

    /// An address for a device that was given none.
    pub fn station(&mut self) -> MacAddress {
        let station = default_station(self.stations);
        self.stations = self.stations.wrapping_add(1);
        station
    }
}
