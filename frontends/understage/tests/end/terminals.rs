//! Whatever ends it, the terminal has the mode that it had before.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guest::{FLOOD, Guest, IDLE, OFF, RESET, shell};
use crate::pty::{Terminal, state, until};

#[test]
fn power_off_puts_the_terminal_back() {
    let (guest, terminal) = (Guest::new(OFF), Terminal::new());
    assert_eq!(terminal.start(guest.command("", &[])).status().code(), Some(0));
    assert!(terminal.is_as_before(), "{}", terminal.text());
}

#[test]
fn keys_end_the_machine() {
    let (guest, mut terminal) = (Guest::new(IDLE), Terminal::new());
    let mut running = terminal.start(guest.command("", &[]));
    terminal.wait_for_raw();
    terminal.press(b"\x01h");
    terminal.wait_for("Ctrl-A x");
    terminal.press(b"\x01x");
    assert_eq!(running.status().code(), Some(0));
    assert!(terminal.is_as_before());
}

#[test]
fn signals_that_end_the_machine_in_order() {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let (guest, terminal) = (Guest::new(IDLE), Terminal::new());
        let mut running = terminal.start(guest.command("", &[]));
        terminal.wait_for_raw();
        running.send(signal);
        assert_eq!(running.status().code(), Some(status), "{signal}");
        assert!(terminal.is_as_before(), "{signal}");
    }
}

#[test]
fn signals_that_end_the_process_still_do() {
    use Signal::*;
    let signals = [
        SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
        SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS,
    ];
    for signal in signals {
        let (guest, terminal) = (Guest::new(IDLE), Terminal::new());
        let mut running = terminal.start(guest.command("", &[]));
        terminal.wait_for_raw();
        running.send(signal);
        assert_eq!(running.status().signal(), Some(signal as i32), "{signal}");
        assert!(terminal.is_as_before(), "{signal}");
    }
}

#[test]
fn a_machine_that_is_refused_never_had_the_terminal() {
    let (guest, terminal) = (Guest::new(IDLE), Terminal::new());
    let mut running = terminal.start(guest.command("", &["--disk", "/no/such/disk"]));
    assert_eq!(running.status().code(), Some(2));
    assert!(terminal.is_as_before());
    terminal.wait_for("'/no/such/disk'");
    terminal.wait_for("--disk");
}

/// Runs only as the child of the test below, where it has a terminal.
#[test]
#[ignore = "it is a child of another test"]
fn child_that_panics() {
    understage::end::prepare();
    understage::terminal::raw::enter(false).unwrap();
    let thread = std::thread::Builder::new().name("some-thread".into()).spawn(|| panic!("on\npurpose"));
    thread.unwrap().join().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(100));
}

#[test]
fn a_panic_in_any_thread_is_one_line_and_the_end() {
    let terminal = Terminal::new();
    let args = ["--exact", "terminals::child_that_panics", "--ignored", "--nocapture"].map(str::to_owned);
    let this = std::env::current_exe().unwrap();
    let mut running = terminal.start(shell("unset RUST_BACKTRACE", &this, &args, Path::new("/")));
    assert_eq!(running.status().code(), Some(101));
    assert!(terminal.is_as_before());
    terminal.wait_for("understage: a defect of this program has ended it: on purpose (");
    terminal.wait_for("terminals.rs:");
    terminal.wait_for(", thread some-thread)");
}

#[test]
fn the_users_end_is_not_lost_in_a_reset() {
    for _ in 0..4 {
        let (guest, mut terminal) = (Guest::new(RESET), Terminal::new());
        let mut running = terminal.start(guest.command("", &[]));
        terminal.wait_for_raw();
        terminal.press(b"\x01x");
        assert_eq!(running.status().code(), Some(0));
        assert!(terminal.is_as_before());
    }
}

#[test]
fn keys_end_the_machine_when_nobody_takes_its_output() {
    let (guest, mut terminal) = (Guest::new(FLOOD), Terminal::blocked());
    let mut running = terminal.start(guest.command("", &[]));
    terminal.wait_for_raw();
    running.wait_until_blocked();
    terminal.press(b"\x01x");
    assert_eq!(running.status().code(), Some(1), "it did not end by itself");
    assert!(terminal.is_as_before());
}

