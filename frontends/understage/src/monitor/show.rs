//! What `info` prints.

use std::fmt::Write;

use emu_core::addr::Size;
use emu_core::bus::Backing;
use emu_devices::pci::{Bridge, BusId, Forwarding, FunctionCore, Placed, Position};

use super::{Machine, devices};
use crate::board::stats::compared;
use crate::config::{Device, Disk, DiskFormat, MachineConfig};
use crate::device;
use crate::device::places::{self, Place};
use crate::ledger;

/// A topic: its name, what help says, what it prints for the CPU that the user has chosen.
type Topic = (&'static str, &'static str, fn(&Machine, usize, &[&str]) -> String);

pub(super) const TOPICS: &[Topic] = &[
    ("block", "disks", |m, _, _| lines(&disks(m))),
    ("chardev", "character devices", |m, _, _| {
        let line = |(name, what): &(String, String)| format!("{name}: filename={what}");
        lines(&m.characters.iter().map(line).collect::<Vec<_>>())
    }),
    ("check", "what was compared since the check began", |m, _, _| {
        m.lockstep_totals().map_or_else(|| "there is no check\n".to_owned(), compared)
    }),
    ("cpus", "CPUs", cpus),
    ("ledger", "what CPUs and devices did, by cause", |m, _, _| match &m.book {
        Some(book) => {
            m.held(|| ledger::table(&book.now())).unwrap_or_else(|| "the machine has ended\n".to_owned())
        }
        None => "no ledger is kept: say --ledger FILE when the machine is started\n".to_owned(),
    }),
    ("mtree", "the physical address space", mtree),
    ("network", "network back ends, and their devices", |m, _, _| network(m)),
    ("pci", "functions on the PCI bus", pci),
    ("qtree", "devices that were added", |m, _, _| lines(&m.added_devices())),
    ("registers", "registers of the CPU, with -a of all, or of DEVICE", registers),
    ("status", "whether the machine runs", |m, _, _| {
        format!("VM status: {}\n", if *m.stopped.lock() { "paused" } else { "running" })
    }),
    ("usernet", "connections of user-mode networks", |m, _, _| m.networks.user.show()),
    ("version", "the version of this program", |_, _, _| {
        format!("understage {}\n", env!("CARGO_PKG_VERSION"))
    }),
];

fn lines(lines: &[String]) -> String {
    lines.iter().map(|l| format!("{l}\n")).collect()
}

fn cpus(machine: &Machine, chosen: usize, _: &[&str]) -> String {
    let line = |cpu: usize| {
        let mark = if cpu == chosen { '*' } else { ' ' };
        format!("{mark} CPU #{cpu}: {}\n", if machine.power.is_on(cpu) { "on" } else { "off" })
    };
    (0..machine.vcpus.len()).map(line).collect()
}

fn registers(machine: &Machine, chosen: usize, words: &[&str]) -> String {
    let cpus = match words {
        [] => chosen..chosen + 1,
        ["-a"] => 0..machine.vcpus.len(),
        [device] => return devices::registers(machine, chosen, device),
        _ => return "usage: info registers [-a | DEVICE]\n".to_owned(),
    };
    let mut out = String::new();
    for cpu in cpus {
        // Writing to a String does not fail.
        machine.with_cpu(cpu, |c| crate::gdb::monitor::as_qemu(cpu, c, &mut out));
    }
    out
}

fn mtree(machine: &Machine, _: usize, _: &[&str]) -> String {
    let mut out = String::from("address-space: memory\n");
    for region in machine.bus.view().regions() {
        let (kind, name) = match &region.backing {
            Backing::Ram(..) => ("ram", "ram"),
            Backing::Rom(_, _, device) => ("romd", device.name()),
            Backing::Mmio(device) => ("i/o", device.name()),
        };
        let last = region.base.0 + (region.size - 1);
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {:016x}-{last:016x} (prio 0, {kind}): {name}", region.base.0);
    }
    out
}

/// The back ends; each behind the device that has it.
fn network(machine: &Machine) -> String {
    let devices = machine.plugger.as_ref().map(|plugger| plugger.machine().devices).unwrap_or_default();
    machine.networks.list(|id| {
        let device = devices.iter().find(|device| device.settings.netdev() == Some(id))?;
        let model = device::kind_of(device).ok()?.name();
        Some((device.id.clone().unwrap_or_else(|| model.to_owned()), model))
    })
}

/// Names of classes of PCI functions.
const CLASSES: &[(u32, &str)] = &[
    (0x0100, "SCSI controller"),
    (0x0106, "SATA controller"),
    (0x0108, "Storage controller"),
    (0x0200, "Ethernet controller"),
    (0x0300, "VGA controller"),
    (0x0600, "Host bridge"),
    (0x0604, "PCI bridge"),
    (0x0c03, "USB controller"),
];

fn pci(machine: &Machine, _: usize, _: &[&str]) -> String {
    let mut out = String::new();
    for placed in machine.functions() {
        // Writing to a String does not fail.
        let _ = function_lines(&mut out, &placed);
    }
    out
}

