//! `-drive`, `-hda`, `-pflash`, `-snapshot`.

use super::option::Action::{Plain, Refused, Value};
use super::option::Row;
use super::{Reader, blockdev};
use crate::config::{
    Accel, Bus, Device, Disk, DiskFormat, Flash, HostFile, Interfaces, Label, MachineConfig,
};
use crate::device::block::Block;
use crate::device::root_port;
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::parse_size;
use crate::property::Value::{Number, Only, Switch, Text};
use crate::property::{self, Property, property};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-drive",
        Value(drive),
        "file=FILE,if=none|virtio|pflash[,id=][,format=raw|qcow2][,snapshot=on][,readonly=on][,...]: 'help' lists all",
    ),
    ("-blockdev", Value(blockdev::given), "driver=file|raw|qcow2,node-name=NAME,...: 'help' lists all"),
    ("-hda", Value(disk), "FILE: a disk (virtio), also without the option"),
    ("-hdb", Value(disk), "the same"),
    ("-hdc", Value(disk), "the same"),
    ("-hdd", Value(disk), "the same"),
    ("-cdrom", Value(cdrom), "FILE: a disk (virtio) that cannot be written"),
    ("-pflash", Value(pflash), "FILE: the next flash bank"),
    ("-snapshot", Plain(|r| r.snapshot = true), "no disk or flash image is changed"),
    ("-sd", Refused("the board has no SD card"), ""),
    ("-mtdblock", Refused("the board has no such flash: say -drive if=pflash"), ""),
    ("-fda", Refused("the board has no floppy disks"), ""),
    ("-fdb", Refused("the board has no floppy disks"), ""),
    ("-iscsi", Refused("images are files"), ""),
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

/// What a `-drive` says.
#[derive(Default)]
struct Wish {
    interface: Option<String>,
    file: Option<HostFile>,
    id: Option<String>,
    format: Option<DiskFormat>,
    readonly: bool,
    snapshot: bool,
    number: Option<u64>,
    /// Bytes of a disk without an image.
    size: Option<u64>,
    /// A property that only such a disk has was given.
    null_only: bool,
}

/// What stands for an image where there is none.
const NO_IMAGE: [&str; 2] = ["null-co://", "null-aio://"];
/// Bytes of such a disk, if nobody says otherwise.
const NULL_BYTES: u64 = 1 << 30;

const PROPERTIES: &[Property<Wish>] = &[
    property(
        "if",
        Text(|w, v| put(&mut w.interface, v.to_owned())),
        "none, virtio or pflash; virtio if not said",
    ),
    property("file", Text(|w, v| put(&mut w.file, HostFile::new("-drive", v))), "the image"),
    property("file.size", Text(null_size), "bytes of a disk without an image, file=null-co://"),
    property(
        "file.read-zeroes",
        Switch(|w, _| w.null_only = true),
        "what such a disk reads is zero in any case",
    ),
    property("id", Text(|w, v| put(&mut w.id, v.to_owned())), "the name by which a -device has it"),
    property("format", Text(format), "raw or qcow2; raw if not said"),
    property("readonly", Switch(|w, on| w.readonly = on), "the guest cannot write"),
    property("read-only", Switch(|w, on| w.readonly = on), "the same"),
    property("auto-read-only", Only(&["off"]), "an image that cannot be written is refused"),
    property("snapshot", Switch(|w, on| w.snapshot = on), "what the guest writes is lost at the end"),
    property("media", Text(media), "disk, or cdrom, which the guest cannot write"),
    property("unit", Number(|w, n| put(&mut w.number, n)), "the flash bank"),
    property("index", Number(|w, n| put(&mut w.number, n)), "the same"),
    property("bus", Only(&["0"]), "there is one bus"),
    property("cache", Only(&["writeback"]), "the host's cache is used, and flushes are passed on"),
    property("aio", Only(&["threads"]), "each disk has a thread"),
    property("discard", Only(&["unmap", "on"]), "discarded ranges are given back to the host"),
    property("detect-zeroes", Only(&["off"]), "zeroes are data"),
    property("werror", Only(&["report"]), "errors are reported to the guest"),
    property("rerror", Only(&["report"]), "errors are reported to the guest"),
    property("copy-on-read", Only(&["off"]), "reads change no image"),
];

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), UserError> {
    *slot = Some(value);
    Ok(())
}

fn null_size(w: &mut Wish, text: &str) -> Result<(), UserError> {
    w.null_only = true;
    put(&mut w.size, parse_size(text, Some(1))?)
}

fn format(w: &mut Wish, name: &str) -> Result<(), UserError> {
    let format = DiskFormat::from_name(name);
    put(&mut w.format, format.map_err(|e| user_error!("{e}, given as 'format' in -drive"))?)
}

fn media(w: &mut Wish, text: &str) -> Result<(), UserError> {
    match text {
        "disk" => {}
        "cdrom" => w.readonly = true,
        _ => return Err(user_error!("'media={text}' in -drive is neither disk nor cdrom")),
    }
    Ok(())
}

/// `-drive`.
fn drive(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut wish = Wish::default();
    property::read(Parts::split(option, text), &[PROPERTIES], "a drive", &mut wish)?;
    let place = match wish.interface.as_deref() {
        Some("none") => Place::Named,
        None | Some("virtio") => Place::Virtio,
        Some("pflash") => Place::Flash { unit: wish.number.map(bank).transpose()? },
        Some(other) => {
            return Err(user_error!(
                "'if={other}' in {option} is not supported (there are none, virtio, pflash)"
            ));
        }
    };
    let file = wish.file.take().ok_or_else(|| user_error!("{option} needs 'file='"))?;
    let format = format_of(&file, &wish, option)?;
    let id = wish.id;
    if id.is_some() && r.drives.iter().any(|d| d.id == id) {
        return Err(user_error!("two drives have the id '{}'", id.unwrap_or_default()));
    }
    let disk = Disk {
        id: Label(id.clone()),
        format,
        readonly: wish.readonly,
        snapshot: wish.snapshot,
        ..plain(file)
    };
    r.drives.push(Drive { id, place, disk });
    Ok(())
}