#[test]
fn a_second_word_does_not_wait() {
    let (guest, mut terminal) = (Guest::new(FLOOD), Terminal::blocked());
    let mut running = terminal.start(guest.command("", &[]));
    terminal.wait_for_raw();
    running.wait_until_blocked();
    terminal.press(b"\x01x");
    running.send(Signal::SIGTERM);
    let status = running.status().code();
    assert!(status == Some(143) || status == Some(1), "{status:?}: whichever came second");
    assert!(terminal.is_as_before());
}

#[test]
fn keys_are_read_when_the_guest_takes_no_input() {
    let (guest, mut terminal) = (Guest::new(IDLE), Terminal::new());
    let mut running = terminal.start(guest.command("", &[]));
    terminal.wait_for_raw();
    terminal.press(&[b'k'; 20_000]);
    terminal.press(b"\x01x");
    assert_eq!(running.status().code(), Some(0));
}

#[test]
fn a_terminal_that_is_gone_ends_the_machine() {
    let (guest, mut terminal) = (Guest::new(IDLE), Terminal::blocked());
    let mut running = terminal.start_session(&guest.command("", &["--log", "debug"]));
    terminal.wait_for_raw();
    terminal.hang_up();
    assert_eq!(running.status().code(), Some(129));
}

/// The process that the shell said is the machine.
fn machine(terminal: &Terminal) -> Pid {
    let pid = || {
        let text = terminal.text();
        text.split_once("machine ")?.1.split_once('\n')?.0.trim().parse().ok()
    };
    until("the shell names the process", || pid().is_some());
    Pid::from_raw(pid().unwrap())
}

#[test]
fn in_the_background_it_runs_and_leaves_the_terminal_alone() {
    let (guest, mut terminal) = (Guest::new(IDLE), Terminal::new());
    // With job control; each line that is typed lets the script go on.
    let script = "set -m; \"$@\" & echo machine $!; read line; fg %1; echo stopped; bg %1; echo back; read line; exit 5";
    let mut command = shell("", "sh".as_ref(), &[], Path::new("/"));
    command.arg("-c").arg(script).arg("sh").arg(crate::guest::PROGRAM).args(guest.args(&[]));
    let mut shell = terminal.start_session(&command);
    let machine = machine(&terminal);
    // It begins in the background. (What it would do wrong it does at once, or with the next of its regular looks.)
    let settled = || {
        std::thread::sleep(std::time::Duration::from_millis(600));
        state(machine)
    };
    assert!(matches!(settled(), 'S' | 'R'), "it was not stopped");
    assert!(!terminal.is_raw());
    terminal.press(b"\n");
    until("raw mode in the foreground", || terminal.is_raw());
    kill(machine, Signal::SIGTSTP).unwrap();
    terminal.wait_for("stopped");
    terminal.wait_for("back");
    assert!(matches!(settled(), 'S' | 'R'), "it goes on in the background, and is not stopped again");
    assert!(!terminal.is_raw(), "the terminal is the shell's");
    kill(machine, Signal::SIGTERM).unwrap();
    until("its end", || matches!(state(machine), 'Z' | '?'));
    assert!(!terminal.is_raw());
    terminal.press(b"\n");
    assert_eq!(shell.status().code(), Some(5));
}

#[test]
fn a_stopped_machine_gives_the_terminal_back_until_it_goes_on() {
    let (guest, terminal) = (Guest::new(IDLE), Terminal::new());
    let inner = guest.command("", &[]);
    // Whoever runs the tests may ignore the signal, which children inherit.
    let mut command = Command::new("env");
    command.arg("--default-signal=TSTP").arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap());
    // Only a group whose leader has a parent in another group of the session is stopped (POSIX: it is not orphaned).
    command.process_group(0);
    let mut running = terminal.start(command);
    terminal.wait_for_raw();
    running.send(Signal::SIGTSTP);
    until("it is stopped", || state(running.pid()) == 'T');
    assert!(terminal.is_as_before());
    running.send(Signal::SIGCONT);
    terminal.wait_for_raw();
    running.send(Signal::SIGTERM);
    assert_eq!(running.status().code(), Some(143));
    assert!(terminal.is_as_before());
}
