//! What all targets share.

use understage_tests::fuzz::Target;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = Target::find(name).expect("each target here is one of the table");
    (target.run)(data);
}
