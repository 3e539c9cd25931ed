//! `-semihosting` and `-semihosting-config`: calls of programs to the host.

use super::Reader;
use super::option::Action::{Plain, Value};
use super::option::Row;
use crate::config::Semihosting;
use crate::error::{UserError, user_error};
use crate::keyval::{Part, Parts, on_off};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-semihosting",
        Plain(|r| {
            r.semihosting.get_or_insert_default();
        }),
        "programs may use the host's files and streams (input only if no port reads it), and end the machine (HLT #0xF000)",
    ),
    (
        "-semihosting-config",
        Value(config),
        "[enable=on|off][,target=native|auto][,chardev=ID][,userspace=on|off][,arg=WORD]...",
    ),
];

/// What these options say.
#[derive(Default)]
pub(super) struct Asked {
    arguments: Vec<String>,
    user: bool,
    off: bool,
    chardev: Option<String>,
}

fn config(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let asked = r.semihosting.get_or_insert_default();
    let mut parts = Parts::split(option, text);
    let mut first = true;
    while let Some(Part { key, value }) = parts.next_part() {
        // What has no '=' at the start is the value of 'enable'.
        let (key, value) = match (value, std::mem::take(&mut first)) {
            (None, true) if on_off(&key).is_ok() => ("enable".to_owned(), key),
            (value, _) => (key, value.unwrap_or_else(|| "on".to_owned())),
        };
        match (key.as_str(), value.as_str()) {
            ("enable", _) => asked.off = !on_off(&value)?,
            ("userspace", _) => asked.user = on_off(&value)?,
            ("chardev", _) => asked.chardev = Some(value),
            ("arg", _) => asked.arguments.push(value),
            ("target", "native" | "auto") => {}
            ("target", "gdb") => {
                return Err(user_error!(
                    "'target=gdb' is not supported in {option}: calls are served by this program"
                ));
            }
            _ => {
                return Err(user_error!(
                    "'{key}={value}' is not supported in {option} (there are enable, target, chardev, userspace, arg)"
                ));
            }
        }
    }
    Ok(())
}

/// At the end of the command line, when all character devices are known.
pub(super) fn finish(r: &mut Reader) -> Result<(), UserError> {
    let Some(asked) = r.semihosting.take().filter(|a| !a.off) else { return Ok(()) };
    let console = asked.chardev.map(|id| super::chardev::take(r, &id, "-semihosting-config")).transpose()?;
    r.config.semihosting = Some(Semihosting { arguments: asked.arguments, user: asked.user, console });
    Ok(())
}
