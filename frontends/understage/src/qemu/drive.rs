//! `-drive`, `-pflash`, `-snapshot`.

use super::Reader;
use super::option::Action::{Plain, Value};
use super::option::Row;
use crate::config::{Device, DeviceKind, Disk, DiskFormat, Flash, HostFile, VirtioBus, disk_serial};
use crate::error::UserError;
use crate::keyval::Parts;
use crate::number::parse_u64;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-pflash", Value(pflash), "FILE: the next flash bank"),
    (
        "-drive",
        Value(drive),
        "file=FILE,if=none|virtio|pflash[,id=][,format=raw|qcow2][,snapshot=on][,readonly=on][,serial=][,unit=]",
    ),
    ("-snapshot", Plain(|r| r.snapshot = true), "no disk or flash image is changed"),
];

/// A `-drive` that waits for its device.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) id: Option<String>,
    place: Place,
    pub(super) disk: Disk,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// `if=none`: a `-device` names it.
    Named,
    /// `if=virtio`: gets a virtio-blk-pci of its own.
    Virtio,
    /// `if=pflash`.
    Flash { unit: Option<usize> },
}

/// `-drive`.
fn drive(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let interface = parts.take("if")?;
    let place = match interface.as_deref() {
        Some("none") => Place::Named,
        None | Some("virtio") => Place::Virtio,
        Some("pflash") => Place::Flash { unit: unit(&mut parts)? },
        Some(other) => {
            return Err(user_error!(
                "'if={other}' in {option} is not supported (there are none, virtio, pflash)"
            ));
        }
    };
    let file = HostFile::new(option, parts.require("file")?);
    let id = parts.take("id")?;
    let readonly = parts.take_switch("readonly")?;
    let disk = Disk {
        file,
        format: parts.take_with("format", DiskFormat::from_name)?,
        readonly: readonly.or(parts.take_switch("read-only")?).unwrap_or(false),
        snapshot: parts.take_switch("snapshot")?.unwrap_or(false),
        serial: String::new(),
    };
    if parts.take("media")?.is_some_and(|m| m != "disk") {
        return Err(user_error!("only media=disk is supported in {option}"));
    }
    parts.finish("a drive")?;
    if id.is_some() && r.drives.iter().any(|d| d.id == id) {
        return Err(user_error!("two drives have the id '{}'", id.unwrap_or_default()));
    }
    r.drives.push(Drive { id, place, disk });
    Ok(())
}

fn unit(parts: &mut Parts) -> Result<Option<usize>, UserError> {
    let number = match parts.take_with("unit", parse_u64)? {
        None => parts.take_with("index", parse_u64)?,
        unit => unit,
    };
    match number {
        None => Ok(None),
        Some(n @ 0..=1) => Ok(Some(n as usize)),
        Some(n) => Err(user_error!("there is no flash bank {n}: the board has 0 and 1")),
    }
}

/// `-pflash`.
fn pflash(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    let file = HostFile::new(option, path);
    let disk =
        Disk { file, format: Some(DiskFormat::Raw), readonly: false, snapshot: false, serial: String::new() };
    r.drives.push(Drive { id: None, place: Place::Flash { unit: None }, disk });
    Ok(())
}

/// Gives the drive `id` to the device `user`.
pub(super) fn take(r: &mut Reader, id: &str, serial: Option<String>, user: &str) -> Result<Disk, UserError> {
    let found = r.drives.iter().position(|d| d.place == Place::Named && d.id.as_deref() == Some(id));
    let found = found.ok_or_else(|| user_error!("there is no free drive '{id}' with if=none for {user}"))?;
    let mut disk = r.drives.remove(found).disk;
    if let Some(serial) = serial {
        disk.serial = disk_serial(&serial)?;
    }
    disk.snapshot |= r.snapshot;
    Ok(disk)
}

/// What `-device` did not take: flash banks, and drives that make their own device.
pub(super) fn build_rest(r: &mut Reader) -> Result<(), UserError> {
    for drive in std::mem::take(&mut r.drives) {
        let mut disk = drive.disk;
        disk.snapshot |= r.snapshot;
        match drive.place {
            Place::Named => {
                return Err(user_error!("no -device uses the drive {}", disk.file.describe()));
            }
            Place::Virtio => r.config.devices.push(Device {
                kind: DeviceKind::Block(disk),
                bus: VirtioBus::Pci { slot: None },
                access_platform: false,
            }),
            Place::Flash { unit } => flash(r, unit, disk)?,
        }
    }
    Ok(())
}

fn flash(r: &mut Reader, unit: Option<usize>, disk: Disk) -> Result<(), UserError> {
    if disk.format == Some(DiskFormat::Qcow2) {
        return Err(user_error!("flash contents must be raw, not qcow2: {}", disk.file.describe()));
    }
    let free = r.config.flash.iter().position(Option::is_none);
    let bank =
        unit.or(free).ok_or_else(|| user_error!("the board has two flash banks, and both have contents"))?;
    let flash = Flash { file: disk.file, readonly: disk.readonly, snapshot: disk.snapshot };
    match r.config.flash[bank].replace(flash) {
        None => Ok(()),
        Some(first) => {
            Err(user_error!("flash bank {bank} has two contents, one of them {}", first.file.describe()))
        }
    }
}
