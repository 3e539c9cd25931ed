//! From an address to what stands behind it: tagged TLB, walk, bus.

use std::cell::RefCell;

use emu_a64::features::Feat;
use emu_a64::level::El;
use emu_core::Pa;
use emu_core::bus::{self, BusView};
use emu_core::metrics::Metric;
use emu_core::page::{Page, Place};
use emu_core::table::TableBus;
use emu_mmu::{
    Access, ExternalAbort, Fault, FaultKind, Permissions, Request, Stage, TableMemory, Translation,
    UpdateError, translate_and_commit,
};

use super::context::Context;
use super::fast::Allowed;
use super::upper::is_upper;
use super::{Mem, watch};
use crate::cpu::Cpu;
use crate::exception::{Abort, Exception, Stop};

/// DFSC of a synchronous external abort, not on a walk.
pub(super) const EXTERNAL_ABORT: u8 = 0x10;
/// DFSC of an unsupported exclusive or atomic access.
pub(super) const UNSUPPORTED_ATOMIC: u8 = 0x35;

/// The memory that a walk reads, and the descriptors that it has updated, with their new values.
struct Walked<'a> {
    tables: TableBus<&'a BusView>,
    updated: RefCell<Vec<(Pa, u64)>>,
}

impl TableMemory for Walked<'_> {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        self.tables.read_descriptor(pa)
    }

    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        let done = self.tables.update_descriptor(pa, old, new)?;
        if done {
            self.updated.borrow_mut().push((pa, new));
        }
        Ok(done)
    }
}

/// What an access finds behind its address.
pub(super) enum Target {
    /// RAM.
    Ram(Place),
    /// Memory that reads like RAM and is written through a device.
    Rom(Place, Pa),
    /// Registers.
    Mmio(Pa),
}

/// What an instruction asks of memory, beside the address.
#[derive(Clone, Copy)]
pub(super) struct AccessRequest {
    pub access: Access,
    /// LDTR and STTR: as EL0 would.
    pub unprivileged: bool,
    /// Not aligned to its size.
    pub unaligned: bool,
    /// What watchpoints compare: the size in bytes, 0 if they have been asked about these bytes.
    pub bytes: u64,
}

/// The data abort for a fault.
pub(super) fn abort_of(fault: &Fault, maintenance: bool) -> Abort {
    Abort {
        va: fault.va,
        status: fault.status_code(),
        stage2: fault.stage == Stage::S2,
        s1ptw: fault.s1ptw,
        ipa: fault.ipa.filter(|_| fault.stage == Stage::S2),
        write: fault.write,
        maintenance,
    }
}

/// An abort that has nothing to do with translation.
pub(super) fn plain_abort(va: u64, status: u8, write: bool) -> Abort {
    Abort { va, status, stage2: false, s1ptw: false, ipa: None, write, maintenance: false }
}

/// True if two translations of an address differ at most in what a first write to the page changes.
fn is_alike(a: &Translation, b: &Translation) -> bool {
    (a.pa, a.attrs, a.permissions, a.guarded) == (b.pa, b.attrs, b.permissions, b.guarded)
}

impl Mem {
    /// Translates through the tagged TLB, or walks.
    pub(super) fn translate(
        &mut self,
        context: &Context,
        request: &Request,
    ) -> (Result<Translation, Fault>, bool) {
        let execute = request.access == Access::Execute;
        let canonical = context.stage1.canonical(request.va, execute);
        let tlb_context = context.tlb_context();
        let cached = self.tlb.lookup(&tlb_context, canonical);
        if let Some(t) = cached
            && t.allows(request)
        {
            return (Ok(t), false);
        }
        let tables = Walked { tables: self.tables(), updated: RefCell::default() };
        let result = translate_and_commit(
            &context.stage1,
            context.stage2.as_ref(),
            &self.translation,
            request,
            &tables,
        );
        crate::trace::walk(self.index, request.access, request.va, &result);
        if self.journal.is_recording() {
            for (pa, value) in tables.updated.take() {
                if let Some(Target::Ram(place)) = self.target(pa) {
                    self.journal.descriptor(place, value);
                }
            }
            if cached.is_some_and(|old| result.is_ok_and(|new| !is_alike(&old, &new))) {
                self.journal.entry_replaced();
            }
        }
        if let Ok(t) = &result {
            self.tlb.insert(&tlb_context, canonical, t);
        }
        (result, true)
    }

    /// A walk that leaves no trace in the TLBs: AT.
    pub(super) fn walk_only(&self, context: &Context, request: &Request) -> Result<Translation, Fault> {
        let s2 = context.stage2.as_ref();
        translate_and_commit(&context.stage1, s2, &self.translation, request, &self.tables())
    }

    /// The tables that walks read.
    pub(super) fn tables(&self) -> TableBus<&BusView> {
        TableBus::new(&self.view)
    }

    /// What is at `pa`.
    pub(super) fn target(&self, pa: Pa) -> Option<Target> {
        Some(match self.view.target(pa)? {
            bus::Target::Ram(place) => Target::Ram(place),
            bus::Target::Rom(place) => Target::Rom(place, pa),
            bus::Target::Mmio => Target::Mmio(pa),
        })
    }
}

