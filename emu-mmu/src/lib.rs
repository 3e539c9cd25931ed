//! Address translation of the VMSAv8-64 (Arm ARM DDI 0487, chapter D8), pure and shared by the CPU and the SMMU.
//!
//! A translation is a value. [`walk`] reads descriptors through [`TableMemory`] and gives a [`Translation`] or a
//! [`Fault`] with its full syndrome, and the descriptor [`Updates`] (access flag, dirty state) that hardware would make;
//! it writes nothing. [`translate_and_commit`] adds the compare-and-swap loop. [`Tlb`] keeps translations and
//! understands every A64 TLBI ([`TlbiOp`]).
//!
//! # Invariants
//! - Nothing here holds or touches memory, registers or time; everything comes in as arguments.
//! - A guest's choice of registers, tables and addresses gives a fault, never a panic and never an unbounded walk.
//! - The permissions of a translation are complete, so that one TLB entry answers any later access; what it cannot
//!   answer (a denial, a pending dirty-state update) is walked again, and that walk makes the precise fault.
//!
//! # Choices where the architecture leaves one
//! - TxSZ out of range, at either stage: a level 0 translation fault (`Constraint_FAULT`).
//! - A reserved or unimplemented TG field means 4 KiB.
//! - The Contiguous bit is reported and not used: each descriptor of a group is taken for what it says.
//! - Access flag faults are made for cache maintenance too. A permission fault never updates a descriptor.
//! - Instruction fetches from Device memory are not refused; attributes are those that data accesses see.
//! - Tables are little-endian (SCTLR_ELx.EE and mixed-endian walks are not implemented).

#![forbid(unsafe_code)]

pub mod at;
pub mod attributes;
pub mod config;
pub mod descriptor;
pub mod fault;
pub mod permissions;
pub mod stage1;
pub mod stage2;
pub mod tlb;
pub mod tlbi;
pub mod trace;
mod update;
pub mod walker;

pub use attributes::{DeviceKind, MemAttrs, MemType, Shareability};
pub use config::{Features, Granule, Regime};
pub use fault::{Fault, FaultKind, Stage};
pub use permissions::Permissions;
pub use stage1::{Half, Stage1, Stage1Regs};
pub use stage2::{Stage2, Stage2Regs};
pub use tlb::{Tlb, TlbContext};
pub use tlbi::{TlbiContext, TlbiListener, TlbiOp, TlbiScope};
pub use trace::{Observer, WalkStep};
pub use update::{DescriptorUpdate, ExternalAbort, TableMemory, UpdateError, Updates};
pub use walker::{Access, Request, Translation, Walk, translate, translate_and_commit, walk, walk_observed};
