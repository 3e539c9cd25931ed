//! The header of a QCOW2 image (QEMU, docs/interop/qcow2): every field that changes what the rest of the file means is
//! understood here, or the image is refused by the name of what is not.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// "QFI\xfb".
const MAGIC: u64 = 0x5146_49fb;
/// Bytes of the header in version 2, and the least in version 3.
const LENGTH_2: u64 = 72;
const LENGTH_3: u64 = 104;
/// Bytes of the largest refcount table, and of the largest L1 table, that QEMU takes.
const MAX_REFCOUNT_TABLE: u64 = 8 << 20;
const MAX_L1: u64 = 32 << 20;
/// Bytes of the longest name of a backing file.
const MAX_NAME: u64 = 1023;

/// Where the incompatible features are in the header.
pub(super) const INCOMPATIBLE: u64 = 72;
/// Incompatible feature: reference counts may be too low.
pub(super) const DIRTY: u64 = 1 << 0;
/// Incompatible feature: the guest's clusters are in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// Incompatible features that make an image one that cannot be used: the bit, and what such an image is.
const REFUSED: &[(u64, &str)] = &[
    (1 << 1, "is marked as corrupt"),
    (1 << 3, "has clusters that are compressed with another method than zlib"),
    (1 << 4, "has extended L2 entries"),
];

/// Encryption methods: the number, and what such an image is.
const ENCRYPTED: &[(u64, &str)] = &[(1, "is encrypted with AES"), (2, "is encrypted with LUKS")];

/// Header extensions.
mod extension {
    pub(super) const END: u64 = 0;
    pub(super) const BACKING_FORMAT: u64 = 0xe279_2aca;
    pub(super) const DATA_FILE: u64 = 0x4441_5441;
}

/// Why an image cannot be used.
#[derive(Debug)]
pub(super) enum HeaderError {
    /// The file cannot be read, or contradicts itself.
    Broken(io::Error),
    /// What the image is, as a part of a sentence.
    Unsupported(String),
}

fn broken(why: impl Into<String>) -> HeaderError {
    HeaderError::Broken(io::Error::new(io::ErrorKind::InvalidData, why.into()))
}

/// Another file that the image refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Backing {
    pub(super) name: String,
    /// Its format, if the image says so.
    pub(super) format: Option<String>,
}

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) version: u64,
    pub(super) cluster_bits: u32,
    pub(super) refcount_order: u32,
    pub(super) l1_entries: u64,
    pub(super) l1_offset: u64,
    pub(super) refcounts_offset: u64,
    pub(super) refcounts_bytes: u64,
    pub(super) snapshots: u64,
    /// The incompatible features.
    pub(super) features: u64,
    pub(super) backing: Option<Backing>,
    /// The file with the guest's clusters, if that is not this one.
    pub(super) data_file: Option<String>,
}

/// The first cluster, which holds the header with its extensions and the name of the backing file.
struct Bytes(Vec<u8>);

impl Bytes {
    fn read(file: &File, len: usize) -> Result<Self, HeaderError> {
        let mut bytes = vec![0; len];
        let mut have = 0;
        while have < len {
            match file.read_at(&mut bytes[have..], have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(HeaderError::Broken(e)),
            }
        }
        bytes.truncate(have);
        Ok(Self(bytes))
    }

    fn slice(&self, at: u64, len: u64) -> Result<&[u8], HeaderError> {
        let range = usize::try_from(at).ok().zip(at.checked_add(len).and_then(|e| usize::try_from(e).ok()));
        range
            .and_then(|(start, end)| self.0.get(start..end))
            .ok_or_else(|| broken("its header is incomplete"))
    }

    fn be(&self, at: u64, len: u64) -> Result<u64, HeaderError> {
        Ok(self.slice(at, len)?.iter().fold(0, |v, b| v << 8 | u64::from(*b)))
    }

    fn text(&self, at: u64, len: u64, what: &str) -> Result<String, HeaderError> {
        let text = std::str::from_utf8(self.slice(at, len)?).map(str::to_owned);
        text.map_err(|_| broken(format!("the name of its {what} is not UTF-8")))
    }
}

