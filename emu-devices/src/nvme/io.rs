//! The NVM command set (NVMe 1.4, 6).

use std::sync::Arc;

use emu_core::dma::{Direction, Dma};
use emu_core::host::reason;
use emu_core::metrics::{Counters, Metric};

use super::command::Command;
use super::namespace::Namespace;
use super::pointer::buffers;
use super::status::{Outcome, Status};
use crate::block::{BlockBackend, DiskRequest};

/// Opcodes.
pub(super) mod opcode {
    pub(crate) const FLUSH: u8 = 0x00;
    pub(crate) const WRITE: u8 = 0x01;
    pub(crate) const READ: u8 = 0x02;
    pub(crate) const COMPARE: u8 = 0x05;
    pub(crate) const WRITE_ZEROES: u8 = 0x08;
    pub(crate) const DATASET_MANAGEMENT: u8 = 0x09;
    pub(crate) const VERIFY: u8 = 0x0c;
    /// All that there are.
    pub(crate) const ALL: [u8; 7] = [FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DATASET_MANAGEMENT, VERIFY];
}

/// Dword 12: Force Unit Access.
const FUA: u32 = 1 << 30;
/// Dword 12 of Write Zeroes: Deallocate.
const DEALLOCATE: u32 = 1 << 25;
/// Dword 11 of Dataset Management: Deallocate.
const ATTRIBUTE_DEALLOCATE: u32 = 1 << 2;
/// Bytes that are read at a time for a Verify.
const PIECE: u64 = 256 << 10;

/// All that a command needs beside itself.
pub(super) struct Io {
    pub(super) dma: Dma,
    /// Those that it is for: one, or all for a Flush of all.
    pub(super) namespaces: Vec<Arc<Namespace>>,
    /// Bytes of a memory page.
    pub(super) page: u64,
    /// The most bytes of a data transfer.
    pub(super) most: u64,
    /// What is written need not be stable at once.
    pub(super) cached: bool,
    pub(super) counters: Arc<Counters>,
}

/// A range of a namespace.
struct Blocks {
    namespace: Arc<Namespace>,
    offset: u64,
    len: u64,
}

impl Blocks {
    fn backend(&self) -> &dyn BlockBackend {
        &**self.namespace.disk.backend()
    }

    fn writable(&self) -> Result<(), Status> {
        if self.backend().read_only() { Err(Status::WRITE_PROTECTED) } else { Ok(()) }
    }

    /// Has the host do something; gives the buffer that went with it.
    async fn host(&self, request: DiskRequest) -> Result<Vec<u8>, Status> {
        host(&self.namespace, request).await
    }
}

async fn host(namespace: &Namespace, request: DiskRequest) -> Result<Vec<u8>, Status> {
    let (what, status) = match request {
        DiskRequest::Read { .. } => ("read", Status::READ_ERROR),
        DiskRequest::Write { .. } => ("write", Status::WRITE_FAULT),
        DiskRequest::Flush => ("flush", Status::WRITE_FAULT),
        DiskRequest::Discard { .. } => ("discard a part of", Status::WRITE_FAULT),
        DiskRequest::WriteZeroes { .. } => ("zero a part of", Status::WRITE_FAULT),
    };
    let done = namespace.disk.run(request).await;
    done.result.map_err(|e| {
        tracing::warn!("cannot {what} '{}': {}", namespace.disk.backend().name(), reason(&e));
        status
    })?;
    Ok(done.buffer)
}

impl Io {
    pub(super) async fn execute(self, command: Command) -> Outcome {
        if command.is_fused() {
            return Err(Status::INVALID_FIELD);
        }
        match command.opcode() {
            opcode::FLUSH => self.flush().await,
            opcode::WRITE => self.write(&command).await,
            opcode::READ => self.read(&command).await,
            opcode::COMPARE => self.compare(&command).await,
            opcode::WRITE_ZEROES => self.write_zeroes(&command).await,
            opcode::DATASET_MANAGEMENT => self.dataset_management(&command).await,
            opcode::VERIFY => self.verify(&command).await,
            _ => Err(Status::INVALID_OPCODE),
        }?;
        Ok(0)
    }

    async fn flush(&self) -> Result<(), Status> {
        for namespace in &self.namespaces {
            host(namespace, DiskRequest::Flush).await?;
        }
        Ok(())
    }

