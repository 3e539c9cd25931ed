//! The bare-metal suite: a test for each case, on every CPU model that has what it needs.

use firmware::bare::Case;
use understage_tests::bare::run_everywhere;

fn check(name: &str) {
    let case = Case::find(name).expect("the table has this case");
    if let Err(text) = run_everywhere(case) {
        panic!("{text}");
    }
}

macro_rules! tests {
    ($($area:ident { $($name:ident $needs:ident $section:literal;)* })*) => {
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
