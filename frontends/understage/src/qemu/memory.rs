//! `-m`: the RAM.

use super::Reader;
use super::option::Action::Value;
use super::option::Row;
use crate::config::check_memory;
use crate::error::UserError;
use crate::keyval::Parts;
use crate::number::parse_size;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[("-m", Value(memory), "[size=]SIZE: RAM, in MiB unless it has a unit")];

/// `-m`.
fn memory(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let size = parts.take_first("size")?.ok_or_else(|| user_error!("{option} needs a size"))?;
    r.config.memory = check_memory(parse_size(&size, Some(1 << 20))?)?;
    parts.finish("the RAM")
}
