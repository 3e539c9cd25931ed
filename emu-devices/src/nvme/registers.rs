//! The controller's registers (NVMe 1.4, 3.1).

use emu_core::registers::{Map, constants, double, word};
use serde::{Deserialize, Serialize};

use super::MAX_QUEUES;

/// Maximum Queue Entries Supported, 0's based.
pub(super) const MQES: u64 = 0x7ff;
/// The largest memory page is 4 KiB shifted by this: 64 KiB.
const MPSMAX: u64 = 4;
/// Contiguous queues are required; 7.5 s; NVM command set.
pub(super) const CAP: u64 = MQES | 1 << 16 | 0xf << 24 | 1 << 37 | MPSMAX << 52;
/// Version 1.4.
pub(super) const VERSION: u32 = 0x0001_0400;
/// Offset of the first doorbell.
pub(super) const DOORBELLS: u64 = 0x1000;

/// Fields of CC.
pub(super) mod cc {
    pub(crate) const ENABLE: u32 = 1;
    pub(crate) const ALL: u32 = 0x00ff_fff1;
    /// Shutdown Notification.
    pub(crate) fn shutdown(cc: u32) -> u32 {
        cc >> 14 & 3
    }
    /// Bytes of a memory page.
    pub(crate) fn page(cc: u32) -> u64 {
        4096 << (cc >> 7 & 0xf)
    }
    /// The entries of I/O queues have the sizes that there are.
    pub(crate) fn has_entry_sizes(cc: u32) -> bool {
        cc >> 16 & 0xff == 0x46
    }
    /// Page size, command set and arbitration are such that there are.
    pub(crate) fn is_possible(cc: u32) -> bool {
        u64::from(cc >> 7 & 0xf) <= super::MPSMAX && cc >> 4 & 7 == 0 && cc >> 11 & 7 == 0
    }
}

/// Bits of CSTS.
pub(super) mod csts {
    pub(crate) const READY: u32 = 1;
    /// Controller Fatal Status.
    pub(crate) const FATAL: u32 = 2;
    pub(crate) const SHUTTING_DOWN: u32 = 1 << 2;
    pub(crate) const SHUT_DOWN: u32 = 2 << 2;
    /// Shutdown Status.
    pub(crate) const SHUTDOWN: u32 = 3 << 2;
    pub(crate) const ALL: u32 = READY | FATAL | SHUTDOWN;
}

/// The registers, by their meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    Capabilities,
    MaskSet,
    MaskClear,
    Configuration,
    Status,
    AdminQueues,
    AdminSubmission,
    AdminCompletion,
    Doorbell,
}

/// See the module's head. The doorbells are as near to each other as can be (CAP.DSTRD is 0).
pub(crate) static MAP: Map<Reg> = Map {
    specification: "NVMe 1.4, 3.1",
    window: DOORBELLS + 8 * MAX_QUEUES as u64,
    rows: &[
        double("CAP", 0x00, Reg::Capabilities).read_only(u64::MAX).reset(CAP),
        constants("VS", 0x08, &[VERSION]),
        word("INTMS", 0x0c, Reg::MaskSet),
        word("INTMC", 0x10, Reg::MaskClear),
        word("CC", 0x14, Reg::Configuration).bits(cc::ALL as u64),
        word("CSTS", 0x1c, Reg::Status).read_only(csts::ALL as u64),
        word("AQA", 0x24, Reg::AdminQueues).bits(0x0fff_0fff),
        double("ASQ", 0x28, Reg::AdminSubmission).bits(!0xfff),
        double("ACQ", 0x30, Reg::AdminCompletion).bits(!0xfff),
        // There is no controller memory buffer.
        constants("CMBLOC", 0x38, &[0]),
        constants("CMBSZ", 0x3c, &[0]),
        word("SQyTDBL/CQyHDBL", DOORBELLS as u32, Reg::Doorbell)
            .array(2 * MAX_QUEUES)
            .write_only(0xffff_ffff),
    ],
};

/// Their values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) mask: u32,
    pub(super) cc: u32,
    pub(super) csts: u32,
    pub(super) aqa: u32,
    pub(super) asq: u64,
    pub(super) acq: u64,
}

impl Registers {
    /// Reading one changes nothing.
    pub(super) fn peek(&self, reg: Reg) -> u64 {
        match reg {
            Reg::Capabilities => CAP,
            Reg::MaskSet | Reg::MaskClear => self.mask.into(),
            Reg::Configuration => self.cc.into(),
            Reg::Status => self.csts.into(),
            Reg::AdminQueues => self.aqa.into(),
            Reg::AdminSubmission => self.asq,
            Reg::AdminCompletion => self.acq,
            Reg::Doorbell => 0,
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        MAP.holds(|reg, _| Some(self.peek(reg)))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.csts & (csts::READY | csts::FATAL) == csts::READY
    }
}
