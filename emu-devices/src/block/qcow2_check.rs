//! Whether the tables of a QCOW2 image can be trusted for writing (QEMU, docs/interop/qcow2).
//!
//! Every cluster that is referenced must have a refcount block. One that has none cannot be freed: `imago` 0.2.6 then looks
//! for a place for that block without end. And it must have a count, because a cluster whose count is zero is given out
//! again. A host that lost its power may have kept a table and lost the count of what is in it, so counts that are too
//! low are raised; one that is too high only wastes a cluster. The guest cannot change the tables, so that once, at the
//! start, is enough.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::qcow2_header::{DIRTY, Header, INCOMPATIBLE};

/// Host offsets in entries of L1 and L2 tables.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// L2: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// What the size of a compressed cluster is counted in.
const SECTOR: u64 = 512;
/// Bytes of refcount blocks that are read in one go, and how many of these are held at once.
const CHUNK: u64 = 4096;
const HELD_CHUNKS: usize = 1024;

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{why}; repair it, or open it read-only"))
}

fn bytes(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut raw = vec![0; len as usize];
    file.read_exact_at(&mut raw, offset).map_err(|_| broken("one of its tables is outside of the file"))?;
    Ok(raw)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |v, b| v << 8 | u64::from(*b))
}

/// A table of big-endian doublewords.
fn table(file: &File, offset: u64, len: u64) -> io::Result<Vec<u64>> {
    Ok(bytes(file, offset, len)?.chunks_exact(8).map(number).collect())
}

/// True if the host's file has nothing but a hole there. A file of any size can be one, and takes time to read.
fn is_hole(file: &File, offset: u64, len: u64) -> bool {
    match i64::try_from(offset).map(|at| lseek(file, at, Whence::SeekData)) {
        Ok(Ok(data)) => data as u64 >= offset + len,
        Ok(Err(Errno::ENXIO)) => file.metadata().is_ok_and(|m| m.len() >= offset + len),
        _ => false,
    }
}

/// The reference counts of all clusters.
struct Refcounts<'a> {
    file: &'a File,
    table: Vec<u64>,
    cluster_bits: u32,
    /// log2 of the bits of a count.
    order: u32,
    /// Chunks of the file by their offset.
    held: HashMap<u64, Vec<u8>>,
    raised: u64,
}

impl<'a> Refcounts<'a> {
    fn new(file: &'a File, header: &Header) -> io::Result<Self> {
        let table = table(file, header.refcounts_offset, header.refcounts_bytes)?;
        let (cluster_bits, order) = (header.cluster_bits, header.refcount_order);
        Ok(Self { file, table, cluster_bits, order, held: HashMap::new(), raised: 0 })
    }

    /// The cluster at `offset` has at least this count afterwards.
    fn require(&mut self, offset: u64, least: u64) -> io::Result<()> {
        let cluster = offset >> self.cluster_bits;
        let entries_bits = self.cluster_bits + 3 - self.order;
        let block = match self.table.get((cluster >> entries_bits) as usize) {
            Some(0) | None => return Err(broken("a cluster in use has no reference count")),
            Some(block) if block % (1 << self.cluster_bits) != 0 => {
                return Err(broken("a block of its reference counts is not at the start of a cluster"));
            }
            Some(block) => *block,
        };
        let bit = (cluster & ((1 << entries_bits) - 1)) << self.order;
        let (at, width) = (bit / 8, 1_u32 << self.order);
        // Counts of less than a byte: the first one is in the least significant bits.
        let (len, shift) = if width < 8 { (1, (bit % 8) as u32) } else { (width as usize / 8, 0) };
        let mask = u64::MAX >> (64 - width);
        let field = self.field(block.saturating_add(at), len)?;
        let old = number(field);
        if old >> shift & mask >= least {
            return Ok(());
        }
        if least > mask {
            return Err(broken("a cluster has more references than can be counted"));
        }
        let new = old & !(mask << shift) | least << shift;
        field.copy_from_slice(&new.to_be_bytes()[8 - len..]);
        self.raised += 1;
        self.file.write_all_at(&new.to_be_bytes()[8 - len..], block + at)
    }

    /// The bytes of one count, which are in one chunk.
    fn field(&mut self, offset: u64, len: usize) -> io::Result<&mut [u8]> {
        let (chunk, inside) = (offset - offset % CHUNK, (offset % CHUNK) as usize);
        if self.held.len() >= HELD_CHUNKS && !self.held.contains_key(&chunk) {
            self.held.clear();
        }
        let bytes = match self.held.entry(chunk) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(room) => {
                let left = self.file.metadata()?.len().saturating_sub(chunk);
                room.insert(bytes(self.file, chunk, left.min(CHUNK))?)
            }
        };
        bytes.get_mut(inside..inside + len).ok_or_else(|| broken("a reference count is outside of the file"))
    }
}

/// The clusters of the host's file that a compressed cluster touches.
fn compressed_clusters(entry: u64, cluster_bits: u32) -> std::ops::RangeInclusive<u64> {
    let offset_bits = 70 - cluster_bits;
    let start = (entry & ((1 << offset_bits) - 1)) & !(SECTOR - 1);
    let sectors = (entry & (COMPRESSED - 1)) >> offset_bits;
    start >> cluster_bits..=(start + (sectors + 1) * SECTOR - 1) >> cluster_bits
}

/// Checks an image that will be written, and raises counts that are too low.
pub(super) fn check(file: &File, header: &Header) -> io::Result<()> {
    if header.features & DIRTY != 0 && header.snapshots != 0 {
        return Err(broken("it was not closed when it was last written, and has snapshots"));
    }
    let mut counts = Refcounts::new(file, header)?;
    for offset in [0, header.l1_offset, header.refcounts_offset] {
        counts.require(offset, 1)?;
    }
    let blocks: Vec<u64> = counts.table.iter().copied().filter(|b| *b != 0).collect();
    for block in blocks {
        counts.require(block, 1)?;
    }
    let bits = header.cluster_bits;
    let mut compressed: HashMap<u64, u64> = HashMap::new();
    let mut seen = HashSet::new();
    for entry in table(file, header.l1_offset, header.l1_entries * 8)?.into_iter().filter(|e| e & OFFSET != 0)
    {
        let at = entry & OFFSET;
        if !seen.insert(at) {
            return Err(broken("one of its tables is in use twice"));
        }
        counts.require(at, 1)?;
        if is_hole(file, at, 1 << bits) {
            continue;
        }
        for e in table(file, at, 1 << bits)? {
            if e & COMPRESSED != 0 {
                compressed_clusters(e, bits).for_each(|c| *compressed.entry(c).or_default() += 1);
            } else if e & OFFSET != 0 && header.data_file.is_none() {
                counts.require(e & OFFSET, 1)?;
            }
        }
    }
    for (cluster, references) in compressed {
        counts.require(cluster << bits, references)?;
    }
    if counts.raised != 0 {
        tracing::warn!("{} reference counts of a disk image were too low, and are repaired", counts.raised);
    }
    if header.features & DIRTY != 0 {
        file.sync_data()?;
        file.write_all_at(&(header.features & !DIRTY).to_be_bytes(), INCOMPATIBLE)?;
    }
    Ok(())
}
