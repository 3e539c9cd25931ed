//! How commands end (NVMe 1.4, 4.6.1).

/// The status field of a completion without its phase tag: status code, status code type, and Do Not Retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Status(pub(super) u16);

/// Do Not Retry.
const DNR: u16 = 1 << 14;

const fn generic(code: u16) -> Status {
    Status(code | DNR)
}

const fn specific(code: u16) -> Status {
    Status(1 << 8 | code | DNR)
}

impl Status {
    pub(super) const INVALID_OPCODE: Self = generic(0x01);
    pub(super) const INVALID_FIELD: Self = generic(0x02);
    /// It may go better another time.
    pub(super) const DATA_TRANSFER_ERROR: Self = Self(0x04);
    pub(super) const ABORTED_BY_REQUEST: Self = Self(0x07);
    pub(super) const ABORTED_BY_SQ_DELETION: Self = Self(0x08);
    pub(super) const INVALID_NAMESPACE: Self = generic(0x0b);
    pub(super) const COMMAND_SEQUENCE: Self = generic(0x0c);
    pub(super) const INVALID_SGL_SEGMENT: Self = generic(0x0d);
    pub(super) const INVALID_NUMBER_OF_SGLS: Self = generic(0x0e);
    pub(super) const SGL_LENGTH: Self = generic(0x0f);
    pub(super) const SGL_TYPE: Self = generic(0x11);
    pub(super) const INVALID_PRP_OFFSET: Self = generic(0x13);
    pub(super) const WRITE_PROTECTED: Self = generic(0x20);
    pub(super) const LBA_RANGE: Self = generic(0x80);

    pub(super) const INVALID_CQ: Self = specific(0x00);
    pub(super) const INVALID_QUEUE_ID: Self = specific(0x01);
    pub(super) const INVALID_QUEUE_SIZE: Self = specific(0x02);
    pub(super) const TOO_MANY_EVENT_REQUESTS: Self = specific(0x05);
    pub(super) const INVALID_VECTOR: Self = specific(0x08);
    pub(super) const INVALID_LOG_PAGE: Self = specific(0x09);
    pub(super) const INVALID_QUEUE_DELETION: Self = specific(0x0c);
    pub(super) const NOT_SAVEABLE: Self = specific(0x0d);

    pub(super) const WRITE_FAULT: Self = Self(2 << 8 | 0x80);
    pub(super) const READ_ERROR: Self = Self(2 << 8 | 0x81);
    pub(super) const COMPARE_FAILURE: Self = Self(2 << 8 | 0x85 | DNR);
}

/// What a command gives: dword 0 of its completion, or why it failed.
pub(super) type Outcome = Result<u32, Status>;
