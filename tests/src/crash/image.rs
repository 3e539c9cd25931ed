//! The image, and what must be in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use emu_devices::block::{self, OpenOptions};
use tempfile::TempDir;

use super::workload::{DISK, SECTOR, Write};

/// Format of the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The file is the disk.
    Raw,
    /// QCOW2, whose tables must be right as well.
    Qcow2,
}

impl Format {
    /// All.
    pub const ALL: [Self; 2] = [Self::Raw, Self::Qcow2];

    /// What command lines call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// How `qemu-img check` ends if there are leaked clusters, and nothing is damaged.
const LEAKS: i32 = 3;

/// What a look at the image has shown.
pub(super) struct Seen {
    /// Some of what was not yet flushed is there, and some is not.
    pub(super) midway: bool,
    /// `qemu-img` has found it sound, too.
    pub(super) by_other: bool,
}

/// What a sector may hold.
#[derive(Clone, Copy)]
struct Sector {
    flushed: u64,
    /// Written, and not known to be flushed.
    may_be: Option<u64>,
}

pub(super) struct Image {
    _directory: TempDir,
    path: PathBuf,
    format: Format,
    sectors: Vec<Sector>,
    stamp: u64,
}

/// An empty image of version 3: header, reference counts of the first four clusters, and an L1 table with one entry.
fn empty_qcow2() -> Vec<u8> {
    const CLUSTER: u64 = 1 << 16;
    let mut out = vec![0; 4 * CLUSTER as usize];
    let mut put = |at: u64, bytes: &[u8]| out[at as usize..][..bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &DISK.to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * CLUSTER).to_be_bytes());
    put(48, &CLUSTER.to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER).to_be_bytes());
    (0..4).for_each(|n| put(2 * CLUSTER + 2 * n, &1_u16.to_be_bytes()));
    out
}

impl Image {
    pub(super) fn create(format: Format) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|e| format!("cannot make a directory: {e}"))?;
        let path = directory.path().join("disk");
        let bytes = match format {
            Format::Raw => vec![0; DISK as usize],
            Format::Qcow2 => empty_qcow2(),
        };
        std::fs::write(&path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        let sectors = vec![Sector { flushed: 0, may_be: None }; (DISK / SECTOR) as usize];
        Ok(Self { _directory: directory, path, format, sectors, stamp: 1 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// A number that nothing on the disk has.
    pub(super) fn next_stamp(&self) -> u64 {
        self.stamp
    }

    /// The numbers before `stamp` are used.
    pub(super) fn reserve(&mut self, stamp: u64) {
        self.stamp = stamp;
    }

    fn range(&mut self, write: &Write) -> &mut [Sector] {
        &mut self.sectors[write.sector as usize..][..write.sectors as usize]
    }

    /// It was written and flushed.
    pub(super) fn expect(&mut self, write: &Write) {
        self.range(write).fill(Sector { flushed: write.stamp, may_be: None });
    }

    /// It may have been written.
    pub(super) fn allow(&mut self, write: &Write) {
        self.range(write).iter_mut().for_each(|s| s.may_be = Some(write.stamp));
    }

    /// Opens the image as a machine does, and compares; what was not known before is known then.
    pub(super) fn check(&mut self) -> Result<Seen, String> {
        let format = match self.format {
            Format::Raw => block::Format::Raw,
            Format::Qcow2 => block::Format::Qcow2,
        };
        let options = OpenOptions { format: Some(format), ..OpenOptions::default() };
        let disk = block::open(&self.path, options).map_err(|e| format!("the image is not sound: {e}"))?;
        let mut bytes = vec![0; DISK as usize];
        disk.read_at(0, &mut bytes).map_err(|e| format!("the image cannot be read: {e}"))?;
        let (mut new, mut old) = (false, false);
        for (n, (sector, bytes)) in
            self.sectors.iter_mut().zip(bytes.chunks_exact(SECTOR as usize)).enumerate()
        {
            let (words, _) = bytes.as_chunks::<8>();
            let found = u64::from_le_bytes(words[0]);
            if words.iter().any(|w| *w != words[0]) {
                return Err(format!("sector {n} is torn"));
            }
            match sector.may_be.take() {
                Some(stamp) if stamp == found => new |= stamp != sector.flushed,
                Some(_) if sector.flushed == found => old = true,
                None if sector.flushed == found => {}
                _ => return Err(format!("sector {n} has {found}, and not {}", sector.flushed)),
            }
            sector.flushed = found;
        }
        disk.flush().map_err(|e| format!("the image cannot be flushed: {e}"))?;
        drop(disk);
        Ok(Seen { midway: new && old, by_other: self.check_by_other()? })
    }

    /// What `qemu-img` says of it; false if it is not there, or has nothing to say of the format. Clusters that are counted and not
    /// used are what a machine leaves that was about to use them: they are lost room, and no damage.
    fn check_by_other(&self) -> Result<bool, String> {
        if self.format == Format::Raw {
            return Ok(false);
        }
        match Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&self.path).output() {
            Err(_) => Ok(false),
            Ok(done) if matches!(done.status.code(), Some(0 | LEAKS)) => Ok(true),
            Ok(done) => Err(format!(
                "qemu-img: {}{}",
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            )),
        }
    }
}
