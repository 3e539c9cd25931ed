//! Disk images that stand on others, as nobody makes them: damaged ones, circles, names that lead nowhere or to what is no
//! file.

use std::path::Path;

use emu_devices::block::{Format, OpenOptions};
use emu_devices::hostfile::{self, Claim};

use super::images;
use super::source::Source;

/// Files that an input makes; they are called by their numbers.
const FILES: u8 = 4;
/// Where the header of the sample ends, and its extensions begin.
const EXTENSIONS: usize = 104;
/// The number of the extension with the format of the backing file.
const FORMAT: u32 = 0xe279_2aca;

fn name(s: &mut Source) -> Vec<u8> {
    let other = s.below(u64::from(FILES));
    match s.u8() % 12 {
        0 => Vec::new(),
        1 => format!("nbd:{other}").into_bytes(),
        2 => vec![b'0'; 1 + s.below(1100) as usize],
        3 => format!("../{other}").into_bytes(),
        4 => format!("file:./{other}").into_bytes(),
        5 => (0..s.below(8)).map(|_| s.u8()).collect(),
        6 => b"/dev/zero".to_vec(),
        _ => other.to_string().into_bytes(),
    }
}

fn format(s: &mut Source) -> Option<Vec<u8>> {
    match s.u8() % 6 {
        0 => None,
        1 => Some((0..s.below(8)).map(|_| s.u8()).collect()),
        2 => Some(b"raw".to_vec()),
        _ => Some(b"qcow2".to_vec()),
    }
}

/// The sample, standing on another file, and damaged.
fn image(s: &mut Source) -> Vec<u8> {
    let mut out = images::disks().remove(0);
    if !s.one_in(5) {
        let mut at = EXTENSIONS;
        if let Some(format) = format(s) {
            out[at..at + 4].copy_from_slice(&FORMAT.to_be_bytes());
            out[at + 4..at + 8].copy_from_slice(&(format.len() as u32).to_be_bytes());
            out[at + 8..at + 8 + format.len()].copy_from_slice(&format);
            at += 8 + format.len().next_multiple_of(8);
        }
        let name = name(s);
        at += 8;
        out[at..at + name.len()].copy_from_slice(&name);
        out[8..16].copy_from_slice(&(at as u64).to_be_bytes());
        out[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
    }
    if s.one_in(3) {
        for _ in 0..1 + s.below(4) {
            let at = if s.one_in(2) { s.below(112) } else { s.below(out.len() as u64) };
            out[at as usize] = s.u8();
        }
    }
    out
}

fn make(dir: &Path, n: u8, s: &mut Source) {
    let path = dir.join(n.to_string());
    match s.u8() % 16 {
        0 => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO can be made"),
        1 => std::fs::create_dir(&path).expect("a directory can be made"),
        2 => {
            let other = s.below(u64::from(FILES)).to_string();
            std::os::unix::fs::symlink(other, &path).expect("a link can be made");
        }
        3 => std::fs::write(&path, vec![s.u8(); s.below(0x1_0000) as usize]).expect("there is room"),
        _ => std::fs::write(&path, image(s)).expect("there is room for a temporary file"),
    }
}

/// Makes some files and uses the first one as a disk.
pub(super) fn run(data: &[u8]) {
    let dir = tempfile::tempdir().expect("there is a directory for temporary files");
    let s = &mut Source::new(data);
    let snapshot = s.one_in(3);
    let options = OpenOptions { format: Some(Format::Qcow2), read_only: s.one_in(4), snapshot };
    for n in 0..FILES {
        make(dir.path(), n, s);
    }
    images::use_disk(&dir.path().join("0"), options, s);
    for n in 0..FILES {
        if let Ok((file, _)) = hostfile::open(&dir.path().join(n.to_string()), true) {
            assert!(
                matches!(hostfile::lock(&file, Claim::WriteAndGrow), Ok(true)),
                "file {n} is still locked"
            );
        }
    }
}
