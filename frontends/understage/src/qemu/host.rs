//! How the machine lives on the host: its end, its defaults, who controls it.

use super::option::Action::{Plain, Refused};
use super::option::Row;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-no-reboot", Plain(|r| r.config.no_reboot = true), "end when the guest asks for a reset"),
    ("-nodefaults", Plain(|r| r.nodefaults = true), "no serial port backend unless -serial names one"),
    ("-no-user-config", Plain(|_| ()), "there are no configuration files"),
    ("-qmp", Refused("QMP is not there yet"), ""),
];
