//! `cargo xtask guests --kernel-from-source`: a small kernel, built from Debian's package of the kernel's source with a
//! configuration of ours (`source.config`). It has what Debian's own is built without: DMA tests, shared virtual addressing,
//! IOMMUFD and drivers in user space. That takes some minutes, once: the kernel stays in `.guests/source/Image`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{apt, directory, step};
use crate::files::{make_dir, read, write};
use crate::process::{Failure, output, show};

/// What the kernel has beside `allnoconfig`.
const CONFIG: &str = include_str!("source.config");
/// What the build needs, and does not find out before it has begun.
const TOOLS: [&str; 5] = ["make", "flex", "bison", "bc", "aarch64-linux-gnu-gcc"];
const IMAGE: &str = "Image";
const MANIFEST: &str = "manifest.txt";

/// Makes `.guests/source/Image`, unless it is there, of this configuration.
pub(crate) fn run(workspace: &Path, refresh: bool) -> Result<(), Failure> {
    let dir = directory(workspace).join("source");
    let image = dir.join(IMAGE);
    let made = fs::read_to_string(dir.join(MANIFEST)).is_ok_and(|text| text.ends_with(CONFIG));
    if !refresh && made && image.is_file() {
        println!("the kernel '{}' is there (--refresh looks for a newer source)", image.display());
        return Ok(());
    }
    TOOLS.iter().try_for_each(|tool| output(Command::new(tool).arg("--version")).map(drop))?;
    make_dir(&dir)?;
    let apt = apt::Apt::prepare(&directory(workspace).join("apt"))?;
    step("reading Debian's package lists", || apt.update())?;
    let package = apt.dependency("linux-source", "linux-source-")?;
    let debs = step(&format!("fetching {package}"), || apt.download(&[&package], &dir))?;
    let tree = dir.join("tree");
    step("unpacking", || {
        let _ = fs::remove_dir_all(&tree);
        debs.iter().try_for_each(|deb| apt::unpack(deb, &tree))?;
        let archive = tree.join(format!("usr/src/{package}.tar.xz"));
        output(Command::new("tar").arg("-C").arg(&tree).arg("-xf").arg(archive)).map(drop)
    })?;
    let source = tree.join(&package);
    step("configuring", || configure(&source))?;
    println!("building the kernel: some minutes");
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    show(make(&source).arg(format!("-j{jobs}")).args(["-s", "Image"]))?;
    write(&image, &read(&source.join("arch/arm64/boot/Image"))?)?;
    let names = debs.iter().filter_map(|deb| deb.file_name()).map(|name| name.to_string_lossy().into_owned());
    write(&dir.join(MANIFEST), format!("{}\n{CONFIG}", names.collect::<Vec<_>>().join("\n")).as_bytes())?;
    println!("the kernel is '{}'", image.display());
    Ok(())
}

/// make in the kernel's tree, behind all else that the host does.
fn make(source: &Path) -> Command {
    let mut command = Command::new("nice");
    command.arg("make").arg("-C").arg(source).args(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"]);
    command
}

fn configure(source: &Path) -> Result<(), Failure> {
    let wanted = source.join("understage.config");
    write(&wanted, CONFIG.as_bytes())?;
    let all = format!("KCONFIG_ALLCONFIG={}", wanted.display());
    output(make(source).args(["-s", "allnoconfig"]).arg(all))?;
    let got = read(&source.join(".config"))?;
    match missing(&String::from_utf8_lossy(&got)) {
        Some(option) => Err(format!("the kernel's source does not know '{option}', or needs more for it")),
        None => Ok(()),
    }
}

/// The first line of our configuration that `got` does not have.
fn missing(got: &str) -> Option<&'static str> {
    let got: std::collections::HashSet<&str> = got.lines().collect();
    CONFIG.lines().filter(|line| line.starts_with("CONFIG_")).find(|line| !got.contains(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_was_not_taken_is_found() {
        assert_eq!(missing(CONFIG), None);
        let without = CONFIG.replace("CONFIG_DMATEST=y", "# CONFIG_DMATEST is not set");
        assert_eq!(missing(&without), Some("CONFIG_DMATEST=y"));
    }

    #[test]
    fn it_has_what_it_is_for() {
        for option in ["DMATEST", "PL330_DMA", "ARM_SMMU", "ARM_SMMU_V3_SVA", "IOMMUFD", "VFIO_PLATFORM"] {
            assert!(CONFIG.contains(&format!("\nCONFIG_{option}=y\n")), "{option}");
        }
    }
}
