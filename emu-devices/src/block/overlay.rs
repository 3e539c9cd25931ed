//! Copy on write: a disk whose changes live beside the image and vanish with the machine.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{BlockBackend, check_range};

/// Bytes in a cluster, the unit that is copied.
const CLUSTER: u64 = 64 << 10;

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

/// What became of a cluster that is no longer the image's.
#[derive(Clone, Copy)]
enum Cluster {
    /// Kept at this byte of the scratch space.
    At(u64),
    /// All zeros.
    Zero,
}

struct Changes {
    map: HashMap<u64, Cluster>,
    scratch: Scratch,
    used: u64,
}

/// A writable disk over an image that is never written. Clusters of 64 KiB are copied when they are first written in
/// part; a whole cluster of zeros takes no space.
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
        Self { base, changes: Mutex::new(Changes { map: HashMap::new(), scratch, used: 0 }) }
    }

    /// The contents of a whole cluster; beyond the end of the disk it is zeros.
    fn load(&self, changes: &Changes, cluster: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; CLUSTER as usize];
        match changes.map.get(&cluster) {
            Some(Cluster::At(at)) => changes.scratch.read(*at, &mut bytes)?,
            Some(Cluster::Zero) => {}
            None => {
                let start = cluster * CLUSTER;
                let n = CLUSTER.min(self.base.len().saturating_sub(start));
                self.base.read_at(start, &mut bytes[..n as usize])?;
            }
        }
        Ok(bytes)
    }

    fn write_part(&self, changes: &mut Changes, cluster: u64, inside: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(Cluster::At(at)) = changes.map.get(&cluster) {
            let at = *at + inside;
            return changes.scratch.write(at, bytes);
        }
        let at = changes.used;
        if bytes.len() as u64 == CLUSTER {
            changes.scratch.write(at, bytes)?;
        } else {
            let mut whole = self.load(changes, cluster)?;
            whole[inside as usize..][..bytes.len()].copy_from_slice(bytes);
            changes.scratch.write(at, &whole)?;
        }
        changes.used += CLUSTER;
        changes.map.insert(cluster, Cluster::At(at));
        Ok(())
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
            match changes.map.get(&cluster) {
                Some(Cluster::At(at)) => changes.scratch.read(at + inside, part)?,
                Some(Cluster::Zero) => part.fill(0),
                None => self.base.read_at(offset + done, part)?,
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
        self.write_zeroes(offset, len, true)
    }
    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> io::Result<()> {
        check_range(self.len(), offset, len)?;
        let mut changes = self.changes.lock();
        for (cluster, inside, n, _) in parts(offset, len) {
            match changes.map.get(&cluster) {
                Some(Cluster::Zero) => {}
                // A cluster that already has a place keeps it, so that rewriting never leaks scratch space.
                None if n == CLUSTER => {
                    changes.map.insert(cluster, Cluster::Zero);
                }
                _ => self.write_part(&mut changes, cluster, inside, &vec![0; n as usize])?,
            }
        }
        Ok(())
    }
}
