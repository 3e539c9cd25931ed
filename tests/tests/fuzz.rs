//! Some seconds of each fuzz target (see `understage_tests::fuzz`).

use understage_tests::fuzz::{Options, Target, campaign};

/// Targets that work on several threads at once. What one input does depends on how these interleave, too: they get three
/// times as long.
const THREADED: [&str; 2] = ["debugger", "threads"];

fn check(name: &str) {
    let target = Target::find(name).expect("the table has this target");
    let mut options = Options::from_env();
    options.time *= if THREADED.contains(&name) { 3 } else { 1 };
    if let Err(text) = campaign(target, options) {
        panic!("{text}");
    }
}

macro_rules! tests {
    ($($name:ident $run:path, $samples:path, $longest:literal, $about:literal;)*) => {
        $(#[doc = $about]
        #[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

understage_tests::fuzz_targets!(tests);
