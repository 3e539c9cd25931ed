//! What links between blocks, and targets of indirect branches, depend on beside addresses.

use emu_a64::mode::Mode;

/// Where parts of a key are.
const SERIAL: u32 = 10;
const COUNTS_ACCESSES: u32 = 9;
const ALIGNED: u32 = 8;
pub(super) const BTYPE: u32 = 6;

/// What links and targets found in this state depend on.
#[must_use]
pub fn key(serial: u64, mode: Mode) -> u64 {
    let flags = [mode.fp_enabled, mode.mops, mode.fp_plain, mode.strict];
    let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag));
    serial << SERIAL
        | u64::from(mode.counts_accesses) << COUNTS_ACCESSES
        | u64::from(mode.aligned) << ALIGNED
        | u64::from(mode.btype & 3) << BTYPE
        | flags << 2
        | mode.el as u64
}

/// The [`super::state::JitState::salt`] of a key.
#[must_use]
pub const fn salt(key: u64) -> u32 {
    ((key >> SERIAL).wrapping_mul(0x9e37_79b9) as u32 >> 16) << 5
}
