//! The contents of a block of memory as they are saved: those pages that have something.

use serde::{Deserialize, Serialize};

use crate::addr::PAGE_SIZE;
use crate::ram::GuestRam;

/// Which pages of a block were saved: runs of pages by the number of the first, in order. The bytes are beside it, one page
/// behind the other. All other pages have nothing but the byte that is the block's at first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Runs(Vec<(u64, u64)>);

fn pages(ram: &GuestRam) -> u64 {
    ram.size() / PAGE_SIZE
}

/// The page `n`, which the block has.
fn page(ram: &GuestRam, n: u64) -> [u8; PAGE_SIZE as usize] {
    let mut bytes = [0; PAGE_SIZE as usize];
    let _ = ram.read(n * PAGE_SIZE, &mut bytes);
    bytes
}

impl Runs {
    /// Of a block whose bytes are `fill` where nothing was written; and the bytes.
    #[must_use]
    pub fn save(ram: &GuestRam, fill: u8) -> (Self, Vec<u8>) {
        let (mut runs, mut bytes) = (Vec::<(u64, u64)>::new(), Vec::new());
        let blank = [fill; PAGE_SIZE as usize];
        for n in 0..pages(ram) {
            let page = page(ram, n);
            if page == blank {
                continue;
            }
            bytes.extend_from_slice(&page);
            match runs.last_mut() {
                Some((first, count)) if *first + *count == n => *count += 1,
                _ => runs.push((n, 1)),
            }
        }
        (Self(runs), bytes)
    }

    /// True if `bytes` are those of the runs, and the runs are in order and inside of `ram`.
    #[must_use]
    pub fn fits(&self, ram: &GuestRam, bytes: &[u8]) -> bool {
        let mut end = 0;
        let ordered = self.0.iter().all(|&(first, count)| {
            let good = first >= end && count > 0 && first.checked_add(count).is_some_and(|e| e <= pages(ram));
            end = first.saturating_add(count);
            good
        });
        ordered && self.numbers().count() as u64 * PAGE_SIZE == bytes.len() as u64
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|&(first, count)| first..first + count)
    }

    /// Puts the block into the state. Pages that are as they should be are not written: the host need not have them.
    pub fn apply(&self, ram: &GuestRam, fill: u8, bytes: &[u8]) {
        let (saved, _) = bytes.as_chunks::<{ PAGE_SIZE as usize }>();
        let mut saved = self.numbers().zip(saved).peekable();
        let blank = [fill; PAGE_SIZE as usize];
        for n in 0..pages(ram) {
            let wanted = saved.next_if(|(number, _)| *number == n).map_or(&blank, |(_, bytes)| bytes);
            if page(ram, n) != *wanted {
                let _ = ram.write(n * PAGE_SIZE, wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = PAGE_SIZE as usize;

    #[test]
    fn pages_with_something_come_back_and_others_are_blank_again() {
        let a = GuestRam::filled(8 * PAGE_SIZE, 0xff).unwrap();
        for at in [PAGE_SIZE, 2 * PAGE_SIZE + 4, 5 * PAGE_SIZE - 1, 7 * PAGE_SIZE] {
            a.write(at, b"x").unwrap();
        }
        let (runs, bytes) = Runs::save(a, 0xff);
        assert_eq!((&runs, bytes.len()), (&Runs(vec![(1, 2), (4, 1), (7, 1)]), 4 * PAGE));
        let b = GuestRam::filled(8 * PAGE_SIZE, 0xff).unwrap();
        b.write(0, b"else").unwrap();
        assert!(runs.fits(b, &bytes));
        runs.apply(b, 0xff, &bytes);
        assert_eq!(Runs::save(b, 0xff), (runs, bytes));
        assert_eq!(b.load_u32(0), Some(u32::MAX));
    }

    #[test]
    fn runs_that_are_not_of_the_block_do_not_fit() {
        let ram = GuestRam::new(4 * PAGE_SIZE).unwrap();
        let fits = |runs: &[(u64, u64)], pages: usize| Runs(runs.into()).fits(ram, &vec![0; pages * PAGE]);
        assert!(fits(&[], 0) && fits(&[(0, 1), (2, 2)], 3));
        for (runs, pages) in [
            (&[(0, 1)][..], 2),
            (&[(4, 1)], 1),
            (&[(3, 2)], 2),
            (&[(2, 1), (1, 1)], 2),
            (&[(0, 0)], 0),
            (&[(u64::MAX, 2)], 2),
        ] {
            assert!(!fits(runs, pages), "{runs:?}");
        }
    }
}
