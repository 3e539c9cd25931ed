//! The main TLB: parts under locks of their own, so that ports seldom wait for each other.
//!
//! What goes to which part is decided by the VMID, the ASID and the address, not by the size of what is mapped. What is global, or
//! larger than a part's unit, or a piece of a block that is, may be found under another ASID or from an address in another unit:
//! once there is such an entry, an invalidation by address goes through all parts. Before, it has one to go through.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use emu_mmu::tlb::TlbStatistics;
use emu_mmu::{Tlb, TlbContext, TlbiScope, Translation};
use parking_lot::Mutex;

const SHARDS: usize = 8;
/// What is next to each other in memory is in the same part, up to 2 MiB: then comes the next part.
const UNIT_BITS: u8 = 21;

pub(super) struct Shards {
    parts: [Mutex<Tlb>; SHARDS],
    /// There has been an entry that an invalidation may name from elsewhere.
    spread: AtomicBool,
}

impl Shards {
    pub(super) fn new() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::new(Tlb::new())), spread: AtomicBool::new(false) }
    }

    fn part(&self, vmid: u16, asid: u16, va: u64) -> &Mutex<Tlb> {
        let context = usize::from(vmid) * 5 + usize::from(asid) * 3;
        &self.parts[(context + (va >> UNIT_BITS) as usize) % SHARDS]
    }

    fn shard(&self, context: &TlbContext, va: u64) -> &Mutex<Tlb> {
        self.part(context.vmid, context.asid, va)
    }

    /// The translation of the canonical address `va`.
    pub(super) fn lookup(&self, context: &TlbContext, va: u64) -> Option<Translation> {
        self.shard(context, va).lock().lookup(context, va)
    }

    /// Keeps a translation if `still`: an invalidation since it was made forbids it, and one that comes later finds it here. It
    /// asks in a sequentially consistent way, after what is said here of the entry: either it sees that the invalidation has
    /// begun, or the invalidation sees that it must look everywhere.
    pub(super) fn insert(
        &self,
        context: &TlbContext,
        va: u64,
        translation: &Translation,
        still: impl FnOnce() -> bool,
    ) {
        // What stage 2 alone maps no such invalidation names.
        let spreads = context.stage1 && (translation.s1_bits > UNIT_BITS || !translation.not_global);
        if spreads && !self.spread.load(SeqCst) {
            self.spread.store(true, SeqCst);
        }
        let mut shard = self.shard(context, va).lock();
        if still() {
            shard.insert(context, va, translation);
        }
    }

    pub(super) fn invalidate(&self, scope: &TlbiScope) {
        match *scope {
            TlbiScope::Va { vmid, asid: Some(asid), start, end, .. }
                if start >> UNIT_BITS == end >> UNIT_BITS && !self.spread.load(SeqCst) =>
            {
                self.part(vmid, asid, start).lock().invalidate(scope);
            }
            _ => self.parts.iter().for_each(|shard| shard.lock().invalidate(scope)),
        }
    }

    pub(super) fn clear(&self) {
        self.parts.iter().for_each(|shard| shard.lock().clear());
    }

    /// What happened in all parts together.
    pub(super) fn statistics(&self) -> TlbStatistics {
        self.parts.iter().map(|shard| shard.lock().statistics()).fold(TlbStatistics::default(), |a, b| {
            TlbStatistics {
                hits: a.hits + b.hits,
                misses: a.misses + b.misses,
                evictions: a.evictions + b.evictions,
                // What goes through all parts counts in each.
                invalidations: a.invalidations.max(b.invalidations),
                scans: a.scans.max(b.scans),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use emu_core::{Ipa, Pa, Security};
    use emu_mmu::{MemAttrs, Permissions, Regime};

    use super::*;

    const CONTEXT: TlbContext =
        TlbContext { security: Security::NonSecure, regime: Regime::El10, vmid: 0, asid: 7, stage1: true };
    const VA: u64 = 0x4000_1000;

    fn page(s1_bits: u8, not_global: bool) -> Translation {
        Translation {
            pa: Pa(0x8000_0000),
            ipa: Ipa(0x8000_0000),
            s1_bits,
            s2_bits: 12,
            s1_level: Some(3),
            s2_level: Some(3),
            attrs: MemAttrs::DEFAULT_CACHEABLE,
            permissions: Permissions::all(),
            write_needs_update: false,
            not_global,
            contiguous: false,
            guarded: false,
        }
    }

    fn va(asid: u16, start: u64, end: u64) -> TlbiScope {
        TlbiScope::Va { regime: Regime::El10, vmid: 0, asid: Some(asid), start, end }
    }

    /// Of each entry, whether it is `page` under ASID 7, and what names it, wherever that is.
    #[test]
    fn an_invalidation_finds_what_is_in_other_parts() {
        let own = va(7, VA, VA);
        for (entry, scope) in [
            (page(12, true), own),
            // The 2 MiB before, in the same command.
            (page(12, true), va(7, VA - 0x20_0000, VA)),
            (page(12, false), va(8, VA, VA)),
            // Pieces of larger blocks go with any address of those.
            (page(21, true), va(7, VA + 0x1f_0000, VA + 0x1f_0000)),
            (page(30, true), va(7, VA + 0x3020_0000, VA + 0x3020_0000)),
        ] {
            let shards = Shards::new();
            shards.insert(&CONTEXT, VA, &entry, || true);
            shards.invalidate(&va(7, VA + 0x1_0000_0000, VA + 0x1_0000_0000));
            assert!(shards.lookup(&CONTEXT, VA).is_some());
            shards.invalidate(&scope);
            assert!(shards.lookup(&CONTEXT, VA).is_none(), "{scope:?}");
        }
    }

    #[test]
    fn one_part_is_asked_until_something_is_spread() {
        let shards = Shards::new();
        let asked = || {
            shards.invalidate(&va(7, VA, VA));
            shards.parts.iter().map(|part| part.lock().statistics().invalidations).sum::<u64>()
        };
        shards.insert(&CONTEXT, VA, &page(12, true), || true);
        assert_eq!(asked(), 1);
        shards.insert(&CONTEXT, VA, &page(12, false), || true);
        assert_eq!(asked(), 1 + SHARDS as u64);
    }
}
