//! `-m`, `-mem-path`, `-mem-prealloc`: the RAM.

use super::Reader;
use super::option::Action::{Plain, Refused, Value};
use super::option::Row;
use crate::config::{HostFile, RamBacking, check_memory};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::{parse_size, parse_u64};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-m", Value(memory), "[size=]SIZE[,slots=N,maxmem=SIZE]: RAM, in MiB unless it has a unit"),
    ("-mem-path", Value(path), "FILE or DIRECTORY where the pages of RAM are"),
    ("-mem-prealloc", Plain(|r| r.config.ram.prealloc = true), "take all RAM from the host before the start"),
    ("-balloon", Refused("there is no balloon device"), ""),
];

/// `-m`.
fn memory(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if let Some(size) = parts.take_first("size")? {
        r.config.memory = check_memory(parse_size(&size, Some(1 << 20))?)?;
        r.memory_given = true;
    }
    // Room for memory that is plugged in later; nothing can be, and the board is the same without.
    parts.take_with("slots", parse_u64)?;
    let most = parts.take_with("maxmem", |size| parse_size(size, Some(1 << 20)))?;
    if most.is_some_and(|most| most < r.config.memory) {
        return Err(user_error!("maxmem in '{option} {text}' is less than the RAM"));
    }
    parts.finish("the RAM")
}

/// `-mem-path`: RAM in a file, or in a directory for one; the guest's writes are not in it.
fn path(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    r.config.ram.backing = RamBacking::File { file: HostFile::new(option, path), share: false };
    Ok(())
}
