//! Event records (Arm IHI 0070, 7.3): what is recorded of a transaction or of a configuration that is wrong.

use std::fmt;

use emu_core::dma::ats::PageRequest;

use super::layout::low;
use crate::translation::{Access, Transaction};

/// CLASS of an event: what the address was that stage 2 was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// A context descriptor.
    Cd = 0,
    /// A translation table.
    Tt = 1,
    /// The input or output of the transaction itself.
    In = 2,
}

impl Class {
    /// GATOS_PAR.REASON of a fault of stage 2 (6.3.40).
    #[must_use]
    pub const fn reason(self) -> u8 {
        self as u8 + 1
    }
}

/// The part of a translation-related event that several kinds share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TranslationRecord {
    /// STALL and STAG: the transaction waits.
    pub stall: Option<u16>,
    /// S2: it was stage 2's.
    pub stage2: bool,
    /// CLASS.
    pub class: Class,
    /// IPA, where stage 2 has faulted.
    pub ipa: u64,
    /// TTRnW = 0: stage 2 did not let a table of stage 1 be written.
    pub table_write: bool,
}

/// What an event tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// F_UUT: an unsupported upstream transaction.
    UnsupportedTransaction,
    /// C_BAD_STREAMID.
    BadStreamId,
    /// F_STE_FETCH: an external abort at this address.
    SteFetch(u64),
    /// C_BAD_STE.
    BadSte,
    /// F_BAD_ATS_TREQ.
    BadAtsRequest,
    /// F_STREAM_DISABLED.
    StreamDisabled,
    /// F_TRANSL_FORBIDDEN.
    TranslationForbidden,
    /// C_BAD_SUBSTREAMID.
    BadSubstreamId,
    /// F_CD_FETCH: an external abort at this address.
    CdFetch(u64),
    /// C_BAD_CD.
    BadCd,
    /// F_WALK_EABT: an external abort at this address.
    WalkAbort(TranslationRecord, u64),
    /// F_TRANSLATION.
    Translation(TranslationRecord),
    /// F_ADDR_SIZE.
    AddressSize(TranslationRecord),
    /// F_ACCESS.
    AccessFlag(TranslationRecord),
    /// F_PERMISSION.
    Permission(TranslationRecord),
    /// F_TLB_CONFLICT.
    TlbConflict(TranslationRecord),
    /// F_CFG_CONFLICT.
    ConfigurationConflict,
}

/// One event, before it is a record of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it tells.
    pub kind: Kind,
    /// The transaction.
    pub transaction: Transaction,
    /// STE.MEV: it may be merged with others like it.
    pub mergeable: bool,
}

/// Positions in the second doubleword of a record.
mod dw1 {
    pub(super) const STALL: u32 = 31;
    pub(super) const PNU: u32 = 97 - 64;
    pub(super) const IND: u32 = 98 - 64;
    pub(super) const RNW: u32 = 99 - 64;
    pub(super) const S2: u32 = 103 - 64;
    pub(super) const CLASS: u32 = 104 - 64;
    pub(super) const TTRNW: u32 = 108 - 64;
}

/// What a record says of the SubstreamID.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Substream {
    /// Nothing.
    Absent,
    /// It, if there is one (SSV).
    Qualified,
    /// It, always.
    Always,
}

impl Kind {
    /// The event number and the name (7.3).
    #[must_use]
    pub const fn name(&self) -> (u8, &'static str) {
        match self {
            Self::UnsupportedTransaction => (0x01, "F_UUT"),
            Self::BadStreamId => (0x02, "C_BAD_STREAMID"),
            Self::SteFetch(_) => (0x03, "F_STE_FETCH"),
            Self::BadSte => (0x04, "C_BAD_STE"),
            Self::BadAtsRequest => (0x05, "F_BAD_ATS_TREQ"),
            Self::StreamDisabled => (0x06, "F_STREAM_DISABLED"),
            Self::TranslationForbidden => (0x07, "F_TRANSL_FORBIDDEN"),
            Self::BadSubstreamId => (0x08, "C_BAD_SUBSTREAMID"),
            Self::CdFetch(_) => (0x09, "F_CD_FETCH"),
            Self::BadCd => (0x0a, "C_BAD_CD"),
            Self::WalkAbort(..) => (0x0b, "F_WALK_EABT"),
            Self::Translation(_) => (0x10, "F_TRANSLATION"),
            Self::AddressSize(_) => (0x11, "F_ADDR_SIZE"),
            Self::AccessFlag(_) => (0x12, "F_ACCESS"),
            Self::Permission(_) => (0x13, "F_PERMISSION"),
            Self::TlbConflict(_) => (0x20, "F_TLB_CONFLICT"),
            Self::ConfigurationConflict => (0x21, "F_CFG_CONFLICT"),
        }
    }

