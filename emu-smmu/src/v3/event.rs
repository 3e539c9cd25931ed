//! Event records (Arm IHI 0070, 7.3): what is recorded of a transaction or of a configuration that is wrong.

use crate::translation::Transaction;

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

/// Who keeps event records: the event queue.
pub trait Recorder: Send + Sync {
    /// Records an event. False if there is no room, or the queue is not enabled: a stalled transaction waits until there is.
    fn record(&self, event: &Event) -> bool;
}
