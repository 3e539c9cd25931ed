//! `cargo xtask guests`: a Linux kernel and a shell to run in the machine.
//!
//! The kernel and busybox come from Debian's arm64 archive by package name, through an apt with a configuration of its
//! own: the system's apt is not changed, nothing is installed, and no root is needed. apt verifies what it fetches
//! with Debian's installed keyring. Everything lands in `.guests/`:
//!
//! | file | what |
//! |---|---|
//! | `Image` | Debian's kernel |
//! | `shell.cpio` | an initial RAM disk: busybox, the virtio drivers, a shell |
//! | `disk.img` | 1 MiB in which every sector says its number |
//! | `manifest.txt` | what they were made of |
//! | `source/Image` | a kernel of ours, if it was asked for ([`source`]) |

mod apt;
pub(crate) mod cpio;
mod modules;
pub(crate) mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::files::{make_dir, read, write};
use crate::process::Failure;
use modules::Modules;

/// Grows when the files are made in another way, so that old ones are made again.
const RECIPE: &str = "recipe 2";
/// The first program of the guest.
const INIT: &str = include_str!("init.sh");
/// What busybox's init runs, once: it serves poweroff, reboot and halt meanwhile, which a script in its place would not.
const INITTAB: &str = "::once:/etc/session\n";
/// The session.
const SESSION: &str = include_str!("session.sh");
/// Drivers that Debian builds as modules and the guest needs; what they depend on is added.
const DRIVERS: &[&str] = &["virtio_blk", "virtio_console", "virtio_mmio", "virtio_rng"];
/// What is made.
const PRODUCTS: [&str; 4] = ["Image", "shell.cpio", "disk.img", MANIFEST];
const MANIFEST: &str = "manifest.txt";

/// The directory with the guests' files, which are made unless they are there.
pub(crate) fn ensure(workspace: &Path) -> Result<PathBuf, Failure> {
    let dir = directory(workspace);
    if !is_current(&dir) {
        run(workspace, false)?;
    }
    Ok(dir)
}

fn directory(workspace: &Path) -> PathBuf {
    workspace.join(".guests")
}

/// Makes the guests' files, unless they are there.
pub(crate) fn run(workspace: &Path, refresh: bool) -> Result<(), Failure> {
    let dir = directory(workspace);
    if !refresh && is_current(&dir) {
        println!("the guests in {} are there (--refresh looks for newer packages)", dir.display());
        return Ok(());
    }
    make_dir(&dir)?;
    let (kernel, packages) = fetch(&dir)?;
    let root = dir.join("root");
    step("unpacking", || {
        let _ = fs::remove_dir_all(&root);
        packages.iter().try_for_each(|deb| apt::unpack(deb, &root))
    })?;
    step("building the initial RAM disk", || {
        write(&dir.join("Image"), &read(&root.join(format!("boot/vmlinuz-{kernel}")))?)?;
        let modules = Modules::find(&root.join("usr/lib/modules").join(&kernel))?;
        let busybox = read(&root.join("usr/bin/busybox"))?;
        write(&dir.join("shell.cpio"), &ram_disk(&busybox, &modules.closure(DRIVERS)?))?;
        write(&dir.join("disk.img"), &disk())
    })?;
    let _ = fs::remove_dir_all(&root);
    let names: Vec<_> =
        packages.iter().filter_map(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned()).collect();
    write(&dir.join(MANIFEST), format!("{RECIPE}\n{}\n", names.join("\n")).as_bytes())?;
    println!("the guests are in {}; for a shell in Linux at EL2:", dir.display());
    println!("  cargo run --release -- run --kernel .guests/Image --initrd .guests/shell.cpio");
    Ok(())
}

/// Fetches the packages; gives the kernel's release and the packages' files.
fn fetch(dir: &Path) -> Result<(String, Vec<PathBuf>), Failure> {
    let apt = apt::Apt::prepare(&dir.join("apt"))?;
    step("reading Debian's package lists", || apt.update())?;
    let image = apt.dependency("linux-image-arm64", "linux-image-")?;
    let release = image.trim_start_matches("linux-image-").to_owned();
    let debs = dir.join("packages");
    make_dir(&debs)?;
    let names = [image.as_str(), "busybox-static"];
    let files = step(&format!("fetching {}", names.join(" and ")), || apt.download(&names, &debs))?;
    Ok((release, files))
}

fn is_current(dir: &Path) -> bool {
    let made_now = |text: String| text.lines().next() == Some(RECIPE);
    PRODUCTS.iter().all(|p| dir.join(p).is_file())
        && fs::read_to_string(dir.join(MANIFEST)).is_ok_and(made_now)
}

/// The initial RAM disk: modules are loaded in the order of their list.
fn ram_disk(busybox: &[u8], drivers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = cpio::Archive::default();
    for name in ["bin", "dev", "etc", "lib", "mnt", "modules", "proc", "root", "run", "sys", "tmp"] {
        archive.directory(name);
    }
    archive.char_device("dev/console", 5, 1);
    archive.char_device("dev/null", 1, 3);
    archive.file("bin/busybox", 0o755, busybox);
    archive.symlink("bin/sh", "busybox");
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("etc/inittab", 0o644, INITTAB.as_bytes());
    archive.file("etc/session", 0o755, SESSION.as_bytes());
    let mut order = String::new();
    for (name, bytes) in drivers {
        archive.file(&format!("modules/{name}.ko"), 0o644, bytes);
        order.push_str(name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    archive.finish()
}

/// 1 MiB of sectors that say their number, so that a guest can tell what it has read.
fn disk() -> Vec<u8> {
    (0..2048).flat_map(|n| format!("{:<511}\n", format!("UNDERSTAGE sector {n:06}")).into_bytes()).collect()
}

/// Does one step and shows that it is going on: a line that moves on a terminal, a plain line elsewhere.
fn step<T>(what: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    let done = work();
    bar.finish_and_clear();
    if done.is_ok() {
        println!("{what}: done in {:.0} s", begun.elapsed().as_secs_f32());
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_say_their_number() {
        let disk = disk();
        assert_eq!(disk.len(), 1 << 20);
        assert!(disk[512 * 1234..].starts_with(b"UNDERSTAGE sector 001234 "));
        assert_eq!(disk[511], b'\n');
    }

    #[test]
    fn the_ram_disk_lists_its_modules_in_order() {
        let drivers = [("a".to_owned(), b"A".to_vec()), ("b".to_owned(), b"B".to_vec())];
        let bytes = ram_disk(b"busybox", &drivers);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("modules/order\0") && text.contains("a\nb\n"));
    }

    #[test]
    fn init_loads_what_is_listed() {
        assert!(INIT.starts_with("#!/bin/busybox sh\n") && INIT.contains("/modules/order"));
    }

    #[test]
    fn init_goes_on_as_the_program_that_poweroff_asks() {
        assert!(INIT.ends_with("\nexec init\n") && INITTAB.contains(":/etc/session\n"));
        let bytes = ram_disk(b"busybox", &[]);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("etc/inittab\0") && text.contains("etc/session\0"));
    }
}