    fn range(&self, lba: u64, count: u64) -> Result<Blocks, Status> {
        let namespace = self.namespaces.first().cloned().ok_or(Status::INVALID_NAMESPACE)?;
        let offset = namespace.offset(lba, count).ok_or(Status::LBA_RANGE)?;
        let len = count << namespace.shift;
        Ok(Blocks { namespace, offset, len })
    }

    /// The blocks that a command names.
    fn blocks(&self, command: &Command) -> Result<Blocks, Status> {
        self.range(command.lba(), u64::from(command.word(12) & 0xffff) + 1)
    }

    /// The same of one that moves them.
    fn moved(&self, command: &Command) -> Result<Blocks, Status> {
        let shift = self.namespaces.first().map_or(0, |n| n.shift);
        if (u64::from(command.word(12) & 0xffff) + 1) << shift > self.most {
            return Err(Status::INVALID_FIELD);
        }
        self.blocks(command)
    }

    async fn fetch(&self, command: &Command, len: u64) -> Result<Vec<u8>, Status> {
        let segments = buffers(&self.dma, command, len as u32, self.page).await?;
        Ok(self.dma.transfer(Direction::FromMemory, segments, vec![0; len as usize]).await?)
    }

    fn is_stable(&self, command: &Command) -> bool {
        command.word(12) & FUA != 0 || !self.cached
    }

    async fn write(&self, command: &Command) -> Result<(), Status> {
        let blocks = self.moved(command)?;
        blocks.writable()?;
        let buffer = self.fetch(command, blocks.len).await?;
        let (offset, stable) = (blocks.offset, self.is_stable(command));
        blocks.host(DiskRequest::Write { offset, buffer, stable }).await?;
        self.counters.add(Metric::BlockBytesWritten, blocks.len);
        Ok(())
    }

    async fn read(&self, command: &Command) -> Result<(), Status> {
        let blocks = self.moved(command)?;
        let segments = buffers(&self.dma, command, blocks.len as u32, self.page).await?;
        let buffer = vec![0; blocks.len as usize];
        let buffer = blocks.host(DiskRequest::Read { offset: blocks.offset, buffer }).await?;
        self.dma.transfer(Direction::ToMemory, segments, buffer).await?;
        self.counters.add(Metric::BlockBytesRead, blocks.len);
        Ok(())
    }

    async fn compare(&self, command: &Command) -> Result<(), Status> {
        let blocks = self.moved(command)?;
        let wanted = self.fetch(command, blocks.len).await?;
        let buffer = vec![0; blocks.len as usize];
        let found = blocks.host(DiskRequest::Read { offset: blocks.offset, buffer }).await?;
        if found == wanted { Ok(()) } else { Err(Status::COMPARE_FAILURE) }
    }

    async fn write_zeroes(&self, command: &Command) -> Result<(), Status> {
        let blocks = self.blocks(command)?;
        blocks.writable()?;
        let (offset, len) = (blocks.offset, blocks.len);
        let (may_unmap, stable) = (command.word(12) & DEALLOCATE != 0, self.is_stable(command));
        blocks.host(DiskRequest::WriteZeroes { offset, len, may_unmap, stable }).await?;
        Ok(())
    }

    /// All hints but Deallocate say how the blocks will be used, and ask for nothing.
    async fn dataset_management(&self, command: &Command) -> Result<(), Status> {
        let count = (command.word(10) & 0xff) + 1;
        let bytes = self.fetch(command, 16 * u64::from(count)).await?;
        let mut ranges = Vec::with_capacity(count as usize);
        for bytes in bytes.as_chunks::<16>().0 {
            let value = u128::from_le_bytes(*bytes);
            ranges.push(self.range((value >> 64) as u64, u64::from((value >> 32) as u32))?);
        }
        if command.word(11) & ATTRIBUTE_DEALLOCATE == 0 {
            return Ok(());
        }
        for blocks in ranges {
            blocks.writable()?;
            blocks.host(DiskRequest::Discard { offset: blocks.offset, len: blocks.len }).await?;
        }
        if self.cached { Ok(()) } else { self.flush().await }
    }

    /// Reads the blocks, and moves them nowhere.
    async fn verify(&self, command: &Command) -> Result<(), Status> {
        let blocks = self.blocks(command)?;
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < blocks.len {
            buffer.resize((blocks.len - done).min(PIECE) as usize, 0);
            buffer = blocks.host(DiskRequest::Read { offset: blocks.offset + done, buffer }).await?;
            done += buffer.len() as u64;
        }
        Ok(())
    }
}
