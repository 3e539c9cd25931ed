//! Running other programs.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// What went wrong, as a sentence for the user.
pub(crate) type Failure = String;

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// How to get a program that is missing.
fn hint(name: &str) -> &'static str {
    match name {
        "apt-get" | "apt-cache" | "apt-config" => {
            " (guests are fetched with apt: this needs Debian or a relative of it)"
        }
        "dpkg-deb" => " (it is in Debian's package dpkg)",
        "gdb-multiarch" => " (it is in Debian's package of that name)",
        "aarch64-linux-gnu-gcc" => {
            " (it is in Debian's package gcc-aarch64-linux-gnu, its C library in libc6-dev-arm64-cross)"
        }
        "cc" => " (it is in Debian's package gcc)",
        "make" | "flex" | "bison" | "bc" => " (it is in Debian's package of that name)",
        "xz" => " (it is in Debian's package xz-utils)",
        _ => "",
    }
}

fn cannot_run(command: &Command, e: &std::io::Error) -> Failure {
    let name = program(command);
    format!("cannot run '{name}': {e}{}", hint(&name))
}

/// Runs a program with its output on the terminal.
pub(crate) fn show(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|e| cannot_run(command, &e))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("'{}' failed ({status})", line(command))),
    }
}

/// Runs a program and gives its standard output; what it says on standard error becomes the failure.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let done: Output = command.stdin(Stdio::null()).output().map_err(|e| cannot_run(command, &e))?;
    match done.status.success() {
        true => Ok(done.stdout),
        false => {
            let said = String::from_utf8_lossy(&done.stderr);
            Err(format!("'{}' failed ({})\n{}", line(command), done.status, said.trim_end()))
        }
    }
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_failed() {
        let e = output(&mut Command::new("no-such-program")).unwrap_err();
        assert!(e.starts_with("cannot run 'no-such-program': "), "{e}");
        let e = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(e.starts_with("'sh -c echo why") && e.ends_with("\nwhy"), "{e}");
        assert_eq!(output(Command::new("echo").arg("x")).unwrap(), b"x\n");
        assert!(show(&mut Command::new("false")).is_err());
    }
}