    pub(super) const fn translation(&self) -> Option<&TranslationRecord> {
        match self {
            Self::WalkAbort(r, _)
            | Self::Translation(r)
            | Self::AddressSize(r)
            | Self::AccessFlag(r)
            | Self::Permission(r)
            | Self::TlbConflict(r) => Some(r),
            _ => None,
        }
    }

    const fn fetch_address(&self) -> Option<u64> {
        match self {
            Self::SteFetch(at) | Self::CdFetch(at) | Self::WalkAbort(_, at) => Some(*at),
            _ => None,
        }
    }

    const fn substream(&self) -> Substream {
        match self {
            Self::StreamDisabled | Self::TranslationForbidden => Substream::Absent,
            Self::BadSubstreamId => Substream::Always,
            _ => Substream::Qualified,
        }
    }

    /// The record has InputAddr.
    const fn has_input(&self) -> bool {
        self.translation().is_some()
            || matches!(self, Self::UnsupportedTransaction | Self::BadAtsRequest | Self::TranslationForbidden)
    }

    /// It happens before an STE is found whose MEV could say anything.
    const fn precedes_configuration(&self) -> bool {
        matches!(self, Self::UnsupportedTransaction | Self::BadStreamId | Self::SteFetch(_) | Self::BadSte)
    }
}

impl Event {
    /// The record, as it is in the event queue.
    #[must_use]
    pub fn encode(&self) -> [u8; 32] {
        let words = [self.identity(), self.syndrome(), self.input(), self.address()];
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// An event that was recorded `earlier`, and is still to be seen, stands for this one as well (7.3.1): the records are the same
    /// but for the offset in the page, nothing is stalled, and the stream lets its events be merged.
    #[must_use]
    pub fn merges_into(&self, earlier: &Self) -> bool {
        let stalled = |e: &Self| e.kind.translation().is_some_and(|r| r.stall.is_some());
        let allowed = |e: &Self| e.mergeable || e.kind.precedes_configuration();
        let same = |a: &Self, b: &Self| {
            a.identity() == b.identity()
                && a.syndrome() == b.syndrome()
                && (a.input() ^ b.input()) & !low(12) == 0
                && a.address() == b.address()
        };
        allowed(self) && allowed(earlier) && !stalled(self) && !stalled(earlier) && same(self, earlier)
    }

    /// Event number, SSV, SubstreamID and StreamID.
    fn identity(&self) -> u64 {
        let id = u64::from(self.transaction.substream.unwrap_or(0)) & low(20);
        let valid = self.transaction.substream.is_some();
        let substream = match self.kind.substream() {
            Substream::Absent => 0,
            Substream::Qualified => u64::from(valid) << 11 | id << 12,
            Substream::Always => id << 12,
        };
        u64::from(self.kind.name().0) | substream | u64::from(self.transaction.stream) << 32
    }

    /// STAG, Stall, RnW, InD, PnU, S2, CLASS and TTRnW; Reason is always zero.
    fn syndrome(&self) -> u64 {
        let t = &self.transaction;
        let rnw = u64::from(t.access == Access::Read) << dw1::RNW;
        let attributes = rnw | u64::from(t.instruction) << dw1::IND | u64::from(t.privileged) << dw1::PNU;
        match (&self.kind, self.kind.translation()) {
            (Kind::TranslationForbidden, _) => rnw,
            (Kind::UnsupportedTransaction, _) => attributes,
            (kind, Some(r)) => {
                let stall = r.stall.map_or(0, |stag| u64::from(stag) | 1 << dw1::STALL);
                let class = u64::from(r.stage2) << dw1::S2 | (r.class as u64) << dw1::CLASS;
                let table = matches!(kind, Kind::Permission(_)) && r.class == Class::Tt && !r.table_write;
                stall | attributes | class | u64::from(table) << dw1::TTRNW
            }
            _ => 0,
        }
    }

    /// InputAddr.
    fn input(&self) -> u64 {
        match self.kind {
            Kind::BadAtsRequest => self.transaction.address & !low(12),
            _ if self.kind.has_input() => self.transaction.address,
            _ => 0,
        }
    }

    /// FetchAddr (bits 55:3), or the IPA (bits 55:12).
    fn address(&self) -> u64 {
        match (self.kind.fetch_address(), self.kind.translation()) {
            (Some(at), _) => at & low(56) & !low(3),
            (None, Some(r)) if r.stage2 => r.ipa & low(56) & !low(12),
            _ => 0,
        }
    }
}

/// As people read it: `F_TRANSLATION: stream 0x8, read of 0x1000, stage 2 of a table at IPA 0x4000, stalled as 3`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.transaction;
        write!(f, "{}: stream {:#x}", self.kind.name().1, t.stream)?;
        if let (Some(id), true) = (t.substream, self.kind.substream() != Substream::Absent) {
            write!(f, ", substream {id:#x}")?;
        }
        if self.kind.has_input() {
            let what = match (t.access, t.instruction) {
                (Access::Write, _) => "write to",
                (Access::Atomic, _) => "atomic access to",
                (Access::Read, false) => "read of",
                (Access::Read, true) => "fetch from",
            };
            let who = if t.privileged { "privileged " } else { "" };
            write!(f, ", {who}{what} {:#x}", t.address)?;
        }
        if let Some(r) = self.kind.translation() {
            let stage = if r.stage2 { 2 } else { 1 };
            let class = match r.class {
                Class::Cd => " of a context descriptor",
                Class::Tt => " of a table",
                Class::In => "",
            };
            write!(f, ", stage {stage}{class}")?;
            if self.kind.fetch_address().is_none() && r.stage2 {
                write!(f, " at IPA {:#x}", r.ipa & !low(12))?;
            }
        }
        if let Some(at) = self.kind.fetch_address() {
            write!(f, ", abort at {at:#x}")?;
        }
        match self.kind.translation().and_then(|r| r.stall) {
            Some(stag) => write!(f, ", stalled as {stag}"),
            None => Ok(()),
        }
    }
}

