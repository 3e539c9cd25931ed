//! Copy on write: a disk whose changes live beside the image and vanish with the machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ranges::Ranges;
use super::{BlockBackend, check_range};

/// Bytes in a cluster, the unit that is copied.
const CLUSTER: u64 = 64 << 10;
/// The most ranges of zeros that requests make; what is beyond is not discarded, or written.
const MAX_RANGES: usize = 1 << 16;

static ZEROS: [u8; CLUSTER as usize] = [0; CLUSTER as usize];

/// Where changed clusters are kept.
pub enum Scratch {
    /// In host memory.
    Memory(Vec<u8>),
    /// In a file without a name, which the host's system removes when it is closed, even after a crash.
    File(File),
}

impl Scratch {
    /// Host memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Vec::new())
    }

    /// A nameless file in the host's directory for temporary files.
    pub fn file() -> io::Result<Self> {
        Ok(Self::File(tempfile::tempfile()?))
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                buf.copy_from_slice(&bytes[at as usize..][..buf.len()]);
                Ok(())
            }
            Self::File(f) => f.read_exact_at(buf, at),
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(all) => {
                let end = at as usize + bytes.len();
                if all.len() < end {
                    all.resize(end, 0);
                }
                all[at as usize..end].copy_from_slice(bytes);
                Ok(())
            }
            Self::File(f) => f.write_all_at(bytes, at),
        }
    }
}

/// Where a changed cluster is.
#[derive(Clone, Copy)]
enum Cluster {
    /// In the image, unchanged.
    Base,
    /// Kept at this byte of the scratch space.
    At(u64),
    /// All zeros.
    Zero,
}

/// What is no longer as the image has it.
///
/// A guest can zero a whole disk in a few requests, as it can write every other cluster of it: zeros are kept as ranges,
/// of which there is a most, and everything else costs as much scratch space as the guest has written.
struct Changes {
    /// Place in the scratch space by cluster.
    kept: BTreeMap<u64, u64>,
    zeros: Ranges,
    scratch: Scratch,
    used: u64,
    /// Places that nothing uses any more.
    free: Vec<u64>,
}

impl Changes {
    fn find(&self, cluster: u64) -> Cluster {
        match self.kept.get(&cluster) {
            Some(at) => Cluster::At(*at),
            None if self.zeros.contains(cluster) => Cluster::Zero,
            None => Cluster::Base,
        }
    }

    /// Whole clusters become zeros; false if there are too many ranges for that already.
    fn zero(&mut self, clusters: Range<u64>) -> bool {
        if !self.zeros.insert(clusters.clone(), MAX_RANGES) {
            return false;
        }
        let dropped: Vec<u64> = self.kept.range(clusters).map(|(cluster, _)| *cluster).collect();
        self.free.extend(dropped.iter().filter_map(|cluster| self.kept.remove(cluster)));
        true
    }

    /// A place for a cluster.
    fn place(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.used += CLUSTER;
            self.used - CLUSTER
        })
    }
}

/// A writable disk over an image that is never written. Clusters of 64 KiB are copied when they are first written in
/// part; whole clusters of zeros take no space.
pub struct Overlay {
    base: Arc<dyn BlockBackend>,
    changes: Mutex<Changes>,
}

/// The parts of clusters that a range covers: cluster number, offset inside, bytes, and bytes before in the range.
fn parts(offset: u64, len: u64) -> impl Iterator<Item = (u64, u64, u64, u64)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let inside = at % CLUSTER;
        let n = (CLUSTER - inside).min(len - done);
        let part = (at / CLUSTER, inside, n, done);
        done += n;
        (n > 0).then_some(part)
    })
}

impl Overlay {
    /// A disk that begins with the contents of `base`.
    #[must_use]
    pub fn new(base: Arc<dyn BlockBackend>, scratch: Scratch) -> Self {
        let changes =
            Changes { kept: BTreeMap::new(), zeros: Ranges::default(), scratch, used: 0, free: Vec::new() };
        Self { base, changes: Mutex::new(changes) }
    }

