//! `-device`: virtio devices and the generic loader.

use super::option::Action::Value;
use super::option::Row;
use super::{Reader, chardev, drive};
use crate::config::{Blob, CharBackend, Device, DeviceKind, HostFile, VirtioBus};
use crate::error::UserError;
use crate::keyval::Parts;
use crate::number::parse_u64;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[(
    "-device",
    Value(|r, o, v| {
        r.devices.push(Parts::split(o, v));
        Ok(())
    }),
    "virtio-blk-pci|virtio-blk-device,drive=ID; virtio-rng-*; virtio-serial-* and virtconsole,chardev=ID; loader,...",
)];

/// What a `-device` makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    Block,
    Entropy,
    SerialBus,
    ConsolePort,
    Loader,
}

/// How it is attached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Pci,
    Mmio,
    None,
}

/// The devices by the names that QEMU gives them.
const DEVICES: &[(&str, Make, Transport)] = &[
    ("virtio-blk-pci", Make::Block, Transport::Pci),
    ("virtio-blk-pci-non-transitional", Make::Block, Transport::Pci),
    ("virtio-blk", Make::Block, Transport::Pci),
    ("virtio-blk-device", Make::Block, Transport::Mmio),
    ("virtio-rng-pci", Make::Entropy, Transport::Pci),
    ("virtio-rng-pci-non-transitional", Make::Entropy, Transport::Pci),
    ("virtio-rng", Make::Entropy, Transport::Pci),
    ("virtio-rng-device", Make::Entropy, Transport::Mmio),
    ("virtio-serial-pci", Make::SerialBus, Transport::Pci),
    ("virtio-serial-pci-non-transitional", Make::SerialBus, Transport::Pci),
    ("virtio-serial", Make::SerialBus, Transport::Pci),
    ("virtio-serial-device", Make::SerialBus, Transport::Mmio),
    ("virtconsole", Make::ConsolePort, Transport::None),
    ("loader", Make::Loader, Transport::None),
];

/// A virtio-serial device: its bus takes one console port here.
struct SerialBus {
    /// Index in the list of devices.
    index: usize,
    id: Option<String>,
    has_port: bool,
}

/// Makes all devices, in order.
pub(super) fn build(r: &mut Reader, all: Vec<Parts>) -> Result<(), UserError> {
    let mut serial_buses: Vec<SerialBus> = Vec::new();
    for mut parts in all {
        let name = parts.take_first("driver")?.ok_or_else(|| user_error!("-device needs a device"))?;
        let Some(&(name, make, transport)) = DEVICES.iter().find(|(n, ..)| *n == name) else {
            return Err(user_error!("'-device {name}' is not supported: there is no such device here"));
        };
        match make {
            Make::Loader => {
                loader(r, &mut parts)?;
                parts.finish(name)?;
                continue;
            }
            Make::ConsolePort => {
                console_port(r, &mut parts, &mut serial_buses)?;
                parts.finish(name)?;
                continue;
            }
            Make::Block | Make::Entropy | Make::SerialBus => {}
        }
        let id = parts.take("id")?;
        let (bus, access_platform) = attachment(&mut parts, name, transport)?;
        let kind = match make {
            Make::Block => {
                let drive = parts.require("drive")?;
                let serial = parts.take("serial")?;
                DeviceKind::Block(drive::take(r, &drive, serial, name)?)
            }
            Make::Entropy => DeviceKind::Entropy,
            _ => {
                serial_buses.push(SerialBus { index: r.config.devices.len(), id, has_port: false });
                DeviceKind::Console(CharBackend::Null)
            }
        };
        parts.finish(name)?;
        r.config.devices.push(Device { kind, bus, access_platform });
    }
    match serial_buses.iter().find(|b| !b.has_port) {
        Some(_) => Err(user_error!("a virtio-serial device has no port: add -device virtconsole,chardev=ID")),
        None => Ok(()),
    }
}

/// The transport's own properties.
fn attachment(parts: &mut Parts, name: &str, transport: Transport) -> Result<(VirtioBus, bool), UserError> {
    let access_platform = parts.take_switch("iommu_platform")?.unwrap_or(false);
    if transport != Transport::Pci {
        return Ok((VirtioBus::Mmio, access_platform));
    }
    if let Some(bus) = parts.take("bus")?.filter(|b| b != "pcie.0") {
        return Err(user_error!("there is no bus '{bus}' for {name}: the only one is pcie.0"));
    }
    if matches!(parts.take("disable-legacy")?.as_deref(), Some("off" | "false" | "no")) {
        return Err(user_error!("'disable-legacy=off' is not supported for {name}: virtio is modern only"));
    }
    if parts.take_switch("disable-modern")? == Some(true) {
        return Err(user_error!("'disable-modern=on' is not supported for {name}: virtio is modern only"));
    }
    let slot = parts.take_with("addr", pci_address)?;
    Ok((VirtioBus::Pci { slot }, access_platform))
}

