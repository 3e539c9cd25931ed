//! `cargo xtask gdb`: two sessions of a real gdb with Debian's kernel, one at its first instructions and one with the
//! system running. The transcript is shown, and what must be in it is looked for.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{Failure, output, show};

/// How long the kernel runs by itself between the sessions.
const BOOT: Duration = Duration::from_secs(12);
/// What the program says before the address.
const ANNOUNCEMENT: &str = "understage: a debugger can connect to ";

/// A script below `frontends/understage/tests/gdb/`, and what gdb says if everything holds.
struct Session {
    script: &'static str,
    expected: &'static [&'static str],
}

const ENTRY: Session = Session {
    script: "entry.gdb",
    expected: &[
        "entry: EL2 at 0x",
        "breakpoint: EL2 at 0x",
        "step: EL2 at 0x",
        "ICH_LR0_EL2 0x50a0000000000021: pending, virtual INTID 33, priority 0xa0, group 1",
        "setting up EL2: EL2, returns to 0x",
        "left EL2: EL1 at 0x",
        "HCR_EL2 0x80000000",
        "(CPU 1, off)",
    ],
};

const RUNNING: Session = Session {
    script: "running.gdb",
    expected: &[
        "(CPU 1, EL",
        "interrupt: EL1, HCR_EL2 0x80000000",
        "is at physical address",
        "Hardware access (read/write) watchpoint",
        "watched: EL1",
    ],
};

/// The machine; it ends with this chore.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // The debugger has ended it, if all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs both sessions.
pub(crate) fn run(workspace: &Path) -> Result<(), Failure> {
    let guests = workspace.join(".guests");
    let (kernel, ram_disk) = (guests.join("Image"), guests.join("shell.cpio"));
    if !kernel.is_file() || !ram_disk.is_file() {
        return Err(format!("there is no kernel in {}: 'cargo xtask guests' fetches one", guests.display()));
    }
    output(Command::new("gdb-multiarch").arg("--version"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    show(Command::new(cargo).args(["build", "--release", "-p", "understage"]).current_dir(workspace))?;
    let mut machine = Command::new(workspace.join("target/release/understage"));
    machine.args(["run", "--cpu", "cortex-a72", "--smp", "2", "--memory", "512M", "--serial", "null"]);
    machine
        .args(["--gdb", "127.0.0.1:0", "--gdb-wait", "--kernel"])
        .arg(&kernel)
        .arg("--initrd")
        .arg(&ram_disk);
    let machine = machine.stderr(Stdio::piped()).spawn();
    let mut machine = Machine(machine.map_err(|e| format!("cannot run what was built: {e}"))?);
    let address = address(&mut machine)?;
    session(workspace, &address, &ENTRY)?;
    println!("== the kernel boots for {} s", BOOT.as_secs());
    std::thread::sleep(BOOT);
    session(workspace, &address, &RUNNING)
}

/// Where the machine listens.
fn address(machine: &mut Machine) -> Result<String, Failure> {
    let mut line = String::new();
    if let Some(stderr) = machine.0.stderr.take() {
        BufReader::new(stderr).read_line(&mut line).map_err(|e| format!("cannot read what it says: {e}"))?;
    }
    let address = line.trim().strip_prefix(ANNOUNCEMENT);
    address
        .map(str::to_owned)
        .ok_or_else(|| format!("the machine does not say where it listens, but: {line}"))
}

fn session(workspace: &Path, address: &str, session: &Session) -> Result<(), Failure> {
    println!("== {}", session.script);
    // What 'monitor' prints goes to standard error; it must stay between the lines that it belongs to.
    let mut gdb = Command::new("sh");
    gdb.args(["-c", "exec gdb-multiarch \"$@\" 2>&1", "gdb-multiarch"]);
    gdb.args(["-nx", "-batch", "-ex", &format!("target remote {address}"), "-x"]);
    gdb.arg(workspace.join("frontends/understage/tests/gdb").join(session.script));
    let text = String::from_utf8_lossy(&output(&mut gdb)?).into_owned();
    println!("{text}");
    match missing(&text, session.expected) {
        None => Ok(()),
        Some(what) => Err(format!("{}: gdb did not say '{what}'", session.script)),
    }
}

/// The first of the expected words that is not there after the ones before it.
fn missing<'a>(mut text: &str, expected: &[&'a str]) -> Option<&'a str> {
    expected.iter().copied().find(|what| match text.find(what) {
        Some(at) => {
            text = &text[at..];
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_expected_in_order() {
        assert_eq!(missing("one two three", &["one", "three"]), None);
        assert_eq!(missing("one two three", &["three", "one"]), Some("one"));
    }
}
