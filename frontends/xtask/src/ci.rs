//! What must hold before a change lands.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::process::{Failure, show};

/// The checks, in the order in which they are likely to fail fast: a title and cargo's arguments.
const CHECKS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace", "--locked"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--locked"]),
];

/// Seconds for each fuzz target, unless the environment says otherwise; `cargo test` alone takes fewer.
const FUZZING: (&str, &str) = ("UNDERSTAGE_FUZZ_SECONDS", "20");

/// Seconds of random programs in lockstep, in the same way.
const SOAKING: (&str, &str) = ("UNDERSTAGE_SOAK_SECONDS", "120");

/// Runs all checks; stops at the first that fails.
pub(crate) fn run(workspace: &Path) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let seconds = std::env::var_os(FUZZING.0).unwrap_or_else(|| FUZZING.1.into());
    let soaking = std::env::var_os(SOAKING.0).unwrap_or_else(|| SOAKING.1.into());
    for (title, args) in CHECKS {
        eprintln!("== {title}: cargo {}", args.join(" "));
        let begun = Instant::now();
        let mut command = Command::new(&cargo);
        command.args(*args).current_dir(workspace);
        show(command.env("RUSTDOCFLAGS", "-D warnings").env(FUZZING.0, &seconds).env(SOAKING.0, &soaking))?;
        eprintln!("== {title}: passed in {:.0} s", begun.elapsed().as_secs_f32());
    }
    Ok(())
}
