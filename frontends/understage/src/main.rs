//! The `understage` command. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    understage::main(std::env::args_os().collect())
}
