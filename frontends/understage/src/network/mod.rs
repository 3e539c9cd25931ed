//! What is at the other ends of the cables of network devices: the back ends that [`crate::config::NetdevKind`] names.
//!
//! | module | what lives there |
//! |---|---|
//! | [`stream`] | frames over a connection |
//! | [`hub`] | hubs inside this machine |
//! | [`user`] | networks of the host's sockets |

mod hub;
mod stream;
pub mod user;

use std::sync::Arc;

use emu_devices::net::{MacAddress, NetBackend};

use self::hub::Hub;
use self::stream::Stream;
use self::user::UserNetworks;
use crate::board::characters::Characters;
use crate::character::Port;
use crate::config::{MachineConfig, NetdevKind, default_station};
use crate::error::{UserError, user_error};

/// The back ends of a machine, until devices take them.
pub struct Networks {
    /// By the names that devices say.
    free: Vec<(String, Arc<dyn NetBackend>)>,
    /// Those that monitors know of.
    pub user: UserNetworks,
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
        let mut user = UserNetworks::default();
        for netdev in &config.network {
            let backend: Arc<dyn NetBackend> = match &netdev.kind {
                NetdevKind::Stream { socket, .. } => {
                    let stream = Stream::open(&netdev.id, socket, characters)?;
                    ports.push(stream.port().clone());
                    stream
                }
                NetdevKind::User(config) => user.open(&netdev.id, config)?,
                NetdevKind::Hub(number) => {
                    let found = hubs.iter().find(|(n, _)| n == number).map(|(_, hub)| hub.clone());
                    let hub = found.unwrap_or_else(|| {
                        let hub = Arc::<Hub>::default();
                        hubs.push((*number, hub.clone()));
                        hub
                    });
                    hub.port(&netdev.id)
                }
            };
            free.push((netdev.id.clone(), backend));
        }
        Ok(Self { free, user, ports, stations: 0 })
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
