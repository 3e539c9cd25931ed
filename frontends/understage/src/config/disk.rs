//! What disks and flash keep their contents in.

use super::HostFile;
use crate::error::{UserError, user_error};

/// Format of a disk image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
    /// None: there is no image, zeroes are read, and what is written is lost. The bytes that the disk has.
    Null(u64),
}

impl DiskFormat {
    /// The format called `name`.
    pub fn from_name(name: &str) -> Result<Self, UserError> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(user_error!("there is no disk format '{name}' (there are raw, qcow2)")),
        }
    }
}

/// What monitors call something. Machines that differ by that alone are equal.
#[derive(Clone, Debug, Default, Eq)]
pub struct Label(pub Option<String>);

impl PartialEq for Label {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A disk's contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The name that monitors know it by.
    pub id: Label,
    /// The image.
    pub file: HostFile,
    /// Its format. Without one the magic number of the file says, and a file without a magic number is raw.
    pub format: Option<DiskFormat>,
    /// The guest cannot write.
    pub readonly: bool,
    /// The guest's writes are kept in memory and lost at the end.
    pub snapshot: bool,
}

/// The contents of a flash bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flash {
    /// The image.
    pub file: HostFile,
    /// The guest cannot program the flash.
    pub readonly: bool,
    /// What the guest programs is lost at the end; otherwise it is written to the file.
    pub snapshot: bool,
}
