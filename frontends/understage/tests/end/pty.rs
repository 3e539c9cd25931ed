//! A terminal for a child process, and what becomes of its mode.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;

/// Nothing here takes so long, also where other tests run.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONGEST, "waited for long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A terminal.
pub(crate) struct Terminal {
    /// None once somebody has hung up.
    keys: Option<File>,
    slave: OwnedFd,
    before: Termios,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// One that shows what is written to it.
    pub(crate) fn new() -> Self {
        let terminal = Self::blocked();
        let mut screen = terminal.keys.as_ref().unwrap().try_clone().unwrap();
        let shown = terminal.shown.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                shown.lock().unwrap().extend(&buffer[..n]);
            }
        });
        terminal
    }

    /// One that takes no output beyond what the kernel keeps: nobody looks at it.
    pub(crate) fn blocked() -> Self {
        // Children of other tests must not have it: then it would never be gone.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
        let slave = OwnedFd::from(options.open(ptsname_r(&master).unwrap()).unwrap());
        let before = tcgetattr(&slave).unwrap();
        let keys = master.as_fd().try_clone_to_owned().unwrap();
        Self { keys: Some(keys.into()), slave, before, shown: Arc::default() }
    }

    /// Starts `command` with this terminal on all its streams.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        let end = || self.slave.as_fd().try_clone_to_owned().unwrap();
        command.stdin(end()).stdout(end()).stderr(end());
        Running(command.spawn().unwrap())
    }

    /// The same, and it is the process's controlling terminal.
    pub(crate) fn start_session(&self, command: &Command) -> Running {
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        session.current_dir(command.get_current_dir().unwrap());
        self.start(session)
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.keys.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// Nobody is at the terminal any more. (Only for one that nobody looks at.)
    pub(crate) fn hang_up(&mut self) {
        self.keys = None;
    }

    fn mode(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    pub(crate) fn is_raw(&self) -> bool {
        !self.mode().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    pub(crate) fn is_as_before(&self) -> bool {
        self.mode() == self.before
    }

    pub(crate) fn wait_for_raw(&self) {
        until("raw mode", || self.is_raw());
    }

    /// What the terminal shows.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        until(text, || self.text().contains(text));
    }
}

/// A process, which does not outlive the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn send(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }

    /// Waits until its first CPU sleeps, look after look: it wants to print, and the terminal takes no more.
    pub(crate) fn wait_until_blocked(&self) {
        let mut sleeps = 0;
        until("the terminal is full", || {
            sleeps = if state_of_thread(self.pid(), "cpu0") == 'S' { sleeps + 1 } else { 0 };
            sleeps > 20
        });
    }

    /// Waits for the end.
    pub(crate) fn status(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of the process", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state of the thread with this name.
fn state_of_thread(pid: Pid, name: &str) -> char {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut named = tasks
        .filter(|t| std::fs::read_to_string(t.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    named.next().map_or('?', |task| state_in(&task.path().join("stat")))
}

/// The state of a process as the kernel shows it: 'R', 'S', 'T' (stopped).
pub(crate) fn state(pid: Pid) -> char {
    state_in(Path::new(&format!("/proc/{pid}/stat")))
}

fn state_in(stat: &Path) -> char {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next()).unwrap_or('?')
}
