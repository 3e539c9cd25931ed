//! How the machine lives on the host: its name, its RAM's pages, its clock, its process.

use super::{Given, HostFile};
use crate::error::{UserError, user_error};
use crate::number::show_size;

/// What the host is to do for the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// What the machine is called in messages.
    pub name: Option<String>,
    /// What the host's list of processes calls it.
    pub process: Option<String>,
    /// A file with the process's number, as long as the machine lives.
    pub pidfile: Option<HostFile>,
    /// The machine goes on in the background as soon as it is put together: the option that says so.
    pub daemonize: Option<Given<()>>,
    /// All memory stays in the host's RAM: the option that says so.
    pub lock_memory: Option<Given<()>>,
}

/// Where the guest's RAM has its pages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RamBacking {
    /// In the host's memory.
    #[default]
    Anonymous,
    /// In a file, or in a file without a name in this directory.
    File {
        /// The file.
        file: HostFile,
        /// What the guest writes goes to the file, where others see it; otherwise to a copy.
        share: bool,
    },
}

/// How the guest's RAM is got from the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ram {
    /// Where its pages are.
    pub backing: RamBacking,
    /// All of it is taken before the start.
    pub prealloc: bool,
    /// A core dump of this program has it.
    pub in_core_dump: bool,
    /// The host may find pages that are the same and keep one of them.
    pub mergeable: bool,
}

impl Default for Ram {
    fn default() -> Self {
        Self { backing: RamBacking::Anonymous, prealloc: false, in_core_dump: true, mergeable: false }
    }
}

/// What the real-time clock shows at the start, in seconds from 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RtcBase {
    /// The host's time, UTC.
    #[default]
    Utc,
    /// The host's time in its time zone.
    Local,
    /// This time.
    At(u64),
}

/// The real-time clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtc {
    /// What it shows at the start.
    pub base: RtcBase,
    /// It goes on while a debugger has stopped the machine.
    pub follows_host: bool,
}

/// The most RAM: it ends below the first region above 4 GiB of the board's map.
pub const MAX_MEMORY: u64 = 255 << 30;
/// RAM is a multiple of this.
pub const MEMORY_GRANULE: u64 = 1 << 20;

/// Whether `bytes` can be the RAM of a machine.
pub fn check_memory(bytes: u64) -> Result<u64, UserError> {
    if bytes == 0 || !bytes.is_multiple_of(MEMORY_GRANULE) {
        return Err(user_error!("{} of RAM is not a whole number of MiB", show_size(bytes)));
    }
    if bytes > MAX_MEMORY {
        return Err(user_error!(
            "{} of RAM is more than the {} that the board takes",
            show_size(bytes),
            show_size(MAX_MEMORY)
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_is_whole_mebibytes_and_has_a_limit() {
        assert!(check_memory(2 << 30).is_ok());
        assert_eq!(check_memory(4096).unwrap_err().to_string(), "4 KiB of RAM is not a whole number of MiB");
        assert!(check_memory(256 << 30).unwrap_err().to_string().contains("255 GiB"));
    }
}
