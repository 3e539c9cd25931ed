//! Images that say what they should not, and images that stand on others.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::file::File as ImagoFile;
use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatCreateBuilder, FormatDriverBuilder, Storage, StorageCreateOptions};
use tempfile::TempDir;

use super::MAX_FILES;
use crate::block::tests::{exercise, make_qcow2, read};
use crate::block::*;

/// Where fields of the header are (QEMU, docs/interop/qcow2).
const VERSION: usize = 4;
const CLUSTER_BITS: usize = 20;
const CRYPT_METHOD: usize = 32;
const L1_SIZE: usize = 36;
const L1_OFFSET: usize = 40;
const REFCOUNTS_OFFSET: usize = 48;
const REFCOUNTS_CLUSTERS: usize = 56;
const FEATURES: usize = 72;
const REFCOUNT_ORDER: usize = 96;

const READ_ONLY: OpenOptions = OpenOptions { format: None, read_only: true, snapshot: false };
const SNAPSHOT: OpenOptions = OpenOptions { format: None, read_only: false, snapshot: true };
const WRITE: OpenOptions = OpenOptions { format: None, read_only: false, snapshot: false };

struct Images(TempDir);

impl Images {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// An image of 1 MiB that stands on the file `backing`.
    fn image(&self, name: &str, backing: Option<(&str, &str)>) -> PathBuf {
        let path = self.path(name);
        // A new one each time.
        let _ = fs::remove_file(&path);
        make_qcow2(&path, 1 << 20, backing);
        path
    }
    fn changed(&self, at: usize, bytes: &[u8]) -> PathBuf {
        let path = self.image("changed.qcow2", None);
        put(&path, at, bytes);
        path
    }
}

fn put(path: &Path, at: usize, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, all).unwrap();
}

fn field(path: &Path, at: usize) -> u64 {
    u64::from_be_bytes(fs::read(path).unwrap()[at..at + 8].try_into().unwrap())
}

