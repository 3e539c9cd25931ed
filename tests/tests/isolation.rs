//! The isolation fuzz is not vacuous: most transactions get through, and all kinds of refusals are among the others (see
//! `understage_tests::fuzz::isolation`).

use understage_tests::fuzz::{Target, campaign, isolation};

const SEED: u64 = 7;
const INPUTS: u64 = 60;

#[test]
fn half_of_the_transactions_get_through_and_not_nearly_all() {
    let target = Target::find("isolation").expect("the table has this target");
    for index in 0..INPUTS {
        (target.run)(&campaign::input(target, &[], SEED, index));
    }
    let made = isolation::made();
    println!("{made:?}");
    assert!(made.through * 100 >= made.all * 40, "{made:?}");
    assert!(made.through * 100 <= made.all * 90, "{made:?}");
    assert!(made.stalled > 0 && made.cached > 0 && made.updated > 0, "{made:?}");
}
