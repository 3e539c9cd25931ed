//! A command of a port: its header, its table, its PRDT (AHCI 1.3.1, 4.2), and the FISes that its device answers with.

use std::sync::Arc;

use emu_core::dma::{Aborted, Direction, Dma, Segment};

use super::hba::Shared;
use super::registers::{BSY, is};
use crate::ata::{Command, Disk, Ending, TaskFile};

/// Entries of a PRDT that are read at a time.
const PRDS: u32 = 64;

/// Why a command cannot go on. The port is halted then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// Memory did not answer (6.1.1).
    Memory,
    /// The PRDT has room for fewer bytes than the command moves (6.1.2).
    Overflow,
    /// A command FIS that is none.
    Fis,
}

impl From<Aborted> for Broken {
    fn from(_: Aborted) -> Self {
        Self::Memory
    }
}

/// A command header.
#[derive(Clone, Copy, Default)]
struct Header {
    words: u8,
    prds: u32,
    table: u64,
}

/// What a command in a slot has of its port.
pub(crate) struct Link {
    shared: Arc<Shared>,
    dma: Dma,
    disk: Arc<Disk>,
    port: usize,
    slot: u32,
    header: Header,
    segments: Vec<Segment>,
    /// Where in the segments the next bytes go: a segment, and bytes of it.
    at: (usize, u32),
    moved: u32,
    /// A segment wants an interrupt when it is done.
    interrupts: bool,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, dma: Dma, disk: Arc<Disk>, port: usize, slot: u32) -> Self {
        let header = Header::default();
        Self {
            shared,
            dma,
            disk,
            port,
            slot,
            header,
            segments: Vec::new(),
            at: (0, 0),
            moved: 0,
            interrupts: false,
        }
    }

    /// The slot that the command is in, which is its tag.
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    async fn read(&self, addr: u64, len: u32) -> Result<Vec<u8>, Aborted> {
        let segments = vec![Segment { addr, len }];
        self.dma.transfer(Direction::FromMemory, segments, vec![0; len as usize]).await
    }

    async fn write(&self, addr: u64, bytes: Vec<u8>) -> Result<(), Aborted> {
        let segments = vec![Segment { addr, len: bytes.len() as u32 }];
        self.dma.transfer(Direction::ToMemory, segments, bytes).await.map(|_| ())
    }

    /// Puts a FIS where received ones go (4.2.1), if they are received.
    async fn receive(&self, at: u64, fis: Vec<u8>) -> Result<(), Aborted> {
        let area = {
            let registers = self.shared.registers.lock();
            let port = &registers.ports[self.port];
            (port.command & super::registers::cmd::FRE != 0).then_some(port.fis)
        };
        match area {
            Some(area) => self.write(area + at, fis).await,
            None => Ok(()),
        }
    }

    /// The device says what it is: the FIS after a reset.
    pub(super) async fn signature(self) {
        let task_file = self.disk.signature();
        let sent = self.receive(0x40, task_file.register_fis(false)).await;
        let bits = if sent.is_err() { is::HBFS } else { 0 };
        self.shared.event(self.port, |p| {
            p.task_file = task_file.pair();
            p.signature = task_file.signature();
            bits
        });
    }

    /// Executes the command of the slot.
    pub(super) async fn command(mut self) {
        let bits = match self.execute().await {
            Ok(()) => return,
            Err(Broken::Memory) => is::HBFS,
            Err(Broken::Overflow) => is::OFS,
            Err(Broken::Fis) => is::IFS,
        };
        self.shared.anomaly("a command cannot go on, PxIS", bits.into());
        self.shared.event(self.port, |p| {
            p.halted = true;
            bits
        });
    }

    async fn execute(&mut self) -> Result<(), Broken> {
        let list = self.shared.registers.lock().ports[self.port].list;
        let raw = self.read(list + 32 * u64::from(self.slot), 32).await?;
        let flags = word(&raw, 0);
        self.header = Header {
            words: flags as u8 & 0x1f,
            prds: flags >> 16,
            table: (u64::from(word(&raw, 12)) << 32 | u64::from(word(&raw, 8))) & !0x7f,
        };
        let fis = self.read(self.header.table, 20).await?;
        if self.header.words < 5 || fis.first() != Some(&0x27) {
            return Err(Broken::Fis);
        }
        if fis.get(1).is_none_or(|flags| flags & 0x80 == 0) {
            self.control(fis.get(15).is_some_and(|control| control & 4 != 0)).await?;
            return Ok(());
        }
        let command = Command::from_fis(&fis);
        let disk = self.disk.clone();
        match disk.execute(&command, self).await? {
            Ending::Registers(task_file) => self.end(task_file).await,
            Ending::Queued(task_file) => self.end_queued(task_file).await,
            Ending::Data(task_file) => {
                self.count().await?;
                self.finish(&task_file, 0);
                Ok(())
            }
        }
    }

    /// The device control register: a software reset begins or ends.
    async fn control(&self, reset: bool) -> Result<(), Aborted> {
        let mut ended = false;
        self.shared.event(self.port, |p| {
            ended = std::mem::replace(&mut p.soft_reset, reset) && !reset;
            p.issued &= !(1 << self.slot);
            p.task_file = if reset || ended { BSY.into() } else { 0x50 };
            0
        });
        if ended {
            self.disk.reset();
            self.shared.event(self.port, |p| {
                p.signature_due = true;
                0
            });
        }
        Ok(())
    }

    /// Tells how many bytes were moved (PRDBC).
    async fn count(&self) -> Result<(), Aborted> {
        let list = self.shared.registers.lock().ports[self.port].list;
        self.write(list + 32 * u64::from(self.slot) + 4, self.moved.to_le_bytes().to_vec()).await
    }

    /// The command is done as the device says: after an error it stays issued, and the port halts (6.2.2).
    fn finish(&self, task_file: &TaskFile, bits: u32) {
        let bits = bits | if self.interrupts { is::DPS } else { 0 };
        self.shared.event(self.port, |p| {
            p.task_file = task_file.pair();
            if task_file.failed() {
                p.halted = true;
                return bits | is::TFES;
            }
            p.issued &= !(1 << self.slot);
            bits
        });
    }

    async fn end(&self, task_file: TaskFile) -> Result<(), Broken> {
        self.count().await?;
        self.receive(0x40, task_file.register_fis(true)).await?;
        self.finish(&task_file, is::DHRS);
        Ok(())
    }

    /// A queued command is accepted: its slot is free for the list, and the device for the next one.
    pub(crate) async fn accept(&self, task_file: TaskFile) -> Result<(), Broken> {
        self.receive(0x40, task_file.register_fis(false)).await?;
        self.shared.event(self.port, |p| {
            p.task_file = task_file.pair();
            p.issued &= !(1 << self.slot);
            0
        });
        Ok(())
    }

    /// The device is ready to move a queued command's data.
    pub(crate) async fn set_up_dma(&self, to_memory: bool, bytes: u32) -> Result<(), Broken> {
        let mut fis = vec![0; 28];
        fis[..2].copy_from_slice(&[0x41, u8::from(to_memory) << 5]);
        fis[4..8].copy_from_slice(&self.slot.to_le_bytes());
        fis[20..24].copy_from_slice(&bytes.to_le_bytes());
        Ok(self.receive(0, fis).await?)
    }

    async fn end_queued(&self, task_file: TaskFile) -> Result<(), Broken> {
        self.count().await?;
        let done = if task_file.failed() { 0 } else { 1_u32 << self.slot };
        let mut fis = vec![0xa1, 0x40, task_file.status & 0x77, task_file.error];
        fis.extend(done.to_le_bytes());
        self.receive(0x58, fis).await?;
        let bits = is::SDBS | if self.interrupts { is::DPS } else { 0 };
        self.shared.event(self.port, |p| {
            // BSY and DRQ are not the FIS's to say (SATA 3.x, Set Device Bits).
            let status = p.task_file as u8 & 0x88 | task_file.status & 0x77;
            p.task_file = u16::from(task_file.error) << 8 | u16::from(status);
            p.active &= !done;
            if task_file.failed() {
                p.halted = true;
                return bits | is::TFES;
            }
            bits
        });
        Ok(())
    }

    /// The device begins to move a block of a PIO command; `last` of those from the device, `first` of those to it.
    pub(crate) async fn set_up_pio(
        &self,
        to_memory: bool,
        bytes: u16,
        (first, last): (bool, bool),
    ) -> Result<(), Broken> {
        let interrupt = to_memory || !first;
        let mut fis = vec![0; 20];
        let end = if to_memory && last { 0x50 } else { 0xd0 };
        fis[..3].copy_from_slice(&[0x5f, u8::from(to_memory) << 5 | u8::from(interrupt) << 6, 0x58]);
        fis[15] = end;
        fis[16..18].copy_from_slice(&bytes.to_le_bytes());
        self.receive(0x20, fis).await?;
        self.shared.event(self.port, |p| {
            p.task_file = 0x58;
            if interrupt { is::PSS } else { 0 }
        });
        Ok(())
    }

    /// The PRDT has room for `len` bytes, or the command cannot go on.
    pub(crate) async fn prepare(&mut self, len: u64) -> Result<(), Broken> {
        let (mut room, mut read) = (0, 0);
        self.segments.clear();
        while room < len && read < self.header.prds {
            let n = PRDS.min(self.header.prds - read);
            let table = self.header.table.wrapping_add(0x80 + 16 * u64::from(read));
            let raw = self.read(table, 16 * n).await?;
            for prd in raw.chunks_exact(16) {
                let addr = u64::from(word(prd, 4)) << 32 | u64::from(word(prd, 0) & !1);
                // Counts are even: bit 0 is always set (4.2.3.3).
                let bytes = (word(prd, 12) & 0x3f_ffff | 1) + 1;
                if room < len {
                    self.interrupts |= word(prd, 12) >> 31 != 0;
                    self.segments.push(Segment { addr, len: bytes });
                    room += u64::from(bytes);
                }
            }
            read += n;
        }
        if room < len { Err(Broken::Overflow) } else { Ok(()) }
    }

    /// The places of the next `len` bytes.
    fn next(&mut self, len: usize) -> Vec<Segment> {
        let (mut left, mut places) = (len as u64, Vec::new());
        while left > 0 {
            let Some(segment) = self.segments.get(self.at.0) else { break };
            let n = left.min(u64::from(segment.len - self.at.1)) as u32;
            places.push(Segment { addr: segment.addr.wrapping_add(self.at.1.into()), len: n });
            left -= u64::from(n);
            self.at.1 += n;
            if self.at.1 == segment.len {
                self.at = (self.at.0 + 1, 0);
            }
        }
        places
    }

    /// Moves bytes of the device to memory.
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Broken> {
        let places = self.next(bytes.len());
        self.moved = self.moved.wrapping_add(bytes.len() as u32);
        Ok(self.dma.transfer(Direction::ToMemory, places, bytes).await?)
    }

    /// Fills a buffer of the device from memory.
    pub(crate) async fn fetch(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Broken> {
        let places = self.next(buffer.len());
        self.moved = self.moved.wrapping_add(buffer.len() as u32);
        Ok(self.dma.transfer(Direction::FromMemory, places, buffer).await?)
    }
}