fn refusal(path: &Path, options: OpenOptions) -> String {
    open(path, options).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let cases: &[(usize, &[u8], &str)] = &[
        (CRYPT_METHOD, &[0, 0, 0, 1], "is encrypted with AES, which is not supported"),
        (CRYPT_METHOD, &[0, 0, 0, 2], "is encrypted with LUKS, which is not supported"),
        (CRYPT_METHOD, &[0, 0, 0, 9], "is encrypted with method 9"),
        (VERSION, &[0, 0, 0, 4], "has version 4 of the qcow2 format"),
        (FEATURES + 7, &[1 << 1], "is marked as corrupt"),
        (FEATURES + 7, &[1 << 2], "keeps its data in another file, and does not say in which"),
        (FEATURES + 7, &[1 << 3], "compressed with another method than zlib"),
        (FEATURES + 7, &[1 << 4], "has extended L2 entries"),
        (FEATURES + 7, &[1 << 5], "has the incompatible feature 5"),
        (FEATURES, &[1 << 7], "has the incompatible feature 63"),
        (REFCOUNT_ORDER, &[0, 0, 0, 7], "its reference counts have 2^7 bits"),
        (CLUSTER_BITS, &[0, 0, 0, 8], "its clusters have 2^8 bytes"),
        (CLUSTER_BITS, &[0, 0, 0, 22], "its clusters have 2^22 bytes"),
        (L1_SIZE, &[0, 0, 0, 0], "its L1 table is too small for its size"),
        (L1_SIZE, &[0x7f, 0, 0, 0], "its tables are too large"),
        (L1_OFFSET + 7, &[8], "is not at the start of a cluster"),
        (REFCOUNTS_OFFSET + 6, &[2], "is not at the start of a cluster"),
        (REFCOUNTS_CLUSTERS, &[1], "its tables are too large"),
        (100, &[0, 0, 0, 72], "its header has 72 bytes"),
    ];
    let images = Images::new();
    for (at, bytes, why) in cases {
        let path = images.changed(*at, bytes);
        let before = fs::read(&path).unwrap();
        for options in [WRITE, READ_ONLY, SNAPSHOT] {
            let message = refusal(&path, options);
            assert!(message.contains(why) && message.contains("changed.qcow2'"), "{at}: {message:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before, "a refused image is not touched");
    }
    assert_eq!(refusal(&images.changed(0, b"QFI\xfb"), WRITE), "", "the unchanged one is taken");
}

#[test]
fn what_is_no_storage_is_refused_at_once() {
    let images = Images::new();
    let fifo = images.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for options in [WRITE, READ_ONLY, SNAPSHOT] {
        assert!(refusal(&fifo, options).contains("fifo': it is a FIFO"));
        assert!(refusal(Path::new("/dev/null"), options).contains("it is a character device"));
        assert!(refusal(images.0.path(), options).contains("it is a directory"));
        let top = images.image("top.qcow2", Some(("fifo", "raw")));
        assert!(refusal(&top, options).contains("fifo': it is a FIFO"));
    }
}

#[test]
fn circles_are_found() {
    let images = Images::new();
    let own = images.image("own.qcow2", Some(("own.qcow2", "qcow2")));
    assert!(refusal(&own, WRITE).contains("stands on 'own.qcow2', which is the same file"));
    let a = images.image("a.qcow2", Some(("b.qcow2", "qcow2")));
    images.image("b.qcow2", Some(("./a.qcow2", "qcow2")));
    for options in [WRITE, READ_ONLY, SNAPSHOT] {
        let message = refusal(&a, options);
        assert!(message.contains("b.qcow2' as a qcow2 disk image: it stands on './a.qcow2'"), "{message}");
    }
    // As raw data, any bytes can be stood on, but not the bytes that are about to be written.
    let raw = images.image("raw.qcow2", Some(("raw.qcow2", "raw")));
    assert!(refusal(&raw, WRITE).contains("is the same file"));
}

/// The longest chain works, on the small stack of a thread; one more file is refused.
#[test]
fn chains_have_a_greatest_length() {
    let images = Images::new();
    fs::write(images.path("0"), vec![9; 1 << 20]).unwrap();
    let name = |n: usize| n.to_string();
    for n in 1..=MAX_FILES {
        images.image(&name(n), Some((&name(n - 1), if n == 1 { "raw" } else { "qcow2" })));
    }
    let longest = open(&images.path(&name(MAX_FILES - 1)), WRITE).unwrap();
    std::thread::spawn(move || {
        assert_eq!(read(&*longest, 70_000, 3), [9; 3]);
        exercise(&*longest);
    })
    .join()
    .unwrap();
    let message = refusal(&images.path(&name(MAX_FILES)), WRITE);
    assert!(message.contains("more than 64 files stand behind one another"), "{message}");
}

#[test]
fn names_of_other_files_are_paths() {
    let images = Images::new();
    fs::write(images.path("base"), vec![7; 1 << 20]).unwrap();
    let absolute = format!("file:{}", images.path("base").display());
    for name in ["base", "file:base", "./base", &absolute] {
        let top = images.image("top.qcow2", Some((name, "raw")));
        assert_eq!(read(&*open(&top, READ_ONLY).unwrap(), 0, 2), [7; 2], "{name}");
    }
    for name in ["nbd:localhost:10809", "json:{}", "ssh://host/base"] {
        let top = images.image("top.qcow2", Some((name, "raw")));
        let message = refusal(&top, WRITE);
        assert!(message.contains(&format!("stands on '{name}', which is not a file")), "{message}");
    }
    let top = images.image("top.qcow2", Some(("base", "vmdk")));
    assert!(refusal(&top, WRITE).contains("stands on an image in the format 'vmdk'"));
    let top = images.image("top.qcow2", Some(("missing", "raw")));
    assert!(refusal(&top, WRITE).contains("missing': No such file"));
}

#[test]
fn nobody_writes_what_another_disk_stands_on() {
    let images = Images::new();
    fs::write(images.path("base"), vec![7; 1 << 20]).unwrap();
    let middle = images.image("middle.qcow2", Some(("base", "raw")));
    let top = images.image("top.qcow2", Some(("middle.qcow2", "qcow2")));
    let in_use = |path: &Path, options| matches!(open(path, options), Err(OpenError::InUse { .. }));
    let raw = OpenOptions { format: Some(Format::Raw), ..WRITE };
    let running = open(&top, WRITE).unwrap();
    assert!(in_use(&top, READ_ONLY) && in_use(&middle, WRITE) && in_use(&images.path("base"), raw));
    assert!(open(&middle, READ_ONLY).is_ok() && open(&middle, SNAPSHOT).is_ok());
    drop(running);
    let writer = open(&images.path("base"), raw).unwrap();
    assert!(in_use(&top, WRITE) && in_use(&middle, READ_ONLY), "what they stand on is being written");
    drop(writer);
    assert!(open(&top, WRITE).is_ok());
}

#[test]
fn data_in_another_file() {
    let images = Images::new();
    let storage = |name: &str| {
        ImagoFile::create_open(StorageCreateOptions::new().filename(images.path(name)).size(0)).unwrap()
    };
    let created = Qcow2::<ImagoFile>::create_builder(storage("top.qcow2"))
        .size(1 << 20)
        .data_file("data.raw".into(), storage("data.raw"))
        .create_open(DenyImplicitOpenGate::default(), |image| {
            Ok(Qcow2::builder(image).backing(None).write(true))
        });
    imago::FormatAccess::new(created.unwrap()).flush().unwrap();
    let top = images.path("top.qcow2");
    let disk = open(&top, WRITE).unwrap();
    exercise(&*disk);
    disk.write_at(600_000, b"in the other file").unwrap();
    disk.flush().unwrap();
    assert_eq!(fs::read(images.path("data.raw")).unwrap()[600_000..600_017], *b"in the other file");
    let data = OpenOptions { format: Some(Format::Raw), ..WRITE };
    assert!(matches!(open(&images.path("data.raw"), data), Err(OpenError::InUse { .. })));
}

/// The number in the only refcount block of the cluster at `offset`, and where it is in the file.
fn refcount(path: &Path, offset: u64) -> (u16, usize) {
    let block = field(path, field(path, REFCOUNTS_OFFSET) as usize);
    let at = (block + (offset >> 16) * 2) as usize;
    let bytes = fs::read(path).unwrap();
    (u16::from_be_bytes([bytes[at], bytes[at + 1]]), at)
}

/// Where the guest's first cluster is.
fn first_cluster(path: &Path) -> u64 {
    let mask = 0x00ff_ffff_ffff_fe00;
    let l2 = field(path, field(path, L1_OFFSET) as usize) & mask;
    field(path, l2 as usize) & mask
}

#[test]
fn a_lost_reference_count_is_found_before_its_cluster_is_given_out_again() {
    let images = Images::new();
    for dirty in [0, 1] {
        let path = images.image("lost.qcow2", None);
        open(&path, WRITE).unwrap().write_at(0, &[1; 512]).unwrap();
        let (count, at) = refcount(&path, first_cluster(&path));
        assert_eq!(count, 1);
        put(&path, at, &[0, 0]);
        put(&path, FEATURES + 7, &[dirty]);
        let disk = open(&path, WRITE).unwrap();
        disk.write_at(512 << 10, &[2; 65_536]).unwrap();
        disk.flush().unwrap();
        assert_eq!(read(&*disk, 0, 512), [1; 512]);
        drop(disk);
        assert_eq!(refcount(&path, first_cluster(&path)).0, 1);
        assert_eq!(field(&path, FEATURES), 0);
    }
}

/// While tables and counts may differ on the host's disk, the image says so.
#[test]
fn an_image_is_marked_until_its_tables_are_written() {
    let images = Images::new();
    let path = images.image("d.qcow2", None);
    let disk = open(&path, WRITE).unwrap();
    assert_eq!(field(&path, FEATURES), 0, "nothing was written yet");
    disk.write_at(0, &[1; 512]).unwrap();
    assert_eq!(field(&path, FEATURES), 1);
    let crashed = images.path("crashed.qcow2");
    fs::copy(&path, &crashed).unwrap();
    disk.flush().unwrap();
    assert_eq!(field(&path, FEATURES), 0);
    disk.write_at(512, &[2; 512]).unwrap();
    assert_eq!(field(&path, FEATURES), 0, "a cluster that is there changes no table");
    disk.discard(0, 65_536).unwrap();
    assert_eq!(field(&path, FEATURES), 1);
    drop(disk);
    assert_eq!(field(&path, FEATURES), 0);

    let message = refusal(&crashed, READ_ONLY);
    assert!(message.contains("it was not closed when it was last written"), "{message}");
    assert!(Arc::strong_count(&open(&crashed, WRITE).unwrap()) == 1, "writing repairs it");
    assert_eq!(refusal(&crashed, READ_ONLY), "");
}

/// A table of the largest size that says that everything is somewhere costs no time, because there is nothing to read.
#[test]
fn tables_in_holes_are_not_read() {
    let images = Images::new();
    let path = images.path("sparse");
    let cluster = 1_u64 << 21;
    let mut header = vec![0; 104];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(CLUSTER_BITS, &21_u32.to_be_bytes());
    put(L1_SIZE, &0x1_0000_u32.to_be_bytes());
    put(L1_OFFSET, &cluster.to_be_bytes());
    put(REFCOUNTS_OFFSET, &(2 * cluster).to_be_bytes());
    put(REFCOUNTS_CLUSTERS, &1_u32.to_be_bytes());
    put(REFCOUNT_ORDER, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    fs::write(&path, header).unwrap();
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    // 128 GiB of tables, and the counts of all their clusters.
    file.set_len(0x1_0010 * cluster).unwrap();
    let counts = [3_u64 * cluster, 0].map(u64::to_be_bytes).concat();
    file.write_all_at(&counts, 2 * cluster).unwrap();
    let l1: Vec<u8> = (0..0x1_0000_u64).flat_map(|n| ((4 + n) * cluster).to_be_bytes()).collect();
    file.write_all_at(&l1, cluster).unwrap();
    assert_eq!(refusal(&path, WRITE), "");
    // Nor is one table read twice.
    file.write_all_at(&(4 * cluster).to_be_bytes(), cluster + 8).unwrap();
    assert!(refusal(&path, WRITE).contains("one of its tables is in use twice"));
}

/// What compressed clusters share is counted once for each.
#[test]
fn compressed_clusters_are_counted() {
    let images = Images::new();
    let path = images.image("c.qcow2", None);
    open(&path, WRITE).unwrap().write_at(0, &[1; 65_536]).unwrap();
    let host = first_cluster(&path);
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    let l2 = field(&path, field(&path, L1_OFFSET) as usize) & 0x00ff_ffff_ffff_fe00;
    // Clusters 0 and 1 of the guest: 512 bytes each, in the one cluster of the host.
    for n in 0..2 {
        file.write_all_at(&(1_u64 << 62 | (host + 512 * n)).to_be_bytes(), l2 + 8 * n).unwrap();
    }
    drop(open(&path, WRITE).unwrap());
    assert_eq!(refcount(&path, host).0, 2);
}