/// The format, where `file` may say that there is no image.
fn format_of(file: &HostFile, wish: &Wish, option: &str) -> Result<Option<DiskFormat>, UserError> {
    let none = file.to_str().is_some_and(|name| NO_IMAGE.contains(&name));
    match (none, wish.format) {
        (true, None | Some(DiskFormat::Raw)) => Ok(Some(DiskFormat::Null(wish.size.unwrap_or(NULL_BYTES)))),
        (true, Some(_)) => Err(user_error!("a disk without an image in {option} can only be raw")),
        (false, _) if wish.null_only => {
            Err(user_error!("'file.size' and 'file.read-zeroes' in {option} are for file=null-co://"))
        }
        (false, format) => Ok(format),
    }
}

fn bank(n: u64) -> Result<usize, UserError> {
    match n {
        0 | 1 => Ok(n as usize),
        _ => Err(user_error!("there is no flash bank {n}: the board has 0 and 1")),
    }
}

/// A disk that is only its file.
fn plain(file: HostFile) -> Disk {
    Disk { id: Label::default(), file, format: None, readonly: false, snapshot: false }
}

/// `-hda FILE` and its kin, and a file without an option: virtio is what the board has for disks.
pub(super) fn disk(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    r.drives.push(Drive { id: None, place: Place::Virtio, disk: plain(HostFile::new(option, path)) });
    Ok(())
}

fn cdrom(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    let disk = Disk { readonly: true, ..plain(HostFile::new(option, path)) };
    r.drives.push(Drive { id: None, place: Place::Virtio, disk });
    Ok(())
}

/// `-pflash`.
fn pflash(r: &mut Reader, option: &'static str, path: &str) -> Result<(), UserError> {
    let file = HostFile::new(option, path);
    let disk = Disk { format: Some(DiskFormat::Raw), ..plain(file) };
    r.drives.push(Drive { id: None, place: Place::Flash { unit: None }, disk });
    Ok(())
}

/// Gives the drive `id` to the device `user`.
pub(super) fn take(r: &mut Reader, id: &str, user: &str) -> Result<Disk, UserError> {
    let found = r.drives.iter().position(|d| d.place == Place::Named && d.id.as_deref() == Some(id));
    let disk = match found {
        Some(found) => Some(r.drives.remove(found).disk),
        None => blockdev::take(r, id)?,
    };
    let mut disk =
        disk.ok_or_else(|| user_error!("there is no free drive '{id}' with if=none for {user}"))?;
    disk.snapshot |= r.snapshot;
    Ok(disk)
}

/// What `-device` did not take: flash banks, and drives that make their own device.
pub(super) fn build_rest(r: &mut Reader) -> Result<(), UserError> {
    for drive in std::mem::take(&mut r.drives) {
        let mut disk = drive.disk;
        disk.snapshot |= r.snapshot;
        match drive.place {
            // Where something can be plugged in later, it may have it.
            Place::Named if disk_can_wait(&r.config) && drive.id.is_some() => {
                r.config.spare_disks.push((drive.id.unwrap_or_default(), disk));
            }
            Place::Named => {
                return Err(user_error!("no -device uses the drive {}", disk.file.describe()));
            }
            Place::Virtio => {
                let bus = Bus::Pci { slot: None, interfaces: Interfaces::Transitional };
                r.config.devices.push(Device::new(Block::image(disk), bus));
            }
            Place::Flash { unit } => flash(r, unit, disk)?,
        }
    }
    for (bank, node) in std::mem::take(&mut r.flash_nodes).into_iter().enumerate() {
        let Some(node) = node else { continue };
        let disk = blockdev::take(r, &node)?;
        let mut disk =
            disk.ok_or_else(|| user_error!("there is no -blockdev '{node}' for -M pflash{bank}"))?;
        disk.snapshot |= r.snapshot;
        flash(r, Some(bank), disk)?;
    }
    if disk_can_wait(&r.config) {
        for name in blockdev::unused(r) {
            if let Some(mut disk) = blockdev::take(r, &name)? {
                disk.snapshot |= r.snapshot;
                r.config.spare_disks.push((name, disk));
            }
        }
    }
    blockdev::finish(r)
}

/// There is a slot for a device that comes later, or a client that says what is needed.
fn disk_can_wait(machine: &MachineConfig) -> bool {
    machine.accel == Accel::Qtest
        || machine
            .devices
            .iter()
            .any(|d| d.told::<root_port::Port>().is_some_and(root_port::Port::has_hotplug))
}

impl Drive {
    /// One that no device has had yet.
    pub(super) fn spare(id: String, disk: Disk) -> Self {
        Self { id: Some(id), place: Place::Named, disk }
    }
}

/// The lines of `-drive help`.
pub(super) fn help() -> String {
    format!("-drive options:\n{}", property::help(&[PROPERTIES]))
}

fn flash(r: &mut Reader, unit: Option<usize>, disk: Disk) -> Result<(), UserError> {
    if matches!(disk.format, Some(DiskFormat::Qcow2 | DiskFormat::Null(_))) {
        return Err(user_error!("flash contents must be a raw image: {}", disk.file.describe()));
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
