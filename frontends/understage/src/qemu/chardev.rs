//! `-chardev`, `-serial` and the short forms that it takes.

use super::Reader;
use super::option::Action::{OnlyNone, Value};
use super::option::Row;
use crate::config::{CharBackend, HostFile};
use crate::error::UserError;
use crate::keyval::Parts;
use crate::user_error;

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    ("-chardev", Value(chardev), "stdio|null|file,id=ID[,path=FILE][,mux=on]"),
    ("-serial", Value(serial), "stdio, mon:stdio, null, none, file:FILE or chardev:ID"),
    ("-monitor", OnlyNone("monitor"), "none"),
    ("-parallel", OnlyNone("parallel port"), "none"),
];

/// What `-serial` says.
pub(super) enum Serial {
    Backend(CharBackend),
    Chardev(String),
}

/// A `-chardev` that waits for its user.
#[derive(Debug)]
pub(super) struct Chardev {
    pub(super) id: String,
    backend: CharBackend,
}

/// Reads the short form of a backend.
fn backend(option: &'static str, text: &str) -> Result<CharBackend, UserError> {
    match text {
        "stdio" => Ok(CharBackend::Stdio { escapes: false }),
        "mon:stdio" => Ok(CharBackend::Stdio { escapes: true }),
        "null" | "none" => Ok(CharBackend::Null),
        _ => match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(CharBackend::File(HostFile::new(option, path))),
            _ => Err(user_error!(
                "'{option} {text}' is not supported (there are stdio, mon:stdio, null, none, file:FILE, chardev:ID)"
            )),
        },
    }
}

/// `-serial`.
fn serial(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let serial = match text.strip_prefix("chardev:") {
        Some(id) => Serial::Chardev(id.to_owned()),
        None => Serial::Backend(backend(option, text)?),
    };
    if r.serial.replace(serial).is_some() {
        return Err(user_error!("a second -serial is not supported: the board has one serial port"));
    }
    Ok(())
}

/// `-chardev`.
fn chardev(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let kind = parts.take_first("backend")?.ok_or_else(|| user_error!("{option} needs a backend"))?;
    let id = parts.require("id")?;
    let backend = match kind.as_str() {
        "stdio" => {
            let mux = parts.take_switch("mux")?.unwrap_or(false);
            let signals = parts.take_switch("signal")?.unwrap_or(!mux);
            if mux == signals {
                return Err(user_error!(
                    "in {option}, either mux=on (Ctrl-A is the escape key) or signal=on (Ctrl-C ends), not both or none"
                ));
            }
            CharBackend::Stdio { escapes: mux }
        }
        "null" => CharBackend::Null,
        "file" => CharBackend::File(HostFile::new(option, parts.require("path")?)),
        _ => return Err(user_error!("'{kind}' is not supported in {option} (there are stdio, null, file)")),
    };
    parts.finish(&format!("the backend {kind}"))?;
    if r.chardevs.iter().any(|c| c.id == id) {
        return Err(user_error!("two character devices have the id '{id}'"));
    }
    r.chardevs.push(Chardev { id, backend });
    Ok(())
}

/// Gives the backend `id` to its user.
pub(super) fn take(chardevs: &mut Vec<Chardev>, id: &str, user: &str) -> Result<CharBackend, UserError> {
    let i = chardevs.iter().position(|c| c.id == id);
    let i = i.ok_or_else(|| user_error!("there is no free character device '{id}' for {user}"))?;
    Ok(chardevs.remove(i).backend)
}
