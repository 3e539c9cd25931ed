//! A set of numbers that are mostly neighbours, kept as ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges that neither overlap nor touch: ends by starts.
#[derive(Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// How many ranges there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, n: u64) -> bool {
        self.0.range(..=n).next_back().is_some_and(|(_, end)| n < *end)
    }

    /// Adds a range, which is not empty; false, and nothing is changed, if that would make one more than `most`.
    pub(super) fn insert(&mut self, range: Range<u64>, most: usize) -> bool {
        let Range { mut start, mut end } = range;
        if let Some((before, to)) = self.0.range(..=start).next_back()
            && *to >= start
        {
            (start, end) = (*before, end.max(*to));
        } else if self.0.len() >= most && self.0.range(start..=end).next().is_none() {
            return false;
        }
        // Everything that begins inside, or where this one ends, becomes a part of it.
        while let Some((from, to)) = self.0.range(start..=end).next() {
            let (from, to) = (*from, *to);
            end = end.max(to);
            self.0.remove(&from);
        }
        self.0.insert(start, end);
        true
    }

    /// Takes one number out.
    pub(super) fn remove(&mut self, n: u64) {
        let Some((&start, &end)) = self.0.range(..=n).next_back() else { return };
        if n >= end {
            return;
        }
        self.0.remove(&start);
        for part in [start..n, n + 1..end] {
            if !part.is_empty() {
                self.0.insert(part.start, part.end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(r: &Ranges) -> Vec<(u64, u64)> {
        r.0.iter().map(|(a, b)| (*a, *b)).collect()
    }

    #[test]
    fn neighbours_become_one() {
        let mut r = Ranges::default();
        for range in [10..20, 30..40, 20..21, 5..8, 39..50] {
            assert!(r.insert(range, usize::MAX));
        }
        assert_eq!(all(&r), [(5, 8), (10, 21), (30, 50)]);
        r.insert(8..30, usize::MAX);
        assert_eq!(all(&r), [(5, 50)]);
        r.insert(6..7, usize::MAX);
        assert_eq!(all(&r), [(5, 50)]);
        assert!(r.contains(5) && r.contains(49) && !r.contains(50) && !r.contains(4));
    }

    #[test]
    fn a_number_taken_out_leaves_the_rest() {
        let mut r = Ranges::default();
        r.insert(0..10, usize::MAX);
        for n in [0, 9, 4, 4, 20] {
            r.remove(n);
        }
        assert_eq!(all(&r), [(1, 4), (5, 9)]);
        r.remove(1);
        r.remove(2);
        r.remove(3);
        assert_eq!(all(&r), [(5, 9)]);
    }

    #[test]
    fn there_is_a_most() {
        let mut r = Ranges::default();
        assert!(r.insert(0..1, 2) && r.insert(10..11, 2));
        assert!(!r.insert(20..21, 2));
        assert!(r.insert(1..2, 2) && r.insert(9..10, 2) && r.insert(2..9, 2), "these join others");
        assert_eq!(all(&r), [(0, 11)]);
    }

    #[test]
    fn it_is_a_set() {
        let (mut r, mut model) = (Ranges::default(), [false; 64]);
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = (seed >> 40 & 63, seed >> 50 & 7);
            if seed >> 60 & 3 == 0 {
                let end = (a + b + 1).min(64);
                r.insert(a..end, usize::MAX);
                model[a as usize..end as usize].fill(true);
            } else {
                r.remove(a);
                model[a as usize] = false;
            }
            assert!((0..64).all(|n| r.contains(n) == model[n as usize]));
            assert!(all(&r).windows(2).all(|w| w[0].1 < w[1].0));
        }
    }
}
