//! From an address to what stands behind it: tagged TLB, walk, bus.

use std::cell::RefCell;

use emu_a64::features::Feat;
use emu_core::Pa;
use emu_core::bus::{Backing, BusView, Requester};
use emu_core::metrics::Metric;
use emu_mmu::{
    Access, ExternalAbort, Fault, FaultKind, Permissions, Request, Stage, TableMemory, Translation,
    UpdateError, translate_and_commit, walk_observed,
};

use super::context::Context;
use super::fast::{Allowed, HostPage};
use super::shared::{Request as PeerRequest, Shared};
use super::upper::is_upper;
use super::writers::Where;
use super::{Mem, watch};
use crate::cpu::Cpu;
use crate::exception::{Abort, Exception};

/// DFSC of a synchronous external abort, not on a walk.
pub(super) const EXTERNAL_ABORT: u8 = 0x10;
/// DFSC of an unsupported exclusive or atomic access.
pub(super) const UNSUPPORTED_ATOMIC: u8 = 0x35;

/// Reads and updates descriptors on the bus.
pub(super) struct Tables<'a> {
    view: &'a BusView,
    shared: &'a Shared,
    /// The descriptors that were updated, and to what.
    updated: RefCell<Vec<(Pa, u64)>>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(view: &'a BusView, shared: &'a Shared) -> Self {
        Self { view, shared, updated: RefCell::default() }
    }
}

impl TableMemory for Tables<'_> {
    fn read_descriptor(&self, pa: Pa) -> Result<u64, ExternalAbort> {
        let region = self.view.find(pa).ok_or(ExternalAbort)?;
        match &region.backing {
            Backing::Ram(ram, o) | Backing::Rom(ram, o, _) => {
                ram.load_u64(o + (pa.0 - region.base.0)).ok_or(ExternalAbort)
            }
            Backing::Mmio(_) => Err(ExternalAbort),
        }
    }

    fn update_descriptor(&self, pa: Pa, old: u64, new: u64) -> Result<bool, UpdateError> {
        let region = self.view.find(pa).ok_or(UpdateError::ExternalAbort)?;
        let Backing::Ram(ram, o) = &region.backing else { return Err(UpdateError::Unsupported) };
        let seen =
            ram.compare_exchange_u64(o + (pa.0 - region.base.0), old, new).ok_or(UpdateError::Unsupported)?;
        self.shared.wrote_page(pa.page_number());
        if seen == old {
            self.updated.borrow_mut().push((pa, new));
        }
        Ok(seen == old)
    }
}

