//! Tests of the backends against real files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::file::File as ImagoFile;
use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatCreateBuilder, FormatDriverBuilder, Storage, StorageCreateOptions};

use super::*;

fn file_with(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

pub(super) fn make_qcow2(path: &Path, size: u64, backing: Option<(&str, &str)>) {
    let storage = ImagoFile::create_open(StorageCreateOptions::new().filename(path).size(0)).unwrap();
    let mut builder = Qcow2::<ImagoFile>::create_builder(storage).size(size);
    if let Some((file, format)) = backing {
        builder = builder.backing(file.to_owned(), format.to_owned());
    }
    builder
        .create_open(DenyImplicitOpenGate::default(), |image| {
            Ok(Qcow2::builder(image).backing(None).write(true))
        })
        .map(|image| imago::FormatAccess::new(image).flush().unwrap())
        .unwrap();
}

pub(super) fn read(disk: &dyn BlockBackend, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xee; len];
    disk.read_at(offset, &mut buf).unwrap();
    buf
}

/// What every writable backend of at least 256 KiB must do.
pub(super) fn exercise(disk: &dyn BlockBackend) {
    let pattern: Vec<u8> = (0..100_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    disk.write_at(1000, &pattern).unwrap();
    assert_eq!(read(disk, 1000, pattern.len()), pattern);
    disk.write_at(66_000, b"in the middle").unwrap();
    assert_eq!(read(disk, 66_000, 13), b"in the middle");
    assert_eq!(read(disk, 65_990, 10), pattern[64_990..65_000]);
    disk.write_zeroes(4096, 131_072, true).unwrap();
    assert_eq!(read(disk, 4096, 131_072), vec![0; 131_072]);
    assert_eq!(read(disk, 4095, 1), pattern[3095..3096]);
    disk.write_zeroes(0, 512, false).unwrap();
    assert_eq!(read(disk, 0, 512), vec![0; 512]);
    disk.discard(0, 65_536).unwrap();
    disk.flush().unwrap();
    let end = disk.len();
    assert!(disk.write_at(end - 1, &[1, 2]).is_err());
    assert!(disk.read_at(u64::MAX, &mut [0; 4]).is_err());
    assert!(disk.discard(end, 1).is_err() && disk.write_zeroes(1, u64::MAX, true).is_err());
}

#[test]
fn raw_and_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "disk.img", &[0; 256 << 10]);
    let disk = open(&path, OpenOptions { format: Some(Format::Raw), ..Default::default() }).unwrap();
    exercise(&*disk);
    drop(disk);
    assert_eq!(fs::metadata(&path).unwrap().len(), 256 << 10);
    exercise(&MemoryDisk::new("mem", vec![0; 256 << 10]));
}

/// What is given back takes no room in the host's file, and what must not be given back does.
#[test]
fn raw_images_get_holes() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "disk.img", &[7; 1 << 20]);
    let disk = open(&path, OpenOptions { format: Some(Format::Raw), ..Default::default() }).unwrap();
    disk.flush().unwrap();
    let blocks = || fs::metadata(&path).unwrap().blocks();
    let full = blocks();
    disk.write_zeroes(0, 256 << 10, false).unwrap();
    disk.flush().unwrap();
    assert_eq!((blocks(), read(&*disk, 0, 256 << 10)), (full, vec![0; 256 << 10]));
    disk.write_zeroes(0, 256 << 10, true).unwrap();
    assert_eq!(read(&*disk, 0, 256 << 10), vec![0; 256 << 10]);
    disk.discard(512 << 10, 256 << 10).unwrap();
    disk.flush().unwrap();
    // A file system without holes leaves it as it was.
    assert!(blocks() == full || blocks() <= full / 2 + 64, "{} of {full}", blocks());
    assert_eq!(read(&*disk, 768 << 10, 256 << 10), vec![7; 256 << 10]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
}

/// What is in the host's cache is there at once; pieces of pages are for a thread.
#[test]
fn raw_images_answer_at_once_what_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "disk.img", &[7; 64 << 10]);
    let disk = open(&path, OpenOptions { format: Some(Format::Raw), ..Default::default() }).unwrap();
    assert!(disk.write_now(4096, &[8; 8192]).unwrap().is_ok());
    let mut bytes = [0; 12288];
    // The host may have none of it in its cache, and says so.
    if let Some(result) = disk.read_now(0, &mut bytes) {
        result.unwrap();
        assert_eq!((bytes[4095], bytes[4096], bytes[12287]), (7, 8, 8));
    }
    assert!(disk.write_now(4096, &[8; 512]).is_none() && disk.write_now(512, &[8; 4096]).is_none());
    assert!(disk.read_now(64 << 10, &mut bytes).unwrap().is_err(), "beyond the end");
    assert!(disk.write_now(64 << 10, &[0; 4096]).unwrap().is_err());
}