/// What has become of a page request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// Software is told.
    Recorded,
    /// There was no room, and it is discarded.
    Overflow,
    /// Nothing is recorded: the queue is not enabled, or cannot be written.
    Refused,
}

/// Who keeps records: the event queue, and the PRI queue.
pub trait Recorder: Send + Sync {
    /// Records an event. False if there is no room, or the queue is not enabled: a stalled transaction waits until there is.
    fn record(&self, event: &Event) -> bool;
    /// Records a page request.
    fn page_request(&self, stream: u32, request: &PageRequest) -> Queued;
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_core::Security;
    use emu_core::dma::MemoryType;

    const READ: Transaction = Transaction {
        stream: 0x1234_5678,
        substream: Some(0xa_bcde),
        address: 0xab12_3456_789a_bcde,
        access: Access::Read,
        privileged: true,
        instruction: true,
        security: Security::NonSecure,
        memory: MemoryType::WriteBack,
        translated: false,
        may_stall: false,
    };
    const RECORD: TranslationRecord =
        TranslationRecord { stall: None, stage2: false, class: Class::In, ipa: 0, table_write: false };

    fn words(kind: Kind, transaction: Transaction) -> [u64; 4] {
        let bytes = Event { kind, transaction, mergeable: false }.encode();
        [0, 8, 16, 24].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()))
    }

    #[test]
    fn the_first_doubleword_says_who() {
        let id = 0x1234_5678_abcd_e800;
        assert_eq!(words(Kind::BadStreamId, READ), [id | 0x02, 0, 0, 0]);
        assert_eq!(words(Kind::BadSte, READ), [id | 0x04, 0, 0, 0]);
        assert_eq!(words(Kind::BadCd, READ), [id | 0x0a, 0, 0, 0]);
        assert_eq!(words(Kind::ConfigurationConflict, READ), [id | 0x21, 0, 0, 0]);
        let none = Transaction { substream: None, ..READ };
        assert_eq!(words(Kind::BadSte, none), [0x1234_5678_0000_0004, 0, 0, 0]);
        // The SubstreamID is always valid in the one, never there in the other.
        assert_eq!(words(Kind::BadSubstreamId, READ), [0x1234_5678_abcd_e008, 0, 0, 0]);
        assert_eq!(words(Kind::StreamDisabled, READ), [0x1234_5678_0000_0006, 0, 0, 0]);
    }

    #[test]
    fn fetches_have_their_address_in_the_last_doubleword() {
        let at = 0x000a_1234_5678_9abf;
        for (kind, number) in [(Kind::SteFetch(at), 3), (Kind::CdFetch(at), 9)] {
            assert_eq!(words(kind, READ), [0x1234_5678_abcd_e800 | number, 0, 0, 0x000a_1234_5678_9ab8]);
        }
        let record = TranslationRecord { stage2: true, class: Class::Tt, ipa: 0x7000, ..RECORD };
        let w = words(Kind::WalkAbort(record, at), READ);
        assert_eq!(w[0] & 0xff, 0x0b);
        assert_eq!(w[1], 1 << 33 | 1 << 34 | 1 << 35 | 1 << 39 | 1 << 40);
        assert_eq!((w[2], w[3]), (READ.address, 0x000a_1234_5678_9ab8));
    }

    #[test]
    fn translation_faults_have_a_syndrome() {
        let of = |r| {
            [
                Kind::Translation(r),
                Kind::AddressSize(r),
                Kind::AccessFlag(r),
                Kind::Permission(r),
                Kind::TlbConflict(r),
            ]
        };
        for (kind, number) in of(RECORD).into_iter().zip([0x10, 0x11, 0x12, 0x13, 0x20]) {
            let w = words(kind, READ);
            assert_eq!((w[0] & 0xff, w[2], w[3]), (number, READ.address, 0));
            // RnW, InD, PnU, and CLASS = IN.
            assert_eq!(w[1], 1 << 35 | 1 << 34 | 1 << 33 | 2 << 40);
        }
        let record =
            TranslationRecord { stall: Some(0xbeef), stage2: true, ipa: 0x000a_1234_5678_9abc, ..RECORD };
        for kind in of(record) {
            let write = Transaction { access: Access::Write, privileged: false, instruction: false, ..READ };
            let w = words(kind, write);
            assert_eq!(w[1], 0xbeef | 1 << 31 | 1 << 39 | 2 << 40);
            assert_eq!(w[3], 0x000a_1234_5678_9000);
        }
    }

    #[test]
    fn a_permission_fault_on_a_table_says_which_access_of_the_table() {
        let table = TranslationRecord { stage2: true, class: Class::Tt, ..RECORD };
        let ttrnw = |record| words(Kind::Permission(record), READ)[1] >> 44 & 1;
        assert_eq!((ttrnw(table), ttrnw(TranslationRecord { table_write: true, ..table })), (1, 0));
        assert_eq!(words(Kind::Translation(table), READ)[1] >> 44 & 1, 0);
        assert_eq!(ttrnw(TranslationRecord { class: Class::Cd, ..table }), 0);
    }

    #[test]
    fn what_is_not_of_translation_has_its_own_fields() {
        let w = words(Kind::TranslationForbidden, READ);
        assert_eq!(w, [0x1234_5678_0000_0007, 1 << 35, READ.address, 0]);
        let w = words(Kind::UnsupportedTransaction, READ);
        assert_eq!((w[0] & 0xff, w[1], w[2]), (0x01, 7 << 33, READ.address));
        let w = words(Kind::BadAtsRequest, READ);
        assert_eq!((w[0] & 0xff, w[2], w[3]), (0x05, 0xab12_3456_789a_b000, 0));
    }

    #[test]
    fn events_merge_within_a_page_where_the_stream_lets_them() {
        let event = Event { kind: Kind::Translation(RECORD), transaction: READ, mergeable: true };
        let at = |address| Event { transaction: Transaction { address, ..READ }, ..event };
        assert!(event.merges_into(&event));
        assert!(at(0x1000).merges_into(&at(0x1fff)) && !at(0x1000).merges_into(&at(0x2000)));
        let write = Event { transaction: Transaction { access: Access::Write, ..READ }, ..event };
        assert!(
            !write.merges_into(&event)
                && !event.merges_into(&Event { kind: Kind::AccessFlag(RECORD), ..event })
        );
        let single = Event { mergeable: false, ..event };
        assert!(!single.merges_into(&event) && !event.merges_into(&single));
        let stalled =
            Event { kind: Kind::Translation(TranslationRecord { stall: Some(1), ..RECORD }), ..event };
        assert!(!stalled.merges_into(&stalled));
        // Before an STE is found there is no MEV.
        let early = Event { kind: Kind::BadSte, mergeable: false, ..event };
        assert!(early.merges_into(&early));
        let late = Event { kind: Kind::BadCd, ..early };
        assert!(!late.merges_into(&late));
    }

    #[test]
    fn events_read_well() {
        let record =
            TranslationRecord { stall: Some(3), stage2: true, class: Class::Tt, ipa: 0x4000, ..RECORD };
        let transaction = Transaction { stream: 8, substream: None, address: 0x1000, ..READ };
        let e = Event { kind: Kind::Translation(record), transaction, mergeable: false };
        assert_eq!(
            e.to_string(),
            "F_TRANSLATION: stream 0x8, privileged fetch from 0x1000, stage 2 of a table at IPA 0x4000, stalled as 3"
        );
        let e = Event { kind: Kind::CdFetch(0x40), ..e };
        assert_eq!(e.to_string(), "F_CD_FETCH: stream 0x8, abort at 0x40");
    }
}
