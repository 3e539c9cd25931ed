//! Builds what is run: the emulator, the guest's program in an initial RAM disk, and the same program for this host.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{make_dir, read, write};
use crate::guests::cpio::Archive;
use crate::process::{Failure, output, show};

/// The compiler for the guest, from Debian's package gcc-aarch64-linux-gnu.
const CROSS_CC: &str = "aarch64-linux-gnu-gcc";
/// The compiler for the host.
const CC: &str = "cc";
/// The same for both, and for every processor of the architecture. Vectors are where the sources have them, and not
/// where one version of a compiler sees them: the groups are to say what is slow.
const FLAGS: [&str; 6] = ["-std=gnu11", "-O2", "-fno-tree-vectorize", "-Wall", "-Wextra", "-static"];

/// The program that guests run.
const GUEST_PROGRAM: &str = "bench-aarch64";

/// Where cargo puts what it builds.
fn target_dir(workspace: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace.join(dir),
        None => workspace.join("target"),
    }
}

/// Builds the emulator as users have it; gives the program.
pub(crate) fn understage(workspace: &Path) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    show(
        Command::new(cargo)
            .args(["build", "--release", "--locked", "--package", "understage"])
            .current_dir(workspace),
    )?;
    Ok(target_dir(workspace).join("release/understage"))
}

/// Where what guests need is put.
pub(crate) fn directory(workspace: &Path) -> Result<PathBuf, Failure> {
    let dir = target_dir(workspace).join("bench");
    make_dir(&dir)?;
    Ok(dir)
}

/// The sources, in order of their names.
fn sources(workspace: &Path) -> Result<Vec<PathBuf>, Failure> {
    let dir = workspace.join("tests/bench");
    let entries = fs::read_dir(&dir).map_err(|e| format!("cannot read '{}': {e}", dir.display()))?;
    let mut files: Vec<_> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "c")).collect();
    files.sort();
    Ok(files)
}

fn compile(cc: &str, workspace: &Path, program: &Path) -> Result<(), Failure> {
    let mut words: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    words.extend(["-o".into(), program.into()]);
    words.extend(sources(workspace)?.into_iter().map(OsString::from));
    words.push("-lm".into());
    output(Command::new(cc).args(words)).map(drop)
}

/// What cargo runs to measure the costs of translation; it is built already ([`translation`]).
pub(crate) fn translation_command(workspace: &Path, ms: u32, names: &[&str]) -> Command {
    let mut command = cargo_bench(workspace);
    command.arg("--").arg(ms.to_string()).args(names);
    command
}

/// Builds the benchmark of the crate that translates DMA.
pub(crate) fn translation(workspace: &Path) -> Result<(), Failure> {
    show(cargo_bench(workspace).arg("--no-run"))
}

fn cargo_bench(workspace: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["bench", "--locked", "--package", "emu-smmu", "--bench", "dma"]).current_dir(workspace);
    command
}

/// The shell's initial RAM disk with the guest's program as its session: it has drivers for a disk.
pub(crate) fn disk_guest(workspace: &Path, files: &Path) -> Result<PathBuf, Failure> {
    let dir = target_dir(workspace).join("bench");
    let mut archive = Archive::default();
    archive.file("bin/bench", 0o755, &read(&dir.join(GUEST_PROGRAM))?);
    archive.file("etc/session", 0o755, &read(&workspace.join("tests/bench/disk-session.sh"))?);
    // Linux unpacks one archive after the other, the later over the earlier.
    let mut both = read(&files.join("shell.cpio"))?;
    both.extend(archive.finish());
    let initrd = dir.join("disk.cpio");
    write(&initrd, &both)?;
    Ok(initrd)
}

/// Builds the guest's program; gives an initial RAM disk whose first process it is.
pub(crate) fn guest(workspace: &Path) -> Result<PathBuf, Failure> {
    let dir = directory(workspace)?;
    let program = dir.join(GUEST_PROGRAM);
    compile(CROSS_CC, workspace, &program)?;
    let mut archive = Archive::default();
    archive.directory("dev");
    archive.char_device("dev/console", 5, 1);
    archive.file("init", 0o755, &read(&program)?);
    let initrd = dir.join("bench.cpio");
    write(&initrd, &archive.finish())?;
    Ok(initrd)
}

/// Builds the program that needs no kernel and measures for `ms` milliseconds.
pub(crate) fn bare(workspace: &Path, ms: u32) -> Result<PathBuf, Failure> {
    let dir = directory(workspace)?;
    let program = dir.join("aligned.elf");
    output(
        Command::new(CROSS_CC)
            .args(FLAGS)
            // Nothing that it is compiled to may be misaligned, or use registers that are not there yet.
            .args(["-nostdlib", "-ffreestanding", "-mgeneral-regs-only", "-mstrict-align", "-no-pie"])
            .args(["-fno-tree-loop-distribute-patterns", "-Wl,-Ttext=0x40080000", "-Wl,--build-id=none"])
            .arg(format!("-DMILLISECONDS={ms}"))
            .arg("-o")
            .arg(&program)
            .arg(workspace.join("tests/bench/bare/aligned.c")),
    )?;
    Ok(program)
}

/// Builds the program for this host.
pub(crate) fn native(workspace: &Path) -> Result<PathBuf, Failure> {
    let dir = directory(workspace)?;
    let program = dir.join("bench-native");
    compile(CC, workspace, &program)?;
    Ok(program)
}

/// The compilers' versions, for the report.
pub(crate) fn compilers(native: bool) -> Vec<String> {
    let wanted = if native { &[CROSS_CC, CC][..] } else { &[CROSS_CC] };
    wanted.iter().filter_map(|cc| super::host::first_line(Command::new(cc).arg("--version"))).collect()
}