/// What an access finds behind its address.
pub(super) enum Target {
    /// RAM, at this host address.
    Ram(*mut u8, Pa),
    /// Memory that reads like RAM and is written through a device.
    Rom(*mut u8, Pa),
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
        let tables = Tables::new(&self.view, &self.shared);
        let result =
            translate_and_commit(&context.stage1, context.stage2.as_ref(), &self.features, request, &tables);
        crate::trace::walk(self.index, request.access, request.va, &result);
        if self.journal.is_recording() {
            let updated = tables.updated.take();
            updated.into_iter().for_each(|(pa, value)| self.journal.descriptor(pa, value));
            if cached.is_some_and(|old| result.is_ok_and(|new| !is_alike(&old, &new))) {
                self.journal.entry_replaced();
            }
        }
        if let Ok(t) = &result {
            self.tlb.insert(&tlb_context, canonical, t);
        }
        (result, true)
    }

    /// The host address of RAM at `pa`, or what else is there.
    pub(super) fn target(&self, pa: Pa) -> Option<Target> {
        let region = self.view.find(pa)?;
        let offset = pa.0 - region.base.0;
        match &region.backing {
            Backing::Ram(ram, o) => ram.host_ptr(o + offset).map(|p| Target::Ram(p, pa)),
            Backing::Rom(ram, o, _) => ram.host_ptr(o + offset).map(|p| Target::Rom(p, pa)),
            Backing::Mmio(_) => Some(Target::Mmio(pa)),
        }
    }

    /// Drops write tags of a physical page from which code is about to be made; if there were any, the page counts as
    /// written, for it may have been until now.
    pub(super) fn revoke_write(&mut self, page: u64) {
        if self.revoke(page) {
            self.shared.wrote_page(page);
        }
    }

    /// Drops all write tags. A page that had some and holds code counts as written: code may have been made from it since the
    /// request that is lost among others.
    pub(super) fn revoke_all(&mut self) {
        self.fast.flush_all();
        let shared = &self.shared;
        self.writers.take_all(|page| {
            if shared.code.has_code(page) {
                shared.wrote_page(page);
            }
        });
    }

    /// Takes the write tags of a physical page away; true if there were any.
    fn revoke(&mut self, page: u64) -> bool {
        let place = self.writers.take(page);
        if place == Where::Nowhere {
            return false;
        }
        let Some(Target::Ram(host, _)) = self.target(Pa(page << 12)) else { return false };
        match place {
            Where::At { addresses, banks } => addresses
                .iter()
                .flatten()
                .fold(false, |found, va| found | self.fast.revoke_at(host, banks, *va)),
            _ => self.fast.revoke(host),
        }
    }

    /// Has writes to the tables noticed that translate an instruction address in the upper half ([`super::upper`]), by the
    /// means that notice writes to code. False if that cannot be.
    fn watch_tables(&mut self, context: &Context, request: &Request) -> bool {
        let tables_of = |mem: &Self| {
            let (mut steps, tables) = (Vec::new(), Tables::new(&mem.view, &mem.shared));
            let s2 = context.stage2.as_ref();
            walk_observed(&context.stage1, s2, &mem.features, request, &tables, &mut steps);
            steps
        };
        let steps = tables_of(self);
        let mut pages: Vec<u64> = steps.iter().map(|s| s.address.page_number()).collect();
        pages.sort_unstable();
        pages.dedup();
        if !pages.iter().all(|page| self.shared.code.has(*page)) {
            return false;
        }
        let mut news = false;
        let mut watched = Vec::with_capacity(pages.len());
        for page in pages {
            let (marked, generation) = self.mark_code(page);
            news |= marked;
            watched.push((page, generation));
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

    /// Says that code will be made from a physical page. True if that is news: then other vCPUs may have write tags until
    /// they have served what was posted. And the generation that the code will belong to.
    pub fn mark_code(&mut self, page: u64) -> (bool, u32) {
        let (news, generation) = self.shared.mark_code(self.index, page);
        if news {
            self.revoke(page);
        }
        (news, generation)
    }

    /// Posts a request to the other vCPUs; the next DSB waits for it.
    pub(super) fn broadcast(&mut self, request: PeerRequest) {
        if self.shared.has_peers() {
            self.shared.post(self.index, request);
            self.unsynchronised = true;
        }
    }
}

/// Translates a data access and finds what it reaches; keeps the page in the fast TLB if that may be.
pub(super) fn data(cpu: &mut Cpu, va: u64, how: How) -> Result<Target, Exception> {
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
        // The exception stands for none: the journal knows that the instruction was stopped.
        cpu.mem.note(&target, how.access).map_err(|()| Exception::SpAlignment)?;
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
    let (host, ram) = match *target {
        Target::Ram(p, _) => (p, true),
        Target::Rom(p, _) => (p, false),
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
        && !cpu.mem.shared.code.has_code(t.pa.page_number())
        && cpu.mem.journal.permits(t.pa.page_number());
    let page_start = host.wrapping_sub((t.pa.0 & 0xfff) as usize);
    let allowed =
        Allowed { read: may_read, write: may_write, device: t.attrs.is_device(), block_bits: t.s1_bits };
    if may_write {
        let bank = cpu.mem.fast.bank();
        cpu.mem.writers.note(t.pa.page_number(), bank, va);
    }
    if unprivileged {
        cpu.mem.fast.fill_user(va, page_start, allowed);
    } else {
        cpu.mem.fast.fill(va, page_start, allowed);
    }
}

/// A page that instructions come from.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Physical page number.
    pub page: u64,
    /// Its memory.
    pub host: HostPage,
    /// It is a guarded page, and the CPU has FEAT_BTI.
    pub guarded: bool,
}

/// Translates the address of an instruction.
pub fn fetch(cpu: &mut Cpu, pc: u64) -> Result<Fetched, Exception> {
    if let Some(e) = cpu.mem.fast.fetch(pc) {
        return Ok(Fetched { page: e.page, host: e.host, guarded: e.guarded });
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
        Some(Target::Ram(p, _) | Target::Rom(p, _)) => {
            let guarded = t.guarded && cpu.features.has(Feat::Bti);
            let fetched = Fetched { page: t.pa.page_number(), host: HostPage::new(p), guarded };
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
        let tables = Tables::new(&self.view, &self.shared);
        translate_and_commit(&context.stage1, context.stage2.as_ref(), &self.features, request, &tables)
    }
}
