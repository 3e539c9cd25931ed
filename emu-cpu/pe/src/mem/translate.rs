//! From an address to what stands behind it: tagged TLB, walk, bus.

use std::cell::RefCell;

use emu_a64::features::Feat;
use emu_core::Pa;
use emu_core::bus::{self, BusView, Requester};
use emu_core::metrics::Metric;
use emu_core::page::{Page, Place, Watched};
use emu_core::table::Tables;
use emu_mmu::{
    Access, ExternalAbort, Fault, FaultKind, Permissions, Request, Stage, TableMemory, TlbiScope,
    Translation, UpdateError, translate_and_commit, walk_observed,
};

use super::context::Context;
use super::fast::Allowed;
use super::upper::is_upper;
use super::writers::Where;
use super::{Mem, watch};
use crate::cpu::Cpu;
use crate::exception::{Abort, Exception, Stop};

/// DFSC of a synchronous external abort, not on a walk.
pub(super) const EXTERNAL_ABORT: u8 = 0x10;
/// DFSC of an unsupported exclusive or atomic access.
pub(super) const UNSUPPORTED_ATOMIC: u8 = 0x35;

/// Tables, with the descriptors that a walk has updated, and to what.
struct Walked<'a> {
    tables: Tables<&'a BusView>,
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

/// How an access is made.
#[derive(Clone, Copy)]
pub(super) struct How {
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
        let result =
            translate_and_commit(&context.stage1, context.stage2.as_ref(), &self.features, request, &tables);
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

    /// The tables that walks read.
    pub(super) fn tables(&self) -> Tables<&BusView> {
        Tables::new(&self.view)
    }

    /// What is at `pa`.
    pub(super) fn target(&self, pa: Pa) -> Option<Target> {
        Some(match self.view.target(pa)? {
            bus::Target::Ram(place) => Target::Ram(place),
            bus::Target::Rom(place) => Target::Rom(place, pa),
            bus::Target::Mmio => Target::Mmio(pa),
        })
    }

    /// Drops write tags of a page that somebody has watched; if there were any, the page counts as written, for it may have
    /// been until now.
    pub(super) fn revoke_write(&mut self, page: Page) {
        if self.revoke(page) {
            page.wrote();
        }
    }

    /// Drops all write tags. A page that had some counts as written, if it is watched: it may have been since the request that
    /// is lost among others.
    pub(super) fn revoke_all(&mut self) {
        self.fast.flush_all();
        self.writers.take_all(Page::wrote);
    }

    /// Takes the write tags of a page away; true if there were any.
    fn revoke(&mut self, page: Page) -> bool {
        let host = page.host();
        match self.writers.take(page) {
            Where::Nowhere => false,
            Where::At { addresses, banks } => addresses
                .iter()
                .flatten()
                .fold(false, |found, va| found | self.fast.revoke_at(host, banks, *va)),
            Where::Anywhere => self.fast.revoke(host),
        }
    }

