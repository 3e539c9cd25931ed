//! Translation of DMA, whatever the generation of the architecture: transactions, the contexts that they are translated under, a
//! TLB, stalled transactions, counters.
//!
//! A [`Front`] is one generation's programmer's model: it says under which [`Context`] a stream's transactions are
//! translated, and what becomes of a fault. The [`Core`] does the rest, and masters have their ports from it.

mod ats;
mod broadcast;
mod core;
mod counts;
mod flight;
mod micro;
mod output;
mod port;
mod probe;
mod sanitize;
mod shards;
mod shown;
mod stalls;
#[cfg(test)]
mod tests;
mod wildcard;

use emu_core::dma::ats::{PageRequest, PageResponse, Refused};
use emu_core::dma::{DmaAttrs, MemoryType, StallTag};
use emu_core::{Pa, Security};
use emu_mmu::{Fault, FaultKind, Request, Stage1, Stage2};

pub use self::ats::{Denial, Service};
pub use self::core::{Config, Core};
pub use self::counts::StreamCount;
pub(crate) use self::probe::Counted;
pub use self::probe::{Happening, Monitor};
pub use self::sanitize::{Finding, Reach, Sanitizers};
pub use self::shown::Way;
pub use self::stalls::{Answer, Stalled, stag};
pub use emu_mmu::TlbiScope as Scope;

/// What a transaction does to memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Writes, and reads in the same action: it needs both permissions, and is data (Arm IHI 0070, 16.7.6).
    Atomic,
}

/// One access of a master to bytes of one 4 KiB page, as it arrives at the SMMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// StreamID.
    pub stream: u32,
    /// SubstreamID (a PASID).
    pub substream: Option<u32>,
    /// The input address.
    pub address: u64,
    /// Reads, writes, or both.
    pub access: Access,
    /// Privileged rather than user.
    pub privileged: bool,
    /// Instruction rather than data.
    pub instruction: bool,
    /// The physical address space that it asks for.
    pub security: Security,
    /// The type of memory that the master says.
    pub memory: MemoryType,
    /// The address has been translated already (ATS). Such a transaction has no SubstreamID, and is unprivileged and data: what it
    /// came with is ignored (Arm IHI 0070, 6.3.4, PASIDTT = 0).
    pub translated: bool,
    /// The master can wait.
    pub may_stall: bool,
}

impl Transaction {
    /// The attributes that its master gave it.
    const fn attrs(&self) -> DmaAttrs {
        DmaAttrs {
            substream: self.substream,
            privileged: self.privileged,
            instruction: self.instruction,
            security: self.security,
            memory: self.memory,
            translated: self.translated,
        }
    }
}

/// What happens at a fault of one stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultPolicy {
    /// Software is told (CD.R, STE.S2R; SCTLR.CFIE).
    pub record: bool,
    /// The master is told by an abort; else a read gives zeroes and a write is ignored (CD.A; HUPCF/CFRE).
    pub abort: bool,
    /// The transaction waits for software (CD.S, STE.S2S; SCTLR.CFCFG).
    pub stall: bool,
}

/// How a field of an STE or S2CR changes an attribute of transactions: as it comes, or one value for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Override {
    /// As it comes.
    #[default]
    Incoming,
    /// Never (unprivileged, data).
    Never,
    /// Always (privileged, instruction).
    Always,
}

impl Override {
    /// The attribute of a transaction that comes with `incoming`.
    #[must_use]
    pub const fn of(self, incoming: bool) -> bool {
        match self {
            Self::Incoming => incoming,
            Self::Never => false,
            Self::Always => true,
        }
    }
}

/// What a stream's transactions are translated under. Two transactions with the same context and address go to the same place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// Stage 1, if there is one: an ASID is in it. Otherwise addresses are IPAs ([`Stage1::bypass`]).
    pub stage1: Option<Stage1>,
    /// Stage 2, if there is one: a VMID is in it. With neither stage the address stays, and must be one of the output size.
    pub stage2: Option<Stage2>,
    /// The VMID that TLB entries have: of stage 2, or of stage 1 alone.
    pub vmid: u16,
    /// What happens at faults of stage 1.
    pub policy1: FaultPolicy,
    /// What happens at faults of stage 2.
    pub policy2: FaultPolicy,
    /// PRIVCFG.
    pub privileged: Override,
    /// INSTCFG.
    pub instruction: Override,
    /// CD.PAN: privileged accesses of data do not reach what unprivileged ones may.
    pub pan: bool,
    /// STE.MEV: events of the stream may be merged.
    pub mergeable: bool,
    /// TCR2.SEP: the bit of an input address that those above it are copies of, where they came as zeroes.
    pub sign: Option<u8>,
    /// The context banks of both stages, for a front that has such.
    pub banks: [u8; 2],
}

