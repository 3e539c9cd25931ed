//! The bare-metal suite: a test for each case, on every CPU model that has what it needs.

use firmware::guest_tests::Case;
use understage_tests::bare::run_everywhere;

fn check(name: &str) {
    let case = Case::find(name).expect("the table has this case");
    if let Err(text) = run_everywhere(case) {
        panic!("{text}");
    }
}

macro_rules! tests {
    ($($area:ident $machine:tt { $($name:ident $needs:ident $section:literal;)* })*) => {
        $(mod $area {
            $(#[doc = $section]
            #[test]
            fn $name() {
                super::check(concat!(stringify!($area), "::", stringify!($name)));
            })*
        })*
    };
}

firmware::bare_cases!(tests);

macro_rules! models {
    ($($test:ident $name:literal;)*) => {
        /// A sample of the suite on each model that the tests above leave out.
        mod other_models {
            $(#[test]
            fn $test() {
                let model = emu_pe::model::Model::by_name($name).expect("there is this model");
                if let Err(text) = understage_tests::bare::run_sample(&model) {
                    panic!("{text}");
                }
            })*

            #[test]
            fn all_are_here() {
                let known = [$($name,)* "cortex-a72", "neoverse-n1", "max"];
                assert!(emu_pe::model::MODELS.iter().all(|model| known.contains(&model.name)));
            }
        }
    };
}

models! {
    cortex_a35 "cortex-a35";
    cortex_a53 "cortex-a53";
    cortex_a55 "cortex-a55";
    cortex_a57 "cortex-a57";
    cortex_a76 "cortex-a76";
    neoverse_n2 "neoverse-n2";
    neoverse_v1 "neoverse-v1";
    max_qarma5 "max-qarma5";
}
