//! A tagged, set-associative TLB of whole translations (both stages combined).
//!
//! An entry is stored at the largest of [`SIZES`] that its translation covers; a lookup probes only the sizes in use.
//! What drops many entries at once (by VMID, by ASID, all of a regime) bumps a generation number instead of walking the
//! table: an entry is alive while the generations that it was made under are current. Generations are kept in small
//! hashed tables, so a collision can only drop too much.
//!
//! An entry can be smaller than the block of one stage that it came from (a 2 MiB block over 4 KiB stage 2 pages). An
//! invalidation by address must reach all fragments of such a block; counting filters on the blocks tell whether
//! there are any, so that the table is scanned only then.

use emu_core::{Ipa, Pa, Security};

use crate::config::{Regime, low_mask};
use crate::tlbi::TlbiScope;
use crate::walker::Translation;

/// log2 of the sizes at which entries are stored: 4K, 16K, 64K, 2M, 32M, 512M, 1G.
pub const SIZES: [u8; 7] = [12, 14, 16, 21, 25, 29, 30];
const WAYS: usize = 4;
const SETS: usize = 1024;
/// How many entries a TLB has.
pub const ENTRIES: usize = SETS * WAYS;
const VMID_SLOTS: usize = 256;
const ASID_SLOTS: usize = 1024;
const FILTER_SLOTS: usize = 2048;

/// Who looks up: the tags of the current translation context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlbContext {
    /// The Security state.
    pub security: Security,
    /// The regime.
    pub regime: Regime,
    /// The VMID in EL1&0 (also while stage 2 is off), otherwise 0.
    pub vmid: u16,
    /// The ASID, 0 in a regime without.
    pub asid: u16,
    /// Stage 1 is on. Entries made with it off are kept apart.
    pub stage1: bool,
}

/// The tag of an entry.
#[derive(Clone, Copy)]
struct Key {
    /// Canonical VA of the entry's first byte.
    va: u64,
    /// Index into [`SIZES`], or [`EMPTY`].
    size: u8,
    security: Security,
    regime: Regime,
    stage1: bool,
    global: bool,
    vmid: u16,
    asid: u16,
    s1_bits: u8,
    s2_bits: u8,
    /// IPA of the entry's first byte.
    ipa: u64,
    /// Generation of the VMID slot, and of the ASID slot for what is not global.
    vm_generation: u32,
    asid_generation: u32,
}

const EMPTY: u8 = u8::MAX;

const NO_KEY: Key = Key {
    va: 0,
    size: EMPTY,
    security: Security::NonSecure,
    regime: Regime::El10,
    stage1: false,
    global: false,
    vmid: 0,
    asid: 0,
    s1_bits: 0,
    s2_bits: 0,
    ipa: 0,
    vm_generation: 0,
    asid_generation: 0,
};

/// What happened in a TLB so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TlbStatistics {
    /// Lookups that found a translation.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Live or stale entries replaced by others.
    pub evictions: u64,
    /// Calls of [`Tlb::invalidate`].
    pub invalidations: u64,
    /// Invalidations that had to look at every entry.
    pub scans: u64,
}

/// Counts how many entries hash to a slot: zero means that there is none.
struct CountingFilter(Box<[u16]>);

impl CountingFilter {
    fn new() -> Self {
        Self(vec![0; FILTER_SLOTS].into())
    }
    fn slot(address: u64, bits: u8) -> usize {
        if bits >= 64 { 0 } else { (mix(address >> bits) as usize + usize::from(bits) * 37) % FILTER_SLOTS }
    }
    fn add(&mut self, address: u64, bits: u8) {
        self.0[Self::slot(address, bits)] += 1;
    }
    fn remove(&mut self, address: u64, bits: u8) {
        self.0[Self::slot(address, bits)] -= 1;
    }
    fn may_have(&self, address: u64, bits: u8) -> bool {
        self.0[Self::slot(address, bits)] != 0
    }
}