/// `addr=SLOT[.FUNCTION]`, hexadecimal.
fn pci_address(text: &str) -> Result<u8, UserError> {
    let (slot, function) = text.split_once('.').unwrap_or((text, "0"));
    if function != "0" {
        return Err(user_error!("'{text}' is not supported: devices have one function"));
    }
    match u8::from_str_radix(slot.trim_start_matches("0x"), 16) {
        Ok(n @ 1..=31) => Ok(n),
        _ => Err(user_error!("'{text}' is not a free slot (1 to 1f, hexadecimal)")),
    }
}

fn console_port(r: &mut Reader, parts: &mut Parts, buses: &mut [SerialBus]) -> Result<(), UserError> {
    let backend = chardev::take(&mut r.chardevs, &parts.require("chardev")?, "virtconsole")?;
    parts.take("id")?;
    let bus = match parts.take("bus")? {
        Some(name) => buses.iter_mut().find(|b| b.id.as_ref().is_some_and(|id| name == format!("{id}.0"))),
        None => buses.first_mut(),
    };
    let bus = bus.ok_or_else(|| user_error!("virtconsole needs a virtio-serial device before it"))?;
    if bus.has_port {
        return Err(user_error!("a second port on a virtio-serial device is not supported"));
    }
    bus.has_port = true;
    r.config.devices[bus.index].kind = DeviceKind::Console(backend);
    Ok(())
}

/// `loader`: a file or a value into RAM, a start address, or both.
fn loader(r: &mut Reader, parts: &mut Parts) -> Result<(), UserError> {
    parts.take("id")?;
    let file = parts.take("file")?.map(|f| HostFile::new("-device loader", f));
    let address = parts.take_with("addr", parse_u64)?;
    let raw = parts.take_switch("force-raw")?.unwrap_or(false);
    let data = parts.take_with("data", parse_u64)?;
    let cpu = parts.take_with("cpu-num", parse_u64)?;
    if cpu.is_some_and(|n| n != 0) {
        return Err(user_error!("only CPU 0 runs after a reset: cpu-num in -device loader can only be 0"));
    }
    match (file, data, address) {
        (Some(_), Some(_), _) => return Err(user_error!("-device loader takes file= or data=, not both")),
        (Some(file), None, address) => match (raw, address) {
            (true, None) => return Err(user_error!("{} needs addr=", file.describe())),
            // As QEMU has it: an ELF file goes where it says, anything else to the address.
            (false, None) => r.config.blobs.push(Blob::Elf { file, run: cpu.is_some() }),
            (false, Some(_)) if crate::load::is_elf(&file)? => {
                r.config.blobs.push(Blob::Elf { file, run: cpu.is_some() });
            }
            (_, Some(address)) => {
                r.config.blobs.push(Blob::Raw { file, address });
                set_entry(r, cpu, address)?;
            }
        },
        (None, Some(value), Some(address)) => {
            let len = parts.take_with("data-len", parse_u64)?;
            let big_endian = parts.take_switch("data-be")?.unwrap_or(false);
            r.config.blobs.push(Blob::Data { bytes: data_bytes(value, len, big_endian)?, address });
        }
        (None, None, Some(address)) if cpu.is_some() => set_entry(r, cpu, address)?,
        _ => {
            return Err(user_error!("-device loader needs file=, data= with addr=, or addr= with cpu-num=0"));
        }
    }
    Ok(())
}

fn set_entry(r: &mut Reader, cpu: Option<u64>, address: u64) -> Result<(), UserError> {
    if cpu.is_some() && r.config.entry.replace(address).is_some() {
        return Err(user_error!("two -device loader set the start address of CPU 0"));
    }
    Ok(())
}

fn data_bytes(value: u64, len: Option<u64>, big_endian: bool) -> Result<Vec<u8>, UserError> {
    let len = match len {
        Some(n @ 1..=8) => n as usize,
        Some(n) => return Err(user_error!("data-len={n} in -device loader is not 1 to 8")),
        None => return Err(user_error!("data= in -device loader needs data-len=")),
    };
    if len < 8 && value >> (8 * len) != 0 {
        return Err(user_error!("data={value:#x} in -device loader does not fit in {len} bytes"));
    }
    let mut bytes = value.to_le_bytes()[..len].to_vec();
    if big_endian {
        bytes.reverse();
    }
    Ok(bytes)
}
