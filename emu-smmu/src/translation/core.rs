//! The core: contexts to translations, the main TLB, and what takes translations away again.
//!
//! # Invariants
//! - **What was invalidated is not used by a transaction that begins afterwards.** A transaction reads the epoch before it asks
//!   for anything, and what it learns is kept for that epoch only. An invalidation begins a new epoch twice: before it goes
//!   through the main TLB, so that no older walk puts anything in any more, and afterwards, so that no port keeps what was
//!   still in there.
//! - **After [`Core::sync`] no access is made through it either**: see [`super::flight`].
//! - No lock of the core's is held while memory or registers are accessed, a front is asked or a master is told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use emu_core::bus::Bus;
use emu_core::clock::Clock;
use emu_core::dma::ats::TranslationCache;
use emu_core::dma::{DmaPort, Master, StallTag};
use emu_core::ledger::TIMELINE;
use emu_core::table::TableBus;
use emu_core::{Pa, Security};
use emu_mmu::tlb::TlbStatistics;
use emu_mmu::{Fault, Features, Request, Stage1, TlbContext, TlbiScope, Translation, translate_and_commit};
use parking_lot::{Mutex, RwLock};

use super::broadcast::Broadcast;
use super::counts::{Counts, StreamCount};
use super::flight::Phases;
use super::output::{Blocks, Output};
use super::port::{Port, PortState};
use super::probe::{Counted, Happening, Monitor, Probe};
use super::sanitize::{Finding, Sanitizers, Watch};
use super::shards::Shards;
use super::stalls::{Answer, Stalled, Stalls, Woken};
use super::{Access, Context, Front, Scope, Transaction, is_unreadable, wildcard};

/// What a core is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// What its walks can do.
    pub features: Features,
    /// How many transactions can be stalled at a time (IDR5.STALL_MAX).
    pub stall_max: u16,
}

/// In a line of its own, for every transaction reads it.
#[repr(align(128))]
struct Epoch(AtomicU64);

/// The translation core of one SMMU.
pub struct Core {
    pub(super) front: Arc<dyn Front>,
    pub(super) bus: Arc<Bus>,
    pub(super) phases: Phases,
    pub(super) stalls: Stalls,
    pub(super) blocks: Blocks,
    clock: Arc<Clock>,
    features: Features,
    epoch: Epoch,
    tlb: Shards,
    broadcast: Broadcast,
    pub(super) probe: Probe,
    pub(super) watch: Watch,
    /// Bits of a VMID that invalidations ignore.
    wildcard: AtomicU8,
    /// A list that is replaced, so that a wait has it at once.
    ports: RwLock<Arc<Vec<Arc<PortState>>>>,
    /// What was counted of ports that are gone, by StreamID.
    left: Mutex<BTreeMap<u32, StreamCount>>,
}

impl Core {
    /// A core in front of `bus`, in a machine whose time is that of `clock`. Fronts that refer to their core do so weakly.
    #[must_use]
    pub fn new(front: Arc<dyn Front>, bus: Arc<Bus>, clock: Arc<Clock>, config: Config) -> Arc<Self> {
        Arc::new(Self {
            front,
            bus,
            phases: Phases::default(),
            stalls: Stalls::new(config.stall_max),
            blocks: Blocks::default(),
            clock,
            features: config.features,
            epoch: Epoch(AtomicU64::new(1)),
            tlb: Shards::new(),
            broadcast: Broadcast::default(),
            probe: Probe::default(),
            watch: Watch::default(),
            wildcard: AtomicU8::new(0),
            ports: RwLock::default(),
            left: Mutex::default(),
        })
    }

    /// The way to memory of a master. Ways that nobody has any more are forgotten, but for what was counted of them: a PCI
    /// function takes another one when software gives its bus another number.
    #[must_use]
    pub fn port(self: &Arc<Self>, master: Master) -> Arc<dyn DmaPort> {
        let state = Arc::new(PortState::new(master));
        let mut ports = self.ports.write();
        let list = Arc::make_mut(&mut *ports);
        list.retain(|port| {
            let is_used = Arc::strong_count(port) > 1;
            if !is_used {
                let mut left = self.left.lock();
                let count = left.entry(port.master.stream_id()).or_default();
                *count = count.plus(port.count());
            }
            is_used
        });
        list.push(state.clone());
        drop(ports);
        Arc::new(Port::new(self.clone(), state))
    }

    /// Takes away the translations that `scope` names, and perhaps more. No transaction that begins afterwards is translated
    /// by them; those under way may still use them until [`Core::sync`] returns.
    pub fn invalidate(&self, scope: &Scope) {
        self.forget_contexts();
        for scope in wildcard::of_group(scope, self.wildcard.load(SeqCst)) {
            self.tlb.invalidate(&scope);
        }
        self.forget_contexts();
    }

    /// As [`Core::invalidate`], of everything.
    pub fn invalidate_all(&self) {
        self.forget_contexts();
        self.tlb.clear();
        self.forget_contexts();
    }

