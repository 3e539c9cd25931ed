//! `-blockdev`: images and their formats as nodes that refer to each other, in QEMU's syntax or as JSON.

use super::Reader;
use super::json;
use crate::config::{Disk, DiskFormat, HostFile, Label};
use crate::error::{UserError, user_error};
use crate::property::Value::{Only, Switch, Text};
use crate::property::{self, Property, property};

/// What one `-blockdev` says.
#[derive(Default, Debug)]
pub(super) struct Node {
    name: String,
    driver: String,
    file: Option<HostFile>,
    /// The node below.
    below: Option<String>,
    /// The driver of a node below that is described in place.
    file_driver: Option<String>,
    readonly: bool,
    used: bool,
}

const OPTION: &str = "-blockdev";

const PROPERTIES: &[Property<Node>] = &[
    property("driver", Text(|n, v| put(&mut n.driver, v)), "file, raw or qcow2"),
    property("node-name", Text(|n, v| put(&mut n.name, v)), "its name"),
    property("filename", Text(filename), "the image, of the driver file"),
    property("file", Text(|n, v| some(&mut n.below, v)), "the node that a format reads"),
    property(
        "file.driver",
        Text(|n, v| some(&mut n.file_driver, v)),
        "the driver of a node described in place",
    ),
    property("file.filename", Text(filename), "its image"),
    property("read-only", Switch(|n, on| n.readonly = on), "the guest cannot write"),
    property("auto-read-only", Only(&["on", "off"]), "an image is opened as its device needs it"),
    property("file.auto-read-only", Only(&["on", "off"]), "an image is opened as its device needs it"),
    property("discard", Only(&["unmap"]), "discarded ranges are given back to the host"),
    property("file.discard", Only(&["unmap"]), "discarded ranges are given back to the host"),
    property("detect-zeroes", Only(&["off"]), "zeroes are data"),
    property("cache.direct", Only(&["off"]), "the host's cache is used"),
    property("file.cache.direct", Only(&["off"]), "the host's cache is used"),
    property("cache.no-flush", Only(&["off"]), "flushes are passed on"),
    property("file.cache.no-flush", Only(&["off"]), "flushes are passed on"),
    property("force-share", Only(&["off"]), "an image has one writer"),
    property("aio", Only(&["threads"]), "each disk has a thread"),
    property("file.aio", Only(&["threads"]), "each disk has a thread"),
];

fn put(slot: &mut String, value: &str) -> Result<(), UserError> {
    value.clone_into(slot);
    Ok(())
}

fn some(slot: &mut Option<String>, value: &str) -> Result<(), UserError> {
    *slot = Some(value.to_owned());
    Ok(())
}

fn filename(n: &mut Node, path: &str) -> Result<(), UserError> {
    n.file = Some(HostFile::new(OPTION, path));
    Ok(())
}

/// `-blockdev`.
pub(super) fn given(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let parts = json::parts(option, text)?;
    let mut node = Node::default();
    property::read(parts, &[PROPERTIES], "a node", &mut node)?;
    if node.name.is_empty() {
        return Err(user_error!("{option} needs 'node-name='"));
    }
    if r.blockdevs.iter().any(|n| n.name == node.name) {
        return Err(user_error!("two nodes given with {option} have the name '{}'", node.name));
    }
    node.check()?;
    r.blockdevs.push(node);
    Ok(())
}

impl Node {
    fn is_file(&self) -> bool {
        self.driver == "file"
    }

    fn check(&self) -> Result<(), UserError> {
        let name = &self.name;
        if self.is_file() {
            return match (&self.file, &self.below, &self.file_driver) {
                (Some(_), None, None) => Ok(()),
                _ => Err(user_error!(
                    "the node '{name}' given with {OPTION} needs a filename, and no node below"
                )),
            };
        }
        match self.driver.as_str() {
            "" => Err(user_error!("{OPTION} needs 'driver='")),
            "raw" | "qcow2" => match (&self.file, &self.below, self.file_driver.as_deref()) {
                (Some(_), None, Some("file")) | (None, Some(_), None) => Ok(()),
                (_, _, Some(other)) if other != "file" => Err(user_error!(
                    "'driver={other}' in {OPTION} is not supported (there are file, raw, qcow2)"
                )),
                _ => Err(user_error!(
                    "the node '{name}' given with {OPTION} needs 'file=', a node or its parts"
                )),
            },
            other => {
                Err(user_error!("'driver={other}' in {OPTION} is not supported (there are file, raw, qcow2)"))
            }
        }
    }
}

/// The disk that the node `name` is, which is used from now on; `None` if there is no such node.
pub(super) fn take(r: &mut Reader, name: &str) -> Result<Option<Disk>, UserError> {
    let mut readonly = false;
    let mut format = DiskFormat::Raw;
    let mut next = name.to_owned();
    // A format is at most above a file: what is above that would be a format inside a format.
    for depth in 0..2 {
        let Some(node) = r.blockdevs.iter_mut().find(|n| n.name == next) else {
            return match depth {
                0 => Ok(None),
                _ => Err(user_error!("there is no node '{next}' given with {OPTION} for the node '{name}'")),
            };
        };
        if std::mem::replace(&mut node.used, true) {
            return Err(user_error!("the node '{next}' given with {OPTION} is used twice"));
        }
        readonly |= node.readonly;
        if node.driver == "qcow2" {
            format = DiskFormat::Qcow2;
        }
        if let Some(file) = node.file.clone() {
            let id = Label(Some(name.to_owned()));
            return Ok(Some(Disk { id, file, format: Some(format), readonly, snapshot: false }));
        }
        next = node.below.clone().unwrap_or_default();
    }
    Err(user_error!("the node '{name}' given with {OPTION} is a format of a format"))
}

/// The nodes that nothing has, and that no other one is above.
pub(super) fn unused(r: &Reader) -> Vec<String> {
    let is_below = |name: &str| r.blockdevs.iter().any(|n| n.below.as_deref() == Some(name));
    let top = r.blockdevs.iter().filter(|n| !n.used && !is_below(&n.name));
    top.map(|n| n.name.clone()).collect()
}

/// All nodes must have a user.
pub(super) fn finish(r: &Reader) -> Result<(), UserError> {
    match r.blockdevs.iter().find(|n| !n.used) {
        Some(n) => Err(user_error!("the node '{}' given with {OPTION} is not used by anything", n.name)),
        None => Ok(()),
    }
}

/// The lines of `-blockdev help`.
pub(super) fn help() -> String {
    format!("{OPTION} options:\n{}", property::help(&[PROPERTIES]))
}
