//! A disk: commands, and what it remembers between them.

use std::sync::Arc;

use emu_core::host::reason;
use emu_core::metrics::{Counters, Metric};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::commands::{Action, By, find};
use super::identify::{Facts, device};
use super::{Command, Ending, LBA, TaskFile, error, status};
use crate::ahci::{Broken, Link};
use crate::block::{DiskQueue, DiskRequest, SECTOR};

/// Bytes that are moved at a time.
const PIECE: u64 = 256 << 10;
/// The most sectors of a block of READ MULTIPLE.
const MOST_MULTIPLE: u16 = 16;

/// What a user may choose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskOptions {
    /// Serial number, at most 20 bytes.
    pub serial: String,
    /// Model, at most 40 bytes.
    pub model: String,
}

/// What it remembers between commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiskState {
    write_cache: bool,
    /// Sectors of a block of READ MULTIPLE; with 0 there is none.
    multiple: u8,
    /// The page of the log of queued commands' errors (ATA8-ACS, A.7), without its checksum.
    queued_error: Vec<u8>,
    sectors: u64,
}

/// How a command fails.
enum Failure {
    /// The device says so.
    Error { bits: u8, lba: u64 },
    /// The port cannot go on.
    Broken(Broken),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

const ABORTED: Failure = Failure::Error { bits: error::ABRT, lba: 0 };

/// Sectors that a command is about, in bytes.
struct Range {
    offset: u64,
    len: u64,
}

/// See the module's head.
pub struct Disk {
    queue: Arc<DiskQueue>,
    options: DiskOptions,
    state: Mutex<DiskState>,
    counters: Arc<Counters>,
    at_once: bool,
}

impl Disk {
    /// A disk whose requests go to `queue`.
    #[must_use]
    pub fn new(queue: Arc<DiskQueue>, options: DiskOptions, counters: &Arc<Counters>) -> Arc<Self> {
        let sectors = queue.backend().len() / SECTOR;
        let state = DiskState { write_cache: true, multiple: 0, queued_error: Vec::new(), sectors };
        let counters = counters.clone();
        Arc::new(Self { queue, options, state: Mutex::new(state), counters, at_once: false })
    }

    pub(crate) fn set_at_once(&mut self, at_once: bool) {
        self.at_once = at_once;
    }

    /// Waits for what was begun.
    pub(crate) fn drain(&self) {
        self.queue.drain();
    }

    pub(crate) fn halt(&self) {
        self.queue.drain();
        if let Err(e) = self.queue.backend().flush() {
            tracing::error!("cannot flush '{}': {}", self.queue.backend().name(), reason(&e));
        }
    }

    /// A reset of the device: what was set is as after power-on.
    pub(crate) fn reset(&self) {
        let mut state = self.state.lock();
        (state.write_cache, state.multiple) = (true, 0);
        state.queued_error.clear();
    }

    pub(crate) fn save(&self) -> DiskState {
        self.state.lock().clone()
    }

    pub(crate) fn fits(&self, state: &DiskState) -> bool {
        state.sectors == self.sectors()
            && u16::from(state.multiple) <= MOST_MULTIPLE
            && state.queued_error.len() <= 15
    }

    pub(crate) fn restore(&self, state: DiskState) {
        *self.state.lock() = state;
    }

    fn sectors(&self) -> u64 {
        self.queue.backend().len() / SECTOR
    }

    /// What the registers have after a reset (ATA8-ACS, 9.12).
    pub(crate) fn signature(&self) -> TaskFile {
        TaskFile { status: status::READY, error: 1, lba: 1, count: 1, device: 0 }
    }

    /// Executes a command.
    pub(crate) async fn execute(&self, command: &Command, link: &mut Link) -> Result<Ending, Broken> {
        let row = find(command.code);
        tracing::trace!(command = row.map_or("unknown", |row| row.1), ?command, "ATA");
        let by = row.map(|row| match row.2 {
            Action::Read(by) | Action::Write(by) | Action::WriteThrough(by) | Action::ReadLog(by) => by,
            _ => By::Dma,
        });
        let result = match row {
            Some(row) => self.action(row.2, row.3, command, link).await,
            None => Err(ABORTED),
        };
        let (ends_with_data, mut end) = match result {
            Ok(Done { ends_with_data, task_file }) => (ends_with_data, task_file),
            Err(Failure::Broken(broken)) => return Err(broken),
            Err(Failure::Error { bits, lba }) => {
                let status = status::READY | status::ERR;
                (false, TaskFile { status, error: bits, lba, count: command.count, device: 0 })
            }
        };
        end.device = command.device & 0x10 | LBA;
        if by == Some(By::Queue) {
            if end.failed() {
                self.note(link.slot(), &end);
            }
            return Ok(Ending::Queued(end));
        }
        Ok(if ends_with_data { Ending::Data(end) } else { Ending::Registers(end) })
    }

