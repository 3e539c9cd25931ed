//! Translation requests (ATS; Arm IHI 0070, 3.9.1 and 13.7): what a function is granted that keeps translations.
//!
//! A request is a transaction under way, as others are: [`Core::sync`] returns when its completion has been made, from
//! translations that were good then.

use std::sync::Arc;

use emu_core::dma::DmaAttrs;
use emu_core::dma::ats::{Completion, Grant, Refused, TranslationRequest, UNIT_BITS};
use emu_mmu::{Fault, FaultKind, Request, Translation};

use super::port::Port;
use super::{Access, Context, Core, Happening, Override, Transaction};

/// What a front says of a translation request before anything is translated.
#[derive(Clone, Debug)]
pub enum Service {
    /// It is not served.
    Refuse(Refused),
    /// It is, and there is no access.
    Deny,
    /// Addresses stay as they are, up to so many bits, for reads and writes.
    Identity {
        /// Bits of an address.
        bits: u8,
    },
    /// As a context says.
    Translate {
        /// The context.
        context: Arc<Context>,
        /// What stage 1 gives is the answer; stage 2 translates it again when it is used (Split-stage ATS).
        split: bool,
    },
}

/// How a fault in translating answers a request (3.9.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// Success, and no access.
    NoAccess,
    /// Completer Abort.
    Abort,
}

impl Denial {
    /// That of a fault, of whatever stage.
    #[must_use]
    pub const fn of(fault: &Fault) -> Self {
        match fault.kind {
            FaultKind::ExternalAbortOnWalk | FaultKind::UnsupportedAtomicUpdate | FaultKind::TlbConflict => {
                Self::Abort
            }
            FaultKind::Translation
            | FaultKind::AddressSize
            | FaultKind::AccessFlag
            | FaultKind::Permission
            | FaultKind::Alignment => Self::NoAccess,
        }
    }
}

/// The most entries of a completion: one has 8 bytes, and a completion has up to 128 (PCIe 6.0, 10.2.3).
const MOST_ENTRIES: u16 = 16;
const UNIT: u64 = 1 << UNIT_BITS;

/// Answers a request.
pub(super) fn complete(port: &Port, request: &TranslationRequest) -> Completion {
    let epoch = port.core.epoch();
    let first = transaction(port, request);
    port.core.happened(first.stream, Happening::Transaction, 1);
    port.core.happened(first.stream, Happening::TranslationRequest, 1);
    let privileged = first.privileged;
    match port.core.front.translation_request(&first) {
        Service::Refuse(refused) => Err(refused),
        Service::Deny => Ok(vec![Grant::none(privileged)]),
        Service::Identity { bits } => {
            let none = Grant::none(privileged);
            Ok(vec![Grant { read: true, write: true, bits, ..none }])
        }
        Service::Translate { context, split } => Asked {
            core: &port.core,
            counts: &port.state.counts,
            context: &context,
            epoch,
            first,
            no_write: request.no_write,
            split,
        }
        .grants(request.units),
    }
}

/// A request, as a transaction of its first unit.
fn transaction(port: &Port, request: &TranslationRequest) -> Transaction {
    let attrs = DmaAttrs {
        substream: request.pasid.map(|pasid| pasid.id),
        privileged: request.pasid.is_some_and(|pasid| pasid.privileged),
        instruction: request.pasid.is_some_and(|pasid| pasid.execute),
        ..DmaAttrs::default()
    };
    let access = if request.no_write { Access::Read } else { Access::Write };
    let first = port.transaction(attrs, request.address & !(UNIT - 1), access);
    Transaction { may_stall: false, ..first }
}

/// A request that a context answers.
struct Asked<'a> {
    core: &'a Core,
    counts: &'a super::counts::Counts,
    context: &'a Context,
    epoch: u64,
    /// [`Transaction::instruction`] says that execution was asked for.
    first: Transaction,
    no_write: bool,
    split: bool,
}

impl Asked<'_> {
    /// The entries. All of a completion are of one size: that of the first, if it is enough, or a unit.
    fn grants(&self, units: u16) -> Completion {
        let address = self.first.address;
        let first = self.grant(address)?;
        let units = u64::from(units.clamp(1, MOST_ENTRIES));
        let room = (1_u64 << first.bits) - (address & ((1 << first.bits) - 1));
        if room >= units * UNIT {
            return Ok(vec![first]);
        }
        let mut grants = vec![unit(first, address)];
        for n in 1..units {
            let address = address.wrapping_add(n * UNIT);
            // What follows is asked for again, and then is an answer of its own.
            let Ok(next) = self.grant(address) else { break };
            grants.push(unit(next, address));
        }
        Ok(grants)
    }

    /// What is granted of the region around an address (13.7.1).
    fn grant(&self, address: u64) -> Result<Grant, Refused> {
        let none = Grant::none(self.first.privileged);
        let found = match self.look(address) {
            Ok(found) => found,
            Err(fault) => {
                return match Denial::of(&fault) {
                    Denial::NoAccess => Ok(none),
                    Denial::Abort => Err(Refused::Abort),
                };
            }
        };
        let may = |access| found.permissions.check(&self.request(address, access)).is_ok();
        let reads = may(emu_mmu::Access::Read);
        let fetches = may(emu_mmu::Access::Execute);
        let (read, execute) = match self.context.instruction {
            Override::Incoming => (reads, reads && fetches),
            Override::Always => (fetches, fetches),
            Override::Never => (reads, reads),
        };
        let write = may(emu_mmu::Access::AtWrite) && self.is_dirty(address, &found);
        if !read && !write {
            return Ok(none);
        }
        let output = if self.split { found.ipa.0 } else { found.pa.0 };
        let bits = found.bits().min(63);
        let address = output >> bits << bits;
        let execute = execute && self.first.instruction;
        Ok(Grant { address, bits, read, write, execute, ..none })
    }

    /// The translation of an address, if anything is allowed there.
    fn look(&self, address: u64) -> Result<Translation, Fault> {
        let read = match self.context.instruction {
            Override::Always => emu_mmu::Access::Execute,
            Override::Incoming | Override::Never => emu_mmu::Access::Read,
        };
        match self.find(address, read) {
            // What cannot be read may be writable.
            Err(fault) if fault.kind == FaultKind::Permission && !self.no_write => {
                self.find(address, emu_mmu::Access::AtWrite)
            }
            found => found,
        }
    }

    /// A page that may be written is dirty, or becomes so as it is going to be written (3.13.7).
    fn is_dirty(&self, address: u64, found: &Translation) -> bool {
        !found.write_needs_update || !self.no_write && self.find(address, emu_mmu::Access::Write).is_ok()
    }

    fn find(&self, address: u64, access: emu_mmu::Access) -> Result<Translation, Fault> {
        self.core.find(
            self.first.stream,
            &self.request(address, access),
            self.context,
            self.epoch,
            self.counts,
        )
    }

    /// With the privilege of the request, after PRIVCFG.
    fn request(&self, address: u64, access: emu_mmu::Access) -> Request {
        Request { access, ..self.context.request(&Transaction { address, ..self.first }) }
    }
}

/// The part of a grant that is the unit of an address.
fn unit(grant: Grant, address: u64) -> Grant {
    let within = address & ((1 << grant.bits) - 1);
    let granted = grant.read || grant.write;
    Grant { address: if granted { grant.address + within } else { 0 }, bits: UNIT_BITS, ..grant }
}
