//! The stream side of an SMMUv3: what its transactions are translated under, and what becomes of those that cannot be.
//!
//! # Invariants
//! - A context is fetched from memory or found in the cache; invalidations are complete when they return, for transactions that
//!   begin afterwards. [`Core::sync`] is for those that began before.
//! - A transaction has at most one event, and one that stalls is never without: a [`Recorder`] that has no room for it has the
//!   transaction tried again when there is.
//! - No lock is held while memory is read, an event is recorded or the core is called.

mod atos;
mod ats;
mod explain;
mod lint;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock, Weak};

use emu_core::bus::Bus;
use emu_core::dma::ats::{PageRequest, PageResponse};
use emu_core::table::TableBus;
use emu_mmu::{Fault, FaultKind, Stage};
use parking_lot::RwLock;

use super::cache::Cache;
use super::event::{Class, Event, Kind, Recorder, TranslationRecord};
use super::profile::Profile;
use super::settings::Settings;
use super::tables::{Lookup, Tables, Wrong};
use crate::translation::{
    Context, Core, Counted, Faulted, Front, Happening, Refusal, Service, Transaction, Verdict, stag,
};

pub use atos::Question;
pub use explain::{Explanation, Outcome, Walk};
pub use lint::Lint;

/// The streams of an SMMUv3.
pub struct Streams {
    bus: Arc<Bus>,
    profile: Profile,
    recorder: Arc<dyn Recorder>,
    settings: RwLock<Settings>,
    cache: Cache,
    core: OnceLock<Weak<Core>>,
}

impl Streams {
    /// The streams of an SMMU that is not enabled, with tables in the memory of `bus`.
    #[must_use]
    pub fn new(bus: Arc<Bus>, profile: Profile, recorder: Arc<dyn Recorder>) -> Arc<Self> {
        Arc::new(Self {
            bus,
            profile,
            recorder,
            settings: RwLock::default(),
            cache: Cache::default(),
            core: OnceLock::new(),
        })
    }

    /// Says whose front this is. Nothing stalls before.
    pub fn attach(&self, core: &Arc<Core>) {
        // The first core stays: an SMMU has one.
        let _ = self.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    /// Registers have taken effect, for all transactions that begin afterwards.
    pub fn set(&self, settings: Settings) {
        let before = std::mem::replace(&mut *self.settings.write(), settings);
        if before != settings {
            self.invalidate_all();
        }
    }

    /// CMD_CFGI_STE: an STE, and the CDs that it leads to.
    pub fn invalidate_ste(&self, stream: u32) {
        self.cache.forget_streams(stream..=stream);
        self.ask_again();
    }

    /// CMD_CFGI_STE_RANGE: the streams that differ from `stream` in the lowest `bits` bits of the StreamID alone.
    pub fn invalidate_ste_range(&self, stream: u32, bits: u32) {
        let within = u32::MAX.checked_shr(32 - bits.min(32)).unwrap_or(0);
        self.cache.forget_streams(stream & !within..=stream | within);
        self.ask_again();
    }

    /// CMD_CFGI_CD: a CD.
    pub fn invalidate_cd(&self, stream: u32, substream: u32) {
        self.cache.forget_context(stream, substream);
        self.ask_again();
    }

    /// CMD_CFGI_ALL: everything.
    pub fn invalidate_all(&self) {
        self.cache.forget_streams(0..=u32::MAX);
        self.ask_again();
    }

    /// Ports know contexts, too.
    fn ask_again(&self) {
        if let Some(core) = self.core() {
            core.forget_contexts();
        }
    }

    fn memory(&self) -> Tables {
        Counted::new(TableBus::new(self.bus.view()))
    }

    /// Tells a performance monitor of a look into the tables.
    fn looked(&self, stream: u32, tables: &Tables) {
        if let Some(core) = self.core() {
            core.happened(stream, Happening::ConfigurationMiss, 1);
        }
        self.accessed(stream, tables);
    }

    /// Tells it of accesses to tables, whatever they were for.
    fn accessed(&self, stream: u32, tables: &Tables) {
        if let Some(core) = self.core() {
            core.happened(stream, Happening::ConfigurationAccess, tables.structures());
            core.happened(stream, Happening::WalkAccess, tables.descriptors());
        }
    }

    /// The context of a substream, from the cache or from memory.
    fn context(&self, t: &Transaction, settings: &Settings) -> Result<Arc<Context>, Wrong> {
        if let Some(context) = self.cache.find(t.stream, t.substream) {
            return Ok(context);
        }
        let begun = self.cache.generation();
        let memory = self.memory();
        let mut lookup =
            Lookup { memory: &memory, profile: &self.profile, settings, witness: (), commits: true };
        let found = lookup.context(t.stream, t.substream);
        self.looked(t.stream, &memory);
        let context = Arc::new(found?);
        self.cache.keep(begun, t.stream, t.substream, &context);
        Ok(context)
    }

    fn record(&self, kind: Kind, transaction: &Transaction, mergeable: bool) -> bool {
        self.recorder.record(&Event { kind, transaction: *transaction, mergeable })
    }

    /// The address is one that the system has.
    fn in_range(&self, t: &Transaction) -> bool {
        t.address >> self.profile.output_bits == 0
    }

    /// SMMUEN = 0: SMMU_GBPA decides (3.11), and an address that is too large is aborted in silence (3.4).
    fn disabled(&self, t: &Transaction, settings: &Settings) -> Verdict {
        if settings.bypass_aborts || !self.in_range(t) {
            Verdict::Refuse(Refusal::Abort)
        } else {
            Verdict::Bypass
        }
    }

    /// What goes wrong in finding a context ends in an abort, but a fault of stage 2 that may stall.
    fn wrong(&self, t: &Transaction, wrong: Wrong, settings: &Settings) -> Refusal {
        match wrong {
            Wrong::Disabled => Refusal::Abort,
            Wrong::Recorded { kind: Kind::BadStreamId, .. } if !settings.record_bad_stream => Refusal::Abort,
            Wrong::Recorded { kind, mergeable } => {
                self.record(kind, t, mergeable);
                Refusal::Abort
            }
            Wrong::OnContext { fault, context } => {
                self.fault(t, &context, &Faulted { fault, on_context: true })
            }
        }
    }

    /// Stalls a transaction, and then tells of it: software may answer at once. `None`: it cannot wait.
    fn stall(&self, t: &Transaction, event: impl FnOnce(u16) -> Event) -> Option<Refusal> {
        let tag = self.core()?.stall(t)?;
        // Without room for the record it is the recorder's to have the transaction tried again.
        self.recorder.record(&event(stag(tag)));
        Some(Refusal::Stall(tag))
    }
}

impl Front for Streams {
    fn translation_request(&self, t: &Transaction) -> Service {
        self.serve(t)
    }