/// Translates a data access and finds what it reaches; keeps the page in the fast TLB if that may be.
pub(super) fn data(cpu: &mut Cpu, va: u64, asked: AccessRequest) -> Result<Target, Stop> {
    let unprivileged = asked.unprivileged && unprivileged_acts(cpu);
    let found = cpu.mem.find(va, asked, unprivileged)?;
    if cpu.mem.watch.is_on() {
        let el = if found.context.privileged() { cpu.pstate.el } else { El::El0 };
        if asked.bytes != 0 {
            watch::check(cpu, va, asked.bytes, asked.access, el)?;
        }
        if watch::page_is_watched(cpu, va) {
            return Ok(found.target);
        }
    }
    cpu.mem.keep(va, unprivileged, &found);
    Ok(found.target)
}

/// True if LDTR and STTR act as at EL0 here: at EL1, and at EL2 in a host, unless PSTATE.UAO makes them plain.
pub(super) fn unprivileged_acts(cpu: &Cpu) -> bool {
    let host = cpu.is_in_host(El::El0);
    !cpu.pstate.uao && (cpu.pstate.el == El::El1 || cpu.pstate.el == El::El2 && host)
}

/// What is at an address, and how it is seen.
struct Found {
    context: Context,
    translation: Translation,
    target: Target,
}

impl Mem {
    /// Translates a data access and finds what it reaches. `unprivileged`: in the context of the EL0 below.
    fn find(&mut self, va: u64, asked: AccessRequest, unprivileged: bool) -> Result<Found, Stop> {
        let current = self.fast.context();
        let context = if unprivileged { current.unprivileged() } else { current };
        let request = Request {
            va,
            access: asked.access,
            privileged: context.privileged(),
            pan: context.pan(),
            unaligned: asked.unaligned,
            stage1_only: false,
        };
        let (result, walked) = self.translate(&context, &request);
        self.counters.bump(Metric::TlbFills);
        if walked {
            self.counters.bump(Metric::Walks);
        }
        let translation = result.map_err(|f| Exception::Data(abort_of(&f, false)))?;
        let target = self
            .target(translation.pa)
            .ok_or_else(|| Exception::Data(plain_abort(va, EXTERNAL_ABORT, asked.access != Access::Read)))?;
        if self.journal.is_recording() {
            self.record_first_write(&target, translation.pa, asked.access)?;
        }
        Ok(Found { context, translation, target })
    }

    /// Puts the page into the fast TLB with what it may be used for.
    fn keep(&mut self, va: u64, unprivileged: bool, found: &Found) {
        let Found { context, translation: t, .. } = found;
        let (page, ram) = match found.target {
            Target::Ram(place) => (place.page(), true),
            Target::Rom(place, _) => (place.page(), false),
            Target::Mmio(_) => return,
        };
        let (read, write) = match (context.privileged(), context.pan()) {
            (false, _) => (Permissions::USER_READ, Permissions::USER_WRITE),
            (true, true) => (Permissions::PAN_READ, Permissions::PAN_WRITE),
            (true, false) => (Permissions::PRIV_READ, Permissions::PRIV_WRITE),
        };
        let may_read = t.permissions.contains(read);
        let may_write = may_read
            && ram
            && t.permissions.contains(write)
            && !t.write_needs_update
            && page.direct().is_some()
            && self.journal.permits(page);
        let allowed =
            Allowed { read: may_read, write: may_write, device: t.attrs.is_device(), block_bits: t.s1_bits };
        if may_write {
            self.writers.note(page, self.fast.bank(), va);
        }
        if unprivileged {
            self.fast.fill_user(va, page.host(), allowed);
        } else {
            self.fast.fill(va, page.host(), allowed);
        }
    }
}

/// A page that instructions come from.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Physical page number.
    pub page: u64,
    /// Its memory.
    pub memory: Page,
    /// It is a guarded page, and the CPU has FEAT_BTI.
    pub guarded: bool,
}

impl Mem {
    /// Translates the address of an instruction.
    pub fn fetch(&mut self, pc: u64) -> Result<Fetched, Exception> {
        if let Some(fetched) = self.fast.fetch(pc) {
            return Ok(fetched);
        }
        let context = self.fast.context();
        let request = Request { privileged: context.privileged(), ..Request::execute(pc) };
        let failed = |f| Exception::Fetch(abort_of(&f, false));
        let (result, walked) = self.translate(&context, &request);
        if walked {
            self.counters.bump(Metric::Walks);
        }
        let mut t = result.map_err(failed)?;
        let mut unwatched = false;
        if t.not_global && is_upper(pc) && !self.fast.has_upper(pc) {
            unwatched = !self.watch_tables(&context, &request);
            // Other vCPUs' requests may have been served meanwhile.
            t = self.translate(&context, &request).0.map_err(failed)?;
        }
        match self.target(Pa(t.pa.0 & !0xfff)) {
            Some(Target::Ram(place) | Target::Rom(place, _)) => {
                let guarded = t.guarded && self.features.has(Feat::Bti);
                let fetched = Fetched { page: t.pa.page_number(), memory: place.page(), guarded };
                self.fast.fill_fetch(pc, fetched, t.s1_bits, unwatched);
                Ok(fetched)
            }
            // Instructions cannot be fetched from registers, nor from where nothing is.
            Some(Target::Mmio(_)) | None => Err(Exception::Fetch(plain_abort(pc, EXTERNAL_ABORT, false))),
        }
    }
}

/// The alignment fault of an access (it comes before translation).
pub(super) fn alignment_fault(va: u64, write: bool) -> Exception {
    let fault = Fault {
        kind: FaultKind::Alignment,
        level: 0,
        stage: Stage::S1,
        s1ptw: false,
        va,
        ipa: None,
        write,
        descriptor: None,
        update: false,
    };
    Exception::Data(abort_of(&fault, false))
}
