//! `-object`: what devices and the board refer to by a name.

use super::option::Action::Value;
use super::option::Row;
use super::{Reader, json};
use crate::config::{Accel, HostFile, Ram, RamBacking};
use crate::error::{UserError, user_error};
use crate::number::{parse_size, show_size};
use crate::property::Value::{Number, Only, Switch, Text};
use crate::property::{self, Property, property};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[(
    "-object",
    Value(given),
    "TYPE,id=ID[,PROPERTY=VALUE...]: 'help' lists the types, 'TYPE,help' its properties",
)];

/// What the properties of an object say.
#[derive(Default)]
struct Wish {
    id: String,
    file: Option<HostFile>,
    size: Option<u64>,
    share: bool,
    prealloc: bool,
    no_dump: bool,
    merge: bool,
}

/// An object, as those see it who refer to it.
enum Kind {
    /// Random bytes, of this file or of the host's own generator.
    Entropy(Option<HostFile>),
    /// RAM of a size.
    Memory { size: u64, ram: Ram },
    /// A thread for disks.
    IoThread,
}

/// An `-object` and whether something refers to it.
pub(super) struct Object {
    id: String,
    kind: Kind,
    used: bool,
}

/// A type of objects.
struct Type {
    name: &'static str,
    about: &'static str,
    make: fn(Wish) -> Result<Kind, UserError>,
    properties: &'static [&'static [Property<Wish>]],
}

const TYPES: &[Type] = &[
    Type { name: "rng-random", about: "random bytes of a file", make: rng_random, properties: &[ID, RANDOM] },
    Type {
        name: "rng-builtin",
        about: "random bytes of the host's generator",
        make: |_| Ok(Kind::Entropy(None)),
        properties: &[ID],
    },
    Type { name: "memory-backend-ram", about: "RAM", make: memory, properties: &[ID, MEMORY, PRIVATE] },
    Type { name: "memory-backend-memfd", about: "RAM", make: memory, properties: &[ID, MEMORY, MEMFD] },
    Type {
        name: "memory-backend-file",
        about: "RAM in a file",
        make: memory_file,
        properties: &[ID, MEMORY, FILE],
    },
    Type {
        name: "iothread",
        about: "a thread for disks; each disk has one of its own anyway",
        make: |_| Ok(Kind::IoThread),
        properties: &[ID],
    },
];

const ID: &[Property<Wish>] = &[property(
    "id",
    Text(|w, v| {
        w.id = v.to_owned();
        Ok(())
    }),
    "its name",
)];

const RANDOM: &[Property<Wish>] =
    &[property("filename", Text(|w, v| file(w, "-object rng-random", v)), "the file")];

const MEMORY: &[Property<Wish>] = &[
    property("size", Text(size), "bytes, or a number with K, M, G or T"),
    property("prealloc", Switch(|w, on| w.prealloc = on), "take all pages before the start"),
    property(
        "prealloc-threads",
        Number(|_, _| Ok(())),
        "the host's kernel decides how many threads take them",
    ),
    property("dump", Switch(|w, on| w.no_dump = !on), "whether a core dump of this program has it"),
    property("merge", Switch(|w, on| w.merge = on), "whether the host may merge pages that are the same"),
];

const PRIVATE: &[Property<Wish>] =
    &[property("share", Switch(|w, on| w.share = on), "nobody else could see it")];

const MEMFD: &[Property<Wish>] = &[
    property("share", Switch(|w, on| w.share = on), "nobody else could see it"),
    property("hugetlb", Only(&["off"]), "large pages of the host are used where it gives them"),
    property("seal", Only(&["on", "off"]), "its size never changes"),
];

const FILE: &[Property<Wish>] = &[
    property(
        "mem-path",
        Text(|w, v| file(w, "-object memory-backend-file", v)),
        "the file, or a directory for one",
    ),
    property("share", Switch(|w, on| w.share = on), "what the guest writes goes to the file"),
    property("pmem", Only(&["off"]), "the file is not persistent memory"),
    property("discard-data", Only(&["off"]), "the file's contents stay at the end"),
    property("readonly", Only(&["off"]), "RAM can be written"),
];

fn file(w: &mut Wish, option: &'static str, path: &str) -> Result<(), UserError> {
    w.file = Some(HostFile::new(option, path));
    Ok(())
}

fn size(w: &mut Wish, text: &str) -> Result<(), UserError> {
    w.size = Some(parse_size(text, Some(1))?);
    Ok(())
}

