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

/// Flags that were given up with those before them; a landing that was lost when all code was dropped; a TLB entry that was out
/// of date and that only host code met, for its access put another one in its place.
#[test]
fn programs_that_have_found_something() {
    for program in [41_400, 311_719, 352_007] {
        run(1_936_679_275, Until::Program(program), |_| {}).unwrap_or_else(|report| panic!("{report}"));
    }
}
