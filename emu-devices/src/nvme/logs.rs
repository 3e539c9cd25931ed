//! Log pages (NVMe 1.4, 5.14) and asynchronous events (5.2).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::status::{Outcome, Status};
use super::{Live, Nvme, admin, io};

/// The composite temperature in kelvins: 50 degrees Celsius.
pub(super) const TEMPERATURE: u16 = 323;
/// Entries of the error information log.
pub(super) const ERRORS: usize = 16;
/// Bytes of the unit of data that the health log counts in.
const DATA_UNIT: u64 = 512_000;

/// Log identifiers.
mod id {
    pub(super) const ERRORS: u8 = 1;
    pub(super) const HEALTH: u8 = 2;
    pub(super) const FIRMWARE: u8 = 3;
    pub(super) const CHANGED_NAMESPACES: u8 = 4;
    pub(super) const EFFECTS: u8 = 5;
}

/// Something that software is told of: type, information, and the log page that has more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    kind: u8,
    information: u8,
    log: u8,
}

impl Event {
    /// A write to a doorbell of a queue that there is not.
    pub(super) const INVALID_DOORBELL: Self = Self { kind: 0, information: 0, log: id::ERRORS };
    /// A value that a doorbell cannot have.
    pub(super) const INVALID_VALUE: Self = Self { kind: 0, information: 1, log: id::ERRORS };
    /// The temperature is beyond a threshold.
    pub(super) const TEMPERATURE: Self = Self { kind: 1, information: 1, log: id::HEALTH };

    fn result(self) -> u32 {
        u32::from(self.kind) | u32::from(self.information) << 8 | u32::from(self.log) << 16
    }
}

/// Events, and the requests that wait for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Events {
    /// Command identifiers.
    requests: VecDeque<u16>,
    /// Each at most once.
    waiting: Vec<Event>,
    /// Types that were told of, and are not told of again before their log is read: one bit each.
    masked: u8,
}

impl Events {
    /// Something has happened. What waits already, or was told of and not looked at, is not told of again.
    pub(super) fn raise(&mut self, event: Event) {
        if !self.waiting.contains(&event) && self.masked >> event.kind & 1 == 0 {
            self.waiting.push(event);
        }
    }

    /// A request, which waits; there can be so many.
    pub(super) fn request(&mut self, id: u16, most: usize) -> Result<(), Status> {
        if self.requests.len() >= most {
            return Err(Status::TOO_MANY_EVENT_REQUESTS);
        }
        self.requests.push_back(id);
        Ok(())
    }

    /// A request that ends now, with its result.
    pub(super) fn take(&mut self) -> Option<(u16, u32)> {
        let masked = self.masked;
        let at = self.waiting.iter().position(|e| masked >> e.kind & 1 == 0)?;
        let request = self.requests.pop_front()?;
        let event = self.waiting.remove(at);
        self.masked |= 1 << event.kind;
        Some((request, event.result()))
    }

    /// A request is not wanted any more; false if there is no such one.
    pub(super) fn abort(&mut self, id: u16) -> bool {
        let at = self.requests.iter().position(|r| *r == id);
        at.and_then(|at| self.requests.remove(at)).is_some()
    }

    /// Software has read the log of a type.
    fn acknowledge(&mut self, kind: u8) {
        self.masked &= !(1 << kind);
        self.waiting.retain(|e| e.kind != kind);
    }

    pub(super) fn is_possible(&self, most: usize) -> bool {
        self.requests.len() <= most && self.waiting.len() <= 8 && self.waiting.iter().all(|e| e.kind < 2)
    }
}

/// An entry of the error information log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct ErrorEntry {
    count: u64,
    queue: u16,
    id: u16,
    status: u16,
    lba: u64,
    nsid: u32,
}

/// What the controller remembers of its life. A reset of the controller leaves it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Health {
    errors: VecDeque<ErrorEntry>,
    error_count: u64,
    media_errors: u64,
    bytes_read: u64,
    bytes_written: u64,
    reads: u64,
    writes: u64,
}

