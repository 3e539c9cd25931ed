//! Commands that only ask.

use emu_core::addr::Size;
use emu_devices::block::DiskQueue;
use emu_devices::pci::{BusId, Forwarding, Placed, Position, Space, Span};
use emu_pe::model::MODELS;
use serde_json::{Value, json};

use super::commands::{Arguments, Command, Failure, all};
use crate::config::{Disk, MAX_CPUS};
use crate::device;
use crate::monitor::{Machine, format_of};
use crate::qemu::{self, WORDS};

/// See the module's head.
pub(super) const ALL: &[Command] = &[
    ("query-commands", &[], |_, _| {
        let names = ["qmp_capabilities"].into_iter().chain(all().map(|(name, ..)| *name));
        Ok(json!(names.map(|name| json!({ "name": name })).collect::<Vec<_>>()).into())
    }),
    ("query-version", &[], |_, _| Ok(version().into())),
    ("query-status", &[], |m, _| {
        let running = !m.is_stopped();
        Ok(json!({ "running": running, "status": if running { "running" } else { "paused" } }).into())
    }),
    ("query-name", &[], |m, _| {
        Ok(m.listing.name.as_ref().map_or_else(|| json!({}), |name| json!({ "name": name })).into())
    }),
    ("query-uuid", &[], |m, _| Ok(json!({ "UUID": uuid(m.listing.uuid.unwrap_or_default()) }).into())),
    ("query-kvm", &[], |_, _| Ok(json!({ "enabled": false, "present": false }).into())),
    ("query-target", &[], |_, _| Ok(json!({ "arch": "aarch64" }).into())),
    ("query-cpus-fast", &[], |m, _| {
        let cpu = |n: usize| {
            json!({
                "cpu-index": n,
                "qom-path": format!("/machine/cpu[{n}]"),
                "thread-id": m.power.thread(n).unwrap_or(0),
                "target": "aarch64",
                "props": { "core-id": n },
            })
        };
        Ok(json!((0..m.vcpus.len()).map(cpu).collect::<Vec<_>>()).into())
    }),
    ("query-chardev", &[], |m, _| {
        let one = |(label, what): &(String, String)| json!({ "label": label, "filename": what, "frontend-open": true });
        Ok(json!(m.characters.iter().map(one).collect::<Vec<_>>()).into())
    }),
    ("query-block", &[], |m, _| {
        Ok(json!(m.disks.list().iter().map(|(disk, queue)| image(disk, queue)).collect::<Vec<_>>()).into())
    }),
    ("query-memory-size-summary", &[], |m, _| Ok(json!({ "base-memory": m.listing.memory }).into())),
    ("query-machines", &[], |_, _| {
        let machine = |name: String| json!({ "name": name, "cpu-max": MAX_CPUS, "hotpluggable-cpus": false, "numa-mem-supported": false, "deprecated": false, "acpi": false });
        Ok(json!(qemu::boards().into_iter().map(machine).collect::<Vec<_>>()).into())
    }),
    ("query-cpu-definitions", &[], |_, _| {
        let model = |name: &str| json!({ "name": name, "typename": format!("{name}-arm-cpu"), "static": false, "deprecated": false, "migration-safe": false });
        Ok(json!(MODELS.iter().map(|m| model(m.name)).collect::<Vec<_>>()).into())
    }),
    ("query-pci", &[], |m, _| {
        let devices = on_bus(m, &m.functions(), BusId::ROOT);
        Ok(m.pci.as_ref().map_or_else(|| json!([]), |_| json!([{ "bus": 0, "devices": devices }])).into())
    }),
    ("qom-list-types", &["implements", "abstract"], |_, a| types(a).map(Into::into)),
    ("device-list-properties", &["typename"], |_, a| {
        let name = a.required("typename")?;
        let driver = device::find(&WORDS, "device-list-properties", name)
            .map_err(|_| Failure::not_found("DeviceNotFound", format!("Device '{name}' not found")))?;
        let one = |(name, about): (&str, &str)| json!({ "name": name, "type": "str", "description": about });
        Ok(json!(driver.properties().into_iter().map(one).collect::<Vec<_>>()).into())
    }),
];