    async fn action(&self, action: Action, ext: bool, c: &Command, link: &mut Link) -> Result<Done, Failure> {
        match action {
            Action::Read(By::Queue) | Action::Write(By::Queue) => {
                self.queued(action == Action::Write(By::Queue), c, link).await
            }
            Action::Read(by) => self.read(self.range(c, ext)?, by, link).await,
            Action::Write(by) => self.write(self.range(c, ext)?, by, false, link).await,
            Action::WriteThrough(by) => self.write(self.range(c, ext)?, by, true, link).await,
            Action::Verify => {
                self.range(c, ext)?;
                Ok(Done::well())
            }
            Action::Flush => {
                self.host(DiskRequest::Flush, 0).await?;
                Ok(Done::well())
            }
            Action::Identify => self.give(self.identify(), By::Pio, link).await,
            Action::ReadLog(by) => self.give(self.log(c)?, by, link).await,
            Action::Trim => self.trim(c, link).await,
            Action::SetFeatures => self.set_features(c),
            Action::SetMultiple => match c.count & 0xff {
                n @ 0..=MOST_MULTIPLE if n == 0 || n.is_power_of_two() => {
                    self.state.lock().multiple = n as u8;
                    Ok(Done::well())
                }
                _ => Err(ABORTED),
            },
            Action::NativeMax => {
                let most = if ext { u64::MAX >> 16 } else { 0x0fff_ffff };
                let lba = self.sectors().saturating_sub(1).min(most);
                Ok(Done { task_file: TaskFile { lba, ..Done::well().task_file }, ends_with_data: false })
            }
            // It is always active or idle.
            Action::CheckPower => Ok(Done {
                task_file: TaskFile { count: 0xff, ..Done::well().task_file },
                ends_with_data: false,
            }),
            Action::Power => Ok(Done::well()),
            Action::Diagnose => Ok(Done { task_file: self.signature(), ends_with_data: false }),
        }
    }

    /// The sectors that a command names: they must be there.
    fn range(&self, c: &Command, ext: bool) -> Result<Range, Failure> {
        let (lba, count) = match ext {
            true => (c.lba, if c.count == 0 { 0x1_0000 } else { u64::from(c.count) }),
            false => {
                let count = u64::from(c.count & 0xff);
                let lba = c.lba & 0xff_ffff | u64::from(c.device & 15) << 24;
                (lba, if count == 0 { 0x100 } else { count })
            }
        };
        self.sectors_at(lba, count, c)
    }

    fn sectors_at(&self, lba: u64, count: u64, c: &Command) -> Result<Range, Failure> {
        if c.device & LBA == 0 || lba.checked_add(count).is_none_or(|end| end > self.sectors()) {
            return Err(Failure::Error { bits: error::IDNF, lba });
        }
        Ok(Range { offset: lba * SECTOR, len: count * SECTOR })
    }

    /// READ and WRITE FPDMA QUEUED: the count is among the features, the tag where the count was.
    async fn queued(&self, write: bool, c: &Command, link: &mut Link) -> Result<Done, Failure> {
        link.accept(Done::well().task_file).await?;
        if u32::from(c.count >> 3 & 31) != link.slot() {
            return Err(ABORTED);
        }
        let count = if c.features == 0 { 0x1_0000 } else { u64::from(c.features) };
        let range = self.sectors_at(c.lba, count, c)?;
        link.set_up_dma(!write, range.len as u32).await?;
        match write {
            true => self.write(range, By::Queue, c.device & 0x80 != 0, link).await,
            false => self.read(range, By::Queue, link).await,
        }
    }

    /// Bytes that are moved at a time.
    fn piece(&self, by: By) -> Result<u64, Failure> {
        match by {
            By::Dma | By::Queue => Ok(PIECE),
            By::Pio => Ok(SECTOR),
            By::Multiple => match self.state.lock().multiple {
                0 => Err(ABORTED),
                n => Ok(u64::from(n) * SECTOR),
            },
        }
    }

    async fn read(&self, range: Range, by: By, link: &mut Link) -> Result<Done, Failure> {
        let (Range { offset, len }, piece) = (range, self.piece(by)?);
        let pio = matches!(by, By::Pio | By::Multiple);
        link.prepare(len).await?;
        let (mut done, mut buffer) = (0, Vec::new());
        while done < len {
            let n = piece.min(len - done);
            buffer.resize(n as usize, 0);
            let lba = (offset + done) / SECTOR;
            buffer = self.host(DiskRequest::Read { offset: offset + done, buffer }, lba).await?;
            if pio {
                link.set_up_pio(true, n as u16, (done == 0, done + n == len)).await?;
            }
            buffer = link.send(buffer).await?;
            done += n;
        }
        self.counters.add(Metric::BlockBytesRead, len);
        Ok(Done { ends_with_data: pio, ..Done::well() })
    }

