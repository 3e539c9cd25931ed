//! `-chardev`, `-serial`, `-monitor`, `-mon`, and the short forms that they take.

use super::Reader;
use super::option::Action::{OnlyNone, Value};
use super::option::Row;
use crate::config::{Accel, CharBackend, Given, HostFile, LogFile, Qtest, SHORT_FORMS, Socket, SocketPlace};
use crate::error::{UserError, user_error};
use crate::keyval::Parts;
use crate::number::{parse_size, parse_u64};

/// The options of this group.
pub(super) const OPTIONS: &[Row] = &[
    (
        "-chardev",
        Value(chardev),
        "stdio|null|file|socket|pty|pipe|ringbuf|testdev,id=ID[,mux=on][,logfile=FILE][,logappend=on],...",
    ),
    (
        "-serial",
        Value(serial),
        "stdio, null, none, file:FILE, pty, pipe:PATH, tcp:HOST:PORT,..., telnet:..., unix:PATH,..., chardev:ID, mon:...; twice for two ports",
    ),
    ("-monitor", Value(monitor), "the same: where the monitor is"),
    (
        "-mon",
        Value(mon),
        "[chardev=]ID[,mode=readline|control]: a monitor at a character device; control is QMP",
    ),
    ("-parallel", OnlyNone("parallel port"), "none"),
];

/// The kinds of character devices, and what they are.
const KINDS: [(&str, &str); 8] = [
    ("stdio", "standard input and output"),
    ("null", "nothing"),
    ("file", "path=FILE[,append=on]: output to a file"),
    ("socket", "path=PATH or host=HOST,port=PORT[,server=on][,wait=off][,telnet=on][,reconnect=SECONDS]"),
    ("pty", "a terminal of its own, whose name is printed"),
    ("pipe", "path=PATH: PATH.in and PATH.out, or PATH for both"),
    ("ringbuf", "[size=BYTES]: the last bytes, for the monitor"),
    ("testdev", "ends the machine with the status that the guest writes, as kvm-unit-tests do"),
];

/// The kinds, for `-chardev help`.
pub(super) fn help() -> String {
    KINDS.map(|(name, about)| format!("  {name:<9}{about}\n")).concat()
}

/// The prompt of monitors, which scripts wait for.
const PROMPT: &str = "(qemu) ";
/// Serial ports of the board.
const SERIAL_PORTS: usize = 2;
/// Bytes that a ring buffer keeps, unless it is told.
const RING: u64 = 64 << 10;

/// A user of a character device that waits for all options to be read.
#[derive(Debug)]
pub(super) enum User {
    Backend(CharBackend),
    Chardev(String),
    /// `none`: there is nothing.
    None,
}

/// What has been read of character devices.
#[derive(Debug, Default)]
pub(super) struct Characters {
    devices: Vec<Chardev>,
    serials: Vec<User>,
    monitors: Vec<User>,
    /// Those of QMP, and whether they are pretty.
    controls: Vec<(User, bool)>,
    /// `-qtest`.
    qtest: Option<User>,
    /// An option speaks of the monitor, so there is no default one.
    monitor_given: bool,
}

impl Characters {
    /// A `-serial` says where a serial port ends, other than nowhere.
    pub(super) fn serials_given(&self) -> bool {
        self.serials.iter().any(|user| !matches!(user, User::None | User::Backend(CharBackend::Null)))
    }
}

/// A `-chardev`.
#[derive(Debug)]
struct Chardev {
    id: String,
    backend: CharBackend,
    mux: bool,
    used: bool,
    /// Its number among the devices with several users.
    index: Option<usize>,
}

/// Reads the short form of a backend.
fn backend(option: &'static str, text: &str) -> Result<CharBackend, UserError> {
    if text == "stdio" {
        return Ok(CharBackend::Stdio { escapes: false });
    }
    let read = CharBackend::from_scheme(option, text)?;
    read.ok_or_else(|| {
        user_error!("'{option} {text}' is not supported (there are none, {SHORT_FORMS}, chardev:ID)")
    })
}

fn user(option: &'static str, text: &str) -> Result<User, UserError> {
    match text.strip_prefix("chardev:") {
        Some(id) => Ok(User::Chardev(id.to_owned())),
        None if text == "none" => Ok(User::None),
        None => backend(option, text).map(User::Backend),
    }
}

