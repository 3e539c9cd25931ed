//! A command line that devices are added to. The two spellings differ in what the properties of a device refer to: in
//! QEMU's it is a name that another option gives, in our own it is described in place.

use super::plug::Plug;
use crate::config::{CharBackend, Disk, HostFile, MachineConfig};
use crate::error::UserError;
use crate::keyval::Parts;

/// What a property can refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Referent {
    /// A disk's contents.
    Drive,
    /// Where characters go and come from.
    Characters,
    /// Random bytes.
    Random,
    /// A thread.
    Thread,
    /// The other end of a network cable.
    Network,
}

/// A spelling: what its help says of what properties refer to, if that can be said there at all.
pub struct Words {
    /// It is QEMU's.
    pub qemu: bool,
    /// [`Referent::Drive`].
    pub drive: Option<&'static str>,
    /// [`Referent::Characters`].
    pub characters: Option<&'static str>,
    /// [`Referent::Random`].
    pub random: Option<&'static str>,
    /// [`Referent::Thread`].
    pub thread: Option<&'static str>,
    /// [`Referent::Network`].
    pub network: Option<&'static str>,
}

impl Words {
    /// What is said of `referent`.
    #[must_use]
    pub fn about(&self, referent: Referent) -> Option<&'static str> {
        match referent {
            Referent::Drive => self.drive,
            Referent::Characters => self.characters,
            Referent::Random => self.random,
            Referent::Thread => self.thread,
            Referent::Network => self.network,
        }
    }
}

/// See the module's head. In what refers to something, `name` is the property's value, `rest` the properties that have not
/// been read yet, and `user` the device.
pub trait CommandLine {
    /// The spelling.
    fn words(&self) -> &'static Words;
    /// The machine so far.
    fn machine(&mut self) -> &mut MachineConfig;
    /// What is meant by no word about where a device is plugged in.
    fn plug(&self, option: &'static str) -> Plug;
    /// A disk's contents.
    fn drive(&mut self, name: &str, rest: &mut Parts, user: &str) -> Result<Disk, UserError>;
    /// Where characters go and come from.
    fn characters(&mut self, name: &str, rest: &mut Parts, user: &str) -> Result<CharBackend, UserError>;
    /// Random bytes: a file, or the host's generator.
    fn random(&mut self, name: &str, rest: &mut Parts, user: &str) -> Result<Option<HostFile>, UserError>;
    /// A thread.
    fn thread(&mut self, name: &str, user: &str) -> Result<(), UserError>;
}
