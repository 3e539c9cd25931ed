//! The configuration cache: contexts that were found, by StreamID and SubstreamID (Arm IHI 0070, 16.2).
//!
//! An entry is made of an STE and, if stage 1 translates, a CD. What is not valid is fetched again each time, and so are L1STDs
//! and L1CDs: invalidations of those need nothing done.
//!
//! # Invariant
//! What was fetched before an invalidation does not get in after it: who fetches notes the generation before, and an invalidation
//! begins a new one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::translation::Context;

/// Entries that there are room for.
const CAPACITY: usize = 4096;

/// A StreamID, and 0 for no substream or 1 + the SubstreamID.
type Key = (u32, u32);

const fn key(stream: u32, substream: Option<u32>) -> Key {
    match substream {
        None => (stream, 0),
        Some(id) => (stream, id.saturating_add(1)),
    }
}

#[derive(Default)]
struct Entries {
    generation: u64,
    contexts: BTreeMap<Key, Arc<Context>>,
}

/// The configuration cache.
#[derive(Default)]
pub(super) struct Cache(RwLock<Entries>);

/// When a fetch began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Cache {
    /// The context of a substream, if it is known.
    pub(super) fn find(&self, stream: u32, substream: Option<u32>) -> Option<Arc<Context>> {
        self.0.read().contexts.get(&key(stream, substream)).cloned()
    }

    /// To be noted before something is fetched.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.0.read().generation)
    }

    /// Keeps a context that was fetched since `begun`, unless something has been invalidated since then. If there is no room the
    /// neighbour below goes: who walks through many streams in their order keeps most of them.
    pub(super) fn keep(
        &self,
        begun: Generation,
        stream: u32,
        substream: Option<u32>,
        context: &Arc<Context>,
    ) {
        let entries = &mut *self.0.write();
        if entries.generation != begun.0 {
            return;
        }
        let key = key(stream, substream);
        if entries.contexts.len() >= CAPACITY && !entries.contexts.contains_key(&key) {
            let below = entries.contexts.range(..key).next_back().map(|(k, _)| *k);
            match below {
                Some(below) => entries.contexts.remove(&below),
                None => entries.contexts.pop_last().map(|(_, context)| context),
            };
        }
        entries.contexts.insert(key, context.clone());
    }

    /// Forgets the streams of a range, with all their substreams.
    pub(super) fn forget_streams(&self, streams: RangeInclusive<u32>) {
        self.forget((*streams.start(), 0)..=(*streams.end(), u32::MAX));
    }

    /// Forgets what was made of one CD: substream 0 is also that of a stream without substreams (S1DSS).
    pub(super) fn forget_context(&self, stream: u32, substream: u32) {
        let last = key(stream, Some(substream));
        let first = if substream == 0 { key(stream, None) } else { last };
        self.forget(first..=last);
    }

    fn forget(&self, keys: RangeInclusive<Key>) {
        let entries = &mut *self.0.write();
        entries.generation += 1;
        let named: Vec<Key> = entries.contexts.range(keys).map(|(k, _)| *k).collect();
        for key in named {
            entries.contexts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(vmid: u16) -> Arc<Context> {
        Arc::new(Context { vmid, ..Context::default() })
    }

    fn filled(keys: &[(u32, Option<u32>)]) -> Cache {
        let cache = Cache::default();
        for &(stream, substream) in keys {
            cache.keep(cache.generation(), stream, substream, &context(0));
        }
        cache
    }

    const KEYS: [(u32, Option<u32>); 6] =
        [(7, Some(3)), (8, None), (8, Some(0)), (8, Some(1)), (8, Some(0xf_ffff)), (9, None)];

    fn left(cache: &Cache) -> Vec<usize> {
        (0..KEYS.len()).filter(|&i| cache.find(KEYS[i].0, KEYS[i].1).is_some()).collect()
    }

    #[test]
    fn an_invalidation_takes_what_it_names() {
        let cache = filled(&KEYS);
        assert_eq!(left(&cache), [0, 1, 2, 3, 4, 5]);
        cache.forget_context(8, 1);
        assert_eq!(left(&cache), [0, 1, 2, 4, 5]);
        cache.forget_context(8, 0);
        assert_eq!(left(&cache), [0, 4, 5], "the stream without a substream has the CD of substream 0");
        cache.forget_streams(8..=8);
        assert_eq!(left(&cache), [0, 5]);
        let cache = filled(&KEYS);
        cache.forget_streams(8..=9);
        assert_eq!(left(&cache), [0]);
        cache.forget_streams(0..=u32::MAX);
        assert_eq!(left(&cache), [0; 0]);
    }

    #[test]
    fn what_was_fetched_before_an_invalidation_is_not_kept_after_it() {
        let cache = Cache::default();
        let begun = cache.generation();
        cache.forget_streams(1..=1);
        cache.keep(begun, 2, None, &context(0));
        assert!(cache.find(2, None).is_none());
        cache.keep(cache.generation(), 2, None, &context(5));
        assert_eq!(cache.find(2, None).map(|c| c.vmid), Some(5));
    }

    #[test]
    fn a_full_cache_keeps_most_of_what_comes_round_again() {
        let cache = Cache::default();
        let streams = CAPACITY as u32 + 100;
        let mut hits = 0;
        for stream in (0..streams).chain(0..streams) {
            match cache.find(stream, None) {
                Some(_) => hits += 1,
                None => cache.keep(cache.generation(), stream, None, &context(0)),
            }
        }
        assert_eq!(cache.0.read().contexts.len(), CAPACITY);
        assert!(hits > CAPACITY - 200, "{hits}");
    }
}
