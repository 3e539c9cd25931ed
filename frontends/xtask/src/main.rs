//! Chores of the project, as `cargo xtask <chore>`.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod debugger;
mod files;
mod guests;
mod process;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Everything that must hold before a change lands: formatting, lints, tests, documentation
    Ci,
    /// Fetch Debian's arm64 kernel and a shell into .guests/, ready for 'understage run'
    Guests {
        /// Look for newer packages even if the files are there
        #[arg(long)]
        refresh: bool,
        /// Build a small kernel with DMA tests, SVA and IOMMUFD from Debian's source: .guests/source/Image
        #[arg(long)]
        kernel_from_source: bool,
    },
    /// Two sessions of gdb-multiarch with the kernel in .guests/: at its first instructions and while it runs
    Gdb,
    /// Measure how fast guests run: against another emulator and against this host
    Bench(bench::Options),
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Ci => ci::run(&workspace()),
        Chore::Gdb => debugger::run(&workspace()),
        Chore::Guests { refresh, kernel_from_source: true } => guests::source::run(&workspace(), refresh),
        Chore::Guests { refresh, .. } => guests::run(&workspace(), refresh),
        Chore::Bench(options) => bench::run(&workspace(), &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
