//! A request: a chain of buffers.

use emu_core::dma::{Direction, Segment};

use super::{GuestMemory, QueueFault};

/// The buffers of one request. Their sum is below 2^32 bytes; no buffer is empty, and none wraps at 2^64.
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

/// The parts of `segments` that hold `len` bytes from `offset` on.
fn part(segments: &[Segment], offset: u64, len: usize) -> Result<Vec<Segment>, QueueFault> {
    let (mut skip, mut left) = (offset, len as u64);
    let mut found = Vec::with_capacity(segments.len());
    for s in segments {
        let size = u64::from(s.len);
        if left == 0 {
            break;
        }
        if skip >= size {
            skip -= size;
            continue;
        }
        let n = (size - skip).min(left);
        found.push(Segment { addr: s.addr + skip, len: n as u32 });
        left -= n;
        skip = 0;
    }
    if left == 0 { Ok(found) } else { Err(QueueFault::Malformed("a request's buffers are too short")) }
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
    pub async fn read(&self, memory: &GuestMemory, offset: u64, buf: Vec<u8>) -> Result<Vec<u8>, QueueFault> {
        let segments = part(&self.readable, offset, buf.len())?;
        Ok(memory.transfer(Direction::FromMemory, segments, buf).await?)
    }

    /// Writes `bytes` from byte `offset` of the writable part on; gives them back.
    pub async fn write(
        &self,
        memory: &GuestMemory,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, QueueFault> {
        let segments = part(&self.writable, offset, bytes.len())?;
        Ok(memory.transfer(Direction::ToMemory, segments, bytes).await?)
    }
}