    /// How many of the lowest bits of a VMID invalidations ignore from now on (CR0.VMW): 4 at most.
    pub fn ignore_vmid_bits(&self, bits: u8) {
        self.wildcard.store(bits, SeqCst);
    }

    /// Has every transaction that begins afterwards ask the front for its verdict again. To be called when the front has
    /// forgotten what it knew, or decides otherwise than before.
    pub fn forget_contexts(&self) {
        self.epoch.0.fetch_add(1, SeqCst);
    }

    /// Returns when no transaction is under way that began before the call: what it reads and writes has been read and written,
    /// and what the front records of it has been recorded.
    ///
    /// The caller must hold no lock that a [`Front`] waits for in its functions, nor one that registers wait for which devices
    /// can access.
    pub fn sync(&self) {
        let ports = self.ports.read().clone();
        self.phases.wait(ports.iter().map(|port| &port.traffic));
    }

    /// Begins a stall, before software is told of it: for [`super::Refusal::Stall`]. `None` if the master cannot wait or too
    /// many transactions wait already. The number that software knows it by is [`super::stag`].
    #[must_use]
    pub fn stall(&self, transaction: &Transaction) -> Option<StallTag> {
        transaction.may_stall.then(|| self.stalls.begin(transaction, self.clock.now_ns())).flatten()
    }

    /// A stall that was begun is none after all: software has not been told, and the transaction ends otherwise.
    pub fn withdraw(&self, tag: StallTag) {
        self.stalls.withdraw(tag);
    }

    /// Software answers a stalled transaction (CMD_RESUME). False if `stream` has none of this name.
    pub fn resume(&self, stream: u32, stag: u16, answer: Answer) -> bool {
        let answered = self.stalls.answer(stream, stag, answer);
        if let Ok(Some(woken)) = &answered {
            self.tell(woken, answer);
        }
        answered.is_ok()
    }

    /// Aborts the stalled transactions of a stream (CMD_STALL_TERM), or all.
    pub fn terminate_stalls(&self, stream: Option<u32>) {
        for woken in self.stalls.abort(stream) {
            self.tell(&woken, Answer::Abort);
        }
    }

    /// The functions of a stream that keep translations.
    #[must_use]
    pub fn caches(&self, stream: u32) -> Vec<Arc<dyn TranslationCache>> {
        let ports = self.ports.read();
        let of = ports.iter().filter(|port| port.master.stream_id() == stream);
        of.filter_map(|port| port.master.cache()).collect()
    }

    /// Whether TLB maintenance of CPUs is taken part in (`wanted`), which is not worth the time before anything is translated
    /// (`translates`: from now on it may be).
    pub fn take_part(&self, wanted: bool, translates: bool) {
        self.broadcast.set(wanted, translates);
    }

    /// Gives it a performance monitor. The first one stays, and is told of nothing before [`Core::want`].
    pub fn attach_monitor(&self, monitor: Weak<dyn Monitor>) {
        self.probe.attach(monitor);
    }

    /// What the monitor is to be told of from now on: a set of [`Happening::bit`]. To be called also when it is the same set, and
    /// another one of streams.
    pub fn want(&self, what: u32) {
        self.probe.want(what);
        self.forget_contexts();
    }

    /// Has sanitizers look at all transactions. To be called before there are any; the first call decides.
    pub fn sanitize(&self, what: Sanitizers) {
        self.watch.set(what);
    }

    /// Which sanitizers are on.
    #[must_use]
    pub fn sanitizers(&self) -> Sanitizers {
        self.watch.what()
    }

    /// How often sanitizers found something, and the first things that they found.
    #[must_use]
    pub fn findings(&self) -> (u64, Vec<Finding>) {
        (self.watch.total(), self.watch.kept())
    }

    /// Tells the monitor of what a front does for a stream.
    pub fn happened(&self, stream: u32, what: Happening, times: u64) {
        self.probe.tell(stream, what, times);
    }

    /// Back to the state in which nothing is known, nothing waits, and no master has an answer that it did not fetch.
    pub fn reset(&self) {
        self.terminate_stalls(None);
        self.invalidate_all();
        self.broadcast.forgotten();
        self.ports.read().iter().for_each(|port| port.zeroes.clear());
    }

    /// What waits for software, by STAG.
    #[must_use]
    pub fn stalled(&self) -> Vec<Stalled> {
        self.stalls.list()
    }

    /// What each stream did so far, by StreamID.
    #[must_use]
    pub fn counts(&self) -> Vec<(u32, StreamCount)> {
        let mut all = self.left.lock().clone();
        for port in self.ports.read().iter() {
            let count = all.entry(port.master.stream_id()).or_default();
            *count = count.plus(port.count());
        }
        all.into_iter().collect()
    }

