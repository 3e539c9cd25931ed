//! The network and what else reaches beyond the machine: `-netdev`, `-nic`, `-net`, `-virtfs`. A machine has no network device
//! that nobody asks for.

use super::option::Action::{OnlyNone, Refused, Value};
use super::option::Row;
use super::{Reader, json};
use crate::config::{Netdev, netdev_help};
use crate::error::UserError;
use crate::keyval::Parts;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-netdev",
        Value(netdev),
        "KIND,id=ID,...: the other end of a network cable, for 'netdev=ID' of a device; 'help' lists the kinds",
    ),
    (
        "-nic",
        Value(nic),
        "none, or KIND[,model=DEVICE][,mac=ADDRESS],...: a network device and the other end of its cable",
    ),
    ("-net", OnlyNone("network by this option: say -nic, or -netdev and -device"), "none"),
    ("-virtfs", Refused("there is no file system that is shared with the host"), ""),
    ("-fsdev", Refused("there is no file system that is shared with the host"), ""),
    ("-tpmdev", Refused("there is no TPM"), ""),
];

/// The device of `-nic` that names none: the board's usual one.
const MODEL: &str = "virtio-net-pci";

fn netdev(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let netdev = Netdev::from_parts(json::parts(option, text)?, None)?;
    r.config.add_netdev(option, netdev)
}

fn nic(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    if text == "none" {
        return Ok(());
    }
    let mut parts = Parts::split(option, text);
    let model = parts.take("model")?.unwrap_or_else(|| MODEL.to_owned());
    let (mac, address) = (parts.take("mac")?, parts.take("addr")?);
    let netdev = Netdev::from_parts(parts, Some(format!("#net{}", r.config.network.len())))?;
    // The name has no comma that -device would take for its end: one that was given is doubled.
    let mut device = format!("{model},netdev={}", netdev.id.replace(',', ",,"));
    for (key, value) in [("mac", mac), ("addr", address)] {
        device.extend(value.map(|value| format!(",{key}={}", value.replace(',', ",,"))));
    }
    r.devices.push(Parts::split(option, &device));
    r.config.add_netdev(option, netdev)
}

/// The kinds, for `-netdev help`.
pub(super) fn help() -> String {
    netdev_help()
}
