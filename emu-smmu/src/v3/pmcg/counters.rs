//! The counters of a group: what they count, and what comes of an overflow (Arm IHI 0070, 10.2 to 10.4).

use serde::{Deserialize, Serialize};

use super::Group;
use super::registers::{EVENT, FILTER_SID_SPAN, OVFCAP};
use crate::translation::Happening;

/// The event that is not one of streams: a nanosecond of the machine's time has passed, so the clock has 1 GHz.
pub(super) const CLOCK: u32 = 0;

/// The number of an event (10.3).
const fn event(what: Happening) -> u32 {
    match what {
        Happening::Transaction => 1,
        Happening::TlbMiss => 2,
        Happening::ConfigurationMiss => 3,
        Happening::WalkAccess => 4,
        Happening::ConfigurationAccess => 5,
        Happening::TranslationRequest => 6,
        Happening::TranslatedTransaction => 7,
    }
}

const HAPPENINGS: [Happening; 7] = [
    Happening::Transaction,
    Happening::TlbMiss,
    Happening::ConfigurationMiss,
    Happening::WalkAccess,
    Happening::ConfigurationAccess,
    Happening::TranslationRequest,
    Happening::TranslatedTransaction,
];

/// CEID0: the events that are counted, those of ATS if there is ATS.
pub(super) const fn events(ats: bool) -> u64 {
    if ats { 0xff } else { 0x3f }
}

/// One counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counter {
    pub(super) value: u64,
    pub(super) shadow: u64,
    /// EVTYPER.
    pub(super) kind: u32,
    /// SMR.
    pub(super) streams: u32,
}

/// All counters of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) all: Vec<Counter>,
    /// CR.E.
    pub(super) counting: bool,
    /// CNTENSET0, OVSSET0: a bit for each counter.
    pub(super) enabled: u64,
    pub(super) overflowed: u64,
    /// Until when nanoseconds are in the counters.
    pub(super) counted_until: u64,
}

impl Counters {
    pub(super) fn new(group: Group) -> Self {
        Self {
            all: vec![Counter::default(); group.counters.into()],
            counting: false,
            enabled: 0,
            overflowed: 0,
            counted_until: 0,
        }
    }

