//! Some seconds of random programs in lockstep (see `understage_tests::soak`).

use std::time::Duration;

use understage_tests::soak::{Until, run};

/// Unless `UNDERSTAGE_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 10;
/// The tests repeat themselves.
const SEED: u64 = 1;

#[test]
fn host_code_does_what_the_interpreter_does() {
    let seconds = std::env::var("UNDERSTAGE_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |s| s.parse().expect("UNDERSTAGE_SOAK_SECONDS is a number"));
    match run(SEED, Until::Time(Duration::from_secs(seconds)), |done| println!("{done}")) {
        Ok(done) => {
            println!("{done}");
            assert!(done.totals.instructions > 0, "something was compared");
        }
        Err(report) => panic!("{report}"),
    }
}
