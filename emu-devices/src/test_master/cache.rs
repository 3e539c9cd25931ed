//! The small cache of translations of the master (an ATC): one entry, what it was granted by the last request; and what it has been
//! told. It enforces nothing: a program can have it use what it was not granted.

use emu_core::dma::ats::{
    Completion, Grant, Invalidation, PageRequest, PageResponse, Pasid, Refused, TranslationRequest,
};
use serde::{Deserialize, Serialize};

use super::registers::{Reg, Registers, SUBSTREAM_VALID, request};

/// Bits of TM_CACHE.
pub(super) mod entry {
    /// The entry has not been invalidated.
    pub(crate) const VALID: u32 = 1 << 0;
    pub(super) const READ: u32 = 1 << 1;
    pub(super) const WRITE: u32 = 1 << 2;
    pub(super) const EXECUTE: u32 = 1 << 3;
    pub(super) const PRIVILEGED: u32 = 1 << 4;
    /// What the last request came to: nothing yet, success, UR, CA.
    pub(super) const SUCCESS: u32 = 1 << 8;
    pub(super) const UNSUPPORTED: u32 = 2 << 8;
    pub(super) const ABORT: u32 = 3 << 8;
    /// log2 of the region.
    pub(super) const BITS: u32 = 16;
    /// Entries of the completion.
    pub(super) const ENTRIES: u32 = 24;
    pub(crate) const ALL: u32 = 0x1f3f_031f;
}

/// TM_CACHE_CONTROL: invalidations are held until a command says what becomes of them.
pub(super) const HOLD: u32 = 1 << 0;
/// TM_INVALIDATION_SUBSTREAM: of all address spaces with a PASID.
pub(super) const GLOBAL: u32 = 1 << 30;
/// TM_RESPONSE: the status.
const STATUS: u32 = 12;

/// What the entry is of.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Region {
    stream: u32,
    pasid: Option<u32>,
    start: u64,
    end: u64,
}

/// Registers of the cache.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cache {
    entry: u32,
    address: u64,
    region: Region,
    control: u32,
    invalidations: u32,
    first: u64,
    last: u64,
    substream: u32,
    responses: u32,
    response: u32,
    response_substream: u32,
}

fn substream(pasid: Option<u32>) -> u32 {
    pasid.map_or(0, |id| id | SUBSTREAM_VALID)
}

impl Cache {
    pub(super) fn peek(&self, reg: Reg) -> u64 {
        match reg {
            Reg::Cache => self.entry.into(),
            Reg::CacheAddress => self.address,
            Reg::CacheControl => self.control.into(),
            Reg::Invalidations => self.invalidations.into(),
            Reg::InvalidationFirst => self.first,
            Reg::InvalidationLast => self.last,
            Reg::InvalidationSubstream => self.substream.into(),
            Reg::Responses => self.responses.into(),
            Reg::Response => self.response.into(),
            Reg::ResponseSubstream => self.response_substream.into(),
            _ => 0,
        }
    }

    pub(super) fn set_control(&mut self, value: u32) {
        self.control = value & HOLD;
    }

    pub(super) fn holds(&self) -> bool {
        self.control & HOLD != 0
    }

    /// Notes what a request of a stream came to, which was about an address.
    pub(super) fn fill(
        &mut self,
        stream: u32,
        address: u64,
        request: &TranslationRequest,
        completion: &Completion,
    ) {
        (self.entry, self.address) = match completion {
            Err(Refused::Unsupported) => (entry::UNSUPPORTED, 0),
            Err(Refused::Abort) => (entry::ABORT, 0),
            Ok(grants) => {
                let count = (grants.len() as u32 & 0x1f) << entry::ENTRIES;
                match grants.first() {
                    Some(grant) => {
                        let within = (1 << grant.bits) - 1;
                        let start = address & !within;
                        let pasid = request.pasid.map(|pasid| pasid.id);
                        self.region = Region { stream, pasid, start, end: start | within };
                        (word(grant) | entry::SUCCESS | count, grant.address | address & within)
                    }
                    None => (entry::SUCCESS, 0),
                }
            }
        };
    }

    /// An invalidation of a stream.
    pub(super) fn invalidate(&mut self, stream: u32, what: &Invalidation) {
        let Region { stream: of, pasid, start, end } = self.region;
        if of == stream && what.concerns(pasid, start, end) {
            self.forget();
        }
        self.invalidations = self.invalidations.wrapping_add(1);
        (self.first, self.last) = (what.start, what.end);
        self.substream = substream(what.pasid) | if what.global { GLOBAL } else { 0 };
    }

    pub(super) fn forget(&mut self) {
        self.entry &= !entry::VALID;
    }

    pub(super) fn answered(&mut self, response: &PageResponse) {
        self.responses = self.responses.wrapping_add(1);
        self.response = u32::from(response.group & 0x1ff) | (response.status as u32) << STATUS;
        self.response_substream = substream(response.pasid);
    }
}

fn word(grant: &Grant) -> u32 {
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    flag(grant.read || grant.write, entry::VALID)
        | flag(grant.read, entry::READ)
        | flag(grant.write, entry::WRITE)
        | flag(grant.execute, entry::EXECUTE)
        | flag(grant.privileged, entry::PRIVILEGED)
        | u32::from(grant.bits & 0x3f) << entry::BITS
}

/// What TM_ADDRESS, TM_SUBSTREAM, TM_ATTRIBUTES and TM_REQUEST describe.
impl Registers {
    fn pasid(&self) -> Option<Pasid> {
        let attrs = self.attrs();
        let of = |id| Pasid { id, privileged: attrs.privileged, execute: attrs.instruction };
        attrs.substream.map(of)
    }

    pub(super) fn translation_request(&self) -> TranslationRequest {
        TranslationRequest {
            address: self.address & !0xfff,
            units: (self.request >> request::UNITS & 0x1f).max(1) as u16,
            no_write: self.request & request::WRITE == 0,
            pasid: self.pasid(),
        }
    }

    pub(super) fn page_request(&self) -> PageRequest {
        PageRequest {
            address: self.address & !0xfff,
            read: self.request & request::READ != 0,
            write: self.request & request::WRITE != 0,
            last: self.request & request::LAST != 0,
            group: (self.request & request::GROUP) as u16,
            pasid: self.pasid(),
        }
    }
}
