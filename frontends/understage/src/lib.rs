//! Understage: a full-system AArch64 machine that runs unmodified hypervisors and their guests.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cli`], [`qemu`] | the two spellings of the command line; both give a [`config::MachineConfig`] |
//! | [`config`] | what machine to build, as plain data |
//! | [`load`] | from files to what is in RAM and flash at the start |
//! | [`fdt`] | devicetrees: the board's own, and changing a given one |
//! | [`gdb`] | the stub that debuggers connect to |
//! | [`process`] | the program as a process of the host |
//! | [`board`] | the memory map, and who is plugged in where |
//! | [`terminal`] | the user's terminal and the other ends of serial ports |
//! | [`tour`] | the built-in hypervisor, run and measured |

#![forbid(unsafe_code)]

pub mod board;
pub mod cli;
pub mod config;
pub mod error;
pub mod fdt;
pub mod gdb;
pub mod keyval;
pub mod load;
pub mod number;
pub mod process;
pub mod qemu;
pub mod terminal;
pub mod tour;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use std::sync::Arc;

use board::build::Board;
use board::power::{Power, Stop};
use config::MachineConfig;
use error::{STATUS_USAGE, UserError};
use terminal::{OnQuit, Quit};

/// The name under which the program takes QEMU's options.
const QEMU_NAME: &str = "qemu-system-aarch64";

/// The whole program; `args` includes its name.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    match dispatch(&args) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("understage: {e}");
            ExitCode::from(STATUS_USAGE)
        }
    }
}

fn dispatch(args: &[OsString]) -> Result<ExitCode, UserError> {
    let called = args.first().and_then(|a| Path::new(a).file_name());
    if called == Some(OsStr::new(QEMU_NAME)) {
        return qemu_spelling(&args[1..]);
    }
    match cli::parse(args)? {
        cli::Request::Run(config) => run(&config),
        cli::Request::Qemu(options) => qemu_spelling(&options),
        cli::Request::Tour(check) => tour::run(check),
        cli::Request::Print(text) => print(&text),
    }
}

fn qemu_spelling(options: &[OsString]) -> Result<ExitCode, UserError> {
    match qemu::parse(options)? {
        qemu::Request::Run(config) => run(&config),
        qemu::Request::Print(text) => print(&text),
    }
}

fn print(text: &str) -> Result<ExitCode, UserError> {
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Logs to standard error what `filter` selects.
fn start_log(filter: &str) -> Result<(), UserError> {
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(filter)
        .map_err(|e| user_error!("'{filter}' is not a filter for the log: {e}"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

/// Builds the machine and runs it to its end.
fn run(config: &MachineConfig) -> Result<ExitCode, UserError> {
    start_log(config.log.as_deref().unwrap_or("warn"))?;
    let seeds = fdt::Seeds::from_host()
        .map_err(|e| user_error!("cannot get random numbers from /dev/urandom: {}", error::reason(&e)))?;
    let plan = load::plan(config, fdt::virt::CpuTraits::of_machine(config), seeds)?;
    if let Some(file) = &config.dump_dtb {
        load::plan::dump(&plan.dtb, file)?;
        return Ok(ExitCode::SUCCESS);
    }
    match process::begin(&config.host)? {
        process::Part::Done(code) => Ok(code),
        process::Part::Machine(presence) => {
            let ended = execute(config, &plan, &presence);
            presence.end();
            ended
        }
    }
}

/// Runs a machine until the guest or the user ends it; gives the exit status.
fn execute(
    config: &MachineConfig,
    plan: &load::plan::Plan,
    presence: &process::Presence,
) -> Result<ExitCode, UserError> {
    let on_quit = |power: Arc<Power>| -> OnQuit { Arc::new(move |why: Quit| power.quit(why.status())) };
    let board = Board::new(config, plan, &on_quit)?;
    terminal::signals::watch(on_quit(board.power.clone()))
        .map_err(|e| user_error!("cannot watch for signals: {}", error::reason(&e)))?;
    let debugger = match &config.gdb {
        Some(address) => {
            let (vcpus, power, clock) = (board.vcpus.clone(), board.power.clone(), board.clock.clone());
            Some(gdb::server::Server::start(address, vcpus, power, clock)?)
        }
        None => None,
    };
    presence.ready()?;
    if config.gdb_wait.is_some() {
        board.power.hold();
    }
    let stop = board::run::run(&board, plan, config.no_reboot, config.no_shutdown)?;
    if let Some(debugger) = debugger {
        debugger.farewell();
    }
    if config.stats {
        terminal::raw::restore();
        eprint!("{}{}", board::stats::table(&board), board::host_code::table(&board));
    }
    // The CPUs end with the process: to free some hundred thousand blocks one by one would only take time.
    std::mem::forget(board.vcpus.clone());
    Ok(match stop {
        Stop::Quit(status) => ExitCode::from(status),
        Stop::Off | Stop::Reset => ExitCode::SUCCESS,
    })
}