    async fn write(&self, range: Range, by: By, through: bool, link: &mut Link) -> Result<Done, Failure> {
        let (Range { offset, len }, piece) = (range, self.piece(by)?);
        if self.queue.backend().read_only() {
            return Err(ABORTED);
        }
        let through = through || !self.state.lock().write_cache;
        link.prepare(len).await?;
        let (mut done, mut buffer) = (0, Vec::new());
        while done < len {
            let n = piece.min(len - done);
            if matches!(by, By::Pio | By::Multiple) {
                link.set_up_pio(false, n as u16, (done == 0, done + n == len)).await?;
            }
            buffer.resize(n as usize, 0);
            buffer = link.fetch(buffer).await?;
            let (offset, stable) = (offset + done, through && done + n == len);
            buffer = self.host(DiskRequest::Write { offset, buffer, stable }, offset / SECTOR).await?;
            done += n;
        }
        self.counters.add(Metric::BlockBytesWritten, len);
        Ok(Done::well())
    }

    /// Gives the host a sector or several of the device's own.
    async fn give(&self, bytes: Vec<u8>, by: By, link: &mut Link) -> Result<Done, Failure> {
        let pio = by == By::Pio;
        link.prepare(bytes.len() as u64).await?;
        let sectors = bytes.len() / SECTOR as usize;
        for (n, sector) in bytes.chunks(SECTOR as usize).enumerate() {
            if pio {
                link.set_up_pio(true, SECTOR as u16, (n == 0, n + 1 == sectors)).await?;
            }
            link.send(sector.to_vec()).await?;
        }
        Ok(Done { ends_with_data: pio, ..Done::well() })
    }

    /// DATA SET MANAGEMENT with TRIM: a list of ranges, 48 bits of address and 16 of length each.
    async fn trim(&self, c: &Command, link: &mut Link) -> Result<Done, Failure> {
        if c.features & 0xff != 1 || c.count != 1 || self.queue.backend().read_only() {
            return Err(ABORTED);
        }
        link.prepare(SECTOR).await?;
        let list = link.fetch(vec![0; SECTOR as usize]).await?;
        for raw in list.chunks_exact(8) {
            let entry = raw.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            let (lba, count) = (entry & (u64::MAX >> 16), entry >> 48);
            if count != 0 {
                let Range { offset, len } = self.sectors_at(lba, count, c)?;
                self.host(DiskRequest::Discard { offset, len }, lba).await?;
            }
        }
        Ok(Done::well())
    }

    fn set_features(&self, c: &Command) -> Result<Done, Failure> {
        match c.features & 0xff {
            0x02 => self.state.lock().write_cache = true,
            0x82 => self.state.lock().write_cache = false,
            // The transfer mode: PIO, multiword DMA, Ultra DMA. There is no wire that it is about.
            0x03 if matches!(c.count >> 3 & 31, 0 | 1 | 4 | 8) => {}
            _ => return Err(ABORTED),
        }
        Ok(Done::well())
    }

    fn identify(&self) -> Vec<u8> {
        let state = self.state.lock();
        device(&Facts {
            sectors: self.sectors(),
            serial: &self.options.serial,
            model: &self.options.model,
            write_cache: state.write_cache,
            multiple: state.multiple,
            trim: !self.queue.backend().read_only(),
        })
    }

    /// A queued command has failed: what the log says of it.
    fn note(&self, tag: u32, end: &TaskFile) {
        let [a, b, c, d, e, f, ..] = end.lba.to_le_bytes();
        let [low, high] = end.count.to_le_bytes();
        self.state.lock().queued_error =
            vec![tag as u8, 0, end.status, end.error, a, b, c, end.device, d, e, f, 0, low, high];
    }

    /// A page of a log: the directory, or the errors of queued commands, which are forgotten then.
    fn log(&self, c: &Command) -> Result<Vec<u8>, Failure> {
        if c.count != 1 || c.lba >> 8 != 0 {
            return Err(ABORTED);
        }
        let mut page = vec![0; SECTOR as usize];
        match c.lba & 0xff {
            0x00 => (page[0], page[0x20]) = (1, 1),
            0x10 => {
                let note = std::mem::take(&mut self.state.lock().queued_error);
                // Without a failed command: none was queued.
                page[0] = 0x80;
                page[..note.len()].copy_from_slice(&note);
                let sum = page.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                page[511] = sum.wrapping_neg();
            }
            _ => return Err(ABORTED),
        }
        Ok(page)
    }

    /// Has the host do something about the sector `lba` and those behind it; gives the buffer back.
    async fn host(&self, request: DiskRequest, lba: u64) -> Result<Vec<u8>, Failure> {
        let writes = !matches!(request, DiskRequest::Read { .. });
        let done = if self.at_once { self.queue.execute(request) } else { self.queue.run(request).await };
        done.result.map(|()| done.buffer).map_err(|e| {
            tracing::warn!("an error of the disk '{}': {}", self.queue.backend().name(), reason(&e));
            Failure::Error { bits: if writes { error::ABRT } else { error::UNC }, lba }
        })
    }
}

/// A command that has been done.
struct Done {
    task_file: TaskFile,
    /// It ends with its last data.
    ends_with_data: bool,
}

impl Done {
    fn well() -> Self {
        Self { task_file: TaskFile { status: status::READY, ..TaskFile::default() }, ends_with_data: false }
    }
}
