//! The group `block`: what a guest gets of its disk, a raw image that the host has in its cache. The programs are those of
//! `tests/bench/block.c`; each runs in a guest with one kind of disk after the other, as `BENCHMARK@DISK`, on both emulators.

use std::path::{Path, PathBuf};

use super::suite::Benchmark;
use crate::files::write;
use crate::process::Failure;

/// The group's name.
pub(super) const GROUP: &str = "block";

/// Bytes of the disk, and of the blocks that begin with their number: those of `tests/bench/block.c`.
const DISK: usize = 128 << 20;
const BLOCK: usize = 4 << 10;

/// A kind of disk.
#[derive(Debug)]
pub(super) struct Device {
    name: &'static str,
    /// Its `-device`, on QEMU's command line and on ours: a drive `disk` is there.
    pub(super) option: &'static str,
    benchmarks: &'static [Benchmark],
}

const fn one(name: &'static str, what: &'static str) -> Benchmark {
    Benchmark { group: GROUP, name, what }
}

/// All kinds that both emulators have, and that the guest's initial RAM disk has a driver for.
pub(super) const DEVICES: &[Device] = &[Device {
    name: "virtio",
    option: "virtio-blk-pci,drive=disk,disable-legacy=on",
    benchmarks: &[
        one(
            "read4k@virtio",
            "512 direct reads of 4 KiB of a virtio disk at random places, one after the other",
        ),
        one("read4kx32@virtio", "the same with 32 in flight"),
        one("write4k@virtio", "512 direct writes of 4 KiB at random places, one after the other"),
        one("write4kx32@virtio", "the same with 32 in flight"),
        one("read1m@virtio", "64 direct reads of 1 MiB, one after the other"),
        one("read1mx32@virtio", "the same with 32 in flight"),
        one("write1m@virtio", "64 direct writes of 1 MiB, one after the other"),
        one("write1mx32@virtio", "the same with 32 in flight"),
    ],
}];

impl Device {
    /// Whether the benchmark runs in a guest with such a disk.
    pub(super) fn has(&self, name: &str) -> bool {
        name.split_once('@').is_some_and(|(_, device)| device == self.name)
    }
}

/// The whole group.
pub(super) fn all() -> impl Iterator<Item = Benchmark> {
    DEVICES.iter().flat_map(|device| device.benchmarks).copied()
}

/// Whether the benchmark is of the group.
pub(super) fn has(name: &str) -> bool {
    DEVICES.iter().any(|device| device.has(name))
}

/// Writes the disk's image; what guests write is what is there.
pub(super) fn image(dir: &Path) -> Result<PathBuf, Failure> {
    let path = dir.join("block.img");
    let mut bytes = vec![0; DISK];
    for (n, block) in bytes.chunks_exact_mut(BLOCK).enumerate() {
        block[..8].copy_from_slice(&(n as u64).to_le_bytes());
    }
    write(&path, &bytes)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_runs_with_every_disk() {
        for device in DEVICES {
            assert_eq!(device.benchmarks.len(), 8);
            assert!(device.benchmarks.iter().all(|b| device.has(b.name) && has(b.name)));
        }
        assert!(!has("disk4k@lazy") && !has("read4k"));
    }
}