fn function_lines(out: &mut String, placed: &Placed) -> std::fmt::Result {
    let (bdf, core, bridge) = (placed.bdf, placed.function.core(), placed.function.bridge());
    let word = |at: u16| core.config_read(at, Size::B4);
    let half = |at: u16| core.config_read(at, Size::B2);
    let class = word(8) >> 16;
    let name = CLASSES
        .iter()
        .find(|(c, _)| *c == class)
        .map_or_else(|| format!("Class {class:04x}"), |c| c.1.to_owned());
    writeln!(out, "  Bus {:2}, device {:3}, function {}:", bdf.bus(), bdf.device(), bdf.function())?;
    writeln!(out, "    {name}: PCI device {:04x}:{:04x}", half(0), half(2))?;
    match bridge.map(Bridge::forwarding) {
        None => writeln!(out, "      PCI subsystem {:04x}:{:04x}", half(0x2c), half(0x2e))?,
        Some(forwarding) => bridge_lines(out, core, &forwarding)?,
    }
    let pin = core.config_read(0x3d, Size::B1);
    if let Some(letter) = pin.checked_sub(1).and_then(|n| char::from_digit(10 + n, 16)) {
        writeln!(out, "      pin {}", letter.to_ascii_uppercase())?;
    }
    for bar in core.decoded() {
        let kind = if bar.space == emu_devices::pci::Space::Io { "I/O" } else { "memory" };
        writeln!(out, "      BAR{}: {kind} at {:#x} [{:#x}]", bar.bar, bar.base, bar.base + (bar.size - 1))?;
    }
    Ok(())
}

/// What a bridge forwards.
fn bridge_lines(out: &mut String, core: &FunctionCore, forwarding: &Forwarding) -> std::fmt::Result {
    let number = |at| core.config_read(at, Size::B1);
    for (name, at) in [("BUS", 0x18), ("secondary bus", 0x19), ("subordinate bus", 0x1a)] {
        writeln!(out, "      {name} {}", number(at))?;
    }
    for (kind, spans) in [("I/O", &forwarding.io), ("memory", &forwarding.memory)] {
        for span in spans {
            writeln!(out, "      {kind} range [{:#x}, {:#x}]", span.first, span.last)?;
        }
    }
    Ok(())
}

/// A line for each disk.
fn disks(machine: &Machine) -> Vec<String> {
    let line = |(n, (disk, _)): (usize, (Disk, _))| {
        let name = disk.id.0.unwrap_or_else(|| format!("disk{n}"));
        let mut line = format!("{name}: {} ({}", disk.file.display(), format_of(disk.format));
        for (on, word) in [(disk.readonly, ", read-only"), (disk.snapshot, ", snapshot")] {
            line.push_str(if on { word } else { "" });
        }
        line + ")"
    };
    machine.disks.list().into_iter().enumerate().map(line).collect()
}

/// What QEMU calls a format.
pub(crate) fn format_of(format: Option<DiskFormat>) -> &'static str {
    match format {
        Some(DiskFormat::Qcow2) => "qcow2",
        Some(DiskFormat::Null(_)) => "null-co",
        Some(DiskFormat::Raw) | None => "raw",
    }
}

/// What there is to see of each device that the command line adds: where it is, and what it was told.
pub(super) fn added_devices(config: &MachineConfig) -> Vec<String> {
    // The board that has been built has a place for each.
    let places = places::assign(&config.devices.iter().collect::<Vec<_>>()).unwrap_or_default();
    let all: Vec<(&Device, Place)> = config.devices.iter().zip(places).collect();
    let bus = |place: &Place| if let Place::Pci(at) = place { at.bus } else { BusId::ROOT };
    let (mut lines, mut bridges) = (Vec::new(), 0);
    for (device, place) in all.iter().filter(|(_, place)| bus(place) == BusId::ROOT) {
        lines.extend(device_lines(device, *place));
        if device::is_bridge(device) {
            bridges += 1;
            let below = all.iter().filter(|(_, place)| bus(place) == BusId(bridges));
            let text = below.filter_map(|(device, place)| device_lines(device, *place));
            lines.extend(text.map(|text| format!("    {}", text.replace('\n', "\n    "))));
        }
    }
    lines
}

/// The ids of PCI functions, with their places.
pub(super) fn pci_ids(config: &MachineConfig) -> Vec<(Position, String)> {
    // The board that has been built has a place for each.
    let places = places::assign(&config.devices.iter().collect::<Vec<_>>()).unwrap_or_default();
    let id = |(device, place): (&Device, Place)| match place {
        Place::Pci(at) => Some((at, device.id.clone()?)),
        _ => None,
    };
    config.devices.iter().zip(places).filter_map(id).collect()
}

fn device_lines(device: &Device, place: Place) -> Option<String> {
    let kind = device::kind_of(device).ok()?;
    let name = device::form_of(kind, place);
    let id = device.id.as_ref().map_or_else(String::new, |id| format!(", id \"{id}\""));
    let mut lines = match place {
        Place::Pci(at) => {
            let bus = device.pci.bus.as_deref().unwrap_or("pcie.0");
            format!("bus: {bus}\n  dev: {name}, addr = {:02x}.{:x}{id}", at.device(), at.function())
        }
        Place::Mmio(n) => format!("bus: virtio-mmio-bus.{n}\n  dev: {name}{id}"),
        Place::Platform(spot) => {
            let range = spot.resources.range;
            format!("bus: main-system-bus\n  dev: {name}, mmio = {:x}/{:x}{id}", range.base, range.size)
        }
    };
    for (property, value) in kind.told(&*device.settings) {
        lines.push_str(&format!("\n    {property} = {value}"));
    }
    Some(lines)
}
