//! `-M`: the board and its options.

use super::Reader;
use super::option::Action::Value;
use super::option::Row;
use crate::config::HostFile;
use crate::error::UserError;
use crate::keyval::{Parts, on_off};
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-M",
        Value(board),
        "virt[,virtualization=on|off][,gic-version=3][,its=on|off][,highmem=on|off][,dumpdtb=FILE]",
    ),
    ("-machine", Value(board), "the same"),
];

/// What an option of the board accepts.
enum Rule {
    /// on or off.
    Switch(fn(&mut Reader, bool)),
    /// These values, all of which mean what the machine does anyway.
    Only(&'static [&'static str], &'static str),
    /// A file.
    File(fn(&mut Reader, HostFile)),
}

use Rule::{File, Only, Switch};

/// The options of the board. For those that are `Only`, the last column says why.
const BOARD: &[(&str, Rule)] = &[
    ("virtualization", Switch(|r, on| r.config.virt.virtualization = on)),
    ("its", Switch(|r, on| r.config.virt.its = on)),
    (
        "highmem",
        Switch(|r, on| {
            r.config.virt.highmem_ecam = on;
            r.config.virt.highmem_mmio = on;
        }),
    ),
    ("highmem-ecam", Switch(|r, on| r.config.virt.highmem_ecam = on)),
    ("highmem-mmio", Switch(|r, on| r.config.virt.highmem_mmio = on)),
    ("dumpdtb", File(|r, f| r.config.dump_dtb = Some(f))),
    ("gic-version", Only(&["3", "max"], "the interrupt controller is a GICv3")),
    ("iommu", Only(&["none"], "there is no system MMU yet")),
    ("acpi", Only(&["off", "auto"], "there are no ACPI tables yet")),
    ("secure", Only(&["off"], "there is no EL3 and no Secure state")),
    ("mte", Only(&["off"], "there is no memory tagging")),
    ("ras", Only(&["off"], "there is no error injection")),
    ("graphics", Only(&["off"], "there is no display")),
    ("usb", Only(&["off"], "there is no USB")),
    ("accel", Only(&["tcg"], "instructions are executed in software only")),
];

/// `-M`: may be given several times, each adds to the others.
fn board(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    if let Some(board) = parts.take_first("type")? {
        if board != "virt" {
            return Err(user_error!("there is no board '{board}': {option} takes 'virt'"));
        }
        r.has_board = true;
    }
    while let Some(part) = parts.next_part() {
        let (key, value) = (part.key.as_str(), part.value.as_deref().unwrap_or("on"));
        match BOARD.iter().find(|(k, _)| *k == key) {
            None => return Err(user_error!("'{key}={value}' is not supported for the board in {option}")),
            Some((_, Switch(f))) => {
                f(r, on_off(value).map_err(|e| user_error!("{e}, given as '{key}' in {option}"))?);
            }
            Some((_, File(f))) => f(r, HostFile::new(option, value)),
            Some((_, Only(values, _))) if values.contains(&value) => {}
            Some((_, Only(_, why))) => {
                return Err(user_error!("'{key}={value}' in {option} is not supported: {why}"));
            }
        }
    }
    Ok(())
}
