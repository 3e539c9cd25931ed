//! `info registers DEVICE`: a device's registers, from its maps. The CPUs may run meanwhile, and nothing is changed.

use std::fmt::Write;

use emu_core::bus::{Backing, Requester};
use emu_core::registers::{Listed, Shown};

use super::Machine;

/// A part of a device, and what it has.
type Part = (String, Vec<Listed>);

/// The devices with registers as a CPU sees them, by name: those on the bus, and PCI functions.
fn all(machine: &Machine, cpu: usize) -> Vec<(String, Vec<Part>)> {
    let from = Requester::Cpu(u32::try_from(cpu).unwrap_or(0));
    let mut devices = Vec::new();
    for region in machine.bus.view().regions() {
        let (Backing::Mmio(device) | Backing::Rom(_, _, device)) = &region.backing else { continue };
        let part = (format!("at {:#x}", region.base.0), device.registers(from));
        devices.push((device.name().to_owned(), vec![part]));
    }
    for function in machine.functions().into_iter().map(|placed| placed.function) {
        let mut parts = vec![("configuration space".to_owned(), function.core().config_registers())];
        for bar in 0..6 {
            let (own, msix) = (function.bar_registers(bar), function.core().msix_registers(bar));
            parts.push((format!("BAR{bar}"), own.into_iter().chain(msix).collect()));
        }
        devices.push((function.name().to_owned(), parts));
    }
    for (_, parts) in &mut devices {
        parts.retain(|(_, registers)| !registers.is_empty());
    }
    devices.retain(|(_, parts)| !parts.is_empty());
    devices
}

/// What the command prints for the CPU that the user has chosen.
pub(super) fn registers(machine: &Machine, cpu: usize, name: &str) -> String {
    let devices = all(machine, cpu);
    let Some((_, parts)) = devices.iter().find(|(n, _)| n == name) else {
        let names: Vec<&str> = devices.iter().map(|(n, _)| n.as_str()).collect();
        return format!("there is no device '{name}' with registers; there are {}\n", names.join(", "));
    };
    let mut out = String::new();
    for (place, registers) in parts {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{name}, {place}:");
        for run in registers.chunk_by(alike) {
            let _ = writeln!(out, "  {}", line(run));
        }
    }
    out
}

/// They are next to each other in one array, and have the same to show.
fn alike(a: &Listed, b: &Listed) -> bool {
    a.name == b.name && a.number.is_some() && a.number.map(|n| n + 1) == b.number && a.value == b.value
}

/// A register, or several in an array that have the same value.
fn line(run: &[Listed]) -> String {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return String::new() };
    let name = match (first.number, last.number) {
        (Some(a), Some(b)) if a != b => format!("{}{a}..{b}", first.name),
        (Some(a), _) => format!("{}{a}", first.name),
        (None, _) => first.name.to_owned(),
    };
    let value = match first.value {
        Shown::Value(v) => format!("{v:#0width$x}", width = 2 + 2 * first.bytes as usize),
        Shown::ReadHasEffect => "not shown: reading it has an effect".to_owned(),
        Shown::WriteOnly => "write-only".to_owned(),
    };
    format!("{:05x} {name:<28} {value}", first.offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_elements_of_an_array_are_one_line() {
        let register =
            |name, number, value| Listed { name, number, offset: 0x400, bytes: 4, value, reset: None };
        let zero = |number| register("PRIORITY", Some(number), Shown::Value(0));
        let list = [
            register("CONTROL", None, Shown::Value(0x12)),
            zero(0),
            zero(1),
            register("PRIORITY", Some(2), Shown::Value(0xa0)),
            zero(3),
            register("ACKNOWLEDGE", None, Shown::ReadHasEffect),
            register("END", None, Shown::WriteOnly),
        ];
        let lines: Vec<String> = list.chunk_by(alike).map(line).collect();
        assert_eq!(
            lines,
            [
                "00400 CONTROL                      0x00000012",
                "00400 PRIORITY0..1                 0x00000000",
                "00400 PRIORITY2                    0x000000a0",
                "00400 PRIORITY3                    0x00000000",
                "00400 ACKNOWLEDGE                  not shown: reading it has an effect",
                "00400 END                          write-only",
            ]
        );
    }
}
