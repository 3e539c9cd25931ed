//! What the host refuses is found before anything is changed, and what is begun is finished.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::guest::{FLOOD, Guest, IDLE, OFF, PRINT, PROGRAM, RESET, shell};
use crate::pty::{Terminal, until};

#[test]
fn a_refused_command_line_changes_no_file() {
    let guest = Guest::new(PRINT);
    std::fs::write(guest.path("log"), "of an earlier run").unwrap();
    let refused: [&[&str]; 4] = [
        &["--disk", "/no/such/disk"],
        &["--virtio-console", "file:/no/such/dir/log"],
        &["--gdb", "no such host:1"],
        &["--flash1", "program"],
    ];
    for more in refused {
        for log in ["log", "new"] {
            let serial = format!("file:{log}");
            let more: Vec<&str> = ["--serial", &serial].into_iter().chain(more.iter().copied()).collect();
            let out = guest.command("", &more).stdin(Stdio::null()).output().unwrap();
            assert_eq!(out.status.code(), Some(2), "{more:?}");
        }
        assert_eq!(std::fs::read(guest.path("log")).unwrap(), b"of an earlier run", "{more:?}");
        assert!(!guest.path("new").exists(), "{more:?}");
    }
    let ran = guest.command("", &["--serial", "file:log"]).status().unwrap();
    assert_eq!((ran.code(), std::fs::metadata(guest.path("log")).unwrap().len()), (Some(0), 20_000));
}

/// The last record of the only dump in the directory.
fn last_record(guest: &Guest) -> Vec<u8> {
    let directory = std::fs::read_dir(guest.path(".")).unwrap();
    let mut dumps =
        directory.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "dump"));
    let bytes = std::fs::read(dumps.next().unwrap()).unwrap();
    bytes[bytes.len() - 16..bytes.len() - 8].to_vec()
}

/// Kind and length of the record that closes a dump.
const CLOSE: [u8; 8] = [3, 0, 0, 0, 16, 0, 0, 0];

#[test]
#[cfg(target_arch = "x86_64")]
fn the_dump_for_perf_is_closed_at_every_end() {
    let perf = ["--perf", "jitdump"];
    let guest = Guest::new(PRINT);
    assert!(guest.command("", &[&perf[..], &["--serial", "null"]].concat()).status().unwrap().success());
    assert_eq!(last_record(&guest), CLOSE, "power-off");

    let (guest, terminal) = (Guest::new(IDLE), Terminal::new());
    let mut running = terminal.start(guest.command("", &perf));
    terminal.wait_for_raw();
    running.send(Signal::SIGTERM);
    running.status();
    assert_eq!(last_record(&guest), CLOSE, "a signal");

    let (guest, mut terminal) = (Guest::new(FLOOD), Terminal::blocked());
    let mut running = terminal.start(guest.command("", &perf));
    terminal.wait_for_raw();
    running.wait_until_blocked();
    terminal.press(b"\x01x");
    running.status();
    assert_eq!(last_record(&guest), CLOSE, "an end that does not wait for the machine");
}

#[test]
fn a_signal_that_comes_early_is_not_lost() {
    // Both while the machine is built and in each of its resets.
    for delay in [0, 5, 20, 80] {
        let guest = Guest::new(RESET);
        let mut child = guest.command("", &["--serial", "null"]).stdin(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        let mut ended = None;
        until("the end", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(!ended.unwrap().success());
    }
}

#[test]
fn a_host_that_gives_no_thread_is_a_mistake_found_before_the_machine_starts() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tested: to limit the threads of a user that has no other takes root");
        return;
    }
    // The limit counts all threads of a user, and does not bind root; so it is that of a user with none.
    let user = 60_000 + std::process::id() % 5_000;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = dir.path().join("understage");
    std::fs::copy(PROGRAM, &copy).unwrap();
    let program = dir.path().join("program");
    let words: Vec<u8> = OFF.iter().flat_map(|w| w.to_le_bytes()).collect();
    std::fs::write(&program, words).unwrap();
    std::fs::write(dir.path().join("disk"), [0; 4096]).unwrap();
    let log = dir.path().join("log");
    let load = format!("{}@0x40080000", program.display());
    let serial = format!("file:{}", log.display());
    let args = [
        "run",
        "--memory",
        "64M",
        "--smp",
        "2",
        "--load",
        &load,
        "--entry",
        "0x40080000",
        "--serial",
        &serial,
        "--disk",
        "disk,readonly",
        "--virtio-console",
        "stdio",
        "--gdb",
        "127.0.0.1:0",
    ]
    .map(str::to_owned);
    for limit in 1..64 {
        std::fs::write(&log, "of an earlier run").unwrap();
        std::fs::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
        // Where the shell is dash, the limit of processes is -p; where it is bash, -u.
        let before = format!("ulimit -u {limit} 2>/dev/null || ulimit -p {limit}");
        let mut command = shell(&before, &copy, &args, dir.path());
        let out = command.uid(user).gid(user).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let said = text.lines().find(|l| !l.contains("a debugger can connect")).unwrap_or_default();
        if out.status.code() == Some(0) {
            assert_eq!(said, "", "{limit}");
            assert_eq!(std::fs::read(&log).unwrap(), b"");
            // The end's, one or two for the input, the signals', the debugger's, the clock's, the CPUs', the devices'.
            assert!(limit > 8, "with a limit of {limit} threads none was refused");
            return;
        }
        assert_eq!(out.status.code(), Some(2), "{limit}: {text}");
        assert!(
            said.starts_with("understage: cannot ") && said.ends_with(": Resource temporarily unavailable"),
            "{limit}: {text}"
        );
        assert_eq!(std::fs::read(&log).unwrap(), b"of an earlier run", "{limit}: {text}");
    }
    panic!("the machine never starts");
}
