//! What the fuzz target `amplification` allocates at most. This file has one test, because the allocator counts for the
//! whole process.

use std::time::Instant;

use peak_alloc::PeakAlloc;
use understage_tests::fuzz::{Options, Target, campaign};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one file may take while it is read: a table of 32 MiB, the largest that a disk image may have, in the three forms
/// that it goes through; everything else is less.
const MOST: usize = 160 << 20;

#[test]
fn no_small_file_takes_much_memory() {
    let target = Target::find("amplification").expect("the table has this target");
    let Options { time, seed } = Options::from_env();
    let begun = Instant::now();
    let mut index = 0;
    while begun.elapsed() < time {
        let data = campaign::input(target, &[], seed, index);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        (target.run)(&data);
        let grown = MEMORY.peak_usage().saturating_sub(before);
        assert!(grown <= MOST, "input {index} of seed {seed} takes {} MiB", grown >> 20);
        index += 1;
    }
    assert!(index > 0);
}