/// `-serial`.
fn serial(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let user = match text.strip_prefix("mon:") {
        None => user(option, text)?,
        Some("stdio") => {
            r.characters.monitor_given = true;
            // A terminal with escape keys has a monitor.
            User::Backend(CharBackend::Stdio { escapes: true })
        }
        Some(text) => {
            r.characters.monitor_given = true;
            let shared = CharBackend::Mux(r.config.characters.muxes.len());
            r.config.characters.muxes.push(backend(option, text)?);
            r.characters.monitors.push(User::Backend(shared.clone()));
            User::Backend(shared)
        }
    };
    if r.characters.serials.len() == SERIAL_PORTS {
        return Err(user_error!("a third -serial is not supported: the board has two serial ports"));
    }
    r.characters.serials.push(user);
    Ok(())
}

/// `-monitor`.
fn monitor(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    r.characters.monitor_given = true;
    let user = user(option, text)?;
    r.characters.monitors.push(user);
    Ok(())
}

/// `-qmp` and `-qmp-pretty`.
pub(super) fn qmp(r: &mut Reader, option: &'static str, text: &str, pretty: bool) -> Result<(), UserError> {
    let user = user(option, text)?;
    r.characters.controls.push((user, pretty));
    Ok(())
}

/// `-qtest`.
pub(super) fn qtest(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let user = user(option, text)?;
    super::set(&mut r.characters.qtest, option, user)
}

/// `-mon`.
fn mon(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let id = parts.take_first("chardev")?.ok_or_else(|| user_error!("{option} needs 'chardev='"))?;
    parts.take("id")?;
    match parts.take("mode")?.as_deref() {
        None | Some("readline") => {}
        Some("control") => {
            let pretty = parts.take_switch("pretty")?.unwrap_or(false);
            parts.finish("a monitor of QMP")?;
            r.characters.controls.push((User::Chardev(id), pretty));
            return Ok(());
        }
        Some(other) => {
            return Err(user_error!("'mode={other}' in {option} is neither readline nor control"));
        }
    }
    parts.finish("a monitor")?;
    r.characters.monitor_given = true;
    r.characters.monitors.push(User::Chardev(id));
    Ok(())
}

/// `-chardev`.
fn chardev(r: &mut Reader, option: &'static str, text: &str) -> Result<(), UserError> {
    let mut parts = Parts::split(option, text);
    let kind = parts.take_first("backend")?.ok_or_else(|| user_error!("{option} needs a backend"))?;
    let id = parts.require("id")?;
    let mux = parts.take_switch("mux")?.unwrap_or(false);
    let log = parts.take("logfile")?.map(|f| HostFile::new(option, f));
    let append = parts.take_switch("logappend")?.unwrap_or(false);
    let mut backend = kind_of(&kind, &mut parts, mux)?;
    if let Some(file) = log {
        backend = CharBackend::Logged(Box::new(backend), LogFile { file, append });
    }
    parts.finish(&format!("the backend {kind}"))?;
    if r.characters.devices.iter().any(|c| c.id == id) {
        return Err(user_error!("two character devices have the id '{id}'"));
    }
    r.characters.devices.push(Chardev { id, backend, mux, used: false, index: None });
    Ok(())
}

fn kind_of(kind: &str, parts: &mut Parts, mux: bool) -> Result<CharBackend, UserError> {
    let option = parts.option();
    Ok(match kind {
        "stdio" => {
            let signals = parts.take_switch("signal")?.unwrap_or(!mux);
            if mux == signals {
                return Err(user_error!(
                    "in {option}, either mux=on (Ctrl-A is the escape key) or signal=on (Ctrl-C ends), not both or none"
                ));
            }
            CharBackend::Stdio { escapes: mux }
        }
        "null" => CharBackend::Null,
        "file" => {
            let file = HostFile::new(option, parts.require("path")?);
            match parts.take_switch("append")? {
                Some(true) => CharBackend::Append(file),
                _ => CharBackend::File(file),
            }
        }
        "socket" => {
            let telnet = parts.take_switch("telnet")?.unwrap_or(false);
            let place = socket_place(parts)?;
            CharBackend::Socket(Given::new(option, Socket::from_parts(parts, place, telnet)?))
        }
        "pty" => CharBackend::Pty(Given::new(option, ())),
        "pipe" => CharBackend::Pipe(HostFile::new(option, parts.require("path")?)),
        "testdev" => CharBackend::TestDevice,
        "ringbuf" | "memory" => {
            let size = parts.take_with("size", |t| parse_size(t, Some(1)))?.unwrap_or(RING);
            if !size.is_power_of_two() || size > 1 << 30 {
                return Err(user_error!("in {option}, the size of a ring buffer is a power of two up to 1G"));
            }
            CharBackend::Ring { size: size as usize }
        }
        _ => {
            let kinds = KINDS.map(|(name, _)| name).join(", ");
            return Err(user_error!("'{kind}' is not supported in {option} (there are {kinds})"));
        }
    })
}

