//! PSCI and SMCCC, served by the machine in place of firmware (Arm DEN 0022 and DEN 0028).

mod calls;

use crate::exception::EndlessException;

/// Error codes of PSCI (DEN 0022, 5.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum PsciError {
    /// NOT_SUPPORTED.
    NotSupported = -1,
    /// INVALID_PARAMETERS.
    InvalidParameters = -2,
    /// DENIED.
    Denied = -3,
    /// ALREADY_ON.
    AlreadyOn = -4,
    /// ON_PENDING.
    OnPending = -5,
    /// INTERNAL_FAILURE.
    InternalFailure = -6,
    /// INVALID_ADDRESS.
    InvalidAddress = -9,
}

/// What AFFINITY_INFO answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AffinityState {
    /// At least one PE is on.
    On = 0,
    /// All are off.
    Off = 1,
    /// On its way on.
    OnPending = 2,
}

/// What a vCPU asks of the machine that it is in. Called on the vCPU's thread.
pub trait Machine: Send + Sync {
    /// Starts the PE with this affinity (MPIDR bits 39:32 and 23:0; others are zero) at `entry` with `context_id` in
    /// X0, at the Exception level in which the machine starts its PEs.
    fn cpu_on(&self, mpidr: u64, entry: u64, context_id: u64) -> Result<(), PsciError>;
    /// Turns the calling PE `index` off; its run loop stops before the next instruction.
    fn cpu_off(&self, index: usize);
    /// Power state of the PEs at an affinity (same form as for [`Machine::cpu_on`]) and level (0 to 3).
    fn affinity_info(&self, mpidr: u64, level: u32) -> Result<AffinityState, PsciError>;
    /// Powers the machine off; the calling PE stops before the next instruction.
    fn system_off(&self);
    /// Resets the machine; the calling PE stops before the next instruction.
    fn system_reset(&self);
    /// SEV: sets the event register of every PE.
    fn send_event(&self);
    /// The PE `index` takes an exception again and again, and nothing deals with it. Told once until the next reset; it
    /// goes on, unless the machine stops it.
    fn endless_exception(&self, _index: usize, _what: EndlessException) {}
}
