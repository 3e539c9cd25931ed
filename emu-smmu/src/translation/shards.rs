//! The main TLB: parts under locks of their own, so that ports seldom wait for each other.
//!
//! What goes to which part is decided by the address and the context, not by the size of what is mapped. A block that is larger
//! than a part's unit may be in several parts; an invalidation goes through all of them.

use emu_mmu::tlb::TlbStatistics;
use emu_mmu::{Tlb, TlbContext, TlbiScope, Translation};
use parking_lot::Mutex;

const SHARDS: usize = 8;
/// What is next to each other in memory is in the same part, up to 2 MiB: then comes the next part.
const UNIT_BITS: u32 = 21;

pub(super) struct Shards([Mutex<Tlb>; SHARDS]);

impl Shards {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Tlb::new())))
    }

    fn shard(&self, context: &TlbContext, va: u64) -> &Mutex<Tlb> {
        let context = usize::from(context.vmid) * 5 + usize::from(context.asid) * 3;
        &self.0[(context + (va >> UNIT_BITS) as usize) % SHARDS]
    }

    /// The translation of the canonical address `va`.
    pub(super) fn lookup(&self, context: &TlbContext, va: u64) -> Option<Translation> {
        self.shard(context, va).lock().lookup(context, va)
    }

    /// Keeps a translation if `still`: an invalidation since it was made forbids it, and one that comes later finds it here.
    pub(super) fn insert(
        &self,
        context: &TlbContext,
        va: u64,
        translation: &Translation,
        still: impl FnOnce() -> bool,
    ) {
        let mut shard = self.shard(context, va).lock();
        if still() {
            shard.insert(context, va, translation);
        }
    }

    pub(super) fn invalidate(&self, scope: &TlbiScope) {
        self.0.iter().for_each(|shard| shard.lock().invalidate(scope));
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|shard| shard.lock().clear());
    }

    /// What happened in all parts together.
    pub(super) fn statistics(&self) -> TlbStatistics {
        self.0.iter().map(|shard| shard.lock().statistics()).fold(TlbStatistics::default(), |a, b| {
            TlbStatistics {
                hits: a.hits + b.hits,
                misses: a.misses + b.misses,
                evictions: a.evictions + b.evictions,
                // Each goes through all parts.
                invalidations: a.invalidations.max(b.invalidations),
                scans: a.scans.max(b.scans),
            }
        })
    }
}
