//! Understage: a full-system AArch64 machine that runs unmodified hypervisors and their guests.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cli`], [`qemu`] | the two spellings of the command line; both give a [`config::MachineConfig`] |
//! | [`config`] | what machine to build, as plain data |
//! | [`load`] | from files to what is in RAM and flash at the start |
//! | [`fdt`] | devicetrees: the board's own, and changing a given one |
//! | [`end`] | how the process ends, whatever the reason, and with which status |
//! | [`out`], [`log`] | what the program itself says |
//! | [`gdb`] | the stub that debuggers connect to |
//! | [`tracefile`] | where it goes what is told of what the machine does |
//! | [`process`] | the program as a process of the host |
//! | [`board`] | the memory map, and who is plugged in where |
//! | [`semihosting`] | calls of programs to the host |
//! | [`terminal`], [`character`] | the user's terminal and the other ends of serial ports |
//! | [`monitor`] | commands for the machine that are typed at a prompt |
//! | [`tour`] | the built-in hypervisor, run and measured |

#![forbid(unsafe_code)]

pub mod board;
pub mod character;
pub mod cli;
pub mod config;
pub mod end;
pub mod error;
pub mod fdt;
pub mod gdb;
pub mod keyval;
pub mod load;
pub mod log;
pub mod monitor;
pub mod number;
pub mod out;
pub mod process;
pub mod qemu;
pub mod semihosting;
pub mod terminal;
pub mod tour;
pub mod tracefile;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use board::build::Board;
use board::power::Stop;
use config::MachineConfig;
use end::Ending;
use error::{STATUS_USAGE, UserError};
use load::plan::Plan;
use process::Presence;

/// The name under which the program takes QEMU's options.
const QEMU_NAME: &str = "qemu-system-aarch64";

/// The whole program; `args` includes its name.
pub fn main(args: &[OsString]) -> ! {
    end::prepare();
    let status = dispatch(args).unwrap_or_else(|e| {
        terminal::raw::restore();
        out::say(&format!("{}: {e}\n", out::speaker()));
        STATUS_USAGE
    });
    end::leave(status)
}

/// Does what `args` say; gives the exit status.
fn dispatch(args: &[OsString]) -> Result<u8, UserError> {
    let called = args.first().and_then(|a| Path::new(a).file_name());
    if called == Some(OsStr::new(QEMU_NAME)) {
        return qemu_spelling(&args[1..]);
    }
    match cli::parse(args)? {
        cli::Request::Run(config) => run(&config),
        cli::Request::Qemu(options) => qemu_spelling(&options),
        cli::Request::Tour(check) => tour::run(check),
        cli::Request::Print(text) => Ok(out::print(&text)),
    }
}

fn qemu_spelling(options: &[OsString]) -> Result<u8, UserError> {
    match qemu::parse(options)? {
        qemu::Request::Run(config) => run(&config),
        qemu::Request::Print(text) => Ok(out::print(&text)),
    }
}

/// Builds the machine and runs it to its end.
fn run(config: &MachineConfig) -> Result<u8, UserError> {
    if let Some(name) = &config.host.name {
        out::call_machine(name);
    }
    log::start(config.log.as_deref().unwrap_or("warn"), &config.trace)?;
    let plan = plan(config)?;
    if let Some(file) = &config.dump_dtb {
        load::plan::dump(&plan.dtb, file)?;
        return Ok(0);
    }
    match process::begin(&config.host)? {
        process::Part::Done(status) => Ok(status),
        process::Part::Machine(presence) => {
            let presence = Arc::new(presence);
            let own = presence.clone();
            end::at_end(move || own.end());
            execute(config, &plan, &presence)
        }
    }
}

/// What is in memory when the machine starts.
fn plan(config: &MachineConfig) -> Result<Plan, UserError> {
    let seeds = fdt::Seeds::from_host()
        .map_err(|e| user_error!("cannot get random numbers from /dev/urandom: {}", error::reason(&e)))?;
    load::plan(config, fdt::virt::CpuTraits::of_machine(config), seeds)
}

/// Builds a machine that signals and the user can end.
fn build(config: &MachineConfig, plan: &Plan) -> Result<Board, UserError> {
    let ending = Ending::new()?;
    let board = Board::new(config, plan, &|power| ending.of(power))?;
    terminal::signals::watch(ending.of(board.power.clone()))
        .map_err(|e| user_error!("cannot watch for signals: {}", error::reason(&e)))?;
    for listener in &board.listeners {
        let listener = listener.clone();
        end::at_end(move || listener.finish());
    }
    Ok(board)
}

/// Runs a machine until the guest or the user ends it; gives the exit status.
fn execute(config: &MachineConfig, plan: &Plan, presence: &Presence) -> Result<u8, UserError> {
    let board = build(config, plan)?;
    let debugger = match &config.gdb {
        Some(address) => {
            let (vcpus, power, clock) = (board.vcpus.clone(), board.power.clone(), board.clock.clone());
            Some(gdb::server::Server::start(address, vcpus, power, clock)?)
        }
        None => None,
    };
    if config.gdb_wait.is_some() && config.gdb.is_some() {
        board.power.hold();
    }
    tracefile::open(&config.trace)?;
    let ready = board::run::prepare(&board, plan)?;
    presence.ready()?;
    let stop = ready.run(config.no_reboot, config.no_shutdown)?;
    if let Some(debugger) = debugger {
        debugger.farewell();
    }
    if config.stats {
        terminal::raw::restore();
        out::say(&format!("{}{}", board::stats::table(&board), board::host_code::table(&board)));
    }
    // The machine ends with the process: to free some hundred thousand blocks one by one would only take time.
    std::mem::forget(board);
    Ok(match stop {
        Stop::Quit(status) => status,
        Stop::Off | Stop::Reset => 0,
    })
}
