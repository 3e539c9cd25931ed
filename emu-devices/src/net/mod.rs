//! What stands behind a network device of the guest.
//!
//! A device is a [`NetClient`] of one [`NetBackend`]. Both take Ethernet frames without the frame check sequence, from
//! one to [`MAX_FRAME`] bytes; neither waits for the other. What is shorter than an Ethernet header is for who knows of it.

mod e1000e;
mod inbox;
mod intel;
mod pair;

use std::io;
use std::sync::Weak;

pub use e1000e::E1000e;
pub use inbox::Inbox;
pub use pair::pair;

/// The register maps, for the test of all of them.
#[cfg(test)]
pub(crate) const MAPS: &[&dyn emu_core::registers::AnyMap] = &[&e1000e::MAP];

/// Bytes of the longest frame, headers and a VLAN tag included: what a TCP segment that is still to be cut has.
pub const MAX_FRAME: usize = 65_535 + 18;

/// Bytes of an Ethernet header.
pub(crate) const HEADER: usize = 14;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MacAddress(pub [u8; 6]);

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a device made of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// It has taken it, or does not want it.
    Taken,
    /// It has no room now: the backend keeps the frame, if it can, and gives it again after [`NetBackend::room`].
    NoRoom,
}

/// A network device. Called on threads of the backend, or on the one that calls [`NetBackend::send`], with no lock of the
/// backend's held.
pub trait NetClient: Send + Sync {
    /// A frame has come for it. It is not kept waiting: what takes time is done elsewhere.
    fn receive(&self, frame: &[u8]) -> Receipt;
    /// There is a connection to a network now, or there is none.
    fn link(&self, _up: bool) {}
}

/// The other end of a device's cable.
pub trait NetBackend: Send + Sync {
    /// What errors name.
    fn name(&self) -> &str;
    /// Who takes the frames that come; called once, before [`NetBackend::start`].
    fn connect(&self, client: Weak<dyn NetClient>);
    /// Frames may be given to the client from now on.
    fn start(&self) -> io::Result<()>;
    /// No frame is given to the client after this has returned, until [`NetBackend::start`].
    fn pause(&self);
    /// The end: connections are closed, and files written.
    fn halt(&self);
    /// Sends a frame. It is called with no lock of the device's held that [`NetClient::receive`] takes. What cannot be sent
    /// is lost, as on a cable.
    fn send(&self, frame: &[u8]);
    /// The device has room again after it said [`Receipt::NoRoom`].
    fn room(&self);
    /// Whether there is a connection.
    fn link(&self) -> bool {
        true
    }
}
