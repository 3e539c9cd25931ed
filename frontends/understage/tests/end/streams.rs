//! Standard output and standard error that nobody can write.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guest::{Guest, OFF, PRINT, PROGRAM, STUCK};

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null());
    command
}

const HELPS: [&[&str]; 4] = [&["--help"], &["run", "--help"], &["qemu", "-h"], &["--version"]];

#[test]
fn help_for_a_full_disk_is_one_sentence() {
    for args in HELPS {
        let out = program(args).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(
            text(&out.stderr),
            "understage: cannot write to standard output: No space left on device\n",
            "{args:?}"
        );
        assert_eq!(out.status.code(), Some(1));
        assert_eq!(program(args).stdout(full()).stderr(full()).status().unwrap().code(), Some(1));
    }
}

#[test]
fn help_that_nobody_reads_is_a_quiet_end() {
    for args in HELPS {
        let out = program(args).stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((text(&out.stderr), out.status.code()), (String::new(), Some(141)), "{args:?}");
    }
}

#[test]
fn a_mistake_that_cannot_be_told_is_one_all_the_same() {
    for args in [&["run", "--cpu", "z80"][..], &["qemu", "-M", "raspi4b"], &["run", "--kernel", "/no/Image"]]
    {
        assert_eq!(program(args).stderr(full()).status().unwrap().code(), Some(2));
        assert_eq!(program(args).stderr(unread()).status().unwrap().code(), Some(2));
    }
}

#[test]
fn statistics_that_cannot_be_told_are_no_failure() {
    let guest = Guest::new(OFF);
    for stderr in [full().into(), unread()] {
        let mut command = guest.command("", &["--stats", "--serial", "null"]);
        assert_eq!(command.stderr(stderr).status().unwrap().code(), Some(0));
    }
}

#[test]
fn a_log_that_cannot_be_written_does_not_concern_the_guest() {
    let guest = Guest::new(PRINT);
    for stderr in [full().into(), unread()] {
        let mut command = guest.command("", &["--serial", "file:/dev/full", "--log", "debug"]);
        assert_eq!(command.stderr(stderr).status().unwrap().code(), Some(0));
    }
}

/// What a machine says whose output is lost, byte by byte.
fn flooded() -> Output {
    Guest::new(PRINT).command("", &["--serial", "file:/dev/full"]).output().unwrap()
}

#[test]
fn a_guest_does_not_flood_the_log() {
    let out = flooded();
    let text = text(&out.stderr);
    assert_eq!(out.status.code(), Some(0));
    // The rate allows a line a second, and this takes less than a minute on any host.
    assert!(text.lines().count() < 150, "{text}");
    // The lines that were said, and those that were counted, are all that the guest caused.
    let said =
        text.lines().filter(|l| l.contains("output of the guest is lost: No space left on device")).count();
    let numbers = text.lines().filter(|l| l.starts_with("understage: "));
    let counted: usize = numbers.filter_map(|l| l.split(' ').nth(1)?.parse::<usize>().ok()).sum();
    assert_eq!(said + counted, 20_000, "{text}");
}

#[test]
fn a_log_in_a_file_has_no_colours_and_no_numbers_of_errors() {
    let text = text(&flooded().stderr);
    assert!(!text.contains('\x1b') && !text.contains("os error"), "{text}");
}

#[test]
fn a_reader_that_leaves_ends_the_machine_quietly() {
    let guest = Guest::new(crate::guest::FLOOD);
    let out = guest.command("", &[]).stdin(Stdio::null()).stdout(unread()).output().unwrap();
    assert_eq!((text(&out.stderr), out.status.code()), (String::new(), Some(141)));
}

#[test]
fn exceptions_without_end_are_said_once_and_can_end_the_machine() {
    let guest = Guest::new(STUCK);
    let what = "CPU 0 takes an exception at EL2 for ever: at 0x48000200 with ESR_EL2 0x2000000, FAR_EL2 0x0, \
                VBAR_EL2 0x48000000";
    let mut command = guest.command("", &["--serial", "null", "--stop-on", "endless-exception"]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains(what), "{}", text(&out.stderr));

    // Without the option it goes on, and says nothing more.
    let mut command = guest.command("", &["--serial", "null"]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(what));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(lines.count(), 0);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