/// Of this program: a client that looks for QEMU's finds another package.
pub(super) fn version() -> Value {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, micro) = (next(), next(), next());
    json!({ "qemu": { "major": major, "minor": minor, "micro": micro }, "package": format!("understage {}", env!("CARGO_PKG_VERSION")) })
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The devices, the CPU models and the boards.
fn types(arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let with_abstract = arguments.switch("abstract")?.unwrap_or(true);
    let wanted = arguments.text("implements")?;
    let concrete = |name: String, parent: &'static str| (name, parent, false);
    let devices = device::names(&WORDS).into_iter().map(|name| concrete(name, "device"));
    let cpus = MODELS.iter().map(|m| concrete(format!("{}-arm-cpu", m.name), "arm-cpu"));
    let boards = qemu::boards().into_iter().map(|name| concrete(format!("{name}-machine"), "machine"));
    let parents = [("device", "object"), ("cpu", "device"), ("arm-cpu", "cpu"), ("machine", "object")];
    let parents = parents.map(|(name, parent)| (name.to_owned(), parent, true));
    let is = |(name, parent, _): &(String, &'static str, bool)| {
        let above = match *parent {
            "arm-cpu" => ["arm-cpu", "cpu", "device", "object"].as_slice(),
            "cpu" => &["cpu", "device", "object"],
            "device" => &["device", "object"],
            "machine" => &["machine", "object"],
            _ => &["object"],
        };
        wanted.is_none_or(|wanted| wanted == name || above.contains(&wanted))
    };
    let all = devices.chain(cpus).chain(boards).chain(parents).filter(is);
    let one = |(name, parent, is_abstract): (String, &str, bool)| {
        let mut value = json!({ "name": name, "parent": parent });
        if let (true, Some(object)) = (is_abstract, value.as_object_mut()) {
            object.insert("abstract".to_owned(), json!(true));
        }
        value
    };
    Ok(json!(all.filter(|t| with_abstract || !t.2).map(one).collect::<Vec<_>>()))
}

/// The functions of a bus, as `query-pci` has them.
fn on_bus(machine: &Machine, functions: &[Placed], bus: BusId) -> Vec<Value> {
    let here = functions.iter().filter(|f| f.position.bus == bus);
    here.map(|placed| {
        let mut value = function(machine, placed);
        if let (Some(below), Some(bridge), Some(object)) =
            (placed.below, placed.function.bridge(), value.as_object_mut())
        {
            let devices = on_bus(machine, functions, below);
            object.insert("pci_bridge".to_owned(), bridge_value(placed, &bridge.forwarding(), devices));
        }
        value
    })
    .collect()
}

/// What `query-pci` says of a bridge.
fn bridge_value(placed: &Placed, forwarding: &Forwarding, devices: Vec<Value>) -> Value {
    let spans = |spans: &[Span]| {
        json!({
            "base": spans.first().map_or(0, |span| span.first),
            "limit": spans.last().map_or(0, |span| span.last),
        })
    };
    let nothing = spans(&[]);
    json!({
        "bus": {
            "number": placed.function.core().config_read(0x18, Size::B1),
            "secondary": forwarding.secondary,
            "subordinate": forwarding.subordinate,
            "io_range": spans(&forwarding.io),
            "memory_range": forwarding.plain.map_or(nothing.clone(), |span| spans(&[span])),
            "prefetchable_range": forwarding.prefetchable.map_or(nothing, |span| spans(&[span])),
        },
        "devices": devices,
    })
}

/// A disk as `query-block` has it.
fn image(disk: &Disk, queue: &DiskQueue) -> Value {
    let (file, format) = (disk.file.display().to_string(), format_of(disk.format));
    let read_only = queue.backend().read_only();
    json!({
        "device": disk.id.0.as_deref().unwrap_or_default(),
        "type": "unknown",
        "removable": false,
        "locked": false,
        "inserted": {
            "file": file,
            "drv": format,
            "ro": read_only,
            "encrypted": false,
            "detect_zeroes": "off",
            "bps": 0, "bps_rd": 0, "bps_wr": 0,
            "iops": 0, "iops_rd": 0, "iops_wr": 0,
            "write_threshold": 0,
            "cache": { "writeback": true, "direct": false, "no-flush": false },
            "image": { "filename": file, "format": format, "virtual-size": queue.backend().len() },
        },
    })
}

/// A function as `query-pci` has it.
fn function(machine: &Machine, placed: &Placed) -> Value {
    let (bdf, core) = (placed.bdf, placed.function.core());
    let own = |(at, _): &(Position, String)| *at == placed.position;
    let id = machine.pci_ids().into_iter().find(own).map_or_else(String::new, |(_, id)| id);
    let half = |at: u16| core.config_read(at, Size::B2);
    let bar = |bar: emu_devices::pci::Decoded| {
        let kind = if bar.space == Space::Io { "io" } else { "memory" };
        json!({ "bar": bar.bar, "type": kind, "address": bar.base, "size": bar.size })
    };
    json!({
        "bus": bdf.bus(),
        "slot": bdf.device(),
        "function": bdf.function(),
        "class_info": { "class": half(0x0a) },
        "id": { "vendor": half(0), "device": half(2), "subsystem-vendor": half(0x2c), "subsystem": half(0x2e) },
        "irq_pin": core.config_read(0x3d, Size::B1),
        "qdev_id": id,
        "regions": core.decoded().into_iter().map(bar).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_in_groups() {
        let bytes = std::array::from_fn(|n| n as u8);
        assert_eq!(uuid(bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn no_command_is_there_twice() {
        let mut names: Vec<_> = all().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
