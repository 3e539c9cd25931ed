//! Where host code finds what it reads and writes of a PE by itself: offsets from the address of the [`Cpu`].

use std::mem::offset_of;

use crate::cpu::Cpu;
use crate::derived::Derived;
use crate::mem::{Exclusive, Mem};

const DERIVED: usize = offset_of!(Cpu, derived);
const MEM: usize = offset_of!(Cpu, mem);
const MONITOR: usize = MEM + Mem::EXCLUSIVE;

/// The effective value of HCR_EL2.
pub const HCR: i32 = (DERIVED + Derived::HCR) as i32;
/// The [`crate::sysreg::Permits`].
pub const PERMITS: i32 = (DERIVED + Derived::PERMITS) as i32;
/// A byte that is not 0 when the context is to be selected again: see [`Derived::note_change`].
pub const CONTEXT_CHANGED: i32 = (DERIVED + Derived::CONTEXT_CHANGED) as i32;
/// A byte that is not 0 while an event waits for PSTATE to let it through.
pub const HAS_MASKED_PENDING_EVENT: i32 = (DERIVED + Derived::HAS_MASKED_PENDING_EVENT) as i32;
/// A byte that is not 0 while a DSB must wait for other vCPUs.
pub const UNSYNCHRONISED: i32 = (MEM + Mem::UNSYNCHRONISED) as i32;
/// The exclusive monitor: its address.
pub const MONITOR_VA: i32 = (MONITOR + Exclusive::VA) as i32;
/// The exclusive monitor: the size of the access; 0 while it is closed.
pub const MONITOR_BYTES: i32 = (MONITOR + Exclusive::BYTES) as i32;
/// The exclusive monitor: what was loaded, zero-extended to 16 bytes.
pub const MONITOR_VALUE: i32 = (MONITOR + Exclusive::VALUE) as i32;
