//! U-Boot's legacy images (U-Boot, include/image.h): a header of 64 bytes in front of a kernel says where that goes.
//! What `mkimage -T kernel` makes for arm64 is loaded, plain or compressed with gzip; every other one is refused by name,
//! because a header that is executed fails in ways that nobody understands.

use crate::config::HostFile;
use crate::error::{UserError, user_error};

const MAGIC: u32 = 0x2705_1956;
/// Bytes of the header.
const HEADER: usize = 64;
/// Where the header's own checksum is; it is computed with zeros there.
const CHECKSUM: std::ops::Range<usize> = 4..8;
/// `ih_arch` of arm64.
const ARM64: u8 = 22;
/// `ih_os` of Linux.
const LINUX: u8 = 5;
/// `ih_type` of kernels (one with a place, and one that can be anywhere) and of RAM disks.
const KERNEL: u8 = 2;
const KERNEL_NOLOAD: u8 = 14;
const RAM_DISK: u8 = 3;
/// `ih_comp`: names by number.
const COMPRESSIONS: [&str; 7] = ["none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"];

/// A kernel in such an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UImage<'a> {
    /// Where the kernel goes; `None` if it can be anywhere.
    pub load: Option<u64>,
    /// Where it starts; an offset if it can be anywhere.
    pub entry: u64,
    /// It takes what Linux takes.
    pub linux: bool,
    /// The kernel is compressed with gzip.
    pub gzip: bool,
    /// The kernel.
    pub data: &'a [u8],
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What every image has.
struct Image<'a> {
    header: &'a [u8],
    data: &'a [u8],
}

impl<'a> Image<'a> {
    /// Reads an image; `None` if the file is none.
    fn read(bytes: &'a [u8], file: &HostFile) -> Result<Option<Self>, UserError> {
        if be32(bytes, 0) != Some(MAGIC) {
            return Ok(None);
        }
        let damaged = |why: &str| user_error!("the U-Boot image {} is damaged: {why}", file.describe());
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("its header is incomplete"))?;
        let image = Self { header, data: &[] };
        let mut blank = header.to_vec();
        blank[CHECKSUM].fill(0);
        if crc32(&blank) != image.field(4) {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let data = bytes[HEADER..].get(..image.field(12) as usize);
        let data = data.ok_or_else(|| damaged("its end is missing"))?;
        if crc32(data) != image.field(24) {
            return Err(damaged("the checksum of its data is wrong"));
        }
        Ok(Some(Self { header, data }))
    }

    fn field(&self, at: usize) -> u32 {
        be32(self.header, at).unwrap_or(0)
    }

    fn kind(&self) -> u8 {
        self.header[30]
    }
}

/// Reads a kernel; `None` if the file is no such image.
pub fn kernel<'a>(bytes: &'a [u8], file: &HostFile) -> Result<Option<UImage<'a>>, UserError> {
    let Some(image) = Image::read(bytes, file)? else { return Ok(None) };
    let (os, arch, compression) = (image.header[28], image.header[29], image.header[31]);
    let refused = |why: String| user_error!("the U-Boot image {} {why}", file.describe());
    if arch != ARM64 {
        return Err(refused(format!("is for another architecture than arm64 (its number is {arch})")));
    }
    if ![KERNEL, KERNEL_NOLOAD].contains(&image.kind()) {
        return Err(refused(format!("holds no kernel (its type is {})", image.kind())));
    }
    if compression > 1 {
        let name = COMPRESSIONS.get(usize::from(compression)).unwrap_or(&"an unknown method");
        return Err(refused(format!("is compressed with {name}: only gzip is supported")));
    }
    Ok(Some(UImage {
        load: (image.kind() == KERNEL).then_some(image.field(16).into()),
        entry: image.field(20).into(),
        linux: os == LINUX,
        gzip: compression == 1,
        data: image.data,
    }))
}

/// Takes the header from a RAM disk; gives any other file back. Linux decompresses what is behind it by itself.
pub fn ram_disk(bytes: Vec<u8>, file: &HostFile) -> Result<Vec<u8>, UserError> {
    match Image::read(&bytes, file)? {
        None => Ok(bytes),
        Some(image) if image.kind() == RAM_DISK => Ok(image.data.to_vec()),
        Some(image) => {
            let (name, kind) = (file.describe(), image.kind());
            Err(user_error!("the U-Boot image {name} holds no RAM disk (its type is {kind})"))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An image with these fields: os, architecture, type, compression.
    pub(crate) fn uimage(load: u32, entry: u32, fields: [u8; 4], data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEADER];
        let words = [(0, MAGIC), (12, data.len() as u32), (16, load), (20, entry), (24, crc32(data))];
        for (at, word) in words {
            out[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        out[28..32].copy_from_slice(&fields);
        let sum = crc32(&out);
        out[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
        out.extend(data);
        out
    }

    fn file() -> HostFile {
        HostFile::new("--kernel", "uImage")
    }

    #[test]
    fn kernels_are_read() {
        let image = uimage(0x4008_0000, 0x4008_0040, [LINUX, ARM64, KERNEL, 1], b"kernel");
        let expected =
            UImage { load: Some(0x4008_0000), entry: 0x4008_0040, linux: true, gzip: true, data: b"kernel" };
        assert_eq!(kernel(&image, &file()), Ok(Some(expected)));
        let image = uimage(0, 0x10, [17, ARM64, KERNEL_NOLOAD, 0], b"kernel, and no more");
        let read = kernel(&image, &file()).unwrap().unwrap();
        assert_eq!((read.load, read.entry, read.linux, read.gzip), (None, 0x10, false, false));
        assert_eq!(kernel(b"MZ", &file()), Ok(None));
    }

    #[test]
    fn ram_disks_are_what_is_behind_the_header() {
        let disk = |bytes: &[u8]| ram_disk(bytes.to_vec(), &file()).map_err(|e| e.to_string());
        assert_eq!(disk(&uimage(0, 0, [LINUX, ARM64, RAM_DISK, 1], b"cpio")), Ok(b"cpio".to_vec()));
        assert_eq!(disk(b"070701"), Ok(b"070701".to_vec()));
        let e = disk(&uimage(0, 0, [LINUX, ARM64, KERNEL, 0], b"code")).unwrap_err();
        assert!(e.ends_with("holds no RAM disk (its type is 2)"), "{e}");
    }

    #[test]
    fn refusals() {
        let e = |bytes: &[u8]| kernel(bytes, &file()).unwrap_err().to_string();
        let of = |fields| e(&uimage(0, 0, fields, b"data"));
        assert_eq!(
            of([LINUX, 2, KERNEL, 0]),
            "the U-Boot image 'uImage' given with --kernel is for another architecture than arm64 (its number is 2)"
        );
        assert!(of([LINUX, ARM64, 3, 0]).contains("holds no kernel (its type is 3)"));
        assert!(of([LINUX, ARM64, KERNEL, 6]).contains("is compressed with zstd"));
        assert!(of([LINUX, ARM64, KERNEL, 99]).contains("is compressed with an unknown method"));
        let good = uimage(0, 0, [LINUX, ARM64, KERNEL, 0], b"data");
        assert!(e(&good[..good.len() - 1]).contains("its end is missing"));
        assert!(e(&good[..40]).contains("its header is incomplete"));
        let mut bad = good.clone();
        bad[16] = 1;
        assert!(e(&bad).contains("the checksum of its header is wrong"));
        bad = good;
        bad[HEADER] ^= 1;
        assert!(e(&bad).contains("the checksum of its data is wrong"));
    }
}
