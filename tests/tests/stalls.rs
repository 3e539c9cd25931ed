//! Thousands of stalls, answered at random by two processors (see `understage_tests::stalls`).

use understage_tests::stalls::run;

/// Unless `UNDERSTAGE_STALLS` says otherwise.
const STALLS: u64 = 100_000;
/// The tests decide as they did before.
const SEED: u64 = 1;

#[test]
fn stalled_transfers_go_on_or_end_and_each_once() {
    let stalls = std::env::var("UNDERSTAGE_STALLS").ok();
    let stalls = stalls.map_or(STALLS, |s| s.parse().expect("UNDERSTAGE_STALLS is a number"));
    let done = run(SEED, stalls).unwrap_or_else(|report| panic!("{report}"));
    println!("{done}");
    assert!(done.stalls >= stalls && done.complete > 0 && done.aborted > 0, "{done}");
    assert!(done.reset > 0 && done.disabled > 0 && done.terminated > 0 && done.zeroed > 0, "{done}");
}
