//! `-help` and `-version`.

use super::option::Action::{Print, Refused};
use super::option::{GROUPS, Row};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-version", Print(version), "version"),
    ("-h", Print(help), "this text"),
    ("-help", Print(help), "this text"),
];

fn version() -> String {
    format!("understage {} (QEMU's spelling of the command line)\n", env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    let mut text = String::from(
        "usage: understage qemu OPTION...    (or call the program qemu-system-aarch64)\n\n\
         Options of qemu-system-aarch64 that this machine takes; any other is refused. The interrupt controller is\n\
         always a GICv3, and there are no default devices but the board's own.\n",
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
