//! arm64 kernels: the `Image` format (the Linux kernel's Documentation/arch/arm64/booting.rst), plain, compressed with
//! gzip, or as a self-decompressing EFI program ("zboot") with a gzip payload.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::config::HostFile;
use crate::error::{UserError, reason, user_error};
use crate::number::show_size;

/// What the header of an `Image` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes from a 2 MiB boundary to the image.
    pub text_offset: u64,
    /// Bytes that the kernel needs from there on, beyond the end of the file too.
    pub image_size: u64,
}

/// "ARM\x64", at byte 56.
const MAGIC: [u8; 4] = *b"ARM\x64";
/// Where kernels from before Linux 3.17, which leave `image_size` zero, have their text.
pub const LEGACY_TEXT_OFFSET: u64 = 0x8_0000;

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads the header, if `bytes` are an `Image`.
#[must_use]
pub fn header(bytes: &[u8]) -> Option<Header> {
    if bytes.get(56..60)? != MAGIC {
        return None;
    }
    let image_size = le64(bytes, 16)?;
    let text_offset = if image_size == 0 { LEGACY_TEXT_OFFSET } else { le64(bytes, 8)? };
    Some(Header { text_offset, image_size: image_size.max(bytes.len() as u64) })
}

/// Decompresses a kernel if it is compressed; gives any other file back. At most `limit` bytes come out, so that a
/// small file cannot fill the host's memory.
pub fn decompress(bytes: Vec<u8>, file: &HostFile, limit: u64) -> Result<Vec<u8>, UserError> {
    match zboot_payload(&bytes, file)? {
        Some(payload) => gunzip(payload, file, limit),
        None if bytes.starts_with(&[0x1f, 0x8b]) => gunzip(&bytes, file, limit),
        None => Ok(bytes),
    }
}

/// The compressed kernel in an EFI zboot program (Linux, drivers/firmware/efi/libstub/zboot-header.S): after "MZ" and
/// "zimg" the payload's offset and size, and at byte 24 the name of the compression.
fn zboot_payload<'a>(bytes: &'a [u8], file: &HostFile) -> Result<Option<&'a [u8]>, UserError> {
    if !bytes.starts_with(b"MZ") || bytes.get(4..8) != Some(b"zimg") {
        return Ok(None);
    }
    let damaged = || user_error!("the EFI zboot header of the kernel {} is damaged", file.describe());
    let name = bytes.get(24..56).ok_or_else(damaged)?;
    let name = String::from_utf8_lossy(name.split(|b| *b == 0).next().unwrap_or(name));
    if name != "gzip" {
        return Err(user_error!(
            "the kernel {} is compressed with '{name}': only gzip is supported",
            file.describe()
        ));
    }
    let (offset, size) = le32(bytes, 8).zip(le32(bytes, 12)).ok_or_else(damaged)?;
    let end = (offset as usize).checked_add(size as usize).ok_or_else(damaged)?;
    bytes.get(offset as usize..end).map(Some).ok_or_else(damaged)
}

/// Decompresses a kernel; at most `limit` bytes come out.
pub fn gunzip(bytes: &[u8], file: &HostFile, limit: u64) -> Result<Vec<u8>, UserError> {
    let mut out = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(limit.saturating_add(1));
    decoder
        .read_to_end(&mut out)
        .map_err(|e| user_error!("cannot decompress the kernel {}: {}", file.describe(), reason(&e)))?;
    if out.len() as u64 > limit {
        return Err(user_error!(
            "the decompressed kernel {} is larger than {}, the RAM or what is decompressed at all",
            file.describe(),
            show_size(limit)
        ));
    }
    Ok(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// An `Image` of `len` bytes, with code that can be told from other bytes.
    pub(crate) fn image(text_offset: u64, image_size: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0xa5; len];
        bytes[8..16].copy_from_slice(&text_offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
        bytes[56..60].copy_from_slice(&MAGIC);
        bytes
    }

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::fast());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    fn zboot(kind: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[4..8].copy_from_slice(b"zimg");
        bytes[8..12].copy_from_slice(&64u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[24..24 + kind.len()].copy_from_slice(kind);
        bytes.extend(payload);
        bytes.extend([0xee; 10]);
        bytes
    }

    fn file() -> HostFile {
        HostFile::new("--kernel", "K")
    }

    #[test]
    fn headers() {
        let h = header(&image(0x1000, 0x5000, 64));
        assert_eq!(h, Some(Header { text_offset: 0x1000, image_size: 0x5000 }));
        let old = header(&image(0, 0, 100)).unwrap();
        assert_eq!((old.text_offset, old.image_size), (LEGACY_TEXT_OFFSET, 100));
        assert_eq!(header(&[0; 64]), None);
        assert_eq!(header(&image(0, 0, 64)[..59]), None);
    }

    #[test]
    fn compressed_forms() {
        let plain = image(0, 0x1_0000, 4096);
        for packed in [plain.clone(), gzip(&plain), zboot(b"gzip", &gzip(&plain))] {
            assert_eq!(decompress(packed, &file(), 1 << 20), Ok(plain.clone()));
        }
    }

    #[test]
    fn refusals() {
        let e = |bytes: Vec<u8>| decompress(bytes, &file(), 1000).unwrap_err().to_string();
        assert_eq!(
            e(zboot(b"zstd", b"")),
            "the kernel 'K' given with --kernel is compressed with 'zstd': only gzip is supported"
        );
        assert!(e(gzip(&[0; 1001])).contains("is larger than 1000 bytes"));
        let half = gzip(&[1; 500]);
        assert!(e(half[..half.len() / 2].to_vec()).starts_with("cannot decompress the kernel 'K'"));
        let mut bad = zboot(b"gzip", &gzip(&[0; 10]));
        bad[12..16].fill(0xff);
        assert!(e(bad).contains("zboot header"));
        assert!(e(b"MZ\0\0zimg".to_vec()).contains("zboot header"));
    }
}