impl Context {
    /// A transaction with the attributes that it has under this context: those that faults are reported with. What is written is
    /// data (Arm IHI 0070, 13.1.2).
    #[must_use]
    pub fn effective(&self, transaction: &Transaction) -> Transaction {
        Transaction {
            privileged: self.privileged.of(transaction.privileged),
            instruction: transaction.access == Access::Read && self.instruction.of(transaction.instruction),
            ..*transaction
        }
    }

    /// The same, as a fault of it is reported. Write permission is checked first: an atomic access is a write, unless all that is
    /// missing is read permission (Arm IHI 0070, 13.1.1).
    #[must_use]
    pub fn reported(&self, transaction: &Transaction, faulted: &Faulted) -> Transaction {
        let Faulted { fault, on_context } = faulted;
        let t = self.effective(transaction);
        match t.access {
            Access::Atomic if is_unreadable(fault) && !on_context => {
                Transaction { access: Access::Read, ..t }
            }
            _ => t,
        }
    }

    /// An input address as the tables see it. What has bits of its own above the sign is not cut, so that it is out of range.
    const fn extended(&self, address: u64) -> u64 {
        match self.sign {
            Some(bit) if address >> bit == 1 => address | u64::MAX << bit,
            _ => address,
        }
    }

    /// What the walker is asked for a transaction, and the permissions of a translation are checked with.
    #[must_use]
    pub fn request(&self, transaction: &Transaction) -> Request {
        let t = self.effective(transaction);
        let access = match (t.access, t.instruction) {
            (Access::Write, _) => emu_mmu::Access::Write,
            (Access::Atomic, _) => emu_mmu::Access::ReadWrite,
            (Access::Read, true) => emu_mmu::Access::Execute,
            (Access::Read, false) => emu_mmu::Access::Read,
        };
        // A regime without unprivileged accesses takes all for privileged (3.3.4).
        let all_privileged = self.stage1.is_some_and(|s| !s.regime.has_unprivileged());
        Request {
            va: self.extended(t.address),
            access,
            privileged: t.privileged || all_privileged,
            pan: self.pan,
            unaligned: false,
            stage1_only: false,
        }
    }
}

/// A translation fault, of whatever stage, as the walker reports it, or a permission that is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faulted {
    /// What the walk says: kind, level, stage, IPA.
    pub fault: Fault,
    /// It was stage 2's, for the address of a context descriptor rather than of a translation table or of the data.
    pub on_context: bool,
}

/// What is missing is read permission.
fn is_unreadable(fault: &Fault) -> bool {
    fault.kind == FaultKind::Permission && !fault.write
}

/// How a transaction ends that is not let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is aborted.
    Abort,
    /// A read gives zeroes, a write is ignored.
    Zero,
    /// It waits for software.
    Stall(StallTag),
}

/// What a front says of a transaction before anything is translated.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It goes through with its address as it is.
    Bypass,
    /// It is translated under a context.
    Translate(std::sync::Arc<Context>),
    /// It is not let through.
    Refuse(Refusal),
}

/// One generation's programmer's model, as the translation core asks it.
///
/// It is called while a transaction is under way, and so must not wait for whoever waits for transactions ([`Core::sync`]).
pub trait Front: Send + Sync {
    /// What is to be done with a transaction. What is wrong with the configuration is recorded by the front.
    fn verdict(&self, transaction: &Transaction) -> Verdict;
    /// A transaction has faulted: records it, and says how it ends.
    fn fault(&self, transaction: &Transaction, context: &Context, faulted: &Faulted) -> Refusal;
    /// What is to be done with a translation request (ATS), as a transaction of its first address: one that writes, unless NW.
    fn translation_request(&self, _request: &Transaction) -> Service {
        Service::Refuse(Refused::Unsupported)
    }
    /// A function wants a page: gives the answer if software is not told.
    fn page_request(&self, _stream: u32, request: &PageRequest) -> Option<PageResponse> {
        request.unserved()
    }
    /// For the sanitizer: what a verdict on the transaction was made of is what memory holds. A front whose configuration is not in
    /// memory always says so.
    fn is_current(&self, _transaction: &Transaction) -> bool {
        true
    }
    /// Where a transaction ends up whose output nothing answers at is no matter of the SMMU: an abort, and no record.
    fn external_abort(&self, _transaction: &Transaction, _output: Pa) {}
}
