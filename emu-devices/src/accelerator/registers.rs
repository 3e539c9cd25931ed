//! The registers.

use emu_core::registers::{Map, constants, double, word};

/// Queues.
pub(super) const QUEUES: usize = 8;
/// Where the doorbell page of queue 0 is; those of the others follow.
const DOORBELLS: u32 = 0x8_0000;
/// Bytes of a doorbell page: it can be given to a process whatever the size of the processor's pages is.
const DOORBELL_PAGE: u32 = 0x1_0000;
/// Bytes of a queue's registers.
const BLOCK: u32 = 0x40;
/// ACC_FEATURES: eight queues, PASIDs of 20 bits, rings of up to 2^12 entries.
const FEATURES: u32 = 12 << 16 | 20 << 8 | QUEUES as u32;

/// Bits of ACC_PASID.
pub(super) const PASID_VALID: u32 = 1 << 31;
pub(super) const PASID: u32 = 0xf_ffff;

/// Bits of ACC_STATUS.
pub(super) mod status {
    /// Commands are executed.
    pub(crate) const ENABLED: u32 = 1 << 0;
    /// One is under way.
    pub(crate) const BUSY: u32 = 1 << 1;
    /// One of its transactions is stalled.
    pub(crate) const WAITING: u32 = 1 << 2;
    /// The queue has come to its end at a ring that it cannot reach, or at a doorbell that makes no sense.
    pub(crate) const ERROR: u32 = 1 << 3;
    pub(super) const ALL: u32 = 0xf;
}

/// The registers, by their meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    /// A queue is enabled, or not.
    Control,
    /// What it does.
    Status,
    /// The SubstreamID of its transactions.
    Pasid,
    /// Its rings have two to this number of entries.
    Size,
    /// Address of the ring of commands.
    Commands,
    /// Address of the ring of completions.
    Completions,
    /// Interrupt.
    Interrupt,
    /// Interrupt enable.
    InterruptEnable,
    /// Commands that have ended.
    Head,
    /// Commands that there are.
    Tail,
    /// Completions that were read.
    Released,
    /// Where the queue came to its end.
    ErrorAddress,
    /// Doorbell: commands that there are.
    DoorbellTail,
    /// Doorbell: completions that were read.
    DoorbellReleased,
    /// Commands that have ended, for who has the doorbell page alone.
    DoorbellHead,
}

/// See the module's head.
pub static MAP: Map<Reg> = Map {
    specification: "docs/accelerator.md",
    window: super::WINDOW,
    rows: &[
        // "ACC", version 1.
        constants("ACC_ID", 0x00, &[0x4143_4301]),
        constants("ACC_FEATURES", 0x04, &[FEATURES]),
        word("ACC_CONTROL", 0x1000, Reg::Control).bits(1).array(QUEUES as u32).stride(BLOCK),
        word("ACC_STATUS", 0x1004, Reg::Status)
            .read_only(status::ALL as u64)
            .array(QUEUES as u32)
            .stride(BLOCK),
        word("ACC_PASID", 0x1008, Reg::Pasid)
            .bits((PASID_VALID | PASID) as u64)
            .array(QUEUES as u32)
            .stride(BLOCK),
        word("ACC_SIZE", 0x100c, Reg::Size).bits(0xf).array(QUEUES as u32).stride(BLOCK),
        double("ACC_COMMANDS", 0x1010, Reg::Commands).array(QUEUES as u32).stride(BLOCK),
        double("ACC_COMPLETIONS", 0x1018, Reg::Completions).array(QUEUES as u32).stride(BLOCK),
        word("ACC_INTERRUPT", 0x1020, Reg::Interrupt).bits(1).array(QUEUES as u32).stride(BLOCK),
        word("ACC_INTERRUPT_ENABLE", 0x1024, Reg::InterruptEnable).bits(1).array(QUEUES as u32).stride(BLOCK),
        word("ACC_HEAD", 0x1028, Reg::Head).read_only(0xffff_ffff).array(QUEUES as u32).stride(BLOCK),
        word("ACC_TAIL", 0x102c, Reg::Tail).read_only(0xffff_ffff).array(QUEUES as u32).stride(BLOCK),
        word("ACC_RELEASED", 0x1030, Reg::Released).read_only(0xffff_ffff).array(QUEUES as u32).stride(BLOCK),
        double("ACC_ERROR_ADDRESS", 0x1038, Reg::ErrorAddress)
            .read_only(u64::MAX)
            .array(QUEUES as u32)
            .stride(BLOCK),
        word("ACC_DOORBELL_TAIL", DOORBELLS, Reg::DoorbellTail)
            .write_only(0xffff_ffff)
            .array(QUEUES as u32)
            .stride(DOORBELL_PAGE),
        word("ACC_DOORBELL_RELEASED", DOORBELLS + 4, Reg::DoorbellReleased)
            .write_only(0xffff_ffff)
            .array(QUEUES as u32)
            .stride(DOORBELL_PAGE),
        word("ACC_DOORBELL_HEAD", DOORBELLS + 8, Reg::DoorbellHead)
            .read_only(0xffff_ffff)
            .array(QUEUES as u32)
            .stride(DOORBELL_PAGE),
    ],
};