    /// Has writes to the tables noticed that translate an instruction address in the upper half ([`super::upper`]), by the
    /// means that notice writes to code. False if that cannot be.
    fn watch_tables(&mut self, context: &Context, request: &Request) -> bool {
        let tables_of = |mem: &Self| {
            let mut steps = Vec::new();
            let s2 = context.stage2.as_ref();
            walk_observed(&context.stage1, s2, &mem.features, request, &mem.tables(), &mut steps);
            steps
        };
        let steps = tables_of(self);
        let mut addresses: Vec<Pa> = steps.iter().map(|s| s.address.page_base()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut news = false;
        let mut watched = Vec::with_capacity(addresses.len());
        for pa in addresses {
            let Some(Target::Ram(place) | Target::Rom(place, _)) = self.target(pa) else { return false };
            let (marked, page) = self.watch_page(place.page());
            news |= marked;
            watched.push(page);
        }
        if news && self.shared.has_peers() {
            // From now on their writes are noticed, too.
            self.wait_served();
        }
        let same = tables_of(self) == steps;
        if same {
            self.fast.watch_upper(&watched);
        }
        same
    }

    /// Has writes to a page noticed from now on, because something will be made of what it holds. True if that is news: then
    /// other vCPUs may have write tags until they have served what was posted.
    pub fn watch_page(&mut self, page: Page) -> (bool, Watched) {
        let (news, watched) = page.watch(Requester::Cpu(self.index as u32));
        if news {
            self.revoke(page);
        }
        (news, watched)
    }

    /// Tells others of TLB maintenance; the next DSB waits until the other vCPUs have done it.
    pub(super) fn broadcast(&mut self, scope: TlbiScope) {
        self.shared.broadcast(self.index, scope);
        self.unsynchronised |= self.shared.has_peers();
    }
}

/// Translates a data access and finds what it reaches; keeps the page in the fast TLB if that may be.
pub(super) fn data(cpu: &mut Cpu, va: u64, how: How) -> Result<Target, Stop> {
    let unprivileged = how.unprivileged && unprivileged_acts(cpu);
    let context = access_context(cpu, unprivileged);
    let request = Request {
        va,
        access: how.access,
        privileged: context.privileged(),
        pan: context.pan(),
        unaligned: how.unaligned,
        stage1_only: false,
    };
    let (result, walked) = cpu.mem.translate(&context, &request);
    cpu.counters.bump(Metric::TlbFills);
    if walked {
        cpu.counters.bump(Metric::Walks);
    }
    let t = result.map_err(|f| Exception::Data(abort_of(&f, false)))?;
    let target = cpu
        .mem
        .target(t.pa)
        .ok_or_else(|| Exception::Data(plain_abort(va, EXTERNAL_ABORT, how.access != Access::Read)))?;
    if cpu.mem.journal.is_recording() {
        cpu.mem.note(&target, t.pa, how.access)?;
    }
    if cpu.mem.watch.is_on() {
        let el = if context.privileged() { cpu.pstate.el } else { 0 };
        if how.bytes != 0 {
            watch::check(cpu, va, how.bytes, how.access, el)?;
        }
        if watch::page_is_watched(cpu, va) {
            return Ok(target);
        }
    }
    keep(cpu, va, unprivileged, &context, &t, &target);
    Ok(target)
}

/// True if LDTR and STTR act as at EL0 here: at EL1, and at EL2 in a host, unless PSTATE.UAO makes them plain.
pub(super) fn unprivileged_acts(cpu: &Cpu) -> bool {
    use crate::sysreg::hcr;
    let host = cpu.hcr() & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE;
    !cpu.pstate.uao && (cpu.pstate.el == 1 || cpu.pstate.el == 2 && host)
}

/// The context of an access: the current one, or that of the EL0 below for an unprivileged one.
fn access_context(cpu: &Cpu, unprivileged: bool) -> Context {
    if unprivileged { cpu.mem.fast.context().unprivileged() } else { cpu.mem.fast.context() }
}

/// Puts the page into the fast TLB with what it may be used for.
fn keep(cpu: &mut Cpu, va: u64, unprivileged: bool, context: &Context, t: &Translation, target: &Target) {
    let (page, ram) = match *target {
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
        && cpu.mem.journal.permits(page);
    let allowed =
        Allowed { read: may_read, write: may_write, device: t.attrs.is_device(), block_bits: t.s1_bits };
    if may_write {
        let bank = cpu.mem.fast.bank();
        cpu.mem.writers.note(page, bank, va);
    }
    if unprivileged {
        cpu.mem.fast.fill_user(va, page.host(), allowed);
    } else {
        cpu.mem.fast.fill(va, page.host(), allowed);
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

/// Translates the address of an instruction.
pub fn fetch(cpu: &mut Cpu, pc: u64) -> Result<Fetched, Exception> {
    if let Some(e) = cpu.mem.fast.fetch(pc) {
        return Ok(Fetched { page: e.page, memory: e.memory, guarded: e.guarded });
    }
    let context = cpu.mem.fast.context();
    let request = Request { privileged: context.privileged(), ..Request::execute(pc) };
    let failed = |f| Exception::Fetch(abort_of(&f, false));
    let (result, walked) = cpu.mem.translate(&context, &request);
    if walked {
        cpu.counters.bump(Metric::Walks);
    }
    let mut t = result.map_err(failed)?;
    let mut unwatched = false;
    if t.not_global && is_upper(pc) && !cpu.mem.fast.has_upper(pc) {
        unwatched = !cpu.mem.watch_tables(&context, &request);
        // Other vCPUs' requests may have been served meanwhile.
        t = cpu.mem.translate(&context, &request).0.map_err(failed)?;
    }
    match cpu.mem.target(Pa(t.pa.0 & !0xfff)) {
        Some(Target::Ram(place) | Target::Rom(place, _)) => {
            let guarded = t.guarded && cpu.features.has(Feat::Bti);
            let fetched = Fetched { page: t.pa.page_number(), memory: place.page(), guarded };
            cpu.mem.fast.fill_fetch(pc, fetched, t.s1_bits, unwatched);
            Ok(fetched)
        }
        // Instructions cannot be fetched from registers, nor from where nothing is.
        Some(Target::Mmio(_)) | None => Err(Exception::Fetch(plain_abort(pc, EXTERNAL_ABORT, false))),
    }
}

/// One access to registers of a device.
pub(super) fn mmio_read(cpu: &mut Cpu, pa: Pa, va: u64, bytes: u64) -> Result<u64, Exception> {
    cpu.counters.bump(Metric::MmioReads);
    let from = Requester::Cpu(cpu.index as u32);
    let size = emu_core::addr::Size::from_bytes(bytes);
    let value = size.map(|s| cpu.mem.view.read(pa, s, from));
    match value {
        Some(Ok(v)) => Ok(v),
        _ => Err(Exception::Data(plain_abort(va, EXTERNAL_ABORT, false))),
    }
}

/// One access to registers of a device.
pub(super) fn mmio_write(cpu: &mut Cpu, pa: Pa, va: u64, bytes: u64, value: u64) -> Result<(), Exception> {
    cpu.counters.bump(Metric::MmioWrites);
    let from = Requester::Cpu(cpu.index as u32);
    let size = emu_core::addr::Size::from_bytes(bytes);
    let done = size.map(|s| cpu.mem.view.write(pa, s, value, from));
    // A write may have changed the map itself (flash leaving array mode).
    cpu.mem.refresh_view();
    match done {
        Some(Ok(())) => Ok(()),
        _ => Err(Exception::Data(plain_abort(va, EXTERNAL_ABORT, true))),
    }
}

/// The alignment fault of an access (it comes before translation).
pub(super) fn alignment_fault(va: u64, write: bool) -> Exception {
    let fault =
        Fault { kind: FaultKind::Alignment, level: 0, stage: Stage::S1, s1ptw: false, va, ipa: None, write };
    Exception::Data(abort_of(&fault, false))
}

impl Mem {
    /// A walk that leaves no trace in the TLBs: AT.
    pub(super) fn walk_only(&self, context: &Context, request: &Request) -> Result<Translation, Fault> {
        let s2 = context.stage2.as_ref();
        translate_and_commit(&context.stage1, s2, &self.features, request, &self.tables())
    }
}