    /// The counters that count an event, of those that are enabled.
    fn active(&self, event: u32) -> impl Iterator<Item = usize> + '_ {
        let enabled = if self.counting { self.enabled } else { 0 };
        let counts =
            move |(n, counter): &(usize, &Counter)| enabled >> n & 1 != 0 && counter.kind & EVENT == event;
        self.all.iter().enumerate().filter(counts).map(|(n, _)| n)
    }

    /// What there are counters for, as a set of [`Happening::bit`].
    pub(super) fn wanted(&self) -> u32 {
        let wanted = |what: &&Happening| self.active(event(**what)).next().is_some();
        HAPPENINGS.iter().filter(wanted).fold(0, |set, what| set | what.bit())
    }

    /// Something has happened. What has been counted, as bits, and which of the counters have overflowed by it.
    pub(super) fn happened(&mut self, group: Group, stream: u32, what: Happening, times: u64) -> [u64; 2] {
        let counted = self.active(event(what)).filter(|&n| self.matches(group, n, stream));
        let counted = counted.fold(0, |set, n| set | 1 << n);
        [counted, self.add(group, counted, times)]
    }

    /// Time has passed: the counters that have overflowed by it.
    pub(super) fn pass(&mut self, group: Group, now: u64) -> u64 {
        let passed = now.saturating_sub(self.counted_until);
        self.counted_until += passed;
        let clocks = self.active(CLOCK).fold(0, |set, n| set | 1 << n);
        self.add(group, clocks, passed)
    }

    /// When the next counter of nanoseconds overflows, if time goes on for so long.
    pub(super) fn next_overflow(&self, group: Group) -> Option<u64> {
        let left = self.active(CLOCK).map(|n| group.mask() - self.all[n].value).min()?;
        self.counted_until.checked_add(left)?.checked_add(1)
    }

    /// Adds to some counters. An overflow is noted, and captures all counters if it is to (10.2.1).
    fn add(&mut self, group: Group, which: u64, times: u64) -> u64 {
        let (mut overflowed, mut captures) = (0, false);
        for (n, counter) in self.all.iter_mut().enumerate().filter(|(n, _)| which >> n & 1 != 0) {
            let sum = u128::from(counter.value) + u128::from(times);
            counter.value = sum as u64 & group.mask();
            if sum > group.mask().into() {
                overflowed |= 1 << n;
                captures |= counter.kind & OVFCAP != 0;
            }
        }
        self.overflowed |= overflowed;
        if captures {
            self.capture();
        }
        overflowed
    }

    /// Copies all counters to their shadows.
    pub(super) fn capture(&mut self) {
        for counter in &mut self.all {
            counter.shadow = counter.value;
        }
    }

    /// 10.4: a StreamID, a span of them, or all. There are Non-secure streams alone.
    fn matches(&self, group: Group, n: usize, stream: u32) -> bool {
        let Some(filter) = self.all.get(if group.one_filter { 0 } else { n }) else { return false };
        if filter.kind & FILTER_SID_SPAN == 0 {
            return stream == filter.streams;
        }
        // The bits up to the lowest zero differ. All ones match as the largest span does.
        let span = filter.streams.trailing_ones() + 1;
        let above = |id: u32| id.checked_shr(span).unwrap_or(0);
        filter.streams == group.all_streams() || above(stream) == above(filter.streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Group = Group::MMU600;

    /// Counters that are enabled, and count an event of some streams.
    fn counting(kind: u32, streams: u32) -> Counters {
        let mut counters = Counters::new(Group::FULL.with_streams(16));
        counters.all[1] = Counter { kind, streams, ..Counter::default() };
        (counters.counting, counters.enabled) = (true, 2);
        counters
    }

    fn matched(kind: u32, streams: u32, of: &[u32]) -> Vec<u32> {
        let counters = counting(kind, streams);
        let group = Group::FULL.with_streams(16);
        of.iter().copied().filter(|&id| counters.matches(group, 1, id)).collect()
    }

    /// The examples of 10.4.
    #[test]
    fn a_filter_matches_one_stream_a_span_or_all() {
        let ids = [0x0000, 0x5ff7, 0xf7f0, 0xf7f6, 0xf7f7, 0xf7ff, 0xf7e0, 0xf400, 0xffff];
        assert_eq!(matched(1, 0xf7f7, &ids), [0xf7f7]);
        let span = |streams| matched(1 | FILTER_SID_SPAN, streams, &ids);
        assert_eq!(span(0xf7f7), [0xf7f0, 0xf7f6, 0xf7f7, 0xf7ff], "xxxx");
        assert_eq!(span(0xf7f6), [0xf7f6, 0xf7f7], "x");
        assert_eq!(span(0xf5ff), [0xf7f0, 0xf7f6, 0xf7f7, 0xf7ff, 0xf7e0, 0xf400], "xx:xxxx:xxxx");
        assert_eq!(span(0x7fff), ids, "all of one Security state");
        assert_eq!(span(0xffff), ids, "all");
    }

    #[test]
    fn one_filter_is_that_of_the_first_counter() {
        let mut counters = Counters::new(G);
        counters.all[0].streams = 7;
        counters.all[2].streams = 9;
        assert!(counters.matches(G, 2, 7) && !counters.matches(G, 2, 9));
    }

    #[test]
    fn nothing_is_counted_unless_all_of_it_is_enabled() {
        let mut counters = counting(2, 5);
        let miss = |counters: &mut Counters| counters.happened(Group::FULL, 5, Happening::TlbMiss, 3);
        assert_eq!((miss(&mut counters), counters.all[1].value), ([2, 0], 3));
        assert_eq!(counters.wanted(), Happening::TlbMiss.bit());
        counters.enabled = 1;
        assert_eq!((miss(&mut counters), counters.wanted()), ([0, 0], 0));
        (counters.enabled, counters.counting) = (2, false);
        assert_eq!((miss(&mut counters), counters.wanted()), ([0, 0], 0));
        assert_eq!(counters.all[1].value, 3);
    }

    #[test]
    fn an_overflow_goes_on_from_zero_and_captures_afterwards() {
        let mut counters = Counters::new(G);
        counters.all[0] = Counter { value: 0xffff_fffe, kind: 4 | OVFCAP, streams: 5, shadow: 0 };
        counters.all[3].value = 77;
        (counters.counting, counters.enabled) = (true, 1);
        assert_eq!(counters.happened(G, 5, Happening::WalkAccess, 1), [1, 0]);
        assert_eq!((counters.overflowed, counters.all[3].shadow), (0, 0));
        assert_eq!(counters.happened(G, 5, Happening::WalkAccess, 4), [1, 1]);
        assert_eq!(counters.overflowed, 1);
        assert_eq!([0, 3].map(|n| counters.all[n].shadow), [3, 77], "the value after the overflow");
    }

    #[test]
    fn the_clock_has_a_gigahertz_and_no_stream() {
        let mut counters = Counters::new(G);
        counters.all[1] = Counter { value: 0xffff_ff00, streams: 5, ..Counter::default() };
        counters.pass(G, 1_000);
        (counters.counting, counters.enabled) = (true, 2);
        assert_eq!(counters.next_overflow(G), Some(1_256));
        assert_eq!((counters.pass(G, 1_255), counters.all[1].value), (0, 0xffff_ffff));
        assert_eq!((counters.pass(G, 1_300), counters.all[1].value), (2, 44));
        assert_eq!(counters.next_overflow(G), Some(1_300 + (1 << 32) - 44));
        counters.enabled = 0;
        assert_eq!((counters.pass(G, u64::MAX), counters.next_overflow(G)), (0, None));
        // The largest counter and the end of time.
        let mut counters = Counters::new(Group::FULL);
        (counters.counting, counters.enabled) = (true, 1);
        assert_eq!(counters.next_overflow(Group::FULL), None);
    }
}
