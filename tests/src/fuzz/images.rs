//! Files that a user gives: what is damaged is refused with a sentence.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use emu_devices::block::{self, Format, OpenOptions};
use flate2::Compression;
use flate2::write::GzEncoder;
use understage::config::{CpuModel, HostFile, MachineConfig, Topology};
use understage::devicetree::{self, CpuTraits};
use understage::fdt::{self, BootInfo, Seeds};
use understage::load::{elf, image, uimage};
use understage::map::Range;

use super::source::Source;

/// What a kernel may be decompressed to.
const LIMIT: u64 = 1 << 20;

fn file() -> HostFile {
    HostFile::new("--kernel", "a kernel")
}

/// Reads a kernel as the loader does.
pub(super) fn kernel(data: &[u8]) {
    if elf::has_magic(data) {
        let bytes = Bytes::copy_from_slice(data);
        if let Ok(program) = elf::parse(&bytes, &file()) {
            let all = bytes.as_ptr_range();
            let inside = |b: &Bytes| b.is_empty() || all.contains(&b.as_ptr());
            assert!(program.segments.iter().all(|s| inside(&s.bytes)), "bytes are copied");
            let mut ends: Vec<(u64, u64)> = program.segments.iter().map(|s| (s.address, s.size)).collect();
            ends.sort_unstable();
            assert!(ends.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "segments overlap");
        }
        return;
    }
    if let Ok(Some(image)) = uimage::kernel(data, &file()) {
        assert!(image.data.len() < data.len());
        return;
    }
    if let Ok(bytes) = image::decompress(data.to_vec(), &file(), LIMIT) {
        assert!(bytes.len() as u64 <= LIMIT.max(data.len() as u64));
        if let Some(header) = image::header(&bytes) {
            assert!(header.image_size >= bytes.len() as u64);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to a vector")
}

/// An `Image`, compressed, in an EFI program; and an ELF file of two segments.
pub(super) fn kernels() -> Vec<Vec<u8>> {
    let mut plain = vec![0xa5; 2048];
    plain[8..24].copy_from_slice(&[0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
    plain[56..60].copy_from_slice(b"ARM\x64");
    let packed = gzip(&plain);
    let mut zboot = vec![0; 64];
    zboot[..8].copy_from_slice(b"MZ\0\0zimg");
    zboot[8..12].copy_from_slice(&64_u32.to_le_bytes());
    zboot[12..16].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    zboot[24..28].copy_from_slice(b"gzip");
    zboot.extend(&packed);
    vec![uimage(&plain), plain, packed, zboot, program()]
}

/// A kernel in a legacy image of U-Boot.
fn uimage(kernel: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_be_bytes()
    };
    let mut out = vec![0; 64];
    out[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    out[12..16].copy_from_slice(&(kernel.len() as u32).to_be_bytes());
    out[16..20].copy_from_slice(&0x4020_0000_u32.to_be_bytes());
    out[20..24].copy_from_slice(&0x4020_0000_u32.to_be_bytes());
    out[24..28].copy_from_slice(&crc(kernel));
    out[28..32].copy_from_slice(&[5, 22, 2, 0]);
    let sum = crc(&out);
    out[4..8].copy_from_slice(&sum);
    out.extend(kernel);
    out
}

/// A program of two segments.
fn program() -> Vec<u8> {
    let mut out = vec![0; 64];
    out[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    out[16..24].copy_from_slice(&[2, 0, 183, 0, 1, 0, 0, 0]);
    out[24..32].copy_from_slice(&0x4020_0000_u64.to_le_bytes());
    out[32..40].copy_from_slice(&64_u64.to_le_bytes());
    out[52..58].copy_from_slice(&[64, 0, 56, 0, 2, 0]);
    for (address, offset, len) in [(0x4020_0000_u64, 176_u64, 64_u64), (0x4030_0000, 200, 40)] {
        let fields = [1 | 7 << 32, offset, address, address, len, len * 2, 0x1000];
        fields.iter().for_each(|f: &u64| out.extend(f.to_le_bytes()));
    }
    out.extend([0x11; 80]);
    out
}

const MEMORY: Range = Range { base: 0x4000_0000, size: 1 << 30 };

/// Reads a devicetree, changes it as the loader does, writes it, and reads that again.
pub(super) fn devicetree(data: &[u8]) {
    let Ok(mut tree) = fdt::read::read(data) else { return };
    let initrd = Some(Range { base: 0x4800_0000, size: 4096 });
    let seeds = Seeds { rng: [1; 32], kaslr: 2 };
    let info = BootInfo {
        memory: MEMORY,
        bootargs: Some("console=ttyAMA0".into()),
        initrd,
        modules: Vec::new(),
        seeds: Some(seeds),
    };
    if info.apply(&mut tree).is_err() {
        return;
    }
    if let Ok(blob) = tree.to_blob() {
        assert_eq!(fdt::read::read(&blob).as_ref(), Ok(&tree), "what is written is read");
    }
}

/// The devicetrees of some boards.
pub(super) fn devicetrees() -> Vec<Vec<u8>> {
    let tree = |cpu: CpuModel, cpus: u32| {
        let config = MachineConfig { cpu, topology: Topology::flat(cpus), ..MachineConfig::default() };
        devicetree::build(&config, CpuTraits::of(cpu))
            .expect("every device has a place")
            .to_blob()
            .expect("the board's tree is sound")
    };
    let old = CpuModel::from_name("cortex-a72").expect("there is this model");
    vec![tree(old, 1), tree(CpuModel::max(), 4)]
}

/// Opens a disk image and uses it.
pub(super) fn disk(data: &[u8]) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("understage-fuzz-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, data).expect("there is room for a temporary file");
    let s = &mut Source::new(&data[data.len().min(104)..]);
    let snapshot = s.one_in(2);
    use_disk(&path, OpenOptions { format: Some(Format::Qcow2), read_only: false, snapshot }, s);
    let _ = std::fs::remove_file(&path);
}

/// Opens an image, if it can be, and does with it what guests do.
pub(super) fn use_disk(path: &Path, options: OpenOptions, s: &mut Source) {
    let Ok(disk) = block::open(path, options) else { return };
    let mut buffer = vec![0; 4096];
    for _ in 0..16 {
        let len = 512 * (1 + s.below(8));
        let offset = (if s.one_in(4) { s.value() } else { s.below(disk.len().max(1)) }) & !511;
        let _ = match s.u8() % 6 {
            0 | 1 => disk.read_at(offset, &mut buffer[..len as usize]),
            2 | 3 => disk.write_at(offset, &buffer[..len as usize]),
            4 => disk.discard(offset, len),
            _ => disk.write_zeroes(offset, len, s.one_in(2)),
        };
    }
    let _ = disk.flush();
}

/// A version 3 image of 1 MiB with clusters of 4 KiB, two of which are there.
pub(super) fn disks() -> Vec<Vec<u8>> {
    const CLUSTER: u64 = 4096;
    let mut out = vec![0; 8 * CLUSTER as usize];
    let mut be32 = |at: usize, v: u32| out[at..at + 4].copy_from_slice(&v.to_be_bytes());
    be32(0, 0x5146_49fb);
    be32(4, 3);
    be32(20, 12);
    // Size, L1 entries and table, refcount table and its clusters, refcount order, header length.
    be32(28, 1 << 20);
    be32(36, 1);
    be32(44, 3 * CLUSTER as u32);
    be32(52, CLUSTER as u32);
    be32(56, 1);
    be32(96, 4);
    be32(100, 104);
    let mut be64 = |at: u64, v: u64| out[at as usize..at as usize + 8].copy_from_slice(&v.to_be_bytes());
    be64(CLUSTER, 2 * CLUSTER);
    be64(3 * CLUSTER, (4 * CLUSTER) | (1 << 63));
    be64(4 * CLUSTER, (5 * CLUSTER) | (1 << 63));
    be64(4 * CLUSTER + 8, (6 * CLUSTER) | (1 << 63));
    for i in 0..7 {
        out[2 * CLUSTER as usize + 2 * i + 1] = 1;
    }
    vec![out]
}
