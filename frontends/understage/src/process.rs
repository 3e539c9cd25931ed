//! The program as a process of the host: its name, its number in a file, its memory, and going on in the background.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::config::{Host, HostFile};
use crate::error::{UserError, reason, user_error};
use crate::quit::STATUS_FAILED;

/// Set in the environment of the process that goes on in the background.
const IN_BACKGROUND: &str = "UNDERSTAGE_IN_BACKGROUND";
/// What it writes to standard output when the machine is put together.
const READY: u8 = 0;

/// What the process has while the machine lives.
#[derive(Debug)]
pub struct Presence {
    pidfile: Option<(PathBuf, Flock<File>)>,
    background: bool,
}

/// Who goes on after [`begin`].
#[derive(Debug)]
pub enum Part {
    /// This process runs the machine.
    Machine(Presence),
    /// Another one does; this one ends with its status.
    Done(u8),
}

/// Does what `host` wants of the process before the machine is put together. No thread has been started by then.
pub fn begin(host: &Host) -> Result<Part, UserError> {
    let background = std::env::var_os(IN_BACKGROUND).is_some();
    if let (Some(daemonize), false) = (&host.daemonize, background) {
        return start_in_background(daemonize.option).map(Part::Done);
    }
    if let Some(name) = &host.process {
        let name =
            CString::new(name.as_str()).map_err(|_| user_error!("'{name}' is no name of a process"))?;
        nix::sys::prctl::set_name(&name)
            .map_err(|e| user_error!("the host does not take the process's name: {}", e.desc()))?;
    }
    if let Some(lock) = &host.lock_memory {
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
            .map_err(|e| user_error!("{}: the host does not lock memory: {}", lock.option, e.desc()))?;
    }
    let pidfile = host.pidfile.as_ref().map(write_pid).transpose()?;
    Ok(Part::Machine(Presence { pidfile, background: background && host.daemonize.is_some() }))
}

/// Runs the same program with the same arguments once more, and waits until its machine is put together.
fn start_in_background(option: &str) -> Result<u8, UserError> {
    let failed = |e: io::Error| user_error!("{option}: cannot start in the background: {}", reason(&e));
    let mut args = std::env::args_os();
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command.args(args).env(IN_BACKGROUND, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut said = Vec::new();
    if let Some(mut output) = child.stdout.take() {
        let mut byte = [0];
        while output.read(&mut byte).map_err(failed)? == 1 {
            if byte[0] == READY {
                return Ok(0);
            }
            said.extend(byte);
        }
    }
    let status = child.wait().map_err(failed)?;
    io::stdout().write_all(&said).map_err(failed)?;
    Ok(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(STATUS_FAILED))
}

/// Makes the file and keeps it locked: two machines do not share one.
fn write_pid(file: &HostFile) -> Result<(PathBuf, Flock<File>), UserError> {
    let failed = |e: io::Error| user_error!("cannot write {}: {}", file.describe(), reason(&e));
    let opened =
        File::options().write(true).create(true).truncate(false).open(&file.value).map_err(failed)?;
    let locked = Flock::lock(opened, FlockArg::LockExclusiveNonblock)
        .map_err(|_| user_error!("{} belongs to a machine that runs", file.describe()))?;
    locked.set_len(0).map_err(failed)?;
    writeln!(&mut &*locked, "{}", std::process::id()).map_err(failed)?;
    // The directory may be another one by the time at which the file is removed.
    let path = std::path::absolute(&file.value).map_err(failed)?;
    Ok((path, locked))
}

impl Presence {
    /// The machine is put together. In the background, whoever started it is told, and the terminal is let go.
    pub fn ready(&self) -> Result<(), UserError> {
        if !self.background {
            return Ok(());
        }
        let failed = |e: io::Error| user_error!("cannot go on in the background: {}", reason(&e));
        setsid().map_err(|e| failed(e.into()))?;
        std::env::set_current_dir("/").map_err(failed)?;
        let null = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
        let mut out = io::stdout();
        out.write_all(&[READY]).and_then(|()| out.flush()).map_err(failed)?;
        let to_null = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
        to_null.map_err(|e| failed(e.into()))
    }

    /// The machine has ended, however it did.
    pub fn end(&self) {
        if let Some((path, _locked)) = &self.pidfile {
            // It may be gone already, which is what is wanted.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Given;

    #[test]
    fn the_file_with_the_number_is_there_while_the_machine_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        std::fs::write(&path, "a much longer line from an earlier machine").unwrap();
        let host = Host { pidfile: Some(Given::new("-pidfile", path.clone())), ..Host::default() };
        let Part::Machine(presence) = begin(&host).unwrap() else { panic!() };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let e = begin(&host).unwrap_err().to_string();
        assert!(e.ends_with("given with -pidfile belongs to a machine that runs"), "{e}");
        presence.end();
        assert!(!path.exists());
    }
}