impl Health {
    /// A command has ended.
    pub(super) fn note(&mut self, queue: u16, command: &Command, bytes: u64, outcome: Outcome) {
        match outcome {
            Ok(_) if queue == 0 => {}
            Ok(_) if command.opcode() == io::opcode::READ || command.opcode() == io::opcode::COMPARE => {
                self.reads = self.reads.wrapping_add(1);
                self.bytes_read = self.bytes_read.wrapping_add(bytes);
            }
            Ok(_) if command.opcode() == io::opcode::WRITE => {
                self.writes = self.writes.wrapping_add(1);
                self.bytes_written = self.bytes_written.wrapping_add(bytes);
            }
            Ok(_) => {}
            Err(status) if status == Status::READ_ERROR || status == Status::WRITE_FAULT => {
                self.media_errors = self.media_errors.wrapping_add(1);
                self.error_count = self.error_count.wrapping_add(1);
                self.errors.push_front(ErrorEntry {
                    count: self.error_count,
                    queue,
                    id: command.id(),
                    status: status.0,
                    lba: command.lba(),
                    nsid: command.nsid(),
                });
                self.errors.truncate(ERRORS);
            }
            Err(_) => {}
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        self.errors.len() <= ERRORS
    }
}

/// Puts fields of a structure to their offsets.
pub(super) struct Page(Vec<u8>);

impl Page {
    pub(super) fn new(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// What does not fit is left out.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.0.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }

    /// Text, filled up with spaces.
    pub(super) fn text(&mut self, at: usize, len: usize, text: &str) {
        let padded: Vec<u8> = text.bytes().chain(std::iter::repeat(b' ')).take(len).collect();
        self.put(at, &padded);
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Nvme {
    fn error_log(live: &Live) -> Vec<u8> {
        let mut page = Page::new(64 * ERRORS);
        for (n, e) in live.health.errors.iter().enumerate() {
            let at = 64 * n;
            page.put(at, &e.count.to_le_bytes());
            page.put(at + 8, &e.queue.to_le_bytes());
            page.put(at + 10, &e.id.to_le_bytes());
            page.put(at + 12, &(e.status << 1).to_le_bytes());
            page.put(at + 16, &e.lba.to_le_bytes());
            page.put(at + 24, &e.nsid.to_le_bytes());
        }
        page.bytes()
    }

    fn health_log(live: &Live) -> Vec<u8> {
        let mut page = Page::new(512);
        page.put(0, &[u8::from(live.features.is_temperature_critical()) << 1]);
        page.put(1, &TEMPERATURE.to_le_bytes());
        // Available spare, and its threshold: all and none.
        page.put(3, &[100, 0]);
        let h = &live.health;
        let units = |bytes: u64| bytes.div_ceil(DATA_UNIT);
        for (n, value) in [units(h.bytes_read), units(h.bytes_written), h.reads, h.writes].iter().enumerate()
        {
            page.put(32 + 16 * n, &value.to_le_bytes());
        }
        page.put(160, &h.media_errors.to_le_bytes());
        page.put(176, &h.error_count.to_le_bytes());
        page.bytes()
    }

    fn firmware_log() -> Vec<u8> {
        let mut page = Page::new(512);
        // Slot 1 is active.
        page.put(0, &[1]);
        page.text(8, 8, super::identify::FIRMWARE);
        page.bytes()
    }

    fn effects_log() -> Vec<u8> {
        const SUPPORTED: u32 = 1;
        const CHANGES_DATA: u32 = 1 << 1;
        let mut page = Page::new(4096);
        for opcode in admin::opcode::ALL {
            page.put(4 * usize::from(opcode), &SUPPORTED.to_le_bytes());
        }
        for opcode in io::opcode::ALL {
            let changes = [
                io::opcode::WRITE,
                io::opcode::WRITE_ZEROES,
                io::opcode::DATASET_MANAGEMENT,
                // Nothing is stored that was not written, but it is there for good.
                io::opcode::FLUSH,
            ];
            let effects = SUPPORTED | if changes.contains(&opcode) { CHANGES_DATA } else { 0 };
            page.put(1024 + 4 * usize::from(opcode), &effects.to_le_bytes());
        }
        page.bytes()
    }

    /// The part of a log page that a Get Log Page asks for.
    pub(super) fn log_page(&self, live: &mut Live, command: &Command) -> Result<Vec<u8>, Status> {
        let dwords = u64::from(command.word(11) & 0xffff) << 16 | u64::from(command.word(10) >> 16);
        let len = 4 * (dwords + 1);
        let offset = u64::from(command.word(13)) << 32 | u64::from(command.word(12));
        if offset & 3 != 0 || len > self.options.transfer() {
            return Err(Status::INVALID_FIELD);
        }
        let log = command.word(10) as u8;
        let page = match log {
            id::ERRORS => Self::error_log(live),
            id::HEALTH if command.nsid() != 0 && command.nsid() != u32::MAX => {
                // There is none for each namespace.
                return Err(Status::INVALID_FIELD);
            }
            id::HEALTH => Self::health_log(live),
            id::FIRMWARE => Self::firmware_log(),
            // Namespaces do not change.
            id::CHANGED_NAMESPACES => Page::new(4096).bytes(),
            id::EFFECTS => Self::effects_log(),
            _ => return Err(Status::INVALID_LOG_PAGE),
        };
        if offset >= page.len() as u64 {
            return Err(Status::INVALID_FIELD);
        }
        // Retain Asynchronous Event.
        if command.word(10) >> 15 & 1 == 0 {
            match log {
                id::ERRORS => live.events.acknowledge(0),
                id::HEALTH => live.events.acknowledge(1),
                _ => {}
            }
        }
        Ok(page.into_iter().skip(offset as usize).take(len as usize).collect())
    }
}
