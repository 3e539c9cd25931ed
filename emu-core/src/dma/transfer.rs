//! One transfer between a device and memory: a scatter list, a direction, and how far it has come.

use serde::{Deserialize, Serialize};

use super::{DmaAttrs, DmaFault, DmaPort};

/// A buffer in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// First address, as the device's port takes it.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
}

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The device reads memory.
    FromMemory,
    /// The device writes memory.
    ToMemory,
}

/// Bytes on their way. What was transferred stays so, whatever becomes of the rest: a transfer that is stalled or aborted says
/// how far it has come, and one that goes on does so from there.
#[derive(Clone, Debug)]
pub struct Transfer {
    direction: Direction,
    attrs: DmaAttrs,
    segments: Vec<Segment>,
    bytes: Vec<u8>,
    /// Bytes that are transferred.
    done: usize,
}

impl Transfer {
    /// Between `bytes` of the device and `segments`, in order, until the one or the others are at their end. A transfer from
    /// memory fills `bytes`.
    #[must_use]
    pub fn new(direction: Direction, attrs: DmaAttrs, segments: Vec<Segment>, bytes: Vec<u8>) -> Self {
        Self { direction, attrs, segments, bytes, done: 0 }
    }

    /// Bytes that are transferred so far.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// What was read, or is written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Where the next transaction goes, and how many bytes it has; `None` at the end.
    fn next(&self) -> Option<(u64, usize)> {
        let mut skip = self.done;
        for s in &self.segments {
            let len = s.len as usize;
            if skip < len {
                let n = (len - skip).min(self.bytes.len() - self.done);
                return (n != 0).then(|| (s.addr.wrapping_add(skip as u64), n));
            }
            skip -= len;
        }
        None
    }

    /// Goes on until the end, or to the first transaction that does not complete.
    pub fn run(&mut self, port: &dyn DmaPort) -> Result<(), DmaFault> {
        while let Some((addr, n)) = self.next() {
            let part = &mut self.bytes[self.done..self.done + n];
            match self.direction {
                Direction::FromMemory => port.read(self.attrs, addr, part)?,
                Direction::ToMemory => port.write(self.attrs, addr, part)?,
            }
            self.done += n;
        }
        Ok(())
    }
}