#[test]
fn part_of_a_sector_reads_as_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "odd.img", &[5; 700]);
    let disk = open(&path, OpenOptions { read_only: true, ..Default::default() }).unwrap();
    assert_eq!(disk.len(), 1024);
    let bytes = read(&*disk, 512, 512);
    assert_eq!((&bytes[..188], &bytes[188..]), (&[5; 188][..], &[0; 324][..]));
}

#[test]
fn read_only_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "ro.img", &[9; 1024]);
    let disk = open(&path, OpenOptions { read_only: true, ..Default::default() }).unwrap();
    assert!(disk.read_only() && disk.write_at(0, &[1]).is_err() && disk.discard(0, 512).is_err());
    let wrapped = ReadOnly(MemoryDisk::new("m", vec![1; 512]));
    assert!(wrapped.read_only() && wrapped.write_zeroes(0, 512, true).is_err());
    assert_eq!(read(&wrapped, 0, 2), [1, 1]);
}

#[test]
fn snapshot_never_touches_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let image: Vec<u8> = (0..300_000u32).map(|i| (i % 253) as u8).collect();
    let path = file_with(dir.path(), "base.img", &image);
    // Even a file that may not be written serves as a snapshot's image.
    let mut perms = fs::metadata(&path).unwrap().permissions();
    perms.set_readonly(true);
    fs::set_permissions(&path, perms).unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let disk = open(&path, OpenOptions { snapshot: true, ..Default::default() }).unwrap();
    assert_eq!(read(&*disk, 290_000, 100), image[290_000..290_100]);
    exercise(&*disk);
    drop(disk);
    assert_eq!(fs::read(&path).unwrap(), image);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn overlay_in_memory() {
    let base = Arc::new(MemoryDisk::new("base", vec![3; 400_000]));
    let overlay = Overlay::new(base.clone(), Scratch::memory());
    assert_eq!(read(&overlay, 0, 4), [3; 4]);
    exercise(&overlay);
    assert_eq!(read(&*base, 0, 400_000), vec![3; 400_000]);
}

/// Zeros cost neither time nor memory by their number, wherever they are.
#[test]
fn a_whole_disk_is_discarded_at_once() {
    struct Sparse;
    const SIZE: u64 = 15 << 40;
    impl BlockBackend for Sparse {
        fn name(&self) -> &str {
            "sparse"
        }
        fn len(&self) -> u64 {
            SIZE
        }
        fn read_only(&self) -> bool {
            true
        }
        fn read_at(&self, _: u64, buf: &mut [u8]) -> io::Result<()> {
            buf.fill(7);
            Ok(())
        }
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(refuse_write())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
        fn discard(&self, _: u64, _: u64) -> io::Result<()> {
            Err(refuse_write())
        }
        fn write_zeroes(&self, _: u64, _: u64, _: bool) -> io::Result<()> {
            Err(refuse_write())
        }
    }
    let overlay = Overlay::new(Arc::new(Sparse), Scratch::memory());
    overlay.write_at(1 << 40, &[1; 100_000]).unwrap();
    overlay.discard(512, SIZE - 512).unwrap();
    assert_eq!(read(&overlay, 0, 65_536), [7; 65_536], "a part of a cluster keeps its contents");
    assert_eq!(read(&overlay, 65_536, 1), [0]);
    assert_eq!(read(&overlay, 1 << 40, 100_000), [0; 100_000]);
    overlay.write_at((2 << 40) + 5, b"x").unwrap();
    overlay.write_zeroes((3 << 40) - 7, 1 << 40, true).unwrap();
    assert_eq!(read(&overlay, (2 << 40) + 4, 3), [0, b'x', 0]);
    // What a guest can make of it in steps, each apart from the others.
    let overlay = Overlay::new(Arc::new(Sparse), Scratch::memory());
    for n in 0..70_000 {
        overlay.discard(n * 131_072, 65_536).unwrap();
    }
    assert!(overlay.zero_ranges() <= 1 << 16);
    overlay.write_zeroes(69_999 * 131_072, 65_536, true).unwrap();
    assert_eq!(read(&overlay, 69_999 * 131_072, 65_536), [0; 65_536], "zeros that are demanded are there");
}

#[test]
fn scratch_space_is_used_again() {
    let overlay = Overlay::new(Arc::new(MemoryDisk::new("m", vec![3; 1 << 20])), Scratch::memory());
    for round in 0..50_u8 {
        overlay.write_at(0, &vec![round; 1 << 20]).unwrap();
        assert_eq!(read(&overlay, 77_777, 3), [round; 3]);
        overlay.write_zeroes(0, 1 << 20, true).unwrap();
    }
    assert_eq!(overlay.scratch_used(), 1 << 20);
    assert_eq!(read(&overlay, 0, 1 << 20), vec![0; 1 << 20]);
}