    fn page_request(&self, stream: u32, request: &PageRequest) -> Option<PageResponse> {
        self.page_requested(stream, request)
    }

    fn verdict(&self, t: &Transaction) -> Verdict {
        let settings = *self.settings.read();
        if t.translated {
            return self.translated(t, &settings);
        }
        if !settings.enabled {
            return self.disabled(t, &settings);
        }
        match self.context(t, &settings) {
            Ok(context) if context.stage1.is_none() && context.stage2.is_none() => {
                if self.in_range(t) {
                    Verdict::Bypass
                } else {
                    let faulted = Faulted { fault: too_large(t), on_context: false };
                    Verdict::Refuse(self.fault(t, &context, &faulted))
                }
            }
            Ok(context) => Verdict::Translate(context),
            Err(wrong) => Verdict::Refuse(self.wrong(t, wrong, &settings)),
        }
    }

    fn is_current(&self, t: &Transaction) -> bool {
        let settings = *self.settings.read();
        let Some(remembered) = self.cache.find(t.stream, t.substream).filter(|_| settings.enabled) else {
            return true;
        };
        let memory = self.memory();
        let mut lookup = Lookup {
            memory: &memory,
            profile: &self.profile,
            settings: &settings,
            witness: (),
            commits: false,
        };
        lookup.context(t.stream, t.substream).is_ok_and(|now| now == *remembered)
    }

    /// 3.12 and 5.5: the four translation-related faults are as the stage that faulted says, all others are recorded and abort.
    fn fault(&self, t: &Transaction, context: &Context, faulted: &Faulted) -> Refusal {
        let record = record_of(faulted);
        let (kind, policy) = kind_of(&faulted.fault, record);
        let transaction = context.reported(t, faulted);
        let event = |kind| Event { kind, transaction, mergeable: context.mergeable };
        let Some(policy) = policy.then_some(if record.stage2 { context.policy2 } else { context.policy1 })
        else {
            self.recorder.record(&event(kind));
            return Refusal::Abort;
        };
        if policy.stall {
            let stalled =
                |stag| event(kind_of(&faulted.fault, TranslationRecord { stall: Some(stag), ..record }).0);
            if let Some(refusal) = self.stall(t, stalled) {
                return refusal;
            }
        }
        if policy.record || policy.stall {
            self.recorder.record(&event(kind));
        }
        // Where a stall is configured and not possible, the master is told.
        if policy.abort || policy.stall { Refusal::Abort } else { Refusal::Zero }
    }
}

/// The stage 1 Address Size fault of a transaction that bypasses both stages (3.4).
fn too_large(t: &Transaction) -> Fault {
    Fault {
        kind: FaultKind::AddressSize,
        level: 0,
        stage: Stage::S1,
        s1ptw: false,
        va: t.address,
        ipa: None,
        write: false,
        descriptor: None,
        update: false,
    }
}

fn record_of(faulted: &Faulted) -> TranslationRecord {
    let Faulted { fault, on_context } = faulted;
    let stage2 = fault.stage == Stage::S2;
    let on_walk = matches!(fault.kind, FaultKind::ExternalAbortOnWalk | FaultKind::UnsupportedAtomicUpdate);
    let class = match (stage2, on_context, fault.s1ptw) {
        (true, true, _) => Class::Cd,
        (true, false, true) => Class::Tt,
        // The table of stage 1 is where it aborted (7.3.12).
        (false, ..) if on_walk => Class::Tt,
        _ => Class::In,
    };
    TranslationRecord { stall: None, stage2, class, ipa: fault.ipa.unwrap_or(0), table_write: fault.update }
}

/// What an event says of a fault, and whether it is one of those that software configures the end of.
fn kind_of(fault: &Fault, record: TranslationRecord) -> (Kind, bool) {
    match fault.kind {
        FaultKind::Translation => (Kind::Translation(record), true),
        FaultKind::AddressSize => (Kind::AddressSize(record), true),
        FaultKind::AccessFlag => (Kind::AccessFlag(record), true),
        FaultKind::Permission => (Kind::Permission(record), true),
        FaultKind::TlbConflict => (Kind::TlbConflict(record), false),
        // A table that hardware cannot update aborts the update (5.4, IR0).
        FaultKind::ExternalAbortOnWalk | FaultKind::UnsupportedAtomicUpdate => {
            (Kind::WalkAbort(record, fault.descriptor.map_or(0, |pa| pa.0)), false)
        }
        // Nothing that an SMMU asks the walker is unaligned (3.4.2).
        FaultKind::Alignment => (Kind::UnsupportedTransaction, false),
    }
}
