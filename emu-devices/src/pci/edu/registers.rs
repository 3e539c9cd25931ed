//! The registers of the function.

use emu_core::registers::{Map, constants, double, word};
use serde::{Deserialize, Serialize};

/// Bits of the status register.
pub(super) mod status {
    /// A finished factorial raises an interrupt.
    pub(crate) const INTERRUPT: u32 = 0x80;
}

/// Bits of the DMA command register.
pub(super) mod command {
    /// A transfer begins, or is under way.
    pub(crate) const RUN: u64 = 1;
    /// From the buffer to memory, rather than the other way.
    pub(crate) const TO_MEMORY: u64 = 2;
    /// Its end raises an interrupt.
    pub(crate) const INTERRUPT: u64 = 4;
}

/// Interrupt status: a factorial is finished.
pub(super) const FINISHED_FACTORIAL: u32 = 1;
/// Interrupt status: a transfer is.
pub(super) const FINISHED_TRANSFER: u32 = 0x100;

/// The registers, by their meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reg {
    Liveness,
    Factorial,
    Status,
    InterruptStatus,
    Raise,
    Acknowledge,
    Source,
    Destination,
    Count,
    Command,
}

/// See the module's head. Below 0x80 they take words only.
pub(crate) static MAP: Map<Reg> = Map {
    specification: "QEMU docs/specs/edu",
    window: 0xa0,
    rows: &[
        // Version 1.0.
        constants("Identification", 0x00, &[0x0100_00ed]),
        word("Liveness Check", 0x04, Reg::Liveness),
        word("Factorial", 0x08, Reg::Factorial),
        // The bit that says that a factorial is being computed is never seen: that takes no time.
        word("Edu Status", 0x20, Reg::Status).bits(status::INTERRUPT as u64),
        word("Interrupt Status", 0x24, Reg::InterruptStatus).read_only(0xffff_ffff),
        word("Interrupt Raise", 0x60, Reg::Raise).write_only(0xffff_ffff),
        word("Interrupt Acknowledge", 0x64, Reg::Acknowledge).write_only(0xffff_ffff),
        double("DMA Source", 0x80, Reg::Source),
        double("DMA Destination", 0x88, Reg::Destination),
        double("DMA Count", 0x90, Reg::Count),
        double("DMA Command", 0x98, Reg::Command).bits(7),
    ],
};

/// Their values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Registers {
    pub(super) liveness: u32,
    pub(super) factorial: u32,
    pub(super) status: u32,
    pub(super) interrupts: u32,
    pub(super) source: u64,
    pub(super) destination: u64,
    pub(super) count: u64,
    pub(super) command: u64,
}

impl Registers {
    /// Reading one changes nothing.
    pub(super) fn peek(&self, reg: Reg) -> u64 {
        match reg {
            Reg::Liveness => self.liveness.into(),
            Reg::Factorial => self.factorial.into(),
            Reg::Status => self.status.into(),
            Reg::InterruptStatus => self.interrupts.into(),
            // Write-only.
            Reg::Raise | Reg::Acknowledge => 0,
            Reg::Source => self.source,
            Reg::Destination => self.destination,
            Reg::Count => self.count,
            Reg::Command => self.command,
        }
    }

    /// No register has bits that it does not have.
    pub(super) fn is_possible(&self) -> bool {
        MAP.holds(|reg, _| Some(self.peek(reg)))
    }
}