    /// What happened in the main TLB so far.
    #[must_use]
    pub fn tlb_statistics(&self) -> TlbStatistics {
        self.tlb.statistics()
    }

    /// Tells a master of an answer. Zeroes are found by its port when it tries again.
    fn tell(&self, woken: &Woken, answer: Answer) {
        let Woken { what, port, whole } = woken;
        port.counts.stalled_ns.add(self.clock.now_ns().saturating_sub(what.since));
        match answer {
            Answer::Retry => {}
            Answer::Abort => port.zeroes.forget(*whole),
            Answer::Zero => port.zeroes.keep(*whole, what.transaction),
        }
        port.master.resume(what.tag, answer != Answer::Abort);
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.0.load(SeqCst)
    }

    /// What holds for one epoch of translations and one map of the bus: both numbers only grow, so that their sum stays if and only
    /// if both do. `epoch` was read before.
    #[inline]
    pub(super) fn port_epoch(&self, epoch: u64) -> u64 {
        epoch.wrapping_add(self.bus.generation())
    }

    /// What an address leads to now.
    pub(super) fn output(&self, pa: Pa) -> Output {
        self.blocks.output(pa, &self.bus.view())
    }

    /// Where a transaction goes under `context`, which the front gave since `epoch` began.
    #[inline]
    pub(super) fn translate(
        &self,
        transaction: &Transaction,
        context: &Context,
        epoch: u64,
        counts: &Counts,
    ) -> Result<Pa, Fault> {
        let request = context.request(transaction);
        match self.find(transaction.stream, &request, context, epoch, counts) {
            Ok(found) => {
                if !self.watch.is_off() {
                    self.look_at(transaction, (context, &request), &found);
                }
                Ok(found.pa)
            }
            // The walker checks the read of an atomic access first, the SMMU the write (Arm IHI 0070, 13.1.1).
            Err(fault) if transaction.access == Access::Atomic && is_unreadable(&fault) => {
                let write = Request { access: emu_mmu::Access::AtWrite, ..request };
                let is_writable = self.find(transaction.stream, &write, context, epoch, counts).is_ok();
                Err(Fault { write: !is_writable, ..fault })
            }
            Err(fault) => Err(fault),
        }
    }

    #[cold]
    pub(super) fn look_at_verdict(&self, transaction: &Transaction) {
        if self.watch.what().stale && !self.front.is_current(transaction) {
            self.watch.report(Finding::StaleConfiguration { transaction: *transaction });
        }
    }

    #[cold]
    fn look_at(&self, transaction: &Transaction, way: (&Context, &Request), found: &Translation) {
        let (what, with) = (self.watch.what(), (&self.features, &*self.bus));
        if what.stale {
            self.watch.used(transaction, way, found, with);
        }
        if what.isolation {
            self.watch.reached(transaction, way, found, with);
        }
    }

    /// All that is known of where a request goes.
    pub(super) fn find(
        &self,
        stream: u32,
        request: &Request,
        context: &Context,
        epoch: u64,
        counts: &Counts,
    ) -> Result<Translation, Fault> {
        // What stage 2 alone maps is Non-secure, for so are all streams.
        let stage1 = context.stage1.unwrap_or_else(|| Stage1::bypass(&self.features, Security::NonSecure));
        let stage2 = context.stage2.as_ref();
        let va = stage1.canonical(request.va, request.access == emu_mmu::Access::Execute);
        let tag = context.tag(&stage1);
        if let Some(found) = tag.and_then(|tag| self.tlb.lookup(&tag, va))
            && found.allows(request)
        {
            counts.hits.add(1);
            return Ok(found);
        }
        counts.walks.add(1);
        tracing::trace!(target: TIMELINE, stream, walk = va);
        let memory = Counted::new(TableBus::new(self.bus.view()));
        let walked = translate_and_commit(&stage1, stage2, &self.features, request, &memory);
        self.happened(stream, Happening::TlbMiss, 1);
        self.happened(stream, Happening::WalkAccess, memory.descriptors());
        let translation = walked?;
        if let Some(tag) = tag {
            self.tlb.insert(&tag, va, &translation, || self.epoch() == epoch);
        }
        Ok(translation)
    }
}

/// Broadcast TLB maintenance of CPUs, if it is taken part in ([`Core::take_part`]).
impl emu_mmu::TlbiListener for Core {
    fn invalidate(&self, scope: &TlbiScope) {
        if self.broadcast.concerns() {
            Self::invalidate(self, scope);
            self.sync();
        }
    }
}

impl Context {
    /// The tag of its translations. With neither stage there is nothing to keep.
    fn tag(&self, stage1: &Stage1) -> Option<TlbContext> {
        (stage1.enabled || self.stage2.is_some()).then(|| TlbContext {
            security: stage1.security,
            regime: stage1.regime,
            vmid: if stage1.regime.has_stage2() { self.vmid } else { 0 },
            asid: stage1.asid,
            stage1: stage1.enabled,
        })
    }
}