fn socket_place(parts: &mut Parts) -> Result<SocketPlace, UserError> {
    if let Some(path) = parts.take("path")? {
        return Ok(SocketPlace::Unix(path.into()));
    }
    let option = parts.option();
    let port = parts.take_with("port", parse_u64)?;
    let port = port.ok_or_else(|| user_error!("a socket in {option} needs 'path=' or 'port='"))?;
    let port = u16::try_from(port).map_err(|_| user_error!("in {option}, {port} is no port"))?;
    Ok(SocketPlace::Tcp { host: parts.take("host")?.unwrap_or_default(), port })
}

/// Gives the device `id` to `user`.
pub(super) fn take(r: &mut Reader, id: &str, user: &str) -> Result<CharBackend, UserError> {
    let muxes = &mut r.config.characters.muxes;
    let found = r.characters.devices.iter_mut().find(|c| c.id == id && (c.mux || !c.used));
    let device = found.ok_or_else(|| user_error!("there is no free character device '{id}' for {user}"))?;
    device.used = true;
    if !device.mux {
        return Ok(device.backend.clone());
    }
    let index = *device.index.get_or_insert_with(|| {
        muxes.push(device.backend.clone());
        muxes.len() - 1
    });
    Ok(CharBackend::Mux(index))
}

fn resolve(r: &mut Reader, user: User, name: &str) -> Result<Option<CharBackend>, UserError> {
    match user {
        User::None => Ok(None),
        User::Backend(backend) => Ok(Some(backend)),
        User::Chardev(id) => take(r, &id, name).map(Some),
    }
}

/// Serial ports and monitors, once all options are read. What is not given is as QEMU has it: on a terminal with
/// -nographic, and here also without a display, which is never there.
pub(super) fn build(r: &mut Reader) -> Result<(), UserError> {
    let serials = std::mem::take(&mut r.characters.serials);
    let monitors = std::mem::take(&mut r.characters.monitors);
    let on_terminal = !r.nodefaults && (r.nographic || !r.headless);
    let (serial_given, monitor_given) = (!serials.is_empty(), r.characters.monitor_given);
    r.config.characters.prompt.0 = PROMPT;
    for user in monitors {
        if let Some(backend) = resolve(r, user, "a monitor")? {
            r.config.characters.monitors.push(backend);
        }
    }
    for (user, pretty) in std::mem::take(&mut r.characters.controls) {
        if let Some(backend) = resolve(r, user, "QMP")? {
            r.config.characters.controls.push((backend, pretty));
        }
    }
    if let Some(user) = r.characters.qtest.take() {
        let client = resolve(r, user, "-qtest")?;
        if !r.cpu_wish.present {
            r.config.accel = Accel::Qtest;
        } else if r.config.accel != Accel::Qtest {
            return Err(user_error!(
                "-qtest drives devices while no CPU runs: it goes with -accel qtest only"
            ));
        }
        r.config.qtest = client.map(|client| Qtest { client, log: r.qtest_log.clone() });
    }
    if on_terminal && serial_given && !monitor_given && r.nographic {
        let taken = |u: &User| matches!(u, User::Backend(b) if b.is_stdio());
        let on_stdio = r.characters.devices.iter().any(|c| c.backend.is_stdio());
        if !on_stdio && !serials.iter().any(taken) {
            r.config.characters.monitors.push(CharBackend::Stdio { escapes: false });
        }
    }
    let mut serials = serials.into_iter();
    r.config.serial = match serials.next() {
        Some(user) => resolve(r, user, "-serial")?.unwrap_or(CharBackend::Null),
        None if on_terminal => CharBackend::Stdio { escapes: !monitor_given },
        None => CharBackend::Null,
    };
    r.config.characters.second_serial = match serials.next() {
        Some(user) => resolve(r, user, "-serial")?,
        None => None,
    };
    Ok(())
}

/// Every device that was made must have been used.
pub(super) fn finish(r: &Reader) -> Result<(), UserError> {
    match r.characters.devices.iter().find(|c| !c.used) {
        Some(c) => Err(user_error!("the character device '{}' is not used by anything", c.id)),
        None => Ok(()),
    }
}