impl Header {
    /// Reads and checks the header of the image in `file`.
    pub(super) fn read(file: &File) -> Result<Self, HeaderError> {
        let start = Bytes::read(file, LENGTH_2 as usize)?;
        if start.be(0, 4).ok() != Some(MAGIC) {
            return Err(broken("it does not begin as one"));
        }
        let version = start.be(4, 4)?;
        if !(2..=3).contains(&version) {
            return Err(HeaderError::Unsupported(format!("has version {version} of the qcow2 format")));
        }
        let cluster_bits = start.be(20, 4)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(broken(format!("its clusters have 2^{cluster_bits} bytes")));
        }
        let cluster = 1 << cluster_bits;
        let bytes = Bytes::read(file, cluster as usize)?;
        let length = if version >= 3 { bytes.be(100, 4)? } else { LENGTH_2 };
        if version >= 3 && (!(LENGTH_3..=cluster).contains(&length) || length % 8 != 0) {
            return Err(broken(format!("its header has {length} bytes")));
        }
        let features = if version >= 3 { bytes.be(INCOMPATIBLE, 8)? } else { 0 };
        refuse_features(features)?;
        refuse_encryption(bytes.be(32, 4)?)?;
        if length > LENGTH_3 && bytes.be(LENGTH_3, 1)? != 0 {
            return Err(broken("its compression method contradicts its features"));
        }
        let refcount_order = if version >= 3 { bytes.be(96, 4)? } else { 4 };
        if refcount_order > 6 {
            return Err(broken(format!("its reference counts have 2^{refcount_order} bits")));
        }
        let mut header = Self {
            version,
            cluster_bits: cluster_bits as u32,
            refcount_order: refcount_order as u32,
            l1_entries: bytes.be(36, 4)?,
            l1_offset: bytes.be(40, 8)?,
            refcounts_offset: bytes.be(48, 8)?,
            refcounts_bytes: bytes.be(56, 4)? << cluster_bits,
            snapshots: bytes.be(60, 4)?,
            features,
            backing: None,
            data_file: None,
        };
        header.check_tables(bytes.be(24, 8)?)?;
        header.references(&bytes, length)?;
        Ok(header)
    }

    /// Tables have a bounded size, are where tables may be, and have room for a disk of `size` bytes.
    fn check_tables(&self, size: u64) -> Result<(), HeaderError> {
        if self.l1_entries * 8 > MAX_L1 || self.refcounts_bytes > MAX_REFCOUNT_TABLE {
            return Err(broken("its tables are too large"));
        }
        let mask = (1 << self.cluster_bits) - 1;
        if (self.l1_offset | self.refcounts_offset) & mask != 0 {
            return Err(broken("one of its tables is not at the start of a cluster"));
        }
        // An L2 table has an eighth as many entries as a cluster has bytes.
        let needed = size.div_ceil(1 << (2 * self.cluster_bits - 3));
        if needed > self.l1_entries {
            return Err(broken("its L1 table is too small for its size"));
        }
        Ok(())
    }

    /// The other files that the image refers to.
    fn references(&mut self, bytes: &Bytes, length: u64) -> Result<(), HeaderError> {
        let (name_at, name_len) = (bytes.be(8, 8)?, bytes.be(16, 4)?);
        if name_at != 0 && name_len > MAX_NAME {
            return Err(broken("the name of its backing file is too long"));
        }
        let end = if name_at == 0 { bytes.0.len() as u64 } else { name_at };
        let (mut at, mut format, mut data_file) = (length, None, None);
        while at.saturating_add(8) <= end {
            let (kind, len) = (bytes.be(at, 4)?, bytes.be(at + 4, 4)?);
            match kind {
                extension::END => break,
                extension::BACKING_FORMAT => format = Some(bytes.text(at + 8, len, "backing format")?),
                extension::DATA_FILE => data_file = Some(bytes.text(at + 8, len, "data file")?),
                // Whoever knows the others may use them; they do not change what clusters mean.
                _ => drop(bytes.slice(at + 8, len)?),
            }
            at += 8 + len.next_multiple_of(8);
        }
        if name_at != 0 {
            self.backing = Some(Backing { name: bytes.text(name_at, name_len, "backing file")?, format });
        }
        if self.features & EXTERNAL_DATA != 0 {
            let why = "it keeps its data in another file, and does not say in which";
            self.data_file = Some(data_file.ok_or_else(|| broken(why))?);
        }
        Ok(())
    }
}

fn refuse_features(features: u64) -> Result<(), HeaderError> {
    if let Some((_, what)) = REFUSED.iter().find(|(bit, _)| features & bit != 0) {
        return Err(HeaderError::Unsupported((*what).to_owned()));
    }
    let known = REFUSED.iter().fold(DIRTY | EXTERNAL_DATA, |all, (bit, _)| all | bit);
    match features & !known {
        0 => Ok(()),
        unknown => {
            let bit = unknown.trailing_zeros();
            Err(HeaderError::Unsupported(format!("has the incompatible feature {bit}")))
        }
    }
}

fn refuse_encryption(method: u64) -> Result<(), HeaderError> {
    match ENCRYPTED.iter().find(|(n, _)| *n == method) {
        Some((_, what)) => Err(HeaderError::Unsupported((*what).to_owned())),
        None if method == 0 => Ok(()),
        None => Err(HeaderError::Unsupported(format!("is encrypted with method {method}"))),
    }
}
