//! Open files, and the operations on them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::Host;
use super::call::{Call, Outcome, PIECE};
use super::console::{Stream, number};

/// Files that can be open.
const MOST: usize = 256;
/// The special names, section "Special path names" and "Feature bits".
const CONSOLE: &[u8] = b":tt";
const FEATURES: &[u8] = b":semihosting-features";
/// What that file has: four magic bytes, then SH_EXT_EXIT_EXTENDED and SH_EXT_STDOUT_STDERR.
const FEATURE_BYTES: &[u8] = &[b'S', b'H', b'F', b'B', 0b11];

/// Something that is open.
enum Open {
    Console(Stream),
    File(File),
    /// The list of features, at a position.
    Features(u64),
}

/// What is open, by handle less one: 0 is none.
#[derive(Default)]
pub(super) struct Files(Vec<Option<Open>>);

impl Files {
    fn add(&mut self, open: Open) -> Outcome {
        let free = self.0.iter().position(Option::is_none);
        let at = match free {
            Some(at) => at,
            None if self.0.len() < MOST => {
                self.0.push(None);
                self.0.len() - 1
            }
            None => return Err(Errno::EMFILE),
        };
        self.0[at] = Some(open);
        Ok(at as u64 + 1)
    }

    fn slot(&mut self, handle: u64) -> Result<&mut Option<Open>, Errno> {
        let at = usize::try_from(handle.wrapping_sub(1)).map_err(|_| Errno::EBADF)?;
        self.0.get_mut(at).filter(|slot| slot.is_some()).ok_or(Errno::EBADF)
    }

    fn get(&mut self, handle: u64) -> Result<&mut Open, Errno> {
        self.slot(handle)?.as_mut().ok_or(Errno::EBADF)
    }
}

fn path(name: Vec<u8>) -> PathBuf {
    OsString::from_vec(name).into()
}

/// The options of fopen's modes, which are numbered: r, r+, w, w+, a, a+, each of them plain and with b.
fn options(mode: u64) -> Option<OpenOptions> {
    let mut o = OpenOptions::new();
    match mode / 2 {
        0 => o.read(true),
        1 => o.read(true).write(true),
        2 => o.write(true).create(true).truncate(true),
        3 => o.read(true).write(true).create(true).truncate(true),
        4 => o.append(true).create(true),
        5 => o.read(true).append(true).create(true),
        _ => return None,
    };
    // A pipe or a device must not keep the CPU.
    o.custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    Some(o)
}

/// SYS_OPEN.
pub(super) fn open(host: &Host, call: &mut Call<'_>) -> Outcome {
    let [at, mode, length] = call.fields()?;
    let name = call.name(at, length)?;
    let options = options(mode).ok_or(Errno::EINVAL)?;
    let open = match &name[..] {
        CONSOLE => Open::Console([Stream::Input, Stream::Output, Stream::Error][mode as usize / 4]),
        FEATURES if mode < 2 => Open::Features(0),
        FEATURES => return Err(Errno::EACCES),
        _ => Open::File(call.cpu.aside(|_| options.open(path(name))).map_err(|e| number(&e))?),
    };
    host.files.lock().add(open)
}

/// SYS_CLOSE.
pub(super) fn close(host: &Host, call: &mut Call<'_>) -> Outcome {
    let handle = call.field(0)?;
    *host.files.lock().slot(handle)? = None;
    Ok(0)
}

/// SYS_WRITE: gives how many bytes were not written.
pub(super) fn write(host: &Host, call: &mut Call<'_>) -> Outcome {
    let [handle, at, length] = call.fields()?;
    let mut file = match host.files.lock().get(handle)? {
        Open::Console(stream) => Err(*stream),
        Open::File(file) => Ok(file.try_clone().map_err(|e| number(&e))?),
        Open::Features(_) => return Err(Errno::EBADF),
    };
    let done = call.pieces(at, Some(length), |cpu, bytes| {
        cpu.aside(|_| match &mut file {
            Err(stream) => host.console.write(*stream, bytes).map(|()| bytes.len()),
            Ok(file) => written(file, bytes),
        })
    })?;
    Ok(length - done)
}