/// An overlay over a disk that ends in the middle of a cluster.
#[test]
fn zeros_reach_the_end_of_the_disk() {
    let overlay = Overlay::new(Arc::new(MemoryDisk::new("m", vec![3; 100_352])), Scratch::memory());
    overlay.write_zeroes(1000, 100_352 - 1000, true).unwrap();
    assert_eq!(read(&overlay, 0, 1000), [3; 1000]);
    assert_eq!(read(&overlay, 1000, 99_352), vec![0; 99_352]);
    overlay.write_at(100_351, &[9]).unwrap();
    assert_eq!(read(&overlay, 100_350, 2), [0, 9]);
}

#[test]
fn qcow2_keeps_what_was_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    make_qcow2(&path, 1 << 20, None);
    let disk = open(&path, OpenOptions::default()).unwrap();
    assert_eq!(disk.len(), 1 << 20);
    exercise(&*disk);
    disk.write_at(512 << 10, b"persistent").unwrap();
    disk.flush().unwrap();
    // What another reader sees before the image is closed is what a crash would leave.
    let crashed = dir.path().join("crashed.qcow2");
    fs::copy(&path, &crashed).unwrap();
    for p in [&crashed, &path] {
        if p == &path {
            assert!(matches!(open(p, OpenOptions::default()), Err(OpenError::InUse { .. })));
            continue;
        }
        let again = open(p, OpenOptions { read_only: true, ..Default::default() }).unwrap();
        assert_eq!(read(&*again, 512 << 10, 10), b"persistent");
        assert!(again.write_at(0, &[0]).is_err());
    }
}

#[test]
fn qcow2_without_reference_counts_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    make_qcow2(&path, 1 << 20, None);
    let disk = open(&path, OpenOptions::default()).unwrap();
    disk.write_at(0, &[1; 512]).unwrap();
    disk.flush().unwrap();
    drop(disk);
    // The refcount table's first entry; the table's offset is at byte 48 of the header.
    let mut bytes = fs::read(&path).unwrap();
    let table = u64::from_be_bytes(bytes[48..56].try_into().unwrap()) as usize;
    bytes[table..table + 8].fill(0);
    fs::write(&path, &bytes).unwrap();
    let refused = open(&path, OpenOptions::default()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("a cluster in use has no reference count"), "{refused}");
    let options = OpenOptions { snapshot: true, ..OpenOptions::default() };
    assert_eq!(read(&*open(&path, options).unwrap(), 0, 512), [1; 512]);
}

#[test]
fn qcow2_backing_files_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let base = file_with(dir.path(), "base.raw", &[7; 1 << 20]);
    let path = dir.path().join("top.qcow2");
    make_qcow2(&path, 1 << 20, Some(("base.raw", "raw")));
    let disk = open(&path, OpenOptions::default()).unwrap();
    assert_eq!(read(&*disk, 12_345, 8), [7; 8]);
    exercise(&*disk);
    drop(disk);
    assert_eq!(fs::read(&base).unwrap(), vec![7; 1 << 20]);
    // A snapshot of a qcow2 image leaves that image alone as well.
    let before = fs::read(&path).unwrap();
    exercise(&*open(&path, OpenOptions { snapshot: true, ..Default::default() }).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn formats_are_probed_and_errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let message = |path: &Path, options| open(path, options).map(|_| ()).unwrap_err().to_string();
    let vmdk = file_with(dir.path(), "x.vmdk", b"KDMV1234");
    assert!(message(&vmdk, OpenOptions::default()).contains("x.vmdk' is in VMDK format"));
    assert!(open(&vmdk, OpenOptions { format: Some(Format::Raw), ..Default::default() }).is_ok());
    let broken = file_with(dir.path(), "b.qcow2", b"QFI\xfb\0\0\0\x03 and no more");
    assert!(message(&broken, OpenOptions::default()).contains("b.qcow2' as a qcow2 disk image"));
    let missing = dir.path().join("none.img");
    assert!(message(&missing, OpenOptions::default()).starts_with("cannot open the disk image"));
    assert!(
        message(dir.path(), OpenOptions { read_only: true, ..Default::default() })
            .contains("it is a directory")
    );
}

#[test]
fn a_guessed_raw_image_cannot_turn_into_another_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_with(dir.path(), "guess.img", &[0; 4096]);
    let disk = open(&path, OpenOptions::default()).unwrap();
    assert!(disk.write_at(0, b"QFI\xfb\0\0\0\x03 /etc/shadow").is_err());
    disk.write_at(0, b"an ordinary boot sector").unwrap();
    drop(disk);
    let disk = open(&path, OpenOptions { format: Some(Format::Raw), ..Default::default() }).unwrap();
    disk.write_at(0, b"QFI\xfb\0\0\0\x03").unwrap();
}