    /// The contents of a whole cluster; beyond the end of the disk it is zeros.
    fn load(&self, changes: &Changes, cluster: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; CLUSTER as usize];
        match changes.find(cluster) {
            Cluster::At(at) => changes.scratch.read(at, &mut bytes)?,
            Cluster::Zero => {}
            Cluster::Base => {
                let start = cluster * CLUSTER;
                let n = CLUSTER.min(self.base.len().saturating_sub(start));
                self.base.read_at(start, &mut bytes[..n as usize])?;
            }
        }
        Ok(bytes)
    }

    fn write_part(&self, changes: &mut Changes, cluster: u64, inside: u64, bytes: &[u8]) -> io::Result<()> {
        if let Cluster::At(at) = changes.find(cluster) {
            return changes.scratch.write(at + inside, bytes);
        }
        let whole = if bytes.len() as u64 == CLUSTER {
            None
        } else {
            let mut whole = self.load(changes, cluster)?;
            whole[inside as usize..][..bytes.len()].copy_from_slice(bytes);
            Some(whole)
        };
        let at = changes.place();
        if let Err(e) = changes.scratch.write(at, whole.as_deref().unwrap_or(bytes)) {
            changes.free.push(at);
            return Err(e);
        }
        changes.kept.insert(cluster, at);
        changes.zeros.remove(cluster);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn zero_ranges(&self) -> usize {
        self.changes.lock().zeros.len()
    }

    #[cfg(test)]
    pub(super) fn scratch_used(&self) -> u64 {
        self.changes.lock().used
    }

    /// The whole clusters in a range of bytes. The last one of the disk is whole if the range goes to its end.
    fn whole_clusters(&self, offset: u64, len: u64) -> Range<u64> {
        let end = offset + len;
        let last = if end == self.base.len() { end.div_ceil(CLUSTER) } else { end / CLUSTER };
        let first = offset.div_ceil(CLUSTER);
        first..last.max(first)
    }
}

impl BlockBackend for Overlay {
    fn name(&self) -> &str {
        self.base.name()
    }
    fn len(&self) -> u64 {
        self.base.len()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len(), offset, buf.len() as u64)?;
        let changes = self.changes.lock();
        for (cluster, inside, n, done) in parts(offset, buf.len() as u64) {
            let part = &mut buf[done as usize..][..n as usize];
            match changes.find(cluster) {
                Cluster::At(at) => changes.scratch.read(at + inside, part)?,
                Cluster::Zero => part.fill(0),
                Cluster::Base => self.base.read_at(offset + done, part)?,
            }
        }
        Ok(())
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        check_range(self.len(), offset, bytes.len() as u64)?;
        let mut changes = self.changes.lock();
        for (cluster, inside, n, done) in parts(offset, bytes.len() as u64) {
            self.write_part(&mut changes, cluster, inside, &bytes[done as usize..][..n as usize])?;
        }
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        // Nothing of an overlay outlives the machine, so there is nothing to make stable.
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        check_range(self.len(), offset, len)?;
        // Of a hint, what is cheap is done (virtio 1.2, 5.2.6.2).
        let whole = self.whole_clusters(offset, len);
        if !whole.is_empty() {
            self.changes.lock().zero(whole);
        }
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> io::Result<()> {
        check_range(self.len(), offset, len)?;
        let mut changes = self.changes.lock();
        let whole = self.whole_clusters(offset, len);
        let as_range = !whole.is_empty() && changes.zero(whole.clone());
        for (cluster, inside, n, _) in edges(offset, len, if as_range { &whole } else { &(0..0) }) {
            if !matches!(changes.find(cluster), Cluster::Zero) {
                self.write_part(&mut changes, cluster, inside, &ZEROS[..n as usize])?;
            }
        }
        Ok(())
    }
}

/// The parts of a range that are not in the clusters `done`, which are in its middle.
fn edges(offset: u64, len: u64, done: &Range<u64>) -> impl Iterator<Item = (u64, u64, u64, u64)> {
    let (head, tail) = if done.is_empty() {
        (len, offset + len)
    } else {
        ((done.start * CLUSTER).saturating_sub(offset), (done.end * CLUSTER).min(offset + len))
    };
    parts(offset, head).chain(parts(tail, offset + len - tail))
}