fn rng_random(w: Wish) -> Result<Kind, UserError> {
    Ok(Kind::Entropy(Some(w.file.unwrap_or_else(|| HostFile::new("-object rng-random", "/dev/urandom")))))
}

fn memory(mut w: Wish) -> Result<Kind, UserError> {
    let backing = match w.file.take() {
        Some(file) => RamBacking::File { file, share: w.share },
        None => RamBacking::Anonymous,
    };
    let size = w.size.ok_or_else(|| user_error!("-object memory-backend-* needs 'size='"))?;
    let ram = Ram { backing, prealloc: w.prealloc, in_core_dump: !w.no_dump, mergeable: w.merge };
    Ok(Kind::Memory { size, ram })
}

fn memory_file(w: Wish) -> Result<Kind, UserError> {
    match w.file {
        Some(_) => memory(w),
        None => Err(user_error!("-object memory-backend-file needs 'mem-path='")),
    }
}

fn find(name: &str) -> Result<&'static Type, UserError> {
    let found = TYPES.iter().find(|t| t.name == name);
    found.ok_or_else(|| user_error!("'-object {name}' is not supported: there is no such object here"))
}

fn given(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = json::parts(option, text)?;
    let name = parts.take_first("qom-type")?.ok_or_else(|| user_error!("{option} needs a type"))?;
    let kind = find(&name)?;
    let mut wish = Wish::default();
    property::read(parts, kind.properties, kind.name, &mut wish)?;
    let id = wish.id.clone();
    if id.is_empty() {
        return Err(user_error!("{option} needs 'id='"));
    }
    if r.objects.iter().any(|o| o.id == id) {
        return Err(user_error!("two objects have the id '{id}'"));
    }
    r.objects.push(Object { id, kind: (kind.make)(wish)?, used: false });
    Ok(())
}

/// The object `id`, which is used from now on.
fn used<'a>(r: &'a mut Reader, id: &str, what: &str, user: &str) -> Result<&'a Kind, UserError> {
    let found = r.objects.iter_mut().find(|o| o.id == id);
    let object =
        found.ok_or_else(|| user_error!("there is no -object {what} with the id '{id}' for {user}"))?;
    object.used = true;
    Ok(&object.kind)
}

/// Where the bytes of a virtio-rng device come from.
pub(super) fn entropy(r: &mut Reader, id: &str, user: &str) -> Result<Option<HostFile>, UserError> {
    match used(r, id, "rng-random or rng-builtin", user)? {
        Kind::Entropy(source) => Ok(source.clone()),
        _ => Err(user_error!("the object '{id}' for {user} is no source of random bytes")),
    }
}

/// A disk wants the thread `id`.
pub(super) fn iothread(r: &mut Reader, id: &str, user: &str) -> Result<(), UserError> {
    match used(r, id, "iothread", user)? {
        Kind::IoThread => Ok(()),
        _ => Err(user_error!("the object '{id}' for {user} is no iothread")),
    }
}

/// The board's RAM is the object `id`, whose size is that of `-m`, if that was given.
pub(super) fn board_memory(r: &mut Reader, id: &str) -> Result<(), UserError> {
    let Kind::Memory { size, ram } = used(r, id, "memory-backend-*", "-M memory-backend")? else {
        return Err(user_error!("the object '{id}' for -M memory-backend is no memory"));
    };
    let (size, ram) = (*size, ram.clone());
    if r.memory_given && size != r.config.memory {
        return Err(user_error!(
            "-m says {} of RAM, and the object '{id}' has {}",
            show_size(r.config.memory),
            show_size(size)
        ));
    }
    r.config.memory = crate::config::check_memory(size)?;
    r.config.ram = ram;
    Ok(())
}

/// All objects must have a user; where devices are driven from outside, one that has none waits for what the client adds.
pub(super) fn finish(r: &Reader) -> Result<(), UserError> {
    match r.objects.iter().find(|o| !o.used && r.config.accel != Accel::Qtest) {
        Some(o) => Err(user_error!("the object '{}' given with -object is not used by anything", o.id)),
        None => Ok(()),
    }
}

/// `-object help`, or what `-object TYPE,help` says of one.
pub(super) fn help(name: Option<&str>) -> Result<String, UserError> {
    match name {
        Some(name) => {
            let kind = find(name)?;
            Ok(format!("{} options:\n{}", kind.name, property::help(kind.properties)))
        }
        None => Ok(TYPES.iter().map(|t| format!("  {:<22}{}\n", t.name, t.about)).collect()),
    }
}
