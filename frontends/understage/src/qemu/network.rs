//! The network and what else reaches beyond the machine: `-nic`, `-net`, `-netdev`, `-virtfs`. There is none yet, and a
//! line that asks for none is honoured.

use super::option::Action::{OnlyNone, Refused};
use super::option::Row;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-nic", OnlyNone("network"), "none"),
    ("-net", OnlyNone("network"), "none"),
    ("-netdev", Refused("there is no network yet"), ""),
    ("-virtfs", Refused("there is no file system that is shared with the host"), ""),
    ("-fsdev", Refused("there is no file system that is shared with the host"), ""),
    ("-tpmdev", Refused("there is no TPM"), ""),
];
