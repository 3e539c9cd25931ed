//! Small files that say that they are large: what becomes of one is bounded by its size, and by the limits that the loader
//! gives. `tests/amplification.rs` measures what this target allocates.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use emu_devices::block::{self, Format, OpenOptions};
use flate2::Compression;
use flate2::write::GzEncoder;
use understage::config::HostFile;
use understage::fdt;
use understage::load::{elf, image};

use super::source::Source;

/// What a kernel may be decompressed to.
const LIMIT: u64 = 1 << 20;

fn file() -> HostFile {
    HostFile::new("--kernel", "a file")
}

/// An address or a length that may be anything, but is mostly one that fits.
fn number(s: &mut Source, below: u64) -> u64 {
    if s.one_in(8) { s.value() } else { s.below(below.max(1)) }
}

/// Many segments over the same bytes of the file.
fn program(s: &mut Source) -> Vec<u8> {
    let count = 1 + s.below(0xffff);
    let payload = 1 + s.below(0x1_0000);
    let table = 64 + payload;
    let mut out = vec![0; 64];
    out[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    out[16..24].copy_from_slice(&[2, 0, 183, 0, 1, 0, 0, 0]);
    out[32..40].copy_from_slice(&table.to_le_bytes());
    out[52..58].copy_from_slice(&[64, 0, 56, 0, 0, 0]);
    out[56..58].copy_from_slice(&(count as u16).to_le_bytes());
    out.resize(table as usize, 0x11);
    let (step, zeros) = (s.pick(&[0, 0, 1, payload, payload / 2, 1 << 20]), s.one_in(2));
    // Some of a kind, so that few bytes of the input make a long table.
    let kinds: Vec<[u64; 3]> = (0..1 + s.below(4))
        .map(|_| {
            let offset = number(s, table);
            [offset, number(s, table - offset.min(table)), number(s, 1 << 32)]
        })
        .collect();
    for n in 0..count {
        let [offset, len, extra] = kinds[n as usize % kinds.len()];
        let address = 0x4000_0000_u64.wrapping_add(n.wrapping_mul(step));
        let size = if zeros { len.wrapping_add(extra) } else { len };
        for field in [1 | 7 << 32, offset, address, address, len, size, 0x1000] {
            out.extend(field.to_le_bytes());
        }
    }
    out
}

/// A devicetree of properties and nodes that share long names.
fn devicetree(s: &mut Source) -> Vec<u8> {
    let be = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let mut strings = vec![b'a'; s.pick(&[8, 200, 255, 256, 60_000])];
    strings.push(0);
    let mut structure = be(&[1, 0]);
    let (count, open) = (s.below(0x1_0000), s.below(70));
    let (spread, len) = (number(s, strings.len() as u64) as u32, s.pick(&[0, 0, 4]));
    for n in 0..count as u32 {
        let at = if spread == 0 { 0 } else { n % spread };
        structure.extend(be(&[3, len, at]));
        structure.extend(vec![0; len as usize]);
    }
    (0..open).for_each(|_| structure.extend(be(&[1, 0x6162_6300])));
    (0..open + 1).for_each(|_| structure.extend(be(&[2])));
    structure.extend(be(&[9]));
    let (at, strings_at) = (56, 56 + structure.len());
    let total = (strings_at + strings.len()) as u32;
    let lengths = [strings.len() as u32, structure.len() as u32];
    let mut out = be(&[0xd00d_feed, total, at, strings_at as u32, 40, 17, 16, 0]);
    out.extend(be(&lengths));
    out.extend([0; 16]);
    out.extend(structure);
    out.extend(strings);
    out
}

/// Some megabytes of zeros, which are some kilobytes when they are compressed; perhaps several times over.
fn compressed(s: &mut Source) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1 + s.below(8) {
        encoder.write_all(&zeros).expect("writing to a vector");
    }
    let one = encoder.finish().expect("writing to a vector");
    one.repeat(1 + s.below(3) as usize)
}

/// A disk whose tables are large, in a file that is mostly a hole.
fn sparse_disk(s: &mut Source, path: &Path) -> std::io::Result<()> {
    let bits = s.pick(&[9_u32, 12, 16, 21]);
    let cluster = 1_u64 << bits;
    let mut out = vec![0; cluster as usize];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let entries = s.pick(&[1_u32, 512, 8192, 4 << 20, u32::MAX]);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(20, &bits.to_be_bytes());
    put(24, &s.pick(&[0, 1 << 20, 1 << 40, 1 << 62, u64::MAX]).to_be_bytes());
    put(36, &entries.to_be_bytes());
    put(40, &(s.pick(&[1, 2, 1 << 20]) * cluster).to_be_bytes());
    put(48, &(2 * cluster).to_be_bytes());
    put(56, &s.pick(&[1_u32, 4, 128, u32::MAX]).to_be_bytes());
    put(96, &s.pick(&[4_u32, 0, 6]).to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    // Every entry of both tables leads to a place of its own, or all lead to one.
    let step = s.pick(&[0, 1]) * cluster;
    let mut tables = Vec::new();
    for n in 0..(4 * cluster / 8).min(0x1_0000) {
        tables.extend((3 * cluster + n * step).to_be_bytes());
    }
    out.extend(tables);
    std::fs::write(path, &out)?;
    let size = s.pick(&[out.len() as u64, 1 << 30, 1 << 40]);
    std::fs::File::options().write(true).open(path)?.set_len(size)
}

fn disk(s: &mut Source) {
    let dir = tempfile::tempdir().expect("there is a directory for temporary files");
    let path = dir.path().join("disk");
    // Some file systems have no files of this size.
    if sparse_disk(s, &path).is_err() {
        return;
    }
    let (read_only, snapshot) = (s.one_in(3), s.one_in(3));
    let Ok(disk) = block::open(&path, OpenOptions { format: Some(Format::Qcow2), read_only, snapshot })
    else {
        return;
    };
    let mut buffer = [0; 512];
    for _ in 0..8 {
        let offset = s.below(disk.len().max(1)) & !511;
        let len = (disk.len() - offset).min(1 << 30);
        // Errors are answers, too.
        let _ = disk.read_at(offset, &mut buffer);
        let _ = if snapshot && !read_only { disk.discard(offset, len) } else { Ok(()) };
    }
}

/// Makes a file and reads it as the loader does.
pub(super) fn run(data: &[u8]) {
    let s = &mut Source::new(data);
    match s.u8() % 4 {
        0 => {
            let bytes = Bytes::from(program(s));
            // What it says of damaged ones is not asked here.
            let _ = elf::parse(&bytes, &file());
        }
        1 => {
            let bytes = devicetree(s);
            if let Ok(tree) = fdt::read::read(&bytes) {
                let held: usize = tree.root.properties.iter().map(|p| p.value.len()).sum();
                assert!(held <= bytes.len());
            }
        }
        2 => {
            if let Ok(bytes) = image::decompress(compressed(s), &file(), LIMIT) {
                assert!(bytes.len() as u64 <= LIMIT);
            }
        }
        _ => disk(s),
    }
}
