//! A request: a chain of buffers.

use super::{GuestMemory, QueueFault};

/// A buffer in guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// First address, as the device's port takes it.
    pub addr: u64,
    /// Bytes; never 0.
    pub len: u32,
}

/// The buffers of one request. Their sum is below 2^32 bytes, and no buffer wraps at 2^64.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// Index of the first descriptor: the request's name in the used ring.
    pub head: u16,
    /// What the device may read, in order.
    pub readable: Vec<Segment>,
    /// What the device may write, in order.
    pub writable: Vec<Segment>,
}

fn length(segments: &[Segment]) -> u64 {
    segments.iter().map(|s| u64::from(s.len)).sum()
}

/// Visits the parts of `segments` that hold bytes `offset..offset + len`: address, position in the range, bytes.
fn visit(
    segments: &[Segment],
    offset: u64,
    len: usize,
    mut f: impl FnMut(u64, usize, usize) -> Result<(), QueueFault>,
) -> Result<(), QueueFault> {
    let mut skip = offset;
    let mut done = 0;
    for s in segments {
        if done == len {
            break;
        }
        let size = u64::from(s.len);
        if skip >= size {
            skip -= size;
            continue;
        }
        let n = (size - skip).min((len - done) as u64) as usize;
        f(s.addr + skip, done, n)?;
        done += n;
        skip = 0;
    }
    if done == len { Ok(()) } else { Err(QueueFault::Malformed("a request's buffers are too short")) }
}

impl Chain {
    /// Bytes that the device may read.
    #[must_use]
    pub fn readable_len(&self) -> u64 {
        length(&self.readable)
    }

    /// Bytes that the device may write.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        length(&self.writable)
    }

    /// Fills `buf` from byte `offset` of the readable part on.
    pub fn read(&self, memory: &GuestMemory<'_>, offset: u64, buf: &mut [u8]) -> Result<(), QueueFault> {
        visit(&self.readable, offset, buf.len(), |addr, at, n| Ok(memory.read(addr, &mut buf[at..at + n])?))
    }

    /// Writes `bytes` from byte `offset` of the writable part on.
    pub fn write(&self, memory: &GuestMemory<'_>, offset: u64, bytes: &[u8]) -> Result<(), QueueFault> {
        visit(&self.writable, offset, bytes.len(), |addr, at, n| Ok(memory.write(addr, &bytes[at..at + n])?))
    }
}
