//! Loads and stores, instruction fetch, and the maintenance of what they cache.
//!
//! An access goes through three layers: the *fast TLB* ([`fast`]: host addresses of 4 KiB pages, one bank per context),
//! the *tagged TLB* of `emu-mmu`, and the walk. Device registers and everything unusual leave the first layer by having
//! no tag there. [`shared`] is what the vCPUs of a machine have in common: the inboxes through which TLB maintenance is
//! broadcast, and write tags are asked for.
//!
//! [`exclusive`] is the exclusive monitor. [`wide`] has what sixteen bytes at once need, [`mops`] the instructions that copy and set memory.
//!
//! # Invariants
//! - Memory knows who writes it ([`emu_core::page`]). Here there are two ways to write RAM: inside
//!   [`emu_core::page::Place::write`], and by a write tag. A page has a write tag in some fast TLB only while nobody watches it;
//!   who makes code from a page, or remembers what its tables say, watches it first ([`Mem::watch_page`]), which revokes the
//!   tags of all vCPUs. [`pointer::HostMut`] is the only type that stores, and is made in these two ways alone.
//! - The current bank belongs to the current context ([`context::select`] after every change of EL, PSTATE.PAN or a
//!   translation register).

pub mod access;
pub mod atomic;
mod bulk;
pub mod context;
mod device;
pub mod exclusive;
mod fast;
mod filters;
pub mod inspect;
pub mod journal;
pub mod maintenance;
mod model_features;
pub mod mops;
mod pointer;
mod program;
mod revoke;
pub mod shared;
pub mod tables;
#[cfg(test)]
mod tests;
mod translate;
mod upper;
pub mod watch;
pub mod wide;
mod writers;

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use emu_a64::features::FeatureSet;
use emu_a64::ir::BarrierKind;
use emu_core::bus::{Bus, BusView};
use emu_core::metrics::Counters;
use emu_core::page::DirectWriters;
use emu_mmu::{Features, Tlb};

use crate::cpu::{Cpu, CpuConfig};
pub use exclusive::Exclusive;
pub use maintenance::maintenance;
pub use model_features::mmu_features;
pub use translate::Fetched;

use fast::FastTlb;
use shared::Shared;
use writers::Writers;

/// What a vCPU keeps for its memory accesses.
pub struct Mem {
    /// Host addresses of pages.
    fast: FastTlb,
    tlb: Tlb,
    features: FeatureSet,
    /// What they mean for translation.
    translation: Features,
    /// What physical addresses lead to.
    bus: Arc<Bus>,
    view: Arc<BusView>,
    view_generation: u64,
    /// What the vCPUs of the machine have in common.
    shared: Arc<Shared>,
    /// This vCPU's number there.
    index: usize,
    counters: Arc<Counters>,
    exclusive: Exclusive,
    refused: exclusive::Refused,
    watch: watch::Watch,
    writers: Writers,
    /// What is to be taken back in lockstep.
    journal: journal::Journal,
    /// Maintenance was posted to other vCPUs and not waited for: the next DSB does.
    unsynchronised: bool,
}

impl Mem {
    pub(crate) const EXCLUSIVE: usize = offset_of!(Self, exclusive);
    pub(crate) const UNSYNCHRONISED: usize = offset_of!(Self, unsynchronised);

    /// The memory side of a PE. The others of the machine can ring for it from now on.
    #[must_use]
    pub(crate) fn new(config: &CpuConfig) -> Self {
        let CpuConfig { model, index, counters, bus, shared, .. } = config;
        let writers: Arc<dyn DirectWriters> = shared.clone();
        bus.attach(&writers);
        shared.set_doorbell(*index, config.doorbell.clone());
        Self {
            fast: FastTlb::new(),
            tlb: Tlb::new(),
            features: model.features,
            translation: mmu_features(model),
            view_generation: bus.generation(),
            view: bus.view(),
            bus: bus.clone(),
            shared: shared.clone(),
            index: *index,
            counters: counters.clone(),
            exclusive: Exclusive::default(),
            refused: exclusive::Refused::default(),
            watch: watch::Watch::default(),
            writers: Writers::default(),
            journal: journal::Journal::default(),
            unsynchronised: false,
        }
    }