/// As many bytes as the file takes: an error is one if it comes first.
fn written(file: &mut File, bytes: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&bytes[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if done == 0 => return Err(number(&e)),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// SYS_READ: gives how many bytes were not read, all of them at the end of the file.
pub(super) fn read(host: &Host, call: &mut Call<'_>) -> Result<Option<u64>, Errno> {
    let [handle, at, length] = call.fields()?;
    let mut buffer = vec![0; length.min(PIECE as u64) as usize];
    let mut file = match host.files.lock().get(handle)? {
        Open::Console(Stream::Input) => {
            // A line of a terminal, or whatever there is.
            let Some(n) = call.cpu.aside(|bell| host.console.read(&mut buffer, bell)) else {
                return Ok(None);
            };
            call.write(at, &buffer[..n])?;
            return Ok(Some(length - n as u64));
        }
        Open::Console(_) => return Err(Errno::EBADF),
        Open::Features(position) => {
            let rest = FEATURE_BYTES.get(*position as usize..).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            *position += n as u64;
            call.write(at, &rest[..n])?;
            return Ok(Some(length - n as u64));
        }
        Open::File(file) => file.try_clone().map_err(|e| number(&e))?,
    };
    let mut done = 0;
    while done < length && !call.is_enough(done) {
        let want = (length - done).min(PIECE as u64) as usize;
        match call.cpu.aside(|_| file.read(&mut buffer[..want])) {
            Ok(0) => break,
            Ok(n) => {
                call.write(at.wrapping_add(done), &buffer[..n])?;
                done += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if done == 0 => return Err(number(&e)),
            Err(_) => break,
        }
    }
    Ok(Some(length - done))
}

/// SYS_ISTTY.
pub(super) fn is_tty(host: &Host, call: &mut Call<'_>) -> Outcome {
    let handle = call.field(0)?;
    Ok(u64::from(match host.files.lock().get(handle)? {
        Open::Console(stream) => host.console.is_terminal(*stream),
        Open::File(file) => file.is_terminal(),
        Open::Features(_) => false,
    }))
}

/// SYS_SEEK.
pub(super) fn seek(host: &Host, call: &mut Call<'_>) -> Outcome {
    let [handle, to] = call.fields()?;
    match host.files.lock().get(handle)? {
        Open::Console(_) => return Err(Errno::ESPIPE),
        Open::Features(position) if to <= FEATURE_BYTES.len() as u64 => *position = to,
        Open::Features(_) => return Err(Errno::EINVAL),
        Open::File(file) => {
            i64::try_from(to).map_err(|_| Errno::EINVAL)?;
            file.seek(SeekFrom::Start(to)).map_err(|e| number(&e))?;
        }
    }
    Ok(0)
}

/// SYS_FLEN.
pub(super) fn length(host: &Host, call: &mut Call<'_>) -> Outcome {
    let handle = call.field(0)?;
    match host.files.lock().get(handle)? {
        Open::Console(_) => Err(Errno::ESPIPE),
        Open::Features(_) => Ok(FEATURE_BYTES.len() as u64),
        Open::File(file) => Ok(file.metadata().map_err(|e| number(&e))?.len()),
    }
}

/// SYS_TMPNAM: the same name for the same identifier, for as long as this program runs.
pub(super) fn temporary_name(_: &Host, call: &mut Call<'_>) -> Outcome {
    let [at, identifier, size] = call.fields()?;
    if identifier > 255 {
        return Err(Errno::EINVAL);
    }
    let file = std::env::temp_dir().join(format!("understage-{:x}-{identifier:02x}", std::process::id()));
    let name = [file.as_os_str().as_bytes(), b"\0"].concat();
    if name.len() as u64 > size {
        return Err(Errno::ENAMETOOLONG);
    }
    call.write(at, &name)?;
    Ok(0)
}

/// SYS_REMOVE.
pub(super) fn remove(_: &Host, call: &mut Call<'_>) -> Outcome {
    let [at, length] = call.fields()?;
    let name = path(call.name(at, length)?);
    call.cpu.aside(|_| fs::remove_file(name)).map_err(|e| number(&e))?;
    Ok(0)
}

/// SYS_RENAME.
pub(super) fn rename(_: &Host, call: &mut Call<'_>) -> Outcome {
    let [from, from_length, to, to_length] = call.fields()?;
    let (from, to) = (path(call.name(from, from_length)?), path(call.name(to, to_length)?));
    call.cpu.aside(|_| fs::rename(from, to)).map_err(|e| number(&e))?;
    Ok(0)
}
