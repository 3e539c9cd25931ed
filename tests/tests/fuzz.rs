//! Some seconds of each fuzz target (see `understage_tests::fuzz`).

use understage_tests::fuzz::{Options, Target, campaign};

fn check(name: &str) {
    let target = Target::find(name).expect("the table has this target");
    if let Err(text) = campaign(target, Options::from_env()) {
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
