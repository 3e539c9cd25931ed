//! Whether the tables of a QCOW2 image can be trusted for writing (QEMU, docs/interop/qcow2).
//!
//! Every cluster that is referenced must have a refcount block. One that has none cannot be freed: `imago` 0.2.6 then looks
//! for a place for that block without end. The guest cannot change the tables, so that once, at the start, is enough.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of the largest refcount table, and of the largest L1 table, that QEMU takes.
const MAX_REFCOUNT_TABLE: u64 = 8 << 20;
const MAX_L1: u64 = 32 << 20;
/// Host offsets in entries of L1 and L2 tables.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// L2: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Incompatible features: an external data file, and L2 entries of 16 bytes.
const EXTERNAL_DATA: u64 = 1 << 2;
const EXTENDED_L2: u64 = 1 << 4;

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{why}; repair it, or open it read-only"))
}

/// A table of big-endian doublewords.
fn table(file: &File, offset: u64, bytes: u64) -> io::Result<Vec<u64>> {
    let mut raw = vec![0; bytes as usize];
    file.read_exact_at(&mut raw, offset).map_err(|_| broken("one of its tables is outside of the file"))?;
    Ok(raw.chunks_exact(8).map(|c| c.iter().fold(0, |v, b| v << 8 | u64::from(*b))).collect())
}

struct Refcounts {
    table: Vec<u64>,
    /// log2 of the bytes that one refcount block stands for.
    block_bits: u32,
}

impl Refcounts {
    fn covers(&self, offset: u64) -> io::Result<()> {
        match self.table.get((offset >> self.block_bits) as usize) {
            Some(0) | None => Err(broken("a cluster in use has no reference count")),
            Some(_) => Ok(()),
        }
    }
}

/// Checks an image that will be written.
pub(super) fn check(file: &File) -> io::Result<()> {
    let mut header = [0; 104];
    file.read_exact_at(&mut header[..72], 0).map_err(|_| broken("its header is incomplete"))?;
    let be32 = |h: &[u8], at: usize| h[at..at + 4].iter().fold(0_u64, |v, b| v << 8 | u64::from(*b));
    let be64 = |h: &[u8], at: usize| be32(h, at) << 32 | be32(h, at + 4);
    let version3 = be32(&header, 4) >= 3;
    if version3 {
        file.read_exact_at(&mut header, 0).map_err(|_| broken("its header is incomplete"))?;
    }
    let (features, order) = if version3 { (be64(&header, 72), be32(&header, 96)) } else { (0, 4) };
    let bits = be32(&header, 20) as u32;
    if !(9..=21).contains(&bits) || order > 6 {
        return Err(broken("its clusters or reference counts have no size that there is"));
    }
    let (l1_bytes, l1_at) = (be32(&header, 36) * 8, be64(&header, 40));
    let (counts_at, counts_bytes) = (be64(&header, 48), be32(&header, 56) << bits);
    if l1_bytes > MAX_L1 || counts_bytes > MAX_REFCOUNT_TABLE {
        return Err(broken("its tables are too large"));
    }
    let counts =
        Refcounts { table: table(file, counts_at, counts_bytes)?, block_bits: 2 * bits + 3 - order as u32 };
    for offset in [0, l1_at, counts_at] {
        counts.covers(offset)?;
    }
    for block in counts.table.iter().filter(|b| **b != 0) {
        counts.covers(*block)?;
    }
    let mut tables_left = file.metadata()?.len() >> bits;
    for entry in table(file, l1_at, l1_bytes)?.into_iter().filter(|e| e & OFFSET != 0) {
        tables_left = tables_left.checked_sub(1).ok_or_else(|| broken("it has more tables than clusters"))?;
        counts.covers(entry & OFFSET)?;
        let entries = table(file, entry & OFFSET, 1 << bits)?;
        let step = if features & EXTENDED_L2 != 0 { 2 } else { 1 };
        for e in entries.into_iter().step_by(step) {
            let at = if e & COMPRESSED != 0 { e & ((1 << (70 - bits)) - 1) } else { e & OFFSET };
            if at != 0 && (features & EXTERNAL_DATA == 0 || e & COMPRESSED != 0) {
                counts.covers(at)?;
            }
        }
    }
    Ok(())
}
