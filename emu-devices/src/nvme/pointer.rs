//! Where the data of a command is: physical region pages (NVMe 1.4, 4.3) and scatter gather lists (4.4).

use emu_core::dma::{Aborted, Direction, Dma, Segment};

use super::command::Command;
use super::status::Status;

/// Descriptors that one list may have. What a command moves is bounded; empty descriptors are not.
const MAX_DESCRIPTORS: u32 = 4096;
/// Segments that one list may have.
const MAX_SEGMENTS: u32 = 256;
/// Bytes of a descriptor.
const DESCRIPTOR: u32 = 16;

impl From<Aborted> for Status {
    fn from(_: Aborted) -> Self {
        Self::DATA_TRANSFER_ERROR
    }
}

/// Buffers, one behind the other.
#[derive(Default)]
struct Buffers(Vec<Segment>);

impl Buffers {
    fn push(&mut self, addr: u64, len: u32) {
        match self.0.last_mut() {
            Some(last)
                if last.addr.wrapping_add(last.len.into()) == addr && last.len.checked_add(len).is_some() =>
            {
                last.len += len;
            }
            _ => self.0.push(Segment { addr, len }),
        }
    }
}

/// The buffers for `len` bytes of `command`, with pages of `page` bytes.
pub(super) async fn buffers(
    dma: &Dma,
    command: &Command,
    len: u32,
    page: u64,
) -> Result<Vec<Segment>, Status> {
    match command.psdt() {
        0 => Pages { dma, page, left: len, buffers: Buffers::default() }.collect(command).await,
        1 | 2 => List { dma, left: len, descriptors: 0, buffers: Buffers::default() }.collect(command).await,
        _ => Err(Status::INVALID_FIELD),
    }
}

async fn read(dma: &Dma, addr: u64, len: u32) -> Result<Vec<u8>, Aborted> {
    dma.transfer(Direction::FromMemory, vec![Segment { addr, len }], vec![0; len as usize]).await
}

struct Pages<'a> {
    dma: &'a Dma,
    page: u64,
    left: u32,
    buffers: Buffers,
}

impl Pages<'_> {
    fn offset(&self, pointer: u64) -> u64 {
        pointer & (self.page - 1)
    }

    /// The rest of the page at `pointer`, as far as it is needed.
    fn push(&mut self, pointer: u64) {
        let n = (self.page - self.offset(pointer)).min(self.left.into()) as u32;
        self.buffers.push(pointer, n);
        self.left -= n;
    }

    async fn collect(mut self, command: &Command) -> Result<Vec<Segment>, Status> {
        let (first, second) = (command.prp1(), command.prp2());
        if first & 3 != 0 {
            return Err(Status::INVALID_PRP_OFFSET);
        }
        self.push(first);
        if u64::from(self.left) > self.page {
            self.list(second).await?;
        } else if self.left > 0 {
            self.whole(second)?;
        }
        Ok(self.buffers.0)
    }

    /// A page that is not the first begins at its beginning.
    fn whole(&mut self, pointer: u64) -> Result<(), Status> {
        if self.offset(pointer) != 0 {
            return Err(Status::INVALID_PRP_OFFSET);
        }
        self.push(pointer);
        Ok(())
    }

    /// The last entry of a page of the list says where the list goes on, if it does.
    async fn list(&mut self, mut at: u64) -> Result<(), Status> {
        if at & 7 != 0 {
            return Err(Status::INVALID_PRP_OFFSET);
        }
        loop {
            let room = (self.page - self.offset(at)) / 8;
            let needed = u64::from(self.left).div_ceil(self.page);
            let bytes = read(self.dma, at, 8 * room.min(needed) as u32).await?;
            let entries = bytes.as_chunks::<8>().0.iter().map(|e| u64::from_le_bytes(*e));
            let (here, next) = if needed > room { (room - 1, true) } else { (needed, false) };
            let mut last = 0;
            for (n, entry) in (0..).zip(entries) {
                if n < here {
                    self.whole(entry)?;
                }
                last = entry;
            }
            if !next {
                return Ok(());
            }
            if self.offset(last) != 0 {
                return Err(Status::INVALID_PRP_OFFSET);
            }
            at = last;
        }
    }
}

struct List<'a> {
    dma: &'a Dma,
    left: u32,
    descriptors: u32,
    buffers: Buffers,
}

/// A descriptor: address, length, type and subtype.
struct Descriptor {
    addr: u64,
    len: u32,
    kind: u8,
}

impl Descriptor {
    /// Types, in bits 7:4 with subtype 0 (an address).
    const DATA: u8 = 0x00;
    const SEGMENT: u8 = 0x20;
    const LAST_SEGMENT: u8 = 0x30;

    fn parse(bytes: &[u8; DESCRIPTOR as usize]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, _, _, _, kind] = *bytes;
        let addr = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self { addr, len: u32::from_le_bytes([i, j, k, l]), kind }
    }
}

impl List<'_> {
    /// The first descriptor is in the command, where the PRPs would be.
    async fn collect(mut self, command: &Command) -> Result<Vec<Segment>, Status> {
        let mut bytes = [0; DESCRIPTOR as usize];
        let words = [command.prp1(), command.prp2()];
        for (to, from) in bytes.iter_mut().zip(words.into_iter().flat_map(u64::to_le_bytes)) {
            *to = from;
        }
        let mut pointer = self.descriptor(Descriptor::parse(&bytes))?;
        let mut segments = 0;
        while let Some(segment) = pointer {
            segments += 1;
            if segments > MAX_SEGMENTS {
                return Err(Status::INVALID_NUMBER_OF_SGLS);
            }
            pointer = self.segment(&segment).await?;
        }
        if self.left == 0 { Ok(self.buffers.0) } else { Err(Status::SGL_LENGTH) }
    }

    /// What a descriptor is for: data, or the next segment, which it gives.
    fn descriptor(&mut self, d: Descriptor) -> Result<Option<Descriptor>, Status> {
        match d.kind {
            Descriptor::DATA if d.len > self.left => Err(Status::SGL_LENGTH),
            Descriptor::DATA => {
                if d.len > 0 {
                    self.buffers.push(d.addr, d.len);
                }
                self.left -= d.len;
                Ok(None)
            }
            Descriptor::SEGMENT | Descriptor::LAST_SEGMENT => {
                if d.len == 0 || !d.len.is_multiple_of(DESCRIPTOR) {
                    return Err(Status::INVALID_SGL_SEGMENT);
                }
                Ok(Some(d))
            }
            _ => Err(Status::SGL_TYPE),
        }
    }

    /// Only the last descriptor of a segment that is not the last says where the next one is.
    async fn segment(&mut self, segment: &Descriptor) -> Result<Option<Descriptor>, Status> {
        let count = segment.len / DESCRIPTOR;
        self.descriptors = self.descriptors.saturating_add(count);
        if self.descriptors > MAX_DESCRIPTORS {
            return Err(Status::INVALID_NUMBER_OF_SGLS);
        }
        let is_last = segment.kind == Descriptor::LAST_SEGMENT;
        let bytes = read(self.dma, segment.addr, segment.len).await?;
        let mut next = None;
        for bytes in bytes.as_chunks::<{ DESCRIPTOR as usize }>().0 {
            if next.is_some() {
                return Err(Status::INVALID_SGL_SEGMENT);
            }
            next = self.descriptor(Descriptor::parse(bytes))?;
        }
        if next.is_some() == is_last { Err(Status::INVALID_SGL_SEGMENT) } else { Ok(next) }
    }
}