fn mix(x: u64) -> u64 {
    x.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The TLB of one PE (or one translation unit). Not shared: broadcast invalidations are applied to each.
pub struct Tlb {
    /// Signature of each entry, 0 for an empty one: what a probe looks at first, a set in half a cache line.
    signatures: Box<[u64]>,
    keys: Box<[Key]>,
    values: Box<[Option<Translation>]>,
    /// Next way to replace in each set.
    victim: Box<[u8]>,
    /// Entries stored at each of [`SIZES`], stale ones included.
    in_use: [u32; SIZES.len()],
    vm_generations: Box<[u32]>,
    asid_generations: Box<[u32]>,
    /// Fragments by their stage 1 block, for block sizes in `fragment_sizes`.
    fragments: CountingFilter,
    fragment_sizes: u64,
    /// Entries with a stage 2 by its block.
    stage2: CountingFilter,
    stage2_sizes: u64,
    statistics: TlbStatistics,
}

impl Default for Tlb {
    fn default() -> Self {
        Self::new()
    }
}

impl Tlb {
    /// An empty TLB.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signatures: vec![0; ENTRIES].into(),
            keys: vec![NO_KEY; ENTRIES].into(),
            values: vec![None; ENTRIES].into(),
            victim: vec![0; SETS].into(),
            in_use: [0; SIZES.len()],
            vm_generations: vec![0; VMID_SLOTS].into(),
            asid_generations: vec![0; ASID_SLOTS].into(),
            fragments: CountingFilter::new(),
            fragment_sizes: 0,
            stage2: CountingFilter::new(),
            stage2_sizes: 0,
            statistics: TlbStatistics::default(),
        }
    }

    /// Counters since the TLB was made.
    #[must_use]
    pub fn statistics(&self) -> TlbStatistics {
        self.statistics
    }

    /// Drops everything, with the memory of it.
    pub fn clear(&mut self) {
        self.signatures.fill(0);
        self.keys.fill(NO_KEY);
        self.values.fill(None);
        self.in_use = [0; SIZES.len()];
        self.fragments.0.fill(0);
        self.stage2.0.fill(0);
        (self.fragment_sizes, self.stage2_sizes) = (0, 0);
    }

    /// A hash of everything in a tag but the ASID and the Security state; never zero. So an invalidation, which names no
    /// Security state, drops the entries of all.
    #[inline]
    fn signature(page: u64, size: usize, context: u64) -> u64 {
        let x = (page | size as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ context;
        (x ^ x >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) | 1
    }

    #[inline]
    fn context_bits(regime: Regime, vmid: u16, stage1: bool) -> u64 {
        (u64::from(vmid) << 3 | (regime as u64) << 1 | u64::from(stage1)).wrapping_mul(0xa076_1d64_78bd_642f)
    }

    /// The index of the first way of the set of a page. Pages next to each other are in sets next to each other, so that a run of
    /// them has room for all; where a run begins is scattered.
    #[inline]
    fn set_of(page: u64, size: usize, context: u64) -> usize {
        let number = page >> SIZES[size];
        let run =
            (number / SETS as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ context.wrapping_add(size as u64);
        let start = run.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40;
        (number ^ start) as usize % SETS * WAYS
    }

    fn vm_slot(regime: Regime, vmid: u16) -> usize {
        match regime {
            Regime::El2 => 0,
            Regime::El20 => 1,
            // Slots of their own for the first 254 VMIDs.
            Regime::El10 => 2 + usize::from(vmid) % (VMID_SLOTS - 2),
        }
    }

    fn asid_slot(regime: Regime, vmid: u16, asid: u16) -> usize {
        let regime = u64::from(regime == Regime::El20) << 32;
        mix(regime | u64::from(vmid) << 16 | u64::from(asid)) as usize % ASID_SLOTS
    }

    fn alive(&self, k: &Key) -> bool {
        k.size != EMPTY
            && k.vm_generation == self.vm_generations[Self::vm_slot(k.regime, k.vmid)]
            && (k.global
                || k.asid_generation == self.asid_generations[Self::asid_slot(k.regime, k.vmid, k.asid)])
    }

    /// Finds the translation of `va`, which is canonical ([`crate::Stage1::canonical`]). Its `pa` and `ipa` are those of
    /// `va` itself. Permissions are the caller's to check ([`Translation::allows`]).
    pub fn lookup(&mut self, context: &TlbContext, va: u64) -> Option<Translation> {
        let context_bits = Self::context_bits(context.regime, context.vmid, context.stage1);
        for (size, bits) in SIZES.into_iter().enumerate() {
            if self.in_use[size] == 0 {
                continue;
            }
            let page = va & !low_mask(bits.into());
            let signature = Self::signature(page, size, context_bits);
            let first = Self::set_of(page, size, context_bits);
            for i in first..first + WAYS {
                if self.signatures[i] == signature && self.matches(&self.keys[i], context, page, size) {
                    self.statistics.hits += 1;
                    let offset = va - page;
                    return self.values[i].map(|t| Translation {
                        pa: t.pa.offset(offset),
                        ipa: t.ipa.offset(offset),
                        ..t
                    });
                }
            }
        }
        self.statistics.misses += 1;
        None
    }

    fn matches(&self, k: &Key, context: &TlbContext, page: u64, size: usize) -> bool {
        k.va == page
            && usize::from(k.size) == size
            && k.security == context.security
            && k.regime == context.regime
            && k.vmid == context.vmid
            && k.stage1 == context.stage1
            && (k.global || k.asid == context.asid)
            && self.alive(k)
    }

    /// Keeps the translation of the canonical address `va`, in place of an older one of the same page.
    pub fn insert(&mut self, context: &TlbContext, va: u64, t: &Translation) {
        let size = SIZES.iter().rposition(|&s| s <= t.bits()).unwrap_or(0);
        let offset = va & low_mask(SIZES[size].into());
        let global = !t.not_global || !context.stage1;
        let key = Key {
            va: va - offset,
            size: size as u8,
            security: context.security,
            regime: context.regime,
            stage1: context.stage1,
            global,
            vmid: context.vmid,
            asid: context.asid,
            s1_bits: t.s1_bits,
            s2_bits: t.s2_bits,
            ipa: t.ipa.0.wrapping_sub(offset),
            vm_generation: self.vm_generations[Self::vm_slot(context.regime, context.vmid)],
            asid_generation: self.asid_generations
                [Self::asid_slot(context.regime, context.vmid, context.asid)],
        };
        let context_bits = Self::context_bits(context.regime, context.vmid, context.stage1);
        let signature = Self::signature(key.va, size, context_bits);
        let i = self.way_for(Self::set_of(key.va, size, context_bits), &key);
        self.drop_entry(i);
        self.in_use[size] += 1;
        if is_fragment(&key) {
            self.fragments.add(key.va, key.s1_bits);
            self.fragment_sizes |= 1 << key.s1_bits;
        }
        if key.s2_bits < 64 {
            self.stage2.add(key.ipa, key.s2_bits);
            self.stage2_sizes |= 1 << key.s2_bits;
        }
        self.signatures[i] = signature;
        self.keys[i] = key;
        self.values[i] = Some(Translation { pa: Pa(t.pa.0.wrapping_sub(offset)), ipa: Ipa(key.ipa), ..*t });
    }

    /// The way for a new entry: the same page's, a dead one's, or the next in turn.
    fn way_for(&mut self, first: usize, key: &Key) -> usize {
        let ways = first..first + WAYS;
        let same = |k: &Key| {
            (k.va, k.size, k.stage1, k.vmid) == (key.va, key.size, key.stage1, key.vmid)
                && (k.security, k.regime) == (key.security, key.regime)
                && (k.global || key.global || k.asid == key.asid)
        };
        if let Some(i) = ways.clone().find(|&i| same(&self.keys[i])) {
            return i;
        }
        if let Some(i) = ways.clone().find(|&i| !self.alive(&self.keys[i])) {
            return i;
        }
        self.statistics.evictions += 1;
        let turn = &mut self.victim[first / WAYS];
        *turn = (*turn + 1) % WAYS as u8;
        ways.start + usize::from(*turn)
    }

    fn drop_entry(&mut self, i: usize) {
        let k = self.keys[i];
        if k.size == EMPTY {
            return;
        }
        self.in_use[usize::from(k.size)] -= 1;
        if is_fragment(&k) {
            self.fragments.remove(k.va, k.s1_bits);
        }
        if k.s2_bits < 64 {
            self.stage2.remove(k.ipa, k.s2_bits);
        }
        self.signatures[i] = 0;
        self.keys[i] = NO_KEY;
        self.values[i] = None;
    }

    /// Applies a TLBI. What it names is gone when this returns; more may be gone as well.
    pub fn invalidate(&mut self, scope: &TlbiScope) {
        self.statistics.invalidations += 1;
        match *scope {
            TlbiScope::AllEl1 => {
                for slot in 2..VMID_SLOTS {
                    self.bump_vm(slot);
                }
            }
            TlbiScope::AllEl2 => {
                self.bump_vm(Self::vm_slot(Regime::El2, 0));
                self.bump_vm(Self::vm_slot(Regime::El20, 0));
            }
            TlbiScope::Context { regime, vmid } => self.bump_vm(Self::vm_slot(regime, vmid)),
            TlbiScope::Asid { regime, vmid, asid } => {
                let slot = Self::asid_slot(regime, vmid, asid);
                let g = self.asid_generations[slot].wrapping_add(1);
                self.asid_generations[slot] = g;
                if g == 0 {
                    self.clear();
                }
            }
            TlbiScope::Va { regime, vmid, asid, start, end } => {
                self.invalidate_va(regime, vmid, asid, start, end);
            }
            TlbiScope::Ipa { vmid, start, end } => self.invalidate_ipa(vmid, start, end),
        }
    }

    fn bump_vm(&mut self, slot: usize) {
        let g = self.vm_generations[slot].wrapping_add(1);
        self.vm_generations[slot] = g;
        // A number comes round again after 2^32 invalidations; nothing may still carry it.
        if g == 0 {
            self.clear();
        }
    }

    fn invalidate_va(&mut self, regime: Regime, vmid: u16, asid: Option<u16>, start: u64, end: u64) {
        let fragments = sizes_of(self.fragment_sizes).any(|bits| {
            pages(start, end, bits).is_none_or(|mut p| p.any(|va| self.fragments.may_have(va, bits)))
        });
        let named = |k: &Key| {
            if k.size == EMPTY {
                return false;
            }
            let granule = u32::from(k.s1_bits.max(SIZES[usize::from(k.size)]));
            let first = k.va & !low_mask(granule.min(63));
            k.stage1
                && k.regime == regime
                && k.vmid == vmid
                && (k.global || asid.is_none_or(|a| a == k.asid))
                && first <= end
                && first | low_mask(granule.min(63)) >= start
        };
        // The smallest size in use has the most pages to probe.
        let smallest = (0..SIZES.len()).find(|&size| self.in_use[size] != 0);
        let Some(smallest) = smallest else { return };
        if fragments || pages(start, end, SIZES[smallest]).is_none() {
            return self.scan(named);
        }
        let context_bits = Self::context_bits(regime, vmid, true);
        for (size, bits) in SIZES.into_iter().enumerate() {
            if self.in_use[size] == 0 {
                continue;
            }
            for page in pages(start, end, bits).into_iter().flatten() {
                let signature = Self::signature(page, size, context_bits);
                let first = Self::set_of(page, size, context_bits);
                for i in first..first + WAYS {
                    if self.signatures[i] == signature && named(&self.keys[i]) {
                        self.drop_entry(i);
                    }
                }
            }
        }
    }

    fn invalidate_ipa(&mut self, vmid: u16, start: u64, end: u64) {
        let any = sizes_of(self.stage2_sizes).any(|bits| {
            pages(start, end, bits).is_none_or(|mut p| p.any(|ipa| self.stage2.may_have(ipa, bits)))
        });
        if any {
            self.scan(|k| {
                let first = k.ipa & !low_mask(u32::from(k.s2_bits.min(63)));
                k.size != EMPTY
                    && k.s2_bits < 64
                    && k.vmid == vmid
                    && first <= end
                    && first | low_mask(u32::from(k.s2_bits)) >= start
            });
        }
    }

    fn scan(&mut self, drop: impl Fn(&Key) -> bool) {
        self.statistics.scans += 1;
        for i in 0..ENTRIES {
            if drop(&self.keys[i]) {
                self.drop_entry(i);
            }
        }
    }
}

/// The entry is smaller than the stage 1 block that it came from. With stage 1 off there is no such block.
fn is_fragment(k: &Key) -> bool {
    k.stage1 && k.s1_bits < 64 && k.s1_bits > SIZES[usize::from(k.size)]
}

fn sizes_of(mut mask: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lowest < 64).then_some(lowest as u8)
    })
}