    /// The physical address space.
    #[must_use]
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// There are other vCPUs.
    #[inline]
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.shared.has_peers()
    }

    /// No guest code runs from now on: the others do not wait for this vCPU.
    pub fn park(&self) {
        self.shared.set_parked(self.index, true);
    }

    /// Guest code is about to run again; serves what was posted meanwhile.
    pub fn unpark(&mut self) {
        self.shared.set_parked(self.index, false);
        self.serve_requests();
    }

    /// Alignment of all accesses is checked in the current context (SCTLR_ELx.A).
    #[inline]
    #[must_use]
    pub fn checks_alignment(&self) -> bool {
        self.fast.checks_alignment()
    }

    /// Host address of the tables that host code looks into. It is good until the next [`context::select`].
    pub fn tables_address(&mut self) -> u64 {
        self.fast.tables_address()
    }

    /// The bits of a pointer to the lower or upper half that hold its authentication code (FEAT_PAuth) in the current
    /// context.
    #[inline]
    pub(crate) fn code_field(&self, upper: bool, data: bool) -> u64 {
        self.fast.code_field(upper, data)
    }

    /// The context that code at `pc` is cached under: changes whenever a cached translation of an instruction address may
    /// have become wrong. It is another one for the two halves of the address space, and never the same for both.
    #[inline]
    #[must_use]
    pub fn serial(&self, pc: u64) -> u64 {
        self.fast.serial(pc)
    }

    /// Takes a newer map of the bus, if there is one, and forgets what came from the old one.
    pub fn refresh_view(&mut self) {
        let generation = self.bus.generation();
        if generation != self.view_generation {
            self.view_generation = generation;
            self.view = self.bus.view();
            self.fast.flush_all();
        }
    }

    /// Waits until the other vCPUs have served what was posted, and serves what they post meanwhile.
    fn wait_served(&mut self) {
        let shared = self.shared.clone();
        shared.wait_served(self.index, || self.serve_requests());
    }

    /// As `wait_served`; true if the way to the next instruction may be another one then.
    fn wait_and_compare(&mut self) -> bool {
        let serials = self.fast.serials();
        self.wait_served();
        self.fast.serials() != serials
    }

    /// Serves what other vCPUs posted.
    pub fn serve_requests(&mut self) {
        if !self.shared.has_requests(self.index) {
            return;
        }
        let shared = self.shared.clone();
        shared.serve(self.index, |request| match request {
            shared::PeerRequest::Tlbi(scope) => self.invalidate(&scope),
            shared::PeerRequest::Revoke(page) => self.revoke_write(page),
            shared::PeerRequest::RevokeAll => self.revoke_all(),
        });
    }

    /// Drops everything that is cached: reset.
    pub fn reset(&mut self) {
        self.fast.flush_all();
        self.tlb.clear();
        self.exclusive.close();
    }
}

/// True if a misaligned SP is a fault at the current Exception level (SCTLR_ELx.SA, SA0).
#[inline]
#[must_use]
pub fn sp_check_enabled(cpu: &Cpu) -> bool {
    let sctlr = context::sctlr(cpu);
    sctlr >> if cpu.pstate.el.is_privileged() { 3 } else { 4 } & 1 != 0
}

/// A barrier. A DSB also waits until other vCPUs have done the maintenance that this one broadcast.
pub fn barrier(cpu: &mut Cpu, kind: BarrierKind) {
    match kind {
        BarrierKind::Speculation => {}
        BarrierKind::DmbLoad => fence(Ordering::Acquire),
        BarrierKind::DmbStore => fence(Ordering::Release),
        BarrierKind::DmbFull => fence(Ordering::SeqCst),
        BarrierKind::Dsb => {
            fence(Ordering::SeqCst);
            if std::mem::take(&mut cpu.mem.unsynchronised) {
                let changed = cpu.mem.wait_and_compare();
                cpu.derived.note_change_if(changed);
            }
        }
    }
}

/// SEV (to all PEs) and SEVL (to this one).
pub fn send_event(cpu: &mut Cpu, all: bool) {
    if all {
        cpu.mem.shared.send_event_to_all();
    }
    cpu.wires.doorbell().send_event();
}
