//! `-help` and `-version`.

use super::option::Action::{Print, Refused};
use super::option::{GROUPS, Row};
use super::{blockdev, board, chardev, cpu, debug, device, drive, network, object};
use crate::error::UserError;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-version", Print(version), "version"),
    ("-h", Print(help), "this text"),
    ("-help", Print(help), "this text"),
];

/// What an option lists when its value is `help`, or `NAME,help`.
type Lister = fn(Option<&str>) -> Result<String, UserError>;

const LISTERS: &[(&str, Lister)] = &[
    ("-M", board::help),
    ("-machine", board::help),
    ("-cpu", cpu::help_cpu),
    ("-accel", cpu::help_accel),
    ("-device", device::help),
    ("-object", object::help),
    ("-d", debug::help),
    ("-chardev", |_| Ok(chardev::help())),
    ("-drive", |_| Ok(drive::help())),
    ("-blockdev", |_| Ok(blockdev::help())),
    ("-netdev", |_| Ok(network::help())),
];

/// The list that `value` of the option `name` asks for.
pub(super) fn asked(name: &str, value: &str) -> Option<Result<String, UserError>> {
    let (_, lister) = LISTERS.iter().find(|(n, _)| *n == name)?;
    if matches!(value, "help" | "?") {
        return Some(lister(None));
    }
    let (first, rest) = value.split_once(',')?;
    rest.split(',').any(|part| matches!(part, "help" | "?")).then(|| lister(Some(first)))
}

fn version() -> String {
    format!("understage {} (QEMU's spelling of the command line)\n", env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    let mut text = String::from(
        "usage: understage qemu OPTION...    (or call the program qemu-system-aarch64)\n\n\
         Options of QEMU (qemu-system-aarch64) that this machine takes; any other is refused. There are no default\n\
         devices but the board's own.\n",
    );
    for group in GROUPS {
        text.push_str(&format!("\n{}:\n", group.title));
        for (name, action, about) in group.options {
            if !matches!(action, Refused(_)) {
                text.push_str(&format!("  {name:<16}{about}\n"));
            }
        }
    }
    text.push_str(
        "\nExample:\n  understage qemu -M virt,virtualization=on -cpu max -smp 2 -m 2G -nographic -no-reboot \\\n    \
         -kernel Image -initrd shell.cpio -append console=ttyAMA0 \\\n    \
         -drive if=none,id=d0,file=disk.img,format=raw,snapshot=on -device virtio-blk-pci,drive=d0\n",
    );
    text
}