/// The first addresses of the pages of `2^bits` bytes that touch `start..=end`; `None` if there are so many that a scan
/// of the table is cheaper.
fn pages(start: u64, end: u64, bits: u8) -> Option<impl Iterator<Item = u64>> {
    let (first, last) = (start >> bits, end >> bits);
    (last >= first && last - first < 512).then(move || (first..=last).map(move |n| n << bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::MemAttrs;
    use crate::permissions::Permissions;

    const A: TlbContext =
        TlbContext { security: Security::NonSecure, regime: Regime::El10, vmid: 1, asid: 5, stage1: true };

    fn entry(va: u64, s1_bits: u8, s2_bits: u8, not_global: bool) -> Translation {
        Translation {
            pa: Pa(va + 0x8000_0000),
            ipa: Ipa(va + 0x4000_0000),
            s1_bits,
            s2_bits,
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

    fn with(entries: &[(TlbContext, u64, u8, u8, bool)]) -> Tlb {
        let mut tlb = Tlb::new();
        for &(c, va, s1, s2, ng) in entries {
            tlb.insert(&c, va, &entry(va, s1, s2, ng));
        }
        tlb
    }

    fn va_scope(asid: Option<u16>, start: u64, end: u64) -> TlbiScope {
        TlbiScope::Va { regime: Regime::El10, vmid: 1, asid, start, end }
    }

    #[test]
    fn lookup_gives_the_address_asked_for() {
        let mut tlb = with(&[(A, 0x20_3456, 21, 64, true)]);
        let t = tlb.lookup(&A, 0x2f_0008).unwrap();
        assert_eq!((t.pa, t.ipa), (Pa(0x802f_0008), Ipa(0x402f_0008)));
        assert_eq!(tlb.lookup(&A, 0x40_0000), None);
        assert_eq!(tlb.lookup(&TlbContext { vmid: 2, ..A }, 0x20_0000), None);
        assert_eq!(tlb.lookup(&TlbContext { asid: 6, ..A }, 0x20_0000), None);
        assert_eq!(tlb.lookup(&TlbContext { stage1: false, ..A }, 0x20_0000), None);
        assert_eq!((tlb.statistics().hits, tlb.statistics().misses), (1, 4));
    }

    #[test]
    fn security_states_are_kept_apart_and_dropped_together() {
        let secure = TlbContext { security: Security::Secure, ..A };
        for scope in [TlbiScope::AllEl1, va_scope(None, 0x1000, 0x1fff), va_scope(Some(5), 0x1000, 0x1fff)] {
            let mut tlb = with(&[(A, 0x1000, 12, 64, true)]);
            assert_eq!(tlb.lookup(&secure, 0x1000), None);
            let there = entry(0x1000, 12, 64, true);
            let there = Translation { pa: there.pa.in_space(Security::Secure), ..there };
            tlb.insert(&secure, 0x1000, &there);
            let found = |tlb: &mut Tlb| [A, secure].map(|c| tlb.lookup(&c, 0x1000).map(|t| t.pa.space()));
            assert_eq!(found(&mut tlb), [Some(Security::NonSecure), Some(Security::Secure)]);
            tlb.invalidate(&scope);
            assert_eq!(found(&mut tlb), [None, None]);
        }
    }

    #[test]
    fn sizes_round_down() {
        let mut tlb = with(&[(A, 0x1_2345_6000, 36, 64, true)]);
        assert!(tlb.lookup(&A, 0x1_3fff_0000).is_some());
        assert!(tlb.lookup(&A, 0x1_4000_0000).is_none(), "only 1 GiB of the 64 GiB block is kept");
        let mut tlb = with(&[(A, 0x1000, 12, 21, true)]);
        assert!(tlb.lookup(&A, 0x1fff).is_some() && tlb.lookup(&A, 0x2000).is_none());
    }

    #[test]
    fn global_entries_match_every_asid() {
        let mut tlb = with(&[(A, 0x1000, 12, 64, false)]);
        let other = TlbContext { asid: 9, ..A };
        assert!(tlb.lookup(&other, 0x1000).is_some());
        tlb.invalidate(&TlbiScope::Asid { regime: Regime::El10, vmid: 1, asid: 5 });
        assert!(tlb.lookup(&A, 0x1000).is_some(), "ASIDE1 spares global entries");
        tlb.invalidate(&va_scope(Some(77), 0x1000, 0x1fff));
        assert!(tlb.lookup(&A, 0x1000).is_none(), "VAE1 does not");
    }

    #[test]
    fn scopes_of_contexts() {
        let b = TlbContext { vmid: 2, ..A };
        let host = TlbContext { regime: Regime::El20, vmid: 0, ..A };
        let el2 = TlbContext { regime: Regime::El2, vmid: 0, asid: 0, ..A };
        let all = [A, b, host, el2];
        let survivors = |scope: TlbiScope| {
            let mut tlb = with(&all.map(|c| (c, 0x1000, 12, 64, true)));
            tlb.invalidate(&scope);
            all.map(|c| tlb.lookup(&c, 0x1000).is_some())
        };
        assert_eq!(survivors(TlbiScope::AllEl1), [false, false, true, true]);
        assert_eq!(survivors(TlbiScope::AllEl2), [true, true, false, false]);
        let context = |regime, vmid| TlbiScope::Context { regime, vmid };
        assert_eq!(survivors(context(Regime::El10, 1)), [false, true, true, true]);
        assert_eq!(survivors(context(Regime::El20, 0)), [true, true, false, true]);
        assert_eq!(survivors(context(Regime::El2, 0)), [true, true, true, false]);
        let asid = TlbiScope::Asid { regime: Regime::El10, vmid: 1, asid: 5 };
        assert_eq!(survivors(asid), [false, true, true, true]);
        assert_eq!(survivors(va_scope(Some(5), 0x1000, 0x1fff)), [false, true, true, true]);
        assert_eq!(survivors(va_scope(Some(6), 0x1000, 0x1fff)), [true; 4]);
        assert_eq!(survivors(va_scope(None, 0x1000, 0x1fff)), [false, true, true, true]);
    }

    #[test]
    fn an_address_drops_the_whole_block() {
        // A 2 MiB stage 1 block over 4 KiB stage 2 pages.
        let mut tlb =
            with(&[(A, 0x20_0000, 21, 12, true), (A, 0x2f_f000, 21, 12, true), (A, 0x40_0000, 12, 12, true)]);
        tlb.invalidate(&va_scope(Some(5), 0x28_0000, 0x28_0fff));
        assert!(tlb.lookup(&A, 0x20_0000).is_none() && tlb.lookup(&A, 0x2f_f000).is_none());
        assert!(tlb.lookup(&A, 0x40_0000).is_some());
        assert_eq!(tlb.statistics().scans, 1);
        tlb.invalidate(&va_scope(Some(5), 0x28_0000, 0x28_0fff));
        assert_eq!(tlb.statistics().scans, 1, "no fragments are left, no scan");
    }

    #[test]
    fn ipa_drops_what_its_block_maps() {
        // 4 KiB stage 1 pages over a 2 MiB stage 2 block: IPA 0x4020_0000..0x4040_0000.
        let mut tlb = with(&[(A, 0x20_1000, 12, 21, true), (A, 0x41_0000, 12, 21, true)]);
        let ipa = |start, end| TlbiScope::Ipa { vmid: 1, start, end };
        tlb.invalidate(&TlbiScope::Ipa { vmid: 2, start: 0x4020_0000, end: 0x4020_0fff });
        tlb.invalidate(&ipa(0x4060_0000, 0x4060_0fff));
        assert!(tlb.lookup(&A, 0x20_1000).is_some());
        tlb.invalidate(&ipa(0x4030_0000, 0x4030_0fff));
        assert!(tlb.lookup(&A, 0x20_1000).is_none());
        assert!(tlb.lookup(&A, 0x41_0000).is_some());
        tlb.invalidate(&ipa(0, u64::MAX >> 8));
        assert!(tlb.lookup(&A, 0x41_0000).is_none());
    }

    #[test]
    fn ranges_short_and_long() {
        let pages: Vec<_> = (0..64).map(|n| (A, n << 12, 12, 64, true)).collect();
        let mut tlb = with(&pages);
        tlb.invalidate(&va_scope(Some(5), 0x1_0000, 0x1_ffff));
        let left = |tlb: &mut Tlb| (0..64).filter(|n| tlb.lookup(&A, n << 12).is_some()).count();
        assert_eq!(left(&mut tlb), 48);
        assert_eq!(tlb.statistics().scans, 0);
        tlb.invalidate(&va_scope(None, 0x2_0000, 0xfff_ffff));
        assert_eq!((left(&mut tlb), tlb.statistics().scans), (16, 1));
    }

    #[test]
    fn it_stays_bounded() {
        let mut tlb = Tlb::new();
        for n in 0..3 * ENTRIES as u64 {
            tlb.insert(&A, n << 12, &entry(n << 12, 21, 12, true));
        }
        assert!(tlb.statistics().evictions > 0);
        assert!(tlb.in_use[0] as usize <= ENTRIES);
        let found = (0..3 * ENTRIES as u64).filter(|n| tlb.lookup(&A, n << 12).is_some()).count();
        assert_eq!(found, tlb.in_use[0] as usize);
        for i in 0..ENTRIES {
            tlb.drop_entry(i);
        }
        assert!(tlb.in_use == [0; SIZES.len()] && tlb.fragments.0.iter().all(|&n| n == 0));
    }
}
